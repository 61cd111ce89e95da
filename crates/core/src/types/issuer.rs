//! The issuer identifier, RFC 8414 §2.

use super::authority::{host, is_loopback};
use super::spiffe_id::SpiffeId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An issuer identifier: an `https` URL (or `http` on a loopback address) without query and fragment.
///
/// Kept and compared as the exact text, never normalized (RFC 8414 §3.3, RFC 9068 §4). Parsing follows the rules for our own issuer;
/// [`Issuer::foreign`] accepts the identifiers of other issuers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Issuer(Arc<str>);

/// Why a text is no issuer identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// Neither `https://…` nor `http://` on a loopback address.
    #[error("an issuer is an https URL; plain http is for 127.0.0.1, [::1] and localhost only")]
    Scheme,
    /// No host, or a character that a URL does not have.
    #[error("an issuer is a URL with a host and without spaces, user names or control characters")]
    Form,
    /// `?` or `#` (RFC 8414 §2: no query or fragment components).
    #[error("an issuer has no query and no fragment")]
    QueryOrFragment,
    /// Ends with `/`, which clients drop or double when they build addresses from it.
    #[error("an issuer does not end with a slash")]
    TrailingSlash,
}

impl std::str::FromStr for Issuer {
    type Err = IssuerError;

    fn from_str(text: &str) -> Result<Self, IssuerError> {
        if text.ends_with('/') && text.len() > "https://".len() {
            return Err(IssuerError::TrailingSlash);
        }
        let issuer = Self::url(text)?;
        if issuer.is_plain_http() { Err(IssuerError::Scheme) } else { Ok(issuer) }
    }
}

impl Issuer {
    /// The identifier of another issuer: a URL that may end with a slash, or a SPIFFE trust domain (`spiffe://td.example`).
    ///
    /// It may be [plain http](Self::is_plain_http), which is trusted only where [`Trust::insecure_http`](crate::Trust) says so.
    ///
    /// # Errors
    /// If it is neither.
    pub fn foreign(text: &str) -> Result<Self, IssuerError> {
        match text.parse::<SpiffeId>() {
            Ok(id) if !id.has_path() => Ok(Self(text.into())),
            Ok(_) => Err(IssuerError::Form),
            Err(_) => Self::url(text),
        }
    }

    fn url(text: &str) -> Result<Self, IssuerError> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let rest = rest.ok_or(IssuerError::Scheme)?;
        if text.contains(['?', '#']) {
            return Err(IssuerError::QueryOrFragment);
        }
        let authority = rest.split('/').next().unwrap_or_default();
        let graphic = text.bytes().all(is_url_character);
        let dots = rest.split('/').skip(1).any(|segment| matches!(segment, "." | ".."));
        if host(authority).is_none() || !graphic || dots || text.len() > 2048 {
            return Err(IssuerError::Form);
        }
        Ok(Self(text.into()))
    }

    /// Whether it is an `http` URL of another machine than this one, so that its keys could be replaced on the way.
    #[must_use]
    pub fn is_plain_http(&self) -> bool {
        let Some(rest) = self.0.strip_prefix("http://") else { return false };
        let authority = rest.split('/').next().unwrap_or_default();
        !host(authority).is_some_and(is_loopback)
    }

    /// The scheme and authority of the URL: all before its path.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.0.strip_suffix(self.path()).unwrap_or(&self.0)
    }

    /// Whether the text differs from the identifier only in what is easily mistaken: upper and lower case, slashes at the end, `http`
    /// for `https`, no scheme at all, the port 443, or the path of the metadata.
    #[must_use]
    pub fn is_similar_to(&self, text: &str) -> bool {
        similar(&self.0) == similar(text)
    }

    /// Whether it is a SPIFFE trust domain, whose tokens name it in their subject.
    #[must_use]
    pub fn is_spiffe(&self) -> bool {
        self.0.starts_with("spiffe:")
    }
}

/// Whether a URL may have this character: one that is visible, except `"<>\^` and `` `{|} `` (RFC 3986 §2).
fn is_url_character(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
}

/// What is left of an identifier without what is easily mistaken.
fn similar(text: &str) -> String {
    let text = text.trim().to_ascii_lowercase();
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(&text);
    let rest = rest.trim_end_matches('/');
    let rest = rest.strip_suffix("/.well-known/openid-configuration").unwrap_or(rest).trim_end_matches('/');
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    format!("{}{path}", authority.strip_suffix(":443").unwrap_or(authority))
}

