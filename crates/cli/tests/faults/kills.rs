//! The server is killed at any moment: acknowledged changes survive, and nothing is half written: conformance OP-10.

use crate::facts::{Fact, Facts};
use crate::load::{Asking, Load};
use crate::report::{End, Fault};
use crate::site::Site;
use crate::tally::{Chance, Tally, rounds};
use std::path::PathBuf;
use std::time::Duration;
use tokenberg_testkit::Postgres;

/// Commands that change clients and keys, most of which are killed somewhere on their way, too.
fn administer(site: &Site, facts: &Facts, chance: &mut Chance, round: u64) {
    for n in 0..2 {
        let after = |chance: &mut Chance| match chance.below(3) {
            0 => Duration::from_secs(5),
            _ => Duration::from_millis(chance.below(60)),
        };
        let id = format!("c{round}x{n}");
        match chance.below(4) {
            0 | 1 => {
                if let Some(said) = site.run_and_kill(&["client", "add", &id], wait(after(chance))) {
                    facts.note(Fact::Client(id, said["client_secret"].as_str().unwrap().to_owned()));
                }
            }
            2 => {
                if let Some((id, secret)) = facts.a_client()
                    && site.run_and_kill(&["client", "disable", &id], wait(after(chance))).is_some()
                {
                    facts.note(Fact::Disabled(id, secret));
                }
            }
            _ => {
                let _ = site.run_and_kill(&["key", "rotate", "--now"], wait(after(chance)));
            }
        }
    }
}

/// Long enough for a command that is not to be killed, and not longer.
fn wait(after: Duration) -> Duration {
    after.min(Duration::from_millis(400))
}

fn kill_again_and_again(site: &Site, fault: &str, usual: u64) {
    let (tally, facts, mut chance) = (Tally::default(), Facts::default(), Chance::new());
    let rounds = rounds(usual, 1);
    for round in 0..rounds {
        let mut server = site.serve();
        let asking = Asking::new(&tally);
        facts.check_fresh(&asking, &server.url);
        let load = Load::of(site, &server.url, &tally, &facts);
        load.during(2, || {
            administer(site, &facts, &mut chance, round);
            load.until_answered(1 + chance.below(20));
            std::thread::sleep(Duration::from_millis(chance.below(20)));
            server.signal("KILL");
            server.ended();
        });
    }
    let server = site.serve();
    facts.check_all(&Asking::new(&tally), &server.url);
    site.assert_whole();
    tally.print(fault, &format!("; {rounds} times, {} acknowledged changes hold", facts.len()));
}

#[test]
fn op_10_kill_9_at_any_moment_loses_nothing_on_sqlite() {
    kill_again_and_again(&Site::on(None), "kill -9, SQLite", 6);
}

#[test]
fn op_10_kill_9_at_any_moment_loses_nothing_on_postgresql() {
    let Some(postgres) = Postgres::shared() else { return };
    kill_again_and_again(&Site::on_postgres(postgres), "kill -9, PostgreSQL", 4);
}

#[test]
fn op_20_op_10_a_killed_node_loses_nothing_and_its_peer_serves() {
    let Some(postgres) = Postgres::shared() else { return };
    let site = Site::on_postgres(postgres);
    let (facts, dying, living) = (Facts::default(), Tally::default(), Tally::default());
    let peer = site.serve();
    let beside = Load::of(&site, &peer.url, &living, &facts);
    beside.during(2, || {
        for _ in 0..rounds(3, 5) {
            let mut node = site.serve();
            let load = Load::of(&site, &node.url, &dying, &facts);
            load.during(2, || {
                load.until_answered(8);
                node.signal("KILL");
                node.ended();
            });
        }
    });
    // A revocation at another node takes effect here within a second.
    std::thread::sleep(Duration::from_millis(1500));
    facts.check_all(&Asking::new(&living), &peer.url);
    assert_eq!(crate::tally::count(&living.lost), 0);
    assert_eq!(crate::tally::count(&living.unavailable), 0);
    living.print("its peer serves", "");
    let fault = Fault {
        what: "`kill -9` of one of two nodes, three times; the counts are those of the killed ones",
        clients: "requests at the killed node end with their connection; at the others: 200",
        lost: "nothing that was acknowledged; records of the audit of the last 100ms, which are lines of the log",
    };
    fault.report(&dying, &End { back: None, facts: facts.len(), honored: 0 });
}

/// The key-encryption key is changed repeatedly, and the command is killed: either the one key or the other opens everything.
#[test]
fn se_03_op_10_a_killed_change_of_the_key_encryption_key_is_complete_or_has_no_effect() {
    let site = Site::on(None);
    site.run(&["key", "rotate"]).done();
    let mut chance = Chance::new();
    let (current, other) = (site.place.path("tokenberg.db.key"), site.place.path("other.key"));
    let opens = |key: &PathBuf| {
        let said = site.run(&["key", "list", "--json", "--key-file", &key.display().to_string()]);
        // A file that was not created is not the key.
        if said.code == 0 { said.json().as_array().unwrap().len() } else { 0 }
    };
    let (mut changed, times) = (0, rounds(12, 1));
    for _ in 0..times {
        let to = other.display().to_string();
        let change = ["key-encryption-key", "change", "--new-key-file", &to];
        let said = site.run_and_kill(&change, Duration::from_millis(chance.below(50)));
        let (old, new) = (opens(&current), opens(&other));
        assert!((old, new) == (2, 0) || (old, new) == (0, 2), "{old} {new}");
        assert!(said.is_none() || new == 2, "it was acknowledged");
        if new == 2 {
            changed += 1;
            std::fs::rename(&other, &current).unwrap();
        }
    }
    println!("key-encryption key: {times} changes killed, {changed} done, the others not begun");
}
