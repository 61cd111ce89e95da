//! Reads a client certificate: RFC 5280 §4, RFC 8705 §2.1.2 and §3.1, and X509-SVID §2 to §4.

use std::net::IpAddr;
use tokenberg_core::registration::{CertificateName, DistinguishedName};
use tokenberg_core::{PeerCertificate, Timestamp};
use x509_cert::Certificate;
use x509_cert::der::{Any, Decode, Tag, Tagged};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectAltName};

/// `CN` (RFC 4519 §2.3).
const COMMON_NAME: &str = "2.5.4.3";

/// Reads the certificate, in DER, that a client proved to have in the handshake with a TLS server of your own, of whatever library.
///
/// Put it into the data of the connection, where the token endpoint and [`Bearer`](crate::Bearer) find it. `is_trusted` is whether your
/// server verified its chain for client authentication: a client authenticates by a trusted certificate only, and any one binds its
/// tokens. It is verified when the connection begins, and not again; `ClientAuthorities` of the feature `server` verify it at each request.
/// A certificate that breaks the rules for its kind is not trusted, and one that cannot be read is `None`.
///
/// ```
/// use actix_tls::accept::rustls_0_23::TlsStream;
/// use actix_web::{HttpServer, rt::net::TcpStream};
/// # use actix_web::App;
/// # let app = || App::new();
/// let server = HttpServer::new(app).on_connect(|connection, data| {
///     let Some(tls) = connection.downcast_ref::<TlsStream<TcpStream>>() else { return };
///     // Verified by the `WebPkiClientVerifier` of the server's configuration, or it would not have got here.
///     let Some([own, ..]) = tls.get_ref().1.peer_certificates() else { return };
///     if let Some(certificate) = tokenberg_actix::read_certificate(own, true) {
///         data.insert(certificate);
///     }
/// });
/// // server.bind_rustls_0_23(address, config) …
/// # drop(server);
/// ```
#[must_use]
pub fn read_certificate(der: &[u8], is_trusted: bool) -> Option<PeerCertificate> {
    read(der, (!is_trusted).then(|| "the TLS server did not verify it".into()))
}

/// Reads a certificate; its chain was checked before, and has this fault if it has one. A certificate that breaks the rules for its
/// kind is not trusted, and one that cannot be read counts as absent.
pub(crate) fn read(der: &[u8], fault: Option<Box<str>>) -> Option<PeerCertificate> {
    let certificate = Certificate::from_der(der).ok()?;
    let facts = certificate.tbs_certificate();
    let alternative = facts.get_extension::<SubjectAltName>().ok()?;
    let names: Vec<CertificateName> =
        alternative.iter().flat_map(|(_, names)| &names.0).filter_map(name).collect();
    let common_names = facts.subject().iter().filter(|part| part.oid.to_string() == COMMON_NAME).count();
    let ends = i64::try_from(facts.validity().not_after.to_unix_duration().as_secs()).ok()?;
    let is_workload = names.iter().any(is_spiffe_id);
    Some(PeerCertificate {
        thumbprint: thumbprint(der),
        fault: fault.or_else(|| is_workload.then(|| fault_of_svid(&certificate)).flatten().map(Into::into)),
        subject: subject(&certificate).unwrap_or_default().into(),
        common_names,
        names,
        not_after: Timestamp::from_seconds(ends).ok()?,
    })
}

/// RFC 8705 §3.1: "the base64url-encoded SHA-256 hash […] of the DER encoding of the X.509 certificate".
fn thumbprint(der: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    let mut thumbprint = [0; 32];
    thumbprint.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    thumbprint
}

/// Empty if one of its values is not text, so that no client can be registered as it.
pub(crate) fn subject(certificate: &Certificate) -> Option<String> {
    let name = certificate.tbs_certificate().subject();
    let mut parts = Vec::new();
    for part in name.iter_rdn() {
        let attributes = part.iter().map(|one| Some((one.oid.to_string(), text(&one.value)?)));
        parts.push(attributes.collect::<Option<Vec<_>>>()?);
    }
    // RFC 4514 §2.1: "starting with the last element of the sequence and moving backwards toward the first".
    let parts: Vec<Vec<(&str, &str)>> = parts
        .iter()
        .rev()
        .map(|part| part.iter().map(|(kind, value)| (kind.as_str(), value.as_str())).collect())
        .collect();
    Some(DistinguishedName::of(&parts).as_str().to_owned())
}

// DirectoryString, RFC 5280 §4.1.2.4. The meaning of a TeletexString beyond ASCII is unknown.
fn text(value: &Any) -> Option<String> {
    let (kind, bytes) = (value.tag(), value.value());
    let utf_8 = || std::str::from_utf8(bytes).ok().map(str::to_owned);
    if kind == Tag::Utf8String {
        utf_8()
    } else if [Tag::PrintableString, Tag::Ia5String, Tag::TeletexString].contains(&kind) {
        utf_8().filter(|text| text.is_ascii())
    } else if kind == Tag::BmpString {
        let (units, []) = bytes.as_chunks::<2>() else { return None };
        String::from_utf16(&units.iter().map(|unit| u16::from_be_bytes(*unit)).collect::<Vec<_>>()).ok()
    } else {
        None
    }
}

