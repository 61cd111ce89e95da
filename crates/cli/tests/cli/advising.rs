//! The advice of `tokenberg explain` is right: each command in it is run as printed, and the same request is granted then.

use crate::foreign::{assertion_form, claims};
use crate::naming::{commands, paste};
use crate::support::{Place, Server, post, within_a_second};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use tokenberg_testkit::ForeignKey;

const ISSUER: &str = "https://tokens.example";
const IDP: &str = "https://idp.example";
const GROUP: &str = "urn:ietf:params:oauth:grant-type";
const TYPE: &str = "urn:ietf:params:oauth:token-type";

/// A running server, and a key with which clients and other issuers sign.
struct Bench {
    place: Place,
    server: Server,
    key: ForeignKey,
}

impl Bench {
    fn new() -> Self {
        let (place, key) = (Place::new(), ForeignKey::new(Some("k1")));
        place.file("keys.json", &key.jwks());
        let server = place.serve(&["--issuer", ISSUER]);
        Self { place, server, key }
    }

    fn run(&self, line: &[&str]) {
        self.place.run(line).done();
    }

    /// Trusts an issuer of ID tokens whose keys are given.
    fn issuer(&self, issuer: &str, more: &[&str]) {
        let line = ["issuer", "add", issuer, "--jwks", "keys.json", "--outlives-subject"];
        self.run(&[&line[..], more].concat());
    }

    /// Registers a client and returns the credential for a form.
    fn client(&self, id: &str, more: &[&str]) -> String {
        format!("&client_id={id}&client_secret={}", self.place.add(id, more))
    }

    /// A client that may act for all users of the issuer.
    fn actor(&self, id: &str, issuer: &str) -> String {
        self.client(id, &["--may-act-for", &format!("{issuer}|*")])
    }

    /// An exchange of a token with these claims.
    fn user(&self, credential: &str, claims: &Value) -> String {
        exchange(&self.key.sign(claims), "id_token") + credential
    }

    /// The advice of `explain`; fails unless the request is refused.
    fn advice(&self, form: &str) -> String {
        let said = self.place.run_with(&["explain", "--json", "--issuer", ISSUER], form, &[]);
        let value = said.json();
        assert_eq!(value["verdict"], "refused", "{form}: {value:#}");
        value["to_allow_it"].as_str().unwrap().to_owned()
    }

    fn status(&self, form: &str) -> u16 {
        post(&self.server.endpoint(), None, form).status
    }

    /// The request is refused; the advice begins with these commands; with them it is granted.
    fn follow(&self, form: &str, expected: &[&str]) {
        let advice = self.advice(form);
        within_a_second("refused by the server, too", || matches!(self.status(form), 400 | 401));
        let advised = commands(&advice);
        assert_eq!(advised.get(..expected.len()).unwrap_or_default(), expected, "{advice}");
        for command in expected {
            paste(&self.place, command);
        }
        self.granted(form, &advice);
    }

    /// The same with the first command of the advice, which has to begin so. Its value may grow with each second.
    fn follow_first(&self, form: &str, beginning: &str) {
        let advice = self.advice(form);
        let command = commands(&advice).remove(0);
        assert!(command.starts_with(beginning), "{advice}");
        paste(&self.place, &command);
        self.granted(form, &advice);
    }

