//! Names that two principals could share, although catalogs decide by `sub` alone: RFC 9068 §5.

use super::client_id::ClientId;
use super::issuer::Issuer;
use super::trusted_issuer::{Trust, TrustedIssuer};
use serde::{Deserialize, Serialize};

/// Whether subjects of an issuer may have the names of clients and of other issuers' subjects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectNames {
    /// Registered before this was asked. They may, as before, and the operator is warned.
    #[default]
    Undecided,
    /// They may not: a subject whose name another principal has gets no token.
    Separate,
    /// They may, because the operator says that equal names are one principal.
    Shared,
}

/// Another principal that has the name of a subject, or could have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namesake {
    /// A client is registered under it.
    Client(ClientId),
    /// Subjects of this issuer are named so.
    Issuer(Issuer),
}

impl std::fmt::Display for Namesake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Client(id) => write!(f, "the client {id}"),
            Self::Issuer(issuer) => write!(f, "a user of {issuer}"),
        }
    }
}

impl SubjectNames {
    fn may_be_shared(self) -> bool {
        match self {
            Self::Undecided | Self::Shared => true,
            Self::Separate => false,
        }
    }
}

impl Namesake {
    /// The principal that has the name `sub` besides the subject of `issuer`, unless the operator says that they are one; without
    /// an issuer, besides a user from an unsecured JWT.
    ///
    /// `client` is the client that is registered under the name, `issuers` are all trusted ones in the order in which they were
    /// registered. A name belongs to the client that is registered under it, else to the issuer with the longest prefix that
    /// fits, and among equals to the one that was registered first. Issuers without a prefix share all other names, which the
    /// operator is warned of.
    #[must_use]
    pub fn find<'a>(
        sub: &str,
        issuer: Option<&TrustedIssuer>,
        client: Option<&ClientId>,
        issuers: impl IntoIterator<Item = &'a TrustedIssuer>,
    ) -> Option<Self> {
        let may_share = |issuer: &TrustedIssuer| issuer.trust.subject_names.may_be_shared();
        if let Some(client) = client.filter(|_| !issuer.is_some_and(may_share)) {
            return Some(Self::Client(client.clone()));
        }
        let owner = owner(sub, issuers)?;
        let is_other = issuer.is_none_or(|issuer| issuer.issuer != owner.issuer);
        let is_shared = issuer.is_none_or(may_share) && may_share(owner);
        (is_other && !is_shared).then(|| Self::Issuer(owner.issuer.clone()))
    }
}

impl Trust {
    /// Whether `sub` of our tokens could be this text for a subject of the issuer.
    #[must_use]
    pub fn could_name(&self, sub: &str) -> bool {
        let prefix = self.subject_prefix.as_deref().unwrap_or_default();
        self.names_subjects() && sub.len() > prefix.len() && sub.starts_with(prefix)
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

/// The issuer for whose subjects the name is reserved, if there is one.
fn owner<'a>(sub: &str, issuers: impl IntoIterator<Item = &'a TrustedIssuer>) -> Option<&'a TrustedIssuer> {
    let mut owner: Option<(&str, &TrustedIssuer)> = None;
    // While an issuer is disabled, catalogs still know its subjects by these names.
    for trusted in issuers.into_iter().filter(|trusted| trusted.trust.names_subjects()) {
        let Some(prefix) = trusted.trust.subject_prefix.as_deref().filter(|prefix| sub.starts_with(prefix))
        else {
            continue;
        };
        if owner.is_none_or(|(longest, _)| prefix.len() > longest.len()) {
            owner = Some((prefix, trusted));
        }
    }
    owner.map(|(_, trusted)| trusted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AcceptedAs, KeySource};

    fn trusted(name: &str, prefix: &str, names: SubjectNames) -> TrustedIssuer {
        let mut trust = Trust::new(KeySource::Discovery);
        trust.accept = vec![AcceptedAs::IdToken];
        trust.subject_prefix = Some(prefix).filter(|prefix| !prefix.is_empty()).map(Into::into);
        trust.subject_names = names;
        TrustedIssuer { issuer: format!("https://{name}.test").parse().unwrap(), enabled: true, trust }
    }

    /// The namesake of a subject of the issuer at this place, with the client `c1` registered.
    fn found(issuers: &[TrustedIssuer], of: Option<usize>, sub: &str) -> Option<String> {
        let client: ClientId = "c1".parse().unwrap();
        let client = Some(&client).filter(|client| client.as_str() == sub);
        Namesake::find(sub, of.map(|at| &issuers[at]), client, issuers).map(|namesake| namesake.to_string())
    }

    #[test]
    fn one_name_is_one_principal_unless_the_operator_says_otherwise() {
        use SubjectNames::{Separate, Shared, Undecided};
        let client = Some("the client c1".to_owned());
        let user = |name: &str| Some(format!("a user of https://{name}.test"));
        let rows = [trusted("a", "", Separate), trusted("b", "", Separate), trusted("p", "okta:", Separate)];
        for (of, sub, expected) in [
            (Some(0), "alice", None),
            (Some(0), "c1", client.clone()),
            (Some(1), "alice", None),
            (Some(2), "okta:alice", None),
            (Some(0), "okta:alice", user("p")),
            (None, "alice", None),
            (None, "okta:alice", user("p")),
            (None, "c1", client.clone()),
        ] {
            assert_eq!(found(&rows, of, sub), expected, "{of:?} {sub}");
        }
        let rows = [trusted("a", "x:", Separate), trusted("b", "x:y", Separate)];
        assert_eq!(found(&rows, Some(0), "x:yz"), user("b"), "the longer prefix");
        assert_eq!(found(&rows, Some(0), "x:z"), None);
        let rows = [trusted("a", "x:", Separate), trusted("b", "x:", Separate)];
        assert_eq!((found(&rows, Some(0), "x:z"), found(&rows, Some(1), "x:z")), (None, user("a")));
        for names in [Shared, Undecided] {
            let rows = [trusted("a", "", names), trusted("p", "okta:", Separate), trusted("s", "x:", names)];
            assert_eq!(found(&rows, Some(0), "c1"), None, "{names:?}");
            assert_eq!(found(&rows, Some(0), "okta:alice"), user("p"), "both have to say so");
            assert_eq!(found(&rows, Some(0), "x:alice"), None, "{names:?}");
            assert_eq!(found(&rows, None, "x:alice"), None, "{names:?}");
        }
    }

    #[test]
    fn an_issuer_that_names_no_subjects_reserves_no_name() {
        let mut rows = [trusted("a", "x:", SubjectNames::Separate), trusted("b", "", SubjectNames::Separate)];
        rows[0].trust.accept.clear();
        assert_eq!(found(&rows, Some(1), "x:alice"), None);
        rows[0].trust.accept = vec![AcceptedAs::JwtBearer];
        assert!(found(&rows, Some(1), "x:alice").is_some());
        rows[0].enabled = false;
        assert!(found(&rows, Some(1), "x:alice").is_some(), "catalogs know the name while it is disabled");
    }

    #[test]
    fn cc_17_a_name_could_be_a_subjects_if_something_is_left_after_the_prefix() {
        use SubjectNames::Separate;
        for (prefix, sub, expected) in [
            ("", "alice", true),
            ("okta:", "okta:alice", true),
            ("okta:", "alice", false),
            ("okta:", "okta:", false),
            ("okta:", "okt", false),
        ] {
            let mut one = trusted("a", prefix, Separate);
            assert_eq!(one.trust.could_name(sub), expected, "{prefix} {sub}");
            one.trust.accept.clear();
            assert!(!one.trust.could_name(sub), "{prefix} {sub}");
        }
    }

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
