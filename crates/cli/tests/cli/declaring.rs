//! Clients and issuers as a file: exported, compared and applied in one transaction, with each change in the audit.

use crate::support::{Place, Said, within_a_second};
use serde_json::Value;

const IDP: &str = "https://idp.example";

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// A store with a client of each kind, and issuers.
fn place() -> Place {
    let place = Place::new();
    let jwks =
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    place.file("keys.jwks", jwks);
    for line in [
        "issuer add https://idp.example --discover --no-fetch --accept id_token,access_token --audience api --subject-prefix okta:",
        "issuer add https://k8s.example --jwks keys.jwks --leeway 1m --alg EdDSA",
        "issuer change https://idp.example --map groups=a:PRINCIPAL_ROLE:a --outlives-subject true --no-fetch",
        "client add spark",
        "client add every --token-lifetime 90s --session-lifetime 1d12h --label owner=alice",
        "client change every --every-scope",
        "client add trino --scope catalog --may-act-for https://idp.example|* --may-assert-users team-* --serves lake --dpop-bound",
        "client add flink --auth-method private_key_jwt --jwks keys.jwks --assertion-lifetime 1h",
        "client add mtls --auth-method tls_client_auth --tls-san URI:spiffe://td.example/a",
        "client add ci --auth-method federated --default-scope sign",
        "client federate ci --issuer https://k8s.example --subject system:serviceaccount:a:b",
        "client disable mtls",
    ] {
        place.run(&words(line)).done();
    }
    place
}

fn export(place: &Place) -> String {
    place.run(&["export"]).done().out
}

fn applied(place: &Place, document: &str, more: &[&str]) -> Said {
    let file = place.file("wanted.toml", document);
    place.run(&[&["apply", &file], more].concat())
}

fn changes(place: &Place) -> usize {
    place.run(&["audit"]).done().out.lines().filter(|line| line.contains("\"change\"")).count()
}

#[test]
fn an_exported_file_describes_everything_but_secrets_and_is_applied_to_another_store() {
    let place = place();
    let document = export(&place);
    let file = place.file("same.toml", &document);
    let before = changes(&place);
    assert_eq!(place.run(&["diff", &file]).done().out, "nothing to change\n", "{document}");
    assert_eq!(place.run(&["apply", &file]).done().out, "nothing to change\n");
    assert_eq!(changes(&place), before, "what is the same is not recorded again");
    for hidden in ["secret_id", "digest", "BEGIN"] {
        assert!(!document.contains(hidden), "{hidden}: {document}");
    }
    assert!(
        document.contains("token_lifetime = \"1m30s\"") && document.contains("owner = \"alice\""),
        "{document}"
    );

    let other = Place::new();
    drop(other.serve(&[]));
    let said = applied(&other, &document, &["--prune"]).done();
    assert!(
        said.out.contains("+ client spark (it has no secret until") && said.out.contains("- client root"),
        "{}",
        said.out
    );
    assert_eq!(export(&other), document);
    let rights = |place: &Place| -> Vec<Value> {
        let list = place.run(&["client", "list", "--json"]).done().json();
        let mut clients = list.as_array().unwrap().clone();
        for client in &mut clients {
            let client = client.as_object_mut().unwrap();
            for name in ["created_at", "secrets"] {
                client.remove(name);
            }
        }
        clients
    };
    assert_eq!(rights(&other), rights(&place));
    other.run(&["audit", "verify"]).done();
}

