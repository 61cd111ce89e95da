//! How is a server started? `tokenberg serve`, whose flags are also those of `tokenberg check`.

use crate::common::Common;
use crate::duration;
use crate::logging::LogFormat;
use crate::server::{self, settings::Settings};
use clap::{Args, ValueEnum};
use serde::Deserialize;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use tokenberg_actix::Network;
use tokenberg_core::{Algorithm, Lifetime};

/// `tokenberg serve`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  tokenberg serve
      on 127.0.0.1:8183 with the store tokenberg.db; on an empty store it makes a signing key and
      the client `root`, and prints its credential once, with a curl line to try it
  tokenberg serve --listen 0.0.0.0:443 --issuer https://tokens.example \\
      --tls-cert chain.pem --tls-key key.pem
  tokenberg serve --listen 10.0.0.7:8183 --issuer https://lake.example/auth --base-path /auth \\
      --behind-tls-terminator --trusted-proxy 10.0.0.0/24
  tokenberg serve --config /etc/tokenberg.toml --ops-listen 127.0.0.1:9183

A flag beats its variable, and both beat the file, where every flag is a key:
  listen = \"0.0.0.0:443\"
  issuer = \"https://tokens.example\"

TOKENBERG_BOOTSTRAP_CREDENTIAL=ID:SECRET sets the first credential; then none is printed.
Several servers on one machine may share a store, and on PostgreSQL any number on any machines; then give all of
them the same --issuer and the same key of the store. SIGTERM and SIGINT finish what was begun and
end; a second one ends at once. SIGHUP reads certificates, log filter and --rotate-keys-every again,
drops no connection, and keeps all of the old if any of the new is bad; what else has changed in the
file is named in the log, and needs a restart.")]
pub(crate) struct Serve {
    /// Where to listen; port 0 picks a free one [default: 127.0.0.1:8183]
    #[arg(long, value_name = "ADDR:PORT", env = "TOKENBERG_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,

    /// Where to serve /healthz, /readyz and /metrics, in plain HTTP; nowhere if it is left out
    #[arg(long, value_name = "ADDR:PORT", env = "TOKENBERG_OPS_LISTEN")]
    pub(crate) ops_listen: Option<SocketAddr>,

    /// Who we are, `iss` of every token: the URL that clients and catalogs know, base path included [default: the URL of
    /// the listener]
    #[arg(long, value_name = "URL", env = "TOKENBERG_ISSUER")]
    pub(crate) issuer: Option<String>,

    /// A path before every route, for example /api/catalog
    #[arg(long, value_name = "PATH", env = "TOKENBERG_BASE_PATH")]
    pub(crate) base_path: Option<String>,

    /// Speak TLS with the certificates in this PEM file, our own first
    #[arg(long, value_name = "FILE", env = "TOKENBERG_TLS_CERT")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The private key of the certificate, PEM
    #[arg(long, value_name = "FILE", env = "TOKENBERG_TLS_KEY")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Ask clients for certificates, and trust those of the authorities in this PEM file; nobody has to have one
    #[arg(long, value_name = "FILE", env = "TOKENBERG_TLS_CLIENT_CA")]
    pub(crate) tls_client_ca: Option<PathBuf>,

    /// A proxy in front of us speaks TLS with the clients, so that plain HTTP beyond this machine is safe
    #[arg(long, value_name = "BOOL", env = "TOKENBERG_BEHIND_TLS_TERMINATOR", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub(crate) behind_tls_terminator: Option<bool>,

    /// A network of proxies, as 10.0.0.0/8, whose X-Forwarded-For, X-Forwarded-Proto and Forwarded are believed; may be given
    /// several times
    #[arg(long, value_name = "NETWORK", env = "TOKENBERG_TRUSTED_PROXY", value_delimiter = ',')]
    pub(crate) trusted_proxy: Vec<Network>,

    /// How many wrong secrets a minute one source may present for one client before it is answered 429 [default: 30]
    #[arg(long, value_name = "N", env = "TOKENBERG_FAILURES_PER_CLIENT",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) failures_per_client: Option<u32>,

    /// How many for all clients together [default: 600]
    #[arg(long, value_name = "N", env = "TOKENBERG_FAILURES_PER_SOURCE",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) failures_per_source: Option<u32>,

    /// Answer with the six error codes of Iceberg's specification only: invalid_target becomes invalid_request
    #[arg(long, value_name = "BOOL", env = "TOKENBERG_STRICT_ICEBERG_ERRORS", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub(crate) strict_iceberg_errors: Option<bool>,

