//! To which keys is a new token bound? RFC 9449 §5 and RFC 8705 §3; conformance DP-14, TX-27.

use super::proof::Authenticated;
use crate::AuthMethod;
use crate::types::confirmation::{Confirmation, Possession};

/// The keys of the result: those that any token of the request was bound to, which have been proven by now. A proof binds what was
/// not bound; and a client that authenticates with a certificate gets tokens for that certificate.
pub(crate) fn of<'a>(
    client: &Authenticated,
    possession: &Possession,
    inherited: impl IntoIterator<Item = &'a Confirmation>,
) -> Option<Confirmation> {
    let mut certificate = match client.client().rights.auth_method {
        // By a foreign identity or as the Bearer, any certificate may be shown.
        AuthMethod::TlsClientAuth if client.by_own_credential() => possession.certificate.clone(),
        AuthMethod::TlsClientAuth
        | AuthMethod::ClientSecret
        | AuthMethod::PrivateKeyJwt
        | AuthMethod::Federated => None,
    };
    let mut key = possession.key.clone();
    for confirmation in inherited {
        key = confirmation.key.clone().or(key);
        certificate = confirmation.certificate.clone().or(certificate);
    }
    Confirmation::of(key, certificate)
}
