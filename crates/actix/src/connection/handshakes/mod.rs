//! Shares the TLS handshakes among sources, before any client is authenticated; conformance HT-10 and HT-20.
//!
//! A connection that waits for its handshake costs a descriptor and little else, so none is refused. If there are too many, the
//! one that has waited longest is displaced: one that has sent nothing before one that has.

use crate::connection::metrics::{ConnectionMetrics, Handshake};
use crate::origin::TrustedProxies;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokenberg_core::limits::source_of;
use tokio::sync::oneshot;

/// How long a handshake is spared while there is room for others: a burst of clients from one address exceeds its share for less
/// than this.
const GRACE: Duration = Duration::from_millis(250);

/// The handshakes that are under way. A clone counts the same.
#[derive(Clone)]
pub(crate) struct Handshakes {
    most: usize,
    share: usize,
    unshared: TrustedProxies,
    metrics: Arc<ConnectionMetrics>,
    under_way: Arc<Mutex<UnderWay>>,
}

#[derive(Default)]
struct UnderWay {
    count: usize,
    begun: u64,
    sources: HashMap<IpAddr, Queues>,
}

/// The handshakes of one source, oldest first.
#[derive(Default)]
struct Queues {
    silent: VecDeque<Waiting>,
    speaking: VecDeque<Waiting>,
}

struct Waiting {
    number: u64,
    since: Instant,
    /// Dropped when the handshake is displaced.
    _displace: oneshot::Sender<()>,
}

/// The permit of a handshake, until it is dropped.
pub(crate) struct Permit {
    handshakes: Handshakes,
    source: IpAddr,
    number: u64,
    outcome: Handshake,
}

impl Handshakes {
    /// At most so many at a time, and so many of a source. Behind trusted proxies are many clients, so they have no share of
    /// their own, but the limit for all.
    pub(crate) fn new(
        most: usize,
        share: usize,
        unshared: TrustedProxies,
        metrics: Arc<ConnectionMetrics>,
    ) -> Self {
        Self { most: most.max(1), share: share.max(1), unshared, metrics, under_way: Arc::default() }
    }

    /// A permit for one more. It takes that of another if the source has its share or all permits are taken. The receiver fails
    /// when another takes this one.
    pub(crate) fn begin(&self, address: IpAddr) -> (Permit, oneshot::Receiver<()>) {
        self.metrics.handshake_begun();
        let source = source_of(address);
        let now = Instant::now();
        let mut under_way = self.lock();
        if !self.unshared.contains(address)
            && let Some(queues) = under_way.sources.get_mut(&source)
            && queues.len() >= self.share
            && queues.displace_aged(now)
        {
            under_way.count -= 1;
        }
        if under_way.count >= self.most {
            under_way.displace_one(now);
        }
        let (displace, displaced) = oneshot::channel();
        let number = under_way.begun;
        under_way.begun += 1;
        under_way.count += 1;
        let waiting = Waiting { number, since: now, _displace: displace };
        under_way.sources.entry(source).or_default().silent.push_back(waiting);
        drop(under_way);
        (Permit { handshakes: self.clone(), source, number, outcome: Handshake::Failed }, displaced)
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    /// Displaces the oldest of the source that has the most, or of all, if each has one.
    fn displace_one(&mut self, now: Instant) {
        let most = self.sources.iter_mut().max_by_key(|(_, queues)| (queues.len(), queues.age()));
        let Some((source, queues)) = most else { return };
        let source = *source;
        if queues.displace(now) {
            self.count -= 1;
        }
        if queues.len() == 0 {
            self.sources.remove(&source);
        }
    }
}

impl Queues {
    fn len(&self) -> usize {
        self.silent.len() + self.speaking.len()
    }

    /// Greater, the longer the oldest has waited.
    fn age(&self) -> std::cmp::Reverse<Option<u64>> {
        let oldest =
            [self.silent.front(), self.speaking.front()].into_iter().flatten().map(|w| w.number).min();
        std::cmp::Reverse(oldest)
    }

    /// Displaces the oldest that has sent nothing, or else the oldest. Returns whether there was one whose grace had ended.
    fn displace_aged(&mut self, now: Instant) -> bool {
        let is_aged = |waiting: &Waiting| now.duration_since(waiting.since) >= GRACE;
        let mut queues = [&mut self.silent, &mut self.speaking].into_iter();
        let aged = queues.find(|queue| queue.front().is_some_and(is_aged));
        aged.and_then(VecDeque::pop_front).is_some()
    }

    /// The same, or displaces the oldest of those still in their grace.
    fn displace(&mut self, now: Instant) -> bool {
        if self.displace_aged(now) {
            return true;
        }
        let number = |queue: &VecDeque<Waiting>| queue.front().map_or(u64::MAX, |waiting| waiting.number);
        let is_silent = number(&self.silent) < number(&self.speaking);
        let queue = if is_silent { &mut self.silent } else { &mut self.speaking };
        queue.pop_front().is_some()
    }

    fn remove(&mut self, number: u64) -> Option<Waiting> {
        [&mut self.silent, &mut self.speaking].into_iter().find_map(|queue| {
            // They are in order: each queue is appended to by time of beginning or of speaking.
            let at = queue.iter().position(|waiting| waiting.number == number)?;
            queue.remove(at)
        })
    }
}

impl Permit {
    /// Records that the client has sent something.
    pub(crate) fn speaks(&self) {
        let mut under_way = self.handshakes.lock();
        let Some(queues) = under_way.sources.get_mut(&self.source) else { return };
        if let Some(waiting) = queues.remove(self.number) {
            queues.speaking.push_back(waiting);
        }
    }

    /// Records how the handshake ended; otherwise it counts as failed.
    pub(crate) fn ended(mut self, outcome: Handshake) {
        self.outcome = outcome;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.handshakes.metrics.handshake_ended(self.outcome);
        let mut under_way = self.handshakes.lock();
        let Some(queues) = under_way.sources.get_mut(&self.source) else { return };
        let was_there = queues.remove(self.number).is_some();
        if queues.len() == 0 {
            under_way.sources.remove(&self.source);
        }
        if was_there {
            under_way.count -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
