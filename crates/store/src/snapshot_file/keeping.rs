//! Keeps the state of a watched store in a file.

use crate::snapshot::Watched;
use crate::snapshot_file::error::SnapshotError;
use crate::snapshot_file::file::SnapshotFile;
use tokenberg_core::Keys;

impl<K: Keys> Watched<K> {
    /// Writes the present state to the file if it says more than the file does. `is_end` says that there is no later time to write it;
    /// otherwise there is a pause between two writes, so call it every second. Returns whether it was written.
    ///
    /// It blocks the thread while it writes: about a second for 300,000 clients.
    ///
    /// # Errors
    /// If the file cannot be written; it is as before.
    pub fn keep_in(&self, file: &SnapshotFile, is_end: bool) -> Result<bool, SnapshotError> {
        // What the database has lost and this process writes again: the file of before says more.
        let Some((moment, contact)) = self.settled() else { return Ok(false) };
        file.keep(moment.snapshot(), contact, &self.store().0.seal.load(), is_end)
    }
}
