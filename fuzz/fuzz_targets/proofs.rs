//! Foreign tokens, assertions, proofs of possession, unsigned names and certificates: nothing that was tampered with is believed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use tokenberg_testkit::Doors;

/// What is used once is remembered for ever in this world, so it is made anew from time to time.
const ATTACKS: u32 = 5_000;

thread_local! {
    static DOORS: RefCell<(Doors, u32)> = RefCell::new((Doors::new(), 0));
}

fuzz_target!(|script: &[u8]| {
    DOORS.with_borrow_mut(|(doors, attacks)| {
        doors.attack(script);
        *attacks += 1;
        if *attacks == ATTACKS {
            (*doors, *attacks) = (Doors::new(), 0);
        }
    });
});
