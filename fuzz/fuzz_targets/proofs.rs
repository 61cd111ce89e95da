//! Foreign tokens, assertions, proofs of possession, unsecured users and certificates: nothing that was tampered with is
//! accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use tokenberg_testkit::Doors;

/// This world stores single-use identifiers for ever, so it is replaced from time to time.
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
