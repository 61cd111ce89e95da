//! The service around the routes: the store, followed and kept.

use crate::clock;
use crate::devices;
use crate::error::ServiceError;
use crate::following::Following;
use crate::housekeeping::{self, Housekeeping};
use crate::keeping::Keeping;
use crate::rotation::Rotation;
use std::sync::Arc;
use tokenberg_core::jws::Algorithm;
use tokenberg_core::{ClientId, Issuer, Lifetime, Rights, Secret, Trust};
use tokenberg_store::{AuditTrail, EnsuredClient, Store, StoreError};
use tokio::task::AbortHandle;
#[cfg(feature = "actix")]
use {
    crate::device_signer::DeviceSigner,
    crate::figures,
    crate::measured::Measured,
    tokenberg_actix::{BearerConfig, Exposition, TokenService, TokenServiceBuilder},
    tokenberg_core::Policy,
};

/// A token service: its store, which is followed and kept in the background. A clone is the same service.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    following: Following,
    audit: AuditTrail,
    housekeeping: Housekeeping,
    #[cfg(feature = "actix")]
    measured: Measured,
    keeping: Option<Keeping>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Tokens {
    pub(crate) fn new(
        following: Following,
        audit: AuditTrail,
        audit_retention: Lifetime,
        rotation: &Rotation,
        keeping: Option<Keeping>,
    ) -> Self {
        let store = following.watched().store().clone();
        let housekeeping = Housekeeping { store, audit_retention };
        let mut tasks = housekeeping.begin();
        tasks.push(rotation.begin(following.clone()));
        tasks.extend(keeping.as_ref().map(Keeping::begin));
        following.watched().appear();
        #[cfg(feature = "actix")]
        let measured = Measured::default();
        #[cfg(feature = "actix")]
        tasks.push(measured.begin(&housekeeping.store));
        Self(Arc::new(Inner {
            following,
            audit,
            housekeeping,
            #[cfg(feature = "actix")]
            measured,
            keeping,
            tasks,
        }))
    }

    /// The open store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.housekeeping.store
    }

    /// The followed store: the [`World`](tokenberg_core::World) that requests are answered from.
    #[must_use]
    pub fn following(&self) -> &Following {
        &self.0.following
    }

    /// Where decisions are recorded.
    #[must_use]
    pub fn audit(&self) -> &AuditTrail {
        &self.0.audit
    }

    /// Makes a signing key if the store has none, in the device if there is one. Returns whether it did.
    ///
    /// # Errors
    /// If keys of the algorithm cannot be generated, or the store fails.
    pub async fn ensure_key(&self, algorithm: Algorithm) -> Result<bool, ServiceError> {
        if !self.following().watched().now().snapshot().keys().is_empty() {
            return Ok(false);
        }
        let now = clock::now()?;
        let key = devices::generate(self.following().device(), algorithm, now).await?;
        let added = self.store().ensure_key(&key).await?;
        if added {
            let (kid, alg) = (key.id.as_str(), algorithm.as_str());
            tracing::info!(kid, alg, "created the first signing key");
        } else {
            devices::discard(self.following().device(), &key).await;
        }
        self.following().catch_up().await?;
        Ok(added)
    }

    /// Registers the client with these rights and exactly these live secrets, at most two; see [`Store::ensure_client`]. It is in
    /// effect when this returns. Clients that are registered and not stated stay as they are.
    ///
    /// # Errors
    /// If there are more than two secrets, a secret or a federation is refused, or the store fails.
    pub async fn ensure_client(
        &self,
        id: &ClientId,
        rights: &Rights,
        secrets: &[Secret],
    ) -> Result<EnsuredClient, ServiceError> {
        let ensured = self.store().ensure_client(clock::now()?, id, rights, secrets).await?;
        let client = id.as_str();
        if ensured.has_weak_secret {
            tracing::warn!(client, "a secret of the client is short enough to be guessed");
        }
        let EnsuredClient { added, rights_changed, secrets_added, secrets_ended, .. } = &ensured;
        if *added || *rights_changed || !secrets_added.is_empty() || !secrets_ended.is_empty() {
            tracing::info!(
                client,
                added,
                rights_changed,
                ?secrets_added,
                ?secrets_ended,
                "registered a client as stated"
            );
        }
        self.following().catch_up().await?;
        Ok(ensured)
    }

    /// Trusts an issuer this far, and no further if it was trusted before. A disabled issuer stays disabled. Issuers that are
    /// trusted and not stated stay as they are. An issuer whose keys have to be fetched needs
    /// `TokenServiceBuilder::issuer_keys`.
    ///
    /// # Errors
    /// If another issuer has an overlapping prefix, or the store fails.
    pub async fn ensure_issuer(&self, issuer: &Issuer, trust: &Trust) -> Result<(), ServiceError> {
        let store = self.store();
        match store.issuer(issuer).await {
            Ok(known) if known.trusted.trust == *trust => return Ok(()),
            Ok(_) => store.set_trust(issuer, trust).await?,
            Err(StoreError::NoSuchIssuer { .. }) => {
                match store.add_issuer(clock::now()?, issuer, trust).await {
                    // Another process has added it meanwhile.
                    Err(StoreError::IssuerExists { .. }) => store.set_trust(issuer, trust).await?,
                    other => other?,
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(self.following().catch_up().await?)
    }

    /// Whether requests can be answered, with a text for a probe; see [`Following::ready`].
    ///
    /// # Errors
    /// The reason, which holds no secret.
    pub fn ready(&self) -> Result<String, String> {
        self.following().ready()
    }

    /// Deletes now what has expired and writes which secrets were used. It happens in the background, too.
    pub async fn clean(&self) {
        self.0.housekeeping.run().await;
    }

    /// Ends the work in the background, writes what is left, and closes the store, which does not list this process any more. A service in actix ends with `Tokens::end`.
    pub async fn close(&self) {
        self.0.tasks.iter().for_each(AbortHandle::abort);
        self.following().watched().leave().await;
        if let Some(keeping) = &self.0.keeping {
            keeping.end().await;
        }
        housekeeping::write_uses(self.store()).await;
        self.0.audit.end().await;
        self.store().close().await;
    }
}

#[cfg(feature = "actix")]
impl Tokens {
    /// Begins a service with this policy, which answers from the followed store, and writes revocations, used identifiers and the
    /// audit to it. Keys of the store that a device holds sign in the device.
    pub fn service(&self, policy: Policy) -> TokenServiceBuilder {
        let following = self.following();
        let service = TokenService::builder(policy, following.clone())
            .revocations(following.watched())
            .single_use(following.watched())
            .recorder(self.audit().clone());
        match DeviceSigner::of(following) {
            Some(signer) => service.signer(signer),
            None => service,
        }
    }

    /// Which tokens the routes of this program accept: those of the service, each DPoP proof once; see [`BearerConfig::at`] for
    /// tokens that are bound to a key.
    #[must_use]
    pub fn bearer(&self, service: &TokenService) -> BearerConfig {
        BearerConfig::of(service).single_use(self.following().watched())
    }

    /// Writes the present metrics of the store, its keys and its audit; those of requests are written by
    /// [`TokenService::expose`].
    pub fn expose(&self, to: &mut Exposition) {
        figures::expose(self.following(), to);
        figures::expose_file(self.0.keeping.as_ref().map(|keeping| &*keeping.file), to);
        figures::expose_audit(self.audit().metrics(), to);
        let store = self.store();
        figures::expose_activity(store.connections(), &store.transaction_times(), to);
        figures::expose_measures(self.0.measured.last(), self.0.housekeeping.audit_retention, to);
    }

    /// All metrics of the service in Prometheus' text format 0.0.4, which can be appended to those of another registry.
    #[must_use]
    pub fn metrics(&self, service: &TokenService) -> String {
        let mut exposition = Exposition::default();
        service.expose(&mut exposition);
        self.expose(&mut exposition);
        exposition.into_text()
    }

    /// Ends in order, after the server has: reports what the service left out of the audit, then as [`Tokens::close`].
    pub async fn end(&self, service: &TokenService) {
        service.report_left_out();
        self.close().await;
    }
}
