//! Is the process alive, and may it get requests? What an orchestrator asks, on a listener of its own.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// `GET /healthz`: 200 while the process answers. `GET /readyz`: 200, or 503 with the reason while it should get no requests.
#[derive(Clone)]
pub struct Operations {
    ready: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    draining: Arc<AtomicBool>,
}

impl Operations {
    /// Asks `ready` at each `/readyz`; the text of its error is shown there, so it must hold no secret.
    #[must_use]
    pub fn new(ready: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { ready: Arc::new(ready), draining: Arc::new(AtomicBool::new(false)) }
    }

    /// Mounts the two routes.
    pub fn configure(&self) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + Sync + 'static {
        let operations = self.clone();
        move |config| {
            let operations = operations.clone();
            let ready = move || std::future::ready(operations.readiness());
            config.route("/healthz", web::get().to(|| std::future::ready(text(StatusCode::OK, "ok"))));
            config.route("/readyz", web::get().to(ready));
        }
    }

    /// From now on `/readyz` answers 503, whatever else holds.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    fn readiness(&self) -> HttpResponse {
        if self.draining.load(Ordering::Acquire) {
            return text(StatusCode::SERVICE_UNAVAILABLE, "draining");
        }
        match (self.ready)() {
            Ok(()) => text(StatusCode::OK, "ready"),
            Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, &reason),
        }
    }
}

fn text(status: StatusCode, line: &str) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header(("Cache-Control", "no-store"))
        .content_type("text/plain; charset=utf-8")
        .body(format!("{line}\n"))
}
