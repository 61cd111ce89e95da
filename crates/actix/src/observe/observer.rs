//! Reports decisions to metrics, audit and log, and bounds how much of that requests without client authentication cause;
//! conformance SE-06, CWE-779.

use crate::observe::AUDIT;
use crate::observe::metrics::Metrics;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokenberg_core::Outcome;
use tokenberg_core::audit::{AuditRecord, Recorder};
use tokenberg_core::limits::{Allowance, FailureTable, source_of};

/// The number of sources with their own budget at a time.
const SOURCES: usize = 8 * 1024;
/// A source may have one record a minute for this many bytes of the whole budget.
const BYTES_FOR_A_RECORD_OF_A_SOURCE: u32 = 8 * 1024;
/// The interval of reports about decisions that were left out.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// How fast a used-up budget is free again.
const MINUTE: Duration = Duration::from_secs(60);

/// Reports decisions.
pub(crate) struct Observer {
    metrics: Arc<Metrics>,
    recorder: Option<Arc<dyn Recorder>>,
    unverified: Mutex<Unverified>,
    keys: RandomState,
    begun: Instant,
}

/// The used budget of requests without client authentication.
struct Unverified {
    budget: Budget,
    by_source: FailureTable,
    /// The numbers of left-out decisions at the last report, by outcome.
    reported: Vec<u64>,
    /// Whether a report is scheduled.
    is_report_due: bool,
}

/// A leaky bucket of bytes: half of the budget at once, and as much in every minute after, so that no minute exceeds the budget.
struct Budget {
    half: u64,
    /// When all of the budget is free again, on the clock of the observer.
    free_at: Duration,
}

impl Budget {
    fn new(bytes_per_minute: u32) -> Self {
        Self { half: u64::from(bytes_per_minute / 2), free_at: Duration::ZERO }
    }

    /// Uses so many bytes, if they are available.
    fn takes(&mut self, bytes: u64, now: Duration) -> bool {
        let Some(nanoseconds) = (MINUTE.as_nanos() * u128::from(bytes)).checked_div(self.half.into()) else {
            return false;
        };
        let nanoseconds = u64::try_from(nanoseconds).unwrap_or(u64::MAX);
        let free_at = self.free_at.max(now).saturating_add(Duration::from_nanos(nanoseconds));
        let is_left = free_at.saturating_sub(now) <= MINUTE;
        if is_left {
            self.free_at = free_at;
        }
        is_left
    }
}

impl Observer {
    /// Limits requests without client authentication to so many bytes of records a minute, and as many lines of the log.
    pub(crate) fn new(
        metrics: Arc<Metrics>,
        recorder: Option<Arc<dyn Recorder>>,
        unverified_bytes_per_minute: u32,
    ) -> Self {
        let of_a_source = unverified_bytes_per_minute / BYTES_FOR_A_RECORD_OF_A_SOURCE;
        Self {
            metrics,
            recorder,
            unverified: Mutex::new(Unverified {
                budget: Budget::new(unverified_bytes_per_minute),
                by_source: FailureTable::new(Allowance::per_minute(of_a_source), SOURCES),
                reported: vec![0; Outcome::COUNT],
                is_report_due: false,
            }),
            keys: RandomState::new(),
            begun: Instant::now(),
        }
    }

    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub(crate) fn recorder(&self) -> Option<&dyn Recorder> {
        self.recorder.as_deref()
    }

    /// Whether to record and log a request without client authentication. If not, it is counted.
    pub(crate) fn admits(self: &Arc<Self>, record: &AuditRecord<'_>, source: Option<IpAddr>) -> bool {
        let source = self.keys.hash_one(source.map(source_of));
        let now = self.begun.elapsed();
        let bytes = length(record);
        let has_room = self.recorder.as_ref().is_none_or(|recorder| recorder.has_room_for_unverified());
        let mut unverified = self.unverified();
        if has_room
            && unverified.by_source.refused_for(source, now).is_none()
            && unverified.budget.takes(bytes, now)
        {
            unverified.by_source.record(source, now);
            return true;
        }
        self.metrics.left_out(record.outcome);
        let is_first = !std::mem::replace(&mut unverified.is_report_due, true);
        drop(unverified);
        if is_first {
            self.schedule_report();
        }
        false
    }

    /// Reports in a minute what is left out until then. Outside of a runtime, a service reports at its end only.
    fn schedule_report(self: &Arc<Self>) {
        let observer = Arc::downgrade(self);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(REPORT_EVERY).await;
                if let Some(observer) = observer.upgrade() {
                    observer.report();
                }
            });
        }
    }

    /// Reports how many decisions were left out since the last report, by outcome.
    pub(crate) fn report(&self) {
        let mut unverified = self.unverified();
        unverified.is_report_due = false;
        let total = self.metrics.all_left_out();
        let reported = std::mem::replace(&mut unverified.reported, total.clone());
        drop(unverified);
        let since = Outcome::all().zip(total.iter().zip(reported).map(|(total, before)| total - before));
        let outcomes: Vec<(Outcome, u64)> = since.filter(|(_, count)| *count > 0).collect();
        if outcomes.is_empty() {
            return;
        }
        if let Some(recorder) = &self.recorder {
            recorder.left_out(&outcomes);
        }
        let records: u64 = outcomes.iter().map(|(_, count)| count).sum();
        tracing::warn!(
            target: AUDIT,
            records,
            outcomes = ?outcomes.iter().map(|(outcome, count)| (outcome.as_str(), count)).collect::<Vec<_>>(),
            "left out requests without client authentication: they exceeded their log budget of this minute"
        );
    }

    fn unverified(&self) -> std::sync::MutexGuard<'_, Unverified> {
        // Each field is set as a whole, so a panic elsewhere leaves nothing half done.
        self.unverified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The length of the record in bytes when it is written.
