//! Key sets, metadata and addresses of issuers: nothing costs a good key, lets an attacker in, or leads to a forbidden address.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use tokenberg_testkit::Documents;

thread_local! {
    static DOCUMENTS: RefCell<Documents> = RefCell::new(Documents::new());
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    DOCUMENTS.with_borrow_mut(|documents| documents.check(text));
});
