//! Counts the connections of a server and its TLS handshakes; conformance SE-07: all labels are fixed.

use crate::observe::exposition::{Exposition, exact, one_more, read};
use std::sync::atomic::{AtomicU64, Ordering};

/// Why the server ended a connection, other than by an answer that said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndedBy {
    /// It was idle for longer than connections are kept.
    Idle,
    /// The head of a request did not arrive in time.
    SlowHead,
    /// Its permit was needed for a new connection.
    Crowded,
    /// The client did not read its answer.
    Stalled,
    /// It was idle when the server ended.
    Drained,
}

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    Completed,
    Failed,
    TimedOut,
    /// Newer handshakes needed its permit.
    Displaced,
}

const ENDED_BY: [(EndedBy, &str); 5] = [
    (EndedBy::Idle, "idle"),
    (EndedBy::SlowHead, "slow_head"),
    (EndedBy::Crowded, "crowded"),
    (EndedBy::Stalled, "stalled"),
    (EndedBy::Drained, "drained"),
];

const HANDSHAKES: [(Handshake, &str); 4] = [
    (Handshake::Completed, "completed"),
    (Handshake::Failed, "failed"),
    (Handshake::TimedOut, "timed_out"),
    (Handshake::Displaced, "displaced"),
];

/// The metrics of the connections of one server.
#[derive(Default)]
pub(crate) struct ConnectionMetrics {
    opened: AtomicU64,
    closed: AtomicU64,
    refused: AtomicU64,
    limit: AtomicU64,
    ended: [AtomicU64; ENDED_BY.len()],
    handshakes_begun: AtomicU64,
    handshakes_limit: AtomicU64,
    handshakes: [AtomicU64; HANDSHAKES.len()],
}

impl ConnectionMetrics {
    /// Sets the limits of connections and handshakes.
    pub(crate) fn limited_to(&self, connections: usize, handshakes: usize) {
        self.limit.store(connections as u64, Ordering::Relaxed);
        self.handshakes_limit.store(handshakes as u64, Ordering::Relaxed);
    }

    pub(crate) fn opened(&self) {
        one_more(&self.opened);
    }

    pub(crate) fn closed(&self) {
        one_more(&self.closed);
    }

    /// A connection that was closed immediately because its source has too many.
    pub(crate) fn refused(&self) {
        one_more(&self.refused);
    }

    pub(crate) fn ended(&self, by: EndedBy) {
        one_more(&self.ended[by as usize]);
    }

    pub(crate) fn handshake_begun(&self) {
        one_more(&self.handshakes_begun);
    }

    pub(crate) fn handshake_ended(&self, outcome: Handshake) {
        one_more(&self.handshakes[outcome as usize]);
    }

    pub(crate) fn expose(&self, to: &mut Exposition) {
        // Read in this order, so that the difference cannot be negative.
        let closed = read(&self.closed);
        let opened = read(&self.opened);
        to.gauge("tokenberg_connections", "Connections that are open.", exact(opened.saturating_sub(closed)));
        to.gauge(
            "tokenberg_connections_limit",
            "How many connections may be open at a time.",
            exact(read(&self.limit)),
        );
        to.counter("tokenberg_connections_total", "Connections that were accepted.", opened);
        to.counter(
            "tokenberg_connections_refused_total",
            "Connections closed at once because their source has too many.",
            read(&self.refused),
        );
        const ENDED: &str = "tokenberg_connections_ended_total";
        to.family("counter", ENDED, "Connections that the server ended, by the reason.");
        for (by, name) in ENDED_BY {
            to.sample(ENDED, &[("reason", name)], exact(read(&self.ended[by as usize])));
        }
        let outcomes = HANDSHAKES.map(|(outcome, name)| (name, read(&self.handshakes[outcome as usize])));
        let ended = outcomes.iter().map(|(_, count)| count).sum();
        let running = read(&self.handshakes_begun).saturating_sub(ended);
        to.gauge("tokenberg_tls_handshakes", "TLS handshakes that are under way.", exact(running));
        to.gauge(
            "tokenberg_tls_handshakes_limit",
            "How many TLS handshakes may be under way.",
            exact(read(&self.handshakes_limit)),
        );
        const HANDSHAKES_ENDED: &str = "tokenberg_tls_handshakes_total";
        to.family("counter", HANDSHAKES_ENDED, "TLS handshakes that ended, by their outcome.");
        for (name, count) in outcomes {
            to.sample(HANDSHAKES_ENDED, &[("outcome", name)], exact(count));
        }
    }
}
