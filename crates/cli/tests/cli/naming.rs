//! Equal names of two principals are found before catalogs confuse them: conformance CC-17, by the real binary.

use crate::support::{Place, Said, within_a_second};
use serde_json::{Value, json};
use std::process::Command;
use tokenberg_testkit::ForeignKey;

pub const A: &str = "https://a.example";
pub const B: &str = "https://b.example";

/// A place with the keys of issuers in `idp.json`.
pub fn place() -> (Place, ForeignKey) {
    let (place, key) = (Place::new(), ForeignKey::new(Some("p1")));
    place.file("idp.json", &key.jwks());
    (place, key)
}

/// Adds an issuer of ID tokens.
pub fn add(place: &Place, issuer: &str, more: &[&str]) -> Said {
    let line = ["issuer", "add", issuer, "--jwks", "idp.json", "--accept", "id_token", "--outlives-subject"];
    place.run(&[&line[..], more].concat())
}

/// The `tokenberg` commands in the text, in backticks.
pub fn commands(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|quoted| quoted.starts_with("tokenberg ")).map(str::to_owned).collect()
}

/// Runs a command as it was printed, by a shell.
pub fn paste(place: &Place, command: &str) -> Said {
    let bare = place.command();
    let mut shell = Command::new("sh");
    shell.args(["-c", &command.replacen("tokenberg", "\"$TOKENBERG\"", 1)]);
    shell.env_clear().env("TOKENBERG", bare.get_program()).current_dir(bare.get_current_dir().unwrap());
    let output = shell.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
        .done()
}

/// Turns the issuer into one that an earlier version registered; `false` where there is no sqlite3.
pub fn make_undecided(place: &Place, issuer: &str) -> bool {
    rewrite(place, issuer, "json_remove(trust, '$.subject_names', '$.subject_prefix')")
}

/// Writes the trust settings of an issuer, as another version does; `false` where there is no sqlite3.
pub fn rewrite(place: &Place, issuer: &str, trust: &str) -> bool {
    let statement = format!(
        "UPDATE issuers SET trust = {trust} WHERE issuer = '{issuer}'; \
         UPDATE revisions SET number = number + 1 WHERE part = 'issuers'"
    );
    place.sql(&statement)
}

