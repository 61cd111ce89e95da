//! A catalog that verifies a `Bearer` learns of revocations: a real server, a catalog on the same store, HTTP: KS-05.

use crate::support::{Place, Server, within_a_second};
use actix_web::{App, HttpServer, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::sync::mpsc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokenberg_actix::{Bearer, BearerConfig, TokenService};
use tokenberg_core::{Policy, Timestamp};
use tokenberg_jose::Keyring;
use tokenberg_store::{KekSource, Store, StoreUrl};

const ROOT: (&str, &str) = ("root", "first-secret-of-root");

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    Timestamp::from_seconds(i64::try_from(since).unwrap()).unwrap()
}

async fn table(token: Bearer) -> String {
    token.subject().to_string()
}

/// A catalog on the store of the place, which lasts as long as the test; its URL.
fn catalog(place: &Place, issuer: &str) -> String {
    let url: StoreUrl = format!("sqlite:{}", place.path("tokenberg.db").display()).parse().unwrap();
    let kek = KekSource::File(place.path("tokenberg.db.key"));
    let policy = Policy::new(issuer.parse().unwrap());
    let (send, address) = mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let store = Store::open_existing(&url, kek).await.unwrap();
            let build = |keys: &[_], before: Option<&Keyring>| Keyring::follow(keys, before, now());
            let world = store.watch(build).await.unwrap();
            let config = BearerConfig::of(&TokenService::builder(policy, world).build());
            let app = move || App::new().app_data(config.clone()).route("/table", web::get().to(table));
            let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0").unwrap();
            send.send(server.addrs()[0]).unwrap();
            server.run().await.unwrap();
        });
    });
    format!("http://{}/table", address.recv().unwrap())
}

fn ask(catalog: &str, token: &str) -> u16 {
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build();
    let request = config.new_agent().get(catalog).header("Authorization", format!("Bearer {token}"));
    request.call().unwrap().status().as_u16()
}

fn kid(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

/// A token of another key than this one.
fn of_another_key(server: &Server, other: &str) -> String {
    let mut token = String::new();
    within_a_second("another key signs", || {
        token = server.ask(ROOT.0, ROOT.1).token();
        kid(&token) != other
    });
    token
}

#[test]
fn ks_05_jw_40_a_catalog_refuses_tokens_of_a_revoked_key_at_once_and_no_others() {
    let place = Place::new();
    let server = place.serve(&[]);
    let catalog = catalog(&place, &server.url);
    let mint = || server.ask(ROOT.0, ROOT.1).token();
    let (seen, unseen) = (mint(), mint());
    let lost = kid(&seen);
    place.run(&["key", "rotate", "--now"]).done();
    let other = of_another_key(&server, &lost);
    assert_eq!(kid(&unseen), lost);
    within_a_second("the catalog knows the other key", || ask(&catalog, &other) == 200);
    // Each is sent twice: from then on their verified signatures are cached.
    for token in [&seen, &other, &seen, &other] {
        assert_eq!(ask(&catalog, token), 200);
    }
    place.run(&["key", "revoke", &lost]).done();
    within_a_second("what was seen is refused", || {
        assert_eq!(ask(&catalog, &other), 200, "another key is as good as before");
        ask(&catalog, &seen) == 401
    });
    assert_eq!((ask(&catalog, &unseen), ask(&catalog, &seen), ask(&catalog, &other)), (401, 401, 200));
    // The key that signs now is revoked, too, while a third one takes over.
    place.run(&["key", "revoke", &kid(&other)]).done();
    within_a_second("what was seen is refused", || ask(&catalog, &other) == 401);
    let third = of_another_key(&server, &kid(&other));
    within_a_second("the third is believed", || ask(&catalog, &third) == 200);
    assert_eq!((ask(&catalog, &seen), ask(&catalog, &other)), (401, 401));
}
