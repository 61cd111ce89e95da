//! The command as a client, also of hostile servers: `token`, `inspect`, `verify`.

use crate::support::{Place, Server};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Stdio;
use tokenberg_testkit::ForeignKey;

fn place_with_client() -> (Place, Server) {
    let place = Place::new();
    let server = place.serve(&[]);
    let secret = place.add("spark", &["--audience", "https://lake.example"]);
    place.file("spark.secret", &format!("{secret}\n"));
    crate::support::within_a_second("the client is there", || server.ask("spark", &secret).status == 200);
    (place, server)
}

#[test]
fn a_token_is_fetched_inspected_and_verified() {
    let (place, server) = place_with_client();
    let who = ["token", "--server", &server.url, "--client-id", "spark", "--secret-file", "spark.secret"];
    let said = place.run(&who).done();
    let token = said.out.strip_suffix('\n').unwrap();
    assert!(said.err.is_empty() && !token.contains('\n') && token.split('.').count() == 3);
    place.file("token", token);
    for more in [
        &["--basic"][..],
        &["--scope", "catalog PRINCIPAL_ROLE:ALL"],
        &["--audience", "https://lake.example"],
    ] {
        place.run(&[&who[..], more].concat()).done();
    }
    let whole = place.run(&[&who[..], &["--json"]].concat()).done().json();
    assert_eq!((whole["token_type"].as_str(), whole["expires_in"].as_i64()), (Some("bearer"), Some(3600)));
    // The address of the endpoint itself, the credential from the environment, the secret from standard input.
    let secret = std::fs::read_to_string(place.path("spark.secret")).unwrap();
    let variables = [("TOKENBERG_CLIENT_ID", "spark"), ("TOKENBERG_CLIENT_SECRET", secret.trim_end())];
    place.run_with(&["token", "--server", &server.endpoint()], "", &variables).done();
    place
        .run_with(
            &["token", "--server", &server.url, "--client-id", "spark", "--secret-file", "-"],
            &secret,
            &[],
        )
        .done();

    let seen = place.run(&["inspect", "token"]).done().out;
    assert!(
        seen.starts_with("NOT VERIFIED") && seen.contains("\"at+jwt\"") && seen.contains("Z (in "),
        "{seen}"
    );
    let seen = place.run_with(&["inspect", "--json"], token, &[]).done().json();
    assert_eq!((seen["verified"].as_bool(), seen["claims"]["sub"].as_str()), (Some(false), Some("spark")));

    let verify = |more: &[&str]| place.run(&[&["verify", "token", "--issuer", &server.url], more].concat());
    let said = verify(&["--audience", "https://lake.example"]).done();
    assert!(said.out.starts_with("valid") && said.err.is_empty(), "{} {}", said.out, said.err);
    let said = verify(&["--json"]).done();
    assert!(said.err.contains("the audience was not checked"), "{}", said.err);
    assert_eq!(
        (said.json()["valid"].as_bool(), said.json()["audience_checked"].as_bool()),
        (Some(true), Some(false))
    );
    let said = verify(&["--audience", "https://other.example"]).refused();
    for part in ["not valid", r#"its aud is ["https://lake.example"]"#, r#"one of ["https://other.example"]"#]
    {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    assert_eq!(verify(&["--audience", "x", "--json"]).json()["valid"], false);
    // Issuers are compared exactly: the same server under another name is another issuer.
    let other = server.url.replace("127.0.0.1", "localhost");
    let said = place.run(&["verify", "token", "--issuer", &other]).refused();
    assert!(
        said.err.contains(&format!(r#"its iss is "{}"; it has to be "{other}""#, server.url)),
        "{}",
        said.err
    );
    let (head, signature) = token.rsplit_once('.').unwrap();
    let changed = format!("{head}.{}{}", if signature.starts_with('A') { "B" } else { "A" }, &signature[1..]);
    let said = place.run_with(&["verify", "--issuer", &server.url], &changed, &[]).refused();
    assert!(said.err.contains("signature"), "{}", said.err);
}

#[test]
fn a_token_is_renewed_with_itself_and_exchanged_with_a_credential() {
    let (place, server) = place_with_client();
    let who = ["--client-id", "spark", "--secret-file", "spark.secret"];
    let get = ["token", "--server", &server.url];
    let token = place.run(&[&get[..], &who].concat()).done().out;
    place.file("old", &token);
    let exchange = ["--subject-token-file", "old", "--subject-token-type", "access_token"];
    let renewed = place.run(&[&get[..], &exchange].concat()).done().out;
    assert_ne!(renewed, token);
    let urn = "urn:ietf:params:oauth:token-type:access_token";
    let more = ["--requested-token-type", urn, "--actor-token-file", "old", "--actor-token-type", urn];
    place.run(&[&get[..], &exchange, &more, &who].concat()).done();
    place.run(&[&get[..], &exchange, &more].concat()).done();
    // Refusals are reported with code and description.
    let said = place.run(&[&get[..], &who, &["--scope", "admin"]].concat()).refused();
    assert!(said.err.contains("invalid_scope") && said.out.is_empty(), "{}", said.err);
    place.file("wrong", "nonsense");
    let said = place.run(&[&get[..], &["--client-id", "spark", "--secret-file", "wrong"]].concat()).refused();
    assert!(said.err.contains("401") && said.err.contains("invalid_client"), "{}", said.err);
    for wrong in [
        &["--client-id", "spark"][..],
        &["--basic"],
        &["--subject-token-file", "old"],
        &["--subject-token-type", "access_token"],
        &["--secret-file", "spark.secret"],
        &["--subject-token-file", "old", "--subject-token-type", "bearer"],
        &[
            "--client-id",
            "spark",
            "--secret-file",
            "-",
            "--subject-token-file",
            "-",
            "--subject-token-type",
            "jwt",
        ],
    ] {
        let said = place.run(&[&get[..], wrong].concat());
        assert_eq!(said.code, 2, "{wrong:?} {}", said.err);
    }
}

/// Answers each connection with one text, and returns the request.
fn answers(text: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 8192];
        let mut length = 0;
        // Head and body may arrive separately.
        while !String::from_utf8_lossy(&request[..length]).contains("client_secret") {
            let read = stream.read(&mut request[length..]).unwrap();
            if read == 0 {
                break;
            }
            length += read;
        }
        stream.write_all(text.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    (url, thread)
}

#[test]
fn ht_21_a_redirect_is_an_error_and_not_followed() {
    let place = Place::new();
    place.file("secret", "s1-Z7-long-enough");
    for status in ["301", "302", "303", "307", "308"] {
        let target = TcpListener::bind("127.0.0.1:0").unwrap();
        target.set_nonblocking(true).unwrap();
        let text: &'static str = format!(
            "HTTP/1.1 {status} Elsewhere\r\nLocation: http://{}/v1/oauth/tokens\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            target.local_addr().unwrap()
        )
        .leak();
        let (url, thread) = answers(text);
        let said =
            place.run(&["token", "--server", &url, "--client-id", "c1", "--secret-file", "secret"]).refused();
        assert!(said.err.contains("redirect"), "{}", said.err);
        thread.join().unwrap();
        assert!(target.accept().is_err(), "{status} was followed");
    }
}

#[test]
fn ht_19_a_secret_is_not_sent_over_plain_http() {
    let place = Place::new();
    place.file("secret", "s1-Z7-long-enough");
    let said = place.run(&[
        "token",
        "--server",
        "http://tokens.example",
        "--client-id",
        "c1",
        "--secret-file",
        "secret",
    ]);
    assert!(said.refused().err.contains("https"));
}

#[test]
fn an_invalid_response_is_distinguished_from_a_refusal() {
    let place = Place::new();
    place.file("secret", "s1-Z7-long-enough");
    for (status, body, word) in [
        ("200 OK", "{}", "token_type"),
        ("502 Bad", "<html>", "token endpoint?"),
        ("400 No", r#"{"error":"invalid_grant\u001b","more":null}"#, "invalid_grant"),
    ] {
        let length = body.len();
        let text: &'static str =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
                .leak();
        let (url, thread) = answers(text);
        let said =
            place.run(&["token", "--server", &url, "--client-id", "c1", "--secret-file", "secret"]).refused();
        assert!(said.err.contains(word) && !said.err.contains('\u{1b}'), "{}", said.err);
        assert!(thread.join().unwrap().contains("client_secret=s1-Z7-long-enough"));
    }
    let said = place.run(&[
        "token",
        "--server",
        "http://127.0.0.1:1",
        "--client-id",
        "c",
        "--secret-file",
        "secret",
    ]);
    assert!(said.refused().err.contains("cannot send a request"));
}

#[test]
fn inspect_prints_tokens_that_tokenberg_would_refuse() {
    let place = Place::new();
    // {"alg":"none"} and {"sub":"x","exp":1}, without a signature.
    let said = place.run_with(&["inspect"], "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4IiwiZXhwIjoxfQ.", &[]).done();
    assert!(
        said.out.contains("its alg is none, so it is not signed") && said.out.contains("ago)"),
        "{}",
        said.out
    );
    // The forms in which people have a token.
    let token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4IiwiZXhwIjoxfQ.";
    for text in [format!("Bearer {token}"), format!(r#"{{"access_token":"{token}","token_type":"bearer"}}"#)]
    {
        let said = place.run_with(&["inspect", "--json"], &text, &[]).done();
        assert_eq!(said.json()["claims"]["sub"], "x", "{text}");
    }
    let said = place.run(&["inspect", token]).done();
    assert!(said.out.contains(r#""sub": "x""#) && said.err.contains("history"), "{}", said.err);
    for wrong in [&["inspect", "Bearer", token][..], &["token", "--subject-token", token], &["verify", token]]
    {
        let said = place.run(wrong);
        assert!(said.code == 2 && !said.err.contains("eyJzdWIi"), "{wrong:?} {}", said.err);
    }
    for (text, why) in
        [("", "no token"), ("a.b", "three segments"), ("a.b.c.d.e", "encrypted"), ("é.b.c", "base64url")]
    {
        assert!(place.run_with(&["inspect"], text, &[]).refused().err.contains(why), "{text}");
    }
}

#[test]
fn an_id_token_of_an_issuer_is_verified_for_its_client() {
    let place = Place::new();
    let key = ForeignKey::new(Some("k1"));
    // A provider that publishes its keys: metadata at the second address, as OpenID Connect has it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let (named, jwks) = (issuer.clone(), key.jwks());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            let (status, body) = match line.split(' ').nth(1) {
                Some("/.well-known/openid-configuration") => {
                    ("200 OK", format!(r#"{{"issuer":"{named}","jwks_uri":"{named}/keys"}}"#))
                }
                Some("/keys") => ("200 OK", jwks.to_string()),
                _ => ("404 Not Found", String::new()),
            };
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    let sign = |changes: Value| key.sign(&crate::foreign::claims(&issuer, "ada", "app", &changes));
    let verify = |token: &str, more: &[&str]| {
        place.run_with(&[&["verify", "--issuer", &issuer], more].concat(), token, &[])
    };
    let token = sign(json!({"azp": "app"}));
    let said = verify(&token, &["--id-token", "--audience", "app"]).done();
    assert!(said.out.starts_with("valid") && said.out.contains("ada") && said.err.is_empty(), "{}", said.out);
    let said = verify(&token, &["--id-token", "--json"]).done();
    assert!(
        said.json()["claims"]["sub"] == "ada" && said.err.contains("the token is for app"),
        "{}",
        said.err
    );
    let said = verify(&token, &["--audience", "app"]).refused();
    assert!(said.err.contains("--id-token verifies an ID token"), "{}", said.err);
    for (changes, audience, why) in [
        (json!({}), "other", r#"its aud is "app"; a token of"#),
        (json!({"azp": "other"}), "app", "azp"),
        (json!({"iss": "https://other.example"}), "app", "its iss is"),
        (json!({"exp": 1_700_000_000, "iat": 1_699_999_000}), "app", "expired"),
    ] {
        let said = verify(&sign(changes), &["--id-token", "--audience", audience]).refused();
        assert!(said.err.contains(why), "{}", said.err);
    }
    let forged = ForeignKey::new(Some("k1")).sign(&crate::foreign::claims(&issuer, "ada", "app", &json!({})));
    assert!(verify(&forged, &["--id-token", "--audience", "app"]).refused().err.contains("signature"));
}

#[test]
fn inspect_says_on_a_terminal_what_it_waits_for() {
    let (mut ours, theirs) = crate::support::terminal();
    let place = Place::new();
    let mut command = place.command();
    let command = command.arg("inspect").stdin(theirs).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("a token from standard input") && line.contains("Ctrl-D"), "{line}");
    ours.write_all(b"eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4IiwiZXhwIjoxfQ.\n\x04").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains(r#""sub": "x""#));
}
