//! Reads what a proxy requires of a token, so that nothing that a client can add accepts more tokens.

use crate::service::TokenService;
use actix_web::http::header::HeaderName;
use actix_web::{HttpRequest, web};
use tokenberg_core::request::decode_strictly;
use tokenberg_core::{Excerpt, Scope, TokenVerification};

/// A required audience; each header has one.
const AUDIENCE: HeaderName = HeaderName::from_static("x-auth-request-required-audience");
/// The required scope.
const SCOPE: HeaderName = HeaderName::from_static("x-auth-request-required-scope");

/// What a token has to have.
#[derive(Debug, Default)]
pub(super) struct Requirements {
    /// All of these.
    audiences: Vec<Box<str>>,
    /// One of the audiences of the service.
    default_audience: bool,
    scope: Scope,
}

/// A requirement that cannot be met.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(super) struct RequirementFault {
    /// Whether only the operator can have written it.
    pub(super) is_of_configuration: bool,
    reason: String,
}

impl Requirements {
    /// Collects the requirements of the query and the headers; the token has to meet all of them.
    ///
    /// Some proxies pass every header of the client on. So where the address is the operator's, only its query decides which
    /// audience replaces that of the service, and headers can only add requirements. `original_path` is what Envoy appends to the
    /// address; then the query is the client's, and the headers decide.
    pub(super) fn of(request: &HttpRequest, original_path: Option<&str>) -> Result<Self, RequirementFault> {
        let is_of_configuration = original_path.is_none();
        let fault = |is_of_configuration, reason| RequirementFault { is_of_configuration, reason };
        let mut found = Self::default();
        // Envoy asks so about the path `/`. It may also be a slip, so requirements are not ignored, and no audience is replaced.
        let is_slash = original_path == Some("");
        if is_of_configuration || is_slash {
            let malformed = || fault(is_of_configuration, "the query is malformed".to_owned());
            // The parser of queries replaces what is malformed.
            let query = Some(request.query_string()).filter(|query| decode_strictly(query).is_some());
            let pairs = web::Query::<Vec<(String, String)>>::from_query(query.ok_or_else(malformed)?);
            for (name, value) in pairs.map_err(|_| malformed())?.into_inner() {
                let is_known = found.add(&name, &value).map_err(|reason| {
                    fault(is_of_configuration, format!("the parameter {name} of the query {reason}"))
                })?;
                if !is_known && is_of_configuration {
                    let name = Excerpt::redacted(&name);
                    let reason =
                        format!("the query has the parameter {name}; it may have scope and audience");
                    return Err(fault(true, reason));
                }
            }
        }
        let of_query = found.audiences.len();
        for (header, name) in [(AUDIENCE, "audience"), (SCOPE, "scope")] {
            for value in request.headers().get_all(&header) {
                let text = value.to_str().unwrap_or_default();
                found
                    .add(name, text)
                    .map_err(|reason| fault(false, format!("the header {header} {reason}")))?;
            }
        }
        let decisive = if is_of_configuration { of_query } else { found.audiences.len() - of_query };
        found.default_audience = is_slash || decisive == 0;
        Ok(found)
    }

    /// Adds a requirement; `false` if there is none of this name. An empty one is a slip, and not the absence of a requirement.
    fn add(&mut self, name: &str, value: &str) -> Result<bool, String> {
        match name {
            "audience" if value.is_empty() => return Err("is empty".to_owned()),
            "audience" => self.audiences.push(value.into()),
            "scope" => {
                let scope: Scope = value.parse().map_err(|error| format!("is no scope: {error}"))?;
                if scope.is_empty() {
                    return Err("is empty".to_owned());
                }
                self.scope = self.scope.union(&scope);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The checks for the audiences: the first, and the others.
    pub(super) fn verifications(
        &self,
        service: &TokenService,
    ) -> (TokenVerification, Vec<TokenVerification>) {
        let one = |audience: &str| TokenVerification::new(service.issuer().clone(), vec![audience.into()]);
        let mut all = self.audiences.iter().map(|audience| one(audience));
        let first = if self.default_audience { None } else { all.next() };
        (first.unwrap_or_else(|| service.verification()), all.collect())
    }
}
