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
        ("[client.x]\nscope = \"a\"", "\"client\""),
        ("[clients.x]\nscope = \"a\"\ntoken_lifetme = \"1h\"", "token_lifetme"),
        ("[clients.x]\nscope = \"a\"\ntoken_lifetime = 3600", "\"1h\""),
        ("[clients.x]\nscope = \"a\"\ntoken_lifetime = \"30d\"", "--token-lifetime"),
        ("[clients.x]\ntoken_lifetime = \"1h\"", "expected scope or every_scope"),
        ("[clients.x]\nscope = \"a\"\nevery_scope = true", "exclude each other"),
        ("[clients.x]\nscope = \"a\"\ndefault_scope = \"b\"", "default scope contains b"),
        ("[clients.\"a:b\"]\nscope = \"a\"", "colon"),
        ("[clients.x]\nscope = \"a\"\nauth_method = \"private_key_jwt\"", "jwks"),
        ("[clients.x]\nscope = \"a\"\nauth_method = \"none-of-them\"", "none-of-them"),
        ("[clients.x]\nscope = \"a\"\nlabels = {owner = \"a\\u001b\"}", "control characters"),
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
