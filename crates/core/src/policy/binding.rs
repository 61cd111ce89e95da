//! To which keys is a new token bound? RFC 9449 §5 and RFC 8705 §3; conformance DP-14, TX-27.

use super::proof::Authenticated;
use crate::types::confirmation::{Confirmation, Possession};
use crate::{AuthMethod, Thumbprint};

/// What was bound stays bound to the same keys, which have been proven by now. A proof binds what was not; and a client that
/// authenticates with a certificate gets tokens for that certificate.
pub(crate) fn of(
    client: &Authenticated,
    possession: &Possession,
    inherited: Option<&Confirmation>,
) -> Option<Confirmation> {
    let shown = match client.client().rights.auth_method {
        AuthMethod::TlsClientAuth => possession.certificate.as_ref(),
        AuthMethod::ClientSecret | AuthMethod::PrivateKeyJwt | AuthMethod::Federated => None,
    };
    let either = |old: Option<&Thumbprint>, new: Option<&Thumbprint>| old.or(new).cloned();
    let key = either(inherited.and_then(|cnf| cnf.key.as_ref()), possession.key.as_ref());
    let certificate = either(inherited.and_then(|cnf| cnf.certificate.as_ref()), shown);
    Confirmation::of(key, certificate)
}
