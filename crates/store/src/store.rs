//! Opens, creates and closes the store.

use crate::audit::complete::put_complete;
use crate::audit::{Change, Links, STORE_MADE, append_to_installation};
use crate::database::schema::{self, Migration};
use crate::database::{DatabaseFile, Db, Part, SchemaDifference, StoreUrl, Tx, values};
use crate::digest::{Digester, VerifiedSecrets, new_pepper};
use crate::error::StoreError;
use crate::keys::{KekSource, Purpose, SELECT_PEPPER, Seal, Sealer};
use crate::nonces::Nonces;
use crate::page_codes::PageCodes;
use crate::private_file::{owners_only, sync_directory};
use crate::registrations::{KnownRights, UsedSecrets};
use arc_swap::ArcSwap;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// An open store. A clone is the same store. Several processes may open a store at the same time.
///
/// Every method that changes something returns when the change is on disk. If its future is dropped, the change may or may not
/// have been made.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) db: Db,
    pub(crate) seal: ArcSwap<Seal>,
    /// Where the key-encryption key is read again after the store was sealed with another one.
    pub(crate) kek: KekSource,
    pub(crate) digester: Digester,
    pub(crate) nonces: Nonces,
    pub(crate) page_codes: PageCodes,
    /// Computes the hashes that link the records of the audit.
    pub(crate) links: Links,
    /// Who makes the changes of this process, for the audit.
    source: OnceLock<Box<str>>,
    pub(crate) verified_secrets: VerifiedSecrets,
    /// The rights of the clients in memory; equal rights are shared.
    pub(crate) known_rights: KnownRights,
    pub(crate) used_secrets: UsedSecrets,
    /// The file that was opened; `None` for PostgreSQL.
    pub(crate) file: Option<DatabaseFile>,
    /// The schema when the store was opened.
    schema: Migration,
}

/// What opening a store may do to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Nothing: the store is only read, also with an older schema.
    Read,
    /// Nothing: the store must exist, and have the schema of this version or a newer one that allows it.
    Use,
    /// Migrate an older schema, and make what is missing: the SQLite file with mode 0600, the tables, and the key file.
    Make,
}

impl Store {
    /// Opens the store with [`Opening::Make`]. A PostgreSQL database must exist.
    ///
    /// # Errors
    /// As [`Store::open_for`].
    pub async fn open(url: &StoreUrl, kek: KekSource) -> Result<Self, StoreError> {
        Self::open_for(url, kek, Opening::Make).await
    }

    /// Opens the store with [`Opening::Use`].
    ///
    /// # Errors
    /// As [`Store::open_for`].
    pub async fn open_existing(url: &StoreUrl, kek: KekSource) -> Result<Self, StoreError> {
        Self::open_for(url, kek, Opening::Use).await
    }

    /// Opens the store. The key file is created only while nothing is sealed yet.
    ///
    /// # Errors
    /// If there is no store and none may be made, its schema is older and may not be migrated, the files cannot be read, created
    /// or written, the key-encryption key is missing or is not the right one, or a newer version wrote the store.
    pub async fn open_for(url: &StoreUrl, kek: KekSource, opening: Opening) -> Result<Self, StoreError> {
        let makes = opening == Opening::Make;
        let missing = || StoreError::Missing { store: url.to_string() };
        let db = connect(url, makes, opening != Opening::Read).await?;
        let file = url.path().map(DatabaseFile::opened).transpose()?;
        if makes {
            schema::migrate(&db).await?;
        }
        let schema = schema::migration(&db).await?.ok_or_else(missing)?;
        match opening {
            Opening::Read => schema.must_be_readable()?,
            Opening::Use | Opening::Make => schema.must_be_migrated()?,
        }
        let seal = unseal(&db, &kek, makes).await?;
        let pepper = seal.plain_pepper().ok_or_else(|| StoreError::damaged("the pepper"))?;
        Ok(Self(Arc::new(Inner {
            db,
            seal: ArcSwap::from_pointee(seal),
            kek,
            digester: Digester::new(&pepper),
            nonces: Nonces::new(&pepper),
            page_codes: PageCodes::new(&pepper),
            links: Links::new(&pepper),
            source: OnceLock::new(),
            verified_secrets: VerifiedSecrets::new()?,
            known_rights: KnownRights::default(),
            used_secrets: UsedSecrets::default(),
            file,
            schema,
        })))
    }

