//! When the key-encryption key of a store was changed, and to the key of which file.

use crate::clock;
use crate::keys::key_encryption_key::KekSource;
use serde_json::{Value, json};
use std::fmt;
use tokenberg_core::Timestamp;

/// When the key-encryption key was changed, and to the key of which file. Neither is secret, and both help an operator who has
/// the old key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealedSince {
    /// When.
    pub at: Timestamp,
    /// The file with the new key, where the command that changed it found it.
    pub file: Option<String>,
}

impl SealedSince {
    pub(crate) fn now(new: &KekSource) -> Self {
        let at = Timestamp::from_seconds(clock::now().div_euclid(1000)).unwrap_or(Timestamp::EPOCH);
        let file = new.file().map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
        Self { at, file: file.map(|file| file.display().to_string()) }
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        json!({"at": self.at.as_seconds(), "file": self.file}).to_string().into_bytes()
    }

    pub(crate) fn from_json(row: &[u8]) -> Option<Self> {
        let row: Value = serde_json::from_slice(row).ok()?;
        let at = Timestamp::from_seconds(row["at"].as_i64()?).ok()?;
        Some(Self { at, file: row["file"].as_str().map(str::to_owned) })
    }

    /// What to do about a key that does not open the store.
    pub(crate) fn advice(since: Option<&Self>) -> String {
        since.map_or_else(|| "restore the right one".to_owned(), ToString::to_string)
    }
}

impl fmt::Display for SealedSince {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the key was changed at {}", self.at)?;
        match &self.file {
            Some(file) => write!(
                f,
                " to that in {file}: put that file in the place of the old one, or give it with --next-key-file until every server has it"
            ),
            None => f.write_str(": use the new key"),
        }
    }
}
