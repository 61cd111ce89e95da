//! Opens, creates and closes the store.

use crate::audit::complete::put_complete;
use crate::audit::{Change, Head, Links, STORE_MADE, append_to_installation};
use crate::clock::ClockOffset;
use crate::database::schema::{self, Migration};
use crate::database::{
    DatabaseFile, Db, Part, Poller, SchemaDifference, ServerState, StoreUrl, Tx, of_foreign_log, values,
    with_log_beside,
};
use crate::digest::{Digester, VerifiedSecrets, new_pepper};
use crate::error::StoreError;
use crate::group::Group;
use crate::keys::{KekSource, Purpose, SELECT_PEPPER, Seal, SealedSince, Sealer};
use crate::nonces::Nonces;
use crate::opening::{Opening, OpeningError};
use crate::page_codes::PageCodes;
use crate::private_file::{owners_only, sync_directory};
use crate::registrations::{KnownRights, UsedSecrets};
use crate::revoked_family::RevokedFamily;
use crate::write_failures::WriteFailures;
use arc_swap::ArcSwap;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// An open store. A clone is the same store. Several processes may open a store at the same time.
///
/// Every method that changes something returns when the change is on disk. If its future is dropped, the change may or may not
/// have been made.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) db: Db,
    pub(crate) poller: Poller,
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
    /// What the audit says about this process when its chain begins.
    node: OnceLock<Vec<(&'static str, String)>>,
    /// The state of the database server, and how far its clock may differ for a change; only of commands.
    compared: OnceLock<(Option<ServerState>, Duration)>,
    pub(crate) verified_secrets: VerifiedSecrets,
    /// The rights of the clients in memory; equal rights are shared.
    pub(crate) known_rights: KnownRights,
    pub(crate) used_secrets: UsedSecrets,
    pub(crate) write_failures: WriteFailures,
    pub(crate) revoking: Group<RevokedFamily>,
    /// The end of the installation's chain that the last revocations of this process have left or found; only for PostgreSQL.
    pub(crate) known_head: Mutex<Option<Head>>,
    /// The file that was opened; `None` for PostgreSQL.
    pub(crate) file: Option<DatabaseFile>,
    /// The schema when the store was opened.
    schema: Migration,
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

    /// Opens the store. The key file is created only while nothing is sealed yet. Of several processes that make one store at the
    /// same time, one does it.
    ///
    /// # Errors
    /// If there is no store and none may be made, its schema is older and may not be migrated, the files cannot be read, created
    /// or written, the key-encryption key is missing or is not the right one, or a newer version wrote the store.
    pub async fn open_for(url: &StoreUrl, kek: KekSource, opening: Opening) -> Result<Self, StoreError> {
        let with_log = with_log_beside(url);
        let opened = Self::open_as_it_is(url, kek, opening).await;
        opened.map_err(|error| match with_log {
            Some(path) => of_foreign_log(path, error),
            None => error,
        })
    }

    async fn open_as_it_is(url: &StoreUrl, kek: KekSource, opening: Opening) -> Result<Self, StoreError> {
        // Before the database is read: another process that makes the store creates the key file after the tables.
        let is_first_start = kek.is_to_be_created();
        let (migrates, makes) = match opening {
            Opening::Read | Opening::Use => (false, false),
            Opening::Start { may_be_new } => (true, may_be_new || is_first_start || url.path().is_some()),
            Opening::Make => (true, true),
        };
        if makes && url.path().is_some_and(|path| std::fs::symlink_metadata(path).is_err()) {
            kek.check_before_making()?;
            if let (Some(key), false) = (kek.file(), is_first_start) {
                tracing::warn!(
                    store = %url,
                    key = %key.display(),
                    "there is no file of the store, although its key exists: a new store is made. If there was one before, stop, and put its file back \
                     or restore a backup"
                );
            }
        }
        let (db, file) = connect(url, makes, opening != Opening::Read).await?;
        let missing = || {
            let store = url.to_string();
            if migrates { OpeningError::NotMade { store }.into() } else { StoreError::Missing { store } }
        };
        if migrates {
            if schema::migration(&db).await?.is_none() {
                if !makes {
                    return Err(missing());
                }
                schema::must_be_empty(&db, opening == Opening::Make).await?;
            }
            schema::migrate(&db).await?;
        }
        let schema = schema::migration(&db).await?.ok_or_else(missing)?;
        if opening == Opening::Read {
            schema.must_be_readable()?;
        } else {
            schema.must_be_migrated()?;
        }
        let seal = match unseal(&db, &kek, migrates, makes).await? {
            Some(seal) => seal,
            None => return Err(missing()),
        };
        Self::assembled(db, seal, kek, file, schema)
    }

    fn assembled(
        db: Db,
        seal: Seal,
        kek: KekSource,
        file: Option<DatabaseFile>,
        schema: Migration,
    ) -> Result<Self, StoreError> {
        let pepper = seal.plain_pepper().ok_or_else(|| StoreError::damaged("the pepper"))?;
        Ok(Self(Arc::new(Inner {
            db,
            poller: Poller::default(),
            seal: ArcSwap::from_pointee(seal),
            kek,
            digester: Digester::new(&pepper),
            nonces: Nonces::new(&pepper),
            page_codes: PageCodes::new(&pepper),
            links: Links::new(&pepper),
            source: OnceLock::new(),
            node: OnceLock::new(),
            compared: OnceLock::new(),
            verified_secrets: VerifiedSecrets::new()?,
            known_rights: KnownRights::default(),
            used_secrets: UsedSecrets::default(),
            write_failures: WriteFailures::default(),
            revoking: Group::new(),
            known_head: Mutex::new(None),
            file,
            schema,
        })))
    }

    /// A store whose database has not been reached, with the seal that a file has kept. Nothing is written to the database before
    /// [`Store::join`].
    pub(crate) fn unreached(db: Db, seal: Seal, kek: KekSource) -> Result<Self, StoreError> {
        Self::assembled(db, seal, kek, None, Migration::assumed())
    }

    /// Compares the database with what the store was opened with: it must be the same store, in a schema that this version knows.
    /// Migrates it if that is due, as a start does. From now on it may be written.
    pub(crate) async fn join(&self) -> Result<(), StoreError> {
        let db = &self.0.db;
        self.seal_of(db.find_value(SELECT_PEPPER, &[]).await?)?;
        schema::migration(db).await?.ok_or_else(|| StoreError::damaged("the version of the schema"))?;
        db.allow_changes();
        schema::migrate(db).await.map(drop)
    }

    /// The schema of the store at `url`, which must exist, and what [`Store::migrate`] would do. Needs no key, and writes nothing.
    ///
    /// # Errors
    /// If there is no store, a newer version wrote it, or the database fails.
    pub async fn migration(url: &StoreUrl) -> Result<Migration, StoreError> {
        let (db, _) = connect(url, false, false).await?;
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
            let (db, _) = connect(url, false, true).await?;
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

    /// Compares the clock of this machine with that of the database server. From now on a change is refused if they differ by more
    /// than `most`, except one that only disables or revokes: such a change is needed most when something is wrong.
    ///
    /// Does nothing for SQLite, which has no other clock, and if the database does not report its time.
    pub async fn compare_clocks(&self, most: Duration) {
        if let Ok(poll) = self.0.poller.poll(&self.0.db).await {
            let _ = self.0.compared.set((poll.server, most));
        }
    }

    /// How far the clock of this machine is ahead of that of the database, if [`Store::compare_clocks`] has found it.
    #[must_use]
    pub fn clock_offset(&self) -> Option<ClockOffset> {
        self.compared_server().map(|server| server.clock)
    }

    /// Why the database cannot be written, if [`Store::compare_clocks`] has found that.
    #[must_use]
    pub fn not_writable(&self) -> Option<&'static str> {
        self.compared_server().and_then(|server| server.not_writable)
    }

    fn compared_server(&self) -> Option<&ServerState> {
        self.0.compared.get().and_then(|(server, _)| server.as_ref())
    }

    fn check_clock(&self, change: &Change) -> Result<(), StoreError> {
        match self.0.compared.get() {
            Some((Some(server), most)) if server.clock.exceeds(*most) && !change.only_restricts() => {
                Err(StoreError::WrongClock { offset: server.clock, most: *most })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn source(&self) -> &str {
        self.0.source.get().map_or("unknown", |source| source)
    }

    /// Sets what the audit says about this process when its chain begins: members of a record and their values. Only the first call
    /// has an effect.
    #[must_use]
    pub fn on_node(self, facts: &[(&'static str, String)]) -> Self {
        self.0.node.get_or_init(|| facts.to_vec());
        self
    }

    pub(crate) fn node(&self) -> &[(&'static str, String)] {
        self.0.node.get().map_or(&[], Vec::as_slice)
    }

    /// Records a change in the installation's chain, as the last statement of its transaction. Returns the number of the
    /// record.
    pub(crate) async fn record_change(&self, tx: &mut Tx<'_>, change: Change) -> Result<i64, StoreError> {
        self.check_clock(&change)?;
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
async fn connect(
    url: &StoreUrl,
    makes: bool,
    writes: bool,
) -> Result<(Db, Option<DatabaseFile>), StoreError> {
    if let Some(path) = url.path() {
        // An empty file was created by hand. A command that only reads must not turn it into a store.
        if makes {
            create(path)?;
        } else if std::fs::metadata(path).map_or(true, |file| file.len() == 0) {
            return Err(StoreError::Missing { store: path.display().to_string() });
        }
    }
    let file = url.path().map(DatabaseFile::of).transpose()?;
    let db = Db::connect_for(url, writes).await?;
    // A backup may have taken its place meanwhile.
    file.as_ref().map_or(Ok(()), DatabaseFile::check)?;
    Ok((db, file))
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

/// Opens the pepper with the key-encryption key, which shows that it is the right key. On an empty store, creates both if it `makes`
/// them. `None` if there is none; if it `waits`, a process that is creating it has finished by then.
async fn unseal(db: &Db, kek: &KekSource, waits: bool, makes: bool) -> Result<Option<Seal>, StoreError> {
    let mut found: Option<Vec<u8>> = db.find_value(SELECT_PEPPER, &[]).await?;
    if found.is_none() && waits {
        // In a transaction of a part, so that two processes agree on the key and on the pepper.
        let make = db.change(&[Part::Keys], |tx| {
            Box::pin(async move {
                let found: Option<Vec<u8>> = tx.find_value(SELECT_PEPPER, &[]).await?;
                if found.is_some() || !makes {
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
    let Some(sealed) = found else { return Ok(None) };
    match Seal::open(kek, sealed)? {
        Some(seal) => Ok(Some(seal)),
        None => Err(StoreError::WrongKey { from: kek.name(), since: SealedSince::read(db).await? }),
    }
}
