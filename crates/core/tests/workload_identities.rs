//! A foreign identity authenticates a client: Kubernetes, SPIFFE and others, RFC 7521 §4.2; conformance WL.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use serde_json::{Value, json};
use tokenberg_core::KeySource;
use tokenberg_core::request::AssertionKind;
use tokenberg_testkit::{Ask, ForeignKey, ISSUER, NOW, World, changed, federated_client, trusted};

const NO: &str = "401 invalid_client Basic";
const TOKENS: &str = "https://as.test/v1/oauth/tokens";

fn ask(assertion: &str) -> Ask {
    Ask::credentials().assertion(assertion)
}

fn federated(world: &mut World, issuer: &str, subject: &str) {
    world.register(federated_client("wl", "catalog", &[(issuer, subject)]));
}

const K8S: &str = "https://k8s.test";
const ACCOUNT: &str = "system:serviceaccount:ns:sa";

#[test]
fn wl_02_wl_10_wl_11_wl_12_wl_14_a_service_account_stands_for_one_client() {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("k8s")));
    world.issuers = vec![trusted(K8S, &key)];
    world.issuers[0].trust.accept.clear();
    federated(&mut world, K8S, ACCOUNT);
    let account = |changes: &Value| {
        let kubernetes = json!({"namespace": "ns", "serviceaccount": {"name": "sa", "uid": "u-1"}});
        let claims = json!({"iss": K8S, "sub": ACCOUNT, "aud": [ISSUER], "exp": NOW + 3600, "iat": NOW,
            "nbf": NOW, "kubernetes.io": kubernetes});
        key.sign(&changed(claims, changes))
    };
    let good = account(&json!({}));
    for _ in 0..2 {
        // Kubernetes issues the same token for an hour, so it is not single-use (D16).
        assert_eq!(world.check(ask(&good)).claims().client_id.as_str(), "wl");
    }
    assert_eq!(world.check(ask(&good).with("client_id", "wl")).code(), "200");
    assert_eq!(world.check(ask(&good).with("client_id", "c1")).code(), NO, "it stands for no other client");
    for changes in [
        json!({"aud": "https://kubernetes.default.svc.cluster.local"}),
        json!({"aud": [ISSUER, "https://kubernetes.default.svc"]}),
        json!({"aud": null}),
        json!({"sub": "system:serviceaccount:ns:sa2"}),
        json!({"sub": "system:serviceaccount:other:sa"}),
        json!({"sub": null}),
        json!({"exp": null}),
        json!({"exp": NOW - 30}),
        json!({"exp": NOW + 2 * 86_400}),
        json!({"iss": "kubernetes/serviceaccount"}),
        json!({"iss": null}),
        json!({"iss": "https://other.test"}),
    ] {
        assert_eq!(world.check(ask(&account(&changes))).code(), NO, "{changes}");
        assert_eq!(world.check(ask(&account(&changes)).with("client_id", "wl")).code(), NO, "{changes}");
    }
    assert_eq!(
        world
            .check(ask(&ForeignKey::new(Some("k8s"))
                .sign(&json!({"iss": K8S, "sub": ACCOUNT, "aud": ISSUER, "exp": NOW + 60}))))
            .code(),
        NO
    );
    // The identity is pinned to the account's UID, not to its name.
    world.change("wl", |wl| wl.rights_mut().federations[0].uid = Some("u-1".into()));
    assert_eq!(world.check(ask(&good)).code(), "200");
    let again = json!({"kubernetes.io": {"serviceaccount": {"name": "sa", "uid": "u-2"}}});
    assert_eq!(world.check(ask(&account(&again))).code(), NO);
    assert_eq!(world.check(ask(&account(&json!({"kubernetes.io": null})))).code(), NO);
    // With its own audience, it is accepted for that alone.
    world.change("wl", |wl| wl.rights_mut().federations[0].audience = Some("tokens".into()));
    assert_eq!(world.check(ask(&good)).code(), NO);
    assert_eq!(world.check(ask(&account(&json!({"aud": "tokens"})))).code(), "200");
    // It authenticates a client, and is neither a subject nor a grant.
    assert_eq!(
        world.check(Ask::exchange_of(&good, tokenberg_core::TokenType::Jwt).basic("c1", "s1-Z7")).code(),
        "400 invalid_request"
    );
    // The client's tokens are refused together with the issuer of its identity.
    let token = world.check(ask(&account(&json!({"aud": "tokens"})))).token();
    let renew = || Ask::exchange(&token).bearer(&token);
    assert_eq!(world.check(renew()).code(), "200");
    world.issuers[0].enabled = false;
    assert_eq!(world.check(renew()).code(), "401 invalid_client Bearer");
    world.issuers[0].enabled = true;
    world.change("wl", |wl| wl.enabled = false);
    assert_eq!(world.check(ask(&account(&json!({"aud": "tokens"})))).code(), NO);
}

