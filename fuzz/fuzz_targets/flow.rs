//! The flow: no script of requests, renewals, exchanges, revocations, changes and clock steps breaks a law of delegation.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tokenberg_testkit::{Event, History};

fuzz_target!(|script: &[u8]| {
    let mut history = History::new();
    for event in Event::script(script).iter().take(60) {
        history.play(event);
    }
});
