//! What a watch knows of the database: whether it can be followed, which server it is, and what happened to it.

use crate::audit::StoreLoss;
use crate::clock::{ClockOffset, now};
use crate::database::{Instance, ServerState};
use crate::error::StoreError;
use crate::write_failures::{Write, WriteFailures};
use std::time::{Duration, Instant};
use tokenberg_core::Timestamp;

/// From this difference on, the log warns of the clock. Half of what tokens of other nodes may differ by.
const CLOCK_WARNING: Duration = Duration::from_secs(2);
/// How long to wait before asking again why the database cannot be reached.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// How far behind the store a [`Watched`](crate::Watched) may be, and the state of the database.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Health {
    /// How long ago clients and revocations were last known to be up to date; under a second in normal operation.
    pub age: Duration,
    /// Why the last attempt failed, if it did. Keys that were refused are a fault that does not raise `age`.
    pub fault: Option<StoreError>,
    /// How often everything was read again, because a revision went back or did not count a change that is recorded. Both happen
    /// after an older copy of the database was restored, and by a trigger or a statement that hides changes from servers.
    pub rereads: u64,
    /// How often another database server, or another timeline, answered than before: a restart, a failover or a restore.
    pub switches: u64,
    /// How often the database had lost changes that this process had read.
    pub went_back: u64,
    /// When the database last lost changes that this process had read, and what is known of it.
    pub lost: Option<(Timestamp, String)>,
    /// How many revocations, disablings, removals and used identifiers this process has written again.
    pub written_again: u64,
    /// Why changes cannot be written now, as far as it is known; then revocations and single-use identifiers fail.
    pub not_writable: Option<String>,
    /// How many writes failed, by what was to be written.
    pub write_failures: Vec<(Write, u64)>,
    /// How far the clock of this machine is from that of the database; `None` for SQLite, and while it is unknown.
    pub clock: Option<ClockOffset>,
    /// When the state equaled the store, if this process has started from a [`SnapshotFile`](crate::SnapshotFile) and has not reached
    /// the database yet.
    pub from_snapshot: Option<Timestamp>,
}

/// The state behind [`Health`].
pub(super) struct Condition {
    /// When the store was last read by this process, or when the process began with a state that was `older`.
    pub(super) checked_at: Instant,
    /// The same by the clock, in milliseconds since 1970.
    contact: i64,
    older: Duration,
    from_snapshot: Option<Timestamp>,
    pub(super) fault: Option<StoreError>,
    pub(super) rereads: u64,
    /// The server that everything was read from last.
    pub(super) instance: Option<Instance>,
    switches: u64,
    went_back: u64,
    lost: Option<(Timestamp, String)>,
    not_writable: Option<&'static str>,
    clock: Option<ClockOffset>,
    is_clock_reported: bool,
    probed_at: Option<Instant>,
}

/// The time of the clock at an instant of the recent past, in milliseconds since 1970.
fn wall_clock(at: Instant) -> i64 {
    now().saturating_sub(i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX))
}

impl Condition {
    pub(super) fn new(checked_at: Instant) -> Self {
        Self {
            checked_at,
            contact: wall_clock(checked_at),
            older: Duration::ZERO,
            from_snapshot: None,
            fault: None,
            rereads: 0,
            instance: None,
            switches: 0,
            went_back: 0,
            lost: None,
            not_writable: None,
            clock: None,
            is_clock_reported: false,
            probed_at: None,
        }
    }

    /// Of a process that begins with a state that equaled the store at `contact`, `older` ago, because of the fault.
    pub(super) fn of_last_known(contact: Timestamp, older: Duration, fault: StoreError) -> Self {
        let (fault, from_snapshot) = (Some(fault), Some(contact));
        let contact = contact.as_seconds().saturating_mul(1000);
        Self { older, from_snapshot, fault, contact, ..Self::new(Instant::now()) }
    }

    /// When the state was last known to equal the store, in milliseconds since 1970; not later than the clock said then. [`Instant`] stands
    /// still while a machine is suspended.
    pub(super) fn contact(&self) -> i64 {
        let age = i64::try_from(self.age().as_millis()).unwrap_or(i64::MAX);
        now().saturating_sub(age).min(self.contact)
    }

    /// How long ago the state was last known to equal the store.
    pub(super) fn age(&self) -> Duration {
        self.older + self.checked_at.elapsed()
    }

    /// Whether the database has not been reached since the process began with an older state.
    pub(super) fn is_apart(&self) -> bool {
        self.from_snapshot.is_some()
    }

    /// The state equals the store as of this time.
    pub(super) fn reached(&mut self, at: Instant) {
        (self.checked_at, self.older, self.contact) = (at, Duration::ZERO, wall_clock(at));
        if let Some(contact) = self.from_snapshot.take() {
            tracing::info!(%contact, "the database was reached, after a start from a snapshot; everything was read again");
        }
    }