    fn granted(&self, form: &str, advice: &str) {
        within_a_second(&format!("granted after: {advice}"), || self.status(form) == 200);
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn own(credential: &str, more: &str) -> String {
    format!("grant_type=client_credentials{credential}{more}")
}

fn exchange(subject: &str, kind: &str) -> String {
    format!("grant_type={GROUP}:token-exchange&subject_token={subject}&subject_token_type={TYPE}:{kind}")
}

fn acting(subject: &str, actor: &str) -> String {
    format!("{}&actor_token={actor}&actor_token_type={TYPE}:access_token", exchange(subject, "jwt"))
}

fn unsecured(claims: &Value) -> String {
    use base64::Engine;
    let encoded = |value: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", encoded(&json!({"alg": "none"})), encoded(claims))
}

#[test]
fn se_06_advice_about_the_rights_of_a_client_leads_to_a_token() {
    let bench = Bench::new();
    let c1 = bench.client("c1", &["--scope", "catalog ns:read", "--grant", "client_credentials"]);
    let change = |more: &str| format!("tokenberg client change c1 {more}");
    bench.follow(&own(&c1, "&scope=ns:read+it's"), &[&change(r"--scope 'catalog ns:read it'\''s'")]);
    bench.follow(
        &own(&c1, "&audience=https://lake.example"),
        &[&change(&format!("--audience {ISSUER} --audience https://lake.example"))],
    );
    bench.follow(
        &own(&c1, "&scope=x&audience=https://lake.example"),
        &[&change(r"--scope 'catalog ns:read it'\''s x'")],
    );
    bench.run(&["client", "disable", "c1"]);
    within_a_second("c1 is disabled", || bench.status(&own(&c1, "")) == 401);
    bench.follow(&own(&c1, ""), &["tokenberg client enable c1"]);
    bench.run(&["client", "change", "c1", "--dpop-bound", "true"]);
    within_a_second("c1 has to prove a key", || bench.status(&own(&c1, "")) == 400);
    bench.follow(&own(&c1, ""), &[&change("--dpop-bound false")]);

    // First the grant is missing, and after that the right to act for another client's token.
    let c2 = bench.client("c2", &["--scope", "catalog"]);
    within_a_second("c2 is there", || bench.status(&own(&c2, "")) == 200);
    let token = post(&bench.server.endpoint(), None, &own(&c2, "")).token();
    let form = exchange(&token, "access_token") + &c1;
    let advice = bench.advice(&form);
    let grant = change("--grant client_credentials,token_exchange");
    let act_for = change(&format!("--may-act-for '{ISSUER}|c2'"));
    assert_eq!(commands(&advice), [grant.as_str(), &act_for]);
    bench.follow(&form, &[&grant, &act_for]);
    // The audience of the token is withdrawn from its client.
    bench.run(&["client", "change", "c2", "--audience", "https://other.example"]);
    within_a_second("c2 has another audience", || bench.status(&form) == 400);
    bench.follow(
        &form,
        &[&format!("tokenberg client change c2 --audience https://other.example --audience {ISSUER}")],
    );
    // The subject of a token is a disabled client.
    bench.run(&["client", "disable", "c2"]);
    within_a_second("c2 is disabled", || bench.status(&form) == 400);
    bench.follow(&form, &["tokenberg client enable c2"]);
}

#[test]
fn se_06_advice_about_a_secret_leads_to_a_token() {
    let bench = Bench::new();
    let first = bench.place.add("c1", &[]);
    let form = |secret: &str| own(&format!("&client_id=c1&client_secret={secret}"), "");
    let add = "tokenberg client secret add c1";
    let added = || {
        let said = paste(&bench.place, add).out;
        said.split_whitespace().find(|word| word.starts_with("tkb")).unwrap().to_owned()
    };
    let live = || -> Vec<String> {
        let shown = bench.place.run(&["client", "show", "c1", "--json"]).done().json();
        let live =
            shown["secrets"].as_array().unwrap().iter().filter(|secret| secret["expires_at"].is_null());
        live.map(|secret| secret["secret_id"].as_str().unwrap().to_owned()).collect()
    };
    let reason = |form: &str| {
        let said = bench.place.run_with(&["explain", "--json", "--issuer", ISSUER], form, &[]);
        said.json()["reason"].as_str().unwrap().to_owned()
    };
    let first_id = live().remove(0);
    // The secret is none of the two live ones: one of them has to be removed first.
    let second = added();
    let advice = bench.advice(&form("wrong"));
    assert_eq!(reason(&form("wrong")), "wrong secret for the client c1, which has 2 live secrets");
    let [expire, then] = &commands(&advice)[..] else { panic!("{advice}") };
    let ended = expire.strip_prefix("tokenberg client secret expire c1 ").unwrap();
    assert_eq!(then, add);
    paste(&bench.place, expire);
    let third = added();
    bench.granted(&form(&third), &advice);
    // An expired secret is reported as such, and not as a wrong secret.
    let old = reason(&form(if ended == first_id { &first } else { &second }));
    assert!(old.starts_with(&format!("the secret {ended} of the client c1 expired at ")), "{old}");
    assert!(old.ends_with("the client has 2 live secrets"), "{old}");
    for secret in live() {
        bench.run(&["client", "secret", "expire", "c1", &secret]);
    }
    within_a_second("no secret is live", || bench.status(&form(&third)) == 401);
    let advice = bench.advice(&form(&third));
    assert_eq!(commands(&advice), [add], "{advice}");
    let fourth = added();
    bench.granted(&form(&fourth), &advice);
    for secret in [first, second, third, fourth] {
        assert!(!bench.server.log().contains(&secret) && !advice.contains(&secret));
    }
}

#[test]
fn se_06_advice_about_users_of_an_issuer_leads_to_a_token() {
    let bench = Bench::new();
    let c1 = bench.actor("c1", IDP);
    let sign_in = |changes: &Value| bench.user(&c1, &claims(IDP, "alice", "c1", changes));
    let change = |more: &str| format!("tokenberg issuer change {IDP} {more}");
    // An issuer that is not registered. No server answers at its address here, so its keys come from a file in the end.
    let advice = bench.advice(&sign_in(&json!({})));
    let add = format!("tokenberg issuer add {IDP} --discover --accept id_token");
    assert_eq!(commands(&advice), [add.as_str()], "{advice}");
    paste(&bench.place, &add);
    bench.run(&[
        "issuer",
        "change",
        IDP,
        "--jwks",
        "keys.json",
        "--accept",
        "jwt",
        "--outlives-subject",
        "true",
    ]);
    within_a_second("the issuer is trusted", || bench.advice(&sign_in(&json!({}))).contains("--accept"));
    bench.follow(&sign_in(&json!({})), &[&change("--accept jwt,id_token")]);
    // An issuer with a similar spelling.
    let near = bench.advice(&sign_in(&json!({"iss": format!("{IDP}/")})));
    assert!(near.starts_with(&format!("did you mean {IDP}? ")), "{near}");
    assert!(near.contains("iss has to be equal to it character by character"), "{near}");
    bench.follow(&sign_in(&json!({"aud": ["x", "y"]})), &[&change("--audience x")]);
    bench.follow(&sign_in(&json!({"azp": "portal"})), &[&change("--audience x --audience portal")]);
    let long = now() + 3 * 24 * 3600;
    bench.follow_first(&sign_in(&json!({"exp": long})), &change("--max-age 3d"));
    let old = json!({"iat": now() - 9 * 24 * 3600});
    bench.follow_first(&sign_in(&old), &change("--max-age 9d"));
    bench.run(&["issuer", "change", IDP, "--alg", "RS256"]);
    within_a_second("ES256 is refused", || bench.status(&sign_in(&json!({}))) == 400);
    bench.follow(&sign_in(&json!({})), &[&change("--alg RS256,ES256")]);
    let scope = sign_in(&json!({})) + "&scope=ns:read";
    bench.run(&["client", "change", "c1", "--every-scope"]);
    within_a_second("c1 may have every scope", || bench.status(&own(&c1, "&scope=ns:read")) == 200);
    bench.follow(&scope, &[&change("--scope 'catalog ns:read'")]);
    // E-mail addresses as subjects.
    bench.run(&["issuer", "change", IDP, "--subject-claim", "email"]);
    let email = json!({"email": "alice@lake.example", "email_verified": false});
    within_a_second("addresses are subjects", || bench.status(&sign_in(&email)) == 400);
    bench.follow(&sign_in(&email), &[&change("--subject-claim sub")]);
    // A disabled issuer and a disabled user of it.
    for (disable, enable) in [
        (&["issuer", "disable", IDP][..], format!("tokenberg issuer enable {IDP}")),
        (
            &["subject", "disable", "alice", "--issuer", IDP],
            format!("tokenberg subject enable alice --issuer {IDP}"),
        ),
    ] {
        bench.run(disable);
        within_a_second("it is disabled", || bench.status(&sign_in(&json!({}))) == 400);
        bench.follow(&sign_in(&json!({})), &[&enable]);
    }
    // A user with the name of a client.
    bench.client("bob", &[]);
    let bob = bench.user(&c1, &claims(IDP, "bob", "c1", &json!({})));
    bench.follow(&bob, &[&change("--subject-prefix idp.example:")]);
    bench.run(&["issuer", "change", IDP, "--clear", "subject_prefix", "--separate-names"]);
    within_a_second("names are apart again", || bench.status(&bob) == 400);
    let second = commands(&bench.advice(&bob)).remove(1);
    assert_eq!(second, change("--shared-names"));
    paste(&bench.place, &second);
    bench.granted(&bob, &second);
    // A client without the right to act, for an ID token and for an assertion of the grant.
    let c2 = bench.client("c2", &["--grant", "jwt_bearer,token_exchange"]);
    let act_for = |user: &str| format!("tokenberg client change c2 --may-act-for '{IDP}|{user}'");
    bench.follow(&bench.user(&c2, &claims(IDP, "carol", "c2", &json!({}))), &[&act_for("carol")]);
    bench.run(&["issuer", "change", IDP, "--accept", "id_token,jwt_bearer"]);
    let assertion = bench.key.sign(&claims(IDP, "dave", ISSUER, &json!({"jti": "dave-1"})));
    let form = format!("grant_type={GROUP}:jwt-bearer&assertion={assertion}{c2}");
    let both = format!("tokenberg client change c2 --may-act-for '{IDP}|carol' --may-act-for '{IDP}|dave'");
    within_a_second("assertions are accepted", || bench.advice(&form).contains(&both));
    // In the reverse order: one advice has both commands.
    bench.run(&["issuer", "change", IDP, "--accept", "id_token"]);
    within_a_second("assertions are not accepted", || bench.advice(&form).contains("--accept"));
    bench.follow(&form, &[&change("--accept id_token,jwt_bearer"), &both]);
}

#[test]
fn se_06_advice_about_workloads_and_assertions_of_clients_leads_to_a_token() {
    let bench = Bench::new();
    bench.issuer(IDP, &[]);
    bench.run(&["client", "add", "etl", "--auth-method", "federated"]);
    let sub = "repo:octo/lake:ref:refs/heads/main";
    let workload = |changes: &Value| {
        let claims = claims(IDP, sub, ISSUER, changes);
        assertion_form(&bench.key.sign(&claims)) + "&client_id=etl"
    };
    let federate = format!("tokenberg client federate etl --issuer {IDP} --subject {sub}");
    bench.follow(&workload(&json!({})), &[&federate]);
    bench.follow(&workload(&json!({"aud": "lake"})), &[&format!("{federate} --audience lake")]);
    let unfederate = ["client", "federate", "etl", "--issuer", IDP, "--subject", sub, "--remove"];
    // The token is one of a workload that is no longer mapped to a client.
    let token = post(&bench.server.endpoint(), None, &workload(&json!({"aud": "lake"}))).token();
    let renewal = || exchange(&token, "access_token") + &bench.client_of("c9");
    bench.run(&["issuer", "disable", IDP]);
    let form = renewal();
    within_a_second("the issuer is disabled", || bench.advice(&form).contains("issuer enable"));
    let advice = bench.advice(&form);
    assert_eq!(commands(&advice), [format!("tokenberg issuer enable {IDP}")], "{advice}");
    paste(&bench.place, &commands(&advice)[0]);
    let act_for = format!("tokenberg client change c9 --may-act-for '{ISSUER}|etl'");
    within_a_second("the issuer is enabled", || bench.advice(&form).contains(&act_for));
    bench.follow(&form, &[&act_for]);
    bench.run(&unfederate);
    within_a_second("it stands for no client", || {
        bench.advice(&workload(&json!({"aud": "lake"}))).contains(&federate)
    });

    // Assertions that clients sign.
    let method = ["--auth-method", "private_key_jwt", "--jwks", "keys.json"];
    bench.run(&[&["client", "add", "signer"][..], &method].concat());
    let hour = bench.key.sign(&claims("signer", "signer", ISSUER, &json!({"jti": "1", "exp": now() + 3500})));
    let advice = bench.advice(&assertion_form(&hour));
    let command = commands(&advice).remove(0);
    assert!(command.starts_with("tokenberg client change signer --assertion-lifetime 58m"), "{advice}");
    assert!(!advice.contains("issuer"), "no issuer limits the assertion of a client: {advice}");
    bench.follow(&assertion_form(&hour), &[&command]);
}

#[test]
fn se_06_advice_about_unsecured_users_leads_to_a_token() {
    let bench = Bench::new();
    let c1 = bench.client("trino", &["--grant", "client_credentials,token_exchange"]);
    within_a_second("the client is there", || bench.status(&own(&c1, "")) == 200);
    let actor = post(&bench.server.endpoint(), None, &own(&c1, "")).token();
    let subject = |name: &str| unsecured(&json!({"sub": name, "iss": "trino", "iat": now()}));
    let form = |name: &str| acting(&subject(name), &actor) + &c1;
    let may = "tokenberg client change trino --may-assert-users";
    bench.follow(&form("alice"), &[&format!("{may} alice")]);
    bench.follow(&form("it's"), &[&format!(r"{may} alice --may-assert-users 'it'\''s'")]);
    bench.run(&["subject", "disable", "alice"]);
    within_a_second("alice is disabled", || bench.status(&form("alice")) == 400);
    bench.follow(&form("alice"), &["tokenberg subject enable alice"]);
    // Without its own token as the actor, with it.
    let alone = exchange(&subject("alice"), "jwt") + &c1;
    let advice = bench.advice(&alone);
    assert!(advice.contains("its own access token as the actor_token"), "{advice}");
    bench.granted(&form("alice"), &advice);
}

impl Bench {
    /// Registers a client that the server knows when this returns.
    fn client_of(&self, id: &str) -> String {
        let credential = self.client(id, &[]);
        within_a_second("the client is there", || self.status(&own(&credential, "")) == 200);
        credential
    }
}

#[test]
fn advice_about_a_client_that_is_named_like_an_option_can_be_pasted() {
    let bench = Bench::new();
    let add = ["client", "add", "--json", "--scope", "catalog", "--", "--help"];
    let secret = bench.place.run(&add).done().json()["client_secret"].clone();
    let credential = format!("&client_id=--help&client_secret={}", secret.as_str().unwrap());
    let form = format!("grant_type=client_credentials&scope=ns:read{credential}");
    bench.follow(&form, &["tokenberg client change --scope 'catalog ns:read' -- --help"]);
    bench.run(&["client", "disable", "--", "--help"]);
    bench.follow(&form, &["tokenberg client enable -- --help"]);
}
