//! The records that wait to be written: bounded in number and in bytes. Equal refusals are one record with a count.

use crate::audit::load::{Load, Loads};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};
use tokenberg_core::audit::AuditRecord;

/// The most records that wait by default: some 40 MB, and 64 MiB at most.
pub const USUAL_QUEUE: u32 = 65_536;

/// How many bytes the texts may have for each record that may wait.
const BYTES_EACH: usize = 1024;
/// The least that the bytes are limited to, so that the largest record fits into the shortest queue.
const LEAST_BYTES: usize = 1 << 20;
/// Requests without client authentication have this part of the queue, in addition to the rest.
const SHARE_OF_UNVERIFIED: usize = 8;

/// The policy for records that cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Requests are answered, and the records are dropped and counted.
    Drop,
    /// Requests are refused until there is room.
    Refuse,
}

/// A record that waits; its text is among those of the others.
#[derive(Debug)]
struct Waiting {
    at: i64,
    since: Instant,
    length: usize,
    repeated: u64,
    is_unverified: bool,
}

/// How many records have their texts in one piece, which is taken without copying.
pub(crate) const PIECE: usize = 2048;

#[derive(Debug, Default)]
struct Piece {
    records: usize,
    texts: String,
}

/// Records that were taken out to be written, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    waiting: Vec<Waiting>,
    texts: String,
}

/// The records that wait, the oldest first.
pub(crate) struct Queue {
    most: Load,
    /// What was put in and is not written yet, including what was taken out.
    loads: Loads,
    waiting: VecDeque<Waiting>,
    /// Their texts, one after the other, so that none needs its own allocation; in pieces of [`PIECE`], so that no request waits
    /// while the rest is copied.
    pieces: VecDeque<Piece>,
    /// How many were taken out so far.
    taken: u64,
    /// By text: the number of the record among all that were put in.
    alike: HashMap<u64, u64>,
    hashes: RandomState,
}

impl Queue {
    /// A queue for this many records, and an eighth more of requests without client authentication.
    pub(crate) fn new(most: u32) -> Self {
        let records: usize = most.try_into().unwrap_or(usize::MAX);
        let bytes = records.saturating_mul(BYTES_EACH).max(LEAST_BYTES);
        Self {
            most: Load { records, bytes },
            loads: Loads::default(),
            waiting: VecDeque::new(),
            pieces: VecDeque::new(),
            taken: 0,
            alike: HashMap::new(),
            hashes: RandomState::new(),
        }
    }

    /// Adds a record, with its text if it was serialized already. Returns `false` if there is no room.
    ///
    /// Any client can send requests that are refused. Those that differ only in their own identifier and port are one record
    /// with a count while it waits, so that a flood of them fills neither the queue nor the disk.
    pub(crate) fn put(&mut self, at: i64, record: &AuditRecord<'_>, text: Option<&str>) -> bool {
        let mut key = None;
        if !record.outcome.is_effective() {
            let mut alike = record.clone();
            (alike.request_id, alike.port) = (None, None);
            let hash = self.hashes.hash_one(alike);
            let place = self.alike.get(&hash).and_then(|n| n.checked_sub(self.taken));
            let alike = place.and_then(|n| usize::try_from(n).ok()).and_then(|n| self.waiting.get_mut(n));
            if let Some(alike) = alike {
                alike.repeated += 1;
                return true;
            }
            key = Some(hash);
        }
        let limit = if record.is_unverified { self.share().twice() } else { self.most };
        if self.loads.of(record.is_unverified).reaches(limit) {
            return false;
        }
        let length = match text {
            Some(text) => self.append(text),
            None => written(record, |text| self.append(text)),
        };
        if let Some(key) = key {
            self.alike.insert(key, self.taken + self.waiting.len() as u64);
        }
        let is_unverified = record.is_unverified;
        self.loads.of(is_unverified).add(Load { records: 1, bytes: length });
        self.waiting.push_back(Waiting { at, since: Instant::now(), length, repeated: 0, is_unverified });
        true
    }

    /// The limit for requests without client authentication, beside the limit for others.
    fn share(&self) -> Load {
        let Load { records, bytes } = self.most;
        Load { records: (records / SHARE_OF_UNVERIFIED).max(1), bytes: bytes / SHARE_OF_UNVERIFIED }
    }

    /// Whether the share of requests without client authentication is not used up. Concurrent requests that checked it together
    /// still fit.
    pub(crate) fn has_room_for_unverified(&self) -> bool {
        !self.loads.unverified.reaches(self.share())
    }

    fn append(&mut self, text: &str) -> usize {
        if self.pieces.back().is_none_or(|piece| piece.records >= PIECE) {
            self.pieces.push_back(Piece::default());
        }
        if let Some(piece) = self.pieces.back_mut() {
            piece.records += 1;
            piece.texts.push_str(text);
        }
        text.len()
    }

