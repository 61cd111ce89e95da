//! Tokens that announce another kind, and tokens that announce to be an ID token or an access token.

use crate::doors::{DOORS, Door, IDP, WORKLOAD, genuine, header, present, world};
use serde_json::{Value, json};
use tokenberg_core::{Refusal, TokenFault, TokenType};
use tokenberg_testkit::{Ask, ISSUER, NOW, alice, by_c1, changed};

#[test]
fn tx_06_jw_38_a_token_that_announces_another_kind_begins_no_session() {
    let (mut world, key) = world(IDP, WORKLOAD);
    let logout = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    let jwk = json!({"kty": "EC"});
    let claims = [
        ("events", json!({"events": logout, "sid": "s"})),
        ("events", json!({"events": {}})),
        ("events", json!({"events": "any type", "txn": "t"})),
        ("toe", json!({"toe": NOW, "txn": "t"})),
        ("token_introspection", json!({"token_introspection": {"active": true, "sub": "alice"}})),
        ("jwks", json!({"jwks": {"keys": [jwk]}, "metadata": {}, "authority_hints": ["https://ta.test"]})),
        ("jwks", json!({"jwks": {"keys": [jwk]}})),
        ("authority_hints", json!({"authority_hints": []})),
        ("trust_mark_type", json!({"trust_mark_type": "https://ta.test/mark"})),
        ("trust_chain", json!({"trust_chain": ["a.b.c"], "metadata": {}})),
        ("status_list", json!({"status_list": {"bits": 1, "lst": "eNrbuRgAAhcBXQ"}, "ttl": 43200})),
        ("vc", json!({"vc": {"type": ["VerifiableCredential"]}})),
        ("vp", json!({"vp": {"type": ["VerifiablePresentation"]}})),
        ("vct", json!({"vct": "https://credentials.test/identity", "_sd_alg": "sha-256"})),
        ("credentialSubject", json!({"@context": [], "credentialSubject": {"id": "did:x:y"}})),
        ("verifiableCredential", json!({"verifiableCredential": [], "holder": "did:x:y"})),
        ("orig", json!({"orig": {"tn": "1"}, "dest": {"tn": ["2"]}})),
        ("sd_hash", json!({"sd_hash": "h", "nonce": "n"})),
        ("tctx", json!({"txn": "t", "tctx": {}, "rctx": {}})),
        ("req_wl", json!({"txn": "t", "req_wl": "apigateway.test"})),
        ("htm", json!({"htm": "POST", "htu": "https://as.test/v1/oauth/tokens"})),
        ("htu", json!({"htu": "https://as.test/v1/oauth/tokens"})),
        ("response_type", json!({"response_type": "code", "client_id": "c1"})),
        ("redirect_uri", json!({"redirect_uri": "https://client.test/cb"})),
        (
            "code",
            json!({"code": "PyyFaux2o7Q0YfXBU32jhw", "state": "S8NJ7uqk5fY4EjNvP_G_FtyJu6pUsvH9jsYni9dMAJw"}),
        ),
        ("access_token", json!({"access_token": "x", "expires_in": 60})),
        ("redirect_uris", json!({"redirect_uris": ["https://client.test/cb"], "software_id": "x"})),
        ("jwks_uri", json!({"jwks_uri": "https://idp.test/jwks", "issuer": IDP})),
        ("keys", json!({"keys": [{"kty": "EC"}]})),
        ("typ", json!({"typ": "Logout"})),
        ("typ", json!({"typ": "Refresh"})),
        ("typ", json!({"typ": "Offline"})),
        ("typ", json!({"typ": "execute-actions"})),
        ("token_use", json!({"token_use": "refresh"})),
        ("tokenName", json!({"tokenName": "refresh_token"})),
        ("token_type", json!({"token_type": "refresh"})),
    ];
    let types = [
        "logout+jwt",
        "secevent+jwt",
        "application/secevent+jwt",
        "token-introspection+jwt",
        "entity-statement+jwt",
        "trust-mark+jwt",
        "statuslist+jwt",
        "dc+sd-jwt",
        "vc+jwt",
        "kb+jwt",
        "txntoken+jwt",
        "oauth-authz-req+jwt",
        "oauth-id-jag+jwt",
        "oauth-client-attestation+jwt",
        "openid4vci-proof+jwt",
        "jwk-set+jwt",
        "dpop+jwt",
        "passport",
        "",
    ];
    let mut count = 0;
    for door in DOORS {
        let mut check = |typ: &str, changes: &Value, by: Option<&str>| {
            count += 1;
            let payload = changed(genuine(door, &format!("j{count}")), changes);
            let token = key.sign_raw(&header(typ), &payload.to_string());
            let answer = world.check(present(door, &token, &key));
            let Some(by) = by else { return assert_eq!(answer.code(), "200", "{door:?} {typ:?}") };
            let (Refusal::SubjectToken(fault)
            | Refusal::ActorToken(fault)
            | Refusal::Assertion(fault)
            | Refusal::ClientAssertion(fault)) = answer.refusal()
            else {
                unreachable!("{door:?} {changes}: {:?}", answer.refusal())
            };
            let is_it = matches!(fault, TokenFault::OtherKind(found) if found.by.name() == by);
            assert!(is_it, "{door:?} {typ:?} {changes}: {fault}");
        };
        for (by, changes) in &claims {
            check("JWT", changes, Some(by));
        }
        for typ in types {
            check(typ, &json!({}), if typ.is_empty() { None } else { Some("typ") });
        }
        check("JWT", &json!({}), None);
        // The claim `typ` is absent if it is null, and a text otherwise. One that alone makes a token one of another kind is never null.
        let typ = "has to be a text";
        for (claim, value, fault) in [
            ("typ", Value::Null, None),
            ("token_use", Value::Null, None),
            ("typ", json!(["Bearer"]), Some(typ)),
            ("typ", json!({"Bearer": 1}), Some(typ)),
            ("token_use", json!(["x"]), None),
            ("events", Value::Null, Some("has to be left out, or not null")),
            ("jwks", Value::Null, Some("has to be left out, or not null")),
            ("vc", Value::Null, Some("has to be left out, or not null")),
            ("dest", Value::Null, None),
        ] {
            let mut payload = genuine(door, &format!("{claim}-{value}-{door:?}"));
            payload[claim] = value.clone();
            let answer =
                world.check(present(door, &key.sign_raw(&header("JWT"), &payload.to_string()), &key));
            match fault {
                None => assert_eq!(answer.code(), "200", "{door:?} {claim} {value}"),
                Some(fault) => {
                    let reason = answer.refusal().to_string();
                    let named = format!("the claim {claim} is ");
                    assert!(reason.contains(&named) && reason.ends_with(fault), "{door:?}: {reason}");
                }
            }
        }
        let array = key.sign_raw(
            &header("JWT").replace("\"JWT\"", "[\"JWT\"]"),
            &genuine(door, &format!("array-{door:?}")).to_string(),
        );
        let reason = world.check(present(door, &array, &key)).refusal().to_string();
        assert!(
            reason.ends_with("the header member typ is [\"JWT\"], and has to be a text"),
            "{door:?}: {reason}"
        );
    }
    // An issuer's assertion about itself, with which it would authenticate elsewhere, has no user as its subject.
    for door in [Door::IdToken, Door::Jwt, Door::AccessToken, Door::Actor, Door::Grant] {
        let payload = changed(genuine(door, "self"), &json!({ "sub": IDP }));
        let answer = world.check(present(door, &key.sign(&payload), &key));
        assert!(answer.code().starts_with("400"), "{door:?}");
    }
}

