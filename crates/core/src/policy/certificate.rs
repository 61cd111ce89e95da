//! Is this client the one whose certificate was shown? RFC 8705 §2.1.

use super::proof::Authenticated;
use crate::refusal::Refusal;
use crate::{AuthMethod, Client, PeerCertificate, Timestamp};
use std::sync::Arc;

/// Checks that the certificate has the one name that the client is registered with.
pub(crate) fn check(
    client: Arc<Client>,
    certificate: &PeerCertificate,
    now: Timestamp,
) -> Result<Authenticated, Refusal> {
    let registered = client.rights.auth_method;
    if registered != AuthMethod::TlsClientAuth {
        return Err(Refusal::OtherMethod { client: client.id.clone(), registered });
    }
    if !client.enabled {
        return Err(Refusal::DisabledClient(client.id.clone()));
    }
    // A connection may outlive its certificate.
    let is_good = client.rights.certificate.as_ref().is_some_and(|name| certificate.is_of(name))
        && now < certificate.not_after;
    if is_good {
        Ok(Authenticated::by_credential(client))
    } else {
        Err(Refusal::WrongCertificate { client: client.id.clone(), subject: certificate.subject.clone() })
    }
}
