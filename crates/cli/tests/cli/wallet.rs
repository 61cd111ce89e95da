//! The command as a wallet: kept tokens, commands with a token in their environment, and every way to authenticate.

use crate::foreign::{assertion_form, claims};
use crate::proving::{authority, certified_pem};
use crate::support::{Place, Said, Server, files, within_a_second};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::KeyPair;
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;
use tokenberg_testkit::ForeignKey;

/// A server with the client `spark`, whose credential is in a file.
fn place_with_credential(terms: &[&str]) -> (Place, Server) {
    let place = Place::new();
    let server = place.serve(&[]);
    let secret = place.add("spark", terms);
    place.file("credential", &format!("spark:{secret}\n"));
    within_a_second("the client is there", || server.ask("spark", &secret).status == 200);
    (place, server)
}

/// Runs the command with its own state directory.
fn run(place: &Place, url: &str, arguments: &[&str]) -> Said {
    let (command, rest) = arguments.split_first().unwrap();
    let state = place.path("state").display().to_string();
    let line = [&[*command, "--server", url], rest].concat();
    place.run_with(&line, "", &[("XDG_STATE_HOME", &state)])
}

const TOKEN: [&str; 4] = ["token", "--secret-file", "credential", "--cache"];

fn kept(place: &Place) -> Vec<PathBuf> {
    let all = files(&place.path("state")).into_iter().map(|(path, _)| path);
    all.filter(|path| path.extension().is_some_and(|kind| kind == "json")).collect()
}

#[test]
fn a_kept_token_is_used_until_it_has_to_be_renewed() {
    let (place, server) = place_with_credential(&["--scope", "catalog sign"]);
    let token = |more: &[&str]| run(&place, &server.url, &[&TOKEN[..], more].concat()).done();
    let first = token(&[]).out;
    assert_eq!(token(&[]).out, first);
    assert_eq!(token(&["--valid-for", "59m"]).out, first);
    assert_eq!(token(&["--header"]).out, format!("Authorization: Bearer {first}"));
    let whole = token(&["--json"]).json();
    assert!(whole["access_token"] == first.trim() && whole["expires_in"].as_u64() <= Some(3600), "{whole}");
    // Everything that decides what the token is has its own.
    let other = token(&["--scope", "sign"]).out;
    assert_ne!(other, first);
    // Without --cache, it is a new one, and the kept one stays.
    let fresh = run(&place, &server.url, &["token", "--secret-file", "credential"]).done().out;
    assert!(fresh != first && token(&[]).out == first && token(&["--scope", "sign"]).out == other);
    let longer = token(&["--valid-for", "2h"]);
    assert!(longer.out != first && longer.err.contains("less than --valid-for 2h"), "{}", longer.err);
    assert_eq!(token(&[]).out, longer.out);

    let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let directory = place.path("state/tokenberg/tokens");
    assert_eq!((kept(&place).len(), mode(&directory)), (2, 0o700));
    let secret = fs::read_to_string(place.path("credential")).unwrap();
    let secret = secret.trim_end().split_once(':').unwrap().1;
    for (path, content) in files(&directory) {
        assert_eq!(mode(&path), 0o600, "{path:?}");
        assert!(!String::from_utf8(content).unwrap().contains(secret), "{path:?}");
    }
    // Files that others can access, or that hold something else, do not count.
    for spoil in [
        |path: &PathBuf| fs::set_permissions(path, Permissions::from_mode(0o640)),
        |path: &PathBuf| fs::write(path, "{}"),
    ] {
        let before = token(&[]).out;
        kept(&place).iter().for_each(|path| spoil(path).unwrap());
        assert_ne!(token(&[]).out, before);
    }
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    let said = token(&[]);
    assert!(said.err.contains("the token is not kept") && said.err.contains("chmod 700"), "{}", said.err);
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();

    // A server that is away is no reason to fail while the kept token is valid.
    let before = token(&[]).out;
    let url = server.url.clone();
    drop(server);
    let said = run(&place, &url, &[&TOKEN[..], &["--valid-for", "2h"]].concat()).done();
    assert!(said.out == before && said.err.contains("still valid"), "{}", said.err);
    assert!(
        run(&place, &url, &["token", "--secret-file", "credential"])
            .refused()
            .err
            .contains("no server listens")
    );
}

