//! What takes rights away: it is found again in memory when the database has lost it, stays in force, and is written again.

use crate::clock::now;
use crate::database::{Recorded, time, values};
use crate::error::StoreError;
use crate::revocations::{ALL_SUBJECTS, OUR_CLIENTS};
use crate::snapshot::in_memory::Snapshot;
use crate::store::Store;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use tokenberg_core::jws::{KeyId, KeyMaterial};
use tokenberg_core::token::SingleUseId;
use tokenberg_core::{ClientId, Issuer, Lifetime, Timestamp};

/// How long a revocation is stored again; only the database knew its end. Longer than any session and token.
const REVOKED_FOR: Lifetime = Lifetime::from_hours(8 * 24);

/// One thing that takes rights away.
#[derive(Clone)]
pub(super) enum Restriction {
    /// The revocation of a token or session: kind and identifier.
    Id(&'static str, Box<str>),
    /// The revocation of what is from before a time: kind, issuer or nothing, name.
    Before(&'static str, Box<str>, Box<str>, Timestamp),
    /// A disabled subject: issuer or nothing, name.
    Subject(Box<str>, Box<str>),
    /// A client that was disabled or removed; it is disabled.
    Client(Box<str>),
    /// An issuer that was disabled or removed; it is disabled.
    Issuer(Box<str>),
    /// A signing key that was removed or revoked, with the keys of that time.
    Key(KeyId, Arc<[KeyMaterial]>),
    /// A single-use identifier that was used.
    Use(SingleUseId),
}

impl Restriction {
    /// Those of the one snapshot that the other one lacks. `removed` are keys that were seen to disappear.
    pub(super) fn lost(before: &Snapshot, after: &Snapshot, removed: &HashSet<KeyId>) -> Vec<Self> {
        let mut lost = Vec::new();
        lost.extend(
            before.revoked_ids.missing_in(&after.revoked_ids).map(|(kind, id)| Self::Id(kind, id.into())),
        );
        let times = before.revoked_before.missing_in(&after.revoked_before);
        lost.extend(times.map(|(kind, issuer, name, at)| Self::Before(kind, issuer.into(), name.into(), at)));
        let subjects = before.disabled_subjects.missing_in(&after.disabled_subjects);
        lost.extend(subjects.map(|(issuer, name)| Self::Subject(issuer.into(), name.into())));
        // The removal of a client or an issuer has revoked what it had.
        lost.extend(after.clients.iter().filter(|client| client.enabled).filter_map(|client| {
            let id = client.id.as_str();
            let is_lost = match before.clients.find(id) {
                Some(before) => !before.enabled,
                None => before.revoked_before.exactly(OUR_CLIENTS, id).is_some(),
            };
            is_lost.then(|| Self::Client(id.into()))
        }));
        lost.extend(after.issuers.in_order().filter(|issuer| issuer.enabled).filter_map(|trusted| {
            let issuer = trusted.issuer.as_str();
            let is_lost = match before.issuers.find(issuer) {
                Some(before) => !before.enabled,
                None => before.revoked_before.exactly(issuer, ALL_SUBJECTS).is_some(),
            };
            is_lost.then(|| Self::Issuer(issuer.into()))
        }));
        let keys = after.keys.iter().filter(|key| removed.contains(&key.id));
        lost.extend(keys.map(|key| Self::Key(key.id.clone(), before.keys.clone())));
        lost
    }

    /// Puts it into force in memory.
    pub(super) fn apply(&self, to: &mut Snapshot) -> Result<(), StoreError> {
        match self {
            Self::Id(kind, id) => Arc::make_mut(&mut to.revoked_ids).add(kind, id)?,
            Self::Before(kind, issuer, name, before) => {
                let row = ((*kind).to_owned(), issuer.to_string(), name.to_string(), before.as_seconds());
                Arc::make_mut(&mut to.revoked_before).add(row)?;
            }
            Self::Subject(issuer, name) => {
                Arc::make_mut(&mut to.disabled_subjects).add((issuer.to_string(), name.to_string(), 0));
            }
            Self::Client(id) => Arc::make_mut(&mut to.clients).disable(id),
            Self::Issuer(issuer) => Arc::make_mut(&mut to.issuers).disable(issuer),
            // The keys are replaced as a whole, and uses are not in a snapshot.
            Self::Key(..) | Self::Use(_) => {}
        }
        Ok(())
    }

    /// Writes it again, unless it is there. Returns whether it was missing.
    pub(super) async fn write(&self, store: &Store) -> Result<bool, StoreError> {
        let db = &store.0.db;
        let written = match self {
            Self::Id(kind, id) => {
                let find = "SELECT until FROM revoked_ids WHERE kind = $1 AND id = $2";
                if db.find_value::<i64>(find, values![*kind, &**id]).await?.is_some() {
                    return Ok(false);
                }
                let until = time(now() / 1000)?.plus(REVOKED_FOR);
                store.revoke_ids(&[(*kind, id)], until).await
            }
            Self::Before(kind, issuer, name, before) => {
                let find = "SELECT before FROM revoked_before WHERE kind = $1 AND issuer = $2 AND name = $3 AND before >= $4";
                let values = values![*kind, &**issuer, &**name, *before];
                if db.find_value::<i64>(find, values).await?.is_some() {
                    return Ok(false);
                }
                store.revoke_all_before(kind, issuer, name, *before).await
            }
            Self::Subject(issuer, name) => {
                let find = "SELECT since FROM disabled_subjects WHERE issuer = $1 AND name = $2";
                if db.find_value::<i64>(find, values![&**issuer, &**name]).await?.is_some() {
                    return Ok(false);
                }
                let issuer = if issuer.is_empty() { None } else { Some(parsed(issuer, Issuer::foreign)?) };
                store.disable_subject(time(now() / 1000)?, issuer.as_ref(), &parsed(name, str::parse)?).await
            }
            Self::Client(id) => {
                let id: ClientId = parsed(id, str::parse)?;
                match store.client(&id).await {
                    Ok(client) if client.enabled => store.set_enabled(&id, false).await,
                    Ok(_) => return Ok(false),
                    Err(error) => Err(error),
                }
            }
            Self::Issuer(issuer) => {
                let issuer = parsed(issuer, Issuer::foreign)?;
                match store.issuer(&issuer).await {
                    Ok(record) if record.trusted.enabled => store.set_issuer_enabled(&issuer, false).await,
                    Ok(_) => return Ok(false),
                    Err(error) => Err(error),
                }
            }
            Self::Key(id, keys) => {
                // Those of the time come first: a store without a key that signs serves no one.
                for key in keys.iter() {
                    match store.add_key(key).await {
                        Ok(()) | Err(StoreError::KeyExists { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
                store.remove_key(id).await
            }
            Self::Use(used) => {
                // Expired by now, it frees nothing.
                if used.until.as_seconds() <= now() / 1000 || store.is_used(&used.namespace, &used.id).await?
                {
                    return Ok(false);
                }
                return store.use_once(&used.namespace, &used.id, used.until).await;
            }
        };
        match written {
            Ok(()) => Ok(true),
            // What it would restrict is not there: another node was faster, or the database never had it.
            Err(
                StoreError::NoSuchClient { .. }
                | StoreError::NoSuchIssuer { .. }
                | StoreError::NoSuchKey { .. },
            ) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a record of a change that was made since says the opposite on purpose.
    fn is_undone_by(&self, record: &serde_json::Value) -> bool {
        let is = |name: &str, value: &str| record[name].as_str().unwrap_or_default() == value;
        match (self, record["change"].as_str().unwrap_or_default()) {
            (Self::Client(id), "client enabled" | "client added") => is("client", id),
            (Self::Issuer(issuer), "issuer enabled" | "issuer added") => is("issuer", issuer),
            (Self::Subject(issuer, name), "subject enabled") => is("issuer", issuer) && is("subject", name),
            (Self::Key(id, _), "key added") => is("key", id.as_str()),
            _ => false,
        }
    }
}

impl Store {
    /// Removes those that an operator has undone on purpose in the history that the store has now.
    ///
    /// `known` are the ends of the other history that this process has read, the oldest first. The last one that both histories have
    /// is where they part. If there is none, `since` decides, in milliseconds since 1970.
    pub(super) async fn retain_in_force(
        &self,
        lost: &mut Vec<Restriction>,
        known: &[Recorded],
        since: i64,
    ) -> Result<(), StoreError> {
        let oldest = known.first().map_or(i64::MAX, |recorded| recorded.number);
        let read = "SELECT number, hash FROM audit_records WHERE chain = 'installation' AND number >= $1 ORDER BY number";
        let hashes: Vec<(i64, Vec<u8>)> = self.0.db.all(read, values![oldest]).await?;
        let hashes: HashMap<i64, Vec<u8>> = hashes.into_iter().collect();
        let parted = known.iter().rev().find(|one| hashes.get(&one.number) == Some(&one.hash));
        let (number, since) = parted.map_or((0, since), |recorded| (recorded.number, 0));
        let read = "SELECT record FROM audit_records WHERE chain = 'installation' AND number > $1 AND at >= $2 \
                    AND (record LIKE '% enabled\"%' OR record LIKE '% added\"%')";
        let records: Vec<(String,)> = self.0.db.all(read, values![number, since]).await?;
        let records = records.iter().filter_map(|(text,)| serde_json::from_str(text).ok());
        for record in records.collect::<Vec<serde_json::Value>>() {
            lost.retain(|restriction| !restriction.is_undone_by(&record));
        }
        Ok(())
    }
}

/// Counts of restrictions, for the log.
pub(super) struct Counts<'a>(pub(super) &'a [Restriction]);

impl fmt::Display for Counts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        type Is = fn(&Restriction) -> bool;
        let kinds: [(Is, &str); 6] = [
            (|r| matches!(r, Restriction::Id(..)), "revoked tokens and sessions"),
            (|r| matches!(r, Restriction::Before(..)), "revocations of clients, subjects and issuers"),
            (|r| matches!(r, Restriction::Subject(..)), "disabled subjects"),
            (|r| matches!(r, Restriction::Client(..)), "disabled or removed clients"),
            (|r| matches!(r, Restriction::Issuer(..)), "disabled or removed issuers"),
            (|r| matches!(r, Restriction::Key(..)), "removed keys"),
        ];
        let counts = kinds.into_iter().map(|(is, what)| (self.0.iter().filter(|r| is(r)).count(), what));
        let counts: Vec<String> =
            counts.filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        f.write_str(&if counts.is_empty() { "none".to_owned() } else { counts.join(", ") })
    }
}

fn parsed<T, E>(text: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<T, StoreError> {
    parse(text).map_err(|_| StoreError::damaged(format!("the name {text:?}")))
}
