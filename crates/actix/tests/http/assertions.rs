//! Assertions of clients and tokens of trusted issuers over HTTP: CJ-16, IN-07, TX-30, KS-06, TX-69.

use crate::check::*;
use crate::world::*;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use tokenberg_testkit::{ForeignKey, alice};

const INTROSPECT: &str = "/v1/oauth/introspect";
const REVOKE: &str = "/v1/oauth/revoke";
const ID_TOKEN: &str = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token";

fn assertion(world: &World, id: &str) -> String {
    let claims = json!({"iss": "cj", "sub": "cj", "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": id});
    world.cj.sign(&claims)
}

fn by(assertion: &str, body: &str) -> Ask {
    let kind = encoded("urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    form(format!("{body}&client_assertion={assertion}&client_assertion_type={kind}"))
}

#[actix_web::test]
async fn cj_16_an_assertion_is_accepted_once_across_all_endpoints() {
    let world = World::new();
    let service = world.service();
    let places = [(T, CC), (INTROSPECT, "token=x"), (REVOKE, "token=x")];
    for (n, (first, first_body)) in places.into_iter().enumerate() {
        let once = assertion(&world, &format!("{n}"));
        assert_eq!(answer(&service, &by(&once, first_body).at(first)).await.status, 200, "{first}");
        for (again, body) in places {
            let used = answer(&service, &by(&once, body).at(again)).await;
            check_answer(&used, E(401, "invalid_client"), again);
        }
    }
}

#[actix_web::test]
async fn in_07_everything_but_our_access_tokens_is_inactive() {
    let world = World::new();
    let service = world.service();
    let key = ForeignKey::new(None);
    let foreign = world.idp.sign(&alice(&json!({})));
    for (what, token) in [
        ("a client assertion", assertion(&world, "not-used")),
        ("an id_token", foreign),
        ("a DPoP proof", key.proof(at(NOW), "1", &json!({}))),
        ("a refresh token", "8xLOxBtZp8".to_owned()),
        ("an access token of another issuer", world.idp.sign_raw(
            r#"{"alg":"ES256","typ":"at+jwt","kid":"p-1"}"#,
            &alice(&json!({"aud": AUDIENCE, "client_id": "c1", "jti": "x", "scope": "catalog"})).to_string(),
        )),
        ("a token that says it is ours", world.idp.sign_raw(
            r#"{"alg":"ES256","typ":"at+jwt","kid":"p-1"}"#,
            &alice(&json!({"iss": ISSUER, "aud": AUDIENCE, "client_id": "c1", "jti": "x", "scope": "catalog"}))
                .to_string(),
        )),
    ] {
        for server in [RS1, C1] {
            let inactive = answer(&service, &form(format!("token={token}")).basic(server).at(INTROSPECT)).await;
            assert_eq!((inactive.status, inactive.text()), (200, r#"{"active":false}"#), "{what}");
        }
        let gone = answer(&service, &form(format!("token={token}")).basic(C1).at(REVOKE)).await;
        assert_eq!((gone.status, gone.text()), (200, "{}"), "{what}");
    }
    // Introspection did not use it up.
    check(&service, &by(&assertion(&world, "not-used"), CC), Expected::Ok).await;
}

#[actix_web::test]
async fn tx_30_a_user_of_a_trusted_issuer_gets_a_token_of_ours_that_names_the_issuer() {
    let world = World::new();
    let service = world.service();
    for issuer in [IDP, FETCHED] {
        let subject = world.idp.sign(&alice(&json!({"iss": issuer})));
        let body = format!("{EXCHANGE}&subject_token={subject}&subject_token_type={ID_TOKEN}");
        let token = check(&service, &form(body).basic(C1), Expected::Ok).await.token();
        let claims = claims(&token);
        assert_eq!((&claims["sub"], &claims["act"]["sub"]), (&"alice".into(), &"c1".into()), "{claims}");
        assert_eq!(claims["tokenberg_session"]["sub_iss"], issuer);
    }
}

#[actix_web::test]
async fn ks_06_the_outage_of_an_issuer_is_reported_as_one_and_affects_no_other() {
    let world = World::new();
    let service = world.service();
    world.is_issuer_down.store(true, Ordering::SeqCst);
    let ask = |issuer: &str| {
        let subject = world.idp.sign(&alice(&json!({"iss": issuer})));
        form(format!("{EXCHANGE}&subject_token={subject}&subject_token_type={ID_TOKEN}")).basic(C1)
    };
    check(&service, &ask(FETCHED), E(503, "temporarily_unavailable")).await;
    check(&service, &ask(IDP), Expected::Ok).await;
    // An unauthenticated client is refused without any issuer's keys.
    check(&service, &ask("https://evil.test"), E(400, "invalid_request")).await;
    world.is_issuer_down.store(false, Ordering::SeqCst);
    check(&service, &ask(FETCHED), Expected::Ok).await;
}

/// A token about an unsecured user of `c1`; conformance TX-61.
pub(crate) fn asserting(world: &World, user: &str, actor: &str) -> Ask {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
    world.change("c1", |client| client.rights_mut().may_assert_users = vec!["*".parse().unwrap()]);
    let payload: Value = json!({"sub": user, "iat": NOW, "exp": NOW + 600});
    let bare =
        format!("{}.{}.", BASE64URL.encode(r#"{"alg":"none"}"#), BASE64URL.encode(payload.to_string()));
    let jwt = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt";
    form(format!(
        "{EXCHANGE}&subject_token={bare}&subject_token_type={jwt}&actor_token={actor}&actor_token_type={ACCESS_TOKEN}"
    ))
    .basic(C1)
}

#[actix_web::test]
async fn tx_61_an_unsecured_user_is_marked_in_the_token() {
    let world = World::new();
    let service = world.service();
    let actor = check(&service, &form(CC).basic(C1), Expected::Ok).await.token();
    let token = check(&service, &asserting(&world, "bob", &actor), Expected::Ok).await.token();
    let claims = claims(&token);
    assert_eq!((&claims["sub"], &claims["act"]["sub"]), (&"bob".into(), &"c1".into()), "{claims}");
    assert_eq!(claims["tokenberg_session"]["sub_auth"], "unsecured");
}
