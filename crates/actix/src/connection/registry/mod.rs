//! Counts the open connections of a server, of each source and in all, and ends those that hold a permit without using it;
//! conformance HT-08 and HT-10.

use crate::connection::metrics::{ConnectionMetrics, EndedBy};
use crate::origin::TrustedProxies;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokenberg_core::limits::source_of;

mod tracked;

use tracked::Need;
pub(crate) use tracked::{Activity, Timeouts, Tracked};

/// How often connections are checked for exceeded timeouts.
const SWEEP: Duration = Duration::from_millis(500);

/// How often it is checked whether the server is crowded. While all permits are taken, no connection is accepted that would make
/// room for itself.
const RELIEF: Duration = Duration::from_millis(50);

/// After a search that could end no connection: the minimum time before the next search.
const FRUITLESS: Duration = Duration::from_millis(20);

/// The open connections of a server. A clone counts the same.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Inner>);

struct Inner {
    most: usize,
    most_of_a_source: usize,
    unlimited: TrustedProxies,
    timeouts: Timeouts,
    metrics: Arc<ConnectionMetrics>,
    epoch: Instant,
    is_crowded: AtomicBool,
    is_draining: AtomicBool,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    number: u64,
    all: HashMap<u64, Held>,
    sources: HashMap<IpAddr, Tally>,
    tally: Tally,
}

/// The number of connections, without those whose end was requested.
#[derive(Default)]
struct Tally {
    count: usize,
    /// When the last search found no connection to end; since the epoch, and for which need.
    searched_for_nothing: Option<(Duration, Need)>,
}

struct Held {
    connection: Arc<Tracked>,
    source: Option<IpAddr>,
}

/// The permit of a connection, until it is dropped.
pub(crate) struct Permit {
    connections: Connections,
    number: u64,
    connection: Arc<Tracked>,
}

impl Connections {
    /// At most so many of a source; of `most` in all it makes room when they are almost reached. Behind trusted proxies are many
    /// clients, so those have no limit of their own.
    pub(crate) fn new(
        (most, most_of_a_source): (usize, usize),
        unlimited: TrustedProxies,
        timeouts: Timeouts,
        metrics: Arc<ConnectionMetrics>,
    ) -> Self {
        let epoch = Instant::now();
        Self(Arc::new(Inner {
            most,
            most_of_a_source,
            unlimited,
            timeouts,
            metrics,
            epoch,
            is_crowded: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
            open: Mutex::default(),
        }))
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.0.timeouts
    }

    /// A permit for one more connection. If the source has reached its limit, or almost all permits are taken, idle connections
    /// are ended. `None` if the source has reached its limit and none of its connections can be ended.
    pub(crate) fn open(&self, address: Option<IpAddr>) -> Option<Permit> {
        let inner = &self.0;
        inner.metrics.opened();
        let source = address.filter(|address| !inner.unlimited.contains(*address)).map(source_of);
        let mut open = self.lock();
        let has_its_number = |open: &Open| {
            source
                .and_then(|source| open.sources.get(&source))
                .is_some_and(|t| t.count >= inner.most_of_a_source)
        };
        if has_its_number(&open) {
            self.make_room(&mut open, 1 + inner.most_of_a_source / 64, source, Need::Refused);
            if has_its_number(&open) {
                inner.metrics.refused();
                inner.metrics.closed();
                return None;
            }
        }
        if open.tally.count >= inner.most - inner.most / 8 {
            let need = if inner.is_crowded_with(open.tally.count) { Need::Crowded } else { Need::Few };
            self.make_room(&mut open, 1 + inner.most / 64, None, need);
        }
        let connection = Arc::new(Tracked::new(inner.epoch));
        let number = open.number;
        open.number += 1;
        open.tally.count += 1;
        inner.note_crowd(&open);
        if let Some(source) = source {
            open.sources.entry(source).or_default().count += 1;
        }
        open.all.insert(number, Held { connection: Arc::clone(&connection), source });
        drop(open);
        Some(Permit { connections: self.clone(), number, connection })
    }

    /// Ends so many, those first whose clients have sent the least, and the longest idle first; of one source, or of all.
    fn make_room(&self, open: &mut Open, count: usize, of: Option<IpAddr>, need: Need) {
        let now = self.0.epoch.elapsed();
        let tally = open.tally_of(of);
        let is_fruitless =
            |(then, for_need): (Duration, Need)| now.saturating_sub(then) < FRUITLESS && for_need >= need;
        if !tally.searched_for_nothing.is_some_and(is_fruitless) {
            self.make_room_at(now, open, count, of, need);
        }
    }

