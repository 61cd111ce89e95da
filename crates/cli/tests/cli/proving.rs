//! Clients without secrets obtain tokens from a real server: MT-01, CJ-07, DP-07 and DP-10 of the conformance list.

use crate::support::*;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, SanType,
};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use tokenberg_core::Timestamp;
use tokenberg_testkit::ForeignKey;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

const ISSUER: &str = "https://tokens.example";

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_seconds(i64::try_from(since.as_secs()).unwrap()).unwrap()
}

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

pub fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { issuer: Issuer::new(params, key), pem }
}

/// A certificate for `CN=spark,O=Test`, and its key, as PEM.
pub fn certified_pem(authority: &Authority) -> (String, String) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Test");
    params.distinguished_name.push(DnType::CommonName, "spark");
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, &authority.issuer).unwrap().pem(), key.serialize_pem())
}

fn certified(authority: &Authority) -> ClientCert {
    let (pem, key) = certified_pem(authority);
    let chain = [Certificate::from_pem(pem.as_bytes()).unwrap()];
    ClientCert::new_with_certs(&chain, PrivateKey::from_pem(key.as_bytes()).unwrap())
}

#[test]
fn mt_01_mt_06_a_client_authenticates_by_certificate_and_cas_change_without_a_restart() {
    let place = Place::new();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    place.file("key.pem", &made.signing_key.serialize_pem());
    place.file("cert.pem", &made.cert.pem());
    let (first, second) = (authority(), authority());
    place.file("ca.pem", &first.pem);
    let added =
        ["client", "add", "spark", "--auth-method", "tls_client_auth", "--tls-subject", "cn=spark, o=Test"];
    place.run(&added).done();
    let refused = place.run(&["check", "--tls-client-ca", "ca.pem"]);
    assert!(refused.code == 1 && refused.out.contains("--tls-cert"), "{}", refused.out);
    let tls = ["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--tls-client-ca", "ca.pem"];
    assert_eq!(place.run(&[&["check"][..], &tls].concat()).code, 0);
    let server = place.serve(&tls);

    let root = Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let ask = |shown: Option<&ClientCert>, path: &str, form: &str| -> (u16, Value) {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(std::slice::from_ref(&root)))
            .client_cert(shown.cloned())
            .build();
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).tls_config(tls);
        let agent = config.timeout_global(Some(Duration::from_secs(30))).build().new_agent();
        let mut answer = match form {
            "" => agent.get(format!("{}{path}", server.url)).call().unwrap(),
            form => agent
                .post(format!("{}{path}", server.url))
                .content_type("application/x-www-form-urlencoded")
                .send(form)
                .unwrap(),
        };
        (
            answer.status().as_u16(),
            serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap(),
        )
    };
    let token = |shown: Option<&ClientCert>| {
        ask(shown, "/v1/oauth/tokens", "grant_type=client_credentials&client_id=spark").0
    };
    let (old, new) = (certified(&first), certified(&second));
    let (_, metadata) = ask(None, "/.well-known/oauth-authorization-server", "");
    assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], true);
    assert_eq!([token(Some(&old)), token(Some(&new)), token(None)], [200, 401, 401]);
    // The log and the audit have the exact cause.
    let certified = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let pem = params.signed_by(&key, &first.issuer).unwrap().pem();
        let chain = [Certificate::from_pem(pem.as_bytes()).unwrap()];
        ClientCert::new_with_certs(&chain, PrivateKey::from_pem(key.serialize_pem().as_bytes()).unwrap())
    };
    let servers_only =
        certified(&|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    let workload = SanType::URI("spiffe://td.example/a".try_into().unwrap());
    let no_usage = certified(&|params| params.subject_alt_names = vec![workload.clone()]);
    for (shown, cause) in [
        // Both authorities have one name.
        (&new, "BadSignature"),
        (&servers_only, "does not allow extended key usage for client"),
        (&no_usage, "no extension keyUsage"),
    ] {
        assert_eq!(token(Some(shown)), 401, "{cause}");
        assert!(server.log().contains(cause), "{cause}: {}", server.log());
        within_a_second(cause, || place.run(&["audit"]).done().out.contains(cause));
    }
    place.file("ca.pem", "nonsense");
    server.signal("HUP");
    within_a_second("the bad one is reported", || server.log().contains("the old one stays"));
    assert_eq!(token(Some(&old)), 200);
    place.file("ca.pem", &second.pem);
    server.signal("HUP");
    within_a_second("it is read again", || token(Some(&new)) == 200);
    assert_eq!(token(Some(&old)), 401);
}

