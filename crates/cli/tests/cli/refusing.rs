//! What a person meets who mistypes a name, an address or an option: the mistake is refused or named, with --dry-run as without.

use crate::support::*;

/// A secret of the form of those that are generated.
const SECRET: &str = "0123456789abcdefghijABCDEFGHIJ0123456789xyz";

#[test]
fn a_dry_run_refuses_unknown_names_as_the_command_does() {
    let place = Place::new();
    place.add("spark", &[]);
    let before = place.run(&["audit"]).done().out;
    for (command, reason) in [
        (&["client", "secret", "expire", "spark", "ffffffff"][..], "has no secret ffffffff"),
        (&["client", "secret", "expire", "spark", "zz"], "at least 4 characters"),
        (&["client", "secret", "expire", "spork", "ffffffff"], "did you mean spark?"),
        (&["client", "remove", "spork"], "did you mean spark?"),
        (&["issuer", "remove", "https://idp.example"], "is not trusted"),
        (&["key", "revoke", "ffffffff"], "there is no key ffffffff"),
        (&["key", "revoke", "5xM"], "at least 4 characters"),
        (&["revoke", "--client", "spork"], "did you mean spark?"),
        (&["revoke", "--issuer", "https://idp.example"], "is not trusted"),
    ] {
        let said = place.run(command).refused();
        assert!(said.err.contains(reason), "{command:?}: {}", said.err);
        let dry = place.run(&[command, &["--dry-run"]].concat());
        assert_eq!((dry.code, &*dry.out, &dry.err), (said.code, "", &said.err), "{command:?}");
    }
    let short = place.run(&["key", "show", "5xM"]).refused();
    assert!(short.err.contains("at least 4 characters"), "{}", short.err);
    assert_eq!(place.run(&["audit"]).done().out, before);
}

#[test]
fn the_servers_own_issuer_is_known_and_the_right_option_is_named() {
    let place = Place::new();
    let own = "https://tokens.example";
    drop(place.serve(&["--issuer", own]));
    place.run(&["issuer", "add", "https://tokens.exampl", "--discover", "--audience", "a"]).done();
    let said = place.run(&["revoke", "--issuer", own]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("the server's own issuer") && said.err.contains("--client"), "{}", said.err);
    place.run(&["revoke", "--subject", "root", "--issuer", own]).done();
}

#[test]
fn a_wrong_address_for_operations_is_repeated_as_it_should_be() {
    let place = Place::new();
    let server = place.serve(&[]);
    for command in [&["ready"][..], &["ui", "--at"]] {
        let said = place.run(&[command, &["127.0.0.1:8184"]].concat());
        assert_eq!(said.code, 2, "{command:?}");
        assert!(said.err.contains("expected http://127.0.0.1:8184"), "{}", said.err);
    }
    // Port 9 (discard) is closed; the listener for clients is not the one for operations.
    for (address, warned) in
        [("http://127.0.0.1:9", "where no server listens"), (&server.url, "is no listener")]
    {
        let said = place.run(&["ui", "--at", address]).done();
        assert!(said.err.contains("warning: ") && said.err.contains(warned), "{}", said.err);
        assert!(said.out.starts_with(address), "{}", said.out);
    }
}

#[test]
fn a_credential_whose_id_differs_from_the_variable_is_refused_by_name() {
    let place = Place::new();
    let first = format!("root:{SECRET}");
    let server = place.serve_with(&[], &[("TOKENBERG_BOOTSTRAP_CREDENTIAL", &first)]);
    let file = place.file("root.credential", &first);
    let ask = ["token", "--server", &server.url, "--secret-file", &file];
    place.run_with(&ask, "", &[("TOKENBERG_CLIENT_ID", "root")]).done();
    let said = place.run_with(&ask, "", &[("TOKENBERG_CLIENT_ID", "other")]);
    assert_eq!(said.code, 2, "{}", said.err);
    assert!(said.err.contains("TOKENBERG_CLIENT_ID") && !said.err.contains(SECRET), "{}", said.err);
    // A refusal names the request, whatever its status.
    let wrong = place.file("wrong", "a-wrong-secret-of-root");
    let said = place
        .run(&["token", "--server", &server.url, "--client-id", "root", "--secret-file", &wrong])
        .refused();
    let id = said.err.rsplit_once("(request ").unwrap().1.split_once(')').unwrap().0;
    within_a_second("it is recorded", || place.run(&["audit", "--request", id]).done().out.contains(id));
}

#[test]
fn a_weak_or_unused_first_credential_causes_a_warning() {
    let variable = "TOKENBERG_BOOTSTRAP_CREDENTIAL";
    let place = Place::new();
    let said = place.run_with(&["init"], "", &[(variable, "root:weakling")]).done();
    assert!(
        said.err.contains("warning: ") && said.err.contains("short enough to be guessed"),
        "{}",
        said.err
    );
    let said = place.run_with(&["init"], "", &[(variable, "root:weakling")]).done();
    assert!(said.err.contains("is not used, because the store exists"), "{}", said.err);
    let server = place.serve_with(&[], &[(variable, "root:weakling")]);
    assert!(server.log().contains("is not used, because the store exists"), "{}", server.log());
    let other = Place::new();
    let server = other.serve_with(&[], &[(variable, "root:weakling")]);
    assert!(server.log().contains("short enough to be guessed"), "{}", server.log());
}

#[test]
fn a_difference_is_an_exit_code_on_request_and_a_plan_has_one_marker() {
    let place = Place::new();
    place.add("spark", &[]);
    let same = place.file("same.toml", &place.run(&["export"]).done().out);
    let more = place.file("more.toml", "[clients.new]\nscope = \"catalog\"\n");
    assert_eq!(place.run(&["diff", &same, "--exit-code"]).code, 0);
    assert_eq!(place.run(&["diff", &more]).code, 0);
    let said = place.run(&["diff", &more, "--exit-code"]);
    assert!(said.code == 1 && said.err.is_empty() && said.out.contains("+ client new"), "{}", said.err);
    let dry = place.run(&["apply", &more, "--dry-run"]).done().out;
    assert!(dry.contains("\n  + client new"), "{dry}");
}

#[test]
fn a_user_who_is_not_disabled_is_enabled_without_a_record() {
    let place = Place::new();
    place.add("spark", &[]);
    let before = place.run(&["audit"]).done().out;
    let said = place.run(&["subject", "enable", "alice"]).done();
    assert!(said.err.contains("was not disabled, so nothing was changed"), "{}", said.err);
    assert_eq!(place.run(&["audit"]).done().out, before);
}

#[test]
fn exec_answers_as_shells_do_when_the_command_cannot_be_run() {
    let place = Place::new();
    let first = format!("root:{SECRET}");
    let server = place.serve_with(&[], &[("TOKENBERG_BOOTSTRAP_CREDENTIAL", &first)]);
    let file = place.file("root.credential", &first);
    let ask = ["exec", "--server", &server.url, "--secret-file", &file, "--no-cache"];
    for (more, code) in [
        (&["--", "true"][..], 0),
        (&["--", "no-such-command-at-all"], 127),
        (&["--", file.as_str()], 126),
        (&["--env", "PATH", "--", "true"], 2),
    ] {
        let said = place.run(&[&ask[..], more].concat());
        assert_eq!(said.code, code, "{more:?}: {}", said.err);
    }
}

#[test]
fn explain_repeats_the_name_that_the_operator_gave() {
    let place = Place::new();
    place.add("spark", &[]);
    let said = place.run(&["explain", "--client", "nonesuch"]);
    assert!(said.code == 1 && said.out.contains("nonesuch") && !said.out.contains('…'), "{}", said.out);
}
