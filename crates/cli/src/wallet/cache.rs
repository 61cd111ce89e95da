//! Tokens that are kept in files of the user until they expire: mode 0600, one process at a time, replaced by a rename.

use super::obtained::Obtained;
use anyhow::Context;
use serde_json::{Map, Value, json};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tokenberg_core::Timestamp;
use zeroize::Zeroizing;

/// The directory of kept tokens.
pub(super) struct Cache {
    directory: PathBuf,
}

/// The place of one token. No other process uses it until it is dropped.
pub(super) struct Entry {
    directory: PathBuf,
    path: PathBuf,
    _lock: File,
}

impl Cache {
    /// The directory `tokenberg/tokens` below `$XDG_STATE_HOME`, or below `~/.local/state`; created if it does not exist.
    ///
    /// # Errors
    /// If neither variable is set, or the directory cannot be created or belongs to others.
    pub(super) fn open() -> anyhow::Result<Self> {
        // XDG Base Directory Specification: "If an implementation encounters a relative path [...] it should consider the path
        // invalid and ignore it."
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
        let directory =
            state.context("neither XDG_STATE_HOME nor HOME is set")?.join("tokenberg").join("tokens");
        let shown = directory.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .with_context(|| format!("cannot create {shown}"))?;
        let about = fs::metadata(&directory).with_context(|| format!("cannot read {shown}"))?;
        anyhow::ensure!(is_private(&about), "other users can access {shown}; run `chmod 700` on it");
        Ok(Self { directory })
    }

    /// The place of the token of this identity. Waits until no other process uses it.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub(super) fn entry(&self, identity: &str) -> anyhow::Result<Entry> {
        // A few lock files for all tokens: they are never removed, because another process may be waiting for one.
        let lock = self.directory.join(format!("lock-{}", identity.get(..1).unwrap_or_default()));
        let open = || {
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&lock)?;
            file.lock().map(|()| file)
        };
        let held = open().with_context(|| format!("cannot lock {}", lock.display()))?;
        let path = self.directory.join(format!("{identity}.json"));
        Ok(Entry { directory: self.directory.clone(), path, _lock: held })
    }
}

impl Entry {
    /// The kept token, if there is one that has not expired. A file that others can access does not count.
    pub(super) fn read(&self, now: Timestamp) -> Option<Obtained> {
        read(&self.path, now)
    }

    /// Keeps the token if it says when it expires, and removes those that have expired.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn write(&self, obtained: &Obtained, now: Timestamp) -> anyhow::Result<()> {
        self.remove_expired(now);
        let json = json!({"received_at": obtained.received_at().as_seconds(), "response": obtained.body()});
        let text = Zeroizing::new(json.to_string());
        let new = self.path.with_extension(std::process::id().to_string());
        let write = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(text.as_bytes())?;
            fs::rename(&new, &self.path)
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn remove_expired(&self, now: Timestamp) {
        let files = fs::read_dir(&self.directory).into_iter().flatten().flatten().map(|file| file.path());
        for path in files.filter(|path| path.extension().is_some_and(|kind| kind == "json")) {
            // A token that is gone when another process wants it is requested again.
            if read(&path, now).is_none() {
                let _ = fs::remove_file(path);
            }
        }
    }
}

fn read(path: &Path, now: Timestamp) -> Option<Obtained> {
    let file = File::open(path).ok()?;
    if !is_private(&file.metadata().ok()?) {
        return None;
    }
    let text = Zeroizing::new(io::read_to_string(file).ok()?);
    let mut kept: Map<String, Value> = serde_json::from_str(&text).ok()?;
    let received_at = kept.get("received_at").and_then(Value::as_i64)?;
    Obtained::kept(kept.remove("response")?, Timestamp::from_seconds(received_at).ok()?, now)
}

/// Whether only this user can access the file or directory.
fn is_private(about: &fs::Metadata) -> bool {
    about.uid() == rustix::process::geteuid().as_raw() && about.mode() & 0o077 == 0
}
