//! Adds, expires and rotates the secrets of clients, and records their use; conformance CA-21.

use crate::audit::Change;
use crate::database::{Part, Tx, values};
use crate::digest::{NewSecret, SecretStrength, check, generate};
use crate::error::StoreError;
use crate::registrations::client_rows::{insert_secret, mark_client_changed};
use crate::store::Store;
use ring::rand::{SecureRandom, SystemRandom};
use tokenberg_core::registration::StoredSecret;
use tokenberg_core::{ClientId, Secret, Timestamp};

/// How many rows one transaction writes, so that other writers wait a few milliseconds at most.
const BATCH: usize = 500;

/// A secret that was registered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AddedSecret {
    /// The name of the secret for the operator: 8 hexadecimal digits.
    pub secret_id: Box<str>,
    /// The text of the secret, if it was generated. It cannot be read from the store again.
    pub secret: Option<Secret>,
    /// Whether the operator should be warned.
    pub strength: SecretStrength,
}

/// A secret before it is written.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) added: AddedSecret,
    pub(crate) stored: StoredSecret,
}

impl Store {
    /// Adds another secret to the client. The old one stays valid.
    ///
    /// # Errors
    /// If there is no such client, it has two live secrets at `now`, the secret is refused, or the store fails.
    pub async fn add_secret(
        &self,
        now: Timestamp,
        client: &ClientId,
        secret: NewSecret,
    ) -> Result<AddedSecret, StoreError> {
        let prepared = self.prepare(client, secret).await?;
        let new = &prepared.stored;
        let add = self.0.db.change(&[Part::Clients], |tx| {
            Box::pin(async move {
                let read = "SELECT enabled FROM clients WHERE id = $1";
                let known: Option<i64> = tx.find_value(read, values![client.as_str()]).await?;
                if known.is_none() {
                    return Err(StoreError::NoSuchClient { id: client.clone() });
                }
                let read = "SELECT id FROM client_secrets WHERE client_id = $1 \
                            AND (expires_at IS NULL OR expires_at > $2) ORDER BY created_at, id";
                let live: Vec<(String,)> = tx.all(read, values![client.as_str(), now]).await?;
                if let [(first,), (second,), ..] = live.as_slice() {
                    let live = [first.as_str().into(), second.as_str().into()];
                    return Err(StoreError::TooManySecrets { client: client.clone(), live });
                }
                self.write_secret(tx, now, client, new).await
            })
        });
        add.await?;
        Ok(prepared.added)
    }

    /// Adds a secret to a client that exists, and records it.
    pub(super) async fn write_secret(
        &self,
        tx: &mut Tx<'_>,
        now: Timestamp,
        client: &ClientId,
        new: &StoredSecret,
    ) -> Result<(), StoreError> {
        insert_secret(tx, client, new, now).await?;
        mark_client_changed(tx, client).await?;
        let change = Change::client("secret added", client).with_secret(&self.0.links, new);
        self.record_change(tx, change).await.map(drop)
    }

    /// Lets the secret expire at `at`, which may be in the past or in the future. An expiry that is set is never postponed.
    ///
    /// # Errors
    /// If there is no such client or secret, or the store fails.
    pub async fn expire_secret(
        &self,
        client: &ClientId,
        secret_id: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let expire = self.0.db.change(&[Part::Clients], |tx| {
            Box::pin(async move { self.write_expiry(tx, client, secret_id, at).await })
        });
        let there = expire.await?;
        if there {
            return Ok(());
        }
        self.client(client).await?;
        Err(StoreError::NoSuchSecret { client: client.clone(), secret: secret_id.into() })
    }

    /// Lets the secret expire, and records it. Returns whether the client has such a secret.
    pub(super) async fn write_expiry(
        &self,
        tx: &mut Tx<'_>,
        client: &ClientId,
        secret_id: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = "UPDATE client_secrets \
                      SET expires_at = CASE WHEN expires_at < $3 THEN expires_at ELSE $3 END \
                      WHERE client_id = $1 AND id = $2";
        if tx.execute(update, values![client.as_str(), secret_id, at]).await? == 0 {
            return Ok(false);
        }
        mark_client_changed(tx, client).await?;
        let change = Change::client("secret end set", client).with("secret", secret_id);
        self.record_change(tx, change.with("until", at.as_seconds())).await?;
        Ok(true)
    }

    /// Derives the digest, on a blocking thread, because Argon2 takes tens of milliseconds.
    pub(crate) async fn prepare(&self, client: &ClientId, secret: NewSecret) -> Result<Prepared, StoreError> {
        let random = SystemRandom::new();
        let mut number = [0; 4];
        random.fill(&mut number)?;
        let secret_id = format!("{:08x}", u32::from_be_bytes(number));
        let (text, strength, is_generated) = match secret {
            NewSecret::Generate => (generate(&random)?, SecretStrength::Strong, true),
            NewSecret::Chosen(text) => {
                let strength = check(&text)?;
                (text, strength, false)
            }
        };
        let (store, client, to_digest) = (self.clone(), client.clone(), text.clone());
        let digest =
            tokio::task::spawn_blocking(move || store.0.digester.digest(client.as_str(), &to_digest))
                .await
                .map_err(|_| StoreError::unavailable("the digest of a secret was not finished"))?;
        let stored = StoredSecret { id: secret_id.as_str().into(), digest, expires_at: None };
        let secret_id = secret_id.into_boxed_str();
        let added = AddedSecret { secret_id, secret: is_generated.then_some(text), strength };
        Ok(Prepared { added, stored })
    }

    /// Writes which secrets were used since the last call, with `now` as the time of their use. Call it about once a minute,
    /// and at the end. Returns their number.
    ///
    /// # Errors
    /// If the store fails; what was not written is kept for the next call.
    pub async fn write_used_secrets(&self, now: Timestamp) -> Result<usize, StoreError> {
        let used = self.0.used_secrets.take();
        for (n, batch) in used.chunks(BATCH).enumerate() {
            if let Err(error) = self.write_uses(batch, now).await {
                for (client, secret) in &used[n * BATCH..] {
                    self.0.used_secrets.note(client, secret);
                }
                return Err(error);
            }
        }
        Ok(used.len())
    }

    async fn write_uses(&self, batch: &[(Box<str>, Box<str>)], now: Timestamp) -> Result<(), StoreError> {
        // Another node may have written a later use. An expired secret was refused.
        let update = "UPDATE client_secrets SET last_used_at = $3 WHERE client_id = $1 AND id = $2 \
                      AND (last_used_at IS NULL OR last_used_at < $3) AND (expires_at IS NULL OR expires_at > $3)";
        let write = self.0.db.change(&[], |tx| {
            Box::pin(async move {
                for (client, secret) in batch {
                    tx.execute(update, values![&**client, &**secret, now]).await?;
                }
                Ok(())
            })
        });
        write.await
    }
}
