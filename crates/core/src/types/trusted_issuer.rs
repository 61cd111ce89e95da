//! The issuers whose tokens are accepted in addition to our own, and the rights of their tokens: RFC 8693 §1.1, RFC 7523 §3, RFC 7521 §4.

use super::algorithm::{Algorithm, Algorithms};
use super::issuer::Issuer;
use super::scope::Scope;
use super::scope_mapping::ScopeMapping;
use super::subject::Subject;
use super::subject_names::SubjectNames;
use super::time::Lifetime;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Another issuer whose tokens the operator has decided to accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// Its identifier: `iss` of its tokens, to the byte.
    pub issuer: Issuer,
    /// A disabled issuer is refused as if it were not on the list, and so are all tokens that were obtained with its tokens.
    pub enabled: bool,
    /// The rights of its tokens.
    pub trust: Trust,
}

/// The rights of an issuer's tokens; plain values, kept in the store as JSON.
///
/// ```
/// use tokenberg_core::issuer::AcceptedAs;
/// use tokenberg_core::{KeySource, Trust};
///
/// let mut trust = Trust::new(KeySource::Discovery);
/// trust.accept = vec![AcceptedAs::IdToken];
/// trust.audiences = vec!["lakehouse".into()];
/// // Its users cannot be confused with clients, or with users of another issuer.
/// trust.subject_prefix = Some("corp:".into());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Trust {
    /// Where its public keys come from.
    pub keys: KeySource,
    /// Values of `aud` that are accepted, in addition to our issuer, our token endpoint, and for an `id_token` the requesting client.
    pub audiences: Vec<Box<str>>,
    /// The uses for which its tokens are accepted; workload identities of clients need none of these.
    pub accept: Vec<AcceptedAs>,
    /// The algorithms that are accepted; empty for all that its keys have.
    #[serde(default)]
    pub algorithms: Vec<Algorithm>,
    /// How far its clock may be from ours (RFC 7519 §4.1.4); 30 s.
    pub leeway: Lifetime,
    /// How long before `exp` a token may be presented, and how old it may be if it says so; 24 h.
    pub max_age: Lifetime,
    /// The claim whose value is the subject; `sub`.
    pub subject_claim: Box<str>,
    /// The prefix of the subject in `sub` of our tokens, so that no other principal has the same name; `None` for no prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_prefix: Option<Box<str>>,
    /// Whether its subjects may have the names of other principals.
    #[serde(default)]
    pub subject_names: SubjectNames,
    /// The scope that each of its subjects may have.
    pub scope: Scope,
    /// The additional scope that a subject may have by its claims.
    #[serde(default)]
    pub map: Vec<ScopeMapping>,
    /// Whether a session may outlive the subject token that began it, up to the client's session lifetime. Iceberg's
    /// Java clients need it: they renew a user's session for as long as they run.
    #[serde(default)]
    pub outlives_subject: bool,
    /// Whether the issuer, or the address of its keys, may be an `http` URL of another machine, where an attacker on the network path can
    /// replace its keys: for trials in containers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure_http: bool,
}

/// The greatest `max_age` that an operator can register: 366 days.
pub const LONGEST_MAX_AGE: Lifetime = Lifetime::from_hours(366 * 24);

impl Trust {
    /// The rights of an issuer unless the operator decides otherwise: `catalog` for every subject, and no use as a subject.
    #[must_use]
    pub fn new(keys: KeySource) -> Self {
        Self {
            keys,
            audiences: Vec::new(),
            accept: Vec::new(),
            algorithms: Vec::new(),
            leeway: Lifetime::from_seconds(30),
            max_age: Lifetime::from_hours(24),
            subject_claim: "sub".into(),
            subject_prefix: None,
            subject_names: SubjectNames::Separate,
            scope: Scope::catalog(),
            map: Vec::new(),
            outlives_subject: false,
            insecure_http: false,
        }
    }

    /// Whether its tokens are accepted as those of a subject. Workload identities of clients are no subjects of their own.
    #[must_use]
    pub fn names_subjects(&self) -> bool {
        !self.accept.is_empty()
    }

    /// The `sub` of our tokens for a subject of the issuer.
    #[must_use]
    pub fn sub_of<'a>(&self, subject: &'a str) -> Cow<'a, str> {
        match &self.subject_prefix {
            None => Cow::Borrowed(subject),
            Some(prefix) => Cow::Owned(format!("{prefix}{subject}")),
        }
    }

    /// Whether a subject of the issuer may have the scope-token, whatever its claims say: by the scope of every subject or by a mapping.
    #[must_use]
    pub fn may_give(&self, token: &str) -> bool {
        self.scope.contains(token) || self.map.iter().any(|mapping| mapping.scope().contains(token))
    }

    /// All that a subject of the issuer may have: the scope of every subject, and that of all mappings.
    #[must_use]
    pub fn widest_scope(&self) -> Scope {
        self.map.iter().fold(self.scope.clone(), |all, mapping| all.union(mapping.scope()))
    }

    /// Whether `sub` of our tokens is this text now for this subject of the issuer.
    pub(crate) fn gives_name(&self, sub: &Subject, subject: &Subject) -> bool {
        let prefix = self.subject_prefix.as_deref().unwrap_or_default();
        sub.as_str().strip_prefix(prefix) == Some(subject.as_str())
    }

    /// Whether `sub` of our tokens could be this text for a subject of the issuer.
    #[must_use]
    pub fn could_name(&self, sub: &str) -> bool {
        let prefix = self.subject_prefix.as_deref().unwrap_or_default();
        self.names_subjects() && sub.len() > prefix.len() && sub.starts_with(prefix)
    }

    /// The algorithms that are accepted, as a set; an empty one accepts each that its keys have.
    #[must_use]
    pub fn accepted_algorithms(&self) -> Algorithms {
        self.algorithms.iter().copied().collect()
    }
}

/// Where the public keys of an issuer come from. Never from a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// A JWK Set (RFC 7517 §5) that the operator gave, JSON.
    Jwks(Box<str>),
    /// An address that the operator gave, which is fetched.
    JwksUri(Box<str>),
    /// `jwks_uri` of the issuer's metadata: OpenID Connect Discovery 1.0 §4, RFC 8414 §3.
    Discovery,
}

/// What a foreign token may be accepted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcceptedAs {
    /// `subject_token_type` `…:id_token` (RFC 8693 §3).
    IdToken,
    /// `…:jwt`.
    Jwt,
    /// `…:access_token`.
    AccessToken,
    /// `assertion` of the jwt-bearer grant (RFC 7523 §2.1).
    JwtBearer,
}

impl AcceptedAs {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::IdToken, Self::Jwt, Self::AccessToken, Self::JwtBearer];

    /// The name on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IdToken => "id_token",
            Self::Jwt => "jwt",
            Self::AccessToken => "access_token",
            Self::JwtBearer => "jwt_bearer",
        }
    }
}

impl std::fmt::Display for AcceptedAs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
