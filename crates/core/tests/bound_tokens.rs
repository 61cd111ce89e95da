//! Who may use a token that is bound to a key: DPoP, RFC 9449, and certificates, RFC 8705; conformance DP, MT, TX-27, TX-45.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::registration::{CertificateName, Federation};
use tokenberg_core::token::Thumbprint;
use tokenberg_core::{AuthMethod, Client, ClientId, Refusal, TokenFault};
use tokenberg_testkit::{
    Ask, ForeignKey, ISSUER, NOW, World, by_c1, certificate, changed, client, client_with, sha256, trusted,
    vectors,
};

const NO_PROOF: &str = "400 invalid_dpop_proof";
const BAD: &str = "400 invalid_request";

fn cc() -> Ask {
    by_c1(Ask::credentials())
}

#[test]
fn dp_01_dp_15_a_proof_binds_the_token_and_introspection_shows_it() {
    let (mut world, key) = (World::new(), ForeignKey::new(None));
    let answer = world.check(cc().dpop(&key.proof(world.now, "1", &json!({}))));
    assert_eq!(answer.body()["token_type"], "DPoP");
    let bound = answer.claims().confirmation.clone().unwrap();
    assert_eq!((bound.key, bound.certificate), (Some(key.thumbprint()), None));
    world.change("c2", |c2| c2.rights_mut().serves = vec!["https://cat.test".into()]);
    let members = world.introspect(&Ask::token(&answer.token()).basic("c2", "s2-Q4")).unwrap();
    let members: Value = serde_json::from_str(&members.to_json()).unwrap();
    assert_eq!(
        (&members["token_type"], &members["cnf"]["jkt"]),
        (&"DPoP".into(), &key.thumbprint().as_str().into())
    );
    // Without a proof nothing changes (IC-01).
    assert_eq!(world.check(cc()).body()["token_type"], "bearer");
}

