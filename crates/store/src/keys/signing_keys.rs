//! The signing keys, sealed in the database; conformance SE-03, KS-04.

use crate::audit::Change;
use crate::database::{Part, Tx, time, values};
use crate::error::StoreError;
use crate::keys::seal::{Purpose, Sealer};
use crate::store::Store;
use tokenberg_core::Timestamp;
use tokenberg_core::jws::{KeyId, KeyMaterial, PrivateHalf};
use zeroize::Zeroizing;

pub(crate) const SELECT_KEYS: &str = "SELECT id, algorithm, sealed, created_at, signs_from, verifies_until \
     FROM signing_keys ORDER BY signs_from, created_at, id";

/// Name, algorithm, sealed private key, creation, when it begins to sign and stops to verify.
pub(crate) type Row = (String, String, Vec<u8>, i64, i64, Option<i64>);

impl Store {
    /// Adds a key. It is published at once, and signs from its `signs_from` on.
    ///
    /// # Errors
    /// If the key exists already, or the store fails.
    pub async fn add_key(&self, key: &KeyMaterial) -> Result<(), StoreError> {
        let add = self.0.db.change(&[Part::Keys], |tx| {
            Box::pin(async move {
                self.insert_key(tx, key).await?;
                self.record_change(tx, Change::key("key added", key)).await
            })
        });
        add.await.map(drop)
    }

    /// All keys with their private halves, sorted by the time from which they sign.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub async fn keys(&self) -> Result<Vec<KeyMaterial>, StoreError> {
        self.0.db.moment(|tx| Box::pin(self.keys_in(tx))).await
    }

    /// Removes the key: what it signed no longer verifies.
    ///
    /// # Errors
    /// If there is no such key, or the store fails.
    pub async fn remove_key(&self, id: &KeyId) -> Result<(), StoreError> {
        let remove = self.0.db.change(&[Part::Keys], |tx| {
            Box::pin(async move {
                found(delete_key(tx, id).await?, id)?;
                self.record_change(tx, Change::key_named("key removed", id)).await
            })
        });
        remove.await.map(drop)
    }

    /// All keys with their private halves, as of this moment of the transaction.
    pub(crate) async fn keys_in(&self, tx: &mut Tx<'_>) -> Result<Vec<KeyMaterial>, StoreError> {
        let rows: Vec<Row> = tx.all(SELECT_KEYS, &[]).await?;
        let seal = self.present_seal(tx).await?;
        rows.into_iter().map(|row| read_key(row, &seal.sealer)).collect()
    }

    /// Adds a key, sealed as the store is at this moment of the transaction.
    pub(crate) async fn insert_key(&self, tx: &mut Tx<'_>, key: &KeyMaterial) -> Result<(), StoreError> {
        let insert = "INSERT INTO signing_keys (id, algorithm, sealed, created_at, signs_from, verifies_until) \
                      VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING";
        let sealed = sealed(key, &self.present_seal(tx).await?.sealer)?;
        let (id, algorithm) = (key.id.as_str(), key.algorithm.as_str());
        let values = values![id, algorithm, &sealed, key.created_at, key.signs_from, key.verifies_until];
        match tx.execute(insert, values).await? {
            0 => Err(StoreError::KeyExists { id: key.id.clone() }),
            _ => Ok(()),
        }
    }
}

/// Sets when a key stops verifying. Returns the number of keys that have this name.
pub(crate) async fn end_key(
    tx: &mut Tx<'_>,
    id: &KeyId,
    verifies_until: Option<Timestamp>,
) -> Result<u64, StoreError> {
    let update = "UPDATE signing_keys SET verifies_until = $2 WHERE id = $1";
    tx.execute(update, values![id.as_str(), verifies_until]).await
}

/// Removes a key. Returns the number of keys that had this name.
pub(crate) async fn delete_key(tx: &mut Tx<'_>, id: &KeyId) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM signing_keys WHERE id = $1", values![id.as_str()]).await
}

fn found(rows: u64, id: &KeyId) -> Result<(), StoreError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::NoSuchKey { id: id.clone() }) }
}

pub(crate) fn sealed(key: &KeyMaterial, sealer: &Sealer) -> Result<Vec<u8>, StoreError> {
    let purpose = Purpose::SigningKey { id: key.id.as_str(), algorithm: key.algorithm.as_str() };
    match &key.private {
        PrivateHalf::Pkcs8(der) => sealer.seal(purpose, der),
        // Sealed as well, so that write access to the database is not enough to replace the public half.
        PrivateHalf::Device(device) => {
            let json = serde_json::to_vec(device).map_err(|error| StoreError::damaged(error.to_string()))?;
            sealer.seal(purpose, &json)
        }
    }
}

/// What was sealed: DER begins with the tag of a sequence, 0x30, and JSON with a brace.
fn private_half(plain: Zeroizing<Vec<u8>>) -> Option<PrivateHalf> {
    if plain.first() == Some(&b'{') {
        return serde_json::from_slice(&plain).ok().map(PrivateHalf::Device);
    }
    Some(PrivateHalf::Pkcs8(plain))
}

pub(crate) fn read_key(row: Row, sealer: &Sealer) -> Result<KeyMaterial, StoreError> {
    let (id, algorithm, sealed, created_at, signs_from, verifies_until) = row;
    let damaged = || StoreError::damaged(format!("the signing key {id:?}"));
    let purpose = Purpose::SigningKey { id: &id, algorithm: &algorithm };
    Ok(KeyMaterial {
        private: sealer.open(purpose, &sealed).and_then(private_half).ok_or_else(damaged)?,
        algorithm: algorithm.parse().map_err(|_| damaged())?,
        id: KeyId::new(&id),
        created_at: time(created_at)?,
        signs_from: time(signs_from)?,
        verifies_until: verifies_until.map(time).transpose()?,
    })
}