    /// The oldest; they count until they are written.
    pub(crate) fn take(&mut self, most: usize) -> Taken {
        let waiting: Vec<_> = self.waiting.drain(..most.min(self.waiting.len())).collect();
        self.taken += waiting.len() as u64;
        let taken = self.taken;
        self.alike.retain(|_, n| *n >= taken);
        let mut texts = String::new();
        let mut missing = &waiting[..];
        while let Some(mut piece) = self.pieces.pop_front() {
            let (of_piece, rest) = missing.split_at(piece.records.min(missing.len()));
            if of_piece.len() < piece.records {
                let left = piece.texts.split_off(of_piece.iter().map(|record| record.length).sum());
                self.pieces.push_front(Piece { records: piece.records - of_piece.len(), texts: left });
            }
            if texts.is_empty() {
                texts = piece.texts;
            } else {
                texts.push_str(&piece.texts);
            }
            missing = rest;
            if missing.is_empty() {
                break;
            }
        }
        Taken { waiting, texts }
    }

    /// Records that the batch was written.
    pub(crate) fn written(&mut self, taken: &Taken) {
        for record in &taken.waiting {
            self.loads.of(record.is_unverified).remove(Load { records: 1, bytes: record.length });
        }
    }

    /// Whether there is no room for new requests. Those that are under way still have the last eighth.
    pub(crate) fn is_full(&self) -> bool {
        let Load { records, bytes } = self.most;
        self.loads.verified.reaches(Load { records: records - records / 8, bytes: bytes - bytes / 8 })
    }

    /// The load that is not written yet.
    pub(crate) fn load(&self) -> Load {
        let mut load = self.loads.verified;
        load.add(self.loads.unverified);
        load
    }

    /// The most that this may be.
    pub(crate) fn most(&self) -> Load {
        let mut most = self.most;
        most.add(self.share());
        most
    }

    /// Whether no record is left to take.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn oldest(&self) -> Option<Duration> {
        self.waiting.front().map(|record| record.since.elapsed())
    }
}

