//! A prefix belongs to one issuer: no other issuer gets it, or keeps a name with it afterwards. Conformance CC-17, by the real binary.

use crate::namesakes::{World, payload};
use crate::naming::{A, B, add, commands, noted, paste, place, rewrite};
use crate::support::{Said, within_a_second};
use serde_json::{Value, json};

#[test]
fn cc_17_a_prefix_that_overlaps_with_that_of_another_issuer_is_refused_with_solutions() {
    let (place, _) = place();
    add(&place, A, &["--subject-prefix", "okta:"]).done();
    add(&place, B, &["--subject-prefix", "b:"]).done();
    let prefix_of = |issuer: &str| {
        let shown = place.run(&["issuer", "show", issuer, "--json"]);
        if shown.code == 0 { shown.json()["subject_prefix"].clone() } else { Value::Null }
    };
    let kinds: [&dyn Fn(&str) -> Said; 3] = [
        &|prefix| add(&place, "https://c.example", &["--subject-prefix", prefix]),
        &|prefix| add(&place, B, &["--subject-prefix", prefix, "--replace"]),
        &|prefix| place.run(&["issuer", "change", B, "--subject-prefix", prefix]),
    ];
    // The issuer that has the prefix: with users, without any use, disabled.
    let states = [
        &["issuer", "change", A, "--leeway", "1m"][..],
        &["issuer", "change", A, "--clear", "accept"],
        &["issuer", "disable", A],
    ];
    for state in states {
        place.run(state).done();
        for prefix in ["okta:", "okta", "okta:x", "o"] {
            for (kind, attempt) in kinds.iter().enumerate() {
                let said = attempt(prefix).refused();
                for part in [
                    "Nothing was changed",
                    &format!("{prefix:?} overlaps with \"okta:\", the prefix of users of {A}"),
                    "such as --subject-prefix=",
                    "`tokenberg issuer change https://a.example --clear subject_prefix`",
                ] {
                    assert!(said.err.contains(part), "{state:?} {prefix} {kind} {part}: {}", said.err);
                }
                assert_eq!((prefix_of("https://c.example"), prefix_of(B)), (Value::Null, json!("b:")));
            }
        }
    }
    // Other changes of an issuer whose prefix stays do not affect other issuers.
    place.run(&["issuer", "change", A, "--subject-prefix", "okta:", "--accept", "id_token"]).done();
    place.run(&["issuer", "change", A, "--subject-prefix", "okta:x"]).done();
    // The solutions: another prefix, or that the other issuer gives it up.
    let said = kinds[0]("okta:").refused();
    let given = said.err.split("such as ").nth(1).unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(given, "--subject-prefix=c.example:");
    add(&place, "https://c.example", &[&given]).done();
    let gives_up = commands(&said.err).remove(0);
    paste(&place, &gives_up);
    add(&place, B, &["--subject-prefix", "okta:", "--replace"]).done();
}

#[test]
fn cc_17_overlapping_prefixes_of_an_earlier_version_are_warned_of_until_they_are_separated() {
    for (prefix, parts) in [
        ("p:", &["have the same prefix \"p:\"", "users of both receive no token"][..]),
        (
            "p:x",
            &[
                "the prefix \"p:x\" of https://b.example begins with \"p:\", the prefix of https://a.example",
                "users of https://b.example receive no token",
                "a user of https://a.example whose name begins with \"x\"",
            ],
        ),
    ] {
        let (place, _) = place();
        add(&place, A, &["--subject-prefix", "p:"]).done();
        add(&place, B, &["--subject-prefix", "b:"]).done();
        if !rewrite(&place, B, &format!("json_set(trust, '$.subject_prefix', '{prefix}')")) {
            return;
        }
        let notes = noted(&place);
        assert_eq!(notes.len(), 1, "{notes:#?}");
        let server = place.serve(&[]);
        for part in parts {
            assert!(notes[0].contains(part), "{part}: {}", notes[0]);
            assert!(server.log().contains(part), "{part}: {}", server.log());
        }
        // Another change of such an issuer is possible.
        let changed = place.run(&["issuer", "change", B, "--leeway", "1m"]).done();
        assert!(!changed.err.contains("warning"), "{}", changed.err);
        place.run(&["issuer", "disable", A]).done();
        assert_eq!(noted(&place).len(), 1, "the prefix is reserved while the issuer is disabled");
        place.run(&["issuer", "disable", B]).done();
        assert_eq!(noted(&place), [""; 0], "neither has users");
        place.run(&["issuer", "enable", B]).done();
        paste(&place, &commands(&notes[0]).remove(0));
        assert_eq!(noted(&place), [""; 0]);
    }
}

