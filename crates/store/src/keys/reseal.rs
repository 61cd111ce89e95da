//! Changes the key-encryption key: seals everything with the new key in one transaction. Other processes notice when they read.

use crate::audit::Change;
use crate::database::{Db, Part, Tx, values};
use crate::error::StoreError;
use crate::keys::SealedSince;
use crate::keys::key_encryption_key::KekSource;
use crate::keys::seal::{Purpose, SELECT_PEPPER, Seal, Sealer};
use crate::keys::signing_keys::{Row, SELECT_KEYS, read_key, sealed};
use crate::opening::OpeningError;
use crate::store::Store;
use std::sync::Arc;

/// The row of `meta` that says since when the store is sealed with its present key, as JSON.
const SEALED_SINCE: &str = "sealed since";

const PUT_SEALED_SINCE: &str =
    "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";

impl SealedSince {
    /// The change that the store keeps; `None` if its key was never changed.
    pub(crate) async fn read(db: &Db) -> Result<Option<Self>, StoreError> {
        let row: Option<Vec<u8>> =
            db.find_value("SELECT value FROM meta WHERE name = $1", values![SEALED_SINCE]).await?;
        Ok(row.as_deref().and_then(Self::from_json))
    }
}

impl Store {
    /// Seals everything with the key from `new`. The old key opens nothing any more. If this fails or is interrupted, either
    /// everything is sealed with the new key or nothing. Returns the number of signing keys.
    ///
    /// Another process that has the store open keeps using what it has read, and the new key as soon as that is where the
    /// process read the old one.
    ///
    /// # Errors
    /// If `new` has no key and none can be created there, if it has the present key, or if the store fails.
    pub async fn change_key_encryption_key(&self, new: &KekSource) -> Result<usize, StoreError> {
        // A missing file is created, and is on disk before anything needs it.
        let key = new.key(false)?;
        let new_sealer = &Sealer::new(&key)?;
        let since = &SealedSince::now(new).to_json();
        let reseal = self.0.db.change(&[Part::Keys], |tx| {
            Box::pin(async move {
                let old = self.present_seal(tx).await?;
                let plain = old.plain_pepper().ok_or_else(|| StoreError::damaged("the pepper"))?;
                // A leaked key that is "changed" to itself would be reported as replaced.
                if new_sealer.open(Purpose::Pepper, &old.pepper).is_some() {
                    return Err(StoreError::SameKey { from: new.name() });
                }
                let pepper = new_sealer.seal(Purpose::Pepper, &plain)?;
                tx.execute("UPDATE meta SET value = $1 WHERE name = 'pepper'", values![&pepper]).await?;
                let rows: Vec<Row> = tx.all(SELECT_KEYS, &[]).await?;
                let keys = rows.len();
                for row in rows {
                    let key = read_key(row, &old.sealer)?;
                    let update = "UPDATE signing_keys SET sealed = $2 WHERE id = $1";
                    tx.execute(update, values![key.id.as_str(), &sealed(&key, new_sealer)?]).await?;
                }
                tx.execute(PUT_SEALED_SINCE, values![SEALED_SINCE, since]).await?;
                let change = Change::new("key-encryption key changed").with("signing_keys", keys);
                self.record_change(tx, change).await?;
                Ok((keys, pepper))
            })
        });
        let (keys, pepper) = reseal.await?;
        self.0.seal.store(Arc::new(Seal::new(&key, pepper)?));
        Ok(keys)
    }

    /// The seal of the store at this moment of the transaction.
    pub(crate) async fn present_seal(&self, tx: &mut Tx<'_>) -> Result<Arc<Seal>, StoreError> {
        self.seal_of(tx.find_value(SELECT_PEPPER, &[]).await?)
    }

    /// The seal that opens this sealed pepper: the present one, or that of the key which is now where the present one came
    /// from. Another pepper is that of another store.
    pub(crate) fn seal_of(&self, pepper: Option<Vec<u8>>) -> Result<Arc<Seal>, StoreError> {
        let pepper = pepper.ok_or_else(|| StoreError::damaged("the pepper"))?;
        let present = self.0.seal.load_full();
        if present.pepper == pepper {
            return Ok(present);
        }
        let kek = &self.0.kek;
        let seal = Seal::open(kek, pepper)?.ok_or_else(|| StoreError::Resealed { from: kek.name() })?;
        if seal.plain_pepper() != present.plain_pepper() {
            return Err(OpeningError::AnotherStore.into());
        }
        let seal = Arc::new(seal);
        self.0.seal.store(Arc::clone(&seal));
        Ok(seal)
    }
}