#[test]
fn a_file_is_applied_as_a_whole_or_not_at_all_and_a_running_server_follows() {
    let place = place();
    let server = place.serve(&[]);
    let secret = place.run(&["client", "secret", "add", "spark", "--json"]).done().json();
    let secret = secret["client_secret"].as_str().unwrap().to_owned();
    within_a_second("spark is there", || server.ask("spark", &secret).status == 200);
    let document = export(&place);
    let changed = document
        .replace("[clients.spark]\n", "[clients.spark]\ntoken_lifetime = \"15m\"\n")
        .replace("prefix = \"okta:\"", "prefix = \"idp:\"");
    assert_ne!(changed, document);
    let with_new = format!("{changed}\n[clients.new]\nscope = \"catalog\"\nenabled = false\n");
    let dry = applied(&place, &with_new, &["--dry-run"]).done().out;
    for line in [
        "~ client spark: token_lifetime (default) → \"15m\"",
        "+ client new",
        "subject_prefix \"okta:\" → \"idp:\"",
    ] {
        assert!(dry.contains(line), "{line}: {dry}");
    }
    // The last change contradicts the store, so none is made.
    let taken = with_new.clone()
        + "\n[clients.thief]\nscope = \"catalog\"\nauth_method = \"federated\"\nfederations = [{issuer = \"https://k8s.example\", subject = \"system:serviceaccount:a:b\"}]\n";
    let before = changes(&place);
    let refused = applied(&place, &taken, &[]).refused();
    assert!(refused.err.contains("ci"), "{}", refused.err);
    assert_eq!((export(&place), changes(&place)), (document.clone(), before));
    // On a terminal it asks.
    let file = place.file("wanted.toml", &with_new);
    let said = place.on_terminal(&["apply", &file], "n\n");
    assert!(
        said.code == 1 && said.out.contains("+ client new") && said.out.contains("[y/N]"),
        "{}",
        said.out
    );
    assert_eq!(export(&place), document);

    let said = applied(&place, &with_new, &["--json"]).done().json();
    let lines = said["applied"].as_array().unwrap();
    assert_eq!(lines.len(), 4, "{said}");
    assert_eq!(changes(&place), before + lines.len(), "each change is recorded");
    within_a_second("the server follows", || server.ask("spark", &secret).body["expires_in"] == 900);
    // A client that the file does not name stays until it is pruned, and its tokens with it.
    let without = with_new.replace("[clients.spark]\ntoken_lifetime = \"15m\"\n", "[clients.spark2]\n");
    let said = applied(&place, &without, &[]).done().out;
    assert!(said.contains("not in the file, and kept (--prune removes them): client spark"), "{said}");
    assert_eq!(server.ask("spark", &secret).status, 200);
    applied(&place, &without, &["--prune"]).done();
    within_a_second("spark is gone", || server.ask("spark", &secret).status == 401);
    place.run(&["audit", "verify"]).done();
    assert!(!server.log().contains("was read again"), "{}", server.log());
}

#[test]
fn a_mistake_in_the_file_is_named_with_its_place() {
    let place = place();
    for (document, tip) in [
        ("[client.x]\nscope = \"a\"", "unknown table `client` at"),
        ("[clients.x]\nscope = \"a\"\ntoken_lifetme = \"1h\"", "token_lifetme"),
        ("[clients.x]\nscope = \"a\"\ntoken_lifetime = 3600", "\"1h\""),
        ("[clients.x]\nscope = \"a\"\ntoken_lifetime = \"30d\"", "--token-lifetime"),
        ("[clients.x]\ntoken_lifetime = \"1h\"", "expected scope or every_scope"),
        ("[clients.x]\nscope = \"a\"\nevery_scope = true", "exclude each other"),
        ("[clients.x]\nscope = \"a\"\ndefault_scope = \"b\"", "default scope contains b"),
        ("[clients.\"a:b\"]\nscope = \"a\"", "colon"),
        ("[clients.x]\nscope = \"a\"\nauth_method = \"private_key_jwt\"", "jwks"),
        ("[clients.x]\nscope = \"a\"\nauth_method = \"none-of-them\"", "none-of-them"),
        ("[clients.x]\nscope = \"a\"\nlabels = {owner = \"a\\u001b\"}", "no control"),
        ("[issuers.\"http://idp.example\"]\nkeys = \"discovery\"", "https"),
        ("[issuers.\"https://new.example\"]\naccept = [\"id_token\"]", "keys"),
        ("[issuers.\"https://new.example\"]\nkeys = {jwks = \"{}\"}", "keys.jwks"),
        ("[clients.x\n", "wanted.toml"),
    ] {
        let said = applied(&place, document, &[]);
        assert!(matches!(said.code, 1 | 2) && said.out.is_empty(), "{document}: {} {}", said.out, said.err);
        assert!(said.err.contains(tip) && said.err.contains("wanted.toml"), "{document}: {}", said.err);
        assert!(!said.err.contains('\u{1b}'), "{}", said.err);
    }
    assert!(place.run(&["issuer", "show", IDP]).code == 0);
}