#[test]
fn several_processes_request_one_token() {
    let (place, server) = place_with_credential(&[]);
    let state = place.path("state").display().to_string();
    let start = || {
        let mut command = place.command();
        command.args(TOKEN).args(["--server", &server.url]).env("XDG_STATE_HOME", &state);
        command.stdout(Stdio::piped()).spawn().unwrap()
    };
    let printed = |child: Child| String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let children = [(); 4].map(|()| start());
    let tokens = children.map(printed);
    assert!(tokens.iter().all(|token| *token == tokens[0] && !token.is_empty()));

    // Another process renews the token: this one waits, and takes what the other has kept.
    let [path] = &kept(&place)[..] else { panic!("one token") };
    let text = fs::read_to_string(path).unwrap();
    let first = path.file_name().unwrap().to_str().unwrap().chars().next().unwrap();
    let lock = fs::File::open(path.with_file_name(format!("lock-{first}"))).unwrap();
    lock.lock().unwrap();
    fs::remove_file(path).unwrap();
    let mut waiting = start();
    for _ in 0..100 {
        assert!(waiting.try_wait().unwrap().is_none(), "it did not wait");
        std::thread::sleep(Duration::from_millis(10));
    }
    fs::write(path, text.replace(tokens[0].trim(), "kept-by-another")).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    drop(lock);
    assert_eq!(printed(waiting), "kept-by-another\n");
}

#[test]
fn the_result_of_an_exchange_is_renewed_with_itself() {
    let (place, server) = place_with_credential(&[]);
    let old = run(&place, &server.url, &["token", "--secret-file", "credential"]).done().out;
    place.file("old", &old);
    let exchange = ["--subject-token-file", "old", "--subject-token-type", "access_token"];
    let token = || run(&place, &server.url, &[&TOKEN[..], &exchange, &["--valid-for", "2h"]].concat());
    let first = token().done().out;
    // The secret is wrong now, so only the token itself authenticates the renewal.
    place.file("credential", "spark:another-secret-than-before\n");
    assert_ne!(token().done().out, first);
    kept(&place).iter().for_each(|path| fs::remove_file(path).unwrap());
    assert!(token().refused().err.contains("401 invalid_client"));
}

#[test]
fn a_command_gets_the_token_and_no_secret() {
    let (place, server) = place_with_credential(&[]);
    let credential = fs::read_to_string(place.path("credential")).unwrap();
    let (_, secret) = credential.trim_end().split_once(':').unwrap();
    let state = place.path("state").display().to_string();
    let variables =
        [("XDG_STATE_HOME", &*state), ("TOKENBERG_CLIENT_ID", "spark"), ("TOKENBERG_CLIENT_SECRET", secret)];
    let exec = |more: &[&str], script: &str| {
        let line = [&["exec", "--server", &server.url], more, &["--", "sh", "-c", script]].concat();
        place.run_with(&line, "", &variables)
    };
    let token = exec(&[], "printf %s \"$TOKENBERG_ACCESS_TOKEN\"").done().out;
    assert_eq!(token.split('.').count(), 3);
    let both = exec(&["--env", "LAKE_TOKEN"], "echo \"$LAKE_TOKEN ${TOKENBERG_CLIENT_SECRET-none}\"").done();
    assert_eq!((both.out, both.err), (format!("{token} none\n"), String::new()));
    assert_ne!(exec(&["--no-cache"], "printf %s \"$TOKENBERG_ACCESS_TOKEN\"").done().out, token);
    assert_eq!(exec(&[], "exit 7").code, 7);
    // A command of ours does not warn of the variable.
    let nested = format!("printenv TOKENBERG_ACCESS_TOKEN | {} inspect", env!("CARGO_BIN_EXE_tokenberg"));
    let said = exec(&[], &nested).done();
    assert!(said.out.starts_with("NOT VERIFIED") && said.err.is_empty(), "{}", said.err);
    let line = ["exec", "--server", &server.url, "--", "no-such-command"];
    let said = place.run_with(&line, "", &variables);
    assert!(said.code == 127 && said.err.contains("cannot run no-such-command"), "{}", said.err);
    assert_eq!(exec(&["--env", "A-B"], "true").code, 2);
    assert_eq!(place.run_with(&["exec", "--server", &server.url], "", &variables).code, 2);
}

/// A new P-256 key: PKCS#8 as PEM, and a set with its public half.
fn key(kid: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let point = key.public_key_raw().to_vec();
    let [x, y] = [&point[1..33], &point[33..]].map(|half| URL_SAFE_NO_PAD.encode(half));
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid});
    (key.serialize_pem(), json!({"keys": [jwk]}).to_string())
}

