//! The last known state of a store in a file, from which a server starts while the database is away.

mod content;
mod error;
mod file;
mod keeping;
mod opened;
mod sealed_stream;

pub use error::SnapshotError;
pub use file::SnapshotFile;
pub use opened::{LastKnown, Opened};
