//! Extracts and verifies the access token of a request to a catalog: RFC 6750 §2.1, RFC 9449 §7.1, RFC 8705 §3.

pub(crate) mod config;
pub(crate) mod error;
pub(crate) mod one_method;

use crate::bearer::config::BearerConfig;
use crate::bearer::error::{BearerError, BearerRefusal, Scheme};
use crate::endpoint::DPOP;
use crate::peer;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::{Either, LocalBoxFuture, Ready, ready};
use std::sync::Arc;
use tokenberg_core::jws::DpopProof;
use tokenberg_core::token::{Actor, Possession, SingleUseId};
use tokenberg_core::{AccessTokenClaims, ClientId, Issuer, Scope, Subject};

/// A request with a valid access token of ours; [`BearerConfig`] says what is valid.
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
/// An `Option<Bearer>` is `None` for a bad or revoked token as well as for none at all: it treats an attacker as anonymous
/// instead of refusing the request.
#[derive(Clone, Debug)]
pub struct Bearer {
    claims: Arc<AccessTokenClaims>,
}

impl Bearer {
    /// The subject, on whose behalf the request is made.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.claims.subject
    }

    /// The issuer of [`Bearer::subject`], if it is another issuer: two issuers may each have an `alice`.
    #[must_use]
    pub fn subject_issuer(&self) -> Option<&Issuer> {
        self.claims.session.subject_issuer.as_ref()
    }

    /// Whether the subject is unsecured: only the client states its name, see
    /// [`Rights::may_assert_users`](tokenberg_core::Rights::may_assert_users). A catalog may refuse such tokens.
    #[must_use]
    pub fn is_unsecured(&self) -> bool {
        self.claims.session.unsecured
    }

    /// The client that the token was issued to.
    #[must_use]
    pub fn client_id(&self) -> &ClientId {
        &self.claims.client_id
    }

    /// The actors, the present one first, then the earlier ones; empty if the subject acts itself.
    pub fn actors(&self) -> impl Iterator<Item = &Actor> {
        self.claims.actor.iter().flat_map(Actor::chain)
    }

    /// The scope of the token.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.claims.scope
    }

    /// All claims of the token.
    #[must_use]
    pub fn claims(&self) -> &AccessTokenClaims {
        &self.claims
    }

    /// Requires that the scope contains this scope-token.
    ///
    /// # Errors
    /// [`BearerError::InsufficientScope`], which answers 403.
    pub fn require_scope(&self, scope: &str) -> Result<(), BearerError> {
        if self.claims.scope.contains(scope) {
            return Ok(());
        }
        // The value goes into a header that allows only scope-tokens (RFC 6750 §3).
        let missing = scope.parse::<Scope>().map(|scope| scope.as_str().into()).unwrap_or_default();
        Err(BearerError::InsufficientScope(missing))
    }
}

impl FromRequest for Bearer {
    type Error = BearerRefusal;
    type Future =
        Either<Ready<Result<Self, BearerRefusal>>, LocalBoxFuture<'static, Result<Self, BearerRefusal>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(config) = request.app_data::<BearerConfig>() else {
            return Either::Left(ready(Err(BearerError::NotConfigured.into())));
        };
        let refusal = |scheme| {
            let takes_proofs = config.takes_proofs();
            move |error| BearerRefusal { error, scheme, takes_proofs }
        };
        let (scheme, token) = match credentials(request.headers(), config.takes_proofs()) {
            Ok(found) => found,
            Err((scheme, error)) => return Either::Left(ready(Err(refusal(scheme)(error)))),
        };
        let refusal = refusal(Some(scheme));
        match (read(request, config, scheme, token), config.memory().map(Arc::clone)) {
            (Ok((bearer, Some(once))), Some(memory)) => Either::Right(Box::pin(async move {
                match memory.use_once(&once).await {
                    Ok(true) => Ok(bearer),
                    Ok(false) => Err(refusal(BearerError::ProofReplayed)),
                    Err(fault) => Err(refusal(BearerError::Unwritten(fault))),
                }
            })),
            (Ok((bearer, _)), _) => Either::Left(ready(Ok(bearer))),
            (Err(error), _) => Either::Left(ready(Err(refusal(error)))),
        }
    }
}

/// Checks everything except whether the proof was used before, so that a refused request does not use it up.
fn read(
    request: &HttpRequest,
    config: &BearerConfig,
    scheme: Scheme,
    token: &str,
) -> Result<(Bearer, Option<SingleUseId>), BearerError> {
    // RFC 6750 §2: "Clients MUST NOT use more than one method to transmit the token in each request."
    if names_access_token(request.query_string().as_bytes()) {
        return Err(BearerError::SeveralMethods);
    }
    let certificate = peer::thumbprint(request);
    match scheme {
        Scheme::Bearer => {
            let claims = config.check(token, &Possession { key: None, certificate })?;
            Ok((Bearer { claims }, None))
        }
        Scheme::Dpop => {
            let proof = proof(request.headers())?;
            let (method, path) = (request.method().as_str(), request.uri().path());
            let (Possession { key, .. }, once) = config.prove(&proof, token, method, path)?;
            let claims = config.check(token, &Possession { key, certificate })?;
            // RFC 9449 §7.2: an unbound token is a Bearer token, even if a proof is sent beside it.
            if claims.confirmation.as_ref().is_none_or(|confirmation| confirmation.key.is_none()) {
                return Err(BearerError::NotBound);
            }
            Ok((Bearer { claims }, Some(once)))
        }
    }
}

/// RFC 9449 §4.3(1): "There is not more than one DPoP HTTP request header field".
fn proof(headers: &HeaderMap) -> Result<DpopProof, BearerError> {
    let mut values = headers.get_all(DPOP);
    match (values.next(), values.next()) {
        (Some(one), None) => {
            let text =
                one.to_str().ok().filter(|text| !text.contains(',')).ok_or(BearerError::NotOneProof)?;
            DpopProof::parse(text).map_err(BearerError::MalformedProof)
        }
        (None | Some(_), _) => Err(BearerError::NotOneProof),
    }
}

/// Whether a form, or a query, has a parameter `access_token`.
pub(crate) fn names_access_token(form: &[u8]) -> bool {
    form.split(|b| *b == b'&').any(|pair| pair.split(|b| *b == b'=').next() == Some(b"access_token"))
}

// credentials = ( "Bearer" / "DPoP" ) 1*SP b64token
// b64token    = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
fn credentials(
    headers: &HeaderMap,
    takes_proofs: bool,
) -> Result<(Scheme, &str), (Option<Scheme>, BearerError)> {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let (Some(value), None) = (values.next(), values.next()) else {
        let several = headers.contains_key(header::AUTHORIZATION);
        return Err(if several {
            (Some(Scheme::Bearer), BearerError::SeveralMethods)
        } else {
            (None, BearerError::NoCredentials)
        });
    };
    let value =
        std::str::from_utf8(value.as_bytes()).map_err(|_| (Some(Scheme::Bearer), BearerError::Malformed))?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    let scheme = if scheme.eq_ignore_ascii_case("bearer") {
        Scheme::Bearer
    } else if takes_proofs && scheme.eq_ignore_ascii_case("dpop") {
        Scheme::Dpop
    } else {
        return Err((None, BearerError::NoCredentials));
    };
    // A malformed token cannot be one of ours, and is refused as such.
    match token.trim_start_matches(' ') {
        "" => Err((Some(scheme), BearerError::Malformed)),
        token => Ok((scheme, token)),
    }
}
