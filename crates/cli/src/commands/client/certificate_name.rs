//! Parses an alternative name: `DNS:…`, `URI:…`, `IP:…`, `email:…`, or what the text looks like; RFC 8705 §2.1.2.

use std::net::IpAddr;
use tokenberg_core::registration::CertificateName;

type Kind = fn(&str) -> Option<CertificateName>;

const KINDS: [(&str, Kind); 4] = [("DNS", dns), ("URI", uri), ("IP", ip), ("email", email)];

/// Reads the name.
///
/// # Errors
/// A sentence that shows the expected form.
pub(super) fn alternative_name(text: &str) -> Result<CertificateName, String> {
    let named = text.split_once(':').and_then(|(prefix, name)| {
        let (_, read) = KINDS.iter().find(|(kind, _)| kind.eq_ignore_ascii_case(prefix))?;
        Some(read(name))
    });
    let read = named.unwrap_or_else(|| {
        if text.contains("://") {
            uri(text)
        } else {
            ip(text).or_else(|| if text.contains('@') { email(text) } else { dns(text) })
        }
    });
    read.ok_or_else(|| {
        "expected a name of a certificate: DNS:host.example, URI:spiffe://td.example/path, IP:10.0.0.1 or email:a@b.example"
            .to_owned()
    })
}

fn dns(name: &str) -> Option<CertificateName> {
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    name.split('.').all(is_label).then(|| CertificateName::Dns(name.to_ascii_lowercase().into()))
}

fn uri(name: &str) -> Option<CertificateName> {
    let (scheme, rest) = name.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let is_uri = is_scheme && !rest.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
    is_uri.then(|| CertificateName::Uri(name.into()))
}

fn ip(name: &str) -> Option<CertificateName> {
    let address: IpAddr = name.parse().ok()?;
    Some(CertificateName::Ip(address.to_string().into()))
}

fn email(name: &str) -> Option<CertificateName> {
    let (local, host) = name.rsplit_once('@')?;
    let is_plain = name.bytes().all(|b| b.is_ascii_graphic());
    (is_plain && !local.is_empty() && dns(host).is_some()).then(|| CertificateName::Email(name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use CertificateName::{Dns, Email, Ip, Uri};

    #[test]
    fn mt_01_the_type_of_a_name_is_given_by_its_prefix_or_its_form() {
        for (text, name) in [
            ("spark.example", Dns("spark.example".into())),
            ("DNS:Spark.Example", Dns("spark.example".into())),
            ("spiffe://td.example/a", Uri("spiffe://td.example/a".into())),
            ("uri:urn:x:y", Uri("urn:x:y".into())),
            ("10.0.0.1", Ip("10.0.0.1".into())),
            ("IP:2001:DB8:0::1", Ip("2001:db8::1".into())),
            ("::1", Ip("::1".into())),
            ("a@b.example", Email("a@b.example".into())),
            ("email:a@b.example", Email("a@b.example".into())),
            ("DNS:10.0.0.1", Dns("10.0.0.1".into())),
        ] {
            assert_eq!(alternative_name(text), Ok(name), "{text}");
        }
        for bad in
            ["", "DNS:", "a b", "*.example", "urn:x", "IP:x", "IP:10.0.0.256", "@b", "URI:x", "DNS:a..b"]
        {
            assert!(alternative_name(bad).unwrap_err().contains("DNS:host.example"), "{bad}");
        }
    }
}
