//! The events of the audit over HTTP: SE-01, SE-05, SE-06 and HT-22 of the conformance list.

use crate::check::*;
use crate::world::*;
use serde_json::{Value, json};
use std::io;
use std::sync::{Arc, Mutex};
use tokenberg_actix::{AUDIT, TokenService, TrustedProxies};
use tokenberg_testkit::{ForeignKey, alice};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Log {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The events of the audit, as objects of their fields.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|event| event["target"] == AUDIT).map(|event| event["fields"].clone()).collect()
    }
}

/// Sends each request while everything is logged, at every level.
pub(crate) async fn logged(service: &TokenService, asks: &[Ask]) -> (Log, Vec<Answer>) {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE).with_writer(log.clone());
    let _guard = subscriber.finish().set_default();
    let mut answers = Vec::new();
    for ask in asks {
        // Another test may reach an event first while this subscriber is being registered; the event would be lost to it.
        tracing::callsite::rebuild_interest_cache();
        answers.push(answer(service, ask).await);
    }
    (log, answers)
}

/// Everything that is logged meanwhile.
pub(crate) fn captured(done: impl FnOnce()) -> Log {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE).with_writer(log.clone());
    let _guard = subscriber.finish().set_default();
    tracing::callsite::rebuild_interest_cache();
    done();
    log
}

#[actix_web::test]
async fn se_06_ht_22_every_decision_is_one_event_and_forwarded_addresses_are_not_trusted() {
    let service = service();
    let (_, minted) = logged(&service, &[form(CC).basic(C1), form(CC).basic(C2)]).await;
    let (subject, actor) = (minted[0].token(), minted[1].token());
    let exchange = format!(
        "{EXCHANGE}&subject_token={subject}&subject_token_type={ACCESS_TOKEN}&actor_token={actor}&actor_token_type={ACCESS_TOKEN}"
    );
    let mut granted = form(format!("{CC}&scope=ns:read")).basic(C1);
    granted.peer = Some("192.0.2.7:4711".parse().unwrap());
    let asks = [
        granted.header("X-Forwarded-For", "203.0.113.9"),
        form(exchange).basic(C2),
        form(format!("{CC}&scope=ns:write")).basic(C2),
        form(CC).basic(("c1", "wrong")),
        form(CC).without("Content-Type"),
    ];
    let (log, answers) = logged(&service, &asks).await;
    let events = log.events();
    assert_eq!(events.len(), asks.len(), "{events:#?}");
    for (event, answer) in events.iter().zip(&answers) {
        assert_eq!(event["endpoint"], "/v1/oauth/tokens");
        assert_eq!(event["request_id"].as_str().map(str::len), Some(16));
        if answer.status != 401 {
            assert_eq!(event["request_id"].as_str(), answer.header("X-Request-Id"));
        }
    }
    let token = claims(&answers[0].token());
    let jti = |token: &str| claims(token)["jti"].clone();
    for (field, value) in [
        ("outcome", "granted".into()),
        ("client", "c1".into()),
        ("method", "client_secret_basic".into()),
        ("grant", "client_credentials".into()),
        ("subject", "c1".into()),
        ("actors", "[]".into()),
        ("scope_in", "ns:read".into()),
        ("scope_out", "ns:read".into()),
        ("aud", format!("[{AUDIENCE:?}]").into()),
        ("jti", token["jti"].clone()),
        ("subject_auth", "client".into()),
        // HT-22: the peer, not its own headers.
        ("source", "192.0.2.7:4711".into()),
    ] {
        assert_eq!(events[0][field], value, "{field}");
    }
    for (field, value) in [
        ("outcome", "granted".into()),
        ("client", "c2".into()),
        ("subject", "c1".into()),
        ("actors", "[\"c2\"]".into()),
        ("subject_auth", "own_token".into()),
        ("subject_jti", jti(&subject)),
        ("actor_jti", jti(&actor)),
    ] {
        assert_eq!(events[1][field], value, "{field}");
    }
    assert_eq!(
        (&events[2]["outcome"], &events[2]["scope_in"]),
        (&"invalid_scope".into(), &"ns:write".into())
    );
    assert_eq!((&events[3]["outcome"], &events[3]["client"]), (&"invalid_client".into(), &"c1".into()));
    assert!(events[3]["reason"].as_str().unwrap().contains("wrong secret for the client c1"));
    assert_eq!((&events[4]["outcome"], &events[4]["status"]), (&"invalid_request".into(), &400.into()));
}

