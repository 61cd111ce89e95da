//! The clock is stepped ahead and back: nothing is lost and no key is created twice: conformance OP-02.

use crate::facts::Facts;
use crate::load::{Asking, Load};
use crate::site::Site;
use crate::support::within_a_second;
use crate::tally::{Tally, count, rounds};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The library that shows programs another time, if the machine has it.
pub fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found =
        folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).filter(|path| path.exists());
    let library = found.next();
    if library.is_none() {
        println!("skipped: there is no libfaketime (Debian: faketime)");
    }
    library
}

#[test]
fn op_02_a_clock_step_under_load_loses_nothing() {
    let Some(library) = library() else { return };
    let site = Site::on(None);
    let clock = site.place.file("clock", "+0");
    let library = library.display().to_string();
    let variables = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", &clock),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let server = site.serve_with(&[], &variables);
    let (tally, facts) = (Tally::default(), Facts::default());
    let issued_at = |asking: &Asking<'_>| {
        let token = asking.token(&server.url, crate::site::ROOT).unwrap();
        let claims = site.place.run_with(&["inspect", "--json"], &token, &[]).done().json();
        claims["claims"]["iat"].as_i64().or_else(|| claims["payload"]["iat"].as_i64()).unwrap()
    };
    let asking = Asking::new(&tally);
    let begun = issued_at(&asking);
    let steps = (0..rounds(1, 10)).flat_map(|_| [3600, 0]);
    for ahead in std::iter::once(0).chain(steps) {
        site.place.file("clock", &format!("+{ahead}"));
        within_a_second("the server believes it", || {
            let seen = issued_at(&asking) - begun;
            if ahead == 0 { seen < 1800 } else { seen >= 3600 }
        });
        site.ahead.store(ahead, Ordering::Relaxed);
        Load::of(&site, &server.url, &tally, &facts)
            .during(2, || std::thread::sleep(Duration::from_millis(300)));
    }
    facts.check_all(&asking, &server.url);
    assert_eq!((count(&tally.lost), count(&tally.unavailable)), (0, 0));
    tally.print("the clock ahead and back", &format!("; {} acknowledged changes hold", facts.len()));
}

#[test]
fn op_02_a_clock_that_is_ahead_at_one_start_and_back_at_the_next_rotates_once() {
    let Some(library) = library() else { return };
    let site = Site::on(None);
    let library = library.display().to_string();
    // The number of keys once a server with that clock has checked whether it is time for another one.
    let keys_after_a_start = |clock: &str| {
        let variables =
            [("LD_PRELOAD", library.as_str()), ("FAKETIME", clock), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        let more = ["--rotate-keys-every", "90d", "--log", "tokenberg=debug"];
        let server = site.serve_with(&more, &variables);
        within_a_second("it is asked whether a key is due", || {
            let log = server.log();
            log.contains("no new signing key is due") || log.contains("published a new signing key")
        });
        drop(server);
        site.run(&["key", "list", "--json"]).done().json().as_array().unwrap().len()
    };
    for (clock, expected) in [("+0", 1), ("+89d", 1), ("+91d", 2), ("+91d", 2), ("+0", 2), ("+91d", 2)] {
        assert_eq!(keys_after_a_start(clock), expected, "{clock}");
    }
}
