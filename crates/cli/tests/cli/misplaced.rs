//! A client sends its secret or a token in the wrong place: log, audit and explanation do not contain it; conformance SE-01.

use crate::foreign::claims;
use crate::support::{Place, post, within_a_second};
use serde_json::{Value, json};
use tokenberg_core::request::Parameter;
use tokenberg_testkit::ForeignKey;

const ISSUER: &str = "https://tokens.example";
const IDP: &str = "https://idp.example";
const GRANT: &str = "urn:ietf:params:oauth:grant-type";
const TYPE: &str = "urn:ietf:params:oauth:token-type";

/// The form with another value of the parameter, which it may not have yet.
fn with(form: &[(&str, &str)], name: &str, value: &str) -> String {
    let others = form.iter().filter(|(known, _)| *known != name);
    let pairs = others.copied().chain([(name, value)]).map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join("&")
}

#[test]
fn se_01_a_secret_or_token_in_any_place_of_a_request_is_in_no_log_audit_or_explanation() {
    let (place, key) = (Place::new(), ForeignKey::new(Some("k1")));
    place.file("keys.json", &key.jwks());
    place.run(&["issuer", "add", IDP, "--jwks", "keys.json", "--accept", "id_token,jwt,jwt_bearer"]).done();
    let server = place.serve_with(&["--issuer", ISSUER, "--log-format", "json"], &[("RUST_LOG", "trace")]);
    let grants = ["--grant", "client_credentials,token_exchange,jwt_bearer", "--may-act-for", "https://*|*"];
    let secret = place.add("c1", &grants);
    within_a_second("the client is there", || server.ask("c1", &secret).status == 200);
    let token = server.ask("c1", &secret).token();
    let user = key.sign(&claims(IDP, "alice", "c1", &json!({})));
    let (exchange, bearer) = (format!("{GRANT}:token-exchange"), format!("{GRANT}:jwt-bearer"));
    let id_token = format!("{TYPE}:id_token");
    let credential = [("client_id", "c1"), ("client_secret", secret.as_str())];
    let bases: [&[(&str, &str)]; 3] = [
        &[("grant_type", "client_credentials")],
        &[("grant_type", &exchange), ("subject_token", &user), ("subject_token_type", &id_token)],
        &[("grant_type", &bearer), ("assertion", &user)],
    ];
    // Every parameter of a request with a good credential, and with a wrong one.
    let mut forms = Vec::new();
    for value in [secret.as_str(), token.as_str()] {
        for base in bases {
            for (id, credential) in [("c1", credential[1].1), ("c1", "wrong")] {
                let form = [base, &[("client_id", id), ("client_secret", credential)]].concat();
                forms.extend(Parameter::ALL.map(|parameter| with(&form, parameter.name(), value)));
            }
        }
        // Every claim, and every member of a header.
        let about = |name: &str, value: Value| {
            key.sign(&claims(IDP, "alice", "c1", &json!({name: value, "sub2": 1})))
        };
        let names =
            "iss sub aud azp jti client_id scope act may_act email exp iat nbf typ nonce cnf events amr";
        for name in names.split(' ') {
            for claimed in [json!(value), json!([value, value]), json!({"sub": value, "iss": value})] {
                let subject = about(name, claimed);
                let form = [bases[1], &credential].concat();
                forms.push(with(&form, "subject_token", &subject));
                let form = [bases[2], &credential].concat();
                forms.push(with(&form, "assertion", &subject));
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                let form = [bases[0], &[("client_assertion_type", kind)]].concat();
                forms.push(with(&form, "client_assertion", &subject));
            }
        }
        for name in ["alg", "kid", "typ", "crit", "jku", "cty", value] {
            let mut header = json!({"alg": "ES256", "kid": "k1"});
            header[name] = value.into();
            let subject = key.sign_raw(&header.to_string(), &claims(IDP, "a", "c1", &json!({})).to_string());
            forms.push(with(&[bases[1], &credential].concat(), "subject_token", &subject));
        }
    }
    assert!(forms.len() > 400, "{}", forms.len());
    let hidden: Vec<&str> = token.split('.').map(|part| &part[..24]).chain([&secret[..24]]).collect();
    let check = |what: &str, text: &str| {
        for hidden in &hidden {
            assert!(!text.contains(hidden), "{what}: {hidden} is in {text}");
        }
    };
    for form in &forms {
        post(&server.endpoint(), None, form);
    }
    for header in [&secret, &format!("{secret} x"), &format!("Basic {secret}"), &format!("Bearer {token}x")] {
        post(&server.endpoint(), Some(header), "grant_type=client_credentials");
    }
    // One in ten is explained, because each needs its own process; the selection is not random.
    for form in forms.iter().step_by(10).chain(forms.iter().take(32)) {
        let said = place.run_with(&["explain", "--issuer", ISSUER], form, &[]);
        check(&format!("{form} explained"), &said.out);
    }
    // A user with this name at a trusted issuer is granted a token, and the record holds that name: nothing was misplaced.
    let is_granted = |line: &&str| line.contains(r#""outcome":"granted""#);
    for line in server.log().lines().filter(|line| !is_granted(line)) {
        check("the log", line);
    }
    within_a_second("all is recorded", || place.run(&["audit"]).done().out.lines().count() > forms.len() / 4);
    for line in place.run(&["audit"]).done().out.lines().filter(|line| !is_granted(line)) {
        check("the audit", line);
    }
}