/// Assertions, foreign tokens and proofs, valid and invalid ones.
fn foreign_credentials(world: &World) -> Vec<String> {
    let own = |aud: &str| {
        let claims = json!({"iss": "cj", "sub": "cj", "aud": aud, "iat": NOW, "exp": NOW + 60, "jti": aud});
        world.cj.sign(&claims)
    };
    let key = ForeignKey::new(None);
    vec![
        own(ISSUER),
        own("https://elsewhere.test"),
        world.idp.sign(&json!({"sub": WORKLOAD, "aud": ISSUER, "exp": NOW + 300})),
        world.idp.sign(&alice(&json!({}))),
        world.idp.sign(&alice(&json!({"aud": ISSUER, "exp": NOW + 60}))),
        world.idp.sign(&alice(&json!({"exp": NOW - 600}))),
        key.sign(&alice(&json!({}))),
        key.proof(at(NOW), "1", &json!({})),
        key.proof(at(NOW), "2", &json!({"htm": "GET"})),
    ]
}

/// The credential in every position.
fn asks_with(credential: &str) -> Vec<Ask> {
    let urn = |what: &str| encoded(&format!("urn:ietf:params:oauth:{what}"));
    let kind = urn("client-assertion-type:jwt-bearer");
    let id_token = urn("token-type:id_token");
    vec![
        form(format!("{CC}&client_assertion={credential}&client_assertion_type={kind}")),
        form(format!("{EXCHANGE}&subject_token={credential}&subject_token_type={id_token}")).basic(C1),
        form(format!("{EXCHANGE}&subject_token={credential}&subject_token_type={id_token}"))
            .bearer(credential),
        form(format!("grant_type={}&assertion={credential}", urn("grant-type:jwt-bearer"))).basic(C1),
        form(CC).basic(C1).dpop(credential),
        form(format!("token={credential}")).basic(RS1).at("/v1/oauth/introspect"),
        form(format!("token={credential}")).basic(C1).at("/v1/oauth/revoke"),
    ]
}

