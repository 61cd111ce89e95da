//! A person signs in with `tokenberg login`, and later commands have a token: conformance LI.

use crate::openid_provider::{CLIENT, Setting, Waiting, pairs, payload, send, visit};
use crate::support::{files, within_a_second};
use serde_json::json;
use std::fs::{self, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use tokenberg_testkit::ForeignKey;

#[test]
fn li_01_li_05_a_person_signs_in_with_a_browser_and_later_commands_have_a_token() {
    let setting = Setting::new(&[]);
    within_a_second("the client is there", || {
        let mut login = setting.login(&["--no-browser", "--json"]);
        let address = login.address();
        let request = pairs(address.split_once('?').unwrap().1);
        let names: Vec<&str> = request.keys().map(String::as_str).collect();
        let usual =
            "client_id,code_challenge,code_challenge_method,nonce,redirect_uri,response_type,scope,state";
        assert_eq!(names.join(","), usual);
        assert_eq!((&*request["scope"], &*request["code_challenge_method"]), ("openid", "S256"));
        let redirect = setting.provider.redirect(&address, "");
        let page = visit(&redirect);
        for private in [&*request["state"], "the-code", "<script", "href", "Location", "eyJ"] {
            assert!(!page.contains(private), "{private}: {page}");
        }
        let said = login.said();
        let is_done = said.code == 0;
        assert_eq!(page.contains("You are signed in"), is_done, "{page}");
        assert_eq!(page.contains("tokenberg exec"), is_done, "the page says what to do next: {page}");
        if is_done {
            let shown = said.json();
            assert_eq!((&shown["subject"], &shown["name"]), (&json!("ada"), &json!("ada@example.com")));
        } else {
            // Before the server has followed the registration.
            assert!(said.err.contains("401 invalid_client"), "{}", said.err);
        }
        assert!(!said.out.contains("eyJ") && !said.err.contains("eyJ"), "{} {}", said.out, said.err);
        is_done
    });
    let token = |more: &[&str]| setting.run(&[&["token"], more].concat()).done().out.trim().to_owned();
    let first = token(&[]);
    let claims = payload(&first);
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("ada"), &json!(CLIENT)));
    assert_eq!(token(&["--server", &setting.server.url, "--client-id", CLIENT, "--cache"]), first);
    let shell = ["exec", "--", "sh", "-c", "printf %s \"$TOKENBERG_ACCESS_TOKEN\""];
    assert_eq!(setting.run(&shell).done().out, first);
    // It is renewed with itself, and stays the same session.
    let renewed = token(&["--cache", "--valid-for", "2h"]);
    assert!(renewed != first && token(&[]) == renewed && payload(&renewed)["sub"] == "ada");
    let narrow = token(&["--scope", "catalog"]);
    assert!(narrow != renewed && payload(&narrow)["scope"] == "catalog" && token(&[]) == renewed);
    // A credential goes before the session.
    let root = ["token", "--server", &setting.server.url];
    let credential = [("TOKENBERG_CLIENT_SECRET", "root:first-secret-of-root")];
    let said = setting.place.run_with(&root, "", &credential).done();
    assert_eq!(payload(said.out.trim())["client_id"], "root");

    let state = setting.place.path("state/tokenberg/sessions");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let kept = || files(&state).into_iter().filter(|(path, _)| path.extension().is_some());
    assert_eq!((mode(&state), kept().count()), (0o700, 1));
    for (path, content) in kept() {
        assert_eq!(mode(&path), 0o600, "{path:?}");
        let text = String::from_utf8(content).unwrap();
        assert!(!text.contains("of-the-provider") && !text.contains("the-code"), "{text}");
        // What others could have written is no session.
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert_eq!(setting.run(&["token"]).code, 2);
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    // The terms of the last time are remembered.
    let mut again = Waiting::start(&setting.place, &["--no-browser"], &[]);
    visit(&setting.provider.redirect(&again.address(), ""));
    assert!(again.said().done().out.contains("ada@example.com"));

    let said = setting.run(&["logout"]).done();
    assert!(said.out.contains("Signed out"), "{}", said.out);
    // RFC 7009 §2.1: the service decides. This one lets no client without a credential revoke.
    assert!(said.err.contains("is not revoked") && said.err.contains("401"), "{}", said.err);
    assert_eq!((kept().count(), setting.run(&["logout"]).code), (0, 1));
    assert!(setting.run(&["token"]).err.contains("tokenberg login"));
}

