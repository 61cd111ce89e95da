//! Foreign identities that stand for a client. Workload identities: RFC 7521 §4.2, RFC 7523 §2.2, SPIFFE-ID §2.

use super::issuer::Issuer;
use super::spiffe_id::SpiffeId;
use serde::{Deserialize, Serialize};

/// A foreign identity that a client may authenticate with, instead of its own credential.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Federation {
    /// Who vouches for the identity; it has to be a trusted issuer. For SPIFFE it is the trust domain, `spiffe://td.example`.
    pub issuer: Issuer,
    /// `sub`, exactly. A SPIFFE identifier that ends in `/*` stands for all below it.
    pub subject: Box<str>,
    /// The one value of `aud`; where it is not given, our issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Box<str>>,
    /// `kubernetes.io.serviceaccount.uid`, so that an account that was deleted and made again is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<Box<str>>,
}

impl Federation {
    /// Whether it stands for this subject of this issuer.
    #[must_use]
    pub fn is_of(&self, issuer: &Issuer, subject: &str) -> bool {
        self.issuer == *issuer && self.names(subject)
    }

    /// Whether `subject` is what is registered. A prefix ends at a segment: `spiffe://td/a/*` is not `spiffe://td/ab`.
    fn names(&self, subject: &str) -> bool {
        match self.prefix() {
            None => *self.subject == *subject,
            Some(prefix) => {
                let below = subject.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
                below.is_some_and(|rest| !rest.is_empty()) && subject.parse::<SpiffeId>().is_ok()
            }
        }
    }

    /// What all subjects begin with, if it stands for several.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        self.issuer.is_spiffe().then(|| self.subject.strip_suffix("/*")).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wl_04_wl_10_a_subject_is_exact_and_a_prefix_ends_at_a_segment() {
        let of = |issuer: &str, subject: &str| Federation {
            issuer: Issuer::foreign(issuer).unwrap(),
            subject: subject.into(),
            audience: None,
            uid: None,
        };
        for (issuer, registered, subject, is) in [
            ("https://k8s.test", "system:serviceaccount:ns:sa", "system:serviceaccount:ns:sa", true),
            ("https://k8s.test", "system:serviceaccount:ns:sa", "system:serviceaccount:ns:sa2", false),
            ("https://k8s.test", "system:serviceaccount:ns:/*", "system:serviceaccount:ns:/x", false),
            ("spiffe://td.test", "spiffe://td.test/a", "spiffe://td.test/a", true),
            ("spiffe://td.test", "spiffe://td.test/a", "spiffe://td.test/a/b", false),
            ("spiffe://td.test", "spiffe://td.test/a/*", "spiffe://td.test/a/b", true),
            ("spiffe://td.test", "spiffe://td.test/a/*", "spiffe://td.test/a", false),
            ("spiffe://td.test", "spiffe://td.test/a/*", "spiffe://td.test/ab", false),
            ("spiffe://td.test", "spiffe://td.test/a/*", "spiffe://td.test/a/../b", false),
            ("spiffe://td.test", "spiffe://td.test/*", "spiffe://td.test/a", true),
        ] {
            let federation = of(issuer, registered);
            assert_eq!(federation.is_of(&federation.issuer, subject), is, "{registered} {subject}");
            assert!(!federation.is_of(&Issuer::foreign("https://other.test").unwrap(), subject));
        }
    }
}