#[test]
fn tx_06_the_provider_determines_what_is_an_id_token() {
    let (mut world, key) = world(IDP, WORKLOAD);
    // Claims, the typ of the header, and whether it is accepted as id_token, as jwt and as access_token.
    for (claims, typ, expected) in [
        (json!({}), "JWT", [true, true, true]),
        (json!({}), "at+jwt", [false, false, true]),
        (json!({"nonce": "n"}), "JWT", [true, false, false]),
        (json!({"nonce": "n"}), "at+jwt", [false, false, true]),
        (json!({"nonce": "n", "typ": "Bearer"}), "JWT", [false, true, true]),
        (json!({"nonce": "n", "typ": "DPoP"}), "JWT", [false, true, true]),
        (json!({"nonce": "n", "typ": "ID"}), "JWT", [true, false, false]),
        (json!({"typ": "ID"}), "JWT", [true, false, false]),
        (json!({"typ": "Bearer"}), "JWT", [false, true, true]),
        (json!({"typ": "JWT"}), "JWT", [true, true, true]),
        (json!({"typ": 7}), "JWT", [false, false, false]),
        (json!({"token_type": 7}), "JWT", [true, true, true]),
        (json!({"token_use": "id"}), "", [true, false, false]),
        (json!({"token_use": "access"}), "", [false, true, true]),
        (json!({"tokenName": "access_token", "nonce": "n"}), "", [false, true, true]),
        (json!({"token_type": "Bearer", "nonce": "n"}), "", [false, true, true]),
        (json!({"token_type": "user"}), "", [true, true, true]),
        (json!({"at_hash": "h"}), "JWT", [true, false, false]),
        (json!({"c_hash": "h"}), "JWT", [true, false, false]),
        // A token that announces both is neither.
        (json!({"at_hash": "h", "typ": "Bearer"}), "JWT", [false, false, false]),
        (json!({"c_hash": "h"}), "at+jwt", [false, false, false]),
        (json!({"typ": "Bearer", "token_use": "id"}), "JWT", [false, false, false]),
    ] {
        let payload = changed(alice(&json!({"aud": [ISSUER, "c1"]})), &claims);
        let token = key.sign_raw(&header(typ), &payload.to_string());
        let taken = [TokenType::IdToken, TokenType::Jwt, TokenType::AccessToken]
            .map(|kind| world.check(by_c1(Ask::exchange_of(&token, kind))).code() == "200");
        assert_eq!(taken, expected, "{typ:?} {claims}");
    }
}
