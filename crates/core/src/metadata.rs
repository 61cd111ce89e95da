//! Builds the authorization server metadata, RFC 8414 §2, which lists only what works.

use crate::jws::Algorithm;
use crate::token::CATALOG;
use crate::{GrantType, Issuer};
use serde_json::{Value, json};

/// The path of the token endpoint, as all others under the issuer.
pub const TOKENS: &str = "/v1/oauth/tokens";
/// The path of introspection.
pub const INTROSPECTION: &str = "/v1/oauth/introspect";
/// The path of revocation.
pub const REVOCATION: &str = "/v1/oauth/revoke";
/// The path of the keys.
pub const JWKS: &str = "/.well-known/jwks.json";
/// The path of the metadata (RFC 8414 §3). For an issuer with a path, it is also served with that path behind it.
pub const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";
/// The path of the same facts for catalogs that know only OIDC discovery.
pub const OPENID_CONFIGURATION: &str = "/.well-known/openid-configuration";

/// The parts of a service that decide what works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// There is an introspection endpoint.
    pub introspects: bool,
    /// Revocations can be stored.
    pub revokes: bool,
    /// Single-use identifiers, of assertions and proofs, can be stored.
    pub records_uses: bool,
    /// The server requests client certificates.
    pub sees_certificates: bool,
}

impl Abilities {
    /// The grants that work.
    #[must_use]
    pub fn grants(self) -> Vec<&'static str> {
        // Issuers give their assertions a `jti`, which has to be stored.
        let works = |grant: &GrantType| *grant != GrantType::JwtBearer || self.records_uses;
        GrantType::ALL.into_iter().filter(works).map(GrantType::as_parameter).collect()
    }

    /// The client authentication methods, the same at each endpoint: RFC 7591 §2, RFC 8705 §2.1.1, OpenID Connect Core 1.0 §9 and
    /// draft-ietf-oauth-spiffe-client-auth §6.
    fn auth_methods(self) -> Vec<&'static str> {
        let mut methods = vec!["client_secret_basic", "client_secret_post", "spiffe_jwt"];
        if self.records_uses {
            methods.push("private_key_jwt");
        }
        if self.sees_certificates {
            methods.push("tls_client_auth");
        }
        methods
    }
}

/// The algorithms of client assertions. RFC 9864 has a second name for EdDSA, which is read, too.
fn assertion_algorithms() -> Vec<&'static str> {
    Algorithm::ALL.into_iter().map(Algorithm::as_str).chain(["Ed25519"]).collect()
}

/// The algorithms of DPoP proofs.
#[must_use]
pub fn proof_algorithms() -> Vec<&'static str> {
    Algorithm::SIGNING.into_iter().map(Algorithm::as_str).chain(["Ed25519"]).collect()
}

/// The metadata documents, built once: nothing of a request, such as its Host, gets into them (conformance MD-07).
#[derive(Clone, Debug)]
pub struct Metadata {
    facts: Value,
    text: String,
}

impl Metadata {
    /// The metadata of this issuer.
    #[must_use]
    pub fn new(issuer: &Issuer, can: Abilities) -> Self {
        let mut facts = json!({
            "issuer": issuer.as_str(),
            "jwks_uri": format!("{issuer}{JWKS}"),
            "grant_types_supported": can.grants(),
            "scopes_supported": [CATALOG],
            // REQUIRED by §2, though §3.2 would omit empty arrays; clients insist on the key (MD-04).
            "response_types_supported": [],
        });
        let introspection = can.introspects.then_some(("introspection", INTROSPECTION));
        let revocation = can.revokes.then_some(("revocation", REVOCATION));
        for (name, path) in [Some(("token", TOKENS)), introspection, revocation].into_iter().flatten() {
            facts[format!("{name}_endpoint")] = format!("{issuer}{path}").into();
            facts[format!("{name}_endpoint_auth_methods_supported")] = can.auth_methods().into();
            // §2: it "MUST be present" if a method is listed that signs.
            facts[format!("{name}_endpoint_auth_signing_alg_values_supported")] =
                assertion_algorithms().into();
        }
        if can.records_uses {
            facts["dpop_signing_alg_values_supported"] = proof_algorithms().into();
        }
        if can.sees_certificates {
            facts["tls_client_certificate_bound_access_tokens"] = true.into();
        }
        Self { text: facts.to_string(), facts }
    }

    /// The document at [`AUTHORIZATION_SERVER`] (RFC 8414 §3.2), JSON.
    #[must_use]
    pub fn authorization_server(&self) -> &str {
        &self.text
    }

    /// The document at [`OPENID_CONFIGURATION`], JSON: the same content with the two members that such catalogs require, for these
    /// published keys.
    #[must_use]
    pub fn openid_configuration(&self, jwks: &str) -> String {
        let mut facts = self.facts.clone();
        facts["subject_types_supported"] = json!(["public"]);
        facts["id_token_signing_alg_values_supported"] = algorithms(jwks).into();
        facts.to_string()
    }
}

/// The algorithms of the published keys, each once.
fn algorithms(jwks: &str) -> Vec<Value> {
    let jwks: Value = serde_json::from_str(jwks).unwrap_or_default();
    let mut algorithms: Vec<Value> = Vec::new();
    for key in jwks["keys"].as_array().into_iter().flatten() {
        if !key["alg"].is_null() && !algorithms.contains(&key["alg"]) {
            algorithms.push(key["alg"].clone());
        }
    }
    algorithms
}
