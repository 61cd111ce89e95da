//! Whose tokens do we take besides our own, and what are they worth here? RFC 8693 §1.1, RFC 7523 §3, RFC 7521 §4.

use super::algorithm::{Algorithm, Algorithms};
use super::issuer::Issuer;
use super::scope::Scope;
use super::time::Lifetime;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Another issuer whose tokens the operator has decided to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// Its identifier: `iss` of its tokens, to the byte.
    pub issuer: Issuer,
    /// A disabled issuer is refused as if it were not on the list, and so is everything that was got with its tokens.
    pub enabled: bool,
    /// What its tokens are worth.
    pub trust: Trust,
}

/// What the tokens of an issuer are worth; plain values, kept in the store as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// Where its public keys come from.
    pub keys: KeySource,
    /// Values of `aud` that are accepted, beside our issuer, our token endpoint, and for an `id_token` the asking client.
    pub audiences: Vec<Box<str>>,
    /// As what its tokens are accepted; workload identities of clients need none of these.
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
    /// What every subject of it may have.
    pub scope: Scope,
    /// What a subject may have besides, by its claims.
    #[serde(default)]
    pub map: Vec<ScopeMapping>,
    /// Whether a session may outlive the subject token that began it, up to the client's session lifetime. Iceberg's Java
    /// client up to 1.10 gives a user's session the end of the catalog's token, and needs it.
    #[serde(default)]
    pub outlives_subject: bool,
}

impl Trust {
    /// What an issuer is worth unless somebody decides otherwise: `catalog` for every subject, and no use as a subject.
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
            scope: Scope::catalog(),
            map: Vec::new(),
            outlives_subject: false,
        }
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

/// `CLAIM=VALUE:SCOPE`: a subject whose claim is, or contains, this value may have this scope.
///
/// The claim is a member of the payload by that name or, where there is none, a path with dots (`realm_access.roles`). A text is
/// compared as it is, and by the words in it, as in `scope`; of an array, each text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScopeMapping {
    claim: Box<str>,
    value: Box<str>,
    scope: Scope,
}

/// A text that is no mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a mapping is written CLAIM=VALUE:SCOPE, for example groups=analysts:PRINCIPAL_ROLE:analyst; a colon of the value is written \\:"
)]
pub struct ScopeMappingError;

impl std::str::FromStr for ScopeMapping {
    type Err = ScopeMappingError;
    fn from_str(text: &str) -> Result<Self, ScopeMappingError> {
        let (claim, rest) = text.split_once('=').ok_or(ScopeMappingError)?;
        let is_end = |(at, c): &(usize, char)| *c == ':' && !rest[..*at].ends_with('\\');
        let (end, _) = rest.char_indices().find(is_end).ok_or(ScopeMappingError)?;
        let value = rest[..end].replace("\\:", ":");
        let scope: Scope = rest[end + 1..].parse().map_err(|_| ScopeMappingError)?;
        if claim.is_empty() || value.is_empty() || scope.is_empty() {
            return Err(ScopeMappingError);
        }
        Ok(Self { claim: claim.into(), value: value.into(), scope })
    }
}

impl ScopeMapping {
    /// The claim that is looked at, perhaps as a path with dots.
    #[must_use]
    pub fn claim(&self) -> &str {
        &self.claim
    }

    /// What the mapping gives to a subject with these claims, if anything.
    #[must_use]
    pub fn scope_for(&self, claims: &Map<String, Value>) -> Option<&Scope> {
        let found = claims.get(&*self.claim).or_else(|| at_path(claims, &self.claim))?;
        let is_it = |value: &Value| match value {
            Value::String(text) => **text == *self.value || text.split(' ').any(|word| *word == *self.value),
            Value::Bool(truth) => truth.to_string() == *self.value,
            Value::Number(number) => number.to_string() == *self.value,
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        };
        // Within an array each text is one value, whatever spaces are in it.
        let matches = match found.as_array() {
            Some(many) => many.iter().any(|one| one.as_str() == Some(&self.value)),
            None => is_it(found),
        };
        matches.then_some(&self.scope)
    }
}

fn at_path<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    let mut names = path.split('.');
    let first = claims.get(names.next()?)?;
    names.try_fold(first, |value, name| value.as_object()?.get(name))
}

impl std::fmt::Display for ScopeMapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}:{}", self.claim, self.value.replace(':', "\\:"), self.scope)
    }
}

impl TryFrom<String> for ScopeMapping {
    type Error = ScopeMappingError;
    fn try_from(text: String) -> Result<Self, ScopeMappingError> {
        text.parse()
    }
}

impl From<ScopeMapping> for String {
    fn from(mapping: ScopeMapping) -> Self {
        mapping.to_string()
    }
}

/// What is known now about somebody whom a token is about: whatever his token says, the operator may have decided otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubjectStanding {
    /// Whether the operator has disabled him.
    pub disabled: bool,
    /// Tokens for him from before this time were revoked.
    pub revoked_before: Option<super::time::Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tx_42_a_mapping_gives_scope_for_exactly_its_value() {
        let claims = json!({"groups": ["analysts", "a b"], "scope": "status feed", "admin": true, "level": 3,
            "realm_access": {"roles": ["lead"]}, "dotted.name": "x", "nested": {"deep": {"x": "y"}}});
        let claims = claims.as_object().unwrap();
        for (mapping, scope) in [
            ("groups=analysts:PRINCIPAL_ROLE:analyst", Some("PRINCIPAL_ROLE:analyst")),
            ("groups=analyst:PRINCIPAL_ROLE:analyst", None),
            ("groups=a:x", None),
            ("groups=a b:x", Some("x")),
            ("scope=status:status", Some("status")),
            ("scope=status feed:both", Some("both")),
            ("scope=stat:x", None),
            ("admin=true:ns:write", Some("ns:write")),
            ("level=3:x y", Some("x y")),
            ("realm_access.roles=lead:x", Some("x")),
            ("dotted.name=x:y", Some("y")),
            ("nested.deep.x=y:z", Some("z")),
            ("nested=y:z", None),
            ("absent=y:z", None),
        ] {
            let parsed: ScopeMapping = mapping.parse().unwrap();
            assert_eq!(parsed.scope_for(claims).map(Scope::as_str), scope, "{mapping}");
            assert_eq!(parsed.to_string(), mapping);
        }
        let escaped: ScopeMapping = "g=urn\\:a\\:b:x".parse().unwrap();
        assert_eq!(
            escaped.scope_for(json!({"g": "urn:a:b"}).as_object().unwrap()).map(Scope::as_str),
            Some("x")
        );
        assert_eq!(String::from(escaped), "g=urn\\:a\\:b:x");
        for bad in ["", "a", "a=b", "=b:c", "a=:c", "a=b:", "a=b:c\"d"] {
            assert_eq!(bad.parse::<ScopeMapping>(), Err(ScopeMappingError), "{bad}");
        }
    }
}
