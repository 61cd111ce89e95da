//! `tokenberg issuer change`: changes what is named and keeps everything else, also under concurrent changes.

use crate::foreign::claims;
use crate::naming::{A, B, add, commands, make_undecided, paste, place};
use crate::support::Place;
use serde_json::{Value, json};
use tokenberg_testkit::ForeignKey;

fn change(place: &Place, more: &[&str]) -> crate::support::Said {
    place.run(&[&["issuer", "change", A], more].concat())
}

/// The output of `issuer show` without the time of registration.
fn shown(place: &Place) -> Value {
    let mut shown = place.run(&["issuer", "show", A, "--json"]).done().json();
    shown.as_object_mut().unwrap().remove("created_at");
    shown
}

#[test]
fn cc_17_each_property_of_an_issuer_changes_alone() {
    let (place, _) = place();
    place.file("other.json", &ForeignKey::new(Some("p2")).jwks());
    let more = ["--subject-prefix", "okta:", "--audience", "api://a", "--alg", "ES256", "--map", "g=x:y"];
    add(&place, A, &more).done();
    let mut expected = shown(&place);
    let jwks_of = |shown: &Value| shown["keys"]["jwks"]["keys"][0]["kid"].clone();
    for (options, name, value) in [
        (
            &["--jwks-uri", "https://a.example/keys"][..],
            "keys",
            json!({"jwks_uri": "https://a.example/keys"}),
        ),
        (&["--discover"], "keys", json!({"discovery": true})),
        (&["--accept", "jwt,id_token", "--accept", "jwt"], "accept", json!(["jwt", "id_token"])),
        (&["--audience", "b", "--audience", "c"], "audiences", json!(["b", "c"])),
        (&["--clear", "audience"], "audiences", json!([])),
        (&["--alg", "EdDSA,PS256"], "algorithms", json!(["EdDSA", "PS256"])),
        (&["--clear", "alg"], "algorithms", json!([])),
        (&["--subject-claim", "oid"], "subject_claim", json!("oid")),
        (&["--subject-prefix", "entra:"], "subject_prefix", json!("entra:")),
        (&["--clear", "subject_prefix"], "subject_prefix", Value::Null),
        (&["--shared-names"], "subject_names", json!("shared")),
        (&["--separate-names"], "subject_names", json!("separate")),
        (&["--scope", "catalog x"], "scope", json!("catalog x")),
        (&["--map", "g=a:b", "--map", "r=c:d e"], "map", json!(["g=a:b", "r=c:d e"])),
        (&["--clear", "map"], "map", json!([])),
        (&["--leeway", "1m"], "leeway", json!(60)),
        (&["--max-age", "2h"], "max_age", json!(7200)),
        (&["--outlives-subject", "false"], "outlives_subject", json!(false)),
        (&["--outlives-subject", "true"], "outlives_subject", json!(true)),
        (&["--clear", "accept"], "accept", json!([])),
    ] {
        assert_ne!(expected[name], value, "{options:?} is a change");
        let said = change(&place, &[options, &["--no-fetch", "--json"]].concat()).done();
        expected[name] = value;
        let mut printed = said.json();
        printed.as_object_mut().unwrap().remove("created_at");
        assert_eq!((&shown(&place), &printed), (&expected, &expected), "{options:?}");
    }
    change(&place, &["--jwks", "other.json", "--accept", "id_token"]).done();
    assert_eq!(jwks_of(&shown(&place)), "p2", "{}", shown(&place));
    // A prefix takes the place of shared names, and a disabled issuer stays disabled.
    place.run(&["issuer", "disable", A]).done();
    change(&place, &["--shared-names"]).done();
    let said = change(&place, &["--subject-prefix", "okta:"]).done();
    assert!(said.err.contains("still disabled"), "{}", said.err);
    let now = shown(&place);
    assert_eq!(
        json!([now["subject_prefix"], now["subject_names"], now["enabled"]]),
        json!(["okta:", "separate", false])
    );
    change(&place, &["--clear", "subject_prefix", "--shared-names"]).done();
    let now = shown(&place);
    assert_eq!(json!([now["subject_prefix"], now["subject_names"]]), json!([null, "shared"]));
}

