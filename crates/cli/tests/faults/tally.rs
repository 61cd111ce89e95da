//! Counts requests and their outcomes, and prints one line for each kind of fault.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Default)]
pub struct Tally {
    pub sent: AtomicUsize,
    pub answered: AtomicUsize,
    /// 503 with `Retry-After`: the client retries.
    pub unavailable: AtomicUsize,
    /// The connection ended before the answer.
    pub lost: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

pub fn count(number: &AtomicUsize) -> usize {
    number.load(Ordering::Relaxed)
}

pub fn add(number: &AtomicUsize) {
    number.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    /// Records an answer that is not permitted.
    pub fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    /// How many answers were not permitted.
    pub fn wrongs(&self) -> usize {
        self.wrong.lock().unwrap().len()
    }

    /// Prints the counts, and fails if any answer was wrong.
    pub fn print(&self, fault: &str, more: &str) {
        let wrong = self.wrong.lock().unwrap();
        println!(
            "{fault}: {} sent, {} answered, {} answered 503, {} lost, {} answered wrongly{more}",
            count(&self.sent),
            count(&self.answered),
            count(&self.unavailable),
            count(&self.lost),
            wrong.len()
        );
        assert!(wrong.is_empty(), "{fault}: {:#?}", &wrong[..wrong.len().min(5)]);
        assert!(count(&self.answered) > 0, "{fault}: nothing was answered at all");
    }
}

/// The number of rounds: few in every run of the tests, otherwise as configured, or a part of that where a round takes long.
pub fn rounds(usual: u64, one_in: u64) -> u64 {
    let asked = std::env::var("TOKENBERG_FAULT_ROUNDS").map_or(0, |text| text.parse::<u64>().unwrap());
    usual.max(asked / one_in)
}

/// Random numbers that can be reproduced: the seed is printed.
pub struct Chance(u64);

impl Chance {
    pub fn new() -> Self {
        let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        let seed =
            std::env::var("TOKENBERG_FAULT_SEED").map_or_else(|_| now() as u64, |s| s.parse().unwrap());
        println!("TOKENBERG_FAULT_SEED={seed}");
        Self(seed | 1)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
