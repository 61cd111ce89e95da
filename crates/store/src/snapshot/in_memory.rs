//! What is in the store at one moment? Everything that tokens are answered from, in memory.

use crate::database::{Numbers, Part};
use crate::registrations::{DisabledSubjects, TrustedIssuers};
use crate::revocations::{RevokedBefore, RevokedIds};
use crate::snapshot::registered::Registered;
use std::sync::Arc;
use tokenberg_core::{
    AccessTokenClaims, Client, ClientId, Issuer, KeyMaterial, Namesake, Revocation, SecretDigest,
    SubjectStanding, TrustedIssuer,
};

/// The clients, keys, revocations and trusted issuers of one moment. It never changes, and a clone costs nothing.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) numbers: Numbers,
    pub(crate) clients: Arc<Registered>,
    pub(crate) keys: Arc<[KeyMaterial]>,
    pub(crate) revoked_ids: Arc<RevokedIds>,
    pub(crate) revoked_before: Arc<RevokedBefore>,
    pub(crate) issuers: Arc<TrustedIssuers>,
    pub(crate) disabled_subjects: Arc<DisabledSubjects>,
}

impl Snapshot {
    /// The client of this identifier, disabled ones too.
    #[must_use]
    pub fn client(&self, id: &ClientId) -> Option<&Arc<Client>> {
        self.clients.find(id.as_str())
    }

    /// How many clients there are.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// The enabled client for which this subject of this issuer stands, if it is exactly one.
    #[must_use]
    pub fn federated(&self, issuer: &Issuer, subject: &str) -> Option<&Arc<Client>> {
        self.clients.federated(issuer, subject)
    }

    /// The issuer that is trusted under exactly this identifier, disabled ones too.
    #[must_use]
    pub fn issuer(&self, issuer: &str) -> Option<&Arc<TrustedIssuer>> {
        self.issuers.find(issuer)
    }

    /// How many issuers are trusted, disabled ones counted.
    #[must_use]
    pub fn issuers(&self) -> usize {
        self.issuers.len()
    }

    /// The trusted issuers, disabled ones too, in the order in which they were registered.
    pub fn issuers_in_order(&self) -> impl Iterator<Item = &TrustedIssuer> {
        self.issuers.in_order()
    }

    /// What the operator decided about a subject of another issuer or, without one, about the user of an unsecured JWT; and who
    /// else has the name `sub` that our tokens give it. The operator may know the subject by either name.
    #[must_use]
    pub fn subject(&self, issuer: Option<&Issuer>, subject: &str, sub: &str) -> SubjectStanding {
        let trusted = issuer.and_then(|issuer| self.issuer(issuer.as_str())).map(AsRef::as_ref);
        let client = self.clients.find(sub).map(|client| &client.id);
        SubjectStanding {
            disabled: [subject, sub].iter().any(|name| self.disabled_subjects.has(issuer, name)),
            revoked_before: [subject, sub]
                .iter()
                .filter_map(|name| self.revoked_before.of_name(issuer, name))
                .max(),
            namesake: Namesake::find(sub, trusted, client, self.issuers.in_order()),
        }
    }

    /// How many subjects are disabled.
    #[must_use]
    pub fn disabled_subjects(&self) -> usize {
        self.disabled_subjects.len()
    }

    /// The signing keys, by the time from which they sign.
    #[must_use]
    pub fn keys(&self) -> &[KeyMaterial] {
        &self.keys
    }

    /// Whether the operator took the token back.
    #[must_use]
    pub fn revoked(&self, token: &AccessTokenClaims) -> Option<Revocation> {
        self.revoked_ids.find(token).or_else(|| Revocation::before(token, &*self.revoked_before))
    }

    /// How many revocations there are.
    #[must_use]
    pub fn revocations(&self) -> usize {
        self.revoked_ids.len() + self.revoked_before.len()
    }

    /// Grows with every change of the store that a snapshot shows.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.numbers.iter().sum()
    }

    /// Whether this digest is that of a secret of the client that is good for as long as nobody changes anything.
    ///
    /// Not so of a disabled client or a secret with an end: for those, right and wrong have to take the same time (AB-06).
    pub(crate) fn vouches(&self, client_id: &str, digest: &SecretDigest) -> bool {
        self.clients.find(client_id).is_some_and(|client| {
            client.enabled
                && client.secrets.iter().any(|s| s.expires_at.is_none() && s.digest.matches(digest))
        })
    }

    /// The name of the secret that the digest is of, if the client is enabled.
    pub(crate) fn secret_of(&self, client_id: &str, digest: &SecretDigest) -> Option<&str> {
        let client = self.clients.find(client_id).filter(|client| client.enabled)?;
        // All are compared, wherever the right one stands.
        client.secrets.iter().fold(None, |found, secret| {
            if secret.digest.matches(digest) { Some(secret.id.as_str()) } else { found }
        })
    }

    pub(crate) fn has_keys_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.keys, &other.keys)
    }

    /// Goes back to the keys of another snapshot, and to their number, so that they count as changed since.
    pub(crate) fn take_keys_of(&mut self, other: &Self) {
        self.keys = other.keys.clone();
        self.numbers[Part::Keys as usize] = other.numbers[Part::Keys as usize];
    }
}
