//! The addresses that keys may be fetched from: RFC 8414 §3.1, OpenID Connect Discovery 1.0 §4, KS-06.

use tokenberg_core::authority::{host, is_loopback};
use tokenberg_core::{Issuer, TrustedIssuer};

/// The longest address, in bytes.
const LONGEST: usize = 2048;

/// An address that the keys of an issuer may be fetched from. Only this module makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    url: Box<str>,
    reach: Reach,
}

/// Which hosts an address may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// `https`, to a public address, unless the operator allows others.
    Web,
    /// `http`, to a loopback address of this machine only.
    ThisMachine,
    /// `http`, to a host that the operator named, over a network where responses can be replaced.
    PlainHttp,
}

/// Who gave an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Operator,
    /// The issuer's metadata.
    Metadata,
}

/// Why an address is not fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// Not `https`, nor plain `http` from an issuer on this machine to this machine.
    #[error(
        "it is not https; plain http is for 127.0.0.1, [::1] and localhost, if the issuer is at such an address itself, and with \
         --insecure-http for the issuer's own host"
    )]
    Scheme,
    /// Not a URL with a host, or one with a user name, a fragment or a character that URLs do not have.
    #[error("it must be a URL with a host and without user name, fragment and spaces")]
    Form,
    /// A SPIFFE trust domain has no metadata: the operator has to give the address of its bundle.
    #[error("a trust domain publishes no metadata; give the address of its bundle")]
    TrustDomain,
}

