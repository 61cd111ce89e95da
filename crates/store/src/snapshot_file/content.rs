//! The content of the file: a heading and the rows of a snapshot, each as a line of JSON.

use crate::database::{Numbers, Part, Recorded, time};
use crate::error::StoreError;
use crate::hex::{from_hex, to_hex};
use crate::keys::{KeyRow, Sealer, read_key, sealed};
use crate::registrations::{
    DisabledSubjects, IssuerRow, KnownRights, TrustedIssuers, WrittenRights, rights_to_json,
};
use crate::revocations::{RevokedBefore, RevokedIds};
use crate::snapshot::{Registered, Snapshot};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Error, ErrorKind, Result, Write};
use std::sync::Arc;
use tokenberg_core::registration::StoredSecret;
use tokenberg_core::{Client, SecretDigest};
use zeroize::Zeroizing;

/// What the file says before the rows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Heading {
    /// The store, without a password.
    pub(super) store: String,
    pub(super) issuer: String,
    /// When the state was last known to equal the store, in milliseconds since 1970.
    pub(super) contact: i64,
    /// The sealed pepper.
    pub(super) pepper: Vec<u8>,
    pub(super) numbers: Numbers,
    /// Number and hash of the last record in the installation's chain.
    pub(super) recorded: (i64, Vec<u8>),
    /// How many rows follow of each kind, in the order of [`write`].
    rows: [usize; 6],
}

/// Identifier, enabled, rights, secrets: name, digest as hexadecimal digits, end.
type ClientLine = (String, bool, String, Vec<(String, String, Option<i64>)>);

impl Heading {
    pub(super) fn of(store: &str, issuer: &str, contact: i64, pepper: &[u8], snapshot: &Snapshot) -> Self {
        Self {
            store: store.to_owned(),
            issuer: issuer.to_owned(),
            contact,
            pepper: pepper.to_owned(),
            numbers: snapshot.numbers,
            recorded: (snapshot.recorded.number, snapshot.recorded.hash.clone()),
            rows: [
                snapshot.clients.len(),
                snapshot.keys.len(),
                snapshot.revoked_ids.len(),
                snapshot.revoked_before.len(),
                snapshot.issuers.len(),
                snapshot.disabled_subjects.len(),
            ],
        }
    }

    pub(super) fn read(from: &mut impl BufRead) -> Result<Self> {
        Lines::new(from).next()
    }
}

/// Writes the heading and the snapshot. Private keys are sealed as in the database.
pub(super) fn write(
    to: &mut impl Write,
    heading: &Heading,
    snapshot: &Snapshot,
    sealer: &Sealer,
) -> Result<()> {
    line(to, heading)?;
    for client in snapshot.clients.iter() {
        let secrets: Vec<_> = client
            .secrets
            .iter()
            .map(|secret| {
                let end = secret.expires_at.map(|at| at.as_seconds());
                (secret.id.as_str(), to_hex(&secret.digest.0), end)
            })
            .collect();
        let rights = rights_to_json(&client.rights).map_err(Error::other)?;
        line(to, &(client.id.as_str(), client.enabled, rights, secrets))?;
    }
    for key in snapshot.keys.iter() {
        let (id, algorithm) = (key.id.as_str(), key.algorithm.as_str());
        let sealed = sealed(key, sealer).map_err(Error::other)?;
        let (created_at, signs_from) = (key.created_at.as_seconds(), key.signs_from.as_seconds());
        let end = key.verifies_until.map(|at| at.as_seconds());
        line(to, &(id, algorithm, sealed, created_at, signs_from, end))?;
    }
    for id in snapshot.revoked_ids.missing_in(&RevokedIds::new()) {
        line(to, &id)?;
    }
    for (kind, issuer, name, before) in snapshot.revoked_before.missing_in(&RevokedBefore::default()) {
        line(to, &(kind, issuer, name, before.as_seconds()))?;
    }
    for issuer in snapshot.issuers.rows() {
        line(to, &issuer.map_err(Error::other)?)?;
    }
    for subject in snapshot.disabled_subjects.missing_in(&DisabledSubjects::default()) {
        line(to, &subject)?;
    }
    Ok(())
}

