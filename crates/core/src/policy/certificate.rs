//! Authenticates a client by its TLS certificate: RFC 8705 §2.1.

use super::proof::Authenticated;
use crate::refusal::{CertificateFault, CertificateRule, Refusal};
use crate::{AuthMethod, Client, Excerpt, PeerCertificate, Timestamp};
use std::sync::Arc;

/// Checks that the certificate has the one name that the client is registered with.
pub(crate) fn check(
    client: Arc<Client>,
    certificate: &PeerCertificate,
    now: Timestamp,
) -> Result<Authenticated, Refusal> {
    let registered = client.rights.auth_method;
    if registered != AuthMethod::TlsClientAuth {
        let presented = "tls_client_auth";
        return Err(Refusal::OtherMethod { client: client.id.clone(), registered, presented });
    }
    if !client.enabled {
        return Err(Refusal::DisabledClient(client.id.clone()));
    }
    let name = client.rights.certificate.as_ref();
    let rule = if let Some(fault) = &certificate.fault {
        CertificateRule::Untrusted(Excerpt::of_claim(fault))
    } else if now >= certificate.not_after {
        // A connection may outlive its certificate.
        CertificateRule::Expired { not_after: certificate.not_after, now }
    } else if !name.is_some_and(|name| certificate.is_of(name)) {
        CertificateRule::Name { registered: name.cloned(), found: certificate.names.clone() }
    } else {
        return Ok(Authenticated::by_credential(client));
    };
    let subject = Excerpt::of_claim(&certificate.subject);
    Err(Refusal::WrongCertificate(Box::new(CertificateFault { client: client.id.clone(), subject, rule })))
}
