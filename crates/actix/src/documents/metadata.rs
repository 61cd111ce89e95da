//! Builds the authorization server metadata, RFC 8414 §2, which lists only what works.

use crate::paths::{INTROSPECTION, JWKS, REVOCATION, TOKENS};
use serde_json::{Value, json};
use tokenberg_core::jws::Algorithm;
use tokenberg_core::token::CATALOG;
use tokenberg_core::{GrantType, Issuer};

/// The parts of the service that decide what works.
#[derive(Clone, Copy)]
pub(crate) struct Abilities {
    /// Revocations can be stored.
    pub(crate) revokes: bool,
    /// Single-use identifiers, of assertions and proofs, can be stored.
    pub(crate) records_uses: bool,
    /// The server requests client certificates.
    pub(crate) sees_certificates: bool,
}

impl Abilities {
    /// The grants.
    pub(crate) fn grants(self) -> Vec<&'static str> {
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
pub(crate) fn assertion_algorithms() -> Vec<&'static str> {
    Algorithm::ALL.into_iter().map(Algorithm::as_str).chain(["Ed25519"]).collect()
}

/// The algorithms of DPoP proofs.
pub(crate) fn proof_algorithms() -> Vec<&'static str> {
    Algorithm::SIGNING.into_iter().map(Algorithm::as_str).chain(["Ed25519"]).collect()
}

/// The documents, built once: nothing of a request, such as its Host, gets into them (conformance MD-07).
pub(crate) struct Metadata {
    facts: Value,
    text: String,
}

impl Metadata {
    pub(crate) fn of(issuer: &Issuer, can: Abilities) -> Self {
        let mut facts = json!({
            "issuer": issuer.as_str(),
            "jwks_uri": format!("{issuer}{JWKS}"),
            "grant_types_supported": can.grants(),
            "scopes_supported": [CATALOG],
            // REQUIRED by §2, though §3.2 would omit empty arrays; clients insist on the key (MD-04).
            "response_types_supported": [],
        });
        let revocation = can.revokes.then_some(("revocation", REVOCATION));
        let endpoints = [("token", TOKENS), ("introspection", INTROSPECTION)].into_iter().chain(revocation);
        for (name, path) in endpoints {
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

    /// RFC 8414 §3.2.
    pub(crate) fn authorization_server(&self) -> &str {
        &self.text
    }

    /// The same content for catalogs that know only OIDC discovery, with the two members that these require.
    pub(crate) fn openid_configuration(&self, jwks: &str) -> String {
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
