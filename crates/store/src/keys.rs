//! Which keys sign, and how do they rest? Sealed; conformance SE-03, KS-04.

use crate::audit::Change;
use crate::clients::time;
use crate::db::Part;
use crate::error::StoreError;
use crate::seal::{Purpose, Sealer};
use crate::store::Store;
use tokenberg_core::{KeyId, KeyMaterial, Timestamp};

macro_rules! insert_key {
    ($connection:expr, $key:expr, $sealed:expr) => {
        sqlx::query(
            "INSERT INTO signing_keys (id, algorithm, sealed, created_at, signs_from, verifies_until) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO NOTHING",
        )
        .bind($key.id.as_str())
        .bind($key.algorithm.as_str())
        .bind($sealed.as_slice())
        .bind($key.created_at.as_seconds())
        .bind($key.signs_from.as_seconds())
        .bind($key.verifies_until.map(Timestamp::as_seconds))
        .execute(&mut *$connection)
        .await?
    };
}

macro_rules! end_key {
    ($connection:expr, $id:expr, $verifies_until:expr) => {
        sqlx::query("UPDATE signing_keys SET verifies_until = $2 WHERE id = $1")
            .bind($id.as_str())
            .bind($verifies_until.map(tokenberg_core::Timestamp::as_seconds))
            .execute(&mut *$connection)
            .await?
    };
}

macro_rules! delete_key {
    ($connection:expr, $id:expr) => {
        sqlx::query("DELETE FROM signing_keys WHERE id = $1")
            .bind($id.as_str())
            .execute(&mut *$connection)
            .await?
    };
}

/// Seals the key as the store is sealed at this moment of the transaction.
macro_rules! seal_key {
    ($store:expr, $connection:expr, $key:expr) => {
        $crate::keys::sealed($key, &present_seal!($store, $connection).sealer)?
    };
}

/// All keys with their private halves, as of this moment of the transaction.
macro_rules! select_keys {
    ($store:expr, $connection:expr) => {{
        let rows: Vec<$crate::keys::Row> =
            sqlx::query_as($crate::keys::SELECT_KEYS).fetch_all(&mut *$connection).await?;
        let seal = present_seal!($store, $connection);
        let keys = rows.into_iter().map(|row| $crate::keys::read_key(row, &seal.sealer));
        keys.collect::<Result<Vec<tokenberg_core::KeyMaterial>, $crate::error::StoreError>>()?
    }};
}

pub(crate) const SELECT_KEYS: &str = "SELECT id, algorithm, sealed, created_at, signs_from, verifies_until \
     FROM signing_keys ORDER BY signs_from, created_at, id";

/// Name, algorithm, sealed private key, creation, first and last moment.
pub(crate) type Row = (String, String, Vec<u8>, i64, i64, Option<i64>);

impl Store {
    /// Adds a key. It is published at once, and signs from its time on.
    ///
    /// # Errors
    /// If the key is there already, or the store fails.
    pub async fn add_key(&self, key: &KeyMaterial) -> Result<(), StoreError> {
        change!(&self.0.db, [Part::Keys], connection => {
            let sealed = seal_key!(self, connection, key);
            if insert_key!(connection, key, sealed).rows_affected() == 1 {
                note!(self, connection, Change::key("key added", key));
                Ok(())
            } else {
                Err(StoreError::KeyExists { id: key.id.clone() })
            }
        })
    }

    /// All keys with their private halves, by the time from which they sign.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub async fn keys(&self) -> Result<Vec<KeyMaterial>, StoreError> {
        read_moment!(&self.0.db, connection => { Ok(select_keys!(self, connection)) })
    }

    /// Settles from when on the key verifies nothing any more; `None` takes that back.
    ///
    /// # Errors
    /// If there is no such key, or the store fails.
    pub async fn set_key_end(&self, id: &KeyId, verifies_until: Option<Timestamp>) -> Result<(), StoreError> {
        change!(&self.0.db, [Part::Keys], connection => {
            found(end_key!(connection, id, verifies_until).rows_affected(), id)?;
            let until = verifies_until.map(Timestamp::as_seconds);
            note!(self, connection, Change::key_named("key end set", id).with("verifies_until", until));
            Ok(())
        })
    }

    /// Removes the key: what it signed no longer verifies.
    ///
    /// # Errors
    /// If there is no such key, or the store fails.
    pub async fn remove_key(&self, id: &KeyId) -> Result<(), StoreError> {
        change!(&self.0.db, [Part::Keys], connection => {
            found(delete_key!(connection, id).rows_affected(), id)?;
            note!(self, connection, Change::key_named("key removed", id));
            Ok(())
        })
    }
}

fn found(rows: u64, id: &KeyId) -> Result<(), StoreError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::NoSuchKey { id: id.clone() }) }
}

pub(crate) fn sealed(key: &KeyMaterial, sealer: &Sealer) -> Result<Vec<u8>, StoreError> {
    let purpose = Purpose::SigningKey { id: key.id.as_str(), algorithm: key.algorithm.as_str() };
    sealer.seal(purpose, &key.pkcs8)
}

pub(crate) fn read_key(row: Row, sealer: &Sealer) -> Result<KeyMaterial, StoreError> {
    let (id, algorithm, sealed, created_at, signs_from, verifies_until) = row;
    let damaged = || StoreError::damaged(format!("the signing key {id:?}"));
    let purpose = Purpose::SigningKey { id: &id, algorithm: &algorithm };
    Ok(KeyMaterial {
        pkcs8: sealer.open(purpose, &sealed).ok_or_else(damaged)?,
        algorithm: algorithm.parse().map_err(|_| damaged())?,
        id: KeyId::new(&id),
        created_at: time(created_at)?,
        signs_from: time(signs_from)?,
        verifies_until: verifies_until.map(time).transpose()?,
    })
}
