//! A compact token: what is accepted has one spelling, is signed, and nobody who did not sign it is believed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use tokenberg_core::{AccessTokenClaims, CompactJws};
use tokenberg_testkit::{Ask, World};

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(token) = CompactJws::parse(text) {
        assert_eq!(token.expose(), text);
        assert!(!token.signature().is_empty());
        assert_eq!(text.split('.').count(), 3);
        assert!(!token.header().alg.eq_ignore_ascii_case("none"));
        if let Ok(claims) = AccessTokenClaims::read(token.unverified_payload()) {
            assert_eq!(AccessTokenClaims::read(&claims.to_json()).as_ref(), Ok(&claims));
        }
    }
    WORLD.with_borrow_mut(|world| {
        let answer = world.check(Ask::exchange(text).basic("c1", "s1-Z7"));
        assert_ne!(answer.code(), "200", "a token that we did not sign was exchanged");
    });
});