#[test]
fn cj_07_dp_07_a_used_assertion_or_proof_is_refused_by_every_server_of_the_store() {
    let place = Place::new();
    let client = ForeignKey::new(Some("k1"));
    place.file("jwks.json", &client.jwks());
    place.run(&["client", "add", "job", "--auth-method", "private_key_jwt", "--jwks", "jwks.json"]).done();
    let secret = place.add("c1", &[]);
    let servers = [place.serve(&["--issuer", ISSUER]), place.serve(&["--issuer", ISSUER])];
    let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    for (n, [first, other]) in [[0, 1], [1, 0]].into_iter().enumerate() {
        let seconds = now().as_seconds();
        let claims =
            json!({"iss": "job", "sub": "job", "aud": ISSUER, "exp": seconds + 60, "jti": format!("{n}")});
        let assertion = client.sign(&claims);
        let form = format!(
            "grant_type=client_credentials&client_assertion={assertion}&client_assertion_type={kind}"
        );
        let used = [first, other, first].map(|server: usize| servers[server].tokens(&form).status);
        assert_eq!(used, [200, 401, 401]);

        let proof =
            client.proof(now(), &format!("{n}"), &json!({"htu": format!("{ISSUER}/v1/oauth/tokens")}));
        let form = format!("grant_type=client_credentials&client_id=c1&client_secret={secret}");
        let used = [first, other].map(|server: usize| with_proof(&servers[server], &form, &proof).0);
        assert_eq!(used, [200, 400]);
    }
}

/// Sends a request with a proof: status, `error` or `token_type`, and the nonces of the answer.
fn with_proof(server: &Server, form: &str, proof: &str) -> (u16, String, Vec<String>) {
    with_proof_at(&server.endpoint(), form, proof)
}

fn with_proof_at(url: &str, form: &str, proof: &str) -> (u16, String, Vec<String>) {
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
    let agent = config.timeout_global(Some(Duration::from_secs(30))).build().new_agent();
    let request = agent.post(url).content_type("application/x-www-form-urlencoded");
    let mut answer = request.header("DPoP", proof).send(form).unwrap();
    let nonces =
        answer.headers().get_all("DPoP-Nonce").iter().map(|n| n.to_str().unwrap().to_owned()).collect();
    let body: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    let said = body["error"].as_str().or(body["token_type"].as_str()).unwrap().to_owned();
    (answer.status().as_u16(), said, nonces)
}

#[test]
fn dp_05_dp_06_te_26_te_27_a_proof_may_be_for_each_address_that_is_served_and_10_s_ahead() {
    let place = Place::new();
    let secret = place.add("c1", &[]);
    let server = place.serve(&["--issuer", ISSUER, "--base-path", "/api/catalog"]);
    let key = ForeignKey::new(None);
    let form = format!("grant_type=client_credentials&client_id=c1&client_secret={secret}");
    let mut count = 0;
    let mut status = |path: &str, changes: Value| {
        count += 1;
        let proof = key.proof(now(), &format!("{count}"), &changes);
        with_proof_at(&format!("{}/api/catalog{path}", server.url), &form, &proof).0
    };
    for path in ["/v1/oauth/tokens", "/v1/oauth/tokens/", "//v1/oauth/tokens", "//v1/oauth/tokens/"] {
        for base in [ISSUER.to_owned(), format!("{ISSUER}/api/catalog")] {
            let htu = format!("{base}{path}");
            assert_eq!(status(path, json!({ "htu": htu })), 200, "{htu}");
        }
    }
    let path = "/v1/oauth/tokens";
    for htu in [
        format!("{ISSUER}/api/{path}"),
        format!("{}/api/catalog{path}", server.url),
        format!("{ISSUER}/api/catalog/v1/oauth/introspect"),
        format!("https://evil.example/api/catalog{path}"),
    ] {
        assert_eq!(status(path, json!({ "htu": htu })), 400, "{htu}");
    }
    // The server's clock may be some seconds further, so only the nearer limit is exact.
    let ahead = |seconds: i64| json!({"htu": format!("{ISSUER}{path}"), "iat": now().as_seconds() + seconds});
    assert_eq!(status(path, ahead(9)), 200);
    assert_eq!(status(path, ahead(600)), 400);
}

#[test]
fn dp_10_a_nonce_of_one_server_is_accepted_by_another_and_after_a_restart() {
    let place = Place::new();
    let secret = place.add("c1", &[]);
    let config = place.file("t.toml", &format!("issuer = \"{ISSUER}\"\nrequire-dpop-nonce = true\n"));
    let first = place.serve(&["--config", &config]);
    let key = ForeignKey::new(None);
    let form = format!("grant_type=client_credentials&client_id=c1&client_secret={secret}");
    let proof = |id: &str, nonce: Option<&str>| {
        key.proof(now(), id, &json!({"htu": format!("{ISSUER}/v1/oauth/tokens"), "nonce": nonce}))
    };
    let (status, error, nonces) = with_proof(&first, &form, &proof("1", None));
    assert_eq!((status, error.as_str(), nonces.len()), (400, "use_dpop_nonce", 1));
    let (status, kind, next) = with_proof(&first, &form, &proof("2", Some(&nonces[0])));
    assert_eq!((status, kind.as_str(), next.len()), (200, "DPoP", 1));
    drop(first);
    let second = place.serve(&["--issuer", ISSUER, "--require-dpop-nonce"]);
    assert_eq!(with_proof(&second, &form, &proof("3", Some(&next[0]))).0, 200);
    assert_eq!(with_proof(&second, &form, &proof("4", Some("garbage"))).1, "use_dpop_nonce");
    // A server that does not demand a nonce issues none, and refuses an invalid one.
    let third = place.serve(&["--issuer", ISSUER]);
    assert_eq!(with_proof(&third, &form, &proof("5", None)), (200, "DPoP".to_owned(), vec![]));
    assert_eq!(with_proof(&third, &form, &proof("6", Some("garbage"))).1, "use_dpop_nonce");
}
