//! Compares our form decoder with that of `serde_urlencoded`, which is lenient; conformance TE-14 to TE-18.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use proptest::prelude::*;
use tokenberg_core::request::{Form, Parameter};

/// The pieces that bodies are composed of.
static PIECES: [&str; 20] = [
    "scope",
    "sc%6Fpe",
    "client_id",
    "resource",
    "audience",
    "x",
    "=",
    "=",
    "=",
    "&",
    "&",
    "+",
    "%2B",
    "%26",
    "%3d",
    "%C3%A9",
    "é",
    "%ff",
    "%4",
    "%zz",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn te_14_te_15_te_16_te_17_an_accepted_form_is_read_as_other_parsers_read_it(
        pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..14),
    ) {
        let body = pieces.concat();
        let Ok(form) = Form::parse(body.as_bytes()) else { return Ok(()) };
        let lenient: Vec<(String, String)> = serde_urlencoded::from_str(&body).unwrap();
        for parameter in Parameter::ALL {
            let theirs = lenient.iter().filter(|(name, value)| name == parameter.name() && !value.is_empty());
            let theirs: Vec<&str> = theirs.map(|(_, value)| value.as_str()).collect();
            prop_assert_eq!(form.values(parameter).collect::<Vec<_>>(), theirs, "{}", body);
        }
    }
}
