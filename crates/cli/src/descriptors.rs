//! Counts the file descriptors that a server may open, and the connections that follow from that; conformance HT-10.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use tokenberg_actix::{MOST_CONNECTIONS, OPERATIONS_CONNECTIONS};

/// The descriptors that the store, the log, certificates and fetches of issuers' keys may need at a time.
const FILES: usize = 96;

/// The descriptors that each worker thread needs.
const PER_WORKER: usize = 8;

/// The number of connections below which a warning is printed.
const FEW: usize = 1000;

/// The maximum number of connections of a source.
const MOST_OF_A_SOURCE: usize = 4096;

/// The limits of the process, `RLIMIT_NOFILE`. `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptors {
    soft: Option<u64>,
    hard: Option<u64>,
}

/// The number of open descriptors of the process, where the system has a directory that lists them.
pub(crate) fn open() -> Option<u64> {
    let listed = std::fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them belongs to the directory itself.
    u64::try_from(listed.saturating_sub(1)).ok()
}

/// The number of connections that fit into a number of descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// The number of descriptors. `None` is no limit.
    pub(crate) descriptors: Option<u64>,
    /// The maximum number of open connections.
    pub(crate) connections: usize,
    /// The maximum number of connections of one source, where sources are known.
    pub(crate) of_a_source: usize,
}

impl Descriptors {
    /// Reads the present limits.
    pub(crate) fn read() -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        Self { soft: current, hard: maximum }
    }

    /// The maximum number of open descriptors.
    pub(crate) fn limit(self) -> Option<u64> {
        self.soft
    }

    /// Raises the soft limit to the hard one. Returns the resulting limits, and the error if the
    /// system refused.
    pub(crate) fn raised() -> (Self, Option<io::Error>) {
        let as_it_was = Self::read();
        if as_it_was.soft == as_it_was.hard {
            return (as_it_was, None);
        }
        let raised = as_it_was.if_raised();
        match setrlimit(Resource::Nofile, Rlimit { current: raised.soft, maximum: raised.hard }) {
            Ok(()) => (raised, None),
            Err(fault) => (as_it_was, Some(fault.into())),
        }
    }

    /// The limits in a server that raises the soft limit.
    pub(crate) fn if_raised(self) -> Self {
        Self { soft: self.hard, hard: self.hard }
    }

    /// The number of connections that fit, besides the descriptors that so many threads need.
    pub(crate) fn places(self, workers: usize) -> Places {
        let others = OPERATIONS_CONNECTIONS + FILES + PER_WORKER * workers;
        let connections = match self.soft.map(|soft| usize::try_from(soft).unwrap_or(usize::MAX)) {
            // At least half of them is for connections: not all others are needed at all times.
            Some(soft) => soft.saturating_sub(others).max(soft / 2).min(MOST_CONNECTIONS),
            None => MOST_CONNECTIONS,
        };
        let of_a_source = (connections / 6).clamp(8, MOST_OF_A_SOURCE);
        Places { descriptors: self.soft, connections, of_a_source }
    }
}

impl Places {
    /// Whether there are so few that a warning is printed.
    pub(crate) fn are_few(self) -> bool {
        self.connections < FEW
    }
}

impl std::fmt::Display for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.descriptors {
            Some(descriptors) => write!(f, "{descriptors} file descriptors, for ")?,
            None => write!(f, "no limit of file descriptors, for ")?,
        }
        write!(f, "{} connections at a time", self.connections)?;
        if self.are_few() {
            write!(f, "; to allow more, raise the hard limit (systemd: LimitNOFILE=; shell: `ulimit -Hn`)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ht_10_connections_leave_descriptors_for_everything_else() {
        let places = |soft, workers| Descriptors { soft, hard: None }.places(workers);
        for (soft, workers, connections, of_a_source) in [
            (Some(64), 1, 32, 8),
            (Some(256), 2, 128, 21),
            (Some(1024), 2, 848, 141),
            (Some(1024), 64, 512, 85),
            (Some(20_000), 8, 19_776, 3296),
            (Some(1 << 20), 8, 25_000, 4096),
            (Some(u64::MAX), 8, 25_000, 4096),
            (None, 8, 25_000, 4096),
        ] {
            let places = places(soft, workers);
            assert_eq!((places.connections, places.of_a_source), (connections, of_a_source), "{soft:?}");
            assert_eq!(places.are_few(), connections < 1000);
        }
        let text = places(Some(1024), 2).to_string();
        assert!(
            text.starts_with("1024 file descriptors, for 848 connections at a time; to allow more, raise"),
            "{text}"
        );
        assert_eq!(
            places(None, 2).to_string(),
            "no limit of file descriptors, for 25000 connections at a time"
        );
    }
}
