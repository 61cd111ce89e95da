//! The session claim and what a token was obtained with: it prints as it was read, and yields no token that has more.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use tokenberg_testkit::SessionClaims;

thread_local! {
    static CLAIMS: RefCell<SessionClaims> = RefCell::new(SessionClaims::new());
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    CLAIMS.with_borrow_mut(|claims| claims.check(text));
});
