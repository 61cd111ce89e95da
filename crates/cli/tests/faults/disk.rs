//! The disk is full: requests that need no space are answered, and no write is acknowledged that is not stored: conformance OP-10.
//!
//! The system refuses to let the files of the server grow (`RLIMIT_FSIZE`), as a full disk does: a write comes back short or
//! with an error.

use crate::facts::Facts;
use crate::load::{Asking, Load};
use crate::report::{End, Fault};
use crate::site::{ROOT, Site};
use crate::support::within_a_second;
use crate::tally::{Tally, count, rounds};
use std::time::Duration;

#[test]
fn op_10_on_a_full_disk_nothing_is_acknowledged_that_is_not_written() {
    let site = Site::on(None);
    let server = site.serve_where_files_may_not_grow();
    if !server.limit_files("unlimited") {
        return;
    }
    let (tally, facts) = (Tally::default(), Facts::default());
    let load = Load::of(&site, &server.url, &tally, &facts);
    load.during(2, || {
        for _ in 0..rounds(2, 10) {
            std::thread::sleep(Duration::from_millis(300));
            assert!(server.limit_files("4096"));
            std::thread::sleep(Duration::from_millis(700));
            assert!(server.limit_files("unlimited"));
        }
    });
    let refused = count(&tally.unavailable);
    assert!(refused > 0, "it was not full: {}", server.log());
    let asking = Asking::new(&tally);
    within_a_second("it writes again", || {
        let token = asking.token(&server.url, ROOT).unwrap();
        asking.about(&server.url, "revoke", &token, ROOT, None)
    });
    facts.check_fresh(&asking, &server.url);
    drop(server);
    let server = site.serve();
    facts.check_all(&asking, &server.url);
    site.assert_whole();
    assert_eq!(count(&tally.lost), 0, "a full disk ends no server");
    let fault = Fault {
        what: "the disk of an SQLite store is full for 0.7 s, twice; one server",
        clients: "tokens, renewals, introspection and keys: 200. Revocations and assertions: 503 with `Retry-After`",
        lost: "nothing that was acknowledged",
    };
    fault.report(&tally, &End { back: None, facts: facts.len(), honored: 0 });
}
