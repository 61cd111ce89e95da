//! Parses SPIFFE identifiers and their trust domains: the SPIFFE Identity and Verifiable Identity Document §2.

/// The longest identifier, in bytes (SPIFFE-ID §2.3: implementations "MUST support ... up to 2048 bytes").
const LONGEST: usize = 2048;

/// A SPIFFE identifier: `spiffe://` trust domain, and a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpiffeId {
    text: Box<str>,
    path_at: usize,
}

/// A text that is no SPIFFE identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SPIFFE identifier: spiffe://trust-domain/path in lower-case letters, digits, `.`, `-`, `_`")]
pub struct SpiffeIdError;

const SCHEME: &str = "spiffe://";

impl std::str::FromStr for SpiffeId {
    type Err = SpiffeIdError;

    // trust domain: 1*( lower-case letter / DIGIT / "." / "-" / "_" ), SPIFFE-ID §2.1
    // path: *( "/" 1*( letter / DIGIT / "." / "-" / "_" ) ), no segment "." or "..", no slash at its end, §2.2
    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        let rest = text.strip_prefix(SCHEME).filter(|_| text.len() <= LONGEST).ok_or(SpiffeIdError)?;
        let mut segments = rest.split('/');
        let domain = segments.next().unwrap_or_default();
        let good_domain = !domain.is_empty()
            && domain.len() <= 255
            && domain.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b));
        let good_segment = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
        };
        if !good_domain || !segments.all(good_segment) {
            return Err(SpiffeIdError);
        }
        Ok(Self { text: text.into(), path_at: SCHEME.len() + domain.len() })
    }
}

impl SpiffeId {
    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The trust domain, with the scheme: `spiffe://td.example`.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.text[..self.path_at]
    }

    /// Whether it names a workload, and not the trust domain itself.
    #[must_use]
    pub fn has_path(&self) -> bool {
        self.path_at < self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wl_04_the_syntax_is_exact() {
        let id: SpiffeId = "spiffe://td.test/ns/a/sa/b".parse().unwrap();
        assert_eq!((id.trust_domain(), id.has_path()), ("spiffe://td.test", true));
        assert!(!"spiffe://td.test".parse::<SpiffeId>().unwrap().has_path());
        assert!("spiffe://td.test/A_b-c.d".parse::<SpiffeId>().is_ok());
        for bad in [
            "spiffe://TD.test/a",
            "spiffe://td.test:8080/a",
            "spiffe://td.test/a?x",
            "spiffe://td.test/a#x",
            "spiffe://td.test//a",
            "spiffe://td.test/a//b",
            "spiffe://td.test/a/../b",
            "spiffe://td.test/./b",
            "spiffe://td.test/a/",
            "spiffe://td.test/",
            "spiffe://td.test/%2e",
            "SPIFFE://td.test/a",
            "spiffe:/td.test/a",
            "spiffe://",
            "spiffe:///a",
            "spiffe://u@td.test/a",
            "https://td.test/a",
            &format!("spiffe://td.test/{}", "a".repeat(2048)),
        ] {
            assert_eq!(bad.parse::<SpiffeId>(), Err(SpiffeIdError), "{bad}");
        }
    }
}
