//! Another principal that has the name of a subject, although catalogs decide by `sub` alone: RFC 9068 §5.

use super::client_id::ClientId;
use super::issuer::Issuer;
use super::trusted_issuer::TrustedIssuer;

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

impl Namesake {
    /// The principal other than the subject of `issuer` that has the name `sub`, or could have it; without an issuer, the principal other
    /// than a user from an unsecured JWT.
    ///
    /// `client` is the client that is registered under the name; it is no namesake if the operator says that equal names are one
    /// principal. `issuers` are all trusted ones. A prefix is its issuer's alone: a name that begins with the prefix of another
    /// issuer is refused, so of two prefixes that overlap neither gives a name that the other could give. Issuers without a prefix
    /// share all other names, which the operator is warned of.
    #[must_use]
    pub fn find<'a>(
        sub: &str,
        issuer: Option<&TrustedIssuer>,
        client: Option<&ClientId>,
        issuers: impl IntoIterator<Item = &'a TrustedIssuer>,
    ) -> Option<Self> {
        let may_share = issuer.is_some_and(|issuer| issuer.trust.subject_names.may_be_shared());
        if let Some(client) = client.filter(|_| !may_share) {
            return Some(Self::Client(client.clone()));
        }
        let is_other = |known: &&TrustedIssuer| issuer.is_none_or(|issuer| issuer.issuer != known.issuer);
        // Whether the other one is disabled, or names subjects now, does not count: catalogs still know its subjects by the prefix.
        let has_prefix = |known: &&TrustedIssuer| {
            known.trust.subject_prefix.as_deref().is_some_and(|prefix| sub.starts_with(prefix))
        };
        let other = issuers.into_iter().filter(is_other).find(has_prefix)?;
        Some(Self::Issuer(other.issuer.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::{AcceptedAs, SubjectNames};
    use crate::{KeySource, Trust};

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
    fn one_name_is_one_principal_unless_the_operator_shares_names() {
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
        assert_eq!(found(&rows, Some(0), "x:yz"), user("b"));
        assert_eq!(found(&rows, Some(1), "x:yz"), user("a"));
        assert_eq!(found(&rows, Some(0), "x:z"), None, "only the first could give it");
        for names in [Shared, Undecided] {
            let rows = [trusted("a", "", names), trusted("p", "okta:", Separate), trusted("s", "x:", names)];
            assert_eq!(found(&rows, Some(0), "c1"), None, "{names:?}");
            assert_eq!(found(&rows, Some(0), "okta:alice"), user("p"), "{names:?}");
            assert_eq!(found(&rows, Some(0), "x:alice"), user("s"), "a prefix is its issuer's alone");
            assert_eq!(found(&rows, None, "x:alice"), user("s"), "{names:?}");
        }
    }

    #[test]
    fn cc_17_two_issuers_with_one_prefix_give_no_names() {
        let rows = [trusted("a", "x:", SubjectNames::Separate), trusted("b", "x:", SubjectNames::Separate)];
        let [first, second] = [0, 1].map(|of| found(&rows, Some(of), "x:alice"));
        assert_eq!(
            (first.as_deref(), second.as_deref()),
            (Some("a user of https://b.test"), Some("a user of https://a.test"))
        );
    }

    #[test]
    fn cc_17_a_prefix_is_reserved_for_every_registration_of_its_issuer() {
        let mut rows = [trusted("a", "x:", SubjectNames::Separate), trusted("b", "", SubjectNames::Separate)];
        for (enabled, accept) in [(true, vec![AcceptedAs::JwtBearer]), (false, vec![]), (true, vec![])] {
            (rows[0].enabled, rows[0].trust.accept) = (enabled, accept);
            assert!(found(&rows, Some(1), "x:alice").is_some(), "catalogs know its users by the prefix");
        }
    }

    #[test]
    fn cc_17_a_subjects_name_has_text_after_the_prefix() {
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
}
