//! The help texts of the command, and its exit codes and messages for wrong usage.

use crate::support::Place;

#[test]
fn wrong_flags_exit_with_2_and_a_suggestion() {
    let place = Place::new();
    for (arguments, tip) in [
        (&["serve", "--listn", "x"][..], "'--listen'"),
        (&["client", "add", "x", "--token-lifetme", "1h"], "'--token-lifetime'"),
        (&["client", "ad", "x"], "'add'"),
        (&["verfy"], "'verify'"),
        (&["key", "rotate", "--alg", "HS256"], "ES256"),
        (&["revoke"], "--token-file"),
        (&["revoke", "--client", "a", "--subject", "b"], "--subject"),
        (&["revoke", "--token-file", "-", "--issuer", "https://a.example"], "--issuer"),
        (&["revoke", "--token-file", "-", "--before", "now"], "--before"),
        (&["revoke", "--client", "a", "--before", "soon"], "2026-11-21T21:58:00Z"),
        (&["client", "add", "x", "--grant", "password"], "client_credentials"),
    ] {
        let said = place.run(arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}");
        assert!(said.err.contains(tip), "{arguments:?}: {}", said.err);
    }
    let said = place.run(&["client", "add", "x", "--secret", "hush-hush"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("a similar argument exists: '--secret-file'"), "{}", said.err);
    assert!(!said.err.contains("hush-hush"));
}

#[test]
fn unsupported_arguments_are_wrong_usage_and_not_in_the_help() {
    let place = Place::new();
    let help = ["--help", "client --help", "client add --help", "key --help", "serve --help"]
        .map(|line| place.run(&line.split(' ').collect::<Vec<_>>()).done().out)
        .concat();
    assert!(!help.contains("\n  update"));
    for arguments in [
        &["audit", "--since", "yesterday"][..],
        &["audit", "--follow", "verify"],
        &["client", "list", "--store", "postgres://u:hush@h/d"],
        &["inspect", "--store", "sqlite:x"],
        &["serve", "--json"],
    ] {
        let said = place.run(arguments);
        assert_eq!(said.code, 2, "{arguments:?}");
        assert!(!said.err.contains("hush"), "{}", said.err);
    }
    assert_eq!(std::fs::read_dir(place.path("")).unwrap().count(), 0, "wrong usage left something behind");
}

#[test]
fn help_and_version_go_to_standard_output() {
    let place = Place::new();
    let said = place.run(&["-V"]).done();
    assert_eq!(said.out.trim(), format!("tokenberg {}", env!("CARGO_PKG_VERSION")));
    let help = place.run(&["client", "add", "--help"]).done();
    assert!(help.out.contains("Examples:") && help.out.contains("--secret-file") && help.err.is_empty());
    assert_eq!(place.run(&[]).code, 2);
}

#[test]
fn contradictory_options_are_wrong_usage() {
    let place = Place::new();
    for more in [
        &["--default-scope", "a b", "--scope", "a"][..],
        &["--default-scope", ""],
        &["--token-lifetime", "8d"],
        &["--token-lifetime", "0s"],
        &["--token-lifetime", "1"],
        &["--session-lifetime", "31d"],
        &["--may-act-for", "no-bar"],
        &["--audience", ""],
        &["--scope", "a\"b"],
    ] {
        let said = place.run(&[&["client", "add", "x"], more].concat());
        assert_eq!(said.code, 2, "{more:?} {}", said.err);
    }
    assert_eq!(place.run(&["client", "add", "root:hush"]).code, 2);
    assert_eq!(place.run(&["client", "add", "é"]).code, 2);
    let both = [("TOKENBERG_KEY", "0"), ("TOKENBERG_KEY_FILE", "x")];
    assert_eq!(place.run_with(&["client", "list"], "", &both).code, 2);
}

#[test]
fn ic_03_a_short_token_lifetime_is_warned_of() {
    let place = Place::new();
    let said = place.run(&["client", "add", "x", "--json", "--token-lifetime", "59s"]).done();
    assert!(said.err.contains("warning: ") && said.err.contains("59s"), "{}", said.err);
    assert!(said.json()["client_secret"].is_string());
    let said = place.run(&["client", "add", "y", "--token-lifetime", "60s"]).done();
    assert!(!said.err.contains("warning"), "{}", said.err);
}

#[test]
fn wl_04_a_pattern_of_spiffe_ids_cannot_be_disabled_or_revoked() {
    let place = Place::new();
    place.run(&["client", "add", "c1", "--scope", "catalog"]).done();
    let pattern = "spiffe://td.test/jobs/*";
    for command in [&["subject", "disable", pattern][..], &["revoke", "--subject", pattern]] {
        let said = place.run(&[command, &["--issuer", "spiffe://td.test"]].concat());
        assert_eq!(said.code, 2, "{command:?} {}", said.err);
        assert!(said.err.contains("is a pattern"), "{command:?} {}", said.err);
    }
}

#[test]
fn wl_12_replacing_a_federation_notes_lost_settings_and_tokens_that_stay_valid() {
    let place = Place::new();
    let issuer = "https://k8s.example";
    place.run(&["client", "add", "etl", "--auth-method", "federated"]).done();
    place.run(&["issuer", "add", issuer, "--discover", "--no-fetch"]).done();
    let federate = |more: &[&str]| {
        let line = ["client", "federate", "etl", "--issuer", issuer, "--subject", "account"];
        place.run(&[&line, more].concat()).done().err
    };
    let revoke = "`tokenberg revoke --subject account --issuer https://k8s.example` revokes them";
    assert_eq!(federate(&["--uid", "1", "--audience", "lake"]), "");
    assert_eq!(federate(&["--uid", "1", "--audience", "lake"]), "");
    let other = federate(&["--uid", "2", "--audience", "lake"]);
    assert!(other.contains(revoke) && !other.contains("is not set any more"), "{other}");
    let none = federate(&[]);
    for part in [revoke, "--uid was 2 and is not set any more", "--audience was lake and is not set any more"]
    {
        assert!(none.contains(part), "{part}: {none}");
    }
}
