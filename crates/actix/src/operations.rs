//! Answers the probes of an orchestrator (liveness, readiness) and serves the metrics, on a separate listener.

use crate::observe::exposition::Exposition;
use crate::service::TokenService;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// `GET /healthz`: 200 while the process answers. `GET /readyz`: 200, or 503 with the reason while it should get no requests.
/// `GET /metrics`: the metrics of a service for Prometheus, with [`Operations::metrics`].
#[derive(Clone)]
pub struct Operations {
    ready: Arc<dyn Fn() -> Result<String, String> + Send + Sync>,
    draining: Arc<AtomicBool>,
    expose: Option<Arc<Expose>>,
    more: Option<Arc<Routes>>,
}

type Routes = dyn Fn(&mut web::ServiceConfig) + Send + Sync;
type Expose = dyn Fn(&mut Exposition) + Send + Sync;

impl Operations {
    /// Calls `ready` at each `/readyz`; its text is shown there, good or bad, so it must not contain a secret.
    #[must_use]
    pub fn new(ready: impl Fn() -> Result<String, String> + Send + Sync + 'static) -> Self {
        Self { ready: Arc::new(ready), draining: Arc::new(AtomicBool::new(false)), expose: None, more: None }
    }

    /// Serves the metrics of `service`, and what `more` adds to them at each `/metrics`.
    #[must_use]
    pub fn metrics(
        self,
        service: &TokenService,
        more: impl Fn(&mut Exposition) + Send + Sync + 'static,
    ) -> Self {
        let service = service.clone();
        let expose = move |to: &mut Exposition| {
            service.expose(to);
            more(to);
        };
        Self { expose: Some(Arc::new(expose)), ..self }
    }

    /// Mounts these routes beside its own.
    #[must_use]
    pub fn and(self, routes: impl Fn(&mut web::ServiceConfig) + Send + Sync + 'static) -> Self {
        Self { more: Some(Arc::new(routes)), ..self }
    }

    /// The text of `/metrics`; empty without [`Operations::metrics`].
    #[must_use]
    pub fn exposition(&self) -> String {
        let mut exposition = Exposition::default();
        if let Some(expose) = &self.expose {
            expose(&mut exposition);
        }
        exposition.into_text()
    }

    /// What `/readyz` says: what more there is to say of a ready server, or why it is not ready.
    ///
    /// # Errors
    /// The reason why it should get no requests.
    pub fn state(&self) -> Result<String, String> {
        if self.draining.load(Ordering::Acquire) {
            return Err("draining".to_owned());
        }
        (self.ready)()
    }

    /// Mounts the routes.
    pub fn configure(&self) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + Sync + 'static {
        let operations = self.clone();
        move |config| {
            let operations = operations.clone();
            let probed = operations.clone();
            let ready = move || std::future::ready(probed.readiness());
            config.route("/healthz", web::get().to(|| std::future::ready(text(StatusCode::OK, "ok"))));
            config.route("/readyz", web::get().to(ready));
            if let Some(more) = &operations.more {
                more(config);
            }
            if operations.expose.is_some() {
                let metrics = move || std::future::ready(metrics_response(operations.exposition()));
                config.route("/metrics", web::get().to(metrics));
            }
        }
    }

    /// From now on `/readyz` answers 503 in any case.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    fn readiness(&self) -> HttpResponse {
        match self.state() {
            Ok(more) if more.is_empty() => text(StatusCode::OK, "ready"),
            Ok(more) => text(StatusCode::OK, &format!("ready; {more}")),
            Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, &reason),
        }
    }
}

fn metrics_response(exposition: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("Cache-Control", "no-store"))
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(exposition)
}

fn text(status: StatusCode, line: &str) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header(("Cache-Control", "no-store"))
        .content_type("text/plain; charset=utf-8")
        .body(format!("{line}\n"))
}
