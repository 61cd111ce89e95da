//! Extracts and verifies the access token of a request to a catalog: RFC 6750 §2.1, RFC 9449 §7.1, RFC 8705 §3.

pub(crate) mod config;
pub(crate) mod error;
pub(crate) mod one_method;
pub(crate) mod require;

use crate::bearer::config::{BearerConfig, Checked};
use crate::bearer::error::{BearerError, BearerRefusal, Scheme};
use crate::endpoint::DPOP;
use crate::peer;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::future::{Either, LocalBoxFuture, Ready, ready};
use std::sync::Arc;
use tokenberg_core::error::Realm;
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
    realm: Realm,
}

impl Bearer {
    /// A token that is not checked.
    #[cfg(feature = "testing")]
    pub(crate) fn new(claims: Arc<AccessTokenClaims>) -> Self {
        Self { claims, realm: Realm::default() }
    }

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
        Err(self.lacks(missing))
    }

    /// The error of a token without this scope.
    pub(crate) fn lacks(&self, scope: Box<str>) -> BearerError {
        BearerError::InsufficientScope { scope, realm: self.realm.clone() }
    }
}

/// The token of a request that a guard has checked already by this configuration, so that a proof is used once.
pub(crate) struct CheckedBearer(pub(crate) Bearer, pub(crate) BearerConfig);

impl FromRequest for Bearer {
    type Error = BearerRefusal;
    type Future =
        Either<Ready<Result<Self, BearerRefusal>>, LocalBoxFuture<'static, Result<Self, BearerRefusal>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(config) = request.app_data::<BearerConfig>() else {
            let is_wrapped = request.app_data::<Data<BearerConfig>>().is_some();
            let error = if is_wrapped { BearerError::Misplaced } else { BearerError::NotConfigured };
            return Either::Left(ready(Err(error.into())));
        };
        if let Some(CheckedBearer(bearer, by)) = request.extensions().get::<CheckedBearer>()
            && by.accepts_as(config)
        {
            return Either::Left(ready(Ok(bearer.clone())));
        }
        let refusal = |scheme| {
            let (takes_proofs, realm) = (config.takes_proofs(), config.in_realm().clone());
            move |error| BearerRefusal { error, scheme, takes_proofs, realm: realm.clone() }
        };
        let (scheme, token) = match credentials(request.headers(), config.takes_proofs()) {
            Ok(found) => found,
            Err((scheme, error)) => return Either::Left(ready(Err(refusal(scheme)(error)))),
        };
        let refusal = refusal(Some(scheme));
        let (possession, once) = match possession(request, config, scheme, token) {
            Ok(proven) => proven,
            Err(error) => return Either::Left(ready(Err(refusal(error)))),
        };
        let (checking, realm) = (config.check(token, &possession), config.in_realm().clone());
        let memory = if once.is_some() { config.memory().map(Arc::clone) } else { None };
        match (checking, memory) {
            (Either::Left(checked), None) => {
                Either::Left(ready(accepted(checked, scheme, realm).map_err(refusal)))
            }
            (checking, memory) => Either::Right(Box::pin(async move {
                let checked = match checking {
                    Either::Left(checked) => checked,
                    Either::Right(checking) => checking.await,
                };
                let bearer = accepted(checked, scheme, realm).map_err(&refusal)?;
                // The last check, so that a refused request does not use the proof up.
                if let (Some(memory), Some(once)) = (memory, once) {
                    match memory.use_once(&once).await {
                        Ok(true) => {}
                        Ok(false) => return Err(refusal(BearerError::ProofReplayed)),
                        Err(fault) => return Err(refusal(BearerError::Unwritten(fault))),
                    }
                }
                Ok(bearer)
            })),
        }
    }
}

/// What the request proves to possess, and the single-use identifier of its proof.
fn possession(
    request: &HttpRequest,
    config: &BearerConfig,
    scheme: Scheme,
    token: &str,
) -> Result<(Possession, Option<SingleUseId>), BearerError> {
    // RFC 6750 §2: "Clients MUST NOT use more than one method to transmit the token in each request."
    if names_access_token(request.query_string().as_bytes()) {
        return Err(BearerError::SeveralMethods);
    }
    let certificate = peer::thumbprint(request);
    match scheme {
        Scheme::Bearer => Ok((Possession { key: None, certificate }, None)),
        Scheme::Dpop => {
            let proof = proof(request.headers())?;
            let (method, path) = (request.method().as_str(), request.uri().path());
            let (Possession { key, .. }, once) = config.prove(&proof, token, method, path)?;
            Ok((Possession { key, certificate }, Some(once)))
        }
    }
}

fn accepted(checked: Checked, scheme: Scheme, realm: Realm) -> Result<Bearer, BearerError> {
    let claims = checked?;
    let is_bound = claims.confirmation.as_ref().is_some_and(|confirmation| confirmation.key.is_some());
    // RFC 9449 §7.2: an unbound token is a Bearer token, even if a proof is sent beside it.
    if scheme == Scheme::Dpop && !is_bound {
        Err(BearerError::NotBound)
    } else {
        Ok(Bearer { claims, realm })
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
pub(crate) fn credentials(
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
