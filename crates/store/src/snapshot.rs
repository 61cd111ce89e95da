//! What is in the store at one moment? Everything that tokens are answered from, in memory.

use crate::at_once::{AllClients, COUNT_CLIENTS, COUNT_REVOKED_IDS, Tables, add_revoked_ids};
use crate::clients::{ClientRow, Gathering, SELECT_CHANGED_CLIENTS, SELECT_CHANGED_IDS};
use crate::db::Part;
use crate::error::StoreError;
use crate::issuers::{SELECT_ISSUERS, TrustedIssuers};
use crate::keys::{Row, SELECT_KEYS, read_key};
use crate::registered::Registered;
use crate::reseal::SELECT_PEPPER;
use crate::revocations::{RevokedBefore, RevokedIds, SELECT_BEFORE, SELECT_IDS};
use crate::store::Store;
use crate::subjects::{DisabledSubjects, SELECT_DISABLED};
use futures_util::TryStreamExt;
use std::sync::Arc;
use tokenberg_core::{
    AccessTokenClaims, Client, ClientId, Issuer, KeyMaterial, Namesake, Revocation, SecretDigest,
    SubjectStanding, TrustedIssuer,
};

/// The clients, keys, revocations and trusted issuers of one moment. It never changes, and a clone costs nothing.
#[derive(Clone)]
pub struct Snapshot {
    /// One for each part, in the order of [`Part::ALL`].
    numbers: Numbers,
    clients: Arc<Registered>,
    keys: Arc<[KeyMaterial]>,
    revoked_ids: Arc<RevokedIds>,
    revoked_before: Arc<RevokedBefore>,
    issuers: Arc<TrustedIssuers>,
    disabled_subjects: Arc<DisabledSubjects>,
}

type Numbers = [i64; Part::ALL.len()];

impl Snapshot {
    /// The client of this identifier, disabled ones too.
    #[must_use]
    pub fn client(&self, id: &ClientId) -> Option<&Arc<Client>> {
        self.clients.find(id.as_str())
    }

    /// How many clients there are.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// The enabled client for which this subject of this issuer stands, if it is exactly one.
    #[must_use]
    pub fn federated(&self, issuer: &Issuer, subject: &str) -> Option<&Arc<Client>> {
        self.clients.federated(issuer, subject)
    }

    /// The issuer that is trusted under exactly this identifier, disabled ones too.
    #[must_use]
    pub fn issuer(&self, issuer: &str) -> Option<&Arc<TrustedIssuer>> {
        self.issuers.find(issuer)
    }

    /// How many issuers are trusted, disabled ones counted.
    #[must_use]
    pub fn issuers(&self) -> usize {
        self.issuers.len()
    }

    /// The trusted issuers, disabled ones too, in the order in which they were registered.
    pub fn issuers_in_order(&self) -> impl Iterator<Item = &TrustedIssuer> {
        self.issuers.in_order()
    }

    /// What the operator decided about a subject of another issuer or, without one, about the user of an unsecured JWT; and who
    /// else has the name `sub` that our tokens give it. The operator may know the subject by either name.
    #[must_use]
    pub fn subject(&self, issuer: Option<&Issuer>, subject: &str, sub: &str) -> SubjectStanding {
        let trusted = issuer.and_then(|issuer| self.issuer(issuer.as_str())).map(AsRef::as_ref);
        let client = self.clients.find(sub).map(|client| &client.id);
        SubjectStanding {
            disabled: [subject, sub].iter().any(|name| self.disabled_subjects.has(issuer, name)),
            revoked_before: [subject, sub]
                .iter()
                .filter_map(|name| self.revoked_before.of_name(issuer, name))
                .max(),
            namesake: Namesake::find(sub, trusted, client, self.issuers.in_order()),
        }
    }

    /// How many subjects are disabled.
    #[must_use]
    pub fn disabled_subjects(&self) -> usize {
        self.disabled_subjects.len()
    }

    /// The signing keys, by the time from which they sign.
    #[must_use]
    pub fn keys(&self) -> &[KeyMaterial] {
        &self.keys
    }

