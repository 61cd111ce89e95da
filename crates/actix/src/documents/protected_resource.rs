//! Protected resource metadata of a catalog, RFC 9728.

use crate::endpoint::reply;
use actix_web::{HttpRequest, web};
use serde_json::{Value, json};
use tokenberg_core::Issuer;
use tokenberg_core::metadata::proof_algorithms;
use tokenberg_core::token::CATALOG;

/// The document of a catalog, for clients that discover its token service: `/.well-known/oauth-protected-resource`.
#[derive(Clone, Debug)]
pub struct ProtectedResource {
    path: String,
    facts: Value,
}

impl ProtectedResource {
    /// For the catalog at this address, as in `https://catalog.example/warehouse`, which accepts tokens of this issuer.
    #[must_use]
    pub fn new(resource: &str, issuer: &Issuer) -> Self {
        let after_scheme = resource.split_once("://").map_or(resource, |(_, rest)| rest);
        let path = after_scheme.find('/').map_or("", |at| &after_scheme[at..]).trim_end_matches('/');
        let facts = json!({
            // §3.3: clients compare both byte by byte.
            "resource": resource,
            "authorization_servers": [issuer.as_str()],
            "bearer_methods_supported": ["header"],
            "scopes_supported": [CATALOG],
        });
        // §3.1: the well-known part is inserted between the host and the path.
        Self { path: format!("/.well-known/oauth-protected-resource{path}"), facts }
    }

    /// The catalog accepts bound tokens, too; see [`BearerConfig::at`](crate::BearerConfig::at).
    #[must_use]
    pub fn with_proofs(mut self) -> Self {
        self.facts["dpop_signing_alg_values_supported"] = proof_algorithms().into();
        self
    }

    /// Mounts the document, for [`App::configure`](actix_web::App::configure) of the app itself.
    pub fn configure(&self) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + Sync + 'static {
        let (path, text) = (self.path.clone(), self.facts.to_string());
        move |config| {
            let text = text.clone();
            let answer = move |request: HttpRequest| std::future::ready(reply::public(&request, &text));
            config.route(&path, web::get().to(answer));
        }
    }
}
