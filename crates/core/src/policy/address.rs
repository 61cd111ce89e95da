//! Compares the address in a DPoP proof with ours: RFC 9449 §4.3(9), RFC 3986 §6.2.2 and §6.2.3.

use crate::Issuer;

/// How the path of the token endpoint is spelt by clients that join addresses carelessly (conformance TE-26): iceberg-rust doubles
/// the slash, Java keeps one at the end. Each is served in place, so a proof may be made for each.
pub const TOKEN_ENDPOINT_PATHS: [&str; 4] =
    ["/v1/oauth/tokens", "/v1/oauth/tokens/", "//v1/oauth/tokens", "//v1/oauth/tokens/"];

/// Whether the address is one that the token endpoint is served at. Only the configuration says where that is, never a request.
pub(crate) fn is_of_token_endpoint(issuer: &Issuer, base_path: Option<&str>, sent: &str) -> bool {
    let Some(sent) = Normal::of(sent) else { return false };
    let is_below = |base: &Normal| {
        let after = sent.path.strip_prefix(base.path.trim_end_matches('/'));
        sent.scheme == base.scheme
            && sent.authority == base.authority
            && after.is_some_and(|after| TOKEN_ENDPOINT_PATHS.contains(&after))
    };
    let Some(issuer) = Normal::of(issuer.as_str()) else { return false };
    is_below(&issuer) || base_path.is_some_and(|path| is_below(&Normal { path: normal_path(path), ..issuer }))
}

/// Whether two addresses are the same but for query, fragment and spelling.
pub(crate) fn is_same(sent: &str, ours: &str) -> bool {
    let sent = Normal::of(sent);
    sent.is_some() && sent == Normal::of(ours)
}

/// An address "ignoring any query and fragment parts", after the syntax-based normalization of RFC 3986 §6.2.2 and the scheme-based
/// one of §6.2.3.
#[derive(Debug, PartialEq, Eq)]
struct Normal {
    scheme: String,
    authority: String,
    path: String,
}

impl Normal {
    fn of(address: &str) -> Option<Self> {
        let end = address.find(['?', '#']).unwrap_or(address.len());
        let (scheme, rest) = address[..end].split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let authority = authority.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "https" => ":443",
            "http" => ":80",
            _ => return None,
        };
        // RFC 3986 §6.2.3: "If the port is equal to the default port for a scheme, or is empty, it should be omitted".
        let authority = authority.strip_suffix(default_port).unwrap_or(&authority);
        let authority = authority.strip_suffix(':').unwrap_or(authority);
        if authority.is_empty() || authority.contains('@') || !path.is_ascii() {
            return None;
        }
        Some(Self { scheme, authority: authority.to_owned(), path: normal_path(path) })
    }
}

/// RFC 3986 §6.2.2.1 to §6.2.2.3, and §6.2.3: an empty path is `/`.
fn normal_path(path: &str) -> String {
    let path = without_dots(&unescaped(path));
    if path.is_empty() { "/".to_owned() } else { path }
}

/// RFC 3986 §6.2.2.2: escapes of unreserved characters are decoded; other escapes are in upper case, §6.2.2.1.
fn unescaped(path: &str) -> String {
    let mut written = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        written.push_str(&rest[..at]);
        let byte = rest.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                written.push(char::from(byte));
            }
            Some(_) => written.push_str(&rest[at..at + 3].to_ascii_uppercase()),
            None => {
                written.push('%');
                rest = &rest[at + 1..];
                continue;
            }
        }
        rest = &rest[at + 3..];
    }
    written.push_str(rest);
    written
}

