//! Checks that random histories reach what the laws of delegation are about: a law that is never tried always holds.
//!
//! `TOKENBERG_HISTORIES=10000` plays so many, each of 200 events, and `TOKENBERG_HISTORIES_SEED` others; `-- --nocapture` prints
//! what they reached.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::collections::BTreeMap;
use tokenberg_testkit::history::{Acting, Choice, Decision, EVENT_LENGTH, Event, User};
use tokenberg_testkit::laws::Bound;
use tokenberg_testkit::{History, SeededBytes};

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn histories_reach_every_case_of_the_laws() {
    let mut bytes = SeededBytes::new(variable("TOKENBERG_HISTORIES_SEED").unwrap_or(10));
    let (histories, events) = variable("TOKENBERG_HISTORIES").map_or((100, 60), |histories| (histories, 200));
    let mut reached: BTreeMap<String, usize> = BTreeMap::new();
    for played in 0..MOST * histories {
        if played >= histories && missing(&reached).is_empty() {
            break;
        }
        let mut note = |what: &str, times: usize| *reached.entry(what.to_owned()).or_default() += times;
        let mut history = History::new();
        for _ in 0..events {
            let event: [u8; EVENT_LENGTH] = bytes.take();
            history.play(&Event::read(&event));
        }
        let player = history.player();
        player.reached().iter().for_each(|(what, times)| note(what, *times));
        for token in &player.model.tokens {
            if let Some(why) = player.model.ended(token) {
                note(&format!("ended: {why}"), 1);
            }
        }
    }
    println!("{reached:#?}");
    assert!(missing(&reached).is_empty(), "no history reached: {:#?}", missing(&reached));
}

#[test]
fn tx_37_a_later_prefix_ends_no_session_although_the_prefixed_name_is_that_of_a_disabled_subject() {
    let mut history = History::new();
    let prefix = |has_prefix| {
        Event::Decide(Decision::Issuer {
            issuer: 1,
            has_prefix,
            of_other: false,
            shared: false,
            outlives: true,
            is_narrow: false,
            names_subjects: true,
        })
    };
    let alice = User { issuer: 1, name: 0, end: 15, may_act: 15, bound: Bound::default() };
    let begun = Event::User {
        user: alice,
        by: 5,
        actor: Acting::NoOne,
        scope: 0,
        choice: Choice::Granted,
        fits: true,
        is_grant: false,
    };
    // The fifth user is named `q:alice`; realm numbers from the third on are those of the issuers.
    let disabled = Event::Decide(Decision::Subject { user: 4, whose: 3, disabled: true });
    for event in [prefix(false), begun, disabled, prefix(true)] {
        history.play(&event);
    }
    let model = &history.player().model;
    let token = model.tokens.last().unwrap();
    assert_eq!((&*token.principal.name, &*token.sub, model.ended(token)), ("alice", "alice", None));
    let disabled: Vec<&str> = model.register.disabled().map(|subject| subject.name.as_str()).collect();
    assert_eq!(disabled, ["q:alice"]);
}

/// How many times as many histories are played if something was not reached.
const MOST: u64 = 4;

fn missing(reached: &BTreeMap<String, usize>) -> Vec<&'static str> {
    let is_reached = |what: &&str| what.split(" | ").any(|what| reached.contains_key(what));
    EXPECTED.into_iter().filter(|what| !is_reached(what)).collect()
}