    /// Whether the database answers and is not read-only.
    pub(super) fn may_be_written(&self) -> bool {
        let is_away = self.fault.as_ref().is_some_and(StoreError::is_unavailable);
        !is_away && self.not_writable.is_none()
    }

    pub(super) fn health(&self, failures: &WriteFailures, written_again: u64) -> Health {
        let away = self.fault.as_ref().filter(|fault| fault.is_unavailable()).map(ToString::to_string);
        let read_only = self.not_writable.map(str::to_owned);
        let failed = || failures.recent().map(|(write, error)| format!("{}: {error}", write.name()));
        Health {
            age: self.age(),
            fault: self.fault.clone(),
            rereads: self.rereads,
            switches: self.switches,
            went_back: self.went_back,
            lost: self.lost.clone(),
            written_again,
            not_writable: away.or(read_only).or_else(failed),
            write_failures: Write::ALL.into_iter().zip(failures.counts()).collect(),
            clock: self.clock,
            from_snapshot: self.from_snapshot,
        }
    }

    /// The server has answered a poll. Reports what has changed for the operator.
    pub(super) fn answered(&mut self, server: Option<&ServerState>) {
        let Some(ServerState { not_writable, clock, .. }) = server else { return };
        match (std::mem::replace(&mut self.not_writable, *not_writable), *not_writable) {
            (before, Some(reason)) if before != Some(reason) => tracing::warn!(
                reason,
                "the store cannot be written: revocations and single-use identifiers are answered 503"
            ),
            (Some(_), None) => tracing::info!("the store can be written again"),
            _ => {}
        }
        let is_wrong = clock.exceeds(CLOCK_WARNING);
        match (std::mem::replace(&mut self.is_clock_reported, is_wrong), is_wrong) {
            (false, true) => tracing::warn!(
                "{clock}: tokens and assertions of other machines are refused once it differs by more than their leeway; \
                 synchronize the clocks by NTP"
            ),
            (true, false) => {
                tracing::info!("the clock of this machine agrees with that of the database again")
            }
            _ => {}
        }
        self.clock = Some(*clock);
    }

    /// Whether to find out now why the database cannot be reached.
    pub(super) fn is_probe_due(&mut self) -> bool {
        let is_due = self.probed_at.is_none_or(|at| at.elapsed() >= PROBE_INTERVAL);
        if is_due {
            self.probed_at = Some(Instant::now());
        }
        is_due
    }

    /// Whether another server answers, or another timeline of it, than the one that was read from.
    pub(super) fn is_another(&self, now: Option<&Instance>) -> bool {
        matches!((&self.instance, now), (Some(before), Some(now)) if before != now)
    }

    /// Everything was read from this server. Reports that it is another one, and returns the timelines if they differ.
    pub(super) fn read_from(&mut self, instance: Option<&Instance>) -> Option<[String; 2]> {
        let now = instance?;
        if let Some(before) = self.instance.replace(now.clone()).filter(|before| before != now) {
            self.switches += 1;
            if let Some([was, is]) = now.new_timeline(&before) {
                tracing::warn!(
                    was,
                    is,
                    "another timeline of the database answers, as after a failover or a restore; everything was read again"
                );
                return Some([was.to_owned(), is.to_owned()]);
            }
            tracing::info!("another server process of the database answers; everything was read again");
        }
        None
    }

    /// The history of the store is another one than this process had read.
    pub(super) fn lost_changes(&mut self, loss: &StoreLoss, restrictions: &str) {
        let StoreLoss { was_at: was, is_at: is, .. } = *loss;
        self.went_back += 1;
        tracing::warn!(
            was_at = was,
            is_at = is,
            restrictions,
            "the database lost changes that this server had read: a failover to a standby that lacked them, a restore, or tampering; \
             everything was read again, and the restrictions that were lost stay in force and are written again; \
             run: tokenberg audit verify"
        );
        let text = format!(
            "the chain installation was at {was} and came back at {is}; written again: {restrictions}"
        );
        self.lost = Timestamp::from_seconds(loss.at / 1000).ok().map(|at| (at, text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn op_33_time_in_which_a_machine_was_suspended_makes_a_state_no_fresher() {
        let mut condition = Condition::new(Instant::now());
        let is_now = |condition: &Condition| now() - condition.contact() < 60_000;
        assert!(is_now(&condition));
        // As after five hours in which only the clock went on.
        condition.contact -= 5 * 3_600_000;
        let before = condition.contact;
        assert_eq!(condition.contact(), before);
        condition.reached(Instant::now());
        assert!(is_now(&condition));
    }
}