/// RFC 3986 §5.2.4 for a path that is empty or begins with a slash.
fn without_dots(path: &str) -> String {
    if !path.contains("/.") {
        return path.to_owned();
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                // What they stand for is a directory.
                if is_last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    kept.iter().flat_map(|segment| ["/", segment]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dp_05_an_address_has_a_host_no_user_and_only_ascii() {
        assert!(Normal::of("https://as.test:443/token?x#y").is_some());
        for address in [
            "https:///token",
            "https://:443/token",
            "https://c1@as.test/",
            "https://as.test/t\u{f6}",
            "ftp://as.test/",
        ] {
            assert_eq!(Normal::of(address), None, "{address}");
        }
    }

    #[test]
    fn dp_05_addresses_are_compared_without_query_and_with_the_normalization_of_rfc_3986() {
        let ours = "https://as.test/v1/oauth/tokens";
        for same in [
            "HTTPS://AS.TEST:443/v1/oauth/tokens?x#y",
            "https://as.test:/v1/oauth/tokens",
            "https://as.test/v1/oauth/tokens#y",
            "https://as.test/v1/oauth/token%73",
            "https://as.test/v1/./oauth/x/../tokens",
            "https://as.test/../v1/oauth/tokens",
            "https://as.test/v1/oauth/%2E%2e/oauth/tokens",
        ] {
            assert!(is_same(same, ours), "{same}");
        }
        for other in [
            "https://as.test/v1/oauth/tokens/",
            "https://as.test//v1/oauth/tokens",
            "https://as.test/v1/oauth/tokens/.",
            "https://as.test/v1/oauth/Tokens",
            "https://as.test.evil/v1/oauth/tokens",
            "https://as.test:8443/v1/oauth/tokens",
            "https://u@as.test/v1/oauth/tokens",
            "http://as.test/v1/oauth/tokens",
            "http://as.test:443/v1/oauth/tokens",
            "as.test/v1/oauth/tokens",
            "/v1/oauth/tokens",
            "",
            "https:///v1/oauth/tokens",
            "https://as.test/v1%2foauth/tokens",
            "https://as.test/v1/oauth/tokens%",
            "https://as.test/v1/oauth/tokens%é",
        ] {
            assert!(!is_same(other, ours), "{other}");
            assert!(!is_same(ours, other), "{other}");
        }
        assert!(is_same("https://as.test", "https://as.test/"));
        assert!(!is_same("", ""));
    }

    #[test]
    fn dp_05_rfc_3986_5_2_4_dots_are_removed() {
        for (path, without) in [
            ("", ""),
            ("/", "/"),
            ("/a/b/c/./../../g", "/a/g"),
            ("/a/..", "/"),
            ("/a/.", "/a/"),
            ("/..", "/"),
            ("/../../a", "/a"),
            ("//a/./b//", "//a/b//"),
            ("/.a/..b/c.", "/.a/..b/c."),
        ] {
            assert_eq!(without_dots(path), without, "{path}");
        }
    }

    #[test]
    fn dp_05_te_26_a_proof_may_be_for_each_spelling_that_is_served() {
        let is_of = |(issuer, base_path): &(Issuer, Option<&str>), sent: &str| {
            is_of_token_endpoint(issuer, *base_path, sent)
        };
        for (issuer, base_path, below, elsewhere) in [
            ("https://as.test", None, &["https://as.test"][..], &["https://as.test/api"][..]),
            (
                "https://as.test/a/b",
                None,
                &["https://as.test/a/b"],
                &["https://as.test", "https://as.test/a"],
            ),
            ("https://as.test/a%20b", None, &["https://as.test/a%20b", "https://as.test:443/%61%20b"], &[]),
            (
                "https://as.test",
                Some("/api/catalog"),
                &["https://as.test", "https://as.test/api/catalog", "HTTPS://as.test/api/c%61talog"],
                &["https://as.test/api", "https://other.test/api/catalog", "http://as.test/api/catalog"],
            ),
            (
                "http://127.0.0.1:8183/api/catalog",
                Some("/api/catalog"),
                &["http://127.0.0.1:8183/api/catalog"],
                &["http://127.0.0.1:8183", "http://127.0.0.1/api/catalog"],
            ),
        ] {
            let served = (issuer.parse().unwrap(), base_path);
            for path in TOKEN_ENDPOINT_PATHS {
                for base in below {
                    assert!(is_of(&served, &format!("{base}{path}")), "{base}{path}");
                    assert!(is_of(&served, &format!("{base}{path}?q#f")), "{base}{path}");
                }
                for base in elsewhere {
                    assert!(!is_of(&served, &format!("{base}{path}")), "{base}{path}");
                }
            }
            for path in [
                "",
                "/",
                "/v1/oauth/introspect",
                "/v1/oauth",
                "/v1/oauth/tokens//",
                "///v1/oauth/tokens",
                "/x/v1/oauth/tokens",
            ] {
                assert!(!is_of(&served, &format!("{issuer}{path}")), "{issuer}{path}");
            }
        }
    }
}
