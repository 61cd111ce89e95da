//! The file with the last known state: when it is written, how it replaces the one before, and when it is used.
//!
//! It is a line that says what it is, a random salt, a tag of both, and a sealed stream. The keys of tag and stream are derived from the
//! key-encryption key and the salt, so each file has its own.

use crate::clock::now;
use crate::database::{Progress, Recorded, StoreUrl};
use crate::keys::{KekSource, KeyEncryptionKey, Seal, file_key};
use crate::private_file::{open_to_others, owners_only, sibling, sync_directory};
use crate::registrations::KnownRights;
use crate::snapshot::Snapshot;
use crate::snapshot_file::content::{self, Heading};
use crate::snapshot_file::error::SnapshotError;
use crate::snapshot_file::sealed_stream::{SealedReader, SealedWriter};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokenberg_core::{Issuer, Timestamp};

/// The first line; a file with another one is of another version.
const MAGIC: &[u8; 21] = b"tokenberg snapshot 1\n";
/// What the first line of every version begins with.
const ANY_VERSION: &[u8] = MAGIC.split_at(MAGIC.len() - 2).0;
const SALT: usize = 32;
const TAG: usize = 32;
const START: usize = MAGIC.len() + SALT + TAG;

/// How often the file is written while nothing changes, so that it says how recent its state is.
const REFRESH: Duration = Duration::from_secs(60);
/// How many times longer than writing takes the pause afterwards is: writing takes a hundredth of a core at most.
const PAUSE: u32 = 100;
/// How far in the future a state may be: clocks are corrected at a start.
const AHEAD: i64 = 60_000;

/// The file in which a server keeps the last known state of its store, sealed with the key-encryption key, so that it can start while
/// the database is away.
///
/// It replaces the one before as a whole, with mode 0600. Each server needs its own.
#[derive(Debug)]
pub struct SnapshotFile {
    path: PathBuf,
    store: String,
    issuer: String,
    max_age: Duration,
    last: Mutex<Option<Last>>,
}

/// What the file has.
#[derive(Debug)]
struct Last {
    progress: Progress,
    contact: i64,
    written_at: Instant,
    took: Duration,
}

/// A state that was read.
pub(super) struct Found {
    pub(super) snapshot: Snapshot,
    pub(super) seal: Seal,
    /// When it was last known to equal the store, in milliseconds since 1970, and how long ago that is.
    pub(super) contact: i64,
    pub(super) age: Duration,
}