    fn make_room_at(&self, now: Duration, open: &mut Open, count: usize, of: Option<IpAddr>, need: Need) {
        let mut idle: Vec<((u8, Duration), u64)> = open
            .all
            .iter()
            .filter(|(_, held)| of.is_none() || held.source == of)
            .filter_map(|(number, held)| Some((held.connection.idle_since(now, need)?, *number)))
            .collect();
        open.tally_of(of).searched_for_nothing = idle.is_empty().then_some((now, need));
        if idle.len() > count {
            idle.select_nth_unstable(count - 1);
        }
        for (_, number) in idle.into_iter().take(count) {
            self.end(open, number, EndedBy::Crowded);
        }
    }

    /// From now on, each answer ends its connection, so that clients connect to another node.
    pub(crate) fn drain(&self) {
        self.0.is_draining.store(true, Ordering::Relaxed);
    }

    /// Ends the idle connections. A request that has arrived on one of them is answered first. Returns how many connections are
    /// not closed yet, or have begun a request that has not arrived.
    pub(crate) fn end_idle(&self) -> usize {
        let mut open = self.lock();
        let waits = |held: &Held| {
            matches!(held.connection.activity(), Activity::Handshake | Activity::Idle | Activity::Head)
        };
        let waiting: Vec<u64> =
            open.all.iter().filter(|(_, held)| waits(held)).map(|(number, _)| *number).collect();
        for number in &waiting {
            if open.all.get(number).is_some_and(|held| held.connection.activity() == Activity::Idle) {
                self.end(&mut open, *number, EndedBy::Drained);
            }
        }
        waiting.len()
    }

    fn end(&self, open: &mut Open, number: u64, by: EndedBy) {
        let Some(held) = open.all.get(&number) else { return };
        let (connection, source) = (Arc::clone(&held.connection), held.source);
        if connection.has_to_end() {
            return;
        }
        self.0.metrics.ended(by);
        open.uncount(&connection, source);
        connection.end();
    }

    /// Ends connections that exceed a timeout, and makes room when almost no permit is left; runs for ever.
    pub(crate) async fn keep_sweeping(&self) {
        let mut swept = Duration::ZERO;
        loop {
            tokio::time::sleep(RELIEF).await;
            let now = self.0.epoch.elapsed();
            if now.saturating_sub(swept) >= SWEEP {
                self.sweep(now);
                swept = now;
            }
            self.relieve(now);
        }
    }

    fn sweep(&self, now: Duration) {
        let mut open = self.lock();
        let over: Vec<(u64, EndedBy)> = open
            .all
            .iter()
            .filter_map(|(number, held)| Some((*number, held.connection.over(now, self.0.timeouts)?)))
            .collect();
        for (number, by) in over {
            self.end(&mut open, number, by);
        }
    }

    /// Makes room as of now, if the server is crowded: until an eighth of all permits is free.
    fn relieve(&self, now: Duration) {
        let most = self.0.most;
        let mut open = self.lock();
        if self.0.is_crowded_with(open.tally.count) {
            let surplus = open.tally.count - (most - most / 8);
            self.make_room_at(now, &mut open, surplus + 1 + most / 64, None, Need::Crowded);
        }
        self.0.note_crowd(&open);
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether so many leave almost no permit.
    fn is_crowded_with(&self, count: usize) -> bool {
        count >= self.most - self.most / 16
    }

    fn note_crowd(&self, open: &Open) {
        self.is_crowded.store(self.is_crowded_with(open.tally.count), Ordering::Relaxed);
    }
}

impl Open {
    /// A connection that is about to end holds no permit any more.
    fn uncount(&mut self, connection: &Tracked, source: Option<IpAddr>) {
        if !connection.uncount() {
            return;
        }
        self.tally.count -= 1;
        let Some(source) = source else { return };
        if let Some(tally) = self.sources.get_mut(&source) {
            tally.count -= 1;
            if tally.count == 0 {
                self.sources.remove(&source);
            }
        }
    }

    /// The tally of a source, or of all.
    fn tally_of(&mut self, source: Option<IpAddr>) -> &mut Tally {
        match source {
            Some(source) => self.sources.entry(source).or_default(),
            None => &mut self.tally,
        }
    }
}

impl Permit {
    pub(crate) fn connection(&self) -> &Arc<Tracked> {
        &self.connection
    }

    /// Whether no connection should be kept for another request: the server has almost no permit left, or is about to end.
    pub(crate) fn is_needed(&self) -> bool {
        let inner = &self.connections.0;
        inner.is_crowded.load(Ordering::Relaxed) || inner.is_draining.load(Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.connections.0.metrics.closed();
        let mut open = self.connections.lock();
        if let Some(held) = open.all.remove(&self.number) {
            open.uncount(&held.connection, held.source);
        }
    }
}

#[cfg(test)]
mod tests;
