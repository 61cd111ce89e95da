//! Counts requests, decisions and durations; each request adds to a few atomics. Conformance SE-07: all labels are fixed.

#[cfg(feature = "server")]
use crate::connection::metrics::ConnectionMetrics;
use crate::observe::exposition::{Exposition, exact, one_more, read};
use crate::paths::Endpoint;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokenberg_core::limits::LimitedBy;
use tokenberg_core::{ErrorCode, GrantType, Outcome};

/// The outcomes of every endpoint that are exposed at 0, so that the first occurrence is an increase, with their statuses.
const ALWAYS_SHOWN: [(Outcome, u16); 2] = [
    (Outcome::Refused(ErrorCode::TemporarilyUnavailable), 503),
    (Outcome::Refused(ErrorCode::ServerError), 500),
];

/// The same for the endpoints at which clients authenticate.
const SHOWN_OF_CLIENTS: [(Outcome, u16); 2] = [
    (Outcome::Refused(ErrorCode::InvalidClient), 401),
    (Outcome::Refused(ErrorCode::TemporarilyUnavailable), 429),
];

/// The same for the successes of an endpoint.
fn success(endpoint: Endpoint) -> (Outcome, u16) {
    let outcome = match endpoint {
        Endpoint::Tokens => Outcome::Granted,
        Endpoint::Introspection | Endpoint::Verification => Outcome::Active,
        Endpoint::Revocation => Outcome::Revoked,
    };
    (outcome, 200)
}

/// The statuses of answers. One that is not listed counts as the last.
const STATUSES: [u16; 9] = [200, 400, 401, 403, 408, 413, 429, 503, 500];

/// Requests without a known grant come last.
const GRANTS: usize = GrantType::ALL.len() + 1;

const ENDPOINTS: [(Endpoint, &str); 4] = [
    (Endpoint::Tokens, "token"),
    (Endpoint::Introspection, "introspection"),
    (Endpoint::Revocation, "revocation"),
    (Endpoint::Verification, "verification"),
];

/// What is wrong with a request that reaches no endpoint.
#[derive(Clone, Copy)]
pub(crate) enum Misdirected {
    Path,
    Method,
}

/// Public documents.
#[derive(Clone, Copy)]
pub(crate) enum Document {
    Keys,
    Metadata,
    OpenApi,
}

/// The metrics of one service.
#[derive(Default)]
pub(crate) struct Metrics {
    requests: [[[[AtomicU64; STATUSES.len()]; Outcome::COUNT]; GRANTS]; ENDPOINTS.len()],
    durations: [Histogram; ENDPOINTS.len()],
    signing: Histogram,
    failed_authentications: AtomicU64,
    throttled: [AtomicU64; 2],
    documents: [AtomicU64; 3],
    misdirected: [AtomicU64; 2],
    #[cfg(feature = "server")]
    connections: std::sync::Arc<ConnectionMetrics>,
    unrecorded: AtomicU64,
    left_out: [AtomicU64; Outcome::COUNT],
}