#[test]
fn dp_02_dp_03_dp_04_dp_05_dp_06_dp_09_dp_16_every_defect_of_a_proof() {
    let (mut world, key) = (World::new(), ForeignKey::new(None));
    let other = ForeignKey::new(None);
    let claims =
        json!({"jti": "x", "htm": "POST", "htu": "https://as.test/v1/oauth/tokens", "iat": NOW}).to_string();
    let with_header = |changes: &Value| {
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": key.jwk()});
        key.sign_raw(&changed(header, changes).to_string(), &claims)
    };
    let jwk = |changes: &Value| json!({"jwk": changed(key.jwk(), changes)});
    let x = key.jwk()["x"].as_str().unwrap().to_owned();
    for (what, proof) in [
        ("no typ", with_header(&json!({"typ": null}))),
        ("typ JWT", with_header(&json!({"typ": "JWT"}))),
        ("alg none", with_header(&json!({"alg": "none"}))),
        ("alg HS256", with_header(&json!({"alg": "HS256"}))),
        ("alg of another key", with_header(&json!({"alg": "ES384"}))),
        ("no jwk", with_header(&json!({"jwk": null}))),
        ("jwk a text", with_header(&json!({"jwk": "x"}))),
        ("symmetric", with_header(&json!({"jwk": {"kty": "oct", "k": "AAAA"}}))),
        ("private", with_header(&jwk(&json!({"d": "AAAA"})))),
        ("padded", with_header(&jwk(&json!({"x": format!("{x}=")})))),
        ("longer", with_header(&jwk(&json!({"x": format!("AA{x}")})))),
        ("short", with_header(&jwk(&json!({"x": "AAAA"})))),
        ("another key", with_header(&json!({"jwk": other.jwk()}))),
        ("method", key.proof(world.now, "x", &json!({"htm": "post"}))),
        ("method GET", key.proof(world.now, "x", &json!({"htm": "GET"}))),
        ("no method", key.proof(world.now, "x", &json!({"htm": null}))),
        ("path", key.proof(world.now, "x", &json!({"htu": "https://as.test/v1/oauth/introspect"}))),
        ("slashes", key.proof(world.now, "x", &json!({"htu": "https://as.test/v1/oauth/tokens//"}))),
        ("host", key.proof(world.now, "x", &json!({"htu": "https://evil.test/v1/oauth/tokens"}))),
        ("user", key.proof(world.now, "x", &json!({"htu": "https://u@as.test/v1/oauth/tokens"}))),
        ("scheme", key.proof(world.now, "x", &json!({"htu": "http://as.test/v1/oauth/tokens"}))),
        ("no address", key.proof(world.now, "x", &json!({"htu": null}))),
        ("old", key.proof(world.now, "x", &json!({"iat": NOW - 61}))),
        ("future", key.proof(world.now, "x", &json!({"iat": NOW + 11}))),
        ("no time", key.proof(world.now, "x", &json!({"iat": null}))),
        ("time as text", key.proof(world.now, "x", &json!({"iat": "1"}))),
        ("no id", key.proof(world.now, "x", &json!({"jti": null}))),
        ("id a number", key.proof(world.now, "x", &json!({"jti": 1}))),
        ("empty id", key.proof(world.now, "x", &json!({"jti": ""}))),
        ("long id", key.proof(world.now, "x", &json!({"jti": "x".repeat(257)}))),
        (
            "a list",
            format!("{},{}", key.proof(world.now, "x", &json!({})), key.proof(world.now, "y", &json!({}))),
        ),
        ("garbage", "garbage".to_owned()),
    ] {
        assert_eq!(world.check(cc().dpop(&proof)).code(), NO_PROOF, "{what}");
    }
    let (one, two) = (key.proof(world.now, "x", &json!({})), key.proof(world.now, "y", &json!({})));
    assert_eq!(*world.check(cc().dpop(&one).dpop(&two)).refusal(), Refusal::SeveralProofs);
    assert_eq!(world.minted(), 0);
    // None of the refusals used up the identifier, and permitted differences are accepted.
    assert_eq!(world.check(cc().dpop(&one)).code(), "200");
    for (id, changes) in [
        ("a", json!({"htu": "HTTPS://AS.TEST:443/v1/oauth/tokens?x#y"})),
        ("b", json!({"iat": NOW - 60})),
        ("c", json!({"iat": NOW + 10})),
        ("c2", json!({"htu": "https://as.test/v1/oauth/tokens/"})),
        ("c3", json!({"htu": "https://as.test//v1/oauth/tokens"})),
        ("c4", json!({"htu": "https://as.test//v1/oauth/token%73/"})),
        ("d", json!({"ath": "anything"})),
    ] {
        assert_eq!(world.check(cc().dpop(&key.proof(world.now, id, &changes))).code(), "200", "{changes}");
    }
    // A media type in any case, and a `kid` that is ignored.
    let header = json!({"typ": "application/DPoP+JWT", "alg": "ES256", "kid": "x", "jwk": key.jwk()});
    let proof = key.sign_raw(&header.to_string(), &claims.replace("\"x\"", "\"e\""));
    assert_eq!(world.check(cc().dpop(&proof)).code(), "200");
}

#[test]
fn dp_06_exp_and_nbf_of_a_proof_hold_where_they_are_present() {
    let (mut world, key) = (World::new(), ForeignKey::new(None));
    for (at, (changes, expected)) in [
        (json!({"exp": NOW - 9}), "200"),
        (json!({"exp": NOW - 10}), NO_PROOF),
        (json!({"exp": 0}), NO_PROOF),
        (json!({"exp": "never"}), NO_PROOF),
        (json!({"nbf": NOW + 10}), "200"),
        (json!({"nbf": NOW + 11}), NO_PROOF),
        (json!({"nbf": NOW - 600, "exp": NOW + 600}), "200"),
    ]
    .into_iter()
    .enumerate()
    {
        let proof = key.proof(world.now, &at.to_string(), &changes);
        assert_eq!(world.check(cc().dpop(&proof)).code(), expected, "{changes}");
    }
}

