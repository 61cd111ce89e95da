//! Names that two principals could share, although catalogs decide by `sub` alone: RFC 9068 §5.

use super::issuer::Issuer;
use serde::{Deserialize, Serialize};

/// Whether subjects of an issuer may have the names of clients and of other issuers' subjects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectNames {
    /// Registered before this setting existed. They may, as before, and the operator is warned.
    #[default]
    Undecided,
    /// They may not: a subject whose name another principal has gets no token.
    Separate,
    /// They may, because the operator says that equal names are one principal.
    Shared,
}

impl SubjectNames {
    pub(super) fn may_be_shared(self) -> bool {
        match self {
            Self::Undecided | Self::Shared => true,
            Self::Separate => false,
        }
    }
}

/// The longest prefix of subjects, in bytes.
pub const LONGEST_SUBJECT_PREFIX: usize = 64;

/// A prefix for the subjects of the issuer, as a suggestion to the operator: its host and a colon, with a number if that is taken.
#[must_use]
pub fn suggested_prefix(issuer: &Issuer, is_taken: impl Fn(&str) -> bool) -> String {
    // Room for a number and the colon. A host is ASCII, so it has a character at each byte.
    let host = issuer.host();
    let host = &host[..host.len().min(LONGEST_SUBJECT_PREFIX - 8)];
    let numbered = (2..1_000_000).map(|number| format!("{host}-{number}:"));
    let plain = format!("{host}:");
    std::iter::once(plain.clone()).chain(numbered).find(|prefix| !is_taken(prefix)).unwrap_or(plain)
}

/// Whether a name could begin with both prefixes: one of them begins with the other.
#[must_use]
pub fn prefixes_overlap(one: &str, other: &str) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cc_17_a_suggested_prefix_is_short_plain_and_free() {
        let host_of_64 = "h".repeat(64);
        for (issuer, taken, expected) in [
            ("https://idp.example", &[][..], "idp.example:"),
            ("https://idp.example/", &["idp.example:"], "idp.example-2:"),
            ("https://kc.example:8443/realms/a", &["kc.example:", "kc.example-2:"], "kc.example-3:"),
            ("spiffe://td.example", &[], "td.example:"),
            ("http://[::1]:8080/x", &[], "::1:"),
            (&format!("https://{host_of_64}"), &[], &format!("{}:", "h".repeat(56))),
        ] {
            let issuer = Issuer::foreign(issuer).unwrap();
            let found = suggested_prefix(&issuer, |prefix| taken.contains(&prefix));
            assert_eq!(found, expected);
            assert!(found.len() <= LONGEST_SUBJECT_PREFIX && found.parse::<crate::Subject>().is_ok());
        }
    }
}