/// What `client add`, `client federate` and `issuer add` refuse, `diff` and `apply` refuse as well.
#[test]
fn cc_17_wl_04_se_05_a_file_registers_nothing_that_a_command_refuses() {
    let place = place();
    let before = (export(&place), changes(&place));
    let client = |more: &str| format!("[clients.x]\nscope = \"catalog\"\n{more}\n");
    let federated = |issuer: &str, subject: &str| {
        client(&format!(
            "auth_method = \"federated\"\nfederations = [{{issuer = \"{issuer}\", subject = \"{subject}\"}}]"
        ))
    };
    let issuer = |more: &str| {
        format!("[issuers.\"https://new.example\"]\nkeys = \"discovery\"\naccept = [\"id_token\"]\n{more}\n")
    };
    let spiffe = "[issuers.\"spiffe://td.example\"]\nkeys = {jwks_uri = \"https://td.example/b\"}\n";
    let on_spiffe = |subject: &str| format!("{spiffe}{}", federated("spiffe://td.example", subject));
    for (document, tip) in [
        (issuer("subject_prefix = \"new:\"\nsubject_names = \"shared\""), "shared names"),
        (issuer("subject_prefix = \" new:\""), "begins with a space"),
        (issuer("subject_prefix = \"a\\u001b[2K\""), "\\u{1b}"),
        (issuer(&format!("subject_prefix = \"{}\"", "a".repeat(300))), "300 bytes"),
        (issuer("audiences = [\"\"]"), "empty"),
        (issuer("audiences = [\"a\\nb\"]"), "\\u{a}"),
        (issuer("subject_claim = \"a\\u202e\""), "\\u{202e}"),
        (issuer("map = [\"groups=a\\u001b:x\"]"), "\\u{1b}"),
        (
            "[issuers.\"https://new.example\"]\nkeys = {jwks_uri = \"ftp://new.example/k\"}".to_owned(),
            "https",
        ),
        (client("audiences = [\"\"]"), "empty"),
        (client("audiences = [\"a\\nclient evil\"]"), "\\u{a}"),
        (client("serves = [\"a\\u001b\"]"), "\\u{1b}"),
        (client("may_act_for = [\"https://a|\\u202e\"]"), "\\u{202e}"),
        (client("may_assert_users = [\"a\\nb\"]"), "\\u{a}"),
        (client("auth_method = \"tls_client_auth\"\ncertificate = {subject = \"CN=a\\nb\"}"), "\\u{a}"),
        (client("auth_method = \"tls_client_auth\"\ncertificate = {subject = \"cn = a\"}"), "CN=a"),
        (client("auth_method = \"private_key_jwt\"\nassertion_lifetime = \"2h\""), "assertion-lifetime"),
        (federated("https://k8s.example", ""), "1 to 2048 bytes"),
        (federated("https://k8s.example", "a\\u001b"), "control"),
        (federated("https://none.example", "a"), "https://none.example"),
        (federated("https://k8s.example", "a").replace("federated", "none"), "identity of another issuer"),
        (
            federated("https://k8s.example", "a").replace(
                "\"federated\"",
                "\"none\"\ngrants = [\"token_exchange\"]\nmay_impersonate = [\"https://a|*\"]",
            ),
            "identity of another issuer",
        ),
        (on_spiffe("spiffe://other.example/*"), "not in the trust domain"),
        (on_spiffe("spiffe://td.example"), "trust domain itself"),
        (on_spiffe("*"), "SPIFFE"),
    ] {
        let file = place.file("wanted.toml", &document);
        for command in [&["diff", &file][..], &["apply", &file, "--dry-run"], &["apply", &file, "--yes"]] {
            let said = place.run(command);
            assert!(
                matches!(said.code, 1 | 2) && said.out.is_empty(),
                "{document}: {} {}",
                said.out,
                said.err
            );
            assert!(said.err.contains(tip), "{document}: {}", said.err);
            assert!(
                said.err.trim_end().lines().count() == 1 && !said.err.contains('\u{1b}'),
                "{:?}",
                said.err
            );
        }
    }
    assert_eq!((export(&place), changes(&place)), before);
}