fn name(name: &GeneralName) -> Option<CertificateName> {
    Some(match name {
        GeneralName::DnsName(dns) => CertificateName::Dns(dns.as_str().into()),
        GeneralName::UniformResourceIdentifier(uri) => CertificateName::Uri(uri.as_str().into()),
        GeneralName::Rfc822Name(email) => CertificateName::Email(email.as_str().into()),
        GeneralName::IpAddress(ip) => {
            let ip: IpAddr = match ip.as_bytes() {
                [a, b, c, d] => [*a, *b, *c, *d].into(),
                bytes => <[u8; 16]>::try_from(bytes).ok()?.into(),
            };
            CertificateName::Ip(ip.to_string().into())
        }
        GeneralName::OtherName(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EdiPartyName(_)
        | GeneralName::RegisteredId(_) => return None,
    })
}

fn is_spiffe_id(name: &CertificateName) -> bool {
    match name {
        CertificateName::Uri(uri) => uri.get(..9).is_some_and(|s| s.eq_ignore_ascii_case("spiffe://")),
        CertificateName::Subject(_)
        | CertificateName::Dns(_)
        | CertificateName::Ip(_)
        | CertificateName::Email(_) => false,
    }
}

/// Why it is no X.509-SVID of a workload. X509-SVID §4.1 and §4.3: a leaf has "the cA field […] set to false", "MUST set
/// digitalSignature" and "MUST NOT set keyCertSign or cRLSign". Without a SPIFFE ID, RFC 5280 §4.2.1.3 applies: a certificate without
/// the extension has no such limit.
fn fault_of_svid(certificate: &Certificate) -> Option<&'static str> {
    let facts = certificate.tbs_certificate();
    let (constraints, usage) = (facts.get_extension::<BasicConstraints>(), facts.get_extension::<KeyUsage>());
    match (constraints, usage) {
        (Err(_), _) => Some("its extension basicConstraints cannot be read"),
        (_, Err(_)) => Some("its extension keyUsage cannot be read"),
        (Ok(Some((_, constraints))), _) if constraints.ca => {
            Some("it has a SPIFFE ID and is the certificate of an authority (X509-SVID §4.1)")
        }
        (_, Ok(None)) => {
            Some("it has a SPIFFE ID and no extension keyUsage with digitalSignature (X509-SVID §4.3)")
        }
        (_, Ok(Some((_, usage)))) if !usage.digital_signature() => {
            Some("it has a SPIFFE ID, and its keyUsage does not set digitalSignature (X509-SVID §4.3)")
        }
        (_, Ok(Some((_, usage)))) if usage.key_cert_sign() || usage.crl_sign() => {
            Some("it has a SPIFFE ID, and its keyUsage sets keyCertSign or cRLSign (X509-SVID §4.3)")
        }
        (Ok(_), Ok(Some(_))) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use tokenberg_core::token::Thumbprint;

    /// RFC 8705 Appendix A.
    const EXAMPLE: &str = "MIIBBjCBrAIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARtdGxzMB4XDTE4MTAxODEyMzcwOVoXDTIyMDUwMjEyMzcwOVow\
        DzENMAsGA1UEAwwEbXRsczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNcnyxwqV6hY8QnhxxzFQ03C7HKW9OylMbnQZjjJ/Au08/coZwxS7LfA4vOLS9Wu\
        neIXhbGGWvsDSb0tH6IxLm8wCgYIKoZIzj0EAwIDSQAwRgIhAP0RC1E+vwJD/D1AGHGzuri+hlV/PpQEKTWUVeORWz83AiEA5x2eXZOVbUlJSGQgjwD5vaUa\
        KlLR50Q2DmFfQj1L+SY=";

    #[test]
    fn mt_04_the_thumbprint_of_the_rfcs_example() {
        let read = read(&STANDARD.decode(EXAMPLE).unwrap(), None).unwrap();
        let text = Thumbprint::of(read.thumbprint);
        assert_eq!(text.as_str(), "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0");
        assert_eq!((&*read.subject, read.common_names, read.names), ("CN=mtls", 1, vec![]));
        assert_eq!(read.not_after, Timestamp::from_seconds(1_651_495_029).unwrap());
    }

    #[test]
    fn mt_05_arbitrary_bytes_cause_no_panic_and_are_not_trusted() {
        let good = STANDARD.decode(EXAMPLE).unwrap();
        for length in 0..good.len() {
            assert!(read(&good[..length], None).is_none(), "{length}");
        }
        // Each byte in turn, with every value: some are still certificates, with other content.
        for at in 0..good.len() {
            for byte in [0, 1, 0x30, 0x7F, 0x80, 0x84, 0xFF] {
                let mut bent = good.clone();
                bent[at] = byte;
                let read = read(&bent, None);
                assert!(bent == good || read.is_none_or(|read| read.thumbprint != thumbprint(&good)));
            }
        }
    }
}
