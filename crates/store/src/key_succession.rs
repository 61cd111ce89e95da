//! How does a key take over from another? Decided on what the store holds in the very transaction: conformance KS-04, KS-05.

use crate::audit::Change;
use crate::db::Part;
use crate::error::StoreError;
use crate::store::Store;
use serde_json::Value;
use tokenberg_core::{
    KeyId, KeyMaterial, KeyTimes, Lifetime, Successor, Timestamp, introduced, is_rotation_due, taken_away,
};

/// A key that was added, and what became of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntroducedKey {
    /// The key.
    pub id: KeyId,
    /// From when on it signs.
    pub signs_from: Timestamp,
    /// Keys that waited for their time, and were dropped.
    pub dropped: Vec<KeyId>,
}

/// A key that was taken away, and who signs now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedKey {
    /// The key.
    pub id: KeyId,
    /// Who signs.
    pub signing: NowSigning,
}

/// Who signs after a key was taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NowSigning {
    /// Whoever did before.
    Unchanged,
    /// A key that had been published and waited for its time.
    Published(KeyId),
    /// The spare one, which nobody knew.
    New(KeyId),
}

macro_rules! introduce {
    ($store:expr, $connection:expr, $key:expr, $succession:expr) => {{
        let mut key = $key.clone();
        key.signs_from = $succession.signs_from;
        let sealed = seal_key!($store, $connection, &key);
        if insert_key!($connection, key, sealed).rows_affected() == 0 {
            return Err(StoreError::KeyExists { id: key.id });
        }
        for other in &$succession.dropped {
            delete_key!($connection, other);
        }
        for other in &$succession.ending {
            end_key!($connection, other, Some($succession.end));
        }
        let names = |keys: &[KeyId]| keys.iter().map(|key| key.as_str().to_owned()).collect::<Vec<_>>();
        let change = Change::key("key added", &key)
            .with("dropped", names(&$succession.dropped))
            .with("ending", names(&$succession.ending))
            .with("end", $succession.end.as_seconds());
        note!($store, $connection, change);
        IntroducedKey { id: key.id, signs_from: key.signs_from, dropped: $succession.dropped }
    }};
}

impl Store {
    /// Adds a key, which is published at once, and settles when it signs and until when the others verify.
    ///
    /// # Errors
    /// If the key is there already, another one waits for its time and the new one is not to sign at once, or the store fails.
    pub async fn introduce_key(
        &self,
        now: Timestamp,
        key: &KeyMaterial,
        at_once: bool,
    ) -> Result<IntroducedKey, StoreError> {
        change!(&self.0.db, [Part::Keys], connection => {
            let keys = select_keys!(self, connection);
            let succession = introduced(&times(&keys), now, at_once)?;
            Ok(introduce!(self, connection, key, succession))
        })
    }

    /// Adds the key if the one that signs is old enough and none waits; `None` if not. Of several nodes that ask at once, one
    /// does it.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn rotate_if_due(
        &self,
        now: Timestamp,
        key: &KeyMaterial,
        every: Lifetime,
    ) -> Result<Option<IntroducedKey>, StoreError> {
        change!(&self.0.db, [Part::Keys], connection => {
            let keys = select_keys!(self, connection);
            if !is_rotation_due(&times(&keys), now, every) {
                return Ok(None);
            }
            let succession = introduced(&times(&keys), now, false)?;
            Ok(Some(introduce!(self, connection, key, succession)))
        })
    }

    /// Takes a key away: what it signed verifies no more, and it is not published. If it is the one that signs, the next one
    /// does at once, and if there is none, the spare one.
    ///
    /// # Errors
    /// If there is no such key, or the store fails.
    pub async fn revoke_key(
        &self,
        now: Timestamp,
        id: &KeyId,
        spare: &KeyMaterial,
    ) -> Result<RevokedKey, StoreError> {
        change!(&self.0.db, [Part::Keys], connection => {
            let keys = select_keys!(self, connection);
            if !keys.iter().any(|key| key.id == *id) {
                return Err(StoreError::NoSuchKey { id: id.clone() });
            }
            let successor = taken_away(&times(&keys), id, now);
            delete_key!(connection, id);
            let change = Change::key_named("key revoked", id);
            let (signing, change) = match successor {
                Successor::Unchanged { goes_on } => {
                    if let Some(signer) = &goes_on {
                        end_key!(connection, signer, None::<Timestamp>);
                    }
                    let change = change.with("now_signing", Value::Null);
                    (NowSigning::Unchanged, change.with("goes_on", goes_on.as_ref().map(KeyId::as_str)))
                }
                Successor::Published { id, signs_from } => {
                    sqlx::query("UPDATE signing_keys SET signs_from = $2 WHERE id = $1")
                        .bind(id.as_str())
                        .bind(signs_from.as_seconds())
                        .execute(&mut *connection)
                        .await?;
                    let change = change.with("now_signing", id.as_str()).with("published", true);
                    (NowSigning::Published(id), change.with("signs_from", signs_from.as_seconds()))
                }
                Successor::New { signs_from } => {
                    let mut key = spare.clone();
                    key.signs_from = signs_from;
                    let sealed = seal_key!(self, connection, &key);
                    insert_key!(connection, key, sealed);
                    let change = change.with("now_signing", key.id.as_str()).with_key(&key);
                    (NowSigning::New(key.id), change)
                }
            };
            note!(self, connection, change);
            Ok(RevokedKey { id: id.clone(), signing })
        })
    }
}

fn times(keys: &[KeyMaterial]) -> Vec<KeyTimes<'_>> {
    keys.iter().map(KeyMaterial::times).collect()
}