    /// Take DPoP proofs only with a nonce that we handed out lately, so that none can be made in advance
    #[arg(long, value_name = "BOOL", env = "TOKENBERG_REQUIRE_DPOP_NONCE", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub(crate) require_dpop_nonce: Option<bool>,

    /// The algorithm of the key that is made on an empty store: ES256, ES384 or EdDSA [default: ES256]
    #[arg(long, value_name = "ALG", env = "TOKENBERG_ALG", value_parser = Algorithm::for_signing)]
    pub(crate) alg: Option<Algorithm>,

    /// What is logged, as in `info` or `warn,tokenberg::audit=info`; RUST_LOG counts, too [default: info]
    #[arg(long, value_name = "FILTER", env = "TOKENBERG_LOG")]
    pub(crate) log: Option<String>,

    /// How it is logged, on standard error [default: text]
    #[arg(long, value_name = "FORMAT", env = "TOKENBERG_LOG_FORMAT")]
    pub(crate) log_format: Option<LogFormat>,

    /// Believe issuers' addresses by the certificates in this PEM file only, instead of those of the web
    #[arg(long, value_name = "FILE", env = "TOKENBERG_ISSUER_CA")]
    pub(crate) issuer_ca: Option<PathBuf>,

    /// Issuers may publish their keys at addresses that only this machine or its network can reach
    #[arg(long, value_name = "BOOL", env = "TOKENBERG_ALLOW_PRIVATE_ISSUERS", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub(crate) allow_private_issuers: Option<bool>,

    /// Minimum interval between fetches of an issuer's keys that are caused by an unknown `kid`, after three at once [default: 1m]
    #[arg(long, value_name = "DURATION", env = "TOKENBERG_JWKS_REFETCH_AFTER", value_parser = duration::parse)]
    pub(crate) jwks_refetch_after: Option<Lifetime>,

    /// Make a new signing key when the present one has signed for so long, a day at least; it is published ten minutes before
    /// it signs. Of several servers one does it [default: never]
    #[arg(long, value_name = "DURATION", env = "TOKENBERG_ROTATE_KEYS_EVERY", value_parser = duration::parse)]
    pub(crate) rotate_keys_every: Option<Lifetime>,

    /// How many threads serve [default: one for each core]
    #[arg(long, value_name = "N", env = "TOKENBERG_WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,

    /// How long requests are still accepted after /readyz began to say no, so that a load balancer can notice [default: 0s]
    #[arg(long, value_name = "DURATION", env = "TOKENBERG_DRAIN_DELAY", value_parser = duration::parse)]
    pub(crate) drain_delay: Option<Lifetime>,

    /// How long the store may be out of reach until /readyz says no. Until then and after, what needs nothing new from it is
    /// answered from memory [default: 5m]
    #[arg(long, value_name = "DURATION", env = "TOKENBERG_MAX_STALENESS", value_parser = duration::parse)]
    pub(crate) max_staleness: Option<Lifetime>,

    /// How long records of the audit are kept in the store; 0s is for ever [default: 90d]
    #[arg(long, value_name = "DURATION", env = "TOKENBERG_AUDIT_RETENTION", value_parser = duration::parse)]
    pub(crate) audit_retention: Option<Lifetime>,

    /// What is done while the audit cannot be written and its queue in memory is full: drop and count records, or refuse
    /// requests with 503 [default: drop]
    #[arg(long, value_name = "POLICY", env = "TOKENBERG_AUDIT_WHEN_FULL")]
    pub(crate) audit_when_full: Option<AuditWhenFull>,

    /// The most records of the audit that wait in memory while it cannot be written; a thousand are some 600 kB, and 1 MiB at most
    /// [default: 65536]
    #[arg(long, value_name = "N", env = "TOKENBERG_AUDIT_QUEUE")]
    pub(crate) audit_queue: Option<NonZeroU32>,

    /// Bytes of the audit a minute that requests without client authentication may use, each record with a line of the log; the
    /// rest of them is only counted [default: 131072]
    #[arg(long, value_name = "BYTES", env = "TOKENBERG_AUDIT_UNAUTHENTICATED_BYTES")]
    pub(crate) audit_unauthenticated_bytes: Option<u32>,
}

/// What is done when no record can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AuditWhenFull {
    /// Answer, and count what was dropped
    Drop,
    /// Answer 503 until there is room
    Refuse,
}

/// Serves until it is told to end.
///
/// # Errors
/// If it cannot start.
pub(crate) fn run(common: &Common, asked: Serve) -> anyhow::Result<()> {
    let settings = Settings::resolve(common, &asked)?;
    server::run(common.clone(), asked, settings)
}