/// A plan is one that can be made, whether it is only shown or applied, and it shows what a new client may do.
#[test]
fn a_plan_finds_what_contradicts_the_store_and_shows_the_rights_of_new_clients() {
    let place = place();
    for (one, other) in [("a", "spiffe://td.example/a/*"), ("b", "spiffe://td.example/b")] {
        let line = format!("client add {one} --auth-method federated");
        place.run(&words(&line)).done();
        if one == "a" {
            place
                .run(&words("issuer add spiffe://td.example --jwks-uri https://td.example/b --no-fetch"))
                .done();
        }
        place.run(&["client", "federate", one, "--issuer", "spiffe://td.example", "--subject", other]).done();
    }
    let document = export(&place);
    let thief = |subject: &str| {
        format!(
            "{document}\n[clients.thief]\nscope = \"catalog\"\nauth_method = \"federated\"\nfederations = [{{issuer = \"spiffe://td.example\", \
             subject = \"{subject}\"}}]\n"
        )
    };
    let with_prefix = |prefix: &str| {
        format!(
            "{document}\n[issuers.\"https://new.example\"]\nkeys = \"discovery\"\naccept = [\"id_token\"]\nsubject_prefix = \"{prefix}\"\n"
        )
    };
    let gone = document.replace("[issuers.\"spiffe://td.example\"", "[issuers.\"spiffe://td2.example\"");
    assert_ne!(gone, document);
    let in_itself = format!(
        "{}\n[clients.thief2]\nscope = \"catalog\"\nauth_method = \"federated\"\nfederations = [{{issuer = \"spiffe://td.example\", subject = \"spiffe://td.example/new/x\"}}]\n",
        thief("spiffe://td.example/new/*")
    );
    for (wanted, more, tip) in [
        (thief("spiffe://td.example/a/x"), &[][..], "client a"),
        (thief("spiffe://td.example/*"), &[], "client"),
        (thief("spiffe://td.example/b"), &[], "client b"),
        (in_itself, &[], "client thief"),
        (with_prefix("okta:"), &[], "okta:"),
        (with_prefix("okta:x"), &[], "okta:"),
        // The issuer is removed first; who has its identities keeps them, and a new one needs it.
        (
            format!(
                "{gone}\n[clients.late]\nscope = \"catalog\"\nauth_method = \"federated\"\nfederations = [{{issuer = \"spiffe://td.example\", subject = \"spiffe://td.example/late\"}}]\n"
            ),
            &["--prune"],
            "spiffe://td.example",
        ),
    ] {
        let file = place.file("wanted.toml", &wanted);
        for command in [&["diff", &file][..], &["apply", &file, "--dry-run"], &["apply", &file, "--yes"]] {
            let said = place.run(&[command, more].concat());
            assert_eq!((said.code, said.out.as_str()), (1, ""), "{wanted}: {}", said.err);
            assert!(said.err.contains(tip) && said.err.contains("nothing was changed"), "{}", said.err);
        }
        assert_eq!(export(&place), document);
    }
    let powerful = format!(
        "{document}\n[clients.power]\nevery_scope = true\nauth_method = \"federated\"\nmay_act_for = [\"https://idp.example|*\"]\n\
         may_impersonate = [\"https://idp.example|root\"]\nserves = [\"lake\"]\n\
         [issuers.\"https://new.example\"]\nkeys = \"discovery\"\naccept = [\"id_token\"]\nscope = \"admin\"\n"
    );
    let shown = applied(&place, &powerful, &["--dry-run"]).done().out;
    for right in [
        "+ client power: ",
        "every_scope true",
        "auth_method \"federated\"",
        "may_act_for [\"https://idp.example|*\"]",
        "may_impersonate [\"https://idp.example|root\"]",
        "serves [\"lake\"]",
        "+ issuer https://new.example: ",
        "scope \"admin\"",
    ] {
        assert!(shown.contains(right), "{right}: {shown}");
    }
}

#[test]
fn all_mistakes_in_the_file_are_reported_at_once_each_with_its_line() {
    let place = place();
    let document = "[clients.x]\nscope = \"a\"\ntoken_lifetme = \"1h\"\n\n[clients.y]\nsession_lifetime = 5\n\
        [issuer.\"https://new.example\"]\n[issuers.\"https://new.example\"]\nacept = [\"jwt\"]\n";
    let said = place.run_with(&["apply", "-"], document, &[]);
    let lines: Vec<&str> = said.err.lines().collect();
    assert!(said.code == 1 && said.out.is_empty() && lines.len() == 6, "{}", said.err);
    for (line, words) in lines.iter().zip([
        ["standard input:3", "`token_lifetime`"],
        ["standard input:5", "scope or every_scope"],
        ["standard input:6", "\"1h\""],
        ["standard input:7", "`issuers`"],
        ["standard input:8", "expected keys"],
        ["standard input:9", "`accept`"],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)), "{words:?}: {line}");
    }
}

#[test]
fn the_file_in_the_documents_can_be_applied() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("### Clients and issuers as a file").unwrap();
    let document = section.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0;
    let place = Place::new();
    place.add("first", &[]);
    let said = applied(&place, document, &[]).done().out;
    assert!(said.contains("+ client etl") && said.contains("+ issuer https://idp.example"), "{said}");
    assert!(applied(&place, document, &[]).done().out.starts_with("nothing to change"));
}

#[test]
fn a_file_that_several_jobs_apply_at_the_same_time_is_applied_once() {
    let place = Place::new();
    place.add("first", &[]);
    let document =
        (0..20).map(|n| format!("[clients.\"job-{n}\"]\nscope = \"catalog\"\n")).collect::<String>();
    let file = place.file("wanted.toml", &document);
    let before = changes(&place);
    std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..4).map(|_| scope.spawn(|| place.run(&["apply", &file]))).collect();
        for job in jobs {
            job.join().unwrap().done();
        }
    });
    assert_eq!(changes(&place) - before, 20);
}
