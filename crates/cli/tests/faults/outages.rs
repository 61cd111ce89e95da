//! The database becomes unavailable under load: no change is acknowledged that is not durable: conformance OP-21.

use crate::facts::Facts;
use crate::load::{Asking, Load};
use crate::site::{ROOT, Site};
use crate::support::{Server, within_a_second};
use crate::tally::{Tally, count, rounds};
use std::time::Duration;
use tokenberg_testkit::{Line, Postgres, Wire, url_at};

fn pause() {
    std::thread::sleep(Duration::from_millis(400));
}

/// The database is back: it accepts writes again, no acknowledged change is lost, and every client got an answer.
fn assert_recovered(site: &Site, server: &Server, tally: &Tally, facts: &Facts) {
    let asking = Asking::new(tally);
    within_a_second("it writes again", || {
        let token = asking.token(&server.url, ROOT).unwrap();
        asking.about(&server.url, "revoke", &token, ROOT, None)
    });
    facts.check_all(&asking, &server.url);
    site.assert_whole();
    assert_eq!(count(&tally.lost), 0, "whatever happens to the database, a client gets an answer");
}

#[test]
fn op_21_no_acknowledged_change_is_lost_when_postgresql_stops_crashes_or_freezes() {
    let Some(postgres) = Postgres::start() else {
        println!("skipped: there is no PostgreSQL below /usr/lib/postgresql, or no user who may run it");
        return;
    };
    let site = Site::on_postgres(&postgres);
    let server = site.serve();
    let (tally, facts) = (Tally::default(), Facts::default());
    let load = Load::of(&site, &server.url, &tally, &facts);
    load.during(3, || {
        load.until_answered(10);
        for _ in 0..rounds(1, 25) {
            for mode in ["fast", "immediate"] {
                pause();
                postgres.stop(mode);
                pause();
                postgres.start_again();
            }
            pause();
            postgres.freeze();
            std::thread::sleep(Duration::from_secs(2));
            postgres.thaw();
            pause();
        }
    });
    assert_recovered(&site, &server, &tally, &facts);
    tally.print(
        "PostgreSQL stopped, crashed, frozen",
        &format!("; {} acknowledged changes hold", facts.len()),
    );
}

#[test]
fn op_21_no_acknowledged_change_is_lost_when_the_connection_to_postgresql_is_cut_or_stalls() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    let wire = Wire::to(postgres.port());
    let site = Site::on(Some(url_at(wire.port(), &database)));
    let server = site.serve();
    let (tally, facts) = (Tally::default(), Facts::default());
    let load = Load::of(&site, &server.url, &tally, &facts);
    load.during(3, || {
        load.until_answered(10);
        for round in 0..rounds(6, 5) {
            // Too short for a new connection, and long enough for many changes.
            std::thread::sleep(Duration::from_millis(30 + round % 5 * 150));
            wire.set(if round % 3 == 2 { Line::Stalled } else { Line::Cut });
            pause();
            wire.set(Line::Open);
        }
    });
    assert_recovered(&site, &server, &tally, &facts);
    tally.print(
        "the way to PostgreSQL cut and stalled",
        &format!("; {} acknowledged changes hold", facts.len()),
    );
}
