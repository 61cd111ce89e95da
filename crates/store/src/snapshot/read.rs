//! Reads a snapshot from the store: all of it, or the parts that changed since another one.

use crate::database::{Numbers, Part, Progress, SELECT_PROGRESS, Tx, values};
use crate::error::StoreError;
use crate::keys::{KeyRow, SELECT_KEYS, SELECT_PEPPER, read_key};
use crate::registrations::{
    ClientRow, DisabledSubjects, Gathering, KnownRights, SELECT_CHANGED_CLIENTS, SELECT_CHANGED_IDS,
    SELECT_DISABLED, SELECT_ISSUERS, TrustedIssuers,
};
use crate::revocations::{RevokedBefore, RevokedIds, SELECT_BEFORE, SELECT_IDS};
use crate::snapshot::bulk_load::{AllClients, add_revoked_ids};
use crate::snapshot::in_memory::Snapshot;
use crate::snapshot::registered::Registered;
use crate::store::Store;
use std::sync::Arc;
use tokenberg_core::jws::KeyMaterial;

/// What has happened since a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Drift {
    /// The numbers of the parts show what has changed.
    Counted,
    /// The numbers of the parts do not show what has changed, for this reason.
    Distrusted(&'static str),
    /// The store has another history than the one that was read: a standby that lacks changes took over, or an older copy was
    /// restored. Its last record has this number.
    WentBack(i64),
    /// The record that would show it has expired.
    Unknown,
}

/// What was read.
pub(crate) struct Reading {
    pub(crate) snapshot: Snapshot,
    pub(crate) drift: Drift,
    /// Why the keys could not be opened; then the snapshot has the previous ones that are still in the store.
    pub(crate) unopened: Option<StoreError>,
}

/// How many changes of the configuration the installation's chain has behind one number and up to another. Its other records are
/// events, and the removal of records raises no number. Quotation marks inside of texts are escaped.
const COUNT_CHANGES: &str = "SELECT COUNT(*) FROM audit_records WHERE chain = 'installation' AND number > $1 AND number <= $2 \
    AND record LIKE '%\"change\":\"%' AND record NOT LIKE '%\"change\":\"audit pruned\"%'";

/// The hash of a record of the installation's chain.
const SELECT_HASH: &str = "SELECT hash FROM audit_records WHERE chain = 'installation' AND number = $1";

impl Store {
    /// Reads everything, as of one moment.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        match self.snapshot_after(None, true).await? {
            Reading { snapshot, unopened: None, .. } => Ok(snapshot),
            Reading { unopened: Some(fault), .. } => Err(fault),
        }
    }

    /// Reads what has changed since the snapshot, and shares the rest with it; or everything, if that is asked for or the numbers of
    /// the parts do not show what has changed. All of it is as of one moment of one server.
    pub(crate) async fn snapshot_after(
        &self,
        before: Option<&Snapshot>,
        everything: bool,
    ) -> Result<Reading, StoreError> {
        self.0.db.moment(|tx| Box::pin(self.read_snapshot(tx, before, everything))).await
    }

    async fn read_snapshot(
        &self,
        tx: &mut Tx<'_>,
        before: Option<&Snapshot>,
        everything: bool,
    ) -> Result<Reading, StoreError> {
        let progress = Progress::of(tx.all(SELECT_PROGRESS, &[]).await?)?;
        let drift = match before {
            Some(before) => drift(tx, before, &progress).await?,
            None => Drift::Counted,
        };
        let Progress { numbers, recorded } = progress;
        let since = Since { before: before.filter(|_| !everything && drift == Drift::Counted), numbers };
        let clients = read_clients(tx, &since, &self.0.known_rights).await?;
        let (keys, unopened) = self.read_keys(tx, &since, before).await?;
        let revoked_ids = read_revoked_ids(tx, &since).await?;
        let revoked_before = read_revoked_before(tx, &since).await?;
        let issuers = read_issuers(tx, &since).await?;
        let disabled_subjects = read_disabled_subjects(tx, &since).await?;
        let snapshot = Snapshot {
            numbers,
            recorded,
            clients,
            keys,
            revoked_ids,
            revoked_before,
            issuers,
            disabled_subjects,
        };
        Ok(Reading { snapshot, drift, unopened })
    }

    async fn read_keys(
        &self,
        tx: &mut Tx<'_>,
        since: &Since<'_>,
        before: Option<&Snapshot>,
    ) -> Result<(Arc<[KeyMaterial]>, Option<StoreError>), StoreError> {
        if let Some(same) = since.same(Part::Keys) {
            return Ok((same.keys.clone(), None));
        }
        let rows: Vec<KeyRow> = tx.all(SELECT_KEYS, &[]).await?;
        match self.seal_of(tx.find_value(SELECT_PEPPER, &[]).await?) {
            Ok(seal) => {
                let keys = rows.into_iter().map(|row| read_key(row, &seal.sealer));
                Ok((keys.collect::<Result<_, _>>()?, None))
            }
            Err(fault) => {
                // Which keys were removed is known without opening any.
                let is_there = |key: &&KeyMaterial| rows.iter().any(|(id, ..)| *id == key.id.as_str());
                let remaining = before.map(|before| before.keys.iter().filter(is_there).cloned().collect());
                Ok((remaining.unwrap_or_default(), Some(fault)))
            }
        }
    }
}

