//! Secrets do not leak into logs, arguments or files: conformance SE-01, SE-03, SE-04 and SE-05.

use crate::support::{Place, files, get, post, within_a_second};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::fs;

/// The text in all forms in which it could appear in a log.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![
        secret.to_owned(),
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        secret.bytes().map(|b| format!("{b:02x}")).collect(),
        format!("{:?}", secret.as_bytes()).trim_matches(['[', ']']).to_owned(),
    ];
    forms.dedup();
    forms
}

#[test]
fn se_01_no_secret_reaches_the_log_even_at_trace() {
    let place = Place::new();
    let chosen = "p+a%ss:w&=/ chosen~";
    let variables = [("RUST_LOG", "trace"), ("TOKENBERG_BOOTSTRAP_CREDENTIAL", "root:first/secret+of=root")];
    let server = place.serve_with(&["--log-format", "json", "--ops-listen", "127.0.0.1:0"], &variables);
    let generated = place.add("c1", &[]);
    place.run_with(&["client", "add", "c2", "--secret-file", "-"], chosen, &[("RUST_LOG", "trace")]).done();
    let encoded = utf8_percent_encode(chosen, NON_ALPHANUMERIC).to_string();
    within_a_second("the clients are there", || server.ask("c2", &encoded).status == 200);
    let mut hidden = vec![generated.clone(), chosen.to_owned(), "first/secret+of=root".to_owned()];

    let tokens = [
        server.ask("c1", &generated).token(),
        server.ask("c2", &encoded).token(),
        server.ask("root", "first%2Fsecret%2Bof%3Droot").token(),
    ];
    let exchange = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange";
    let kind = "urn:ietf:params:oauth:token-type:access_token";
    for (token, other) in [(&tokens[0], &tokens[1]), (&tokens[1], &tokens[2])] {
        let form = format!("{exchange}&subject_token={token}&subject_token_type={kind}");
        hidden.push(post(&server.endpoint(), Some(&format!("Bearer {token}")), &form).token());
        post(&server.endpoint(), Some(&format!("Bearer {other}")), &form);
        post(
            &server.endpoint(),
            None,
            &format!("{form}&client_id=c1&client_secret={generated}&actor_token={other}"),
        );
    }
    hidden.extend(tokens);
    // A wrong, misplaced or unreadable secret is as secret as any other.
    for wrong in ["wrong-secret-000", "wrong-secret-111", "wrong-secret-222", "wrong-secret-333"] {
        hidden.push(wrong.to_owned());
    }
    server.ask("c1", "wrong-secret-000");
    post(
        &server.endpoint(),
        Some(&format!("Basic {}", STANDARD.encode("c1:wrong-secret-111"))),
        "grant_type=client_credentials",
    );
    post(
        &server.endpoint(),
        Some("Bearer wrong-secret-222"),
        &format!("{exchange}&subject_token=wrong-secret-222"),
    );
    post(
        &format!("{}?client_secret=wrong-secret-333", server.endpoint()),
        None,
        "grant_type=client_credentials",
    );
    get(&format!("{}/v1/oauth/tokens?client_secret=wrong-secret-333", server.url));

    let log = server.log();
    assert!(log.contains("\"level\":\"TRACE\"") && log.matches("tokenberg::audit").count() > 8, "it did log");
    for secret in &hidden {
        for form in forms(secret) {
            assert!(!log.contains(&form), "{form} is in the log");
        }
    }
    // Half a token is too much as well: no signature is in the log.
    for token in hidden.iter().filter(|text| text.split('.').count() == 3) {
        assert!(!log.contains(token.rsplit('.').next().unwrap()));
    }
    let key = fs::read_to_string(place.path("tokenberg.db.key")).unwrap();
    assert!(!log.contains(key.trim()));
}