#[test]
fn wl_01_wl_03_wl_04_a_workload_is_of_its_own_trust_domain() {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("svid")));
    let other = ForeignKey::new(Some("svid"));
    world.issuers = vec![trusted("spiffe://td.test", &key), trusted("spiffe://other.test", &other)];
    federated(&mut world, "spiffe://td.test", "spiffe://td.test/ns/a/sa/b");
    let svid = |key: &ForeignKey, changes: &Value| {
        let claims =
            json!({"sub": "spiffe://td.test/ns/a/sa/b", "aud": [ISSUER], "exp": NOW + 300, "iat": NOW});
        key.sign(&changed(claims, changes))
    };
    let spiffe = |token: &str| {
        Ask::credentials()
            .with("client_assertion_type", AssertionKind::JwtSpiffe.as_parameter())
            .with("client_assertion", token)
    };
    let good = svid(&key, &json!({}));
    for _ in 0..2 {
        assert_eq!(world.check(spiffe(&good)).claims().client_id.as_str(), "wl");
    }
    assert_eq!(world.check(ask(&good)).code(), "200", "an SVID is one however it is declared");
    // `iss` of an SVID does not select keys.
    assert_eq!(world.check(spiffe(&svid(&key, &json!({"iss": "https://evil.test"})))).code(), "200");
    for changes in [
        json!({"sub": "spiffe://td.test/ns/a/sa/bc"}),
        json!({"sub": "spiffe://td.test/ns/a"}),
        json!({"sub": "spiffe://td.test"}),
        json!({"sub": "spiffe://TD.test/ns/a/sa/b"}),
        json!({"sub": "spiffe://td.test/ns/a/../a/sa/b"}),
        json!({"sub": "spiffe://td.test/ns/a/sa/b/"}),
        json!({"sub": "spiffe://td.test:8443/ns/a/sa/b"}),
        json!({"sub": "SPIFFE://td.test/ns/a/sa/b"}),
        json!({"sub": "spiffe://other.test/ns/a/sa/b"}),
        json!({"sub": "spiffe://unknown.test/ns/a/sa/b"}),
        json!({"aud": [ISSUER, "x"]}),
        // The draft's own example breaks the draft's own rule.
        json!({"aud": [TOKENS]}),
        json!({"aud": null}),
        json!({"exp": null}),
    ] {
        assert_eq!(world.check(spiffe(&svid(&key, &changes))).code(), NO, "{changes}");
    }
    assert_eq!(world.check(spiffe(&svid(&other, &json!({})))).code(), NO, "the key of another trust domain");
    world.change("wl", |wl| wl.rights_mut().federations[0].subject = "spiffe://td.test/ns/a/*".into());
    assert_eq!(world.check(spiffe(&good)).code(), "200", "below a registered prefix");
    assert_eq!(world.check(spiffe(&svid(&key, &json!({"sub": "spiffe://td.test/ns/ab"})))).code(), NO);
}

#[test]
fn wl_03_ks_06_an_issuer_that_is_down_is_an_outage_and_an_untrusted_one_is_not_contacted() {
    let (mut world, key) = (World::new(), ForeignKey::new(Some("k8s")));
    world.issuers = vec![trusted(K8S, &key)];
    world.issuers[0].trust.keys = KeySource::JwksUri("https://k8s.test/openid/v1/jwks".into());
    federated(&mut world, K8S, ACCOUNT);
    let token = key.sign(&json!({"iss": K8S, "sub": ACCOUNT, "aud": ISSUER, "exp": NOW + 60}));
    world.fetched.insert(K8S.to_owned(), None);
    assert_eq!(world.check(ask(&token)).code(), "503");
    world.fetched.insert(K8S.to_owned(), Some(key.jwks()));
    assert_eq!(world.check(ask(&token)).code(), "200");
    world.fetched.clear();
    world.issuers[0].enabled = false;
    assert_eq!(world.check(ask(&token)).code(), NO);
    world.issuers.clear();
    assert_eq!(world.check(ask(&token)).code(), NO);
}
