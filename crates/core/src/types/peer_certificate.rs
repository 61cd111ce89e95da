//! The client certificate of the TLS handshake: RFC 8705 §2 and §3.

use super::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The relevant fields of a client certificate whose private key was proven in the handshake.
///
/// The code that makes one vouches for that: an adapter must not take it from a header that any client can send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// SHA-256 of the DER (RFC 8705 §3.1).
    pub thumbprint: [u8; 32],
    /// Why it does not chain to an authority that the operator trusts for clients, for client authentication, now; `None` if it
    /// does, and so is trusted.
    pub fault: Option<Box<str>>,
    /// The subject as text (RFC 4514), attribute types in upper case, no spaces around commas; empty if it has none.
    pub subject: Box<str>,
    /// How many `CN` the subject has; more than one is ambiguous.
    pub common_names: usize,
    /// The subject alternative names.
    pub names: Vec<CertificateName>,
    /// When it ends.
    pub not_after: Timestamp,
}

/// One name of a certificate: what a client is registered by (RFC 8705 §2.1.2 has exactly one of these).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateName {
    /// `tls_client_auth_subject_dn`: the whole subject, RFC 4514.
    Subject(Box<str>),
    /// `tls_client_auth_san_dns`.
    Dns(Box<str>),
    /// `tls_client_auth_san_uri`.
    Uri(Box<str>),
    /// `tls_client_auth_san_ip`, as RFC 5952 writes it.
    Ip(Box<str>),
    /// `tls_client_auth_san_email`.
    Email(Box<str>),
}

impl PeerCertificate {
    /// Whether it chains to an authority that the operator trusts for clients, for client authentication, now.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.fault.is_none()
    }

    /// Whether it is trusted and has this name, in exactly the field in which it was registered.
    #[must_use]
    pub fn is_of(&self, registered: &CertificateName) -> bool {
        let is_named = match registered {
            CertificateName::Subject(subject) => {
                self.common_names <= 1 && !self.subject.is_empty() && self.subject == *subject
            }
            // An X.509-SVID has exactly one URI (X509-SVID §2); with several, none is the identity.
            CertificateName::Uri(_) => {
                let uris = self.names.iter().filter(|name| matches!(name, CertificateName::Uri(_)));
                uris.count() == 1 && self.names.contains(registered)
            }
            // RFC 9525 §2: DNS names are compared without regard to case.
            CertificateName::Dns(dns) => self.names.iter().any(|name| match name {
                CertificateName::Dns(own) => own.eq_ignore_ascii_case(dns),
                CertificateName::Subject(_)
                | CertificateName::Uri(_)
                | CertificateName::Ip(_)
                | CertificateName::Email(_) => false,
            }),
            CertificateName::Ip(_) | CertificateName::Email(_) => self.names.contains(registered),
        };
        self.is_trusted() && is_named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mt_01_wl_05_one_registered_name_in_its_own_field() {
        use CertificateName::{Dns, Email, Ip, Subject, Uri};
        let certificate = PeerCertificate {
            thumbprint: [0; 32],
            fault: None,
            subject: "CN=cm,O=Test".into(),
            common_names: 1,
            names: vec![Dns("cm.test".into()), Uri("spiffe://td.test/a".into()), Ip("::1".into())],
            not_after: Timestamp::from_seconds(9).unwrap(),
        };
        for (name, is) in [
            (Subject("CN=cm,O=Test".into()), true),
            (Subject("CN=cm".into()), false),
            (Subject("cm.test".into()), false),
            (Dns("CM.test".into()), true),
            (Dns("CN=cm,O=Test".into()), false),
            (Dns("spiffe://td.test/a".into()), false),
            (Uri("spiffe://td.test/a".into()), true),
            (Uri("spiffe://td.test/ab".into()), false),
            (Ip("::1".into()), true),
            (Email("cm@test".into()), false),
        ] {
            assert_eq!(certificate.is_of(&name), is, "{name:?}");
            assert!(!PeerCertificate { fault: Some("expired".into()), ..certificate.clone() }.is_of(&name));
        }
        let two = PeerCertificate { common_names: 2, ..certificate.clone() };
        assert!(!two.is_of(&Subject("CN=cm,O=Test".into())));
        let mut several = certificate;
        several.names.push(Uri("https://x.test".into()));
        assert!(!several.is_of(&Uri("spiffe://td.test/a".into())));
    }
}