#[test]
fn cc_17_a_change_that_contradicts_itself_changes_nothing() {
    let (place, _) = place();
    add(&place, A, &["--subject-prefix", "okta:"]).done();
    let spiffe = "spiffe://td.example";
    place.run(&["issuer", "add", spiffe, "--jwks", "idp.json"]).done();
    let before = shown(&place);
    let records = place.run(&["audit"]).done().out.lines().count();
    for (options, tip) in [
        (&[][..], "required"),
        (&["--shared-names"], "--clear subject_prefix"),
        (&["--shared-names", "--separate-names"], "cannot be used with"),
        (&["--shared-names", "--subject-prefix", "x:"], "cannot be used with"),
        (&["--subject-prefix", "x:", "--clear", "subject_prefix"], "omit one of them"),
        (&["--audience", "x", "--clear", "audience"], "omit one of them"),
        (&["--accept", "jwt", "--clear", "accept"], "omit one of them"),
        (&["--clear", "scope"], "subject_prefix"),
        (&["--jwks", "idp.json", "--discover"], "cannot be used with"),
        (&["--jwks-uri", "http://a.example/keys"], "https"),
        (&["--subject-claim", ""], "--subject-claim must not be empty"),
        (&["--audience", ""], "not be empty"),
        (&["--leeway", "6m"], "at most 5m"),
        (&["--max-age", "0s"], "at least 1s"),
        (&["--max-age", "9000h"], "at most"),
        (&["--outlives-subject", "maybe"], "true"),
        (&["--subject-prefix", ""], "1 to 64 bytes"),
    ] {
        let said = change(&place, options);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{options:?} {}", said.err);
        assert!(said.err.contains(tip), "{options:?}: {}", said.err);
    }
    assert_eq!(place.run(&["issuer", "change", spiffe, "--discover"]).code, 2);
    assert_eq!(change(&place, &["--jwks", "nothing.json"]).code, 1);
    let unknown = place.run(&["issuer", "change", B, "--discover"]).refused();
    assert!(unknown.err.contains("not trusted"), "{}", unknown.err);
    // Setting the present value is no change.
    change(&place, &["--subject-prefix", "okta:", "--accept", "id_token"]).done();
    assert_eq!(shown(&place), before);
    assert_eq!(place.run(&["audit"]).done().out.lines().count(), records);
    change(&place, &["--leeway", "1m"]).done();
    let record: Value =
        serde_json::from_str(place.run(&["audit"]).done().out.lines().last().unwrap()).unwrap();
    assert_eq!((&record["change"], &record["issuer"]), (&json!("issuer changed"), &json!(A)));
    assert_eq!(record["trust"]["leeway"], 60);
}

#[test]
fn cc_17_concurrent_changes_of_an_issuer_do_not_overwrite_each_other() {
    let (place, _) = place();
    add(&place, A, &["--subject-prefix", "okta:"]).done();
    for round in 0..5 {
        let age = format!("{}s", 600 + round);
        let options = [
            ["--subject-claim", if round % 2 == 0 { "oid" } else { "upn" }],
            ["--scope", if round % 2 == 0 { "catalog x" } else { "catalog y" }],
            ["--subject-prefix", if round % 2 == 0 { "p:" } else { "q:" }],
            ["--max-age", &age],
        ];
        std::thread::scope(|scope| {
            for options in &options {
                scope.spawn(|| change(&place, options).done());
            }
        });
        let now = shown(&place);
        let found = json!([now["subject_claim"], now["scope"], now["subject_prefix"], now["max_age"]]);
        assert_eq!(found, json!([options[0][1], options[1][1], options[2][1], 600 + round]));
    }
}

