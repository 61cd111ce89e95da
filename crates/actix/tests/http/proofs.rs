//! Tokens bound to keys by DPoP over HTTP: the DP items of the conformance list.

use crate::check::*;
use crate::world::*;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use tokenberg_actix::{Fixed, TokenService};
use tokenberg_core::Policy;
use tokenberg_testkit::ForeignKey;

fn proof(key: &ForeignKey, id: &str) -> String {
    key.proof(at(NOW), id, &json!({}))
}

#[actix_web::test]
async fn dp_01_dp_15_a_proof_binds_the_token_and_introspection_reports_it() {
    let service = service();
    let key = ForeignKey::new(None);
    let answer = check(&service, &form(CC).basic(C1).dpop(&proof(&key, "1")), Expected::Bound).await;
    let token = answer.token();
    let jkt = json!({"jkt": key.thumbprint().as_str()});
    assert_eq!(claims(&token)["cnf"], jkt);
    assert_eq!(answer.header("DPoP-Nonce"), None, "no nonce is required");
    let introspected =
        self::answer(&service, &form(format!("token={token}")).basic(C1).at("/v1/oauth/introspect")).await;
    let introspected = introspected.json();
    assert_eq!(
        (&introspected["active"], &introspected["token_type"], &introspected["cnf"]),
        (&true.into(), &"DPoP".into(), &jkt)
    );
    // Without a proof, it is a Bearer token.
    check(&service, &form(CC).basic(C1), Expected::Ok).await;
}

#[actix_web::test]
async fn dp_02_dp_07_dp_17_one_proof_used_once_and_no_credential() {
    let service = service();
    let key = ForeignKey::new(None);
    let by = |proofs: &[&str]| proofs.iter().fold(form(CC).basic(C1), |ask, proof| ask.dpop(proof));
    let (one, two) = (proof(&key, "1"), proof(&key, "2"));
    for bad in [
        by(&[&one, &two]),
        by(&[&one, &one]),
        by(&[&format!("{one},{two}")]),
        by(&["garbage"]),
        by(&[""]),
        by(&[&key.sign(
            &json!({"jti": "x", "htm": "POST", "htu": "https://as.test/v1/oauth/tokens", "iat": NOW}),
        )]),
        by(&[&key.proof(at(NOW), "h", &json!({"htu": "https://evil.test/v1/oauth/tokens"}))])
            .header("X-Forwarded-Host", "evil.test"),
    ] {
        check(&service, &bad, E(400, "invalid_dpop_proof")).await;
    }
    check(&service, &form(CC).dpop(&one), E(401, "invalid_client")).await;
    check(&service, &form(CC).basic(("c1", "wrong")).dpop(&one), E(401, "invalid_client")).await;
    // None of these has used it up; a valid request does.
    check(&service, &by(&[&one]), Expected::Bound).await;
    check(&service, &by(&[&one]), E(400, "invalid_dpop_proof")).await;
    // Another key has its own identifiers.
    check(&service, &by(&[&proof(&ForeignKey::new(None), "1")]), Expected::Bound).await;
}

#[actix_web::test]
async fn dp_07_a_use_that_cannot_be_stored_is_an_outage_and_not_the_clients_fault() {
    let world = World::new();
    let service = world.service();
    let key = ForeignKey::new(None);
    let ask = form(CC).basic(C1).dpop(&proof(&key, "1"));
    world.is_store_down.store(true, Ordering::SeqCst);
    check(&service, &ask, E(503, "temporarily_unavailable")).await;
    world.is_store_down.store(false, Ordering::SeqCst);
    check(&service, &ask, Expected::Bound).await;
}

#[actix_web::test]
async fn dp_10_a_nonce_is_required_issued_and_accepted() {
    let world = World::new();
    let mut policy = Policy::new(ISSUER.parse().unwrap());
    policy.require_dpop_nonce = true;
    let clock = std::sync::Arc::clone(&world.clock);
    let service = TokenService::builder(policy, Fixed::from(std::sync::Arc::clone(&world)))
        .single_use(Ledger(std::sync::Arc::clone(&world)))
        .clock(move || at(clock.load(Ordering::SeqCst)))
        .build();
    let key = ForeignKey::new(None);
    let with = |id: &str, now: i64, nonce: &Value| {
        form(CC).basic(C1).dpop(&key.proof(at(now), id, &json!({"nonce": nonce})))
    };
    let fresh = |now: i64| format!("nonce-{}", now / 60);
    let now = NOW;
    for (id, nonce) in [
        ("1", Value::Null),
        ("2", "nonce-1".into()),
        ("3", "".into()),
        ("4", 5.into()),
        ("5", fresh(now - 120).into()),
    ] {
        let answer = check(&service, &with(id, now, &nonce), E(400, "use_dpop_nonce")).await;
        // `header` fails if there are two.
        assert_eq!(answer.header("DPoP-Nonce"), Some(fresh(now).as_str()), "{nonce}");
    }
    let good = check(&service, &with("6", now, &fresh(now).into()), Expected::Bound).await;
    assert_eq!(good.header("DPoP-Nonce"), Some(fresh(now).as_str()));
    check(&service, &with("7", now, &fresh(now - 60).into()), Expected::Bound).await;
    // A request without a proof needs no nonce; a failed authentication gets none.
    assert_eq!(check(&service, &form(CC).basic(C1), Expected::Ok).await.header("DPoP-Nonce"), None);
    let stranger = form(CC).basic(("c1", "wrong")).dpop(&proof(&key, "8"));
    assert_eq!(check(&service, &stranger, E(401, "invalid_client")).await.header("DPoP-Nonce"), None);
    let bad = with("9", now - 3600, &fresh(now).into());
    assert_eq!(check(&service, &bad, E(400, "invalid_dpop_proof")).await.header("DPoP-Nonce"), None);
}

#[actix_web::test]
async fn dp_13_dp_14_a_bound_session_keeps_its_key() {
    let world = World::new();
    let service = world.service();
    world.change("c1", |client| client.rights_mut().dpop_bound = true);
    check(&service, &form(CC).basic(C1), E(400, "invalid_dpop_proof")).await;
    let (key, other) = (ForeignKey::new(None), ForeignKey::new(None));
    let token = check(&service, &form(CC).basic(C1).dpop(&proof(&key, "1")), Expected::Bound).await.token();
    let exchange = form(format!("{EXCHANGE}&subject_token={token}&subject_token_type={ACCESS_TOKEN}"));
    check(&service, &exchange.clone().basic(C1), E(400, "invalid_dpop_proof")).await;
    check(&service, &exchange.clone().basic(C1).dpop(&proof(&other, "2")), E(400, "invalid_request")).await;
    check(&service, &exchange.clone().bearer(&token).dpop(&proof(&other, "3")), E(401, "invalid_client"))
        .await;
    let renewed = check(&service, &exchange.clone().basic(C1).dpop(&proof(&key, "4")), Expected::Bound).await;
    assert_eq!(claims(&renewed.token())["cnf"], claims(&token)["cnf"]);
    check(&service, &exchange.bearer(&token).dpop(&proof(&key, "5")), Expected::Bound).await;
}