/// What has to be reached; alternatives are separated by "|".
const EXPECTED: [&str; 106] = [
    "granted: a user from an unsecured JWT",
    "granted: a user of an issuer",
    "granted: a user whose issuer has a prefix",
    "granted: a client that is acted for",
    "granted: an impersonated principal",
    "granted: two actors",
    "granted: three actors",
    "granted: a foreign actor",
    "granted: may_act",
    "granted: bound to a key",
    "granted: bound to a certificate",
    "granted: bound to both",
    "granted: obtained by a resource server",
    "granted: passed on",
    "granted: renewed with an actor",
    "granted: obtained with three",
    "granted: obtained as a foreign identity",
    "client federate",
    "client change",
    "client remove",
    "clock set back",
    "granted after the clock was set back",
    "client disable ended a token by its client",
    "client remove ended a token by its client",
    "revoke --client ended a token by its client",
    "client disable ended a token by its subject",
    "client remove ended a token by its subject",
    "revoke --client ended a token by its subject",
    "client disable ended a token by its actor",
    "client remove ended a token by its actor",
    "revoke --client ended a token by its actor",
    "client disable ended a token by its origin | client remove ended a token by its origin",
    "issuer disable ended a token by its subject",
    "issuer remove ended a token by its subject",
    "issuer disable ended a token by its foreign actor",
    "issuer remove ended a token by its foreign actor",
    "subject disable ended a token by its subject",
    "revoke --subject ended a token by its subject",
    "subject disable ended a token by its foreign actor | revoke --subject ended a token by its foreign actor",
    "subject disable ended a token by its identity",
    "revoke --subject ended a token by its identity",
    "issuer disable ended a token by its identity",
    "issuer remove ended a token by its identity",
    "client federate --remove ended a token by its identity",
    "revoke --issuer ended a token by its identity",
    "revoke --issuer ended a token by its subject",
    "revoke --token-file ended a token by its session",
    "revoke --token-file ended a token by its origin",
    "RFC 7009 revoked a session of the client: ended a token of it",
    "RFC 7009 revoked a session of the client: ended a token obtained with it",
    "RFC 7009 revoked a session for another principal: ended a token of it",
    "RFC 7009 revoked a session for another principal: ended a token obtained with it",
    "RFC 7009 revoked a branch: ended a token of it",
    "RFC 7009 revoked a branch: ended a token obtained with it",
    "ended: 8: an actor is disabled or removed",
    "ended: 8: its client or its subject is disabled or removed",
    "ended: 8: its session was revoked",
    "ended: 8: an identity no longer stands for its client",
    "ended: 8: earlier tokens of one of its parties were revoked",
    "ended: 8: a token that it was obtained with was revoked",
    "ended: 8: the tokens of its client in the session were revoked",
    "ended: 8: earlier tokens of its client or its subject were revoked",
    "ended: CC-17: it is the name of another principal now",
    "ended: CC-17: its issuer has another prefix now",
    "ended: the key that signed it was revoked",
    "refused: 10: expired, and its client is not its subject or actor, or it is too late",
    "refused: 10: expired, and not renewed by the credential of its client",
    "refused: 10: an expired token cannot be renewed with another actor",
    "refused: 1: the scope exceeds a ceiling",
    "refused: 2: its client may no longer request any of its audiences",
    "refused: 2: the audience exceeds a ceiling",
    "refused: 3: the session has ended",
    "refused: 6: another party may act",
    "refused: 6: another party may act in a later exchange, too",
    "refused: 6: the client may not act for the foreign actor",
    "refused: 7: the Bearer is bound",
    "refused: 7: the actor token is bound",
    "refused: 7: the foreign token is bound",
    "refused: 7: the subject token is bound",
    "refused: 8: an actor is disabled or removed",
    "refused: 8: an identity no longer stands for its client",
    "refused: 8: the assertion was issued before a revocation",
    "refused: 8: its session was revoked",
    "refused: 8: the foreign token was issued before a revocation",
    "refused: 8: earlier tokens of one of its parties were revoked",
    "refused: 8: a token that it was obtained with was revoked",
    "refused: 8: the tokens of its client in the session were revoked",
    "refused: 9: subjects of its issuer are no longer accepted",
    "refused: 9: the client has no right to it",
    "refused: CC-17: it is the name of another principal",
    "refused: CC-17: it is the name of another principal now",
    "refused: DP-13: the client has to send a DPoP proof",
    "refused: GB-06: the assertion lives too long",
    "refused: TX-25: the client may not use the grant",
    "refused: TX-37: the identity of the client is disabled",
    "refused: TX-37: the subject or its issuer is disabled",
    "refused: TX-37: the user is disabled",
    "refused: TX-58, TX-61: the actor token is not the client's own",
    "refused: TX-61: no own token of the client is the actor_token",
    "refused: it has expired",
    "refused: it is not valid yet",
    "refused: the client is not authenticated",
    "refused: the foreign token has expired, or is not valid yet",
    "refused: the issuer is not trusted",
    "refused: tokens of the issuer are accepted as identities of clients only",
    "refused: the key that signed it was revoked",
];

#[test]
fn tx_38_a_user_from_an_unsecured_jwt_begins_no_session_before_the_users_revocation() {
    let mut history = History::new();
    let named =
        Event::Name { user: 3, by: 0, actor: Acting::Own, scope: 0, choice: Choice::Granted, fits: true };
    let revoked = Event::Decide(Decision::RevokeSubject { user: 161, whose: 0, ago: 0 });
    for event in [named.clone(), revoked, Event::StepBack { seconds: 1 }, named] {
        history.play(&event);
    }
}