/// Compares the store with the snapshot. First the histories: numbers mean something within one history only.
async fn drift(tx: &mut Tx<'_>, before: &Snapshot, now: &Progress) -> Result<Drift, StoreError> {
    let (was, is) = (&before.recorded, &now.recorded);
    if is.number < was.number || (is.number == was.number && is.hash != was.hash) {
        return Ok(Drift::WentBack(is.number));
    }
    let raised = now.raised_since(&before.numbers);
    if is.number > was.number {
        if was.number > 0 {
            match tx.find_value::<Vec<u8>>(SELECT_HASH, values![was.number]).await? {
                Some(hash) if hash == was.hash => {}
                Some(_) => return Ok(Drift::WentBack(is.number)),
                None => return Ok(Drift::Unknown),
            }
        }
        let changes: i64 = tx.value(COUNT_CHANGES, values![was.number, is.number]).await?;
        if changes > raised {
            return Ok(Drift::Distrusted("changes were recorded that the table revisions does not count"));
        }
    }
    if now.went_back_since(&before.numbers) {
        return Ok(Drift::Distrusted("a number of the table revisions went back"));
    }
    Ok(Drift::Counted)
}

/// The previous snapshot, and the present numbers of the parts.
struct Since<'a> {
    before: Option<&'a Snapshot>,
    numbers: Numbers,
}

impl<'a> Since<'a> {
    /// The previous snapshot, if the part has not changed since.
    fn same(&self, part: Part) -> Option<&'a Snapshot> {
        self.before.filter(|before| before.numbers[part as usize] == self.numbers[part as usize])
    }

    /// The previous snapshot with its number of the part, if the part has a greater number now. That of a restored database may
    /// be smaller.
    fn older(&self, part: Part) -> Option<(&'a Snapshot, i64)> {
        let then = |before: &'a Snapshot| (before, before.numbers[part as usize]);
        self.before.map(then).filter(|(_, number)| *number < self.numbers[part as usize])
    }
}

async fn read_clients(
    tx: &mut Tx<'_>,
    since: &Since<'_>,
    known: &KnownRights,
) -> Result<Arc<Registered>, StoreError> {
    if let Some(same) = since.same(Part::Clients) {
        return Ok(same.clients.clone());
    }
    let clients = match since.older(Part::Clients) {
        None => all_clients(tx, known).await?,
        Some((older, number)) => changed_clients(tx, (*older.clients).clone(), number, known).await?,
    };
    Ok(Arc::new(clients))
}

