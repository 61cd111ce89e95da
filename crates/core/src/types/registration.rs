//! The rights that the operator gives a client: the registration that RFC 6749 §2 presupposes.

use super::client_id::ClientId;
use super::federation::Federation;
use super::peer_certificate::CertificateName;
use super::scope::{CATALOG, Scope};
use super::stored_secret::StoredSecrets;
use super::subject_pattern::SubjectPattern;
use super::time::Lifetime;
use super::user_pattern::UserPattern;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A client and all that it may do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Client {
    /// The identifier that it presents.
    pub id: ClientId,
    /// A disabled client is refused as if it did not exist, and so are all its tokens.
    pub enabled: bool,
    /// The secrets that may be live; the expiry of each is checked at every use.
    pub secrets: StoredSecrets,
    /// What it may do; clients that may do the same can share it.
    pub rights: Arc<Rights>,
}

impl Client {
    /// An enabled client.
    #[must_use]
    pub fn new(id: ClientId, secrets: impl Into<StoredSecrets>, rights: impl Into<Arc<Rights>>) -> Self {
        Self { id, enabled: true, secrets: secrets.into(), rights: rights.into() }
    }

    /// What it may do, to be changed for this client alone.
    pub fn rights_mut(&mut self) -> &mut Rights {
        Arc::make_mut(&mut self.rights)
    }
}

/// What a client may do; plain values, kept in the store as JSON.
///
/// [`Rights::new`] has the defaults; then set fields one by one. Fields can be added in a later version, so neither a literal
/// nor `..` compiles in another crate.
///
/// ```
/// use tokenberg_core::registration::AllowedScope;
/// use tokenberg_core::{Lifetime, Rights};
///
/// let mut rights = Rights::new(AllowedScope::Only("catalog sign PRINCIPAL_ROLE:ALL".parse()?));
/// rights.token_lifetime = Lifetime::from_seconds(15 * 60);
/// // It may get tokens for users of this issuer, which name it as the actor.
/// rights.may_act_for = vec!["https://idp.example|*".parse()?];
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rights {
    /// How it authenticates.
    pub auth_method: AuthMethod,
    /// The grants that it may use.
    pub grants: Vec<GrantType>,
    /// The scope-tokens that it may have, in addition to `catalog`.
    pub scope: AllowedScope,
    /// The scope of its tokens if it requests none; never empty.
    pub default_scope: Scope,
    /// The audiences that it may request; the first is its default. If there is none, it is our issuer.
    pub audiences: Vec<Box<str>>,
    /// How long a token lives; a week at most, whatever stands here.
    pub token_lifetime: Lifetime,
    /// How long tokens can be renewed from one authentication on.
    pub session_lifetime: Lifetime,
    /// Subjects for whom it may obtain tokens that name it as the actor.
    #[serde(default)]
    pub may_act_for: Vec<SubjectPattern>,
    /// Subjects for whom it may obtain tokens that do not name it.
    #[serde(default)]
    pub may_impersonate: Vec<SubjectPattern>,
    /// The audiences whose resource server it is.
    #[serde(default)]
    pub serves: Vec<Box<str>>,
    /// Users that it may name in an unsecured JWT, and obtain tokens for that name it as the actor (conformance TX-61).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_assert_users: Vec<UserPattern>,
    /// Its public keys, a JWK Set, if it authenticates with `private_key_jwt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Box<str>>,
    /// The one name that its certificate has, if it authenticates with `tls_client_auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateName>,
    /// Foreign identities that stand for it, in addition to its own way of authenticating.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub federations: Vec<Federation>,
    /// Whether it gets tokens with a DPoP proof only (RFC 9449 §5.2, `dpop_bound_access_tokens`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dpop_bound: bool,
    /// Whether `aud` of its assertions may be the address of the token endpoint instead of our issuer, as in libraries before
    /// draft-ietf-oauth-rfc7523bis.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub endpoint_as_audience: bool,
    /// How far ahead `exp` of its assertions may be, and how old they may be: five minutes unless the operator says otherwise, and
    /// [`LONGEST_ASSERTION_LIFETIME`] at most, whatever stands here.
    #[serde(default = "usual_assertion_lifetime", skip_serializing_if = "is_usual_assertion_lifetime")]
    pub assertion_lifetime: Lifetime,
    /// What the operator noted about it, such as its owner. No decision depends on it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Box<str>, Box<str>>,
}

/// How long an assertion of a client may live at most: an hour, which is what Authlib gives them.
pub const LONGEST_ASSERTION_LIFETIME: Lifetime = Lifetime::from_hours(1);

const fn usual_assertion_lifetime() -> Lifetime {
    Lifetime::from_seconds(300)
}

