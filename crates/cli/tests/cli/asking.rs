//! Commands that end something say what is affected, and ask on a terminal; scripts are not asked. No name that is unknown or a
//! pattern is reported as done: conformance TX-37, TX-38 and CA-21.

use crate::support::{Place, within_a_second};

const IDP: &str = "https://idp.example";

/// A store with a client that has obtained a token, an issuer, and a second signing key.
fn place() -> Place {
    let place = Place::new();
    let secret = place.add("c1", &[]);
    let mut server = place.serve(&[]);
    server.ask("c1", &secret).token();
    server.signal("TERM");
    assert!(server.ended().success());
    let jwks = place.file("idp.jwks", &idp_jwks());
    place.run(&["issuer", "add", IDP, "--jwks", &jwks, "--accept", "id_token", "--shared-names"]).done();
    place
}

/// A JWK Set with the key of RFC 8037 A.2.
fn idp_jwks() -> String {
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#.to_owned()
}

/// The identifier of the one signing key.
fn kid(place: &Place) -> String {
    let keys = place.run(&["key", "list", "--json"]).done().json();
    keys[0]["kid"].as_str().unwrap().to_owned()
}

fn secret_id(place: &Place, client: &str) -> String {
    let shown = place.run(&["client", "show", client, "--json"]).done().json();
    shown["secrets"][0]["secret_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_command_that_ends_something_asks_on_a_terminal_and_changes_nothing_unless_confirmed() {
    let place = place();
    let (kid, secret) = (kid(&place), secret_id(&place, "c1"));
    let commands: [(&[&str], &str); 6] = [
        (&["client", "secret", "expire", "c1", &secret[..5]], "last live secret"),
        (&["revoke", "--client", "c1"], "1 token was issued to it since"),
        (&["revoke", "--issuer", IDP], "no token was issued for its users"),
        (&["key", "revoke", &kid[..6]], "1 token was issued with any key"),
        (&["issuer", "remove", IDP], "issuer disable"),
        (&["client", "remove", "c1"], "its live secrets stop working: 1"),
    ];
    let changes = |place: &Place| {
        place.run(&["audit"]).done().out.lines().filter(|line| line.contains("\"change\"")).count()
    };
    for (command, effect) in commands {
        let before = changes(&place);
        for answer in ["n\n", "\n", "yess\n"] {
            let said = place.on_terminal(command, answer);
            assert_eq!(said.code, 1, "{command:?}: {}", said.out);
            assert!(said.out.contains(effect) && said.out.contains("Continue? [y/N]"), "{}", said.out);
            assert!(said.out.contains("nothing was changed"), "{}", said.out);
        }
        let dry = [command, &["--dry-run", "--json"]].concat();
        let said = place.run(&dry).done().json();
        assert!(said["dry_run"] == true && said["effects"].to_string().contains(effect), "{said}");
        assert_eq!(changes(&place), before, "{command:?} changed something");
    }
    // Once with an answer, once with --yes on a terminal, and then as a script does it.
    for (command, more, typed) in [
        (commands[0].0, &[][..], "y\n"),
        (commands[1].0, &["--yes"], ""),
        (commands[2].0, &[], "YES\n"),
        (commands[3].0, &["--yes"], ""),
        (commands[4].0, &[], "yes\n"),
    ] {
        let before = changes(&place);
        let said = place.on_terminal(&[command, more].concat(), typed).done();
        assert_eq!(said.out.contains("Continue?"), more.is_empty(), "{}", said.out);
        assert_eq!(changes(&place), before + 1, "{command:?}");
    }
    let said = place.run(commands[5].0).done();
    assert!(!said.err.contains("Continue?") && said.out.contains("was removed"), "{} {}", said.out, said.err);
}

#[test]
fn a_pattern_is_refused_and_an_unknown_subject_is_reported_as_such() {
    let place = place();
    for pattern in ["*", "team-*", "*@example.com", "spiffe://td.example/*"] {
        for command in [&["revoke", "--subject", pattern][..], &["subject", "disable", pattern]] {
            for issuer in [&[][..], &["--issuer", IDP]] {
                let said = place.run(&[command, issuer].concat());
                assert_eq!((said.code, said.out.as_str()), (2, ""), "{command:?}");
                assert!(said.err.contains("pattern"), "{}", said.err);
            }
        }
    }
    // It is done all the same, since the audit may have lost what would be known.
    for command in [&["revoke", "--subject", "bobb"][..], &["subject", "disable", "bobb"]] {
        for issuer in [&[][..], &["--issuer", IDP]] {
            let said = place.run(&[command, issuer].concat()).done();
            assert!(said.err.contains("warning: bobb") && said.err.contains("is unknown"), "{}", said.err);
        }
    }
    let said = place.run(&["revoke", "--subject", "c1", "--json"]).done();
    assert_eq!((said.json()["issued"]["tokens"].as_u64(), said.err.as_str()), (Some(1), ""));
    place.add("unused", &[]);
    let unused = place.run(&["revoke", "--subject", "unused", "--json"]).done();
    assert!(unused.err.is_empty(), "a registered client is known: {}", unused.err);
}

#[test]
fn ca_21_an_expiry_is_not_postponed_silently_and_the_last_live_secret_is_pointed_out() {
    let place = Place::new();
    place.add("c1", &[]);
    let first = secret_id(&place, "c1");
    let second = place.run(&["client", "secret", "add", "c1", "--json"]).done().json();
    let second = second["secret_id"].as_str().unwrap();
    let expire =
        |secret: &str, at: &str| place.run(&["client", "secret", "expire", "c1", secret, "--at", at]);
    let said = expire(&first, "+15m").done();
    assert!(said.err.is_empty(), "another one is live: {}", said.err);
    let refused = expire(&first, "2126-01-01").refused();
    assert!(refused.err.contains("never postponed") && refused.err.contains("(in 1"), "{}", refused.err);
    expire(&first, "+5m").done();
    // The other one is live only until it ends.
    let said = expire(second, "+1h").done();
    assert!(said.err.contains("warning: this is the last live secret of client c1"), "{}", said.err);
    let said = expire(&second[..4], "now").done();
    assert!(said.err.is_empty(), "the first is live for five minutes: {}", said.err);
    expire(second, "now").done();
    assert!(expire(second, "+1h").refused().err.contains("never postponed"));
    assert!(expire(&first, "1h").err.contains("write `1h ago` or `+1h`"));
    assert!(expire("none", "now").refused().err.contains("has no secret none"));
    // Nothing is ambiguous or meant by too little.
    assert!(expire("", "now").refused().err.contains("too short"));
}

#[test]
fn an_unknown_client_or_issuer_is_compared_with_the_registered_ones() {
    let place = place();
    place.add("spark-etl", &[]);
    for (command, meant) in [
        (&["client", "show", "spark-elt"][..], "did you mean spark-etl?"),
        (&["client", "change", "spark-et", "--token-lifetime", "5m"], "did you mean spark-etl?"),
        (&["revoke", "--client", "sparketl"], "did you mean spark-etl?"),
        (&["issuer", "show", "https://idp.example/"], "did you mean https://idp.example?"),
        (&["issuer", "remove", "https://idp.exampl"], "did you mean https://idp.example?"),
    ] {
        let said = place.run(command).refused();
        assert!(said.err.contains(meant), "{command:?}: {}", said.err);
    }
    assert!(!place.run(&["client", "show", "zzz"]).refused().err.contains("did you mean"));
    within_a_second("nothing was changed", || place.run(&["client", "show", "spark-etl"]).code == 0);
}