    /// The schema of the store at `url`, which must exist, and what [`Store::migrate`] would do. Needs no key, and writes nothing.
    ///
    /// # Errors
    /// If there is no store, a newer version wrote it, or the database fails.
    pub async fn migration(url: &StoreUrl) -> Result<Migration, StoreError> {
        let db = connect(url, false, false).await?;
        let found = schema::migration(&db).await;
        db.close().await;
        found?.ok_or_else(|| StoreError::Missing { store: url.to_string() })
    }

    /// Migrates the store at `url`, which must exist, to the newest schema: all steps or none. Needs no key. Returns what was done.
    ///
    /// # Errors
    /// As [`Store::migration`], and if a step is refused.
    pub async fn migrate(url: &StoreUrl) -> Result<Migration, StoreError> {
        let before = Self::migration(url).await?;
        if before.is_due() {
            let db = connect(url, false, true).await?;
            let migrated = schema::migrate(&db).await;
            db.close().await;
            migrated?;
        }
        Ok(before)
    }

    /// The schema of the store when it was opened, and the steps that are missing in it.
    #[must_use]
    pub fn schema(&self) -> &Migration {
        &self.0.schema
    }

    /// Sets who makes the changes of this store, for the audit. Only the first call has an effect.
    #[must_use]
    pub fn changed_by(self, source: &str) -> Self {
        self.0.source.get_or_init(|| source.into());
        self
    }

    pub(crate) fn source(&self) -> &str {
        self.0.source.get().map_or("unknown", |source| source)
    }

    /// Records a change in the installation's chain, as the last statement of its transaction. Returns the number of the
    /// record.
    pub(crate) async fn record_change(&self, tx: &mut Tx<'_>, change: Change) -> Result<i64, StoreError> {
        let change = change.with("source", self.source());
        Ok(append_to_installation(tx, &self.0.links, change).await?.number)
    }

    /// Differences between the schema of the database and the one that the migrations create: triggers, rules, views that replace
    /// tables.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn schema_differences(&self) -> Result<Vec<SchemaDifference>, StoreError> {
        self.0.db.schema_differences().await
    }

    /// Waits for running statements and closes the files. Without this call they are closed some time after the last clone is
    /// dropped.
    pub async fn close(&self) {
        self.0.db.close().await;
    }
}

/// Connects to the database of a store. A file is created only if `makes`.
async fn connect(url: &StoreUrl, makes: bool, writes: bool) -> Result<Db, StoreError> {
    if let Some(path) = url.path() {
        // An empty file was created by hand. A command that only reads must not turn it into a store.
        if makes {
            create(path)?;
        } else if std::fs::metadata(path).map_or(true, |file| file.len() == 0) {
            return Err(StoreError::Missing { store: path.display().to_string() });
        }
    }
    Db::connect_for(url, writes).await
}

/// Creates an empty file that only its owner can read. SQLite gives the files beside it the same mode.
fn create(path: &Path) -> Result<(), StoreError> {
    let made = owners_only(OpenOptions::new().write(true).create_new(true)).open(path);
    match made.and_then(|file| file.sync_all()).and_then(|()| sync_directory(path)) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::CannotOpen {
            store: path.display().to_string(),
            reason: format!("{error}; its directory must exist and be writable"),
        }),
    }
}

/// Opens the pepper with the key-encryption key, which shows that it is the right key. On an empty store, creates both.
async fn unseal(db: &Db, kek: &KekSource, makes: bool) -> Result<Seal, StoreError> {
    let mut found: Option<Vec<u8>> = db.find_value(SELECT_PEPPER, &[]).await?;
    if found.is_none() {
        if !makes {
            return Err(StoreError::damaged("the pepper, which the first start makes,"));
        }
        // In a transaction of a part, so that two processes agree on the key and on the pepper.
        let make = db.change(&[Part::Keys], |tx| {
            Box::pin(async move {
                let found: Option<Vec<u8>> = tx.find_value(SELECT_PEPPER, &[]).await?;
                if found.is_some() {
                    return Ok(found);
                }
                let pepper = new_pepper()?;
                let sealed = Sealer::new(&kek.key(false)?)?.seal(Purpose::Pepper, pepper.as_slice())?;
                tx.execute("INSERT INTO meta (name, value) VALUES ('pepper', $1)", values![&sealed]).await?;
                // Nothing was configured before this record, so anything without a record was added by SQL.
                let links = Links::new(pepper.as_slice());
                let head = append_to_installation(tx, &links, Change::event(STORE_MADE)).await?;
                put_complete(tx, &links, 0, &head).await?;
                Ok(Some(sealed))
            })
        });
        found = make.await?;
    }
    let sealed = found.unwrap_or_default();
    Seal::open(kek, sealed)?.ok_or_else(|| StoreError::WrongKey { from: kek.name() })
}