/// The notes of `check` about names.
pub fn noted(place: &Place) -> Vec<String> {
    let findings = place.run(&["check", "--listen", "127.0.0.1:0", "--json"]).done().json();
    let findings = findings["findings"].as_array().unwrap().clone();
    let of_names = findings.iter().filter(|finding| finding["about"] == "names");
    of_names.map(|finding| finding["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn cc_17_a_prefix_or_shared_names_are_registered_shown_and_exclude_each_other() {
    let (place, _) = place();
    for (issuer, more, names, shown) in [
        (A, &["--subject-prefix", "okta:"][..], json!(["okta:", "separate"]), "okta:…"),
        (B, &["--shared-names"], json!([null, "shared"]), "shared"),
        ("https://c.example", &[], json!([null, "separate"]), "separate"),
    ] {
        let trust = add(&place, issuer, &[more, &["--json"]].concat()).done().json()["trust"].clone();
        assert_eq!(json!([trust["subject_prefix"], trust["subject_names"]]), names);
        let one = place.run(&["issuer", "show", issuer, "--json"]).done().json();
        assert_eq!(json!([one["subject_prefix"], one["subject_names"]]), names);
        let text = place.run(&["issuer", "show", issuer]).done().out;
        assert!(text.contains(names[1].as_str().unwrap()), "{text}");
        assert_eq!(text.contains("okta:"), issuer == A, "{text}");
        let list = place.run(&["issuer", "list"]).done().out;
        let line = list.lines().find(|line| line.contains(issuer)).unwrap();
        assert!(line.contains(shown), "{line}");
        let list = place.run(&["issuer", "list", "--json"]).done().json();
        let listed =
            list.as_array().unwrap().iter().find(|listed| listed["issuer"] == issuer).unwrap().clone();
        assert_eq!(json!([listed["subject_prefix"], listed["subject_names"]]), names);
    }
    for (more, tip) in [
        (&["--subject-prefix", "okta:", "--shared-names"][..], "cannot be used with"),
        (&["--subject-prefix", ""], "0 bytes"),
        (&["--subject-prefix", &"x".repeat(65)], "1 to 64 bytes"),
        (&["--subject-prefix", "a\u{202e}"], "bidirectional"),
        (&["--subject-prefix", "a\n"], "at most 255 bytes"),
    ] {
        let said = add(&place, "https://d.example", more);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{more:?} {}", said.err);
        assert!(said.err.contains(tip), "{more:?}: {}", said.err);
    }
    assert_eq!(place.run(&["issuer", "show", "https://d.example"]).code, 1);
}

#[test]
fn cc_17_issuer_add_reports_names_that_are_not_separated() {
    let (place, _) = place();
    for id in ["okta:etl", "okta:", "root"] {
        let method = ["client", "add", id, "--auth-method", "private_key_jwt", "--jwks", "idp.json"];
        assert_eq!(
            place
                .run(&method)
                .done()
                .err
                .lines()
                .filter(|line| !line.contains("did not exist and is created"))
                .count(),
            0
        );
    }
    let alone = add(&place, A, &[]).done().err;
    assert_eq!(alone.lines().count(), 1, "{alone}");
    for part in [
        "authorize by `sub` alone",
        "name of a registered client receives no token",
        "--shared-names",
        "a.example:alice",
    ] {
        assert!(alone.contains(part), "{part}: {alone}");
    }
    // There is no note about workloads, nor about names that are kept apart or are one.
    let workloads = place.run(&["issuer", "add", "https://k8s.example", "--jwks", "idp.json"]).done().err;
    assert!(!workloads.contains("sub"), "{workloads}");
    for (issuer, more) in
        [("https://p.example", ["--subject-prefix", "p:"]), (A, ["--shared-names", "--replace"])]
    {
        let said = add(&place, issuer, &more).done().err;
        assert_eq!(said, "", "{issuer}");
    }
    add(&place, A, &["--replace"]).done();
    // Two without a prefix.
    let warned = |said: &Said| said.err.lines().filter(|line| line.starts_with("warning: ")).count();
    let second = add(&place, B, &[]).done();
    assert_eq!(warned(&second), 1, "{}", second.err);
    assert!(second.err.contains(A) && second.err.contains("can have the same name"), "{}", second.err);
    let third = add(&place, "https://c.example", &["--shared-names"]).done();
    assert!(third.err.contains(A) && third.err.contains(B), "{}", third.err);
    // A disabled issuer is left out until it is enabled.
    place.run(&["issuer", "disable", B]).done();
    let replaced = add(&place, A, &["--replace"]).done();
    assert!(!replaced.err.contains(B) && replaced.err.contains("https://c.example"), "{}", replaced.err);
    let enabled = place.run(&["issuer", "enable", B]).done();
    assert_eq!(warned(&enabled), 1, "{}", enabled.err);
    // Clients within a prefix.
    let said = add(&place, "https://q.example", &["--subject-prefix", "okta:"]).done();
    assert_eq!(warned(&said), 1, "{}", said.err);
    for part in ["(okta:etl)", "users with these names in catalogs receive no token"] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    for id in ["okta:a", "okta:b", "okta:c"] {
        place.run(&["client", "add", id, "--auth-method", "federated"]).done();
    }
    let said = add(&place, "https://q.example", &["--subject-prefix", "okta:", "--replace"]).done();
    assert!(said.err.contains("(okta:a, okta:b, okta:c and others)"), "{}", said.err);
}

#[test]
fn cc_17_client_add_reports_users_that_could_have_the_name() {
    let (place, _) = place();
    let add_client = |id: &str| {
        let said = place
            .run(&["client", "add", id, "--auth-method", "private_key_jwt", "--jwks", "idp.json"])
            .done();
        let warnings: Vec<String> =
            said.err.lines().filter_map(|line| line.strip_prefix("warning: ")).map(str::to_owned).collect();
        place.run(&["client", "remove", id]).done();
        warnings
    };
    assert_eq!(add_client("alice"), [""; 0]);
    place.run(&["issuer", "add", "https://k8s.example", "--jwks", "idp.json"]).done();
    assert_eq!(add_client("alice"), [""; 0], "workloads are no users");
    let command = "`tokenberg issuer change https://a.example --subject-prefix=a.example:`";
    for (more, id, says) in [
        (&[][..], "alice", Some("a user alice of https://a.example receives no token from now on")),
        (&["--subject-prefix", "okta:"], "alice", None),
        (&["--subject-prefix", "okta:"], "okta:", None),
        (
            &["--subject-prefix", "okta:"],
            "okta:bob",
            Some("the user bob of https://a.example, by its prefix \"okta:\", receives no token"),
        ),
        (&["--shared-names"], "alice", Some("treat a user alice of https://a.example as this client")),
    ] {
        add(&place, A, &[&["--replace"], more].concat()).done();
        let warnings = add_client(id);
        assert_eq!(warnings.len(), usize::from(says.is_some()), "{more:?} {id}: {warnings:?}");
        if let Some(says) = says {
            assert!(warnings[0].contains(says) && warnings[0].contains(command), "{warnings:?}");
        }
    }
    if make_undecided(&place, A) {
        let warnings = add_client("alice");
        assert!(
            warnings[0].contains("treat a user alice of https://a.example as this client"),
            "{warnings:?}"
        );
        // Following its advice ends the warning.
        let separate =
            commands(&warnings[0]).into_iter().find(|command| command.contains("--separate-names")).unwrap();
        paste(&place, &separate);
        assert!(add_client("alice")[0].contains("receives no token from now on"));
    }
    place.run(&["issuer", "disable", A]).done();
    assert_eq!(add_client("alice"), [""; 0], "its users get nothing");
    place.run(&["issuer", "enable", A]).done();
    // The first client of a store is affected, too.
    let server = place.serve(&[]);
    let expected = "a user root of https://a.example receives no token from now on";
    assert!(server.log().contains(expected), "{}", server.log());
}

#[test]
fn cc_17_check_reports_shared_names_and_each_command_resolves_them() {
    let (place, _) = place();
    assert_eq!(noted(&place), [""; 0]);
    for (issuer, more) in [
        (A, &[][..]),
        (B, &["--subject-prefix", "p:"]),
        ("https://b.example/two", &["--subject-prefix", "two:"]),
        ("https://b.example/three", &[]),
        ("https://kc.example/realms/a", &[]),
        ("https://kc.example/realms/b", &[]),
        ("https://shared.example", &["--shared-names"]),
        ("https://k8s.example", &["--clear"]),
    ] {
        match more {
            ["--clear"] => place.run(&["issuer", "add", issuer, "--jwks", "idp.json"]).done(),
            more => add(&place, issuer, more).done(),
        };
    }
    if !rewrite(&place, "https://b.example/two", "json_set(trust, '$.subject_prefix', 'p:x')") {
        return;
    }
    place.run(&["client", "add", "p:c", "--auth-method", "federated"]).done();
    for id in ["alice", "bob"] {
        place.add(id, &[]);
    }
    let mut expected = vec!["can have the same name"; 4];
    expected.extend(["whose name begins with \"x\"", "names of clients begin with \"p:\""]);
    if make_undecided(&place, "https://kc.example/realms/a") {
        expected.push("was registered by an earlier version");
    }
    let notes = noted(&place);
    assert_eq!(notes.len(), expected.len(), "{notes:#?}");
    for part in &expected {
        assert!(notes.iter().any(|note| note.contains(part)), "{part}: {notes:#?}");
    }
    assert!(!notes.iter().any(|note| note.contains("alice") || note.contains("k8s")), "{notes:#?}");
    // Each note has a command, and running them one after the other resolves them all.
    let mut left = notes.len();
    for _ in 0..expected.len() {
        let notes = noted(&place);
        assert_eq!(notes.len(), left, "{notes:#?}");
        let Some(note) = notes.first() else { break };
        let command =
            commands(note).into_iter().find(|command| command.contains("--subject-prefix")).unwrap();
        paste(&place, &command);
        let now = noted(&place);
        assert!(now.len() < left && !now.contains(note), "{command} ends {note}: {now:#?}");
        left = now.len();
    }
    assert_eq!(noted(&place), [""; 0]);
    // The other decision: equal names are one principal.
    let place = self::place().0;
    for issuer in [A, B] {
        add(&place, issuer, &[]).done();
    }
    let note = noted(&place).remove(0);
    let shared: Vec<String> = commands(&note).into_iter().filter(|c| c.contains("--shared-names")).collect();
    assert_eq!(shared.len(), 2);
    shared.iter().for_each(|command| drop(paste(&place, command)));
    assert_eq!(noted(&place), [""; 0]);
}

#[test]
fn cc_17_a_server_warns_once_of_each_undecided_issuer() {
    let (place, _) = place();
    for issuer in [A, B, "https://off.example"] {
        add(&place, issuer, &["--shared-names"]).done();
    }
    place.run(&["issuer", "add", "https://k8s.example", "--jwks", "idp.json"]).done();
    for issuer in [A, "https://off.example", "https://k8s.example"] {
        if !make_undecided(&place, issuer) {
            return;
        }
    }
    place.run(&["issuer", "disable", "https://off.example"]).done();
    let server = place.serve(&[]);
    let warnings = |issuer: &str| {
        let log = server.log();
        let of_issuer = format!("{issuer} was registered by an earlier version");
        log.lines().filter(|line| line.contains("WARN") && line.contains(&of_issuer)).count()
    };
    assert_eq!((warnings(A), warnings("")), (1, 1), "{}", server.log());
    for option in ["--separate-names", "--shared-names", "--subject-prefix=a.example:"] {
        assert!(
            server.log().contains(&format!("`tokenberg issuer change {A} {option}`")),
            "{}",
            server.log()
        );
    }
    // Newly affected issuers are warned of; those affected before are not, whatever else changes.
    place.run(&["issuer", "enable", "https://off.example"]).done();
    within_a_second("one more is undecided", || warnings("https://off.example") == 1);
    place.add("alice", &[]);
    place.run(&["issuer", "change", B, "--leeway", "1m"]).done();
    server.signal("HUP");
    // Once the server has seen a third one, it has seen everything before.
    assert!(make_undecided(&place, B));
    within_a_second("another one is undecided", || warnings(B) == 1);
    assert_eq!((warnings(A), warnings("https://off.example")), (1, 1), "{}", server.log());
    // A decision ends the warning.
    place.run(&["issuer", "change", A, "--separate-names"]).done();
    let shown: Value = place.run(&["issuer", "show", A, "--json"]).done().json();
    assert_eq!(shown["subject_names"], "separate");
}