/// Passes the record on as JSON, in a buffer that this thread reuses.
pub(crate) fn written<T>(record: &AuditRecord<'_>, done: impl FnOnce(&str) -> T) -> T {
    thread_local! {
        static TEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    TEXT.with_borrow_mut(|text| {
        text.clear();
        // A record contains nothing that cannot be serialized, and only UTF-8.
        let is_written = serde_json::to_writer(&mut *text, record).is_ok();
        done(std::str::from_utf8(text).ok().filter(|_| is_written).unwrap_or("{}"))
    })
}

impl Taken {
    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Since when the oldest has waited.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.waiting.first().map(|record| record.since)
    }

    /// When each was made, and what it says: an object.
    pub(crate) fn records(&self) -> Vec<(i64, Cow<'_, str>)> {
        let mut texts = self.texts.as_str();
        let mut next = |record: &Waiting| {
            let (text, rest) = texts.split_at_checked(record.length).unwrap_or((texts, ""));
            texts = rest;
            let text = match text.strip_suffix('}').filter(|_| record.repeated > 0) {
                Some(open) => format!("{open},\"repeated\":{}}}", record.repeated).into(),
                None => text.into(),
            };
            (record.at, text)
        };
        self.waiting.iter().map(&mut next).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenberg_core::{ErrorCode, Outcome};

    const WRONG: Outcome = Outcome::Refused(ErrorCode::InvalidClient);

    fn put(queue: &mut Queue, outcome: Outcome, request: usize, client: &str) -> bool {
        let request = request.to_string();
        let mut record = AuditRecord::new("", outcome);
        record.request_id = Some(&request);
        record.client = Some(client.into());
        queue.put(0, &record, None)
    }

    #[test]
    fn ab_01_se_06_equal_refusals_are_one_record_and_effects_are_many() {
        let mut queue = Queue::new(USUAL_QUEUE);
        for n in 0..1000 {
            assert!(put(&mut queue, Outcome::Granted, n, "c1"));
            assert!(put(&mut queue, WRONG, n, "c1"));
            assert!(put(&mut queue, WRONG, n, "c2"));
        }
        assert_eq!(queue.load().records, 1002);
        let taken = queue.take(3);
        let texts: Vec<_> = taken.records().into_iter().map(|(_, text)| text).collect();
        assert!(!texts[0].contains("repeated"), "{texts:?}");
        assert!(
            texts[1].contains("\"client\":\"c1\"") && texts[1].ends_with(",\"repeated\":999}"),
            "{texts:?}"
        );
        for text in &texts {
            serde_json::from_str::<serde_json::Value>(text).unwrap();
        }
        // Taken records are being written, so another request is another record.
        assert!(put(&mut queue, WRONG, 1, "c1"));
        assert_eq!(queue.load().records, 1003);
        queue.written(&taken);
        let rest = queue.take(usize::MAX);
        assert_eq!(rest.len(), 1000);
        queue.written(&rest);
        assert!(put(&mut queue, WRONG, 1, "c1"));
        assert_eq!(queue.load().records, 1);
    }

    #[test]
    fn se_06_each_record_keeps_its_text_in_batches_of_any_size() {
        let mut queue = Queue::new(USUAL_QUEUE);
        let (mut came, mut went) = (0, 0);
        for (put_now, take_now) in [
            (5000, 1),
            (0, PIECE - 1),
            (10, PIECE),
            (0, PIECE),
            (3, 3),
            (0, 1),
            (PIECE + 1, 2 * PIECE),
            (0, 9),
        ] {
            for _ in 0..put_now {
                assert!(put(&mut queue, Outcome::Granted, came, "c1"));
                came += 1;
            }
            let taken = queue.take(take_now);
            for (_, text) in taken.records() {
                assert!(text.contains(&format!("\"request_id\":\"{went}\"")), "{went}: {text}");
                went += 1;
            }
            queue.written(&taken);
        }
        assert_eq!((came, went, queue.load().records), (came, came, 0));
    }

    #[test]
    fn ab_01_the_queue_is_bounded_and_its_last_eighth_is_for_requests_under_way() {
        for most in [1, 2, 80, 1000, USUAL_QUEUE] {
            let mut queue = Queue::new(most);
            for n in 0..most {
                assert_eq!(queue.is_full(), n >= most - most / 8, "{n} of {most}");
                assert!(put(&mut queue, Outcome::Granted, n as usize, "c1"));
            }
            assert!(queue.is_full() && !put(&mut queue, Outcome::Granted, 0, "c1"));
            let taken = queue.take(1);
            assert_eq!(taken.len(), 1);
            assert!(!put(&mut queue, Outcome::Granted, 0, "c1"), "it is not written yet");
            queue.written(&taken);
            assert!(put(&mut queue, Outcome::Granted, 0, "c1"));
        }
    }

    #[test]
    fn se_06_cwe_779_the_queue_is_bounded_in_bytes_as_well() {
        let mut queue = Queue::new(4096);
        let scope = "s".repeat(60_000);
        let of_size = |n: usize| {
            let mut record = AuditRecord::new("", Outcome::Granted);
            record.jti = Some(n.to_string().into());
            record.scope_in = Some(scope.as_str().into());
            record
        };
        let kept = (0..4096).take_while(|n| queue.put(0, &of_size(*n), None)).count();
        assert!((69..=70).contains(&kept), "{kept} of 60 kB in 4 MiB");
        assert!(queue.is_full() && queue.load().bytes < queue.most().bytes);
        // One that is larger than all fits into the shortest queue.
        assert!(Queue::new(1).put(0, &of_size(0), None));
    }

    #[test]
    fn se_06_cwe_779_unauthenticated_requests_have_their_own_share_and_take_no_room_of_clients() {
        let mut queue = Queue::new(80);
        let of_stranger = |n: usize| {
            let mut record = AuditRecord::new("", WRONG);
            record.source = Some(n.to_string().into());
            record.is_unverified = true;
            record
        };
        let is_kept = |n: &usize| queue.has_room_for_unverified() && queue.put(0, &of_stranger(*n), None);
        let kept = (0..1000).filter(is_kept).count();
        assert_eq!((kept, queue.is_full()), (10, false));
        for n in 0..80 {
            assert!(put(&mut queue, Outcome::Granted, n, "c1"), "{n}");
        }
        assert_eq!((queue.load().records, queue.most().records), (90, 90));
        let kept = (1000..2000).filter(|n| queue.put(0, &of_stranger(*n), None)).count();
        assert_eq!(kept, 10, "the concurrent requests, and no more");
        let taken = queue.take(usize::MAX);
        queue.written(&taken);
        assert_eq!(queue.load(), Load::default());
        assert!(queue.put(0, &of_stranger(0), None));
    }

    #[test]
    fn se_06_cwe_779_a_queue_that_is_never_empty_holds_waiting_records_only() {
        let mut queue = Queue::new(USUAL_QUEUE);
        for n in 0..10_000 {
            put(&mut queue, Outcome::Refused(ErrorCode::InvalidScope), 0, &n.to_string());
            if queue.load().records > 10 {
                let taken = queue.take(1);
                queue.written(&taken);
            }
            assert!(queue.alike.len() <= 11, "{}", queue.alike.len());
        }
    }
}