impl Metrics {
    /// A request that was answered.
    pub(crate) fn answered(
        &self,
        endpoint: Endpoint,
        grant: Option<GrantType>,
        (outcome, status): (Outcome, u16),
        after: Duration,
    ) {
        let grant = grant.and_then(|grant| GrantType::ALL.iter().position(|g| *g == grant));
        let endpoint = place(endpoint);
        let status = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len() - 1);
        one_more(&self.requests[endpoint][grant.unwrap_or(GRANTS - 1)][outcome.index()][status]);
        self.durations[endpoint].observe(after);
    }

    pub(crate) fn signed(&self, after: Duration) {
        self.signing.observe(after);
    }

    pub(crate) fn failed_authentication(&self) {
        one_more(&self.failed_authentications);
    }

    pub(crate) fn throttled(&self, by: LimitedBy) {
        one_more(&self.throttled[by as usize]);
    }

    /// A request that was refused because it could not have been recorded.
    pub(crate) fn unrecorded(&self) {
        one_more(&self.unrecorded);
    }

    /// A decision that was neither recorded nor logged.
    pub(crate) fn left_out(&self, outcome: Outcome) {
        one_more(&self.left_out[outcome.index()]);
    }

    /// How many decisions were neither recorded nor logged, in the order of [`Outcome::all`].
    pub(crate) fn all_left_out(&self) -> Vec<u64> {
        self.left_out.iter().map(read).collect()
    }

    pub(crate) fn misdirected(&self, kind: Misdirected) {
        one_more(&self.misdirected[kind as usize]);
    }

    pub(crate) fn document(&self, document: Document) {
        one_more(&self.documents[document as usize]);
    }

    /// The metrics of the connections of our own server.
    #[cfg(feature = "server")]
    pub(crate) fn connections(&self) -> &std::sync::Arc<ConnectionMetrics> {
        &self.connections
    }

    pub(crate) fn expose(&self, to: &mut Exposition) {
        self.expose_requests(to);
        to.family(
            "histogram",
            "tokenberg_request_duration_seconds",
            "From the head of a request to its answer.",
        );
        for ((_, name), histogram) in ENDPOINTS.iter().zip(&self.durations) {
            histogram.expose(to, "tokenberg_request_duration_seconds", &[("endpoint", name)]);
        }
        to.family("histogram", "tokenberg_signing_duration_seconds", "Signing one token.");
        self.signing.expose(to, "tokenberg_signing_duration_seconds", &[]);
        to.counter(
            "tokenberg_failed_authentications_total",
            "Requests with a wrong client secret.",
            read(&self.failed_authentications),
        );
        to.family("counter", "tokenberg_throttled_total", "Requests refused with 429 for earlier failures.");
        for (by, name) in [(LimitedBy::Client, "client"), (LimitedBy::Source, "source")] {
            to.sample(
                "tokenberg_throttled_total",
                &[("by", name)],
                exact(read(&self.throttled[by as usize])),
            );
        }
        to.family(
            "counter",
            "tokenberg_documents_total",
            "Requests for keys, metadata and the OpenAPI document.",
        );
        for (document, name) in
            [(Document::Keys, "keys"), (Document::Metadata, "metadata"), (Document::OpenApi, "openapi")]
        {
            let count = exact(read(&self.documents[document as usize]));
            to.sample("tokenberg_documents_total", &[("document", name)], count);
        }
        const MISDIRECTED: &str = "tokenberg_misdirected_total";
        to.family("counter", MISDIRECTED, "Requests to a path without an endpoint, or with a wrong method.");
        for (kind, name) in [(Misdirected::Path, "path"), (Misdirected::Method, "method")] {
            to.sample(MISDIRECTED, &[("wrong", name)], exact(read(&self.misdirected[kind as usize])));
        }
        #[cfg(feature = "server")]
        self.connections.expose(to);
        to.counter(
            "tokenberg_audit_refused_total",
            "Requests refused with 503 because there was no room to record them.",
            read(&self.unrecorded),
        );
        const LEFT_OUT: &str = "tokenberg_audit_left_out_total";
        to.family(
            "counter",
            LEFT_OUT,
            "Requests without client authentication that were neither recorded nor logged, by outcome.",
        );
        for (outcome, count) in Outcome::all().zip(self.all_left_out()) {
            if count > 0 || outcome == Outcome::Refused(ErrorCode::InvalidClient) {
                to.sample(LEFT_OUT, &[("outcome", &outcome.as_str().replace(' ', "_"))], exact(count));
            }
        }
    }

    fn expose_requests(&self, to: &mut Exposition) {
        const NAME: &str = "tokenberg_requests_total";
        to.family("counter", NAME, "Requests by endpoint, grant, outcome and status.");
        for ((endpoint, name), by_grant) in ENDPOINTS.iter().zip(&self.requests) {
            for (at, by_outcome) in by_grant.iter().enumerate() {
                let grant = GrantType::ALL.get(at).map_or_else(|| "none".to_owned(), |grant| short(*grant));
                for (outcome, by_status) in Outcome::all().zip(by_outcome) {
                    for (status, count) in STATUSES.iter().zip(by_status) {
                        let count = read(count);
                        if count > 0 || is_always_shown(*endpoint, at, (outcome, *status)) {
                            let (outcome, status) = (outcome.as_str().replace(' ', "_"), status.to_string());
                            let labels = [
                                ("endpoint", *name),
                                ("grant", &grant),
                                ("outcome", &outcome),
                                ("status", &status),
                            ];
                            to.sample(NAME, &labels, exact(count));
                        }
                    }
                }
            }
        }
    }
}