#[test]
fn dp_07_dp_08_dp_09_a_proof_is_accepted_once_and_a_refused_request_does_not_use_it_up() {
    let (mut world, key) = (World::new(), ForeignKey::new(None));
    let once = key.proof(world.now, "J", &json!({"iat": NOW + 10}));
    for refused in [
        Ask::credentials().basic("c1", "wrong").dpop(&once),
        cc().with("scope", "not:registered").dpop(&once),
        by_c1(Ask::exchange("garbage")).dpop(&once),
    ] {
        assert_ne!(world.check(refused).code(), "200");
    }
    assert_eq!(world.check(cc().dpop(&once)).code(), "200");
    assert!(matches!(world.check(cc().dpop(&once)).refusal(), Refusal::ProofReplayed(_)));
    let another = ForeignKey::new(None).proof(world.now, "J", &json!({}));
    assert_eq!(world.check(cc().dpop(&another)).code(), "200", "of another key it is another one");
    world.pass(70);
    assert!(
        matches!(world.check(cc().dpop(&once)).refusal(), Refusal::ProofReplayed(_)),
        "to its last second"
    );
    world.pass(1);
    assert!(matches!(world.check(cc().dpop(&once)).refusal(), Refusal::Proof(_)));
    world.has_memory = false;
    assert_eq!(world.check(cc().dpop(&key.proof(world.now, "K", &json!({})))).code(), "503");
}

#[test]
fn dp_10_a_nonce_of_this_server_is_required_if_the_operator_sets_it() {
    let (mut world, key) = (World::new(), ForeignKey::new(None));
    let nonce = |world: &World| tokenberg_core::Answers::nonce(world, world.now).unwrap();
    let mut policy = world.endpoint.policy().clone();
    policy.require_dpop_nonce = true;
    world.endpoint = tokenberg_core::TokenEndpoint::new(policy);
    let proof = |world: &World, id: &str, nonce: Value| key.proof(world.now, id, &json!({"nonce": nonce}));
    for bad in [json!(null), json!("nonce-1"), json!(1)] {
        let ask = cc().dpop(&proof(&world, "n", bad.clone()));
        assert_eq!(world.check(ask).code(), "400 use_dpop_nonce", "{bad}");
    }
    let good = nonce(&world);
    assert_eq!(world.check(cc().dpop(&proof(&world, "n", json!(good)))).code(), "200");
    world.pass(60);
    assert_eq!(world.check(cc().dpop(&proof(&world, "o", json!(good)))).code(), "200", "the one before");
    world.pass(60);
    assert_eq!(world.check(cc().dpop(&proof(&world, "p", json!(good)))).code(), "400 use_dpop_nonce");
    assert_eq!(world.check(cc()).code(), "200", "a request without a proof needs no nonce");
}

#[test]
fn dp_13_dp_17_ca_14_a_proof_is_required_if_registered_and_is_no_credential() {
    let (mut world, key) = (World::new(), ForeignKey::new(None));
    world.change("c2", |c2| c2.rights_mut().dpop_bound = true);
    let ask = || Ask::credentials().basic("c2", "s2-Q4");
    assert_eq!(world.check(ask()).code(), NO_PROOF);
    assert_eq!(world.check(ask().dpop(&key.proof(world.now, "1", &json!({})))).code(), "200");
    let alone = Ask::credentials().dpop(&key.proof(world.now, "2", &json!({})));
    assert_eq!(world.check(alone).code(), "401 invalid_client Basic");
    let scheme = Ask::credentials().header("DPoP abc").dpop(&key.proof(world.now, "3", &json!({})));
    assert_eq!(world.check(scheme).code(), "401 invalid_client Basic");
    // A client that has not authenticated learns nothing about its proof.
    assert_eq!(
        world.check(Ask::credentials().basic("c2", "x").dpop("garbage")).code(),
        "401 invalid_client Basic"
    );
}

