//! Tells proxies whether the token of a request is valid: nginx `auth_request`, Envoy `ext_authz`, `forward_auth`; RFC 6750 §3.

mod identity;
mod requirements;

use crate::bearer::config::check_now;
use crate::bearer::credentials;
use crate::bearer::error::{BearerError, BearerRefusal};
use crate::endpoint::reply;
use crate::endpoint::request_id::RequestId;
use crate::paths::Endpoint;
use crate::service::TokenService;
use actix_web::http::StatusCode;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use requirements::{RequirementFault, Requirements};
use std::sync::Arc;
use std::time::Instant;
use tokenberg_core::token::Possession;
use tokenberg_core::{AccessTokenClaims, ErrorCode, Outcome};
use tracing::field;

/// The name of the part of the path after that of the endpoint: Envoy's `path_prefix` appends the path of the original request.
pub(crate) const ORIGINAL_PATH: &str = "original_path";

/// The target of the events of this module, which the command line limits. It does not follow the path of the module.
const TARGET: &str = "tokenberg_actix::verify";

/// Why a proxy is not answered 200.
#[derive(Debug, thiserror::Error)]
enum Denied {
    #[error(transparent)]
    Token(#[from] BearerError),
    #[error(transparent)]
    Requirement(#[from] RequirementFault),
}

/// Answers a proxy.
pub(crate) fn answer(service: &TokenService, request: &HttpRequest) -> HttpResponse {
    let begun = Instant::now();
    let (outcome, response) = match decide(service, request) {
        Ok(claims) => {
            let mut response = reply::private(StatusCode::OK);
            for (name, value) in identity::headers(&claims) {
                response.insert_header((name, value));
            }
            (Outcome::Active, response.body("{}"))
        }
        Err(denied) => {
            let error = denied.error(service);
            let outcome = outcome_of(&error);
            log(service, request, &denied, outcome);
            let realm = service.policy().realm.clone();
            (outcome, BearerRefusal { realm, ..error.into() }.response())
        }
    };
    tracing::Span::current().record("outcome", outcome.as_str());
    let counted = (outcome, response.status().as_u16());
    service.metrics().answered(Endpoint::Verification, None, counted, begun.elapsed());
    response
}

/// Checks the token, whatever is known of the connection: its other end is the proxy, and a certificate that the proxy presents
/// proves nothing about the client. Neither does the proxy report which request a DPoP proof would be for. So tokens that are
/// bound to a key are refused (RFC 9449 §7.2, RFC 8705 §3).
fn decide(service: &TokenService, request: &HttpRequest) -> Result<Arc<AccessTokenClaims>, Denied> {
    let requirements = Requirements::of(request, request.match_info().get(ORIGINAL_PATH))?;
    // Two headers are 400 elsewhere (RFC 6750 §3.1). nginx would turn that into an error of its own.
    let one_token = |error| if error == BearerError::SeveralMethods { BearerError::Malformed } else { error };
    let (_, token) = credentials(request.headers(), false).map_err(|(_, error)| one_token(error))?;
    let now = service.time().map_err(|_| BearerError::Unavailable)?;
    let (first, others) = requirements.verifications(service);
    let claims = check_now(service, (&first, &others), token, now, &Possession::default())?;
    if !requirements.scope().is_subset_of(&claims.scope) {
        return Err(insufficient(service, requirements.scope().as_str()).into());
    }
    Ok(claims)
}

fn insufficient(service: &TokenService, scope: &str) -> BearerError {
    BearerError::InsufficientScope { scope: scope.into(), realm: service.policy().realm.clone() }
}

impl Denied {
    /// What the client receives: RFC 6750 §3.1.
    fn error(&self, service: &TokenService) -> BearerError {
        match self {
            Self::Token(error) => error.clone(),
            Self::Requirement(fault) if fault.is_of_configuration => BearerError::NotConfigured,
            // No token meets it.
            Self::Requirement(_) => insufficient(service, ""),
        }
    }
}

fn outcome_of(error: &BearerError) -> Outcome {
    match error {
        BearerError::NoCredentials => Outcome::Refused(ErrorCode::InvalidRequest),
        BearerError::InsufficientScope { .. } => Outcome::Refused(ErrorCode::InvalidScope),
        BearerError::TooOld | BearerError::Unwritten(_) | BearerError::KeysUnavailable(_) => {
            Outcome::Failed(ErrorCode::TemporarilyUnavailable)
        }
        BearerError::NotConfigured | BearerError::Misplaced | BearerError::Unavailable => {
            Outcome::Failed(ErrorCode::ServerError)
        }
        BearerError::SeveralMethods
        | BearerError::Malformed
        | BearerError::InvalidToken(_)
        | BearerError::TimedOut(_)
        | BearerError::NotOneProof
        | BearerError::MalformedProof(_)
        | BearerError::InvalidProof(_)
        | BearerError::ProofReplayed
        | BearerError::NotBound => Outcome::Inactive,
    }
}

/// Logs a refusal. A request without a token is usual, because some clients send the token only when they are asked for it.
fn log(service: &TokenService, request: &HttpRequest, denied: &Denied, outcome: Outcome) {
    let source = service.trusted_proxies().origin(request).address;
    let extensions = request.extensions();
    let (request_id, reason) = (extensions.get().map(RequestId::as_str), denied.to_string());
    // A level has to be a constant.
    macro_rules! event {
        ($level:ident, $message:literal) => {
            tracing::event!(
                target: TARGET,
                tracing::Level::$level,
                request_id,
                source = source.map(field::display),
                outcome = outcome.as_str(),
                reason = ?reason,
                $message
            )
        };
    }
    match (denied, outcome) {
        (_, Outcome::Failed(_)) => event!(ERROR, "could not verify the token of a request for a proxy"),
        (Denied::Token(BearerError::NoCredentials), _) => event!(DEBUG, "a proxy's request has no token"),
        (_, _) => event!(INFO, "refused the token of a request for a proxy"),
    }
}
