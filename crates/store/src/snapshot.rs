//! What is in the store at one moment? Everything that tokens are answered from, in memory.

use crate::clients::{ClientRow, Gathering, SELECT_CLIENTS};
use crate::db::Part;
use crate::error::StoreError;
use crate::keys::{SELECT_KEYS, read_key};
use crate::revocations::{Revocations, SELECT_BEFORE, SELECT_IDS};
use crate::store::Store;
use futures_util::TryStreamExt;
use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use tokenberg_core::{AccessTokenClaims, Client, ClientId, KeyMaterial, Revocation, SecretDigest};

/// The clients, keys and revocations of one moment. It never changes, and a clone costs nothing.
#[derive(Clone)]
pub struct Snapshot {
    /// One for each part, in the order of [`Part::ALL`].
    numbers: [i64; 3],
    clients: Arc<HashSet<ById>>,
    keys: Arc<[KeyMaterial]>,
    revocations: Arc<Revocations>,
}

/// A client that is found by its identifier, exact in every byte, without a second copy of it.
struct ById(Arc<Client>);

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        self.0.id.as_str()
    }
}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.as_str().hash(state);
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

impl Snapshot {
    /// The client of this identifier, disabled ones too.
    #[must_use]
    pub fn client(&self, id: &ClientId) -> Option<&Arc<Client>> {
        self.clients.get(id.as_str()).map(|by_id| &by_id.0)
    }

    /// How many clients there are.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// The signing keys, by the time from which they sign.
    #[must_use]
    pub fn keys(&self) -> &[KeyMaterial] {
        &self.keys
    }

    /// Whether the operator took the token back.
    #[must_use]
    pub fn revoked(&self, token: &AccessTokenClaims) -> Option<Revocation> {
        self.revocations.find(token)
    }

    /// How many revocations there are.
    #[must_use]
    pub fn revocations(&self) -> usize {
        self.revocations.len()
    }

    /// Grows with every change of the store that a snapshot shows.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.numbers.iter().sum()
    }

    /// Whether this digest is that of a secret of the client that is good for as long as nobody changes anything.
    ///
    /// Not so of a disabled client or a secret with an end: for those, right and wrong have to take the same time (AB-06).
    pub(crate) fn vouches(&self, client_id: &str, digest: &SecretDigest) -> bool {
        self.clients.get(client_id).is_some_and(|ById(client)| {
            client.enabled
                && client.secrets.iter().any(|s| s.expires_at.is_none() && s.digest.matches(digest))
        })
    }

    pub(crate) fn has_keys_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.keys, &other.keys)
    }

    /// Goes back to the keys of another snapshot, and to their number, so that they count as changed since.
    pub(crate) fn take_keys_of(&mut self, other: &Self) {
        self.keys = other.keys.clone();
        self.numbers[Part::Keys as usize] = other.numbers[Part::Keys as usize];
    }
}

impl Store {
    /// Reads everything, as of one moment.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.snapshot_after(None).await
    }

    /// Whether something has changed since the snapshot.
    pub(crate) async fn has_changed(&self, since: &Snapshot) -> Result<bool, StoreError> {
        let rows: Vec<(String, i64)> =
            read!(&self.0.db, pool => sqlx::query_as(SELECT_NUMBERS).fetch_all(pool).await)?;
        Ok(numbers(&rows)? != since.numbers)
    }

    /// Reads the parts that have changed since the snapshot, and shares the others with it.
    pub(crate) async fn snapshot_after(&self, before: Option<&Snapshot>) -> Result<Snapshot, StoreError> {
        read!(&self.0.db, pool => {
            // One transaction, so that all is of one moment.
            let mut transaction = pool.begin().await?;
            let rows: Vec<(String, i64)> =
                sqlx::query_as(SELECT_NUMBERS).fetch_all(&mut *transaction).await?;
            let numbers = numbers(&rows)?;
            let unchanged = |part: Part| {
                before.filter(|b| b.numbers[part as usize] == numbers[part as usize])
            };
            let clients = match unchanged(Part::Clients) {
                Some(before) => before.clients.clone(),
                None => {
                    let mut clients = HashSet::new();
                    let mut add = |row: ClientRow| clients.insert(ById(Arc::new(row.into_client())));
                    let mut gathering = Gathering::default();
                    let mut rows = sqlx::query_as(SELECT_CLIENTS).fetch(&mut *transaction);
                    while let Some(row) = rows.try_next().await? {
                        gathering.add(row)?.map(&mut add);
                    }
                    gathering.finish().map(&mut add);
                    Arc::new(clients)
                }
            };
            let keys = match unchanged(Part::Keys) {
                Some(before) => before.keys.clone(),
                None => {
                    let rows = sqlx::query_as(SELECT_KEYS).fetch_all(&mut *transaction).await?;
                    rows.into_iter().map(|row| read_key(row, &self.0.sealer)).collect::<Result<_, _>>()?
                }
            };
            let revocations = match unchanged(Part::Revocations) {
                Some(before) => before.revocations.clone(),
                None => {
                    let mut revocations = Revocations::default();
                    let mut rows = sqlx::query_as(SELECT_IDS).fetch(&mut *transaction);
                    while let Some(row) = rows.try_next().await? {
                        revocations.add_id(row)?;
                    }
                    drop(rows);
                    let mut rows = sqlx::query_as(SELECT_BEFORE).fetch(&mut *transaction);
                    while let Some(row) = rows.try_next().await? {
                        revocations.add_before(row)?;
                    }
                    Arc::new(revocations)
                }
            };
            transaction.rollback().await?;
            Ok(Snapshot { numbers, clients, keys, revocations })
        })
    }
}

const SELECT_NUMBERS: &str = "SELECT part, number FROM revisions";

fn numbers(rows: &[(String, i64)]) -> Result<[i64; 3], StoreError> {
    let mut numbers = [0; 3];
    for part in Part::ALL {
        let row = rows.iter().find(|(name, _)| name == part.name());
        numbers[part as usize] = row.ok_or_else(|| StoreError::damaged("the table of revisions"))?.1;
    }
    Ok(numbers)
}
