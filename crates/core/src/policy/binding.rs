//! The keys that a new token is bound to: RFC 9449 §5 and RFC 8705 §3; conformance DP-14, TX-27.

use super::proof::Authenticated;
use crate::AuthMethod;
use crate::types::confirmation::{Confirmation, Possession};

/// The keys of the result: those that any token of the request was bound to, whose possession is already proven. A proof binds a result
/// that was not bound; a client that authenticates with a certificate gets tokens bound to that certificate.
pub(crate) fn of<'a>(
    client: &Authenticated,
    possession: &Possession,
    inherited: impl IntoIterator<Item = &'a Confirmation>,
) -> Option<Confirmation> {
    let mut certificate = match client.client().rights.auth_method {
        // A client that authenticates by a foreign identity or as the Bearer may present any certificate.
        AuthMethod::TlsClientAuth if client.by_own_credential() => possession.certificate.clone(),
        AuthMethod::TlsClientAuth
        | AuthMethod::ClientSecret
        | AuthMethod::PrivateKeyJwt
        | AuthMethod::Federated
        | AuthMethod::Public => None,
    };
    let mut key = possession.key.clone();
    for confirmation in inherited {
        key = confirmation.key.clone().or(key);
        certificate = confirmation.certificate.clone().or(certificate);
    }
    Confirmation::of(key, certificate)
}