fn length(record: &AuditRecord<'_>) -> u64 {
    struct Length(u64);
    impl io::Write for Length {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut length = Length(0);
    // It holds nothing that cannot be serialized, and counting does not fail.
    match serde_json::to_writer(&mut length, record) {
        Ok(()) => length.0,
        Err(_) => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use tokenberg_core::ErrorCode;

    const WRONG: Outcome = Outcome::Refused(ErrorCode::InvalidClient);
    const AWAY: Outcome = Outcome::Refused(ErrorCode::TemporarilyUnavailable);

    /// How many records came, and what was left out.
    #[derive(Default)]
    struct Kept {
        records: AtomicU64,
        bytes: AtomicU64,
        left_out: Mutex<Vec<(Outcome, u64)>>,
    }

    impl Recorder for Kept {
        fn record(&self, record: &AuditRecord<'_>) {
            self.records.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(length(record), Ordering::Relaxed);
        }
        fn left_out(&self, outcomes: &[(Outcome, u64)]) {
            self.left_out.lock().unwrap().extend(outcomes);
        }
        fn has_room_for_unverified(&self) -> bool {
            true
        }
        fn has_room(&self) -> bool {
            true
        }
    }

    #[test]
    fn se_06_cwe_779_no_minute_sees_more_than_the_budget() {
        let seconds = Duration::from_secs_f64;
        let mut budget = Budget::new(1000);
        let mut taken = Vec::new();
        // Every millisecond of five minutes, as much as possible.
        for now in (0..300_000).map(|ms| seconds(f64::from(ms) / 1000.0)) {
            while budget.takes(50, now) {
                taken.push(now);
            }
        }
        for (at, since) in taken.iter().enumerate() {
            let in_a_minute = taken[at..].iter().take_while(|now| **now < *since + MINUTE).count();
            assert!(in_a_minute * 50 <= 1000, "{in_a_minute}");
        }
        assert!(taken.len() * 50 > 4 * 500, "{}", taken.len());
        assert!(!Budget::new(0).takes(1, MINUTE) && !Budget::new(1).takes(1, MINUTE));
        assert!(!Budget::new(1000).takes(u64::MAX, MINUTE));
    }

    #[test]
    fn se_06_cwe_779_whatever_a_flood_varies_what_it_writes_is_bounded_and_the_rest_is_counted_exactly() {
        const BYTES: u32 = 64 * 1024;
        let kept = Arc::new(Kept::default());
        let observer =
            Arc::new(Observer::new(Arc::default(), Some(Arc::clone(&kept) as Arc<dyn Recorder>), BYTES));
        let scope = "s".repeat(4000);
        let mut admitted = 0;
        for n in 0..20_000_u32 {
            let source = IpAddr::from((u128::from(n) << 64).to_be_bytes());
            let mut record = AuditRecord::new("", if n % 2 == 0 { WRONG } else { AWAY });
            record.client = Some(n.to_string().into());
            record.scope_in = Some(scope.as_str().into());
            record.cut_as_unverified();
            if observer.admits(&record, Some(source)) {
                admitted += 1;
                observer.recorder().unwrap().record(&record);
            }
        }
        observer.report();
        observer.report();
        let (records, bytes) = (kept.records.load(Ordering::Relaxed), kept.bytes.load(Ordering::Relaxed));
        assert!(admitted > 50 && records == admitted && bytes <= u64::from(BYTES), "{admitted} {bytes}");
        let left_out = kept.left_out.lock().unwrap();
        assert_eq!(left_out.iter().map(|(_, count)| count).sum::<u64>(), 20_000 - admitted);
        let outcomes: Vec<_> = left_out.iter().map(|(outcome, _)| *outcome).collect();
        assert_eq!(outcomes, [WRONG, AWAY]);
    }

    #[test]
    fn se_06_cwe_779_one_source_leaves_room_for_others() {
        let observer = Arc::new(Observer::new(Arc::default(), None, 256 * 1024));
        let record = AuditRecord::new("", WRONG);
        let from = |source: &str| observer.admits(&record, source.parse().ok());
        let admitted = (0..10_000).filter(|_| from("192.0.2.1")).count();
        assert!((32..100).contains(&admitted), "{admitted}");
        assert!((0..7).all(|_| from("192.0.2.2")), "a client that tries seven times is recorded each time");
    }
}
