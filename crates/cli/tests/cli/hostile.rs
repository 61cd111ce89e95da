//! No request can forge a line of the log or of the audit, or control the terminal of their reader: SE-05.

use crate::foreign::claims;
use crate::support::{Place, Server, within_a_second};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use tokenberg_testkit::ForeignKey;

/// A line feed, an escape, a C1 control, a direction override, a line separator, and characters that end a string.
const EVIL: &str = "x\n{\"level\":\"ERROR\",\"target\":\"tokenberg::audit\",\"fields\":{\"outcome\":\"forged\"}}\r\u{1b}[2J\u{9b}31m\u{202e}\u{2028}\\\"'";
/// A valid, but unusual name of a user, an issuer or a client.
const ODD: &str = r#"al"ice\n'], outcome="forged"}"#;
const IDP: &str = "https://idp.example";

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Sends the bytes as they are; returns the status.
fn send(server: &Server, path: &[u8], headers: &[(&str, Vec<u8>)], body: &str) -> u16 {
    let mut bytes = [b"POST ", path, b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"].concat();
    let usual = ("Content-Type", b"application/x-www-form-urlencoded".to_vec());
    let is_given = headers.iter().any(|(name, _)| *name == usual.0);
    for (name, value) in headers.iter().chain(Some(&usual).filter(|_| !is_given)) {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    bytes.extend(format!("Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes());
    let mut stream = TcpStream::connect(server.address()).unwrap();
    // The server may have closed the connection before all was sent.
    let _ = stream.write_all(&bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// All bytes that can be sent in a header without ending it.
fn in_a_header() -> Vec<u8> {
    EVIL.bytes().filter(|b| !b"\r\n".contains(b)).collect()
}

/// Sends all kinds of requests, each with `EVIL` in one place. No answer is 200.
fn send_all(server: &Server, credential: &str, tokens: &[String]) {
    let evil = encoded(EVIL);
    let exchange = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange";
    let urn = "urn:ietf:params:oauth";
    let mut forms = vec![
        format!("grant_type=client_credentials&client_id={evil}&client_secret=x"),
        format!("grant_type=client_credentials&client_id=c1&client_secret={evil}"),
        format!("grant_type={evil}&{credential}"),
        format!("{evil}={evil}&{credential}"),
        "grant_type=client_credentials&client_id=%ff%fe%00&client_secret=%80".to_owned(),
    ];
    for parameter in ["scope", "audience", "resource", "client_assertion", "client_assertion_type"] {
        forms.push(format!("grant_type=client_credentials&{credential}&{parameter}={evil}"));
    }
    for parameter in ["subject_token_type", "requested_token_type", "actor_token_type", "scope"] {
        forms.push(format!("{exchange}&{credential}&subject_token=x&{parameter}={evil}"));
    }
    for token in tokens.iter().chain([&evil]) {
        let kind = format!("{urn}:token-type:id_token");
        forms.push(format!("{exchange}&{credential}&subject_token={token}&subject_token_type={kind}"));
        let actor = format!("actor_token={token}&actor_token_type={kind}");
        forms
            .push(format!("{exchange}&{credential}&subject_token={token}&subject_token_type={kind}&{actor}"));
        forms.push(format!("grant_type={urn}:grant-type:jwt-bearer&{credential}&assertion={token}"));
        let kind = format!("{urn}:client-assertion-type:jwt-bearer");
        forms.push(format!(
            "grant_type=client_credentials&client_assertion={token}&client_assertion_type={kind}"
        ));
    }
    for form in &forms {
        assert_ne!(send(server, b"/v1/oauth/tokens", &[], form), 200, "{form}");
    }
    for token in tokens.iter().chain([&evil]) {
        for companion in ["introspect", "revoke"] {
            let path = format!("/v1/oauth/{companion}");
            send(server, path.as_bytes(), &[], &format!("{credential}&token={token}"));
            send(server, path.as_bytes(), &[], &format!("{credential}&token=x&token_type_hint={token}"));
        }
        let bearer = format!("Bearer {token}").into_bytes();
        send(server, b"/v1/oauth/tokens", &[("Authorization", bearer)], exchange);
    }
    let plain = format!("grant_type=client_credentials&{credential}&scope=no");
    let basic = format!("Basic {}", STANDARD.encode(format!("{EVIL}:{EVIL}"))).into_bytes();
    send(server, b"/v1/oauth/tokens", &[("Authorization", basic)], "grant_type=client_credentials");
    for name in [
        "Authorization",
        "DPoP",
        "User-Agent",
        "X-Request-Id",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "Forwarded",
        "traceparent",
        "Client-Cert",
        "Origin",
        "Referer",
        "Cookie",
        "Content-Type",
        "Content-Encoding",
        "Accept",
        "X-\u{1b}[31m",
    ] {
        let raw = in_a_header();
        let visible = raw.iter().copied().filter(|b| (0x20..0x7f).contains(b) || *b >= 0xa0).collect();
        for value in [raw, visible] {
            send(server, b"/v1/oauth/tokens", &[(name, value)], &plain);
        }
    }
    for path in [
        [b"/v1/oauth/tokens?", evil.as_bytes(), b"=", evil.as_bytes()].concat(),
        [b"/v1/oauth/tokens/", evil.as_bytes()].concat(),
        [b"/", evil.as_bytes()].concat(),
        [b"/\x1b[31m\"", &in_a_header()[..]].concat(),
        b"/v1/oauth/tokens%0a%1b%5b31m".to_vec(),
    ] {
        send(server, &path, &[], &plain);
    }
}

/// Whether the line has no character that moves a cursor, hides text, or reverses the direction.
fn is_plain(line: &str) -> bool {
    line.chars().all(|c| !c.is_control() && !matches!(c, '\u{2028}'..='\u{202e}'))
}

#[test]
fn se_05_each_event_is_one_line_in_log_and_audit_whatever_a_client_sends() {
    let key = ForeignKey::new(Some("p1"));
    let unsigned = |claims: &Value| {
        let header = json!({"alg": "ES256", "kid": EVIL, "typ": "JWT"}).to_string();
        [header, claims.to_string(), "none".repeat(16)].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
    };
    for format in ["json", "text"] {
        let place = Place::new();
        place.file("idp.json", &key.jwks());
        let accept = ["--accept", "id_token", "--shared-names"];
        place.run(&[&["issuer", "add", IDP, "--jwks", "idp.json"][..], &accept].concat()).done();
        let secret = place.add(ODD, &["--may-act-for", &format!("{IDP}|*")]);
        let mut server = place.serve(&[
            "--log-format",
            format,
            "--failures-per-client",
            "100000",
            "--audit-unauthenticated-bytes",
            "100000000",
        ]);
        let credential = format!("client_id={}&client_secret={secret}", encoded(ODD));
        let all =
            json!({"iss": EVIL, "sub": EVIL, "client_id": EVIL, "jti": EVIL, "aud": EVIL, "scope": EVIL});
        let tokens = [
            unsigned(&all),
            key.sign(&claims(IDP, EVIL, ODD, &json!({"jti": EVIL, "client_id": EVIL, "act": {"sub": EVIL}}))),
            key.sign(&claims(IDP, ODD, EVIL, &json!({"jti": EVIL}))),
            key.sign(&claims(EVIL, ODD, ODD, &json!({"jti": ODD}))),
        ];
        send_all(&server, &credential, &tokens);
        // One request is granted, with this name for both the user and the actor.
        let user = key.sign(&claims(IDP, ODD, ODD, &json!({"jti": EVIL})));
        let form = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&{credential}&subject_token={user}\
             &subject_token_type=urn:ietf:params:oauth:token-type:id_token"
        );
        within_a_second("it is granted", || server.tokens(&form).status == 200);
        server.signal("TERM");
        assert!(server.ended().success());

        let said = place.run(&["audit"]).done();
        assert!(said.out.lines().all(is_plain), "{}", said.out.lines().find(|line| !is_plain(line)).unwrap());
        let records: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let decisions: Vec<&Value> = records.iter().filter(|record| record["outcome"].is_string()).collect();
        let granted: Vec<_> = decisions.iter().filter(|record| record["outcome"] == "granted").collect();
        assert_eq!(
            (granted.len(), &granted[0]["client"], &granted[0]["subject"]),
            (1, &ODD.into(), &ODD.into())
        );
        assert!(decisions.iter().all(|record| record["outcome"] != "forged"));
        assert!(
            said.out.contains(r#"\u001b[2J\u009b31m\u202e\u2028"#),
            "claimed values are logged and have no effect"
        );

        let log = server.log();
        let odd = log.lines().find(|line| !is_plain(line));
        assert_eq!(odd, None);
        let of_audit = match format {
            "json" => {
                let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
                assert!(lines.iter().all(|line| line["fields"]["outcome"] != "forged"));
                lines.iter().filter(|line| line["target"] == "tokenberg::audit").count()
            }
            _ => {
                let begins_with_a_time = |line: &str| {
                    line.as_bytes().get(..20).is_some_and(|time| time[4] == b'-' && time[10] == b'T')
                };
                assert!(log.lines().all(begins_with_a_time), "{log}");
                log.lines().filter(|line| line.split_once("tokenberg::audit: ").is_some()).count()
            }
        };
        let recorded =
            decisions.iter().map(|record| 1 + record["repeated"].as_u64().unwrap_or(0)).sum::<u64>();
        assert!(recorded > 60, "{recorded}");
        assert_eq!(of_audit as u64, recorded, "an event, a line, a record");
    }
}
