//! What the pages are made from, and their routes.

use crate::access;
use crate::pages::{clients, decisions, inspector, issuers, keys, nodes, overview, request_builder, what_if};
use crate::parts::Parts;
use crate::samples::Samples;
use crate::sessions::Sessions;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{Route, guard, middleware};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokenberg_actix::{BearerConfig, Operations, TokenService};
use tokenberg_core::{Answers, IssuerKeys, TokenEndpoint};
use tokenberg_store::Store;

/// How often the counters are read for the charts.
const EVERY: Duration = Duration::from_secs(15);
/// The longest form that is read: a token may be 16 KiB, and more than twice that when it is percent-encoded.
const LONGEST_FORM: usize = 64 << 10;

/// The pages of a server, below `/ui`.
#[derive(Clone)]
pub struct Ui(Arc<Parts>);

impl Ui {
    /// The pages about this service and its store; health and figures are those of `operations`, `answers` returns what requests
    /// are answered from now, and `issuer_keys` are those of the service.
    #[must_use]
    pub fn new(
        store: Store,
        service: &TokenService,
        operations: &Operations,
        answers: impl Fn() -> Arc<dyn Answers> + Send + Sync + 'static,
        issuer_keys: impl IssuerKeys + 'static,
    ) -> Self {
        let endpoint = TokenEndpoint::new(service.policy().clone());
        Self(Arc::new(Parts {
            store,
            operations: operations.clone(),
            bearer: BearerConfig::of(service),
            issuer: service.issuer().clone(),
            endpoint,
            answers: Box::new(answers),
            issuer_keys: Box::new(issuer_keys),
            sessions: Sessions::default(),
            samples: Samples::default(),
        }))
    }

    /// Reads the counters for the charts every fifteen seconds, until the runtime ends.
    pub fn begin(&self) {
        let ui = Arc::clone(&self.0);
        actix_web::rt::spawn(async move {
            loop {
                ui.samples.add(&ui.operations.exposition(), SystemTime::now());
                actix_web::rt::time::sleep(EVERY).await;
            }
        });
    }

    /// Mounts the routes, for [`Operations::and`].
    pub fn configure(&self) -> impl Fn(&mut ServiceConfig) + Clone + Send + Sync + 'static {
        let parts = Arc::clone(&self.0);
        move |config| {
            let guarded = Arc::clone(&parts);
            config.service(
                web::scope("/ui")
                    .app_data(Data::from(Arc::clone(&parts)))
                    .app_data(web::FormConfig::default().limit(LONGEST_FORM))
                    // Nothing below /ui is answered without it, whatever is added later.
                    .wrap(middleware::from_fn(move |request, next| {
                        access::guard(Arc::clone(&guarded), request, next)
                    }))
                    .route("", looked_at().to(overview::show))
                    .route("/", looked_at().to(overview::show))
                    .route("/style.css", looked_at().to(access::style))
                    .route("/enter", looked_at().to(access::enter))
                    .route("/leave", web::post().to(access::leave))
                    .route("/clients", looked_at().to(clients::list))
                    .route("/client", looked_at().to(clients::one))
                    .route("/issuers", looked_at().to(issuers::list))
                    .route("/issuer", looked_at().to(issuers::one))
                    .route("/keys", looked_at().to(keys::list))
                    .route("/nodes", looked_at().to(nodes::list))
                    .route("/decisions", looked_at().to(decisions::list))
                    .route("/decision", looked_at().to(decisions::one))
                    .route("/what-if", looked_at().to(what_if::show))
                    .route("/token", looked_at().to(inspector::ask))
                    .route("/token", web::post().to(inspector::inspect))
                    .route("/request", looked_at().to(request_builder::show))
                    .default_service(web::to(access::nothing_here)),
            );
        }
    }
}

/// A page is looked at by GET, or by HEAD without its body (RFC 9110 §9.3.2).
fn looked_at() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

impl fmt::Debug for Ui {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ui")
    }
}
