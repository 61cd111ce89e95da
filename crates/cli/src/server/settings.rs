//! The settings of the server: options of `serve` and `check`, and keys of the configuration file; conformance OP-12, OP-13.
//!
//! A new setting is declared here and used where it matters; variable, key of the file, `--print-config` and the report of what
//! needs a restart follow from the declaration.

use super::audit_settings::AuditSettings;
use super::listening::Listening;
use crate::common::Common;
use crate::configuration::values::{path, whole_number};
use crate::device::DeviceOptions;
use crate::duration;
use crate::failure::Mistakes;
use crate::issuer_keys::IssuerAccess;
use crate::logging::{self, LogFormat};
use clap::{ArgAction, Args};
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::time::Duration;
use tokenberg_core::jws::Algorithm;
use tokenberg_core::{Issuer, Lifetime};
use tokenberg_jose::FetchLimits;
use tokenberg_store::{SnapshotFile, StoreUrl};

/// Everything that is configured.
#[derive(Clone, Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Settings {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) listening: Listening,

    /// Maximum number of wrong secrets per minute from one source for one client; further attempts are answered 429
    #[arg(long, value_name = "N", env = "TOKENBERG_FAILURES_PER_CLIENT", default_value = "30", help_heading = REQUESTS,
          value_parser = whole_number(1..=1_000_000))]
    pub(crate) failures_per_client: u32,

    /// Maximum number of wrong secrets, and of invalid signatures that are costly to verify, per minute from one source; further
    /// attempts are answered 429
    #[arg(long, value_name = "N", env = "TOKENBERG_FAILURES_PER_SOURCE", default_value = "600", help_heading = REQUESTS,
          value_parser = whole_number(1..=1_000_000))]
    pub(crate) failures_per_source: u32,

    /// Send only the six error codes of Iceberg's specification, with invalid_request in place of invalid_target
    #[arg(long, value_name = "BOOL", env = "TOKENBERG_STRICT_ICEBERG_ERRORS", action = ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_value = "false", default_missing_value = "true", help_heading = REQUESTS)]
    pub(crate) strict_iceberg_errors: bool,

    /// Accept DPoP proofs only with a recent nonce from the server, so that proofs cannot be made in advance
    #[arg(long, value_name = "BOOL", env = "TOKENBERG_REQUIRE_DPOP_NONCE", action = ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_value = "false", default_missing_value = "true", help_heading = REQUESTS)]
    pub(crate) require_dpop_nonce: bool,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) device: DeviceOptions,

    /// Algorithm of the signing key that is generated for an empty store: ES256, ES384 or EdDSA; in a device, RS256 or PS256 as well
    #[arg(long, value_name = "ALG", env = "TOKENBERG_ALG", default_value = "ES256", help_heading = KEYS,
          value_parser = Algorithm::for_signing)]
    pub(crate) alg: Algorithm,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) issuer_access: IssuerAccess,

    /// Minimum interval between fetches of an issuer's keys that an unknown `kid` causes; a burst of three is allowed
    #[arg(long, value_name = "DURATION", env = "TOKENBERG_JWKS_REFETCH_AFTER", default_value = "1m", help_heading = KEYS,
          value_parser = duration::at_least(1))]
    #[serde(serialize_with = "duration::serialize")]
    pub(crate) jwks_refetch_after: Lifetime,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) reloaded: Reloaded,

    /// Make a new store in an empty PostgreSQL database, although the key-encryption key exists already. Without this option, such a
    /// server ends: it is in the wrong database, or early in a restore. `tokenberg init` makes a store, too
    #[arg(long, value_name = "BOOL", env = "TOKENBERG_CREATE", action = ArgAction::Set, num_args = 0..=1,
          require_equals = true, default_value = "false", default_missing_value = "true", help_heading = OPERATION)]
    pub(crate) create: bool,

    /// Log format; the log is written to standard error
    #[arg(long, value_name = "FORMAT", env = "TOKENBERG_LOG_FORMAT", default_value = "text", help_heading = OPERATION)]
    pub(crate) log_format: LogFormat,

    /// Number of worker threads [default: one per core]
    #[arg(long, value_name = "N", env = "TOKENBERG_WORKERS", help_heading = OPERATION, value_parser = whole_number(1..=1024))]
    pub(crate) workers: Option<u32>,

    /// How long requests are still accepted after SIGTERM while /readyz fails, so that load balancers stop sending requests. A second
    /// signal ends the server at once
    #[arg(long, value_name = "DURATION", env = "TOKENBERG_DRAIN_DELAY", default_value = "5s", help_heading = OPERATION,
          value_parser = duration::parse)]
    #[serde(serialize_with = "duration::serialize")]
    pub(crate) drain_delay: Lifetime,

    /// How long the store may be unreachable before /readyz fails and introspection answers 503. Token requests that need no
    /// write are answered from memory
    #[arg(long, value_name = "DURATION", env = "TOKENBERG_MAX_STALENESS", default_value = "5m", help_heading = OPERATION,
          value_parser = duration::parse)]
    #[serde(serialize_with = "duration::serialize")]
    pub(crate) max_staleness: Lifetime,

    /// Number of servers that share the store, for the metric tokenberg_nodes_expected and its alert [default: not stated]
    #[arg(long, value_name = "N", env = "TOKENBERG_EXPECT_NODES", help_heading = OPERATION, value_parser = whole_number(1..=1000))]
    pub(crate) expect_nodes: Option<u32>,
    /// File in which the server keeps the last known state of a PostgreSQL store, sealed with the key-encryption key. If the database
    /// is away when the server starts, it starts from this file and answers what needs no write. Each server needs its own file
    #[arg(long, value_name = "FILE", env = "TOKENBERG_SNAPSHOT", help_heading = OPERATION)]
    #[serde(serialize_with = "path")]
    pub(crate) snapshot: Option<PathBuf>,

    /// How old the state in that file may be at a start, counted from when it was last known to equal the store
    #[arg(long, value_name = "DURATION", env = "TOKENBERG_SNAPSHOT_MAX_AGE", default_value = "1h", help_heading = OPERATION,
          value_parser = duration::at_least(1))]
    #[serde(serialize_with = "duration::serialize")]
    pub(crate) snapshot_max_age: Lifetime,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) audit: AuditSettings,
}