/// How an issuer gives up its prefix, and whether the session is valid again when it has the prefix back.
type GivesUp = (&'static [&'static str], bool);

#[test]
fn cc_17_two_principals_never_have_live_tokens_of_one_sub_however_a_prefix_moves() {
    let ways: [GivesUp; 3] = [
        (&["issuer", "change", A, "--subject-prefix", "entra:"], true),
        (&["issuer", "change", A, "--clear", "subject_prefix"], true),
        (&["issuer", "remove", A], false),
    ];
    for (gives_up, comes_back) in ways {
        let world = World::new();
        let run = |line: &[&str]| world.place.run(line);
        // Without leeway, tokens that a re-registered issuer signs after its removal count as later immediately.
        let takes = |issuer: &str| {
            add(&world.place, issuer, &["--subject-prefix", "okta:", "--replace", "--leeway", "0s"])
        };
        let sub = |token: &str| payload(token)["sub"].clone();
        let signed_in = |issuer: &str| {
            let mut token = String::new();
            within_a_second("the prefix is there", || {
                let answer = world.signed_in(issuer, "alice");
                let is_named = answer.status == 200 && sub(&answer.token()) == "okta:alice";
                if is_named {
                    token = answer.token();
                }
                is_named
            });
            token
        };
        let firsts = signed_in(A);
        let renewed = world.server.renew(&firsts).token();
        let ended = |what: &str, tokens: &[&str]| {
            let is_active = |token: &&&str| world.introspected(token)["active"] == true;
            within_a_second(what, || tokens.iter().filter(is_active).count() == 0);
            tokens.iter().for_each(|token| assert!(!world.lives(token), "{gives_up:?}: {what}"));
        };
        takes(B).refused();
        run(&["issuer", "disable", A]).done();
        takes(B).refused();
        run(&["issuer", "enable", A]).done();
        within_a_second("it is enabled", || world.introspected(&firsts)["active"] == true);
        let said = run(gives_up).done();
        for part in [
            "sessions that began with the prefix \"okta:\" have ended",
            "do not give this prefix to another issuer",
        ] {
            assert!(said.err.contains(part), "{gives_up:?}: {}", said.err);
        }
        ended("the prefix is given up", &[&firsts, &renewed]);
        takes(B).done();
        let seconds = signed_in(B);
        assert!(world.lives(&seconds));
        ended("another issuer has the prefix", &[&firsts, &renewed]);
        run(&["issuer", "change", B, "--subject-prefix", "b:"]).done();
        ended("no issuer has the prefix", &[&firsts, &renewed, &seconds]);
        takes(A).done();
        let again = signed_in(A);
        assert_eq!([&again, &firsts].map(|token| world.lives(token)), [true, comes_back], "{gives_up:?}");
        ended("the first issuer has the prefix", &[&seconds]);
    }
}