/// Whether the sample is exposed even if it is 0. Only the token endpoint has grants.
fn is_always_shown(endpoint: Endpoint, grant: usize, sample: (Outcome, u16)) -> bool {
    let has_clients = endpoint != Endpoint::Verification;
    (endpoint == Endpoint::Tokens || grant == GRANTS - 1)
        && (ALWAYS_SHOWN.contains(&sample)
            || has_clients && SHOWN_OF_CLIENTS.contains(&sample)
            || success(endpoint) == sample)
}

fn place(endpoint: Endpoint) -> usize {
    ENDPOINTS.iter().position(|(other, _)| *other == endpoint).unwrap_or_default()
}

/// The last word of a grant's name.
fn short(grant: GrantType) -> String {
    let name = grant.as_parameter();
    name.rsplit(':').next().unwrap_or(name).replace('-', "_")
}

/// Upper bounds in microseconds, and as Prometheus writes them.
const BOUNDS: [(u64, &str); 13] = [
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (5_000_000, "5"),
];

/// A histogram of durations.
#[derive(Default)]
struct Histogram {
    /// Each bucket separately, without those below; the last is above all bounds.
    counts: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

impl Histogram {
    fn observe(&self, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|(bound, _)| took <= *bound).unwrap_or(BOUNDS.len());
        one_more(&self.counts[bucket]);
        self.microseconds.fetch_add(took, Ordering::Relaxed);
    }

    fn expose(&self, to: &mut Exposition, name: &str, labels: &[(&str, &str)]) {
        let bucket = format!("{name}_bucket");
        let mut total = 0;
        for (count, bound) in self.counts.iter().zip(BOUNDS.iter().map(|(_, text)| *text).chain(["+Inf"])) {
            total += read(count);
            to.sample(&bucket, &[labels, &[("le", bound)]].concat(), exact(total));
        }
        to.sample(&format!("{name}_sum"), labels, exact(read(&self.microseconds)) / 1e6);
        to.sample(&format!("{name}_count"), labels, exact(total));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_07_buckets_add_up() {
        let histogram = Histogram::default();
        for microseconds in [1, 100, 101, 2_000_000, 9_000_000] {
            histogram.observe(Duration::from_micros(microseconds));
        }
        let mut exposition = Exposition::default();
        histogram.expose(&mut exposition, "t_seconds", &[]);
        let text = exposition.into_text();
        for line in [
            "t_seconds_bucket{le=\"0.0001\"} 2",
            "t_seconds_bucket{le=\"0.00025\"} 3",
            "t_seconds_bucket{le=\"1\"} 3",
            "t_seconds_bucket{le=\"5\"} 4",
            "t_seconds_bucket{le=\"+Inf\"} 5",
            "t_seconds_sum 11.000202",
            "t_seconds_count 5",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
        for (at, (bound, text)) in BOUNDS.iter().enumerate() {
            assert_eq!(text.parse::<f64>().unwrap() * 1e6, exact(*bound));
            assert!(at == 0 || BOUNDS[at - 1].0 < *bound);
        }
    }

    #[test]
    fn se_07_each_outcome_is_a_label_of_ours() {
        let metrics = Metrics::default();
        Outcome::all().for_each(|outcome| {
            metrics.answered(Endpoint::Tokens, None, (outcome, 400), Duration::ZERO);
        });
        let mut exposition = Exposition::default();
        metrics.expose(&mut exposition);
        let text = exposition.into_text();
        for outcome in Outcome::all() {
            let outcome = outcome.as_str().replace(' ', "_");
            let sample = format!(
                "tokenberg_requests_total{{endpoint=\"token\",grant=\"none\",outcome=\"{outcome}\",status=\"400\"}} 1"
            );
            assert!(text.lines().any(|line| line == sample), "{sample}");
        }
    }
}
