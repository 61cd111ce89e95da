//! Forged signatures are refused at every entry: as the fuzz target `proofs` does, briefly and without a fuzzer.

use proptest::prelude::*;
use tokenberg_testkit::{Door, Doors};

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_forgery_is_accepted_or_uses_up_a_genuine_identifier(
        scripts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 10),
    ) {
        let mut doors = Doors::new();
        for script in &scripts {
            doors.attack(script);
        }
    }
}

#[test]
fn each_door_accepts_a_genuine_token_and_none_with_a_changed_letter() {
    let mut doors = Doors::new();
    for door in 0..u8::try_from(Door::ALL.len()).unwrap_or_default() {
        doors.attack(&[door]);
        for place in (0..900_u16).step_by(37) {
            let [high, low] = place.to_be_bytes();
            doors.attack(&[door, 3, high, low, 0]);
            doors.attack(&[door + 14, 0, high, low, b'A', 0, high, low, b'A']);
        }
        doors.attack(&[door + 14]);
    }
    for script in [&[21_u8, 5, 0, 0, 0, 1][..], &[28, 0], &[28, 1], &[28, 4], &[28, 0, 0, 0, 0, b'X']] {
        doors.attack(script);
    }
}