#[test]
fn cc_17_the_effects_of_a_change_of_names_are_reported() {
    let (place, _) = place();
    add(&place, A, &[]).done();
    for (options, says) in [
        (&["--subject-prefix", "okta:"][..], "alice is okta:alice. Grants in the catalogs"),
        (&["--subject-prefix", "entra:"], "okta:alice is entra:alice"),
        (&["--clear", "subject_prefix"], "entra:alice is alice"),
        (&["--subject-claim", "oid"], "from now on, the claim oid identifies its users"),
        (
            &["--accept", "jwt", "--outlives-subject", "false"],
            "issuer change https://a.example --outlives-subject true",
        ),
        (&["--clear", "accept"], "accepted as workload identities only"),
    ] {
        let said = change(&place, options).done();
        assert!(said.err.contains(says), "{options:?}: {}", said.err);
    }
    change(&place, &["--accept", "id_token", "--outlives-subject", "true"]).done();
    assert_eq!(change(&place, &["--leeway", "1m"]).done().err, "", "nothing of it concerns names");
    let replaced = add(&place, A, &["--subject-prefix", "okta:", "--replace"]).done();
    assert!(replaced.err.contains("alice is okta:alice"), "{}", replaced.err);
    add(&place, A, &["--shared-names", "--replace"]).done();
    let separate = change(&place, &["--separate-names"]).done();
    assert!(separate.err.contains("with the name of a registered client are inactive"), "{}", separate.err);
    if make_undecided(&place, A) {
        // Other changes leave it undecided.
        change(&place, &["--leeway", "2m"]).done();
        assert_eq!(shown(&place)["subject_names"], "undecided");
        assert!(place.run(&["issuer", "list"]).done().out.contains("UNDECIDED"));
    }
}

#[test]
fn cc_17_advice_of_explain_about_an_issuer_can_be_pasted_and_loses_nothing() {
    const OURS: &str = "https://tokens.example";
    let (place, key) = place();
    drop(place.serve(&[]));
    let more = ["--audience", "it's", "--alg", "RS256", "--map", "g=it's:ns:read", "--scope", "catalog a"];
    let line = ["issuer", "add", A, "--jwks", "idp.json", "--accept", "jwt", "--outlives-subject"];
    place.run(&[&line[..], &more].concat()).done();
    let scope = "catalog a ns:read ns:write";
    let secret = place.add("trino", &["--may-act-for", "https://a.example|*", "--scope", scope]);
    place.add("alice", &[]);
    let day = 24 * 3600;
    let now = claims(A, "", "", &json!({}))["iat"].as_u64().unwrap();
    let token =
        key.sign(&claims(A, "alice", "elsewhere", &json!({"g": "it's", "iat": now, "exp": now + 2 * day})));
    let form = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&client_id=trino&client_secret={secret}\
         &scope=ns:read+ns:write&subject_token={token}&subject_token_type=urn:ietf:params:oauth:token-type:id_token"
    );
    let explained = || place.run_with(&["explain", "--issuer", OURS], &form, &[]);
    let mut pasted = Vec::new();
    loop {
        let said = explained();
        if said.code == 0 {
            break;
        }
        let advice =
            said.out.split("to allow it: ").nth(1).unwrap_or_else(|| panic!("{}", said.out)).to_owned();
        let command = commands(&advice).into_iter().next().unwrap_or_else(|| panic!("{advice}"));
        paste(&place, &command);
        pasted.push(command);
        assert!(pasted.len() <= 6, "{pasted:#?} {}", explained().out);
    }
    let expected = [
        "--accept jwt,id_token".to_owned(),
        "--alg RS256,ES256".to_owned(),
        "--max-age 2d".to_owned(),
        r"--audience 'it'\''s' --audience elsewhere".to_owned(),
        "--subject-prefix a.example:".to_owned(),
        "--scope 'catalog a ns:write'".to_owned(),
    ];
    let expected: Vec<String> = expected
        .iter()
        .map(|options| format!("tokenberg issuer change https://a.example {options}"))
        .collect();
    assert_eq!(pasted, expected);
    let now = shown(&place);
    assert_eq!(json!([now["map"], now["outlives_subject"]]), json!([["g=it's:ns:read"], true]));
    let explanation = explained().done().out;
    assert!(explanation.contains("its users have the prefix \"a.example:\" in catalogs"), "{explanation}");
    assert!(explanation.contains("subject a.example:alice"), "{explanation}");
}
