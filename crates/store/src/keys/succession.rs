//! Rotates and revokes signing keys, decided on the keys that the transaction reads; conformance KS-04, KS-05.

use crate::audit::Change;
use crate::database::{Part, Tx, values};
use crate::error::StoreError;
use crate::keys::signing_keys::{delete_key, end_key};
use crate::store::Store;
use serde_json::Value;
use tokenberg_core::jws::{KeyId, KeyMaterial};
use tokenberg_core::key_schedule::{KeyTimes, Succession, Successor, introduce, is_rotation_due, revoke};
use tokenberg_core::{Lifetime, Timestamp};

/// A key that was added, and its effect on others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IntroducedKey {
    /// The key.
    pub id: KeyId,
    /// From when on it signs.
    pub signs_from: Timestamp,
    /// Published keys that did not sign yet, and were dropped.
    pub dropped: Vec<KeyId>,
}

/// A key that was revoked, and the key that signs now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevokedKey {
    /// The key.
    pub id: KeyId,
    /// The key that signs now.
    pub signing: NowSigning,
}

/// The key that signs after another one was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NowSigning {
    /// The same key as before.
    Unchanged,
    /// A published key that did not sign yet.
    Published(KeyId),
    /// The spare key, which had not been published.
    New(KeyId),
}

impl Store {
    /// Adds a key, which is published at once, and sets when it begins to sign and until when the others verify.
    ///
    /// # Errors
    /// If the key exists already, another published key does not sign yet and the new one is not to sign at once, or the store
    /// fails.
    pub async fn introduce_key(
        &self,
        now: Timestamp,
        key: &KeyMaterial,
        at_once: bool,
    ) -> Result<IntroducedKey, StoreError> {
        let introduce = self.0.db.change(&[Part::Keys], |tx| {
            Box::pin(async move {
                let keys = self.keys_in(tx).await?;
                let succession = introduce(&times(&keys), now, at_once)?;
                self.introduce(tx, key, succession).await
            })
        });
        introduce.await
    }

    /// Adds the key if the one that signs is old enough and no other has been published; returns `None` if not. Of several
    /// nodes that call it at the same time, one adds a key.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn rotate_if_due(
        &self,
        now: Timestamp,
        key: &KeyMaterial,
        every: Lifetime,
    ) -> Result<Option<IntroducedKey>, StoreError> {
        let rotate = self.0.db.change(&[Part::Keys], |tx| {
            Box::pin(async move {
                let keys = self.keys_in(tx).await?;
                if !is_rotation_due(&times(&keys), now, every) {
                    return Ok(None);
                }
                let succession = introduce(&times(&keys), now, false)?;
                self.introduce(tx, key, succession).await.map(Some)
            })
        });
        rotate.await
    }

    async fn introduce(
        &self,
        tx: &mut Tx<'_>,
        key: &KeyMaterial,
        succession: Succession,
    ) -> Result<IntroducedKey, StoreError> {
        let Succession { signs_from, dropped, ending, end } = succession;
        let key = KeyMaterial { signs_from, ..key.clone() };
        self.insert_key(tx, &key).await?;
        for other in &dropped {
            delete_key(tx, other).await?;
        }
        for other in &ending {
            end_key(tx, other, Some(end)).await?;
        }
        let names = |keys: &[KeyId]| keys.iter().map(|key| key.as_str().to_owned()).collect::<Vec<_>>();
        let change = Change::key("key added", &key)
            .with("dropped", names(&dropped))
            .with("ending", names(&ending))
            .with("end", end.as_seconds());
        self.record_change(tx, change).await?;
        Ok(IntroducedKey { id: key.id, signs_from, dropped })
    }

    /// Revokes a key: it is not published any more, and what it signed does not verify. If it was the one that signs, the next
    /// published key signs at once, or the spare one if there is none.
    ///
    /// # Errors
    /// If there is no such key, or the store fails.
    pub async fn revoke_key(
        &self,
        now: Timestamp,
        id: &KeyId,
        spare: &KeyMaterial,
    ) -> Result<RevokedKey, StoreError> {
        let revoke = self.0.db.change(&[Part::Keys], |tx| Box::pin(self.revoke_key_in(tx, now, id, spare)));
        let signing = revoke.await?;
        Ok(RevokedKey { id: id.clone(), signing })
    }

    async fn revoke_key_in(
        &self,
        tx: &mut Tx<'_>,
        now: Timestamp,
        id: &KeyId,
        spare: &KeyMaterial,
    ) -> Result<NowSigning, StoreError> {
        let keys = self.keys_in(tx).await?;
        if !keys.iter().any(|key| key.id == *id) {
            return Err(StoreError::NoSuchKey { id: id.clone() });
        }
        let successor = revoke(&times(&keys), id, now);
        delete_key(tx, id).await?;
        let change = Change::key_named("key revoked", id);
        let (signing, change) = match successor {
            Successor::Unchanged { goes_on } => {
                if let Some(signer) = &goes_on {
                    end_key(tx, signer, None).await?;
                }
                let change = change.with("now_signing", Value::Null);
                (NowSigning::Unchanged, change.with("goes_on", goes_on.as_ref().map(KeyId::as_str)))
            }
            Successor::Published { id, signs_from } => {
                let update = "UPDATE signing_keys SET signs_from = $2 WHERE id = $1";
                tx.execute(update, values![id.as_str(), signs_from]).await?;
                let change = change.with("now_signing", id.as_str()).with("published", true);
                (NowSigning::Published(id), change.with("signs_from", signs_from.as_seconds()))
            }
            Successor::New { signs_from } => {
                let key = KeyMaterial { signs_from, ..spare.clone() };
                self.insert_key(tx, &key).await?;
                let change = change.with("now_signing", key.id.as_str()).with_key(&key);
                (NowSigning::New(key.id), change)
            }
        };
        self.record_change(tx, change).await?;
        Ok(signing)
    }
}

fn times(keys: &[KeyMaterial]) -> Vec<KeyTimes<'_>> {
    keys.iter().map(KeyMaterial::times).collect()
}
