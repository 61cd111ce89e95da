//! What do we say about ourselves? Authorization server metadata, RFC 8414 §2: only what works.

use crate::routes::{INTROSPECTION, JWKS, REVOCATION, TOKENS};
use serde_json::{Value, json};
use tokenberg_core::{CATALOG, GrantType, Issuer};

/// The documents, made once: nothing of a request, such as its Host, gets into them (conformance MD-07).
pub(crate) struct Metadata {
    facts: Value,
    text: String,
}

impl Metadata {
    pub(crate) fn of(issuer: &Issuer, revokes: bool) -> Self {
        const BY_SECRET: [&str; 2] = ["client_secret_basic", "client_secret_post"];
        let mut facts = json!({
            "issuer": issuer.as_str(),
            "token_endpoint": format!("{issuer}{TOKENS}"),
            "jwks_uri": format!("{issuer}{JWKS}"),
            "grant_types_supported": GrantType::ALL.map(GrantType::as_parameter),
            "token_endpoint_auth_methods_supported": BY_SECRET,
            "introspection_endpoint": format!("{issuer}{INTROSPECTION}"),
            "introspection_endpoint_auth_methods_supported": BY_SECRET,
            "scopes_supported": [CATALOG],
            // REQUIRED by §2, though §3.2 would have empty arrays omitted; readers insist on the key (MD-04).
            "response_types_supported": [],
        });
        if revokes {
            facts["revocation_endpoint"] = format!("{issuer}{REVOCATION}").into();
            facts["revocation_endpoint_auth_methods_supported"] = json!(BY_SECRET);
        }
        Self { text: facts.to_string(), facts }
    }

    /// RFC 8414 §3.2.
    pub(crate) fn authorization_server(&self) -> &str {
        &self.text
    }

    /// The same facts for catalogs that know only OIDC discovery, with the two members that its readers demand.
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