#[actix_web::test]
async fn se_06_ht_22_the_source_is_the_one_that_a_trusted_proxy_names() {
    let proxies: TrustedProxies = ["10.0.0.0/8".parse().unwrap()].into_iter().collect();
    let service = World::new().builder().failures_per_client(1).trusted_proxies(proxies).build();
    let mut asks = vec![form(CC).basic(C1), form(CC).basic(("c1", "wrong")), form(CC).basic(C1)];
    asks.push(form(CC).basic(C1).header("X-Forwarded-Proto", "http"));
    for ask in &mut asks {
        ask.peer = Some("10.0.0.1:4711".parse().unwrap());
        *ask = ask.clone().header("X-Forwarded-For", "1.2.3.4, 203.0.113.9");
    }
    let (log, _) = logged(&service, &asks).await;
    let events = log.events();
    let outcomes: Vec<_> = events.iter().map(|event| event["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["granted", "invalid_client", "temporarily_unavailable", "invalid_request"]);
    assert!(events.iter().all(|event| event["source"] == "203.0.113.9"), "{events:#?}");
    assert_eq!(events[2]["status"], 429);
}

#[actix_web::test]
async fn se_01_no_secret_and_no_token_is_logged() {
    let world = World::new();
    let service = world.service();
    let (_, minted) = logged(&service, &[form(CC).basic(C1)]).await;
    let token = minted[0].token();
    let exchange = format!("{EXCHANGE}&subject_token={token}&subject_token_type={ACCESS_TOKEN}");
    let foreign = foreign_credentials(&world);
    let tampered = format!("{}AAAA", &token[..token.len() - 4]);
    let asks = [
        form(CC).basic(C1),
        form(CC).basic(("c1", "wr0ng-Secret")),
        form(format!("{CC}&client_id=c1&client_secret=s1-Z7")),
        form(format!("{CC}&client_id=s1-Z7&client_secret=c1x")),
        form(CC).basic(TORTURE),
        form(exchange.clone()).bearer(&token),
        form(exchange).basic(C2),
        form(format!("{EXCHANGE}&subject_token={tampered}&subject_token_type={ACCESS_TOKEN}")).basic(C1),
        form(CC).bearer(&token),
        form(CC).basic(C1).at(&format!("{T}?client_secret=s1-Z7")),
        form(CC).header("Authorization", "Basic %%s1-Z7"),
        form(format!("{CC}&client_secret=s1-Z7&client_secret=s1-Z7")),
    ];
    let with_foreign = foreign.iter().flat_map(|credential| asks_with(credential));
    let asks: Vec<Ask> = asks.into_iter().chain(with_foreign).collect();
    let (log, answers) = logged(&service, &asks).await;
    let text = log.text();
    let authorizations = asks.iter().flat_map(|ask| &ask.headers).filter(|(name, _)| name == "Authorization");
    let mut hushed: Vec<String> = authorizations
        .map(|(_, value)| String::from_utf8_lossy(value).split_once(' ').unwrap().1.to_owned())
        .collect();
    hushed
        .extend(["wr0ng-Secret", C2.1, TORTURE.1, &encoded(TORTURE.1), &token, &tampered].map(str::to_owned));
    hushed.extend(answers.iter().filter_map(|a| a.json()["access_token"].as_str().map(str::to_owned)));
    // The signature is what makes it a credential.
    hushed.extend(foreign.iter().map(|credential| credential.rsplit('.').next().unwrap().to_owned()));
    for secret in hushed {
        let leak = text.lines().find(|line| line.contains(&secret));
        assert_eq!(leak, None, "{secret}");
    }
    // The one exception is a secret that was sent as an identifier, which the log shows as such.
    for line in text.lines().filter(|line| line.contains(C1.1)) {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["fields"]["client"], format!("{:?}", C1.1), "{line}");
    }
}

#[actix_web::test]
async fn se_06_se_01_the_companions_leave_one_event_each_and_no_token() {
    let service = service();
    let (_, minted) = logged(&service, &[form(CC).basic(C1)]).await;
    let token = minted[0].token();
    let (introspect, revoke) = ("/v1/oauth/introspect", "/v1/oauth/revoke");
    let body = format!("token={token}");
    let asks = [
        form(body.clone()).basic(RS1).at(introspect),
        form(body.clone()).basic(RS2).at(introspect),
        form("token=garbage-of-a-client").basic(RS1).at(introspect),
        form(body.clone()).basic(("rs1", "wrong")).at(introspect),
        form(body.clone()).basic(C2).at(revoke),
        form(body.clone()).basic(C1).at(revoke),
        form(body).basic(C1).at(revoke),
    ];
    let (log, answers) = logged(&service, &asks).await;
    let events = log.events();
    assert_eq!(events.len(), asks.len(), "{events:#?}");
    let outcomes = [
        "active",
        "inactive",
        "inactive",
        "invalid_client",
        "unauthorized_client",
        "revoked",
        "nothing to revoke",
    ];
    for (((event, ask), answer), outcome) in events.iter().zip(&asks).zip(&answers).zip(outcomes) {
        assert_eq!(
            (&event["endpoint"], &event["outcome"]),
            (&ask.path.as_str().into(), &outcome.into()),
            "{event:#}"
        );
        assert_eq!(answer.header("X-Request-Id"), event["request_id"].as_str());
        assert_eq!(event["method"], "client_secret_basic");
        assert!(event["client"].is_string());
    }
    let jti = claims(&token)["jti"].clone();
    for revealing in [&events[0], &events[5]] {
        assert_eq!(
            (&revealing["owner"], &revealing["subject"], &revealing["jti"]),
            (&"c1".into(), &"c1".into(), &jti)
        );
    }
    assert!(events[1]["reason"].as_str().unwrap().contains("may see tokens for its --serves"));
    assert!(events[1]["tokens"].as_str().unwrap().contains(jti.as_str().unwrap()));
    for hushed in [token.as_str(), token.rsplit('.').next().unwrap(), "garbage-of", RS1.1, RS2.1, C1.1] {
        assert!(!log.text().contains(hushed), "{hushed}");
    }
}

#[actix_web::test]
async fn se_05_no_client_forges_a_line() {
    let service = service();
    let forged = "x\u{1b}[31m\n{\"target\":\"tokenberg::audit\",\"fields\":{\"outcome\":\"granted\"}}";
    let asks = [
        form(format!("{CC}&scope=a%1b%5b31m%0a")).basic(C1),
        form(format!("{CC}&client_id={}&client_secret=x", encoded(forged))),
        form(CC).basic_raw(format!("{forged}:x")),
        form(CC).basic_raw("c1 \"]} outcome=granted:x"),
    ];
    let (log, _) = logged(&service, &asks).await;
    assert_eq!(log.events().len(), asks.len());
    assert!(log.events().iter().all(|event| event["outcome"] != "granted"));
    assert!(!log.text().contains('\u{1b}'));
}