#[test]
fn li_02_li_04_other_requests_to_the_redirect_uri_change_nothing() {
    let setting = Setting::new(&[]);
    let mut login = setting.login(&["--no-browser"]);
    let address = login.address();
    let good = setting.provider.redirect(&address, "");
    let (uri, query) = good.split_once('?').unwrap();
    let host = uri.strip_prefix("http://").unwrap().split('/').next().unwrap();
    // Connections that send nothing hold up no other.
    let idle: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(host).unwrap()).collect();
    for (what, answer) in [
        ("no state", visit(&format!("{uri}?code=stolen"))),
        ("another state", visit(&format!("{uri}?code=stolen&state=forged"))),
        ("an error with another state", visit(&format!("{uri}?error=access_denied&state=forged"))),
        ("a repeated parameter", visit(&format!("{good}&code=stolen"))),
        ("another path", visit(&good.replace("/callback", "/other"))),
        ("a form", send(host, &format!("POST /callback?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n"))),
        (
            "a page elsewhere",
            send(host, &format!("GET /callback?{query} HTTP/1.1\r\nHost: evil.example\r\n\r\n")),
        ),
        ("another protocol", send(host, "EHLO\r\n\r\n")),
        (
            "an address to go on to",
            visit(&format!("{uri}?next=https%3A%2F%2Fevil.example&redirect_uri=https%3A%2F%2Fevil.example")),
        ),
    ] {
        assert!(answer.starts_with("HTTP/1.1 40"), "{what}: {answer}");
        assert!(!answer.contains("evil.example") && !answer.contains("Location"), "{what}: {answer}");
    }
    assert!(visit(&good).contains("200 OK") || setting.provider.behavior.lock().unwrap().received.len() > 2);
    let said = login.said();
    // Whether the server follows the registration already or not, the code was the right one.
    let warnings = said.err.matches("warning: ignored a request").count();
    assert_eq!(warnings, 1, "{}", said.err);
    let received = &setting.provider.behavior.lock().unwrap().received;
    let codes: Vec<&str> =
        received.iter().filter_map(|(_, form)| form.get("code").map(String::as_str)).collect();
    assert_eq!(codes, ["the-code"]);
    drop(idle);
}

#[test]
fn li_03_a_response_or_an_id_token_of_another_sign_in_ends_it() {
    let setting = Setting::new(&[]);
    let other = ForeignKey::new(Some("k1"));
    let unsigned =
        tokenberg_testkit::unsecured(&json!({"iss": setting.provider.url, "sub": "ada", "aud": CLIENT}));
    let with_token =
        |token: &str| json!({"access_token": "a", "token_type": "Bearer", "id_token": token}).to_string();
    let forged = other.sign(&crate::foreign::claims(&setting.provider.url, "ada", CLIENT, &json!({})));
    for (what, more, changes, answer, expected) in [
        ("mix-up", "&iss=https%3A%2F%2Fevil.example", json!({}), None, "the response is of another provider"),
        ("a nonce", "", json!({"nonce": "of-another"}), None, "its nonce is not that of this one"),
        ("no nonce", "", json!({"nonce": null}), None, "its nonce is not that of this one"),
        ("a client", "", json!({"aud": "other"}), None, "the ID token of"),
        ("a party", "", json!({"azp": "other"}), None, "azp"),
        ("an issuer", "", json!({"iss": "https://evil.example"}), None, "the ID token of"),
        ("a time", "", json!({"exp": 1000, "iat": 900}), None, "the ID token of"),
        ("a key", "", json!({}), Some(with_token(&forged)), "the ID token of"),
        ("no signature", "", json!({}), Some(with_token(&unsigned)), "the ID token of"),
        (
            "no ID token",
            "",
            json!({}),
            Some(json!({"access_token": "a", "token_type": "Bearer"}).to_string()),
            "no ID token",
        ),
        (
            "no response",
            "",
            json!({}),
            Some("{\"access_token\":{\"x\":\"hush-hush\"}}".to_owned()),
            "no token response",
        ),
    ] {
        setting.provider.change(|it| {
            it.claims = changes;
            it.refusal = answer.map(|body| (200, body));
        });
        let mut login = setting.login(&["--no-browser"]);
        let page = visit(&setting.provider.redirect(&login.address(), more));
        let said = login.said();
        assert!(page.contains("The sign-in failed") && said.code == 1, "{what}: {page}");
        assert!(said.err.contains(expected) && !said.err.contains("hush"), "{what}: {}", said.err);
        assert_eq!(
            files(&setting.place.path("state")).iter().filter(|(path, _)| path.extension().is_some()).count(),
            0
        );
    }
    // A provider that names itself has to.
    setting.provider.change(|it| {
        (it.claims, it.refusal) = (json!({}), None);
        it.metadata = json!({"authorization_response_iss_parameter_supported": true});
    });
    let mut login = setting.login(&["--no-browser"]);
    visit(&setting.provider.redirect(&login.address(), ""));
    assert!(login.said().err.contains("RFC 9207"));
    let mut login = setting.login(&["--no-browser"]);
    let issuer: String = url::form_urlencoded::byte_serialize(setting.provider.url.as_bytes()).collect();
    visit(&setting.provider.redirect(&login.address(), &format!("&iss={issuer}")));
    assert!(!login.said().err.contains("RFC 9207"));
}

