//! Registers what an embedding program states: the first key, and clients with exactly the stated rights and secrets.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use tokenberg_core::{Lifetime, Secret};
use tokenberg_store::{EnsuredClient, Store, StoreError};
use world::*;

fn secrets(texts: &[&str]) -> Vec<Secret> {
    texts.iter().map(|text| secret(text)).collect()
}

async fn state(store: &Store, now: i64, texts: &[&str]) -> EnsuredClient {
    let ensured = store.ensure_client(at(now), &id("c1"), &rights(), &secrets(texts)).await;
    ensured.unwrap_or_else(|e| panic!("{e}"))
}

#[tokio::test]
async fn a_client_has_exactly_the_stated_secrets_and_rights() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let are_good = async |now: i64, good: &[&str], bad: &[&str]| {
        watched.refresh().await.unwrap();
        let moment = watched.now();
        for (texts, is_good) in [(good, true), (bad, false)] {
            for text in texts {
                assert_eq!(is_authenticated(&moment, "c1", text, at(now)), is_good, "{text} at {now}");
            }
        }
    };

    let first = state(&store, 0, &["the-first-secret"]).await;
    assert!(first.added && !first.rights_changed && first.secrets_added.len() == 1 && !first.has_weak_secret);
    are_good(0, &["the-first-secret"], &["the-second-secret"]).await;

    let revision = watched.now().snapshot().revision();
    assert_eq!(state(&store, 1, &["the-first-secret"]).await, EnsuredClient::default());
    watched.refresh().await.unwrap();
    assert_eq!(watched.now().snapshot().revision(), revision, "nothing is written if all is so already");

    let both = state(&store, 2, &["the-first-secret", "the-second-secret"]).await;
    assert_eq!((both.secrets_added.len(), both.secrets_ended.len()), (1, 0));
    are_good(2, &["the-first-secret", "the-second-secret"], &["the-third-secret"]).await;

    let rotated = state(&store, 3, &["the-second-secret"]).await;
    assert_eq!(rotated.secrets_ended, first.secrets_added);
    are_good(3, &["the-second-secret"], &["the-first-secret"]).await;

    // An end that was set is not postponed, so a stated secret that has one is added again.
    store.expire_secret(&id("c1"), &both.secrets_added[0], at(9)).await.unwrap();
    assert_eq!(state(&store, 4, &["the-second-secret"]).await.secrets_added.len(), 1);
    are_good(10, &["the-second-secret"], &[]).await;

    assert!(state(&store, 11, &["short"]).await.has_weak_secret);
    assert!(state(&store, 12, &["short"]).await.has_weak_secret, "it is reported at every start");
    let three = store.ensure_client(at(13), &id("c1"), &rights(), &secrets(&["a", "b", "c"])).await;
    assert!(matches!(fault(three), StoreError::TooManySecrets { .. }));

    let mut other = rights();
    other.token_lifetime = Lifetime::from_seconds(60);
    store.set_enabled(&id("c1"), false).await.unwrap();
    let changed = store.ensure_client(at(14), &id("c1"), &other, &secrets(&["short"])).await.unwrap();
    assert!(changed.rights_changed && !changed.added);
    let record = store.client(&id("c1")).await.unwrap();
    assert_eq!(record.rights, other);
    assert!(!record.enabled, "the operator's decision stands");
    let report = store.verify_audit().await.unwrap();
    assert!(report.differences.is_empty(), "{:?}", report.differences);
}

#[tokio::test]
async fn the_first_key_is_made_once() {
    let Some(world) = World::of_either_kind() else { return };
    let (store, other) = (world.open().await, world.open().await);
    let (k1, k2) = (key("k1"), key("k2"));
    let made = tokio::join!(store.ensure_key(&k1), other.ensure_key(&k2));
    assert!(made.0.unwrap() != made.1.unwrap(), "one of two processes makes it");
    assert!(!store.ensure_key(&key("k3")).await.unwrap());
    assert_eq!(store.keys().await.unwrap().len(), 1);
}