/// Reads the snapshot after its heading, to the end.
pub(super) fn read(
    from: &mut impl BufRead,
    heading: &Heading,
    sealer: &Sealer,
    known: &KnownRights,
) -> Result<Snapshot> {
    let mut lines = Lines::new(from);
    let [clients, keys, ids, before, issuers, subjects] = heading.rows;
    let mut rights = WrittenRights::new(known);
    let mut registered = Registered::with_room_for(clients);
    lines.each(clients, |row| {
        registered.put(client(row, &mut rights)?);
        Ok(())
    })?;
    let mut opened = Vec::with_capacity(keys);
    lines.each(keys, |row: KeyRow| {
        opened.push(read_key(row, sealer)?);
        Ok(())
    })?;
    let mut revoked_ids = RevokedIds::new();
    lines.each(ids, |(kind, id): (String, String)| revoked_ids.add(&kind, &id))?;
    let mut revoked_before = RevokedBefore::default();
    lines.each(before, |row| revoked_before.add(row))?;
    let mut trusted = TrustedIssuers::default();
    lines.each(issuers, |row: IssuerRow| trusted.add(row))?;
    let mut disabled_subjects = DisabledSubjects::default();
    lines.each(subjects, |(issuer, name): (String, String)| {
        disabled_subjects.add((issuer, name, 0));
        Ok(())
    })?;
    lines.end()?;
    let (number, hash) = heading.recorded.clone();
    Ok(Snapshot {
        numbers: heading.numbers,
        recorded: Recorded { number, hash },
        clients: Arc::new(registered),
        keys: opened.into(),
        revoked_ids: Arc::new(revoked_ids),
        revoked_before: Arc::new(revoked_before),
        issuers: Arc::new(trusted),
        disabled_subjects: Arc::new(disabled_subjects),
    })
}

fn client(
    (id, enabled, rights, secrets): ClientLine,
    known: &mut WrittenRights<'_>,
) -> std::result::Result<Client, StoreError> {
    let rights = known.read(&rights, &id)?;
    let damaged = || StoreError::damaged(format!("the client {id:?}"));
    let secret = |(id, digest, end): (String, String, Option<i64>)| {
        let digest = SecretDigest(from_hex(&digest).ok_or_else(damaged)?);
        Ok(StoredSecret { id: id.into(), digest, expires_at: end.map(time).transpose()? })
    };
    let secrets: std::result::Result<Vec<_>, StoreError> = secrets.into_iter().map(secret).collect();
    let mut client = Client::new(id.parse().map_err(|_| damaged())?, secrets?, rights);
    client.enabled = enabled;
    Ok(client)
}

fn line(to: &mut impl Write, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")
}

/// Reads lines of JSON.
struct Lines<'a, R> {
    from: &'a mut R,
    line: Zeroizing<Vec<u8>>,
}

impl<'a, R: BufRead> Lines<'a, R> {
    fn new(from: &'a mut R) -> Self {
        Self { from, line: Zeroizing::default() }
    }

    fn next<T: DeserializeOwned>(&mut self) -> Result<T> {
        self.line.clear();
        self.from.read_until(b'\n', &mut self.line)?;
        Ok(serde_json::from_slice(&self.line)?)
    }

    fn each<T: DeserializeOwned>(
        &mut self,
        rows: usize,
        mut add: impl FnMut(T) -> std::result::Result<(), StoreError>,
    ) -> Result<()> {
        (0..rows)
            .try_for_each(|_| add(self.next()?).map_err(|error| Error::new(ErrorKind::InvalidData, error)))
    }

    /// The end of the stream is verified, too.
    fn end(&mut self) -> Result<()> {
        if self.from.fill_buf()?.is_empty() { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
    }
}

/// How many parts the numbers of a heading have; a version with another part writes and reads another heading.
const _: () =
    assert!(Part::ALL.len() == 7, "a new part needs rows in the file, and another first line of it");
