//! How does a client get a secret, a second one, and lose the first? Rotation: conformance CA-21.

use crate::audit::Change;
use crate::client_secret::{NewSecret, SecretStrength, check, generate};
use crate::clients::mark_client_changed;
use crate::db::Part;
use crate::error::StoreError;
use crate::store::Store;
use crate::tx::{Tx, values};
use ring::rand::{SecureRandom, SystemRandom};
use tokenberg_core::{ClientId, Secret, SecretDigest, Timestamp};

/// A secret that was registered.
#[derive(Clone)]
pub struct AddedSecret {
    /// Names the secret towards the operator: 8 hexadecimal digits.
    pub secret_id: Box<str>,
    /// The secret itself if it was generated, to be shown once: it cannot be read from the store again.
    pub secret: Option<Secret>,
    /// Whether the operator should be warned.
    pub strength: SecretStrength,
}

/// A secret before it is written.
#[derive(Clone)]
pub(crate) struct Prepared {
    pub(crate) added: AddedSecret,
    pub(crate) digest: SecretDigest,
}

impl Store {
    /// Gives the client another secret; the old one goes on working.
    ///
    /// # Errors
    /// If there is no such client, it has two secrets that are live at `now`, the secret cannot be registered, or the store fails.
    pub async fn add_secret(
        &self,
        now: Timestamp,
        client: &ClientId,
        secret: NewSecret,
    ) -> Result<AddedSecret, StoreError> {
        let prepared = self.prepare(client, secret).await?;
        let new = &prepared;
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
                insert_secret(tx, client, new, now).await?;
                mark_client_changed(tx, client).await?;
                let change = Change::client("secret added", client).with_secret(&self.0.links, new);
                self.record_change(tx, change).await
            })
        });
        add.await?;
        Ok(prepared.added)
    }

    /// Lets the secret work until `at` and no longer; `at` may be now, in the past, or ahead. An end that is set is never put off.
    ///
    /// # Errors
    /// If there is no such client or secret, or the store fails.
    pub async fn expire_secret(
        &self,
        client: &ClientId,
        secret_id: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let update = "UPDATE client_secrets \
                      SET expires_at = CASE WHEN expires_at < $3 THEN expires_at ELSE $3 END \
                      WHERE client_id = $1 AND id = $2";
        let expire = self.0.db.change(&[Part::Clients], |tx| {
            Box::pin(async move {
                if tx.execute(update, values![client.as_str(), secret_id, at]).await? == 0 {
                    return Ok(false);
                }
                mark_client_changed(tx, client).await?;
                let change = Change::client("secret end set", client).with("secret", secret_id);
                self.record_change(tx, change.with("until", at.as_seconds())).await?;
                Ok(true)
            })
        });
        let there = expire.await?;
        if there {
            return Ok(());
        }
        self.client(client).await?;
        Err(StoreError::NoSuchSecret { client: client.clone(), secret: secret_id.into() })
    }

    /// Derives the digest, on a thread of its own, because Argon2 takes tens of milliseconds.
    pub(crate) async fn prepare(&self, client: &ClientId, secret: NewSecret) -> Result<Prepared, StoreError> {
        let random = SystemRandom::new();
        let mut number = [0; 4];
        random.fill(&mut number)?;
        let secret_id = format!("{:08x}", u32::from_be_bytes(number)).into();
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
        let added = AddedSecret { secret_id, secret: is_generated.then_some(text), strength };
        Ok(Prepared { added, digest })
    }
}

/// Adds a secret to a client.
pub(crate) async fn insert_secret(
    tx: &mut Tx<'_>,
    client: &ClientId,
    secret: &Prepared,
    now: Timestamp,
) -> Result<(), StoreError> {
    let insert = "INSERT INTO client_secrets (client_id, id, digest, created_at) VALUES ($1, $2, $3, $4)";
    let values = values![client.as_str(), &*secret.added.secret_id, &secret.digest.0, now];
    tx.execute(insert, values).await.map(drop)
}