#[test]
fn cj_01_a_client_signs_its_assertions() {
    let place = Place::new();
    let server = place.serve(&[]);
    let (pem, jwks) = key("k1");
    place.file("jwks.json", &jwks);
    place.file("key.pem", &pem);
    fs::set_permissions(place.path("key.pem"), Permissions::from_mode(0o600)).unwrap();
    place.run(&["client", "add", "job", "--auth-method", "private_key_jwt", "--jwks", "jwks.json"]).done();
    let token = |more: &[&str]| {
        let line = ["token", "--client-id", "job", "--assertion-key", "key.pem"];
        run(&place, &server.url, &[&line[..], more].concat())
    };
    within_a_second("the client is there", || token(&[]).code == 0);
    for more in [&["--assertion-kid", "k1"][..], &["--assertion-audience", &server.url], &["--cache"]] {
        let said = token(more).done();
        assert!(said.err.is_empty(), "{}", said.err);
    }
    assert!(token(&["--assertion-audience", "https://other.example"]).refused().err.contains("401"));
    // Of two registered keys, the assertion has to name one.
    let [first, second] =
        [jwks, key("k2").1].map(|set| serde_json::from_str::<Value>(&set).unwrap()["keys"][0].take());
    place.file("both.json", &json!({"keys": [first, second]}).to_string());
    place.run(&["client", "add", "both", "--auth-method", "private_key_jwt", "--jwks", "both.json"]).done();
    let of_both = |more: &[&str]| {
        let line = ["token", "--client-id", "both", "--assertion-key", "key.pem"];
        run(&place, &server.url, &[&line[..], more].concat())
    };
    within_a_second("the other client is there", || of_both(&["--assertion-kid", "k1"]).code == 0);
    assert!(of_both(&[]).refused().err.contains("401") && of_both(&["--assertion-kid", "k2"]).code == 1);
    fs::set_permissions(place.path("key.pem"), Permissions::from_mode(0o644)).unwrap();
    assert!(token(&[]).err.contains("chmod 600"));
    fs::set_permissions(place.path("key.pem"), Permissions::from_mode(0o600)).unwrap();
    place.file("key.pem", "nonsense");
    assert!(token(&[]).refused().err.contains("cannot use the key in key.pem"));
}

#[test]
fn wl_10_a_projected_token_authenticates_and_its_successor_gets_the_same_kept_token() {
    let place = Place::new();
    let cluster = ForeignKey::new(Some("c1"));
    place.file("cluster.json", &cluster.jwks());
    let (issuer, account) = ("https://k8s.example", "system:serviceaccount:jobs:etl");
    place.run(&["issuer", "add", issuer, "--jwks", "cluster.json"]).done();
    place.run(&["client", "add", "etl", "--auth-method", "federated"]).done();
    place.run(&["client", "federate", "etl", "--issuer", issuer, "--subject", account]).done();
    let server = place.serve(&[]);
    let project = |id: &str| {
        let token = cluster.sign(&claims(issuer, account, &server.url, &json!({"jti": id})));
        place.file("projected", &token);
        token
    };
    let token = || run(&place, &server.url, &["token", "--client-assertion-file", "projected", "--cache"]);
    assert_eq!(server.tokens(&assertion_form(&project("1"))).status, 200);
    let first = token().done().out;
    project("2");
    assert_eq!(token().done().out, first);
    let other = cluster.sign(&claims(issuer, "system:serviceaccount:jobs:other", &server.url, &json!({})));
    place.file("projected", &other);
    assert!(token().refused().err.contains("401"));
}

#[test]
fn mt_01_a_client_presents_its_certificate() {
    let place = Place::new();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    place.file("key.pem", &made.signing_key.serialize_pem());
    place.file("cert.pem", &made.cert.pem());
    let authority = authority();
    place.file("ca.pem", &authority.pem);
    let (cert, key) = certified_pem(&authority);
    place.file("spark.pem", &cert);
    place.file("spark.key", &key);
    let added =
        ["client", "add", "spark", "--auth-method", "tls_client_auth", "--tls-subject", "cn=spark, o=Test"];
    place.run(&added).done();
    let server =
        place.serve(&["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--tls-client-ca", "ca.pem"]);
    let token = |more: &[&str]| {
        let line = ["token", "--client-id", "spark", "--ca-file", "cert.pem"];
        run(&place, &server.url, &[&line[..], more].concat())
    };
    let said = token(&["--cert", "spark.pem", "--key", "spark.key", "--cache"]).done();
    place.file("token", &said.out);
    let claims = place.run(&["inspect", "token", "--json"]).done().json();
    assert!(claims["claims"]["cnf"]["x5t#S256"].is_string(), "{claims}");
    assert_eq!(token(&["--cert", "spark.pem", "--key", "key.pem"]).refused().out, "");
    assert_eq!(token(&["--cert", "spark.pem"]).code, 2);
    assert!(token(&[]).err.contains("--cert"));

    // What to do is said where the protocol on the port is another one, or the authority is unknown.
    let plain = server.url.replace("https://", "http://");
    let said =
        run(&place, &plain, &["token", "--cert", "spark.pem", "--key", "spark.key", "--client-id", "spark"]);
    assert!(said.err.contains("try https://") && said.err.contains(&plain), "{}", said.err);
    let line = ["token", "--cert", "spark.pem", "--key", "spark.key", "--client-id", "spark"];
    assert!(run(&place, &server.url, &line).refused().err.contains("--ca-file"));
}

