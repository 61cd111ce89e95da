//! The times before which tokens of parties were revoked, as a store keeps them.

use std::collections::BTreeMap;
use tokenberg_core::revocation::RevokedBefore;
use tokenberg_core::{Issuer, Timestamp};

/// The times before which tokens of parties were revoked, in seconds.
#[derive(Default)]
pub struct RevokedTimes {
    clients: BTreeMap<String, i64>,
    /// `None` matches every issuer.
    subjects: BTreeMap<(Option<String>, String), i64>,
    issuers: BTreeMap<String, i64>,
    removed: BTreeMap<String, i64>,
}

impl RevokedTimes {
    /// Revokes the tokens of the client.
    pub fn client(&mut self, client: &str, before: i64) {
        later(&mut self.clients, client.to_owned(), before);
    }

    /// Revokes the tokens for the subject; without an issuer, of every issuer.
    pub fn subject(&mut self, issuer: Option<&str>, subject: &str, before: i64) {
        later(&mut self.subjects, (issuer.map(str::to_owned), subject.to_owned()), before);
    }

    /// Revokes what a client that is removed has, and what others have for it.
    pub fn removed_client(&mut self, client: &str, before: i64) {
        self.client(client, before);
        later(&mut self.removed, client.to_owned(), before);
    }

    /// Revokes the tokens for the subjects of the issuer.
    pub fn issuer(&mut self, issuer: &str, before: i64) {
        later(&mut self.issuers, issuer.to_owned(), before);
    }

    pub(crate) fn of_name(&self, issuer: Option<&Issuer>, subject: &str) -> Option<Timestamp> {
        let of = |issuer: Option<&str>| self.subjects.get(&(issuer.map(str::to_owned), subject.to_owned()));
        at(of(None).max(issuer.and_then(|issuer| of(Some(issuer.as_str())))))
    }
}

impl RevokedBefore for RevokedTimes {
    fn of_client(&self, client: &str) -> Option<Timestamp> {
        at(self.clients.get(client))
    }

    fn of_subject(&self, issuer: &Issuer, subject: &str) -> Option<Timestamp> {
        self.of_name(Some(issuer), subject)
    }

    fn of_removed_client(&self, client: &str) -> Option<Timestamp> {
        at(self.removed.get(client))
    }

    fn of_issuer(&self, issuer: &Issuer) -> Option<Timestamp> {
        at(self.issuers.get(issuer.as_str()))
    }
}

fn at(seconds: Option<&i64>) -> Option<Timestamp> {
    seconds.map(|seconds| Timestamp::from_seconds(*seconds).expect("a time of this century"))
}

/// The later time wins, in any order.
fn later<K: Ord>(times: &mut BTreeMap<K, i64>, key: K, before: i64) {
    let known = times.entry(key).or_insert(before);
    *known = before.max(*known);
}
