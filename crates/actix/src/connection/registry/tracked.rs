//! The state of one connection: written by the thread that serves it, and read by others to decide whether it has to end.

use crate::connection::metrics::EndedBy;
use futures_util::task::AtomicWaker;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// How much longer actix's own timeouts may take.
const SLACK: Duration = Duration::from_secs(1);

/// How long an idle connection is spared while other idle ones exist.
const GRACE: Duration = Duration::from_millis(250);

/// How long a connection whose client reads nothing or does not send its body is spared, while there are others to end.
const SLOW: Duration = Duration::from_secs(1);

/// How long a connection is spared, even if no permit is left, whose client reads nothing or does not send its body, or has sent
/// no whole request, unless another is refused otherwise.
const BRIEF: Duration = Duration::from_millis(100);

/// The timeouts of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) keep_alive: Duration,
    pub(crate) head: Duration,
    pub(crate) disconnect: Duration,
    pub(crate) write: Duration,
}

/// The state of a connection outside of the thread that serves it.
pub(crate) struct Tracked {
    epoch: Instant,
    /// Milliseconds since the epoch and an [`Activity`], in the three lowest bits.
    pub(super) activity: AtomicU64,
    /// Since when a write waits for the client, in milliseconds since the epoch; 0 if none does.
    pub(super) stalled_since: AtomicU64,
    /// What its client has sent, a [`Received`].
    received: AtomicU8,
    is_counted: AtomicBool,
    has_to_end: AtomicBool,
    waker: AtomicWaker,
}

/// The activity of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// A TLS handshake is under way. It has a separate timeout.
    Handshake,
    /// It waits for a request.
    Idle,
    /// A head has begun to arrive.
    Head,
    /// A request is being answered of which the body has not arrived. It has a separate timeout.
    Body,
    /// A request is being answered.
    Busy,
    /// The last answer has been given.
    Ending,
}

/// How much a permit is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// Few are left.
    Few,
    /// Almost none is left, and connections that cannot end yet are checked again soon.
    Crowded,
    /// Without one, the new connection is refused.
    Refused,
}

pub(super) const ACTIVITY_BITS: u64 = 3;

/// What the client of a connection has sent since it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Received {
    Nothing,
    Bytes,
    Request,
}

impl Tracked {
    pub(super) fn new(epoch: Instant) -> Self {
        let tracked = Self {
            epoch,
            activity: AtomicU64::new(0),
            stalled_since: AtomicU64::new(0),
            received: AtomicU8::new(Received::Nothing as u8),
            is_counted: AtomicBool::new(true),
            has_to_end: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        };
        tracked.does(Activity::Handshake);
        tracked
    }

    /// Records that its client has sent something.
    pub(crate) fn speaks(&self) {
        // One that has sent a whole request has sent something before.
        let nothing = Received::Nothing as u8;
        let _ = self.received.compare_exchange(
            nothing,
            Received::Bytes as u8,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// Records that a request is being answered.
    pub(crate) fn begins(&self) {
        self.received.store(Received::Request as u8, Ordering::Relaxed);
        // The time does not matter here, and reading a clock costs.
        self.activity.store(Activity::Busy as u64, Ordering::Relaxed);
    }

    /// Records what the connection does from now on.
    pub(crate) fn does(&self, activity: Activity) {
        self.activity.store(self.milliseconds() << ACTIVITY_BITS | activity as u64, Ordering::Relaxed);
    }

    pub(crate) fn activity(&self) -> Activity {
        const ALL: [Activity; 6] = [
            Activity::Handshake,
            Activity::Idle,
            Activity::Head,
            Activity::Body,
            Activity::Busy,
            Activity::Ending,
        ];
        let code = self.activity.load(Ordering::Relaxed) % (1 << ACTIVITY_BITS);
        ALL.into_iter().find(|activity| *activity as u64 == code).unwrap_or(Activity::Busy)
    }

    /// Records since when a write waits for the client, or that none does any more.
    pub(crate) fn stalls(&self, does: bool) {
        let since = if does { self.milliseconds().max(1) } else { 0 };
        self.stalled_since.store(since, Ordering::Relaxed);
    }

    /// Requests its end.
    pub(super) fn end(&self) {
        self.has_to_end.store(true, Ordering::Release);
        self.wake();
    }

    /// Takes it out of the count. Returns whether it was counted.
    pub(super) fn uncount(&self) -> bool {
        self.is_counted.swap(false, Ordering::AcqRel)
    }

    /// Whether its end was requested.
    pub(crate) fn has_to_end(&self) -> bool {
        self.has_to_end.load(Ordering::Acquire)
    }

    /// Waits until its end is requested.
    pub(crate) async fn ended(&self) {
        std::future::poll_fn(|cx| {
            self.register(cx);
            if self.has_to_end() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Wakes this task when the end is requested, or by [`Tracked::wake`].
    pub(crate) fn register(&self, context: &Context<'_>) {
        self.waker.register(context.waker());
    }

    /// Wakes the task that serves it.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX >> ACTIVITY_BITS)
    }

    fn since(&self) -> Duration {
        Duration::from_millis(self.activity.load(Ordering::Relaxed) >> ACTIVITY_BITS)
    }

    fn stalled_since(&self) -> Option<Duration> {
        Some(self.stalled_since.load(Ordering::Relaxed)).filter(|since| *since > 0).map(Duration::from_millis)
    }

    /// How soon it should make room for others, the least soonest; `None` if it is in use or its end was requested. The order is
    /// by what its client has sent, and since when it is idle. All of these come before those that are young.
    pub(super) fn idle_since(&self, now: Duration, need: Need) -> Option<(u8, Duration)> {
        if self.has_to_end() {
            return None;
        }
        let received = self.received.load(Ordering::Relaxed);
        let has_request = received == Received::Request as u8;
        // After how long it may end, and after how long it is not young.
        let slow = (if need == Need::Few { SLOW } else { BRIEF }, SLOW);
        let idle = (if has_request || need == Need::Refused { Duration::ZERO } else { BRIEF }, GRACE);
        let (since, (least, grace)) = match (self.activity(), self.stalled_since()) {
            (_, Some(since)) => (since, slow),
            (Activity::Body, None) => (self.since(), slow),
            (Activity::Handshake | Activity::Idle | Activity::Head | Activity::Ending, None) => {
                (self.since(), idle)
            }
            (Activity::Busy, None) => return None,
        };
        let age = now.saturating_sub(since);
        (age >= least).then_some((if age < grace { u8::MAX } else { received }, since))
    }

    /// Why it has to end now, if it has to.
    pub(super) fn over(&self, now: Duration, timeouts: Timeouts) -> Option<EndedBy> {
        if self.stalled_since().is_some_and(|since| now.saturating_sub(since) > timeouts.write) {
            return Some(EndedBy::Stalled);
        }
        let (limit, by) = match self.activity() {
            Activity::Idle => (timeouts.keep_alive + timeouts.head, EndedBy::Idle),
            Activity::Head => (timeouts.head + SLACK, EndedBy::SlowHead),
            Activity::Ending => (timeouts.disconnect + SLACK, EndedBy::Stalled),
            Activity::Handshake | Activity::Body | Activity::Busy => return None,
        };
        (now.saturating_sub(self.since()) > limit).then_some(by)
    }
}
