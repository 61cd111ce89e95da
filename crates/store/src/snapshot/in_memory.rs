//! The snapshot: all state that token requests are answered from, in memory.

use crate::database::{Numbers, Part, Progress, Recorded};
use crate::registrations::{DisabledSubjects, TrustedIssuers};
use crate::revocations::{RevokedBefore, RevokedIds};
use crate::snapshot::registered::Registered;
use std::sync::Arc;
use tokenberg_core::answers::SubjectStatus;
use tokenberg_core::issuer::Namesake;
use tokenberg_core::jws::KeyMaterial;
use tokenberg_core::revocation::RevokedBefore as _;
use tokenberg_core::{AccessTokenClaims, Client, ClientId, Issuer, Revocation, SecretDigest, TrustedIssuer};

/// The clients, keys, revocations and trusted issuers of one moment. A snapshot never changes; cloning it is cheap.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) numbers: Numbers,
    /// The last record in the installation's chain.
    pub(crate) recorded: Recorded,
    pub(crate) clients: Arc<Registered>,
    pub(crate) keys: Arc<[KeyMaterial]>,
    pub(crate) revoked_ids: Arc<RevokedIds>,
    pub(crate) revoked_before: Arc<RevokedBefore>,
    pub(crate) issuers: Arc<TrustedIssuers>,
    pub(crate) disabled_subjects: Arc<DisabledSubjects>,
}

impl Snapshot {
    /// The client with this identifier, even if it is disabled.
    #[must_use]
    pub fn client(&self, id: &ClientId) -> Option<&Arc<Client>> {
        self.clients.find(id.as_str())
    }

    /// The number of clients.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// The enabled client that this foreign identity authenticates, if it is exactly one.
    #[must_use]
    pub fn federated(&self, issuer: &Issuer, subject: &str) -> Option<&Arc<Client>> {
        self.clients.federated(issuer, subject)
    }

    /// The trusted issuer with exactly this identifier, even if it is disabled.
    #[must_use]
    pub fn issuer(&self, issuer: &str) -> Option<&Arc<TrustedIssuer>> {
        self.issuers.find(issuer)
    }

    /// The number of trusted issuers, disabled ones included.
    #[must_use]
    pub fn issuers(&self) -> usize {
        self.issuers.len()
    }

    /// The trusted issuers, disabled ones included, in the order in which they were registered.
    pub fn issuers_in_order(&self) -> impl Iterator<Item = &TrustedIssuer> {
        self.issuers.in_order()
    }

    /// The status of a subject of another issuer or, without one, of the user of an unsecured JWT, and who else has the name
    /// `sub` that our tokens give it. The operator may use either name.
    #[must_use]
    pub fn subject(&self, issuer: Option<&Issuer>, subject: &str, sub: &str) -> SubjectStatus {
        let trusted = issuer.and_then(|issuer| self.issuer(issuer.as_str())).map(AsRef::as_ref);
        let client = self.clients.find(sub).map(|client| &client.id);
        SubjectStatus {
            disabled: [subject, sub].iter().any(|name| self.disabled_subjects.has(issuer, name)),
            revoked_before: [subject, sub]
                .iter()
                .filter_map(|name| self.revoked_before.of_name(issuer, name))
                .max(),
            issuer_revoked_before: issuer.and_then(|issuer| self.revoked_before.of_issuer(issuer)),
            namesake: Namesake::find(sub, trusted, client, self.issuers.in_order()),
        }
    }

    /// The number of disabled subjects.
    #[must_use]
    pub fn disabled_subjects(&self) -> usize {
        self.disabled_subjects.len()
    }

    /// The signing keys, sorted by the time from which they sign.
    #[must_use]
    pub fn keys(&self) -> &[KeyMaterial] {
        &self.keys
    }

    /// The revocation of the token, if it was revoked.
    #[must_use]
    pub fn revoked(&self, token: &AccessTokenClaims) -> Option<Revocation> {
        self.revoked_ids.find(token).or_else(|| Revocation::before(token, &*self.revoked_before))
    }

    /// The number of revocations.
    #[must_use]
    pub fn revocations(&self) -> usize {
        self.revoked_ids.len() + self.revoked_before.len()
    }

    /// Grows with every change of the store that a snapshot shows.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.numbers.iter().sum()
    }

    /// Whether this is the digest of a secret of an enabled client that stays valid until the registration changes.
    ///
    /// `false` for a disabled client, and for a secret that expires: for those, a right and a wrong secret have to take the
    /// same time (AB-06).
    pub(crate) fn vouches(&self, client_id: &str, digest: &SecretDigest) -> bool {
        self.clients.find(client_id).is_some_and(|client| {
            client.enabled
                && client.secrets.iter().any(|s| s.expires_at.is_none() && s.digest.matches(digest))
        })
    }

    /// The name of the secret with this digest, if the client is enabled.
    pub(crate) fn secret_of(&self, client_id: &str, digest: &SecretDigest) -> Option<&str> {
        let client = self.clients.find(client_id).filter(|client| client.enabled)?;
        // Compares all of them, wherever the right one is.
        client.secrets.iter().fold(None, |found, secret| {
            if secret.digest.matches(digest) { Some(secret.id.as_str()) } else { found }
        })
    }

    /// Whether the store has come no further.
    pub(crate) fn is_at(&self, progress: &Progress) -> bool {
        self.numbers == progress.numbers && self.recorded == progress.recorded
    }

    pub(crate) fn has_keys_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.keys, &other.keys)
    }

    /// Takes the keys of another snapshot. The present keys count as changed since.
    pub(crate) fn take_keys_of(&mut self, other: &Self) {
        self.keys = other.keys.clone();
        self.numbers[Part::Keys as usize] -= 1;
    }
}