async fn all_clients(tx: &mut Tx<'_>, known: &KnownRights) -> Result<Registered, StoreError> {
    let count = tx.value("SELECT COUNT(*) FROM clients", &[]).await?;
    let mut all = AllClients::new(count, known);
    tx.each(tx.dialect().all_clients, &[], |(records,): (String,)| all.add(&records)).await?;
    tx.each(tx.dialect().all_secrets, &[], |(records,): (String,)| all.add_secrets(&records)).await?;
    all.finish()
}

async fn changed_clients(
    tx: &mut Tx<'_>,
    mut clients: Registered,
    since: i64,
    known: &KnownRights,
) -> Result<Registered, StoreError> {
    let changed: Vec<(String,)> = tx.all(SELECT_CHANGED_IDS, values![since]).await?;
    changed.iter().for_each(|(id,)| clients.remove(id));
    let mut put = |row: ClientRow| clients.put(row.into_client(known));
    let mut gathering = Gathering::default();
    let add = |row| {
        gathering.add(row)?.map(&mut put);
        Ok(())
    };
    tx.each(SELECT_CHANGED_CLIENTS, values![since], add).await?;
    gathering.finish().map(&mut put);
    Ok(clients)
}

async fn read_revoked_ids(tx: &mut Tx<'_>, since: &Since<'_>) -> Result<Arc<RevokedIds>, StoreError> {
    let same_dropped = since.same(Part::ExpiredIds);
    // `None` after the database was restored from a copy: then everything is read.
    let usable = same_dropped.or_else(|| since.older(Part::ExpiredIds).map(|(older, _)| older));
    let mut kept = usable.and_then(|_| since.same(Part::RevokedIds)).map(|same| same.revoked_ids.clone());
    if let Some((older, number)) = usable.and_then(|_| since.older(Part::RevokedIds)) {
        let mut revoked = (*older.revoked_ids).clone();
        let add = |(kind, id): (String, String)| revoked.add(&kind, &id);
        tx.each(SELECT_IDS, values![number], add).await?;
        kept = Some(Arc::new(revoked));
    }
    if same_dropped.is_none() && kept.is_some() {
        let left: i64 = tx.value("SELECT COUNT(*) FROM revoked_ids", &[]).await?;
        kept = kept.filter(|kept| kept.may_stay(left));
    }
    if let Some(kept) = kept {
        return Ok(kept);
    }
    let mut revoked = RevokedIds::new();
    let add = |(records,): (String,)| add_revoked_ids(&mut revoked, &records);
    tx.each(tx.dialect().all_revoked_ids, &[], add).await?;
    Ok(Arc::new(revoked))
}

async fn read_revoked_before(tx: &mut Tx<'_>, since: &Since<'_>) -> Result<Arc<RevokedBefore>, StoreError> {
    if let Some(same) = since.same(Part::RevokedBefore) {
        return Ok(same.revoked_before.clone());
    }
    let mut revoked = RevokedBefore::default();
    tx.each(SELECT_BEFORE, &[], |row| revoked.add(row)).await?;
    Ok(Arc::new(revoked))
}

async fn read_issuers(tx: &mut Tx<'_>, since: &Since<'_>) -> Result<Arc<TrustedIssuers>, StoreError> {
    if let Some(same) = since.same(Part::Issuers) {
        return Ok(same.issuers.clone());
    }
    let mut issuers = TrustedIssuers::default();
    tx.each(SELECT_ISSUERS, &[], |row| issuers.add(row)).await?;
    Ok(Arc::new(issuers))
}

async fn read_disabled_subjects(
    tx: &mut Tx<'_>,
    since: &Since<'_>,
) -> Result<Arc<DisabledSubjects>, StoreError> {
    if let Some(same) = since.same(Part::DisabledSubjects) {
        return Ok(same.disabled_subjects.clone());
    }
    let mut disabled = DisabledSubjects::default();
    let add = |row| {
        disabled.add(row);
        Ok(())
    };
    tx.each(SELECT_DISABLED, &[], add).await?;
    Ok(Arc::new(disabled))
}