#[test]
fn dp_14_tx_27_tx_45_a_bound_token_stays_bound_to_its_key() {
    let (mut world, key) = (World::new(), ForeignKey::new(None));
    let other = ForeignKey::new(None);
    let token = world.check(cc().dpop(&key.proof(world.now, "0", &json!({})))).token();
    let mut ids = 0;
    let mut id = || {
        ids += 1;
        ids.to_string()
    };
    // As the client's Bearer, and with its credential; with the key, without it, and with another one.
    for (asks, without) in [
        (Ask::exchange(&token).bearer(&token), "401 invalid_client Bearer"),
        (by_c1(Ask::exchange(&token)), BAD),
    ] {
        assert_eq!(world.check(asks.clone()).code(), without);
        assert_eq!(
            world.check(asks.clone().dpop(&other.proof(world.now, &id(), &json!({})))).code(),
            without
        );
        assert_eq!(world.check(asks.clone().dpop("garbage")).code(), NO_PROOF);
        let renewed = world.check(asks.dpop(&key.proof(world.now, &id(), &json!({}))));
        assert_eq!(renewed.claims().confirmation.as_ref().unwrap().key, Some(key.thumbprint()));
        assert_eq!(renewed.body()["token_type"], "DPoP");
    }
    // The binding also remains when the token becomes the actor of another subject.
    let plain = world.token("c1", "s1-Z7", "catalog");
    let answer = world.check(by_c1(Ask::exchange(&plain).actor(&token)));
    assert!(matches!(answer.refusal(), Refusal::ActorToken(TokenFault::Bound(_))));
    // An unbound token can be bound.
    let narrowed =
        world.check(Ask::exchange(&plain).bearer(&plain).dpop(&key.proof(world.now, &id(), &json!({}))));
    assert_eq!(narrowed.claims().confirmation.as_ref().unwrap().key, Some(key.thumbprint()));
    // An expired token is refused, too.
    world.pass(3605);
    assert_eq!(world.check(by_c1(Ask::exchange(&token))).code(), BAD);
    let renewed = world.check(by_c1(Ask::exchange(&token)).dpop(&key.proof(world.now, &id(), &json!({}))));
    assert_eq!(renewed.code(), "200");
}

#[test]
fn tx_27_a_foreign_subject_that_is_bound_is_exchanged_with_its_key_only() {
    let (mut world, key) = (World::new(), ForeignKey::new(None));
    let idp = ForeignKey::new(Some("p1"));
    world.issuers = vec![trusted("https://idp.test", &idp)];
    world.change("c1", |c1| c1.rights_mut().may_act_for = vec!["https://idp.test|*".parse().unwrap()]);
    let claims = json!({"iss": "https://idp.test", "sub": "alice", "aud": ISSUER, "exp": NOW + 60,
        "cnf": {"jkt": key.thumbprint().as_str()}});
    let ask = || by_c1(Ask::exchange(&idp.sign(&claims)));
    assert_eq!(world.check(ask()).code(), BAD);
    assert_eq!(world.check(ask().dpop(&ForeignKey::new(None).proof(world.now, "1", &json!({})))).code(), BAD);
    let answer = world.check(ask().dpop(&key.proof(world.now, "2", &json!({}))));
    assert_eq!(answer.claims().confirmation.as_ref().unwrap().key, Some(key.thumbprint()));
}