fn is_usual_assertion_lifetime(lifetime: &Lifetime) -> bool {
    *lifetime == usual_assertion_lifetime()
}

impl Rights {
    /// The rights of a client with this scope, and the default for everything else: the grants `client_credentials` and
    /// `token_exchange`, [`AllowedScope::default_scope`], tokens of one hour, sessions of twelve, our issuer as the audience, and
    /// no right to act for others.
    #[must_use]
    pub fn new(scope: AllowedScope) -> Self {
        Self {
            auth_method: AuthMethod::ClientSecret,
            grants: vec![GrantType::ClientCredentials, GrantType::TokenExchange],
            default_scope: scope.default_scope(),
            scope,
            audiences: Vec::new(),
            token_lifetime: Lifetime::from_hours(1),
            session_lifetime: Lifetime::from_hours(12),
            may_act_for: Vec::new(),
            may_impersonate: Vec::new(),
            serves: Vec::new(),
            may_assert_users: Vec::new(),
            jwks: None,
            certificate: None,
            federations: Vec::new(),
            dpop_bound: false,
            endpoint_as_audience: false,
            assertion_lifetime: usual_assertion_lifetime(),
            labels: BTreeMap::new(),
        }
    }
}

/// How a client authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// By a secret, with HTTP Basic or in the body (RFC 6749 §2.3.1).
    ClientSecret,
    /// By a JWT that it signs (RFC 7523 §2.2, `private_key_jwt` of OpenID Connect Core 1.0 §9).
    PrivateKeyJwt,
    /// By a certificate of an authority that the operator trusts (RFC 8705 §2.1).
    TlsClientAuth,
    /// No credential: only foreign identities stand for it.
    Federated,
    /// No credential: it exchanges ID tokens that were issued to it, and does nothing else (RFC 7591 §2, `none`).
    #[serde(rename = "none")]
    Public,
}

impl AuthMethod {
    /// The name on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecret => "client_secret",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::TlsClientAuth => "tls_client_auth",
            Self::Federated => "federated",
            Self::Public => "none",
        }
    }
}

/// A grant that a client may be registered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// RFC 6749 §4.4.
    ClientCredentials,
    /// RFC 8693 §2.1.
    TokenExchange,
    /// RFC 7523 §2.1.
    JwtBearer,
}

impl GrantType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ClientCredentials, Self::TokenExchange, Self::JwtBearer];

    /// The name on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::TokenExchange => "token_exchange",
            Self::JwtBearer => "jwt_bearer",
        }
    }

    /// The value of `grant_type`.
    #[must_use]
    pub fn as_parameter(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
            Self::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
        }
    }
}

/// The scope-tokens that a client may have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AllowedScope {
    /// Any scope that it requests, including `PRINCIPAL_ROLE:ALL`: the client of the operator.
    Every,
    /// These, each literally.
    Only(Scope),
}

impl AllowedScope {
    /// The default scope of a client that is registered for this scope: `catalog`, or the whole scope where that lacks `catalog`, because
    /// a client that is registered for roles only needs these in the tokens that it requests without a scope.
    #[must_use]
    pub fn default_scope(&self) -> Scope {
        match self {
            Self::Only(scope) if !scope.is_empty() && !scope.contains(CATALOG) => scope.clone(),
            Self::Every | Self::Only(_) => Scope::catalog(),
        }
    }

    /// The part of `asked` that may be granted, in the order of the registration, so that it does not depend on the order of the request.
    #[must_use]
    pub fn ceiling(&self, requested: &Scope) -> Scope {
        match self {
            Self::Every => requested.clone(),
            Self::Only(registered) => {
                let granted = registered.intersection(requested);
                let is_added = requested.contains(CATALOG) && !registered.contains(CATALOG);
                if is_added { Scope::catalog().union(&granted) } else { granted }
            }
        }
    }

    /// Whether this scope-token may be granted. `catalog` always may: every Iceberg client requests it by default.
    #[must_use]
    pub fn allows(&self, token: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Only(scope) => token == CATALOG || scope.contains(token),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d10_the_default_scope_is_catalog_or_all_of_a_registration_without_it() {
        for (registered, default) in [
            ("catalog sign PRINCIPAL_ROLE:ALL", "catalog"),
            ("sign catalog", "catalog"),
            ("PRINCIPAL_ROLE:analyst", "PRINCIPAL_ROLE:analyst"),
            ("b a", "b a"),
            // Not the scope-token, only a part of one.
            ("catalogs", "catalogs"),
            ("", "catalog"),
        ] {
            let rights = Rights::new(AllowedScope::Only(registered.parse().unwrap()));
            assert_eq!(rights.default_scope.as_str(), default, "{registered:?}");
        }
        assert_eq!(Rights::new(AllowedScope::Every).default_scope, Scope::catalog());
    }
}
