//! How does a client get a secret, a second one, and lose the first? Rotation: conformance CA-21.

use crate::audit::Change;
use crate::client_secret::{NewSecret, SecretStrength, check, generate};
use crate::db::Part;
use crate::error::StoreError;
use crate::store::Store;
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

macro_rules! insert_secret {
    ($connection:expr, $client:expr, $prepared:expr, $now:expr) => {
        sqlx::query("INSERT INTO client_secrets (client_id, id, digest, created_at) VALUES ($1, $2, $3, $4)")
            .bind($client.as_str())
            .bind(&*$prepared.added.secret_id)
            .bind($prepared.digest.0.as_slice())
            .bind($now.as_seconds())
            .execute(&mut *$connection)
            .await?
    };
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
        change!(&self.0.db, [Part::Clients], connection => {
            let known: Option<i64> = sqlx::query_scalar("SELECT enabled FROM clients WHERE id = $1")
                .bind(client.as_str())
                .fetch_optional(&mut *connection)
                .await?;
            if known.is_none() {
                return Err(StoreError::NoSuchClient { id: client.clone() });
            }
            let live: Vec<String> = sqlx::query_scalar(
                "SELECT id FROM client_secrets WHERE client_id = $1 AND (expires_at IS NULL OR expires_at > $2) \
                 ORDER BY created_at, id",
            )
            .bind(client.as_str())
            .bind(now.as_seconds())
            .fetch_all(&mut *connection)
            .await?;
            if let [first, second, ..] = live.as_slice() {
                let live = [first.as_str().into(), second.as_str().into()];
                return Err(StoreError::TooManySecrets { client: client.clone(), live });
            }
            insert_secret!(connection, client, prepared, now);
            note_client!(connection, client);
            let change = Change::client("secret added", client).with_secret(&self.0.links, &prepared);
            note!(self, connection, change);
            Ok(())
        })?;
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
        let there = change!(&self.0.db, [Part::Clients], connection => {
            let done = sqlx::query(
                "UPDATE client_secrets SET expires_at = CASE WHEN expires_at < $3 THEN expires_at ELSE $3 END \
                 WHERE client_id = $1 AND id = $2",
            )
            .bind(client.as_str())
            .bind(secret_id)
            .bind(at.as_seconds())
            .execute(&mut *connection)
            .await?;
            note_client!(connection, client);
            let is_there = done.rows_affected() == 1;
            if is_there {
                let change = Change::client("secret end set", client).with("secret", secret_id);
                note!(self, connection, change.with("until", at.as_seconds()));
            }
            Ok(is_there)
        })?;
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