#[test]
fn dp_05_a_token_is_bound_to_a_key_and_presented_with_proofs() {
    let place = Place::new();
    let (pem, _) = key("k1");
    place.file("key.pem", &pem);
    fs::set_permissions(place.path("key.pem"), Permissions::from_mode(0o600)).unwrap();
    let server = place.serve(&["--require-dpop-nonce"]);
    let secret = place.add("spark", &[]);
    place.file("credential", &format!("spark:{secret}"));
    let token =
        |more: &[&str]| run(&place, &server.url, &[&TOKEN[..], &["--dpop-key", "key.pem"], more].concat());
    within_a_second("the client is there", || token(&["--json"]).code == 0);
    assert_eq!(token(&["--json"]).json()["token_type"], "DPoP");
    assert!(token(&["--header"]).err.contains("--request"));
    let header =
        token(&["--header", "--request", "GET https://lake.example/v1/config?warehouse=w"]).done().out;
    let (authorization, proof) = header.split_once("\nDPoP: ").unwrap();
    let token = authorization.strip_prefix("Authorization: DPoP ").unwrap();
    let part = |part: usize| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(proof.split('.').nth(part).unwrap()).unwrap()).unwrap()
    };
    assert_eq!(part(0)["jwk"].as_object().unwrap().len(), 4);
    assert_eq!((&part(1)["htu"], &part(1)["htm"]), (&json!("https://lake.example/v1/config"), &json!("GET")));
    let hash = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
    assert_eq!(part(1)["ath"], URL_SAFE_NO_PAD.encode(hash));
}

#[test]
fn se_08_a_secret_that_cannot_be_right_is_not_sent() {
    let place = Place::new();
    let whole = place.add("spark", &[]);
    // No server is needed: nothing is sent.
    let url = "http://127.0.0.1:1";
    for (content, why) in [
        ("", "secret is empty"),
        ("\n", "secret is empty"),
        (&whole[..40], "checksum is wrong"),
        (&format!("{whole}\n\n"), "and more"),
        (&format!("\"{whole}\""), "and more"),
        ("chosen-secret\n\n", "contains a line end"),
        ("chosen\u{7}secret", "not printable ASCII"),
    ] {
        place.file("secret", content);
        let said = run(&place, url, &["token", "--client-id", "spark", "--secret-file", "secret"]).refused();
        assert!(said.err.contains(why) && !said.err.contains(&whole[..40]), "{content:?}: {}", said.err);
    }
    // With the same client ID in front it is the same credential; with another one nothing is sent.
    place.file("secret", &format!("spark:{whole}"));
    let said = run(&place, url, &["token", "--client-id", "spark", "--secret-file", "secret"]).refused();
    assert!(said.err.contains("where no server listens"), "{}", said.err);
    place.file("secret", &format!("other:{whole}"));
    let said = run(&place, url, &["token", "--client-id", "spark", "--secret-file", "secret"]);
    assert!(said.code == 2 && said.err.contains("of the client other"), "{}", said.err);
    place.file("secret", &whole);
    let said = run(&place, url, &["token", "--secret-file", "secret"]);
    assert!(said.code == 2 && said.err.contains("ID:SECRET") && !said.err.contains(&whole), "{}", said.err);
    let said = run(&place, url, &["token", "--client-id", "spark", "--secret-file", "secret"]).refused();
    assert!(said.err.contains("http://127.0.0.1:1/v1/oauth/tokens, where no server listens"), "{}", said.err);
}

#[test]
fn errors_name_the_address_and_what_to_do() {
    let (place, server) = place_with_credential(&[]);
    let token = |url: &str| run(&place, url, &["token", "--secret-file", "credential"]).refused().err;
    let tls = server.url.replace("http://", "https://");
    let said = token(&tls);
    assert!(said.contains(&tls) && said.contains("does not speak TLS"), "{said}");
    let said = token(&format!("{}/foo", server.url));
    assert!(said.contains("/foo/v1/oauth/tokens") && said.contains("check the path of --server"), "{said}");
    let said =
        run(&place, &server.url, &["token", "--secret-file", "credential", "--scope", "admin"]).refused().err;
    assert!(
        said.contains(&format!("{} refused", server.endpoint())) && said.contains("invalid_scope"),
        "{said}"
    );
}