#[test]
fn li_06_a_person_signs_in_with_a_code_on_another_device() {
    let setting = Setting::new(&[]);
    setting.provider.change(|it| it.pending = 2);
    let device = || setting.login(&["--device"]);
    let mut login = device();
    let enter = format!("{}/enter", setting.provider.url);
    assert_eq!((login.address(), login.address()), (enter.clone(), format!("{enter}?user_code=WDJB-MJHT")));
    let said = login.said().done();
    assert!(said.err.contains("enter the code WDJB-MJHT"), "{}", said.err);
    assert_eq!(payload(setting.run(&["token"]).done().out.trim())["sub"], "ada");
    for (code, expected) in [
        ("access_denied", "the sign-in was declined"),
        ("expired_token", "run `tokenberg login` again"),
        ("unauthorized_client", "permit this flow for the client laptop"),
    ] {
        setting.provider.change(|it| it.refusal = Some((400, json!({"error": code}).to_string())));
        let said = device().said();
        assert!(said.code == 1 && said.err.contains(code) && said.err.contains(expected), "{}", said.err);
    }
    // It goes on after a failure, and reports it in the end.
    setting.provider.change(|it| {
        it.refusal = None;
        it.metadata = json!({"token_endpoint": "http://127.0.0.1:9/token"});
    });
    let said = setting.login(&["--device", "--timeout", "2s"]).said();
    assert!(said.code == 1 && said.err.contains("no server listens"), "{}", said.err);
}

#[test]
fn li_05_sessions_are_told_apart_and_end() {
    let setting = Setting::new(&["--token-lifetime", "3s"]);
    within_a_second("the client is there", || {
        let mut login = setting.login(&["--no-browser"]);
        visit(&setting.provider.redirect(&login.address(), ""));
        login.said().code == 0
    });
    within_a_second("the token expires", || setting.run(&["token"]).code != 0);
    let err = setting.run(&["token"]).refused().err;
    assert!(err.contains("has expired; sign in again") && err.contains(&setting.server.url), "{err}");
    setting.signed_in(&["--no-browser"]);
    // A session that the service does not renew.
    setting.place.run(&["client", "disable", CLIENT]).done();
    within_a_second("the client is disabled", || {
        setting.run(&["token", "--cache", "--valid-for", "1h"]).err.contains("cannot be renewed")
            || setting.run(&["token"]).err.contains("has expired")
    });
    // The same client at another service is another session.
    let kept = files(&setting.place.path("state/tokenberg/sessions"));
    let (path, content) = kept.iter().find(|(path, _)| path.extension().is_some()).unwrap();
    let text = String::from_utf8(content.clone()).unwrap();
    let other = path.with_file_name("other.json");
    fs::write(&other, text.replace(&setting.server.url, "http://127.0.0.1:9")).unwrap();
    fs::set_permissions(&other, Permissions::from_mode(0o600)).unwrap();
    let said = setting.run(&["token"]);
    assert!(said.code == 2 && said.err.contains("signed in more than once"), "{}", said.err);
    let said = setting.run(&["logout", "--server", "http://127.0.0.1:9"]);
    assert!(said.code != 0 || said.err.is_empty() || said.err.contains("not revoked"), "{}", said.err);
    fs::remove_file(&other).unwrap_or_default();
    assert!(!setting.run(&["token"]).err.contains("more than once"));
}