#[test]
fn se_01_explain_prints_no_secret_and_no_token_even_at_trace() {
    let place = Place::new();
    let server = place.serve(&["--issuer", "https://tokens.example"]);
    let generated = place.add("c1", &[]);
    within_a_second("the client is there", || server.ask("c1", &generated).status == 200);
    let token = server.ask("c1", &generated).token();
    let (wrong, misplaced) = ("wrong-secret-000", "misplaced-secret-111");
    let exchange = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange";
    let subject =
        format!("subject_token={token}&subject_token_type=urn:ietf:params:oauth:token-type:access_token");
    let bearer = place.file("bearer", &format!("Bearer {token}"));
    let basic = place.file("basic", &format!("Basic {}", STANDARD.encode(format!("{misplaced}:{wrong}"))));
    let who = format!("client_id=c1&client_secret={generated}");
    for (arguments, form) in [
        (&[][..], format!("grant_type=client_credentials&{who}")),
        (&[], format!("grant_type=client_credentials&{who}&scope=no")),
        (&[], format!("grant_type=client_credentials&client_id=c1&client_secret={wrong}")),
        (&[], format!("grant_type=client_credentials&client_id={misplaced}&client_secret={generated}")),
        (&[], format!("{exchange}&{who}&{subject}")),
        (&[], format!("{exchange}&{who}&{subject}&actor_token={wrong}&actor_token_type=x")),
        (&["--authorization-file", &bearer], format!("{exchange}&{subject}")),
        (&["--authorization-file", &basic], "grant_type=client_credentials".to_owned()),
    ] {
        for json in [&[][..], &["--json"]] {
            let command = [&["explain", "--issuer", "https://tokens.example"], arguments, json].concat();
            let said = place.run_with(&command, &form, &[("RUST_LOG", "trace")]);
            assert!(
                said.out.contains("client_credentials") || said.out.contains("token_exchange"),
                "{}",
                said.err
            );
            for secret in [generated.as_str(), wrong, misplaced].into_iter().chain(token.split('.')) {
                for form in forms(secret) {
                    let is_printed = said.out.contains(&form) || said.err.contains(&form);
                    assert!(!is_printed, "{form} is printed: {} {}", said.out, said.err);
                }
            }
        }
    }
}

#[test]
fn se_03_no_file_contains_a_secret_in_plain_text() {
    let place = Place::new();
    let server = place.serve(&[]);
    let generated = place.add("c1", &[]);
    within_a_second("the client is there", || server.ask("c1", &generated).status == 200);
    for (path, bytes) in files(&place.path("")) {
        for secret in [generated.as_str(), "first-secret-of-root"] {
            for form in forms(secret) {
                let found = bytes.windows(form.len()).any(|window| window == form.as_bytes());
                assert!(!found, "{form} is in {}", path.display());
            }
        }
    }
}

#[test]
fn se_04_no_secret_travels_in_arguments() {
    let place = Place::new();
    // The view of /proc of a command while it waits for its secret, and of a server.
    let server = place.serve(&[]);
    let mut child = place
        .command()
        .args(["client", "add", "c1", "--secret-file", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let arguments = fs::read(format!("/proc/{}/cmdline", child.id()));
    drop(child.stdin.take());
    child.wait().unwrap();
    if let Ok(arguments) = arguments {
        assert!(!String::from_utf8_lossy(&arguments).contains("secret-of-root"));
    } else {
        println!("SKIPPED: there is no /proc here");
    }
    drop(server);
    // No flag takes a secret.
    for flag in ["--secret", "--client-secret", "--password", "--token", "--key", "--credential"] {
        for command in [&["serve"][..], &["client", "add", "x"], &["token", "--server", "http://127.0.0.1:1"]]
        {
            let said = place.run(&[command, &[flag, "hush-hush-hush"]].concat());
            assert_eq!(said.code, 2, "{command:?} {flag}");
            assert!(!said.err.contains("hush-hush-hush"), "{}", said.err);
        }
    }
    // A generated secret is shown once and only there.
    let said = place.run(&["client", "add", "c2"]).done();
    let secret = said.out.split_whitespace().find(|word| word.starts_with("tkb")).unwrap().to_owned();
    for arguments in
        [&["client", "show", "c2"][..], &["client", "list"], &["client", "show", "c2", "--json"], &["check"]]
    {
        let said = place.run(arguments).done();
        assert!(!said.out.contains(&secret) && !said.err.contains(&secret));
        assert!(!said.out.contains("digest"));
    }
}

#[test]
fn se_05_input_of_a_client_stays_on_one_log_line() {
    let place = Place::new();
    for format in ["json", "text"] {
        let server = place.serve(&["--log-format", format, "--log", "info,tokenberg::audit=info"]);
        let id = "evil%0A%1B%5B31mINFO+forged%22%7D";
        server.ask(id, "x");
        server.ask("evil%22%7D%2C%7B%22level%22", "x");
        server
            .tokens(&format!("grant_type={id}&scope={id}&client_id=root&client_secret=first-secret-of-root"));
        let log = server.log();
        assert!(!log.contains('\u{1b}') && log.lines().all(|line| !line.starts_with("INFO forged")), "{log}");
        if format == "json" {
            for line in log.lines() {
                serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|_| panic!("{line}"));
            }
        }
        assert!(log.lines().filter(|line| line.contains("tokenberg::audit")).count() >= 3);
    }
}
