//! Registration and rotation of clients, and what an unauthenticated client can find out.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use tokenberg_core::Answers;
use tokenberg_store::{NewSecret, SecretFault, SecretStrength, StoreError};
use world::*;

#[tokio::test]
async fn ca_18_unknown_disabled_expired_and_secretless_clients_are_refused_with_any_secret() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", chosen("s1-Z7")).await;
    add(&store, "coff", chosen("off-secret")).await;
    store.set_enabled(&id("coff"), false).await.unwrap();
    let dead = add(&store, "cexp", chosen("exp-secret")).await;
    store.expire_secret(&id("cexp"), &dead.secret_id, at(-1)).await.unwrap();
    store.add_client(at(0), &id("cnone"), &rights(), None).await.map(|s| assert!(s.is_none())).unwrap();
    let moment = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}")).now();
    assert!(is_authenticated(&moment, "c1", "s1-Z7", at(0)));
    for (client, text) in [
        ("c1", "s1-z7"),
        ("unknown", "s1-Z7"),
        ("coff", "off-secret"),
        ("coff", "wrong"),
        ("cexp", "exp-secret"),
        ("cnone", ""),
        ("cnone", "x"),
    ] {
        assert!(!is_authenticated(&moment, client, text, at(0)), "{client} {text}");
    }
}

#[tokio::test]
async fn ca_21_two_secrets_live_and_the_third_waits_for_one_to_expire() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let a = add(&store, "c1", NewSecret::Generate).await;
    let b = store.add_secret(at(1), &id("c1"), NewSecret::Generate).await.unwrap_or_else(|e| panic!("{e}"));
    let (text_a, text_b) = (a.secret.unwrap(), b.secret.unwrap());
    watched.refresh().await.unwrap();
    assert!(is_authenticated(&watched.now(), "c1", text_a.expose(), at(1)));
    assert!(is_authenticated(&watched.now(), "c1", text_b.expose(), at(1)));

    let full = fault(store.add_secret(at(2), &id("c1"), NewSecret::Generate).await);
    assert!(full.to_string().contains(&*a.secret_id) && full.to_string().contains(&*b.secret_id), "{full}");

    store.expire_secret(&id("c1"), &a.secret_id, at(10)).await.unwrap();
    watched.refresh().await.unwrap();
    assert!(is_authenticated(&watched.now(), "c1", text_a.expose(), at(9)));
    assert!(!is_authenticated(&watched.now(), "c1", text_a.expose(), at(10)));
    assert!(is_authenticated(&watched.now(), "c1", text_b.expose(), at(10)));
    fault(store.add_secret(at(9), &id("c1"), NewSecret::Generate).await);
    store.add_secret(at(10), &id("c1"), NewSecret::Generate).await.map(drop).unwrap();

    // An expiry is never postponed, or an expired secret would become valid.
    store.expire_secret(&id("c1"), &a.secret_id, at(99)).await.unwrap();
    let record = store.client(&id("c1")).await.unwrap();
    let ends: Vec<_> = record.secrets.iter().map(|s| (s.created_at, s.expires_at)).collect();
    assert_eq!(ends, [(at(0), Some(at(10))), (at(1), None), (at(10), None)]);
    assert_eq!(record.secrets[0].id, a.secret_id);

    let no_such_client = StoreError::NoSuchClient { id: id("c2") };
    assert_eq!(fault(store.expire_secret(&id("c2"), &a.secret_id, at(0)).await), no_such_client);
    assert_eq!(fault(store.add_secret(at(0), &id("c2"), NewSecret::Generate).await), no_such_client);
    let unknown = StoreError::NoSuchSecret { client: id("c1"), secret: "x".into() };
    assert_eq!(fault(store.expire_secret(&id("c1"), "x", at(0)).await), unknown);
}

#[tokio::test]
async fn ca_22_an_invalid_secret_is_refused_at_its_registration() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    for (text, why) in [
        (String::new(), SecretFault::Empty),
        ("x".repeat(1025), SecretFault::TooLong),
        ("a\0b".to_owned(), SecretFault::Character),
        ("pass\n".to_owned(), SecretFault::Character),
    ] {
        let outcome = store.add_client(at(0), &id("c1"), &rights(), Some(chosen(&text))).await;
        assert_eq!(fault(outcome), StoreError::Secret(why));
    }
    assert_eq!(store.clients().await.unwrap(), []);
    assert_eq!(add(&store, "c1", chosen("short")).await.strength, SecretStrength::Weak);
    let added = add(&store, "c2", chosen("correct horse")).await;
    assert_eq!(added.strength, SecretStrength::Strong);
    assert!(added.secret.is_none());
}

#[tokio::test]
async fn ca_23_secrets_are_compared_in_full() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let long = "x".repeat(72) + "y";
    add(&store, "c1", chosen("s1-Z7")).await;
    add(&store, "c2", chosen(&long)).await;
    let moment = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}")).now();
    assert!(is_authenticated(&moment, "c2", &long, at(0)));
    let changed = "x".repeat(72) + "z";
    for (client, text) in
        [("c2", &*changed), ("c2", &long[..72]), ("c1", "s1-Z7\0x"), ("c1", "s1-Z7 "), ("c1", "S1-Z7")]
    {
        assert!(!is_authenticated(&moment, client, text, at(0)), "{client} {text:?}");
    }
}

