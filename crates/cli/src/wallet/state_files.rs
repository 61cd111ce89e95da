//! Files of the user that hold tokens: mode 0600, one process at a time, replaced by a rename.

use anyhow::Context;
use serde_json::{Map, Value};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The name of the directory of kept tokens.
pub(super) const TOKENS: &str = "tokens";
/// The name of the directory of sessions that a person has signed in for.
pub(super) const SESSIONS: &str = "sessions";

/// A directory of files that only this user can access.
pub(super) struct StateFiles {
    directory: PathBuf,
}

/// The place of one file. No other process uses it until it is dropped.
pub(super) struct Entry {
    path: PathBuf,
    _lock: File,
}

impl StateFiles {
    /// The directory `tokenberg/NAME` below `$XDG_STATE_HOME`, or below `~/.local/state`; created if it does not exist.
    ///
    /// # Errors
    /// If neither variable is set, or the directory cannot be created or belongs to others.
    pub(super) fn open(name: &str) -> anyhow::Result<Self> {
        let directory = directory(name)?;
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

    /// The same directory, if it exists.
    ///
    /// # Errors
    /// If others can access it.
    pub(super) fn existing(name: &str) -> anyhow::Result<Option<Self>> {
        // A job without a home has no such directory.
        if directory(name).is_ok_and(|directory| directory.exists()) {
            Self::open(name).map(Some)
        } else {
            Ok(None)
        }
    }

    /// The place of the file of this identity. Waits until no other process uses it.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub(super) fn entry(&self, identity: &str) -> anyhow::Result<Entry> {
        // A few lock files for all files: they are never removed, because another process may be waiting for one.
        let lock = self.directory.join(format!("lock-{}", identity.get(..1).unwrap_or_default()));
        let open = || {
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&lock)?;
            file.lock().map(|()| file)
        };
        let held = open().with_context(|| format!("cannot lock {}", lock.display()))?;
        Ok(Entry { path: self.directory.join(format!("{identity}.json")), _lock: held })
    }

    /// Every file that only this user can access.
    pub(super) fn all(&self) -> Vec<(PathBuf, Map<String, Value>)> {
        let files = fs::read_dir(&self.directory).into_iter().flatten().flatten().map(|file| file.path());
        let files = files.filter(|path| path.extension().is_some_and(|kind| kind == "json"));
        files.map(|path| (read(&path).unwrap_or_default(), path)).map(|(file, path)| (path, file)).collect()
    }
}

impl Entry {
    /// The content of the file, if there is one. A file that others can access does not count.
    pub(super) fn read(&self) -> Option<Map<String, Value>> {
        read(&self.path)
    }

    /// Replaces the content.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn write(&self, content: &Map<String, Value>) -> anyhow::Result<()> {
        let text = Zeroizing::new(serde_json::to_string(content)?);
        let new = self.path.with_extension(std::process::id().to_string());
        let write = || -> io::Result<()> {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(text.as_bytes())?;
            fs::rename(&new, &self.path)
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Removes the file.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(super) fn remove(&self) -> anyhow::Result<()> {
        fs::remove_file(&self.path).with_context(|| format!("cannot remove {}", self.path.display()))
    }
}

fn directory(name: &str) -> anyhow::Result<PathBuf> {
    // XDG Base Directory Specification: "If an implementation encounters a relative path [...] it should consider the path
    // invalid and ignore it."
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Ok(state.context("neither XDG_STATE_HOME nor HOME is set")?.join("tokenberg").join(name))
}

fn read(path: &Path) -> Option<Map<String, Value>> {
    let file = File::open(path).ok()?;
    if !is_private(&file.metadata().ok()?) {
        return None;
    }
    let text = Zeroizing::new(io::read_to_string(file).ok()?);
    serde_json::from_str(&text).ok()
}

/// Whether only this user can access the file or directory.
fn is_private(about: &fs::Metadata) -> bool {
    about.uid() == rustix::process::geteuid().as_raw() && about.mode() & 0o077 == 0
}
