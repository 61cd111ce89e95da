//! The answer is the same with HTTP and without: conformance OP-32: one corpus through `serve`, `respond` and `explain`.

use crate::support::{Place, post, within_a_second};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

#[test]
fn op_32_respond_explain_and_serve_answer_alike() {
    let place = Place::new();
    let server = place.serve(&["--issuer", "https://tokens.example"]);
    let other_secret = place.add("cc", &["--grant", "client_credentials"]);
    let secret = place.add("c1", &["--scope", "catalog ns:read", "--audience", "https://lake.example"]);
    within_a_second("the clients are there", || server.ask("c1", &secret).status == 200);
    let token = server.ask("c1", &secret).token();
    let other = server.ask("root", "first-secret-of-root").token();
    let who = format!("client_id=c1&client_secret={secret}");
    let basic = format!("Basic {}", STANDARD.encode(format!("c1:{secret}")));
    let bearer = format!("Bearer {token}");
    let exchange = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange";
    let at = "urn:ietf:params:oauth:token-type:access_token";
    let subject = format!("subject_token={token}&subject_token_type={at}");
    let corpus: Vec<(Option<&str>, String)> = vec![
        (None, format!("grant_type=client_credentials&{who}")),
        (None, format!("grant_type=client_credentials&{who}&scope=catalog+ns%3Aread")),
        (None, format!("grant_type=client_credentials&{who}&scope=admin")),
        (None, format!("grant_type=client_credentials&{who}&scope=a%22b")),
        (None, format!("grant_type=client_credentials&{who}&audience=https%3A%2F%2Flake.example")),
        (None, format!("grant_type=client_credentials&{who}&audience=elsewhere")),
        (None, format!("grant_type=client_credentials&{who}&resource=relative")),
        (None, format!("grant_type=client_credentials&{who}&scope=%zz")),
        (None, format!("grant_type=client_credentials&{who}&scope=a&scope=b")),
        (None, format!("grant_type=password&{who}")),
        (None, who.clone()),
        (None, "grant_type=client_credentials".to_owned()),
        (None, "grant_type=client_credentials&client_id=c1".to_owned()),
        (None, "grant_type=client_credentials&client_secret=x".to_owned()),
        (None, "grant_type=client_credentials&client_id=c1&client_secret=wrong".to_owned()),
        (None, "grant_type=client_credentials&client_id=nobody&client_secret=wrong".to_owned()),
        (None, String::new()),
        (Some(&basic), "grant_type=client_credentials".to_owned()),
        (Some(&basic), format!("grant_type=client_credentials&{who}")),
        (Some("Basic !"), "grant_type=client_credentials".to_owned()),
        (Some("Basic b25seS1zZWNyZXQ="), "grant_type=client_credentials".to_owned()),
        (Some(&bearer), format!("{exchange}&{subject}")),
        (Some(&bearer), "grant_type=client_credentials".to_owned()),
        (Some(&bearer), format!("{exchange}&subject_token={other}&subject_token_type={at}")),
        (Some("Bearer nonsense"), format!("{exchange}&subject_token=nonsense&subject_token_type={at}")),
        (None, format!("{exchange}&{who}&{subject}")),
        (None, format!("{exchange}&{who}&{subject}&scope=ns:read")),
        (None, format!("{exchange}&{who}&subject_token={other}&subject_token_type={at}")),
        (None, format!("{exchange}&{who}&subject_token={token}")),
        (None, format!("{exchange}&{who}&subject_token={token}&subject_token_type=unknown")),
        (None, format!("{exchange}&{who}&subject_token=a.b.c&subject_token_type={at}")),
        (None, format!("{exchange}&{who}&{subject}&actor_token={token}&actor_token_type={at}")),
        (None, format!("{exchange}&{who}&{subject}&actor_token_type={at}")),
        (None, format!("{exchange}&client_id=cc&client_secret={other_secret}&{subject}")),
    ];
    let mut statuses = std::collections::BTreeSet::new();
    for (authorization, form) in &corpus {
        let over_http = post(&server.endpoint(), *authorization, form);
        let mut arguments = vec!["respond", "--issuer", "https://tokens.example"];
        let file = authorization.map(|value| place.file("authorization", value));
        arguments.extend(file.iter().flat_map(|file| ["--authorization-file", file.as_str()]));
        let said = place.run_with(&arguments, form, &[]);
        let without = said.json();
        assert_eq!(without["status"], over_http.status, "{form} {authorization:?}");
        assert_eq!(said.code, i32::from(over_http.status != 200), "{form}");
        assert_eq!(without["headers"]["cache-control"], "no-store");
        assert_eq!(without["headers"]["www-authenticate"].is_string(), over_http.status == 401, "{form}");
        for member in ["error", "scope", "token_type", "issued_token_type"] {
            assert_eq!(without["body"][member], over_http.body[member], "{member} {form}");
        }
        // Only over HTTP there is a log with an identifier of the request.
        let described = over_http.body["error_description"].as_str().unwrap_or_default();
        let (text, name) = described.split_once(" (request ").unwrap_or((described, ""));
        assert_eq!(without["body"]["error_description"].as_str().unwrap_or_default(), text, "{form}");
        assert_eq!(
            name.len(),
            if over_http.status == 400 { "0123456789abcdef)".len() } else { 0 },
            "{described}"
        );
        arguments[0] = "explain";
        arguments.push("--json");
        let said = place.run_with(&arguments, form, &[]);
        let explained = said.json();
        assert_eq!(said.code, i32::from(over_http.status != 200), "{form}");
        if over_http.status == 200 {
            assert_eq!(explained["verdict"], "granted", "{form}");
            assert_eq!(explained["claims"]["scope"], over_http.body["scope"], "{form}");
        } else {
            let response = &explained["client_is_told"];
            assert_eq!(response["status"], over_http.status, "{form}");
            assert_eq!(response["error"], over_http.body["error"], "{form}");
            assert_eq!(response["error_description"].as_str().unwrap_or_default(), text, "{form}");
        }
        statuses.insert(over_http.status);
    }
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [200, 400, 401]);
}
