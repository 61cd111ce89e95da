//! A random walk over a real server: requests, exchanges, renewals, revocations, garbage, commands and restarts, each answer held to
//! the laws of delegation and to what is true of every answer.
//!
//! `TOKENBERG_WALK=900` walks for so many seconds, and `TOKENBERG_WALK_SEED` as an earlier walk did; `-- --nocapture` shows what was
//! done. `docs/fuzzing.md` has the commands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "the modules of a test share what they need")]

mod commands;
mod following;
mod identities;
mod mutations;
mod secrecy;
mod server;
#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "it is shared with other tests, which use the rest")]
mod support;
mod wire;

use server::OnServer;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokenberg_testkit::history::{Decision, EVENT_LENGTH, Keys, Player, Tempo};
use tokenberg_testkit::{Event, SeededBytes};

/// The number of events of the short walk, which take some 15 s.
const EVENTS: usize = 1200;
/// The maximum number of events, if [`EXPECTED`] is not reached by then: on a slow machine more tokens expire between two events.
const MOST_EVENTS: usize = 5 * EVENTS;
/// The number of events for which a server and its store are kept, so that neither grows for as long as a walk lasts.
const LIFE: usize = 20_000;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn a_random_walk_finds_no_response_that_violates_the_laws() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let long = variable("TOKENBERG_WALK").map(Duration::from_secs);
    let seed = variable("TOKENBERG_WALK_SEED").unwrap_or_else(|| long.map_or(2, |_| now()));
    println!("TOKENBERG_WALK_SEED={seed}");
    let Some(long) = long else {
        return walk(seed, &|played, player| {
            played >= MOST_EVENTS || played >= EVENTS && missing(player).is_empty()
        });
    };
    let begun = Instant::now();
    for life in 0.. {
        walk(seed.wrapping_add(life), &|played, _| played >= LIFE || begun.elapsed() >= long);
        if begun.elapsed() >= long {
            break;
        }
    }
}

/// The entries of [`EXPECTED`] that the walk has not reached.
fn missing(player: &Player<OnServer>) -> Vec<&'static str> {
    let (reached, sums) = (player.reached(), player.site.sums);
    let counted = [
        ("restart", sums.starts - sums.kills > 1),
        ("kill -9", sums.kills > 0),
        ("mutated request", sums.mutated > 0),
        ("replayed request", sums.replayed > 0),
        ("garbage", sums.garbage > 0),
    ];
    let counted = counted.into_iter().filter(|(_, is)| !is).map(|(what, _)| what);
    EXPECTED.into_iter().filter(|what| !reached.contains_key(*what)).chain(counted).collect()
}

/// The outcomes that a walk has to reach.
const EXPECTED: [&str; 22] = [
    "RFC 7009 revoked a branch: ended a token of it",
    "RFC 7009 revoked a session of the client: ended a token obtained with it",
    "client change",
    "client disable",
    "client remove",
    "granted: a client that is acted for",
    "granted: a foreign actor",
    "granted: a user from an unsecured JWT",
    "granted: a user of an issuer",
    "granted: bound to a certificate",
    "granted: bound to a key",
    "granted: may_act",
    "granted: obtained by a resource server",
    "granted: two actors",
    "issuer disable",
    "issuer remove",
    "key revoke",
    "refused: 6: another party may act in a later exchange, too",
    "revoke --client",
    "revoke --subject",
    "revoke --token-file",
    "subject disable",
];

/// Walks from this seed until it is over.
fn walk(seed: u64, is_over: &dyn Fn(usize, &Player<OnServer>) -> bool) {
    let (keys, mut bytes) = (Keys::default(), SeededBytes::new(seed));
    let site = OnServer::new(seed, &keys);
    let mut player = Player::new(site, keys, Tempo { token: 5, session: 16 }, &seed.to_string(), 50);
    let mut played = 0;
    while !is_over(played, &player) {
        let event = Event::read(&bytes.take::<EVENT_LENGTH>());
        if is_left_out(&event, &mut bytes) {
            continue;
        }
        played += 1;
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| player.play(&event)));
        if let Err(panic) = done {
            println!("TOKENBERG_WALK_SEED={seed}, event {played}: {event:?}\n{:?}", player.site.sums);
            println!("{}", player.site.report());
            std::panic::resume_unwind(panic);
        }
        if bytes.below(20) == 0 {
            player.site.send_garbage();
        }
    }
    let reached = player.reached();
    println!("seed {seed}: {played} events, {:?}, {:?}", player.tally, player.site.sums);
    println!("{reached:#?}");
    // A long walk may end soon after its last server began.
    assert!(played < MOST_EVENTS || missing(&player).is_empty(), "not reached: {:?}", missing(&player));
    player.site.end();
    let verified = player.site.place.run(&["audit", "verify"]);
    assert_eq!(verified.code, 0, "{} {}", verified.out, verified.err);
    secrecy::check(&player.site);
}

/// Commands and pauses take as long as hundreds of requests, so most of them are skipped.
fn is_left_out(event: &Event, chance: &mut SeededBytes) -> bool {
    let one_in = if matches!(event, Event::Pass { .. } | Event::PassTo { .. }) {
        20
    } else if matches!(event, Event::Restart { .. }) {
        6
    } else if matches!(event, Event::Decide(Decision::RotateKey | Decision::RevokeKey { .. })) {
        2
    } else if matches!(event, Event::Decide(_)) {
        8
    } else {
        1
    };
    one_in > 1 && chance.below(one_in) != 0
}