impl SnapshotFile {
    /// The file at `path` of a server with this store and issuer. A state that was last known to equal the store longer than `max_age`
    /// ago is not used.
    #[must_use]
    pub fn new(path: &Path, store: &StoreUrl, issuer: &Issuer, max_age: Duration) -> Self {
        let (store, issuer) = (store.to_string(), issuer.to_string());
        Self { path: path.to_owned(), store, issuer, max_age, last: Mutex::default() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that nothing else is replaced by a write: there is no file, an empty one, or a snapshot of any version.
    ///
    /// # Errors
    /// [`SnapshotError::NotOurs`], or if the file cannot be read.
    pub fn may_be_written(&self) -> Result<(), SnapshotError> {
        let metadata = match fs::metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            found => found.map_err(refused)?,
        };
        // A pipe or a device is not opened.
        if !metadata.is_file() {
            return Err(SnapshotError::NotOurs);
        }
        let mut start = Vec::new();
        let file = File::open(&self.path).map_err(refused)?;
        file.take(ANY_VERSION.len() as u64).read_to_end(&mut start).map_err(refused)?;
        if start.is_empty() || start == ANY_VERSION { Ok(()) } else { Err(SnapshotError::NotOurs) }
    }

    /// Reads the file as a start does while the database is away. Returns when its state was last known to equal the store.
    ///
    /// # Errors
    /// If it would not be used.
    pub fn examine(&self, kek: &KekSource) -> Result<Timestamp, SnapshotError> {
        let found = self.read(kek, &KnownRights::default())?;
        timestamp(found.contact).ok_or(SnapshotError::Unknown)
    }

    /// When the state in the file was last known to equal the store; `None` before this process has read or written it.
    #[must_use]
    pub fn contact(&self) -> Option<Timestamp> {
        self.last().as_ref().and_then(|last| timestamp(last.contact))
    }

    /// The revision of the state in the file; see [`Snapshot::revision`].
    #[must_use]
    pub fn revision(&self) -> Option<i64> {
        self.last().as_ref().map(|last| last.progress.numbers.iter().sum())
    }

    /// Writes the state if it says more than the file does and the last write was long enough ago, which does not matter at the end.
    /// Returns whether it was written.
    pub(super) fn keep(
        &self,
        snapshot: &Snapshot,
        contact: i64,
        seal: &Seal,
        is_end: bool,
    ) -> Result<bool, SnapshotError> {
        // Held while it is written, so that no other thread writes as well.
        let mut last = self.last();
        let progress = Progress { numbers: snapshot.numbers, recorded: snapshot.recorded.clone() };
        let is_due = last.as_ref().is_none_or(|last| {
            let refresh = i64::try_from(REFRESH.as_millis()).unwrap_or(i64::MAX);
            let is_news =
                last.progress != progress || contact.abs_diff(last.contact) >= refresh.unsigned_abs();
            (is_end || last.written_at.elapsed() >= last.took * PAUSE)
                && (is_news || is_end && contact > last.contact)
        });
        if !is_due {
            return Ok(false);
        }
        self.may_be_written()?;
        let begun = Instant::now();
        let heading = Heading::of(&self.store, &self.issuer, contact, &seal.pepper, snapshot);
        let written = self.replace(&heading, snapshot, seal);
        written.map_err(|error| SnapshotError::NotWritten { reason: error.to_string() })?;
        *last = Some(Last { progress, contact, written_at: Instant::now(), took: begun.elapsed() });
        Ok(true)
    }

    fn replace(&self, heading: &Heading, snapshot: &Snapshot, seal: &Seal) -> io::Result<()> {
        let new = sibling(&self.path, ".new");
        // One that was left by a process that was killed.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = owners_only(OpenOptions::new().write(true).create_new(true)).open(&new)?;
        let replaced = (|| {
            let mut salt = [0; SALT];
            SystemRandom::new()
                .fill(&mut salt)
                .map_err(|_| io::Error::other("the operating system gave no random numbers"))?;
            let start = [MAGIC.as_slice(), &salt, &tag(&seal.file_key, &salt)].concat();
            file.write_all(&start)?;
            let mut stream = SealedWriter::new(&mut file, &stream_key(&seal.file_key, &salt), &start)?;
            content::write(&mut stream, heading, snapshot, &seal.sealer)?;
            stream.finish()?;
            file.sync_all()?;
            fs::rename(&new, &self.path)
        })();
        if replaced.is_err() {
            // It may have been renamed, and if it stays, the next write removes it.
            let _ = fs::remove_file(&new);
        }
        replaced.and_then(|()| sync_directory(&self.path))
    }

    /// Reads the state, if it may be used.
    pub(super) fn read(&self, kek: &KekSource, known: &KnownRights) -> Result<Found, SnapshotError> {
        let mut file = BufReader::new(self.opened()?);
        let mut start = [0; START];
        file.read_exact(&mut start).map_err(refused)?;
        let salt = start.strip_prefix(MAGIC).and_then(<[u8]>::first_chunk).ok_or(SnapshotError::Unknown)?;
        let (purpose, tag) = (purpose(b"tag", salt), &start[START - TAG..]);
        let fits = |key: &KeyEncryptionKey| hmac::verify(&file_key(key), &purpose, tag).is_ok();
        let mut key = kek.key(true)?;
        if !fits(&key) {
            key = kek.next_key()?.filter(fits).ok_or(SnapshotError::AnotherKey)?;
        }
        let files = file_key(&key);
        let mut stream = SealedReader::new(file, &stream_key(&files, salt), &start).map_err(refused)?;
        let heading = Heading::read(&mut stream).map_err(refused)?;
        let age = self.check(&heading)?;
        let seal = Seal::new(&key, heading.pepper.clone()).map_err(|_| SnapshotError::Unknown)?;
        let snapshot = content::read(&mut stream, &heading, &seal.sealer, known).map_err(refused)?;
        let progress = Progress {
            numbers: heading.numbers,
            recorded: Recorded { number: heading.recorded.0, hash: heading.recorded.1 },
        };
        let contact = heading.contact;
        *self.last() = Some(Last { progress, contact, written_at: Instant::now(), took: Duration::ZERO });
        Ok(Found { snapshot, seal, contact, age })
    }

    /// Opens the file, if only its owner can.
    fn opened(&self) -> Result<File, SnapshotError> {
        // Opening a pipe would wait for its other end.
        if !fs::metadata(&self.path).map_err(refused)?.is_file() {
            return Err(SnapshotError::Unknown);
        }
        let file = File::open(&self.path).map_err(refused)?;
        // The mode of the open file, so that it is that of the file that is read.
        match open_to_others(&file.metadata().map_err(refused)?) {
            Some(mode) => Err(SnapshotError::OpenToOthers { mode }),
            None => Ok(file),
        }
    }

    /// Checks whose state it is, and how old. Returns its age.
    fn check(&self, heading: &Heading) -> Result<Duration, SnapshotError> {
        if heading.store != self.store {
            let (found, expected) = (heading.store.clone(), self.store.clone());
            return Err(SnapshotError::AnotherStore { found, expected });
        }
        if heading.issuer != self.issuer {
            let (found, expected) = (heading.issuer.clone(), self.issuer.clone());
            return Err(SnapshotError::AnotherIssuer { found, expected });
        }
        let contact = timestamp(heading.contact).ok_or(SnapshotError::Unknown)?;
        let age = now().saturating_sub(heading.contact);
        if age < -AHEAD {
            return Err(SnapshotError::InTheFuture { contact });
        }
        let age = Duration::from_millis(age.max(0).unsigned_abs());
        if age > self.max_age {
            let (age, most) = (age.as_secs(), self.max_age.as_secs());
            return Err(SnapshotError::TooOld { contact, age, most });
        }
        Ok(age)
    }

    fn last(&self) -> MutexGuard<'_, Option<Last>> {
        // It is set as a whole, so a panic elsewhere leaves it consistent.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn timestamp(milliseconds: i64) -> Option<Timestamp> {
    Timestamp::from_seconds(milliseconds.div_euclid(1000)).ok()
}

fn purpose(what: &[u8], salt: &[u8; SALT]) -> Vec<u8> {
    [what, b"\0", salt].concat()
}

/// The key of the stream of the file with this salt.
fn stream_key(files: &hmac::Key, salt: &[u8; SALT]) -> [u8; 32] {
    digest(files, &purpose(b"stream", salt))
}

/// Shows that a file was sealed with this key.
fn tag(files: &hmac::Key, salt: &[u8; SALT]) -> [u8; TAG] {
    digest(files, &purpose(b"tag", salt))
}

fn digest(files: &hmac::Key, text: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(hmac::sign(files, text).as_ref());
    digest
}

/// A chunk that was changed is an error without a cause. What was opened and cannot be read was written by another version.
fn refused(error: io::Error) -> SnapshotError {
    let (kind, has_cause) = (error.kind(), error.get_ref().is_some());
    if kind == ErrorKind::NotFound {
        SnapshotError::Missing
    } else if kind == ErrorKind::UnexpectedEof || kind == ErrorKind::InvalidData && !has_cause {
        SnapshotError::Changed
    } else if kind == ErrorKind::InvalidData {
        SnapshotError::Unknown
    } else {
        SnapshotError::Unreadable { reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests;
