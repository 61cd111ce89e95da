//! Registers what an embedding program states in its code: the first key, and clients with exactly these rights and secrets.

use crate::audit::Change;
use crate::database::{Part, Tx, values};
use crate::digest::{NewSecret, SecretStrength};
use crate::error::StoreError;
use crate::registrations::client_rows::{ClientRow, Gathering, SELECT_CLIENT};
use crate::registrations::known_rights::from_json;
use crate::store::Store;
use tokenberg_core::jws::KeyMaterial;
use tokenberg_core::registration::StoredSecret;
use tokenberg_core::{Client, ClientId, Rights, Secret, Timestamp};

/// What [`Store::ensure_client`] changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnsuredClient {
    /// Whether the client was added.
    pub added: bool,
    /// Whether its rights were replaced.
    pub rights_changed: bool,
    /// The names of the secrets that were added.
    pub secrets_added: Vec<Box<str>>,
    /// The names of the secrets that have ended.
    pub secrets_ended: Vec<Box<str>>,
    /// Whether a secret is short enough to be guessed, whether it was added now or earlier.
    pub has_weak_secret: bool,
}

/// The difference between the live secrets of a client and those that it should have.
struct Difference<'a> {
    missing: Vec<&'a StoredSecret>,
    surplus: Vec<Box<str>>,
}

impl Store {
    /// Adds the key if the store has none. Of several processes that start on one store, one adds a key. Returns whether it
    /// was this one.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn ensure_key(&self, key: &KeyMaterial) -> Result<bool, StoreError> {
        let count = "SELECT COUNT(*) FROM signing_keys";
        // Checked first, so that an ordinary start writes nothing.
        if self.0.db.value::<i64>(count, &[]).await? > 0 {
            return Ok(false);
        }
        let add = self.0.db.change(&[Part::Keys], |tx| {
            Box::pin(async move {
                if tx.value::<i64>(count, &[]).await? > 0 {
                    return Ok(false);
                }
                self.insert_key(tx, key).await?;
                self.record_change(tx, Change::key("key added", key)).await?;
                Ok(true)
            })
        });
        add.await
    }

    /// Registers the client with these rights and exactly these live secrets: adds what is missing, replaces other rights, and
    /// ends every other secret at `now`. A disabled client stays disabled. If all is so already, nothing is written.
    ///
    /// For a rotation, state the old and the new secret first, and later the new one alone.
    ///
    /// # Errors
    /// If there are more than two secrets, a secret or a federation is refused, or the store fails or is damaged.
    pub async fn ensure_client(
        &self,
        now: Timestamp,
        id: &ClientId,
        rights: &Rights,
        secrets: &[Secret],
    ) -> Result<EnsuredClient, StoreError> {
        let mut wanted = Vec::new();
        let mut has_weak_secret = false;
        for secret in secrets {
            let prepared = self.prepare(id, NewSecret::Chosen(secret.clone())).await?;
            has_weak_secret |= prepared.added.strength == SecretStrength::Weak;
            wanted.push(prepared.stored);
        }
        if let [first, second, _, ..] = wanted.as_slice() {
            let live = [first.id.as_str().into(), second.id.as_str().into()];
            return Err(StoreError::TooManySecrets { client: id.clone(), live });
        }
        let unchanged = EnsuredClient { has_weak_secret, ..EnsuredClient::default() };
        let present = self.read(self.0.db.all(SELECT_CLIENT, values![id.as_str()]).await?)?;
        if let Some(present) = &present {
            let Difference { missing, surplus } = difference(present, &wanted, now);
            if *present.rights == *rights && missing.is_empty() && surplus.is_empty() {
                return Ok(unchanged);
            }
        }
        let (wanted, unchanged) = (&wanted, &unchanged);
        let ensure = self.0.db.change(&[Part::Clients], |tx| {
            Box::pin(async move {
                let mut ensured = unchanged.clone();
                self.ensure_rights(tx, now, id, rights, &mut ensured).await?;
                let rows = tx.all(SELECT_CLIENT, values![id.as_str()]).await?;
                let present = self.read(rows)?.ok_or_else(|| StoreError::NoSuchClient { id: id.clone() })?;
                let Difference { missing, surplus } = difference(&present, wanted, now);
                for secret in missing {
                    self.write_secret(tx, now, id, secret).await?;
                    ensured.secrets_added.push(secret.id.as_str().into());
                }
                for secret in surplus {
                    self.write_expiry(tx, id, &secret, now).await?;
                    ensured.secrets_ended.push(secret);
                }
                Ok(ensured)
            })
        });
        ensure.await
    }

    async fn ensure_rights(
        &self,
        tx: &mut Tx<'_>,
        now: Timestamp,
        id: &ClientId,
        rights: &Rights,
        ensured: &mut EnsuredClient,
    ) -> Result<(), StoreError> {
        let read = "SELECT rights FROM clients WHERE id = $1";
        let before: Option<String> = tx.find_value(read, values![id.as_str()]).await?;
        if let Some(before) = before {
            ensured.rights_changed = from_json(&before, id.as_str())? != *rights;
            if ensured.rights_changed {
                self.write_rights(tx, id, &before, rights).await?;
            }
        } else {
            self.add_client_in(tx, now, id, rights).await?;
            ensured.added = true;
        }
        Ok(())
    }

    fn read(&self, rows: Vec<crate::registrations::ClientRecordRow>) -> Result<Option<Client>, StoreError> {
        let mut gathering = Gathering::default();
        for row in rows {
            gathering.add(row)?;
        }
        Ok(gathering.finish().map(|row: ClientRow| row.into_client(&self.0.known_rights)))
    }
}

/// Compares digests. A secret with an end counts as missing, because that end is never postponed.
fn difference<'a>(present: &Client, wanted: &'a [StoredSecret], now: Timestamp) -> Difference<'a> {
    let live = || present.secrets.iter().filter(|secret| secret.is_live(now));
    let has = |secret: &StoredSecret| {
        live().any(|other| other.expires_at.is_none() && other.digest.matches(&secret.digest))
    };
    let is_wanted = |secret: &StoredSecret| wanted.iter().any(|other| other.digest.matches(&secret.digest));
    Difference {
        missing: wanted.iter().filter(|secret| !has(secret)).collect(),
        surplus: live().filter(|secret| !is_wanted(secret)).map(|secret| secret.id.as_str().into()).collect(),
    }
}
