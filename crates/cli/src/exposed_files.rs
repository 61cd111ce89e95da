//! Finds files of the store that other users of the machine can change.

use std::path::{Path, PathBuf};
use tokenberg_store::{KekSource, StoreUrl};

/// A sentence for each file of an SQLite store that other users can write, and about a key file that another user owns.
#[cfg(unix)]
pub(crate) fn exposed(store: &StoreUrl, key: &KekSource) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    const OTHERS_WRITE: u32 = 0o022;
    let own = rustix::process::geteuid().as_raw();
    let mut sentences = Vec::new();
    for path in store.path().map(files).unwrap_or_default() {
        let Ok(about) = std::fs::metadata(&path) else { continue };
        let (path, mode) = (path.display(), about.mode() & 0o7777);
        if mode & OTHERS_WRITE != 0 {
            sentences.push(format!(
                "other users can write {path} (mode {mode:04o}), and so give clients any right; run: chmod 600 '{path}'"
            ));
        }
    }
    // Root administers the stores of other users, whose key files are theirs.
    let store_owner = store.path().and_then(|path| std::fs::metadata(path).ok()).map(|about| about.uid());
    let of_key = key.file().and_then(|path| Some((path, std::fs::metadata(path).ok()?.uid())));
    let may_own = |owner: u32| match store_owner {
        Some(of_store) if own == 0 => owner == of_store,
        None if own == 0 => true,
        Some(_) | None => owner == own,
    };
    if let Some((path, owner)) = of_key.filter(|(_, owner)| *owner != 0 && !may_own(*owner)) {
        sentences.push(format!(
            "the key file {} belongs to the user {owner}, who can read and replace it: it should belong to root or to the user of the server",
            path.display()
        ));
    }
    sentences
}

#[cfg(not(unix))]
pub(crate) fn exposed(_: &StoreUrl, _: &KekSource) -> Vec<String> {
    Vec::new()
}

/// The file of the store, and those that SQLite keeps beside it.
pub(crate) fn files(store: &Path) -> Vec<PathBuf> {
    let beside = |ending: &&str| {
        let mut path = store.as_os_str().to_owned();
        path.push(ending);
        PathBuf::from(path)
    };
    ["", "-wal", "-shm"].iter().map(beside).collect()
}
