//! Requires a token with a scope for all routes of an app or a scope, so that a route without an extractor is not open: RFC 6750 §3.1.

use crate::bearer::config::BearerConfig;
use crate::bearer::error::BearerError;
use crate::bearer::{Bearer, CheckedBearer};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::{Error, FromRequest, HttpMessage};
use futures_util::future::{LocalBoxFuture, Ready, ready};
use std::rc::Rc;
use tokenberg_core::Scope;

/// Middleware that answers 401, 403 or 503 to requests without a sufficient token, for
/// [`App::wrap`](actix_web::App::wrap) or [`Scope::wrap`](actix_web::Scope::wrap).
///
/// It checks the token as [`Bearer`] does, by the [`BearerConfig`](crate::BearerConfig) of the app. Handlers may still take a
/// [`Bearer`], which is then not checked again.
///
/// ```
/// use actix_web::{App, HttpResponse, web};
/// use tokenberg_actix::Require;
///
/// let catalog = web::scope("/v1")
///     .wrap(Require::any(["catalog", "PRINCIPAL_ROLE:ALL"]))
///     .route("/namespaces", web::get().to(HttpResponse::Ok));
/// let app = App::new().service(catalog);
/// ```
#[derive(Clone, Debug)]
pub struct Require {
    scopes: Rc<[Box<str>]>,
    all: bool,
}

impl Require {
    /// Requires a token whose scope contains at least one of these scope-tokens. Without any, no token is sufficient.
    #[must_use]
    pub fn any<S: Into<Box<str>>>(scopes: impl IntoIterator<Item = S>) -> Self {
        Self { scopes: scopes.into_iter().map(Into::into).collect(), all: false }
    }

    /// Requires a token whose scope contains all of these scope-tokens. Without any, every valid token is sufficient.
    #[must_use]
    pub fn all<S: Into<Box<str>>>(scopes: impl IntoIterator<Item = S>) -> Self {
        Self { scopes: scopes.into_iter().map(Into::into).collect(), all: true }
    }

    fn check(&self, bearer: &Bearer) -> Result<(), BearerError> {
        let granted = bearer.scope();
        let mut scopes = self.scopes.iter();
        let is_enough = if self.all {
            scopes.all(|scope| granted.contains(scope))
        } else {
            scopes.any(|scope| granted.contains(scope))
        };
        if is_enough {
            return Ok(());
        }
        // RFC 6750 §3: the scope that is "required to access the requested resource", one of those that would be enough.
        let needed = if self.all {
            self.scopes.join(" ")
        } else {
            self.scopes.first().map(ToString::to_string).unwrap_or_default()
        };
        let needed = needed.parse::<Scope>().map(|scope| scope.as_str().into()).unwrap_or_default();
        Err(bearer.lacks(needed))
    }
}

impl<S, B> Transform<S, ServiceRequest> for Require
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = Requiring<S>;
    type InitError = ();
    type Future = Ready<Result<Requiring<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Requiring { require: self.clone(), service: Rc::new(service) }))
    }
}

/// The wrapped service of [`Require`].
#[derive(Debug)]
pub struct Requiring<S> {
    require: Require,
    service: Rc<S>,
}

impl<S, B> Service<ServiceRequest> for Requiring<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (service, require) = (Rc::clone(&self.service), self.require.clone());
        Box::pin(async move {
            let (head, mut payload) = request.into_parts();
            let bearer = Bearer::from_request(&head, &mut payload).await;
            let request = ServiceRequest::from_parts(head, payload);
            let bearer = match bearer {
                Ok(bearer) => bearer,
                Err(refusal) => return Ok(request.error_response(refusal)),
            };
            if let Err(error) = require.check(&bearer) {
                return Ok(request.error_response(error));
            }
            if let Some(config) = request.app_data::<BearerConfig>().cloned() {
                request.extensions_mut().insert(CheckedBearer(bearer, config));
            }
            Ok(service.call(request).await?.map_into_boxed_body())
        })
    }
}
