//! Opens a store, or its last known state while the database is away.

use crate::database::{Db, StoreUrl};
use crate::error::StoreError;
use crate::keys::KekSource;
use crate::opening::Opening;
use crate::registrations::KnownRights;
use crate::snapshot::Snapshot;
use crate::snapshot_file::error::SnapshotError;
use crate::snapshot_file::file::{Found, SnapshotFile, timestamp};
use crate::store::Store;
use std::time::Duration;
use tokenberg_core::Timestamp;

/// A store that was opened, or what was last known of it.
#[derive(Debug)]
pub enum Opened {
    /// The store.
    Store(Store),
    /// The last known state; the database is away.
    LastKnown(Box<LastKnown>),
}

/// The last known state of a store whose database is away. [`Opened::watch`] joins the database when it is back.
#[derive(Debug)]
pub struct LastKnown {
    pub(crate) store: Store,
    pub(crate) snapshot: Snapshot,
    /// When it was last known to equal the store.
    pub(crate) contact: Timestamp,
    /// How long ago that was.
    pub(crate) age: Duration,
    /// Why the database cannot be reached.
    pub(crate) fault: StoreError,
}

impl From<Store> for Opened {
    fn from(store: Store) -> Self {
        Self::Store(store)
    }
}

impl Opened {
    /// The store. While the database is away, what reads or writes it fails.
    #[must_use]
    pub fn store(&self) -> &Store {
        match self {
            Self::Store(store) => store,
            Self::LastKnown(known) => &known.store,
        }
    }

    /// Whether the database is away.
    #[must_use]
    pub fn is_last_known(&self) -> bool {
        matches!(self, Self::LastKnown(_))
    }
}

impl Store {
    /// Opens the store as [`Store::open_for`] does. If the database cannot be reached, takes the last known state from the file, if one
    /// is given and its state may be used; if not, the log has the reason.
    ///
    /// # Errors
    /// As [`Store::open_for`].
    pub async fn open_or_last_known(
        url: &StoreUrl,
        kek: KekSource,
        opening: Opening,
        file: Option<&SnapshotFile>,
    ) -> Result<Opened, StoreError> {
        let error = match Self::open_for(url, kek.clone(), opening).await {
            Ok(store) => return Ok(store.into()),
            Err(error) => error,
        };
        let Some(file) = file else { return Err(error) };
        if !(error.is_unavailable() || matches!(error, StoreError::CannotOpen { .. })) {
            return Err(error);
        }
        let Some(db) = Db::unreached(url)? else {
            refused(file, &SnapshotError::Needless);
            return Err(error);
        };
        // Why it cannot be reached, as a running server would find it.
        match db.probe().await {
            Ok(()) => return Self::open_for(url, kek, opening).await.map(Opened::from),
            Err(fault) if fault.is_unavailable() => match last_known(db, kek, file, fault) {
                Ok(known) => return Ok(Opened::LastKnown(Box::new(known))),
                Err(fault) => refused(file, &fault),
            },
            Err(_) => {}
        }
        Err(error)
    }
}

fn refused(file: &SnapshotFile, error: &SnapshotError) {
    tracing::error!(file = %file.path().display(), %error, "the snapshot is not used");
}

fn last_known(
    db: Db,
    kek: KekSource,
    file: &SnapshotFile,
    fault: StoreError,
) -> Result<LastKnown, SnapshotError> {
    let Found { snapshot, seal, contact, age } = file.read(&kek, &KnownRights::default())?;
    let contact = timestamp(contact).ok_or(SnapshotError::Unknown)?;
    let store = Store::unreached(db, seal, kek).map_err(|_| SnapshotError::Changed)?;
    tracing::warn!(
        file = %file.path().display(),
        %contact,
        age = age.as_secs(),
        %fault,
        "the database is away: the server starts from a snapshot and issues tokens; what has to be written is answered 503 until the \
         database is back"
    );
    Ok(LastKnown { store, snapshot, contact, age, fault })
}
