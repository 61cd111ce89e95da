//! The store in memory: a snapshot of one moment, how it is read, and the watch that keeps it up to date.

mod bulk_load;
mod health;
mod in_memory;
mod moment;
mod presence;
mod read;
mod recent_uses;
mod registered;
mod restriction;
mod watch;
mod write_again;

pub use health::Health;
pub use in_memory::Snapshot;
pub use moment::Moment;
pub(crate) use registered::Registered;
pub use watch::Watched;