#[test]
fn tx_38_a_revocation_for_an_unknown_issuer_is_refused_with_the_most_similar_issuer() {
    let world = World::new();
    let ours = world.server.url.clone();
    let token = world.signed_in(A, "alice").token();
    let configured = world.place.file("own.toml", &format!("issuer = \"{ours}\"\n"));
    let revoke = |issuer: &str, more: &[&str], variable: &str| {
        let line = [&["revoke", "--subject", "alice", "--issuer", issuer], more].concat();
        world.place.run_with(&line, "", &[("TOKENBERG_ISSUER", variable)])
    };
    let with_file: &[&str] = &["--config", &configured];
    for (issuer, more, variable, meant, own) in [
        ("https://a.example/", &[][..], "", A, "the server's own issuer is http"),
        ("https://A.example", &[], "", A, "the server's own issuer is http"),
        ("https://a.exmple", &[], &*ours, A, "the server's own issuer is http"),
        ("https://b.example/", with_file, "", B, "the server's own issuer is http"),
        (&*format!("{ours}/"), &[], &*ours, &*ours, "the server's own issuer is http"),
    ] {
        let said = revoke(issuer, more, variable).refused();
        let command =
            format!("if you meant {meant}, use `tokenberg revoke --subject alice --issuer {meant}`");
        for part in ["Nothing was revoked", own, &*format!("the issuer {issuer} is not trusted")] {
            assert!(said.err.contains(part), "{issuer} {part}: {}", said.err);
        }
        assert!(said.err.contains(&command), "{issuer}: {}", said.err);
    }
    assert!(world.lives(&token));
    // The store knows it, too.
    for (more, variable) in [(&[][..], &*ours), (with_file, ""), (&[], "")] {
        revoke(&ours, more, variable).done();
    }
    // The advice is the intended command.
    let advice = commands(&revoke("https://a.example/", &[], "").refused().err);
    paste(&world.place, advice.iter().find(|command| command.starts_with("tokenberg revoke")).unwrap());
    within_a_second("it is revoked", || world.introspected(&token)["active"] != true);
    world.place.run(&["issuer", "remove", A]).done();
    let said = revoke(A, &[], "").done();
    assert!(said.err.contains("https://a.example was removed, which revoked all"), "{}", said.err);
}

#[test]
fn tx_38_cc_17_a_revocation_lists_the_principals_that_it_applies_to() {
    let world = World::new();
    let said = |line: &str| {
        let line: Vec<&str> = line.split(' ').collect();
        let text = world.place.run(&line).done().out;
        let text =
            text.strip_prefix("the tokens for ").unwrap().split(" from before").next().unwrap().to_owned();
        let reached = world.place.run(&[&line[..], &["--json"]].concat()).done().json()["reached"].clone();
        (text, reached)
    };
    let of_a = |sub: &str| json!({"sub": sub, "issuer": A});
    for (line, text, reached) in [
        (
            "revoke --subject alice --issuer https://a.example",
            "alice of https://a.example (okta:alice in catalogs)",
            json!([of_a("alice")]),
        ),
        (
            "revoke --subject okta:alice --issuer https://a.example",
            "okta:alice of https://a.example (okta:okta:alice in catalogs) and for alice of https://a.example (okta:alice in catalogs)",
            json!([of_a("okta:alice"), of_a("alice")]),
        ),
        (
            "revoke --subject okta:alice",
            "okta:alice of any issuer and for alice of https://a.example (okta:alice in catalogs)",
            json!([{"sub": "okta:alice", "issuer": null}, of_a("alice")]),
        ),
        (
            "revoke --subject alice --issuer https://b.example",
            "alice of https://b.example",
            json!([{"sub": "alice", "issuer": B}]),
        ),
    ] {
        assert_eq!(said(line), (text.to_owned(), reached), "{line}");
    }
    // A prefix that the issuer has given up is ignored: the name means the issuer's user of that name.
    world.place.run(&["issuer", "change", A, "--subject-prefix", "entra:"]).done();
    let (text, reached) = said("revoke --subject okta:alice --issuer https://a.example");
    assert_eq!(text, "okta:alice of https://a.example (entra:okta:alice in catalogs)");
    assert_eq!(reached, json!([of_a("okta:alice")]));
}

#[test]
fn cc_17_explain_reports_that_the_prefix_of_a_session_is_no_longer_that_of_the_issuer() {
    let world = World::new();
    let token = world.signed_in(A, "alice").token();
    world.place.run(&["issuer", "change", A, "--subject-prefix", "entra:"]).done();
    let explained = world.explained(&token);
    for part in [
        "users of https://a.example no longer have the prefix that its subject \"okta:alice\" has",
        "the user has to sign in again",
    ] {
        assert!(explained.contains(part), "{part}: {explained}");
    }
}