#[test]
fn dp_01_dp_11_known_answers_of_rfc_9449() {
    let Some(kats) = vectors("rfc_kats.json") else { return };
    let all = kats.as_array().unwrap();
    let kat = |id: &str| all.iter().find(|kat| kat["id"] == id).unwrap();
    let world = World::new();
    let keys = tokenberg_core::Answers::keys(&world);
    for id in ["RFC9449-4.1", "RFC9449-7.1"] {
        let proof = tokenberg_core::jws::DpopProof::parse(kat(id)["token"].as_str().unwrap()).unwrap();
        let verified = keys.verify_proof(&proof).unwrap();
        assert_eq!(verified.key().as_str(), kat(id)["jkt"].as_str().unwrap());
    }
    let kat = kat("RFC9449-7.1");
    let proof = tokenberg_core::jws::DpopProof::parse(kat["token"].as_str().unwrap()).unwrap();
    let hash = sha256(kat["access_token"].as_str().unwrap().as_bytes());
    assert_eq!(Thumbprint::of(hash).as_str(), kat["ath"].as_str().unwrap());
    let now = tokenberg_core::Timestamp::from_seconds(kat["now"].as_i64().unwrap()).unwrap();
    let verification = tokenberg_core::TokenVerification::new(ISSUER.parse().unwrap(), vec![]);
    let check = |method: &str, address: &str, hash: [u8; 32]| {
        verification.proof(&proof, keys.verify_proof(&proof), (method, address), hash, now)
    };
    let (address, other) = (kat["htu"].as_str().unwrap(), "https://resource.example.org/other");
    let (possession, _) = check("GET", address, hash).unwrap();
    assert_eq!(possession.key.unwrap().as_str(), kat["jkt"].as_str().unwrap());
    assert!(check("POST", address, hash).is_err() && check("GET", other, hash).is_err());
    assert!(check("GET", address, sha256(b"another token")).is_err(), "ath of another token");
}

fn cm(id: &str, name: CertificateName) -> Client {
    client_with(id, "catalog", |rights| {
        rights.auth_method = AuthMethod::TlsClientAuth;
        rights.certificate = Some(name);
        rights.audiences = vec!["https://cat.test".into()];
    })
}

#[test]
fn mt_01_mt_02_mt_04_mt_07_ca_11_a_certificate_authenticates_the_client_registered_with_it() {
    const NO: &str = "401 invalid_client Basic";
    let mut world = World::new();
    world.register(cm("cm", CertificateName::Subject("CN=cm".into())));
    let with_certificate = || Ask::credentials().certificate(certificate("CN=cm", 7));
    let answer = world.check(with_certificate().with("client_id", "cm"));
    let confirmation = answer.claims().confirmation.clone().unwrap();
    assert_eq!(confirmation.certificate, Some(Thumbprint::of([7; 32])));
    assert_eq!(answer.body()["token_type"], "bearer");
    for ask in [
        with_certificate(),
        with_certificate().with("client_id", "c1"),
        with_certificate().with("client_id", "unknown"),
        with_certificate().with("client_id", "\u{e9}"),
        Ask::credentials().with("client_id", "cm"),
        Ask::credentials().with("client_id", "cm").certificate(certificate("CN=other", 7)),
        Ask::credentials().with("client_id", "cm").certificate(certificate("CN=cm,O=x", 7)),
        Ask::credentials()
            .with("client_id", "cm")
            .with("client_secret", "x")
            .certificate(certificate("CN=cm", 7)),
        with_certificate().basic("cm", "x"),
    ] {
        assert_eq!(world.check(ask.clone()).code(), NO, "{ask:?}");
    }
    let mut strange = certificate("CN=cm", 7);
    strange.fault = Some("of an unknown authority".into());
    assert_eq!(world.check(Ask::credentials().with("client_id", "cm").certificate(strange)).code(), NO);
    let mut over = certificate("CN=cm", 7);
    over.not_after = world.now;
    assert_eq!(world.check(Ask::credentials().with("client_id", "cm").certificate(over)).code(), NO);
    // A client with a secret may show any certificate: it is neither a credential nor an obstacle, and binds nothing.
    let beside = world.check(cc().certificate(certificate("CN=cm", 7)));
    assert_eq!(beside.claims().confirmation, None);
    world.change("cm", |cm| cm.enabled = false);
    assert_eq!(world.check(with_certificate().with("client_id", "cm")).code(), NO);
}

