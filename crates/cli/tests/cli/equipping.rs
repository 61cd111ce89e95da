//! What a client is registered with: a key pair that the command makes, keys in other forms, a secret that ends, and notes about it.

use crate::support::{Place, within_a_second};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::SystemTime;
use tokenberg_core::Timestamp;
use tokenberg_core::jws::Algorithm;

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_seconds(i64::try_from(since.as_secs()).unwrap()).unwrap()
}

/// The public half of a private key in a file, according to openssl; `None` if there is no openssl.
fn openssl_public(place: &Place, file: &str) -> Option<String> {
    let done =
        Command::new("openssl").args(["pkey", "-in", file, "-pubout"]).current_dir(place.path("")).output();
    match done {
        Ok(done) => {
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            Some(String::from_utf8(done.stdout).unwrap())
        }
        Err(error) => {
            eprintln!("skipped: no openssl here: {error}");
            None
        }
    }
}

fn keys(place: &Place, id: &str) -> Vec<Value> {
    let shown = place.run(&["client", "show", id, "--json"]).done().json();
    shown["jwks"]["keys"].as_array().unwrap().clone()
}

#[test]
fn a_key_pair_is_made_for_a_client_and_its_public_half_is_registered() {
    let place = Place::new();
    let add = ["client", "add", "dbt", "--auth-method", "private_key_jwt", "--new-key", "dbt.key"];
    assert!(place.run(&add).done().out.contains("dbt.key"));
    let mode = std::fs::metadata(place.path("dbt.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Nothing overwrites a key, and what is not registered leaves no file.
    assert!(
        place.run(&["client", "key", "new", "dbt", "--out", "dbt.key"]).refused().err.contains("dbt.key")
    );
    let again = ["client", "add", "dbt", "--auth-method", "private_key_jwt", "--new-key", "other.key"];
    assert!(place.run(&again).refused().err.contains("exists already"));
    assert!(!place.path("other.key").exists());
    let new =
        place.run(&["client", "key", "new", "dbt", "--out", "new.key", "--alg", "ES384", "--json"]).done();
    let new = new.json();
    let registered = keys(&place, "dbt");
    assert_eq!((registered.len(), &registered[1]), (2, &new["jwk"]));
    assert_eq!((&new["kid"], &new["jwk"]["crv"]), (&registered[1]["kid"], &json!("P-384")));
    // What other programs read from the file is the key that is registered.
    for (file, alg, registered) in
        [("dbt.key", Algorithm::ES256, &registered[0]), ("new.key", Algorithm::ES384, &registered[1])]
    {
        let pem = std::fs::read(place.path(file)).unwrap();
        let imported = tokenberg_jose::import(&pem, Some(alg), now(), now()).unwrap();
        assert_eq!(registered["kid"], imported.id.as_str());
        let Some(public) = openssl_public(&place, file) else { continue };
        place.file("public.pem", &public);
        place.run(&["client", "jwks", "dbt", "public.pem"]).done();
        let read = &keys(&place, "dbt")[0];
        assert_eq!(
            (&read["x"], &read["y"], &read["crv"]),
            (&registered["x"], &registered["y"], &registered["crv"])
        );
    }
    place.run(&["client", "key", "new", "dbt", "--out", "only.key", "--replace"]).done();
    assert_eq!(keys(&place, "dbt").len(), 1);
    place.add("secret", &[]);
    let refused = place.run(&["client", "key", "new", "secret", "--out", "none.key"]).refused();
    assert!(refused.err.contains("client_secret") && !place.path("none.key").exists(), "{}", refused.err);
}

#[test]
fn public_keys_are_taken_as_a_set_a_jwk_and_pem_and_private_ones_never() {
    let place = Place::new();
    let jwk =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"one"}"#;
    let rsa =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../jose/tests/fixtures/rsa-2048-test-only.pem"))
            .unwrap();
    let pem_of = |alg| {
        let key = tokenberg_jose::generate(alg, now(), now()).unwrap();
        (tokenberg_jose::public_key_pem(&key).unwrap(), key.id.as_str().to_owned())
    };
    let (p256, p256_id) = pem_of(Algorithm::ES256);
    let (p384, p384_id) = pem_of(Algorithm::ES384);
    let (ed25519, ed25519_id) = pem_of(Algorithm::EdDSA);
    let rsa_key = tokenberg_jose::import(&rsa, None, now(), now()).unwrap();
    let rsa_public = tokenberg_jose::public_key_pem(&rsa_key).unwrap();
    let certified = rcgen::generate_simple_self_signed(vec!["client.example".to_owned()]).unwrap();
    for (id, file, kids) in [
        ("jwk", jwk.to_owned(), vec!["one".to_owned()]),
        ("p256", p256.clone(), vec![p256_id.clone()]),
        ("p384", p384.clone(), vec![p384_id.clone()]),
        ("ed25519", ed25519, vec![ed25519_id]),
        ("rsa", rsa_public, vec![rsa_key.id.as_str().to_owned()]),
        ("bundle", format!("# old and new\n{p256}\n{p384}"), vec![p256_id, p384_id]),
        ("certificate", certified.cert.pem(), Vec::new()),
    ] {
        let path = place.file(id, &file);
        place.run(&["client", "add", id, "--auth-method", "private_key_jwt", "--jwks", &path]).done();
        let text = json!({"keys": keys(&place, id)}).to_string();
        let public = tokenberg_jose::PublicKeys::from_jwks(&text).unwrap();
        assert!(public.ignored().is_empty() && !public.is_empty(), "{id}: {text}");
        for kid in kids {
            let token_like = format!("\"{kid}\"");
            let is_named = text.contains(&token_like) || thumbprints(&text).contains(&kid);
            assert!(is_named, "{id}: {text}");
        }
    }
    let private = String::from_utf8(rsa).unwrap();
    let private_jwk = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    for (file, tip) in [
        (private.as_str(), "private key"),
        (private_jwk, "private"),
        ("-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----\n", "-RSAPublicKey_in"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "keys"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA", "does not end"),
        ("-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n", "no public key"),
    ] {
        let path = place.file("keys", file);
        let said =
            place.run(&["client", "add", "x", "--auth-method", "private_key_jwt", "--jwks", &path]).refused();
        assert!(said.err.contains(tip), "{file}: {}", said.err);
        assert!(!said.err.contains("nWGx") && !said.err.contains("MIIE"), "{}", said.err);
    }
}

/// The thumbprints of the keys of a set.
fn thumbprints(jwks: &str) -> Vec<String> {
    let set: Value = serde_json::from_str(jwks).unwrap();
    let keys = set["keys"].as_array().unwrap();
    let canonical = |key: &Value| {
        let members: &[&str] = match key["kty"].as_str() {
            Some("RSA") => &["e", "kty", "n"],
            Some("OKP") => &["crv", "kty", "x"],
            _ => &["crv", "kty", "x", "y"],
        };
        let members: serde_json::Map<String, Value> =
            members.iter().map(|name| ((*name).to_owned(), key[*name].clone())).collect();
        let digest =
            ring::digest::digest(&ring::digest::SHA256, Value::Object(members).to_string().as_bytes());
        base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, digest)
    };
    keys.iter().map(canonical).collect()
}

#[test]
fn a_secret_can_be_registered_with_its_end() {
    let place = Place::new();
    place.add("c1", &["--secret-expires", "90d"]);
    place.run(&["client", "secret", "add", "c1", "--secret-expires", "2h"]).done();
    let shown = place.run(&["client", "show", "c1", "--json"]).done().json();
    let secrets = shown["secrets"].as_array().unwrap();
    let ends = |secret: &Value| {
        let at = |name: &str| secret[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
        at("expires_at") - at("created_at")
    };
    let mut lengths: Vec<i64> = secrets.iter().map(ends).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [2 * 3600, 90 * 86_400]);
    let said = place.run(&["client", "add", "c2", "--auth-method", "federated", "--secret-expires", "90d"]);
    assert!(said.code == 2 && said.err.contains("client_secret"), "{}", said.err);
    // A server keeps to it.
    let server = place.serve(&[]);
    let secret = place.add("short", &["--secret-expires", "2s"]);
    within_a_second("it has expired", || server.ask("short", &secret).status == 401);
}

#[test]
fn check_lists_secrets_that_are_older_than_a_year() {
    let place = Place::new();
    place.add("c1", &[]);
    place.add("c2", &[]);
    let about_age =
        || place.run(&["check"]).out.lines().filter(|line| line.contains("more than 365d ago")).count();
    assert_eq!(about_age(), 0);
    if !place.sql("UPDATE client_secrets SET created_at = created_at - 366 * 86400 WHERE client_id = 'c1'") {
        return;
    }
    assert_eq!(about_age(), 1);
    place.run(&["client", "disable", "c1"]).done();
    assert_eq!(about_age(), 0);
}

#[test]
fn check_lists_clients_whose_last_secret_ends_soon() {
    let place = Place::new();
    place.add("soon", &["--secret-expires", "13d"]);
    place.add("later", &["--secret-expires", "15d"]);
    place.add("both", &["--secret-expires", "1d"]);
    place.run(&["client", "secret", "add", "both"]).done();
    let said = place.run(&["check"]).done();
    let ending: Vec<&str> = said.out.lines().filter(|line| line.contains("last live secret of")).collect();
    assert!(ending.len() == 1 && ending[0].contains("tokenberg client secret add soon"), "{}", said.out);
}

#[test]
fn labels_say_who_is_responsible_and_change_nothing_else() {
    let place = Place::new();
    let secret = place.add("etl", &["--label", "owner=alice", "--label", "description=nightly loads"]);
    place.add("dbt", &["--label", "owner=bob"]);
    place.add("spark", &[]);
    let listed = |label: &str| -> Vec<String> {
        let list = place.run(&["client", "list", "--label", label, "--json"]).done().json();
        list.as_array().unwrap().iter().map(|one| one["client_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed("owner=alice"), ["etl"]);
    assert_eq!(listed("owner="), ["spark"]);
    place.run(&["client", "change", "etl", "--label", "owner=bob", "--label", "team/cost-center=42"]).done();
    assert_eq!(listed("owner=bob"), ["dbt", "etl"]);
    place.run(&["client", "change", "etl", "--label", "description="]).done();
    let shown = place.run(&["client", "show", "etl", "--json"]).done().json();
    assert_eq!(shown["labels"], json!({"owner": "bob", "team/cost-center": "42"}));
    assert!(place.run(&["client", "show", "etl"]).done().out.contains("owner=bob, team/cost-center=42"));
    for wrong in ["owner", "=x", "a b=c", "owner=a\u{1b}[2J"] {
        assert_eq!(place.run(&["client", "change", "etl", "--label", wrong]).code, 2, "{wrong:?}");
    }
    let server = place.serve(&[]);
    assert_eq!(server.ask("etl", &secret).status, 200);
    drop(server);
    place.run(&["audit", "verify"]).done();
}

#[test]
fn a_scope_with_a_comma_is_pointed_out() {
    let place = Place::new();
    for (command, warns) in [
        (&["client", "add", "a", "--scope", "catalog,ns:read"][..], true),
        (&["client", "add", "b", "--scope", "catalog ns:read"], false),
        (&["client", "change", "b", "--scope", "catalog PRINCIPAL_ROLE:a,PRINCIPAL_ROLE:b"], true),
        (&["client", "change", "b", "--token-lifetime", "5m"], false),
    ] {
        let said = place.run(command).done();
        assert_eq!(said.err.contains("separate scopes by spaces"), warns, "{command:?}: {}", said.err);
    }
}