/// The settings that a running server takes over at SIGHUP. All others need a restart.
#[derive(Clone, Debug, Args, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Reloaded {
    /// Age at which the signing key is replaced automatically, at least 1d. The new key is published 10m before it signs. Of
    /// several servers on one store, one creates it. Reloaded on SIGHUP [default: never]
    #[arg(long, value_name = "DURATION", env = "TOKENBERG_ROTATE_KEYS_EVERY", help_heading = KEYS,
          value_parser = duration::at_least(86_400))]
    #[serde(serialize_with = "duration::serialize")]
    pub(crate) rotate_keys_every: Option<Lifetime>,

    /// Log filter, such as `info` or `warn,tokenberg::audit=info`; if it is not set, RUST_LOG applies. Reloaded on SIGHUP
    #[arg(long, value_name = "FILTER", env = "TOKENBERG_LOG", default_value = "info,actix_server=warn", help_heading = OPERATION,
          value_parser = logging::filter)]
    pub(crate) log: String,
}

const REQUESTS: &str = "Requests";
const KEYS: &str = "Keys";
const OPERATION: &str = "Operation";

/// The key of the store's address.
const STORE: &str = "store";

impl Settings {
    /// Checks that settings fit together, and to the store.
    ///
    /// # Errors
    /// All that do not.
    pub(crate) fn check(&self, store: &StoreUrl) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        self.listening.check(&mut mistakes);
        if self.snapshot.is_some() && store.path().is_some() {
            mistakes.add_usage("--snapshot is for a store on PostgreSQL: a file of SQLite is on this machine, as the snapshot is");
        }
        self.device.check(&mut mistakes);
        mistakes.into_result()
    }

    /// How often the keys of issuers are fetched.
    pub(crate) fn fetch_limits(&self) -> FetchLimits {
        FetchLimits { refetch_after: self.jwks_refetch_after, ..FetchLimits::default() }
    }

    /// The file with the last known state of the store.
    pub(crate) fn snapshot_file(&self, store: &StoreUrl, issuer: &Issuer) -> Option<SnapshotFile> {
        let max_age = Duration::from_secs(self.snapshot_max_age.as_seconds().into());
        self.snapshot.as_ref().map(|path| SnapshotFile::new(path, store, issuer, max_age))
    }

    /// Whether an empty store cannot begin with a key of the algorithm.
    pub(crate) fn is_first_key_impossible(&self) -> bool {
        !self.device.is_given() && !matches!(self.alg, Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA)
    }

    /// The number of threads that serve.
    pub(crate) fn workers(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.workers.and_then(|workers| usize::try_from(workers).ok()).unwrap_or_else(cores)
    }
}

/// The values by the keys of the file: those of the common options, and the server's own. A password of the store is left out.
///
/// # Errors
/// None is known.
pub(crate) fn values(common: &Common, settings: &Settings) -> serde_json::Result<Map<String, Value>> {
    let mut values = by_key(common)?;
    values.extend(by_key(settings)?);
    Ok(values)
}

/// The keys whose values differ from those of the running server, and that need a restart.
///
/// # Errors
/// As [`values`].
pub(super) fn needing_restart(
    (common, settings): (&Common, &Settings),
    running: (&Common, &Settings),
) -> serde_json::Result<Vec<String>> {
    let (reloaded, old) = (by_key(&settings.reloaded)?, values(running.0, running.1)?);
    // A password may be all that differs in the address of the store.
    let differs = |key: &str, value: &Value| {
        old.get(key) != Some(value) || key == STORE && common.store != running.0.store
    };
    let fresh = values(common, settings)?.into_iter();
    let changed = fresh.filter(|(key, value)| !reloaded.contains_key(key) && differs(key, value));
    Ok(changed.map(|(key, _)| key).collect())
}

fn by_key(settings: &impl Serialize) -> serde_json::Result<Map<String, Value>> {
    serde_json::from_value(serde_json::to_value(settings)?)
}

#[cfg(test)]
pub(super) mod tests;
