//! Sends spans to a collector of OpenTelemetry, by OTLP over HTTP, in builds with the feature `otlp`.
//!
//! A span records when a request was answered, and how; it holds no content of the request.

use anyhow::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::pin::Pin;
use std::time::Duration;
use tokenberg_actix::SPANS;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// The time limit of the collector; spans that it does not take in time are dropped.
const PATIENCE: Duration = Duration::from_secs(10);

/// Setting one of these variables of the OpenTelemetry specification turns spans on; its other variables apply as well.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Sends spans until it is shut down.
#[derive(Clone)]
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Starts, if the environment names a collector.
    ///
    /// # Errors
    /// If the value is not a URL.
    pub(crate) fn begin() -> anyhow::Result<Option<Self>> {
        let is_set = |name: &&&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let Some(named_by) = ENDPOINTS.iter().find(is_set) else { return Ok(None) };
        let config = ureq::Agent::config_builder().max_redirects(0).timeout_global(Some(PATIENCE));
        let client = Client(config.http_status_as_error(false).build().new_agent());
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .build()
            .with_context(|| format!("{named_by} is not the URL of a collector"))?;
        let resource = opentelemetry_sdk::Resource::builder().with_service_name("tokenberg").build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        Ok(Some(Self(provider)))
    }

    /// The layer that receives spans.
    pub(crate) fn layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("tokenberg"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|about| about.target() == SPANS))
            .boxed()
    }

    /// Sends the remaining spans.
    pub(crate) fn end(&self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "could not send the last spans");
        }
    }
}

/// Blocks, as the thread that sends spans may.
#[derive(Debug)]
struct Client(ureq::Agent);

impl HttpClient for Client {
    fn send_bytes<'client, 'sent>(
        &'client self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sent>>
    where
        'client: 'sent,
        Self: 'sent,
    {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let answer = self.0.run(Request::from_parts(head, &body[..]))?;
            let (head, mut body) = answer.into_parts();
            Ok(Response::from_parts(head, body.read_to_vec()?.into()))
        })
    }
}