#[test]
fn tx_27_mt_04_a_token_for_a_certificate_is_renewed_over_a_connection_with_it() {
    let mut world = World::new();
    world.register(cm("cm", CertificateName::Subject("CN=cm".into())));
    let with_certificate = |ask: Ask| ask.certificate(certificate("CN=cm", 7));
    let token = world.check(with_certificate(Ask::credentials()).with("client_id", "cm")).token();
    let renew = || Ask::exchange(&token).bearer(&token);
    assert_eq!(world.check(renew()).code(), "401 invalid_client Bearer");
    assert_eq!(world.check(renew().certificate(certificate("CN=cm", 8))).code(), "401 invalid_client Bearer");
    let renewed = world.check(with_certificate(renew()));
    assert_eq!(renewed.claims().confirmation.as_ref().unwrap().certificate, Some(Thumbprint::of([7; 32])));
    let credential = world.check(with_certificate(Ask::exchange(&token)).with("client_id", "cm"));
    assert_eq!(credential.code(), "200", "its own credential, as D13 has it");
    // The token is bound to both, if the client proves both.
    let key = ForeignKey::new(None);
    let both = world.check(with_certificate(renew()).dpop(&key.proof(world.now, "1", &json!({}))));
    let cnf = both.claims().confirmation.clone().unwrap();
    assert!(cnf.key.is_some() && cnf.certificate.is_some());
    let token = both.token();
    assert_eq!(
        world.check(with_certificate(Ask::exchange(&token).bearer(&token))).code(),
        "401 invalid_client Bearer"
    );
}

#[test]
fn mt_03_wl_05_a_self_signed_certificate_authenticates_no_client_and_a_workload_has_one_name() {
    let mut world = World::new();
    let id = "spiffe://td.test/ns/a";
    world.register(cm(id, CertificateName::Uri(id.into())));
    let mut svid = certificate("", 9);
    svid.names = vec![CertificateName::Uri(id.into())];
    let ask = |svid: &tokenberg_core::PeerCertificate| {
        Ask::credentials().with("client_id", id).certificate(svid.clone())
    };
    assert_eq!(world.check(ask(&svid)).claims().client_id, id.parse::<ClientId>().unwrap());
    let mut two = svid.clone();
    two.names.push(CertificateName::Uri("spiffe://td.test/ns/b".into()));
    assert_eq!(world.check(ask(&two)).code(), "401 invalid_client Basic");
    // Self-signed certificates are not an authentication method here, whatever they contain.
    let mut own = svid;
    own.fault = Some("of an unknown authority".into());
    assert_eq!(world.check(ask(&own)).code(), "401 invalid_client Basic");
    world.register(client("x", "s", "catalog"));
}

#[test]
fn law_7_mt_04_a_certificate_binds_only_what_the_client_obtains_by_it() {
    let key = ForeignKey::new(Some("p1"));
    let mut world = World::new();
    world.issuers = vec![trusted("https://k8s.test", &key)];
    let mut client = cm("cm", CertificateName::Subject("CN=cm".into()));
    client.rights_mut().federations = vec![Federation {
        issuer: "https://k8s.test".parse().unwrap(),
        subject: "workload".into(),
        audience: None,
        uid: None,
    }];
    world.register(client);
    let claims =
        json!({"iss": "https://k8s.test", "sub": "workload", "aud": ISSUER, "iat": NOW, "exp": NOW + 60});
    let by_identity =
        Ask::credentials().assertion(&key.sign(&claims)).certificate(certificate("CN=other", 9));
    assert_eq!(world.check(by_identity).claims().confirmation, None);
    let by_certificate = Ask::credentials().with("client_id", "cm").certificate(certificate("CN=cm", 7));
    assert!(world.check(by_certificate).claims().confirmation.is_some());
}