impl Address {
    /// Checks an address from the operator or from the issuer's metadata; never one from a token.
    ///
    /// # Errors
    /// If its form or its scheme is not allowed for this issuer.
    pub fn of(url: &str, issuer: &Issuer) -> Result<Self, AddressFault> {
        let (reach, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (Reach::Web, rest),
            (None, Some(rest)) => (Reach::ThisMachine, rest),
            (None, None) => return Err(AddressFault::Scheme),
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let host = checked_host(url, authority)?;
        // Plain http is for an issuer on this machine; see `Issuer`.
        let is_here = issuer.as_str().starts_with("http://") && !issuer.is_plain_http();
        if reach == Reach::ThisMachine && !(is_loopback(host) && is_here) {
            return Err(AddressFault::Scheme);
        }
        Ok(Self { url: url.into(), reach })
    }

    /// As [`Address::of`], but `http` may lead to another machine if the operator allows that for the issuer: to the operator's
    /// address and to the issuer's own host, but not to any other host that its metadata name.
    pub(super) fn for_issuer(url: &str, issuer: &TrustedIssuer, by: By) -> Result<Self, AddressFault> {
        let strict = Self::of(url, &issuer.issuer);
        let (Err(AddressFault::Scheme), true, Some(rest)) =
            (&strict, issuer.trust.insecure_http, url.strip_prefix("http://"))
        else {
            return strict;
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        checked_host(url, authority)?;
        let is_issuers_own = issuer.issuer.origin().strip_prefix("http://") == Some(authority);
        if by == By::Metadata && !is_issuers_own {
            return Err(AddressFault::Scheme);
        }
        Ok(Self { url: url.into(), reach: Reach::PlainHttp })
    }

    /// Where the metadata of the issuer may be, in the order of the attempts.
    ///
    /// # Errors
    /// If it is a SPIFFE trust domain.
    pub(super) fn of_metadata(trusted: &TrustedIssuer) -> Result<Vec<Self>, AddressFault> {
        let issuer = &trusted.issuer;
        if issuer.is_spiffe() {
            return Err(AddressFault::TrustDomain);
        }
        let origin = issuer.origin();
        // Discovery §4.1: "If the Issuer value contains a path component, any terminating / MUST be removed before appending";
        // RFC 8414 §3.1 says the same for inserting.
        let path = issuer.path().strip_suffix('/').unwrap_or(issuer.path());
        let places = [
            format!("{origin}{path}/.well-known/openid-configuration"),
            format!("{origin}/.well-known/oauth-authorization-server{path}"),
        ];
        places.iter().map(|place| Self::for_issuer(place, trusted, By::Operator)).collect()
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Which hosts it may lead to.
    #[must_use]
    pub fn reach(&self) -> Reach {
        self.reach
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A query may hold a secret.
        f.write_str(self.url.split('?').next().unwrap_or_default())
    }
}

/// The host of the authority, if the whole can be fetched.
fn checked_host<'a>(url: &str, authority: &'a str) -> Result<&'a str, AddressFault> {
    let graphic = url.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&b));
    let host = host(authority).ok_or(AddressFault::Form)?;
    if graphic && url.len() <= LONGEST { Ok(host) } else { Err(AddressFault::Form) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenberg_core::{KeySource, Trust};

    fn issuer(text: &str) -> Issuer {
        Issuer::foreign(text).unwrap()
    }

    fn trusted(text: &str, insecure_http: bool) -> TrustedIssuer {
        let mut trust = Trust::new(KeySource::Discovery);
        trust.insecure_http = insecure_http;
        TrustedIssuer { issuer: issuer(text), enabled: true, trust }
    }

    #[test]
    fn ks_06_plain_http_leads_only_where_the_operator_allows() {
        let (plain, web, here) =
            ("http://keycloak:8080/realms/x", "https://idp.test", "http://localhost:8080/realms/x");
        let (reached, scheme) = (Ok(Reach::PlainHttp), Err(AddressFault::Scheme));
        // The issuer, the address, the outcome if the operator gave it, and if the metadata did.
        for (of, url, by_operator, by_metadata) in [
            (plain, "http://keycloak:8080/realms/x/certs", reached, reached),
            (plain, "http://keycloak:8080", reached, reached),
            (plain, "http://keycloak/realms/x/certs", reached, scheme),
            (plain, "http://keycloak:8081/certs", reached, scheme),
            (plain, "http://169.254.169.254/latest", reached, scheme),
            (plain, "http://127.0.0.1:8080/certs", reached, scheme),
            (plain, "http://localhost/certs", reached, scheme),
            (plain, "http://keycloak:8080@evil.test/", Err(AddressFault::Form), Err(AddressFault::Form)),
            (plain, "https://keycloak/certs", Ok(Reach::Web), Ok(Reach::Web)),
            (plain, "ftp://keycloak:8080/certs", scheme, scheme),
            (web, "http://keycloak:8080/certs", reached, scheme),
            (web, "http://idp.test/certs", reached, scheme),
            (here, "http://keycloak:8080/certs", reached, scheme),
            (here, "http://localhost:8080/certs", Ok(Reach::ThisMachine), Ok(Reach::ThisMachine)),
        ] {
            for (by, expected) in [(By::Operator, by_operator), (By::Metadata, by_metadata)] {
                let reach =
                    |insecure| Address::for_issuer(url, &trusted(of, insecure), by).map(|a| a.reach());
                assert_eq!(reach(true), expected, "{of} {url} {by:?}");
                // Never without the operator's permission.
                assert_ne!(reach(false), Ok(Reach::PlainHttp), "{of} {url} {by:?}");
            }
        }
        let places = Address::of_metadata(&trusted(plain, true)).unwrap();
        assert_eq!(
            places.iter().map(Address::as_str).collect::<Vec<_>>(),
            [
                "http://keycloak:8080/realms/x/.well-known/openid-configuration",
                "http://keycloak:8080/.well-known/oauth-authorization-server/realms/x",
            ]
        );
        assert_eq!(Address::of_metadata(&trusted(plain, false)), Err(AddressFault::Scheme));
    }

    #[test]
    fn ks_06_addresses_are_https_or_on_this_machine_with_their_issuer() {
        let (web, here, domain) =
            (issuer("https://idp.test/a"), issuer("http://127.0.0.1:9/a"), issuer("spiffe://td.test"));
        for (url, of_web, of_here) in [
            ("https://idp.test/jwks", Ok(Reach::Web), Ok(Reach::Web)),
            ("https://keys.other.test:8443/jwks?p=a", Ok(Reach::Web), Ok(Reach::Web)),
            ("https://[2001:db8::1]/jwks", Ok(Reach::Web), Ok(Reach::Web)),
            ("http://127.0.0.1:9/jwks", Err(AddressFault::Scheme), Ok(Reach::ThisMachine)),
            ("http://localhost/jwks", Err(AddressFault::Scheme), Ok(Reach::ThisMachine)),
            ("http://[::1]:1", Err(AddressFault::Scheme), Ok(Reach::ThisMachine)),
            ("http://10.0.0.1/jwks", Err(AddressFault::Scheme), Err(AddressFault::Scheme)),
            ("http://169.254.169.254/", Err(AddressFault::Scheme), Err(AddressFault::Scheme)),
            ("http://127.0.0.1.evil.test/", Err(AddressFault::Scheme), Err(AddressFault::Scheme)),
            ("http://127.0.0.1@evil.test/", Err(AddressFault::Form), Err(AddressFault::Form)),
            ("http://localhost?@evil.test/", Err(AddressFault::Scheme), Ok(Reach::ThisMachine)),
            ("file:///etc/passwd", Err(AddressFault::Scheme), Err(AddressFault::Scheme)),
            ("HTTPS://idp.test", Err(AddressFault::Scheme), Err(AddressFault::Scheme)),
            ("", Err(AddressFault::Scheme), Err(AddressFault::Scheme)),
            ("https://", Err(AddressFault::Form), Err(AddressFault::Form)),
            ("https://:1/", Err(AddressFault::Form), Err(AddressFault::Form)),
            ("https://a.test:x/", Err(AddressFault::Form), Err(AddressFault::Form)),
            ("https://a.test:+443/", Err(AddressFault::Form), Err(AddressFault::Form)),
            ("https://user:hush@a.test/", Err(AddressFault::Form), Err(AddressFault::Form)),
            ("https://a.test/#f", Err(AddressFault::Form), Err(AddressFault::Form)),
            ("https://a.test/a b", Err(AddressFault::Form), Err(AddressFault::Form)),
            ("https://a.test/\r\nX: y", Err(AddressFault::Form), Err(AddressFault::Form)),
            ("https://a.test\\@b.test/", Err(AddressFault::Form), Err(AddressFault::Form)),
        ] {
            assert_eq!(Address::of(url, &web).map(|a| a.reach()), of_web, "{url}");
            assert_eq!(Address::of(url, &domain).map(|a| a.reach()), of_web, "{url}");
            assert_eq!(Address::of(url, &here).map(|a| a.reach()), of_here, "{url}");
        }
        let long = format!("https://a.test/{}", "x".repeat(LONGEST));
        assert_eq!(Address::of(&long, &web), Err(AddressFault::Form));
        assert_eq!(Address::of("https://a.test/k?hush", &web).unwrap().to_string(), "https://a.test/k");
    }

    #[test]
    fn ks_06_metadata_are_appended_and_then_inserted() {
        for (of, first, second) in [
            (
                "https://idp.test",
                "https://idp.test/.well-known/openid-configuration",
                "https://idp.test/.well-known/oauth-authorization-server",
            ),
            (
                "https://idp.test/realms/a",
                "https://idp.test/realms/a/.well-known/openid-configuration",
                "https://idp.test/.well-known/oauth-authorization-server/realms/a",
            ),
            (
                "https://tenant.idp.test/",
                "https://tenant.idp.test/.well-known/openid-configuration",
                "https://tenant.idp.test/.well-known/oauth-authorization-server",
            ),
        ] {
            let places = Address::of_metadata(&trusted(of, false)).unwrap();
            assert_eq!(places.iter().map(Address::as_str).collect::<Vec<_>>(), [first, second]);
        }
        let domain = trusted("spiffe://td.test", true);
        assert_eq!(Address::of_metadata(&domain), Err(AddressFault::TrustDomain));
    }
}