impl Issuer {
    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host of the URL, or the trust domain: without a port, and without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        let authority = self.0[self.after_scheme()..].split('/').next().unwrap_or_default();
        host(authority).unwrap_or(authority).trim_matches(['[', ']'])
    }

    fn after_scheme(&self) -> usize {
        self.0.find("://").map_or(0, |at| at + 3)
    }

    /// The path of the URL: empty, or `/` and more.
    #[must_use]
    pub fn path(&self) -> &str {
        let after_scheme = self.after_scheme();
        match self.0[after_scheme..].find('/') {
            Some(at) => &self.0[after_scheme + at..],
            None => "",
        }
    }
}

impl std::fmt::Display for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Issuer {
    type Error = IssuerError;
    fn try_from(text: String) -> Result<Self, IssuerError> {
        Self::foreign(&text)
    }
}

impl From<Issuer> for String {
    fn from(issuer: Issuer) -> Self {
        issuer.0.as_ref().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn md_02_an_issuer_is_https_without_query_or_fragment() {
        for good in [
            "https://as.test",
            "https://as.test:8443/a/b",
            "http://127.0.0.1:8183",
            "http://[::1]:1/x",
            "http://localhost",
        ] {
            assert_eq!(good.parse::<Issuer>().map(|i| i.to_string()), Ok(good.to_owned()));
        }
        for (bad, why) in [
            ("http://as.test", IssuerError::Scheme),
            ("http://127.0.0.1.evil.test", IssuerError::Scheme),
            ("ftp://as.test", IssuerError::Scheme),
            ("https://as.test?x", IssuerError::QueryOrFragment),
            ("https://as.test#x", IssuerError::QueryOrFragment),
            ("https://", IssuerError::Form),
            ("https://user@as.test", IssuerError::Form),
            ("https://as test", IssuerError::Form),
            ("https://as.test/", IssuerError::TrailingSlash),
            ("http://[::1]evil.test", IssuerError::Form),
            ("https://:8443", IssuerError::Form),
            ("https://as.test:80:90", IssuerError::Form),
            ("https://as.test:x", IssuerError::Form),
            ("https://as.test/../b", IssuerError::Form),
            ("spiffe://td.test", IssuerError::Scheme),
        ] {
            assert_eq!(bad.parse::<Issuer>(), Err(why), "{bad}");
        }
        for (foreign, is_plain_http) in [
            ("https://tenant.idp.test/", false),
            ("spiffe://td.test", false),
            ("http://127.0.0.1:3000", false),
            ("http://[::1]:3000/a", false),
            ("http://localhost", false),
            ("http://keycloak:8080/realms/x", true),
            ("http://10.0.0.1", true),
            ("http://127.0.0.1.evil.test/", true),
            ("http://localhost.evil.test", true),
        ] {
            let issuer = Issuer::foreign(foreign).unwrap();
            assert_eq!((issuer.as_str(), issuer.is_plain_http()), (foreign, is_plain_http));
        }
        for bad in [
            "spiffe://td.test/a",
            "spiffe://TD",
            "https://idp.test/?x",
            "https://",
            "http://",
            "http://u@keycloak",
            "http://keycloak:+80",
            "https://idp.test:+443",
            "HTTP://keycloak",
            "ftp://keycloak",
        ] {
            assert!(Issuer::foreign(bad).is_err(), "{bad}");
        }
        assert_eq!("https://h/a/b".parse::<Issuer>().unwrap().path(), "/a/b");
        assert_eq!("https://h".parse::<Issuer>().unwrap().path(), "");
        for (issuer, origin) in
            [("https://h/a/b", "https://h"), ("https://h:1/", "https://h:1"), ("https://h", "https://h")]
        {
            assert_eq!(Issuer::foreign(issuer).unwrap().origin(), origin);
        }
    }

    #[test]
    fn an_issuer_is_similar_to_common_misspellings_of_it_only() {
        let issuer = Issuer::foreign("https://idp.test/realms/Lake").unwrap();
        for (text, is_similar) in [
            ("https://idp.test/realms/Lake", true),
            ("https://idp.test/realms/Lake/", true),
            ("https://IDP.test/realms/lake", true),
            ("http://idp.test/realms/Lake", true),
            ("idp.test/realms/Lake", true),
            ("https://idp.test:443/realms/Lake", true),
            ("https://idp.test/realms/Lake/.well-known/openid-configuration", true),
            ("https://idp.test:8443/realms/Lake", false),
            ("https://idp.test/realms/Lakes", false),
            ("https://idp.test", false),
            ("", false),
        ] {
            assert_eq!(issuer.is_similar_to(text), is_similar, "{text}");
        }
    }
}