#[test]
fn li_01_the_browser_is_opened_with_the_address_and_without_secrets() {
    let setting = Setting::new(&[]);
    let browser = setting.place.file("browser", "#!/bin/sh\nprintf '%s' \"$1\" >opened\nenv >environment\n");
    fs::set_permissions(&browser, Permissions::from_mode(0o755)).unwrap();
    let terms = ["--server", &setting.server.url, "--client-id", CLIENT, "--issuer", &setting.provider.url];
    let variables = [("BROWSER", &*browser), ("TOKENBERG_CLIENT_SECRET", "hush")];
    let mut login = Waiting::start(&setting.place, &terms, &variables);
    let address = login.address();
    within_a_second("the browser is opened", || setting.place.path("environment").exists());
    assert_eq!(fs::read_to_string(setting.place.path("opened")).unwrap(), address);
    visit(&setting.provider.redirect(&address, ""));
    let said = login.said();
    assert!(said.err.contains("Sign in with the browser that opens"), "{}", said.err);
    within_a_second("the environment is whole", || {
        fs::read_to_string(setting.place.path("environment")).unwrap().contains("XDG_STATE_HOME")
    });
    assert!(!fs::read_to_string(setting.place.path("environment")).unwrap().contains("hush"));
    // A fixed port, and a name instead of the address.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let mut login =
        setting.login(&["--no-browser", "--port", &port, "--redirect-uri", "http://localhost/cb"]);
    let request = pairs(login.address().split_once('?').unwrap().1);
    assert_eq!(request["redirect_uri"], format!("http://localhost:{port}/cb"));
    visit(&format!("http://localhost:{port}/cb?error=login_required&state={}", request["state"]));
    let said = login.said();
    assert!(said.code == 1 && said.err.contains("login_required"), "{}", said.err);
}

#[test]
fn li_03_a_provider_gets_the_secret_that_it_demands_and_tokens_are_bound_to_a_key() {
    let setting = Setting::new(&["--dpop-bound"]);
    let secret = setting.place.file("idp.secret", "idp-hush\n");
    setting
        .place
        .run(&["client", "add", "other", "--auth-method", "private_key_jwt", "--new-key", "own.key"])
        .done();
    let terms = ["--no-browser", "--issuer-secret-file", &*secret, "--dpop-key", "own.key"];
    for (methods, sent) in [
        (json!(null), "basic idp-hush"),
        (json!(["client_secret_post", "client_secret_basic"]), "basic idp-hush"),
        (json!(["client_secret_post"]), "idp-hush"),
    ] {
        setting.provider.change(|it| it.metadata = json!({"token_endpoint_auth_methods_supported": methods}));
        within_a_second("the client is there", || {
            let mut login = setting.login(&terms);
            visit(&setting.provider.redirect(&login.address(), ""));
            login.said().code == 0
        });
        let received = &setting.provider.behavior.lock().unwrap().received;
        let secrets = received.iter().rev().find_map(|(_, form)| form.get("client_secret"));
        assert_eq!(secrets.map(String::as_str), Some(sent));
    }
    // The key of the session is found again, from another directory as well.
    let token = setting.run(&["token", "--json"]).done().json();
    assert_eq!(token["token_type"], "DPoP");
    let line = ["token", "--header", "--cache", "--valid-for", "2h"];
    let header = setting.run(&[&line[..], &["--request", "GET https://lake.example/v1"]].concat());
    assert!(header.done().out.contains("DPoP: "));
    let kept = files(&setting.place.path("state"));
    assert!(kept.iter().all(|(_, content)| !String::from_utf8_lossy(content).contains("hush")));
}
