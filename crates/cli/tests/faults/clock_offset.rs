//! The clock of one machine differs from that of the database: it is reported, and gives no right; conformance OP-02, OP-21.

use crate::clock::library;
use crate::node::Node;
use crate::report::Fault;
use crate::site::{ROOT, Site};
use crate::support::within_a_second;
use tokenberg_testkit::Postgres;

#[test]
fn s_6_a_wrong_clock_is_reported_by_the_node_and_by_check() {
    let (Some(library), Some(postgres)) = (library(), Postgres::shared()) else { return };
    let site = Site::on_postgres(postgres);
    let library = library.display().to_string();
    let with = |offset: &'static str| {
        [("LD_PRELOAD", library.as_str()), ("FAKETIME", offset), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]
    };
    let right = Node::of(&site, &[], &[]);
    right.until_figure("tokenberg_clock_offset_seconds", |offset| offset.abs() < 5.0);
    assert_eq!(right.ready().0, 200);
    let behind = Node::of(&site, &[], &with("-10s"));
    behind.until_ready_says(200, "s behind that of the database");
    behind.until_figure("tokenberg_clock_offset_seconds", |offset| (-15.0..-8.0).contains(&offset));
    let ahead = Node::of(&site, &[], &with("+300s"));
    ahead.until_ready_says(503, "s ahead of that of the database, 30 s at most");
    ahead.until_figure("tokenberg_clock_offset_seconds", |offset| (295.0..305.0).contains(&offset));
    ahead.until_figure("tokenberg_ready", |ready| ready == 0.0);
    assert!(ahead.server.log().contains("ahead of that of the database"), "{}", ahead.server.log());

    let said = site.run_with(&["check"], &with("-300s"));
    let first = said.out.lines().next().unwrap_or_default();
    assert!(
        said.code == 1
            && first.starts_with("problem  clock: ")
            && first.contains("behind that of the database"),
        "{} {}",
        said.out,
        said.err
    );
    let said = site.run_with(&["client", "add", "spark"], &with("+300s")).refused();
    assert!(said.err.contains("nothing was changed") && said.err.contains("ahead of"), "{}", said.err);
    let said = site.run_with(&["key", "rotate", "--now"], &with("-300s")).refused();
    assert!(said.err.contains("behind"), "{}", said.err);
    // Reading needs no clock, and what only restricts is made in any case.
    assert!(!site.run_with(&["client", "list"], &with("-300s")).done().out.contains("spark"));
    site.run_with(&["client", "disable", "signer"], &with("-300s")).done();
    let fault = Fault {
        what: "the clock of one node is 5 min ahead or behind",
        clients: "the node is not ready from the first poll on, so a load balancer sends it nothing. Clients that reach it all the same: 200, \
                  and the other nodes refuse these tokens with 401",
        lost: "nothing. Commands on that machine change nothing, except to revoke and to disable",
    };
    fault.note(None);
}

/// Before, a command from a machine that was behind left tokens alive, and from one that was ahead made new ones dead.
#[test]
fn s_6_revoke_uses_the_time_of_the_database() {
    let (Some(library), Some(postgres)) = (library(), Postgres::shared()) else { return };
    let site = Site::on_postgres(postgres);
    let library = library.display().to_string();
    let node = Node::of(&site, &[], &[]);
    for offset in ["-300s", "+300s"] {
        let variables =
            [("LD_PRELOAD", library.as_str()), ("FAKETIME", offset), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        let old = node.token();
        assert!(node.is_active(&old));
        site.run_with(&["revoke", "--client", ROOT.0], &variables).done();
        within_a_second("the old token is revoked", || !node.is_active(&old));
        within_a_second("a new one is good", || node.is_active(&node.token()));
    }
}
