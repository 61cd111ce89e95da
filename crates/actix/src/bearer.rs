//! Who calls the catalog? The access token of a request, as an extractor: RFC 6750 §2.1.

use crate::bearer_config::BearerConfig;
use crate::bearer_error::BearerError;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpRequest};
use std::future::{Ready, ready};
use tokenberg_core::{AccessTokenClaims, Actor, ClientId, Scope, Subject};

/// A request that came with a good access token of ours; [`BearerConfig`] says what is good.
///
/// ```
/// use actix_web::HttpResponse;
/// use tokenberg_actix::{Bearer, BearerError};
///
/// async fn load_table(token: Bearer) -> Result<HttpResponse, BearerError> {
///     token.require_scope("catalog")?;
///     Ok(HttpResponse::Ok().body(token.subject().to_string()))
/// }
/// ```
///
/// An `Option<Bearer>` is `None` for a bad or revoked token as well as for none at all: it makes an intruder anonymous
/// where he should be refused.
#[derive(Clone, Debug)]
pub struct Bearer {
    claims: AccessTokenClaims,
}

impl Bearer {
    /// On whose behalf the request is made.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.claims.subject
    }

    /// To whom the token was issued.
    #[must_use]
    pub fn client_id(&self) -> &ClientId {
        &self.claims.client_id
    }

    /// Who acts for the subject, the present actor first, then those before; empty if the subject acts itself.
    pub fn actors(&self) -> impl Iterator<Item = &Actor> {
        self.claims.actor.iter().flat_map(Actor::chain)
    }

    /// What the token may be used for.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.claims.scope
    }

    /// All that the token says.
    #[must_use]
    pub fn claims(&self) -> &AccessTokenClaims {
        &self.claims
    }

    /// Whether the scope holds this scope-token.
    ///
    /// # Errors
    /// [`BearerError::InsufficientScope`], which answers 403.
    pub fn require_scope(&self, scope: &str) -> Result<(), BearerError> {
        if self.claims.scope.contains(scope) {
            return Ok(());
        }
        // It goes into a header, where only scope-tokens may stand (RFC 6750 §3).
        let told = scope.parse::<Scope>().map(|scope| scope.as_str().into()).unwrap_or_default();
        Err(BearerError::InsufficientScope(told))
    }
}

impl FromRequest for Bearer {
    type Error = BearerError;
    type Future = Ready<Result<Self, BearerError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request))
    }
}

fn read(request: &HttpRequest) -> Result<Bearer, BearerError> {
    let config = request.app_data::<BearerConfig>().ok_or(BearerError::NotConfigured)?;
    let token = token(request.headers())?;
    // RFC 6750 §2: "Clients MUST NOT use more than one method to transmit the token in each request."
    if names_access_token(request.query_string().as_bytes()) {
        return Err(BearerError::SeveralMethods);
    }
    Ok(Bearer { claims: config.check(token)? })
}

/// Whether a form, or a query, has a parameter `access_token`.
pub(crate) fn names_access_token(form: &[u8]) -> bool {
    form.split(|b| *b == b'&').any(|pair| pair.split(|b| *b == b'=').next() == Some(b"access_token"))
}

// credentials = "Bearer" 1*SP b64token
// b64token    = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
fn token(headers: &HeaderMap) -> Result<&str, BearerError> {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let (Some(value), None) = (values.next(), values.next()) else {
        let several = headers.contains_key(header::AUTHORIZATION);
        return Err(if several { BearerError::SeveralMethods } else { BearerError::NoCredentials });
    };
    let value = value.to_str().map_err(|_| BearerError::Malformed)?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(BearerError::NoCredentials);
    }
    let token = token.trim_start_matches(' ');
    let unpadded = token.trim_end_matches('=');
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
    if unpadded.is_empty() || !unpadded.bytes().all(good) {
        return Err(BearerError::Malformed);
    }
    Ok(token)
}