#[tokio::test]
async fn ca_24_identifiers_are_exact_bytes() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let text = add(&store, "c1", NewSecret::Generate).await.secret.unwrap();
    assert_eq!(
        fault(store.add_client(at(0), &id("c1"), &rights(), None).await),
        StoreError::ClientExists { id: id("c1") }
    );
    let moment = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}")).now();
    assert!(is_authenticated(&moment, "c1", text.expose(), at(0)));
    for other in ["C1", "c1 ", " c1", "c1\u{200b}", "c1\0", "c"] {
        assert!(!is_authenticated(&moment, other, text.expose(), at(0)), "{other:?}");
    }
    add(&store, "C1", NewSecret::Generate).await;
    add(&store, "c1 ", NewSecret::Generate).await;
    let ids: Vec<String> = store.clients().await.unwrap().into_iter().map(|c| c.id.into()).collect();
    assert_eq!(ids, ["C1", "c1", "c1 "]);
}

#[tokio::test]
async fn cc_19_disabling_and_removing_take_effect_and_can_be_undone() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let c1 = id("c1");
    add(&store, "c1", chosen("s1-Z7")).await;
    watched.refresh().await.unwrap();
    assert!(is_authenticated(&watched.now(), "c1", "s1-Z7", at(0)));
    // Repeated, so that the cache answers; a cached secret must not outlive the registration.
    assert!(is_authenticated(&watched.now(), "c1", "s1-Z7", at(0)));
    store.set_enabled(&c1, false).await.unwrap();
    watched.refresh().await.unwrap();
    assert!(!watched.now().client(&c1).unwrap().enabled);
    assert!(!is_authenticated(&watched.now(), "c1", "s1-Z7", at(0)));
    store.set_enabled(&c1, true).await.unwrap();
    let mut narrower = rights();
    narrower.audiences.push("https://lake.test".into());
    set_rights(&store, &c1, &narrower).await.unwrap();
    watched.refresh().await.unwrap();
    assert!(is_authenticated(&watched.now(), "c1", "s1-Z7", at(0)));
    assert_eq!(*watched.now().client(&c1).unwrap().rights, narrower);

    store.remove_client(at(5), &c1).await.unwrap();
    watched.refresh().await.unwrap();
    assert!(watched.now().client(&c1).is_none());
    add(&store, "c1", chosen("another secret")).await;
    watched.refresh().await.unwrap();
    assert!(!is_authenticated(&watched.now(), "c1", "s1-Z7", at(0)));
    // The tokens of the removed client do not become those of its successor.
    let mut for_it = token("c2", 4, "t", "s");
    for_it.subject = "c1".parse().unwrap();
    assert!(watched.now().revoked(&for_it).is_some(), "also what others held for it");
    assert!(watched.now().revoked(&token("c1", 4, "t", "s")).is_some());
    assert!(watched.now().revoked(&token("c1", 5, "t", "s")).is_none());

    let no_such_client = StoreError::NoSuchClient { id: id("c2") };
    assert_eq!(fault(store.set_enabled(&id("c2"), true).await), no_such_client);
    assert_eq!(fault(set_rights(&store, &id("c2"), &rights()).await), no_such_client);
    assert_eq!(fault(store.remove_client(at(0), &id("c2")).await), no_such_client);
    assert_eq!(fault(store.client(&id("c2")).await), no_such_client);
}

#[tokio::test]
async fn ab_06_an_unknown_client_costs_as_much_as_a_known_one_every_time() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", chosen("s1-Z7")).await;
    add(&store, "cgen", NewSecret::Generate).await;
    add(&store, "coff", chosen("off-secret")).await;
    store.set_enabled(&id("coff"), false).await.unwrap();
    let ending = add(&store, "cend", chosen("end-secret")).await;
    store.expire_secret(&id("cend"), &ending.secret_id, at(60)).await.unwrap();
    let moment = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}")).now();
    let cost = |client: &str, text: &str| {
        let before = moment.stretched_digests();
        moment.digest(client, &secret(text));
        moment.stretched_digests() - before
    };
    for _ in 0..2 {
        for (client, text) in [
            ("c1", "wrong"),
            ("unknown", "wrong"),
            ("cgen", "wrong"),
            ("coff", "off-secret"),
            ("coff", "wrong"),
            ("cend", "end-secret"),
        ] {
            assert_eq!(cost(client, text), 1, "{client} {text}");
        }
    }
    assert_eq!((cost("c1", "s1-Z7"), cost("c1", "s1-Z7")), (1, 0), "an honest client pays once");
    assert!(moment.is_costly("c1", &secret("wrong")) && moment.is_costly("unknown", &secret("s1-Z7")));
    assert!(!moment.is_costly("c1", &secret("s1-Z7")), "ab_02: it does not queue behind a flood");
}