    /// Whether the operator took the token back.
    #[must_use]
    pub fn revoked(&self, token: &AccessTokenClaims) -> Option<Revocation> {
        self.revoked_ids.find(token).or_else(|| Revocation::before(token, &*self.revoked_before))
    }

    /// How many revocations there are.
    #[must_use]
    pub fn revocations(&self) -> usize {
        self.revoked_ids.len() + self.revoked_before.len()
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
        self.clients.find(client_id).is_some_and(|client| {
            client.enabled
                && client.secrets.iter().any(|s| s.expires_at.is_none() && s.digest.matches(digest))
        })
    }

    /// The name of the secret that the digest is of, if the client is enabled.
    pub(crate) fn secret_of(&self, client_id: &str, digest: &SecretDigest) -> Option<&str> {
        let client = self.clients.find(client_id).filter(|client| client.enabled)?;
        // All are compared, wherever the right one stands.
        client.secrets.iter().fold(None, |found, secret| {
            if secret.digest.matches(digest) { Some(secret.id.as_str()) } else { found }
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
        match self.snapshot_after(None).await? {
            (snapshot, None) => Ok(snapshot),
            (_, Some(fault)) => Err(fault),
        }
    }

    /// Whether something has changed since the snapshot.
    pub(crate) async fn has_changed(&self, since: &Snapshot) -> Result<bool, StoreError> {
        let rows: Vec<(String, i64)> =
            read!(&self.0.db, connection => sqlx::query_as(SELECT_NUMBERS).fetch_all(connection).await)?;
        Ok(numbers(&rows)? != since.numbers)
    }

    /// Reads what has changed since the snapshot, and shares the rest with it. If the keys cannot be opened, because the store
    /// was sealed anew, it has none, and comes with the reason.
    pub(crate) async fn snapshot_after(
        &self,
        before: Option<&Snapshot>,
    ) -> Result<(Snapshot, Option<StoreError>), StoreError> {
        let tables = Tables::of(&self.0.db);
        read_moment!(&self.0.db, connection => {
            let rows: Vec<(String, i64)> =
                sqlx::query_as(SELECT_NUMBERS).fetch_all(&mut *connection).await?;
            let numbers = numbers(&rows)?;
            // The snapshot, if the part is still as it was then.
            let same = |part: Part| before.filter(|b| b.numbers[part as usize] == numbers[part as usize]);
            // The snapshot, if the part has gone on from there; a database that was put back has not.
            let older = |part: Part| before.filter(|b| b.numbers[part as usize] < numbers[part as usize]);

            let clients = if let Some(same) = same(Part::Clients) {
                same.clients.clone()
            } else {
                let known = &self.0.known_rights;
                Arc::new(match older(Part::Clients) {
                    None => {
                        let count = sqlx::query_scalar(COUNT_CLIENTS).fetch_one(&mut *connection).await?;
                        let mut all = AllClients::new(count, known);
                        let mut texts = sqlx::query_scalar(tables.clients).fetch(&mut *connection);
                        while let Some(text) = texts.try_next().await? {
                            let text: String = text;
                            all.add(&text)?;
                        }
                        drop(texts);
                        let mut texts = sqlx::query_scalar(tables.secrets).fetch(&mut *connection);
                        while let Some(text) = texts.try_next().await? {
                            let text: String = text;
                            all.add_secrets(&text)?;
                        }
                        all.finish()?
                    }
                    Some(older) => {
                        let since = older.numbers[Part::Clients as usize];
                        let mut clients = (*older.clients).clone();
                        let changed: Vec<String> = sqlx::query_scalar(SELECT_CHANGED_IDS)
                            .bind(since)
                            .fetch_all(&mut *connection)
                            .await?;
                        changed.iter().for_each(|id| clients.remove(id));
                        let mut put = |row: ClientRow| clients.put(row.into_client(known));
                        let mut gathering = Gathering::default();
                        let query = sqlx::query_as(SELECT_CHANGED_CLIENTS).bind(since);
                        let mut rows = query.fetch(&mut *connection);
                        while let Some(row) = rows.try_next().await? {
                            gathering.add(row)?.map(&mut put);
                        }
                        gathering.finish().map(&mut put);
                        clients
                    }
                })
            };

            let mut unopened = None;
            let keys: Arc<[KeyMaterial]> = if let Some(same) = same(Part::Keys) {
                same.keys.clone()
            } else {
                let rows: Vec<Row> = sqlx::query_as(SELECT_KEYS).fetch_all(&mut *connection).await?;
                let pepper = sqlx::query_scalar(SELECT_PEPPER).fetch_optional(&mut *connection).await?;
                match self.seal_of(pepper) {
                    Ok(seal) => {
                        rows.into_iter().map(|row| read_key(row, &seal.sealer)).collect::<Result<_, _>>()?
                    }
                    Err(fault) => {
                        unopened = Some(fault);
                        Arc::default()
                    }
                }
            };

            let are_forgotten = same(Part::ForgottenIds).is_none();
            let whole = same(Part::ForgottenIds).or(older(Part::ForgottenIds));
            let mut kept = whole.and(same(Part::RevokedIds)).map(|same| same.revoked_ids.clone());
            if let Some(older) = whole.and(older(Part::RevokedIds)) {
                let mut revoked = (*older.revoked_ids).clone();
                let since = older.numbers[Part::RevokedIds as usize];
                let mut rows = sqlx::query_as(SELECT_IDS).bind(since).fetch(&mut *connection);
                while let Some(row) = rows.try_next().await? {
                    let (kind, id): (String, String) = row;
                    revoked.add(&kind, &id)?;
                }
                kept = Some(Arc::new(revoked));
            }
            if are_forgotten && kept.is_some() {
                let left: i64 = sqlx::query_scalar(COUNT_REVOKED_IDS).fetch_one(&mut *connection).await?;
                kept = kept.filter(|kept| kept.may_stay(left));
            }
            let revoked_ids = if let Some(kept) = kept {
                kept
            } else {
                let mut revoked = RevokedIds::new();
                let mut texts = sqlx::query_scalar(tables.revoked_ids).fetch(&mut *connection);
                while let Some(text) = texts.try_next().await? {
                    let text: String = text;
                    add_revoked_ids(&mut revoked, &text)?;
                }
                Arc::new(revoked)
            };

            let revoked_before = if let Some(same) = same(Part::RevokedBefore) {
                same.revoked_before.clone()
            } else {
                let mut revoked = RevokedBefore::default();
                let mut rows = sqlx::query_as(SELECT_BEFORE).fetch(&mut *connection);
                while let Some(row) = rows.try_next().await? {
                    revoked.add(row)?;
                }
                Arc::new(revoked)
            };

            let issuers = if let Some(same) = same(Part::Issuers) {
                same.issuers.clone()
            } else {
                let mut issuers = TrustedIssuers::default();
                let mut rows = sqlx::query_as(SELECT_ISSUERS).fetch(&mut *connection);
                while let Some(row) = rows.try_next().await? {
                    issuers.add(row)?;
                }
                Arc::new(issuers)
            };

            let disabled_subjects = if let Some(same) = same(Part::DisabledSubjects) {
                same.disabled_subjects.clone()
            } else {
                let mut disabled = DisabledSubjects::default();
                let mut rows = sqlx::query_as(SELECT_DISABLED).fetch(&mut *connection);
                while let Some(row) = rows.try_next().await? {
                    disabled.add(row);
                }
                Arc::new(disabled)
            };
            let snapshot =
                Snapshot { numbers, clients, keys, revoked_ids, revoked_before, issuers, disabled_subjects };
            Ok((snapshot, unopened))
        })
    }
}

const SELECT_NUMBERS: &str = "SELECT part, number FROM revisions";

fn numbers(rows: &[(String, i64)]) -> Result<Numbers, StoreError> {
    let mut numbers = [0; Part::ALL.len()];
    for part in Part::ALL {
        let row = rows.iter().find(|(name, _)| name == part.name());
        numbers[part as usize] = row.ok_or_else(|| StoreError::damaged("the table of revisions"))?.1;
    }
    Ok(numbers)
}
