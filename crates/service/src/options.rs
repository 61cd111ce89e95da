//! The options of a service: how it follows and keeps its store.

use crate::error::ServiceError;
use crate::following::Following;
use crate::keeping::Keeping;
use crate::rotation::Rotation;
use crate::tokens::Tokens;
use std::sync::Arc;
use std::time::Duration;
use tokenberg_core::jws::Algorithm;
use tokenberg_core::{KeyDevice, Lifetime};
use tokenberg_store::{KekSource, Opened, Opening, SnapshotFile, Store, StoreUrl, TrailOptions};

/// How a service follows and keeps its store. The defaults are those of `tokenberg serve`.
///
/// ```no_run
/// use std::time::Duration;
/// use tokenberg_core::Lifetime;
/// use tokenberg_service::{Options, Rotation};
/// use tokenberg_store::KekSource;
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
///
/// let tokens = Options::default()
///     .max_staleness(Duration::from_secs(60))
///     .rotation(Rotation::of(Some(Lifetime::from_hours(90 * 24))))
///     .open(&"sqlite:tokens.db".parse()?, KekSource::File("tokens.db.key".into()))
///     .await?;
/// # drop(tokens);
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "options have no effect until a store is opened with them"]
pub struct Options {
    changed_by: Box<str>,
    first_key: Option<Algorithm>,
    max_staleness: Duration,
    audit: TrailOptions,
    audit_retention: Lifetime,
    rotation: Rotation,
    snapshot: Option<Arc<SnapshotFile>>,
    device: Option<Arc<dyn KeyDevice>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            changed_by: "an embedding program".into(),
            first_key: Some(Algorithm::ES256),
            max_staleness: Duration::from_secs(5 * 60),
            audit: TrailOptions::default(),
            audit_retention: Lifetime::from_hours(90 * 24),
            rotation: Rotation::default(),
            snapshot: None,
            device: None,
        }
    }
}

impl Options {
    /// Sets who makes changes of this process, for the audit; `an embedding program` by default.
    pub fn changed_by(self, source: &str) -> Self {
        Self { changed_by: source.into(), ..self }
    }

    /// Sets the algorithm of the key that is generated if the store has none; ES256 by default. With `None`, no key is generated,
    /// and the service is not ready until there is one.
    pub fn first_key(self, algorithm: Option<Algorithm>) -> Self {
        Self { first_key: algorithm, ..self }
    }

    /// Sets how long the store may be unreachable before the service is not ready, and introspection and
    /// [`Bearer`](https://docs.rs/tokenberg-actix) answer 503; 5 min by default. Until then requests that write nothing are answered
    /// from memory, with the revocations that were known at the last successful read.
    pub fn max_staleness(self, max_staleness: Duration) -> Self {
        Self { max_staleness, ..self }
    }

    /// Sets how audit records wait in memory.
    pub fn audit(self, audit: TrailOptions) -> Self {
        Self { audit, ..self }
    }

    /// Sets how long audit records are kept in the store; 90 days by default, and forever with [`Lifetime::ZERO`].
    pub fn audit_retention(self, audit_retention: Lifetime) -> Self {
        Self { audit_retention, ..self }
    }

    /// Sets the age at which the signing key is replaced; never by default. The next key is published 10 min before it signs. Of
    /// several processes on one store, one makes it.
    pub fn rotation(self, rotation: Rotation) -> Self {
        Self { rotation, ..self }
    }

    /// Keeps the last known state of a PostgreSQL store in a file, and starts from it while the database is away; never by default.
    pub fn snapshot(self, file: Arc<SnapshotFile>) -> Self {
        Self { snapshot: Some(file), ..self }
    }

    /// Sets the device that holds signing keys, such as `Pkcs11` of `tokenberg-jose`. The first key, and the successors of its keys, are
    /// generated in it. Without it, a service whose signing key is in a device is not ready, and answers token requests with 503.
    pub fn device(self, device: impl KeyDevice + 'static) -> Self {
        Self { device: Some(Arc::new(device)), ..self }
    }

    /// Opens the store, creates what is missing, makes the first key, and begins to follow and to keep it.
    ///
    /// Must be called within a tokio runtime, as that of actix. The work in the background ends with [`Tokens::close`], or when the
    /// last clone is dropped.
    ///
    /// # Errors
    /// As [`Store::open`]; and if the keys of the store cannot be used.
    pub async fn open(self, url: &StoreUrl, kek: KekSource) -> Result<Tokens, ServiceError> {
        let opened = Store::open_or_last_known(url, kek, Opening::Make, self.snapshot.as_deref()).await?;
        self.over(opened).await
    }

    /// The same with a store that is open already, for a program that decides how stores are opened.
    ///
    /// # Errors
    /// If the store cannot be read or its keys cannot be used.
    pub async fn over(self, opened: impl Into<Opened>) -> Result<Tokens, ServiceError> {
        let opened = opened.into();
        let facts = [("host", host()), ("version", env!("CARGO_PKG_VERSION").to_owned())];
        let store = opened.store().clone().changed_by(&self.changed_by).on_node(&facts);
        let audit = store.audit_trail_with(self.audit);
        let following = Following::of(&opened, self.max_staleness).await?.with_device(self.device);
        let keeping = self.snapshot.map(|file| Keeping { following: following.clone(), file });
        let tokens = Tokens::new(following, audit, self.audit_retention, &self.rotation, keeping);
        if let Some(algorithm) = self.first_key {
            tokens.ensure_key(algorithm).await?;
        }
        Ok(tokens)
    }
}

/// The name of this machine; empty if it is not known.
#[must_use]
pub fn host() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME"));
    host.unwrap_or_default().trim().to_owned()
}

impl Tokens {
    /// Opens the store with the default [`Options`], which create what is missing: the SQLite file, the tables, the key file,
    /// the first signing key.
    ///
    /// Must be called within a tokio runtime, as that of actix.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub async fn open(url: &StoreUrl, kek: KekSource) -> Result<Self, ServiceError> {
        Options::default().open(url, kek).await
    }
}
