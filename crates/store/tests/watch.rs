//! A running server follows the store, and keeps what it has read when it cannot.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::sync::Arc;
use std::time::Duration;
use tokenberg_core::{Answers, Policy, Revocations, Revoke, TokenId};
use tokenberg_store::{NewRevocation, NewSecret, Snapshot, StoreError, Watched};
use world::*;

#[tokio::test]
async fn op_20_changes_by_another_process_are_seen_within_a_second() {
    let Some(world) = World::of_either_kind() else { return };
    let (here, there) = (world.open().await, world.open().await);
    let watched = here.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let first = watched.now();
    there.add_key(&key("k1")).await.unwrap();
    add(&there, "c1", NewSecret::Generate).await;
    until(&watched, |w| w.now().client(&id("c1")).is_some()).await;
    assert_eq!(&*watched.now().keys().jwks(), "k1");
    assert!(watched.now().snapshot().revision() > first.snapshot().revision());
    // An older moment does not change.
    assert!(first.client(&id("c1")).is_none());
    assert_eq!(first.signing_keys().0.len(), 0);
    let health = watched.health();
    assert!(health.fault.is_none());
}

#[tokio::test]
async fn rv_03_a_revocation_is_seen_here_immediately_and_elsewhere_within_a_second() {
    let Some(world) = World::of_either_kind() else { return };
    let (here, there) = (world.open().await, world.open().await);
    let watched = here.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let elsewhere = there.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let claims = token("c1", 0, "jti-1", "s-1");
    let revoke = Revoke::of(claims.clone(), &Policy::new(claims.issuer.clone()), at(0));
    assert!(revoke.until() > claims.session.end, "longer than anything of the session can be presented");
    watched.revoke(&revoke).await.unwrap();
    assert!(watched.now().revoked(&claims).is_some());
    assert!(watched.now().revoked(&token("c1", 9, "jti-2", "s-1")).is_some(), "rv_07: the family as well");
    until(&elsewhere, |w| w.now().revoked(&claims).is_some()).await;
}

#[tokio::test]
async fn rv_06_a_store_that_fails_acknowledges_no_revocation() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let claims = token("c1", 0, "jti-1", "s-1");
    let revoke = Revoke::of(claims.clone(), &Policy::new(claims.issuer.clone()), at(0));
    world.execute("ALTER TABLE revoked_ids RENAME TO lost").await;
    let fault = watched.revoke(&revoke).await.unwrap_err();
    assert!(!fault.reason.contains("jti-1"), "{fault}");
    assert!(watched.now().revoked(&claims).is_none());
    world.execute("ALTER TABLE lost RENAME TO revoked_ids").await;
    watched.revoke(&revoke).await.unwrap();
    // Unusable keys delay no revocation.
    store.add_key(&key("bad")).await.unwrap();
    let other = token("c1", 0, "jti-2", "s-2");
    watched.revoke(&Revoke::of(other.clone(), &Policy::new(other.issuer.clone()), at(0))).await.unwrap();
    assert!(watched.now().revoked(&other).is_some());
}

/// As after a failover between the commit and the next read: the server that answers now lacks it.
#[tokio::test]
async fn rv_06_a_revocation_that_the_database_has_lost_at_once_is_not_acknowledged() {
    let Some(world) = World::of_either_kind() else { return };
    let watched = world.open().await.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let claims = token("c1", 0, "jti-1", "s-1");
    let revoke = Revoke::of(claims.clone(), &Policy::new(claims.issuer.clone()), at(0));
    let (lose, keep) = if is_postgres() {
        (
            "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
             CREATE TRIGGER lose BEFORE INSERT ON revoked_ids FOR EACH ROW EXECUTE FUNCTION nothing()",
            "DROP TRIGGER lose ON revoked_ids",
        )
    } else {
        (
            "CREATE TRIGGER lose BEFORE INSERT ON revoked_ids BEGIN SELECT RAISE(IGNORE); END",
            "DROP TRIGGER lose",
        )
    };
    world.execute(lose).await;
    assert!(watched.revoke(&revoke).await.is_err());
    world.execute(keep).await;
    watched.revoke(&revoke).await.unwrap();
    assert!(watched.now().revoked(&claims).is_some());
}

#[tokio::test]
async fn op_11_keys_are_built_again_only_when_they_have_changed() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    store.add_key(&key("k1")).await.unwrap();
    let built = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = built.clone();
    let watched = store
        .watch(move |material, before| {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Names::build(material, before)
        })
        .await
        .unwrap_or_else(|e| panic!("{e}"));
    add(&store, "c1", NewSecret::Generate).await;
    watched.refresh().await.unwrap();
    assert!(watched.now().client(&id("c1")).is_some());
    assert_eq!(built.load(std::sync::atomic::Ordering::Relaxed), 1);
    store.add_key(&key("k2")).await.unwrap();
    assert_eq!(fault(store.add_key(&key("k2")).await), StoreError::KeyExists { id: key("k2").id });
    watched.refresh().await.unwrap();
    assert_eq!(watched.now().signing_keys().0, ["k1", "k2"]);
    assert_eq!(built.load(std::sync::atomic::Ordering::Relaxed), 2);
    store.remove_key(&key("k1").id).await.unwrap();
    assert_eq!(fault(store.remove_key(&key("k1").id).await), StoreError::NoSuchKey { id: key("k1").id });
    watched.refresh().await.unwrap();
    assert_eq!(watched.now().signing_keys().0, ["k2"]);
}

#[tokio::test]
async fn op_13_an_invalid_key_keeps_the_old_keys_and_delays_no_other_change() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    store.add_key(&key("k1")).await.unwrap();
    add(&store, "c1", NewSecret::Generate).await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    store.add_key(&key("bad")).await.unwrap();
    store.set_enabled(&id("c1"), false).await.unwrap();
    let refused = watched.refresh().await.unwrap_err();
    assert_eq!(refused, StoreError::KeysRejected { reason: "the key bad is bad".to_owned() });
    assert_eq!(watched.health().fault, Some(refused));
    assert_eq!(watched.now().signing_keys().0, ["k1"]);
    assert!(!watched.now().client(&id("c1")).unwrap().enabled);
    store.remove_key(&key("bad").id).await.unwrap();
    until(&watched, |w| w.health().fault.is_none()).await;
    let rejected = store.add_key(&key("bad")).await.map(|()| store.watch(Names::build));
    assert!(matches!(fault(rejected.unwrap().await), StoreError::KeysRejected { .. }));
}

#[tokio::test]
async fn op_21_a_store_that_cannot_be_read_ages_and_recovers() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", chosen("s1-Z7")).await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    world.execute("ALTER TABLE revisions RENAME TO hidden").await;
    until(&watched, |w| w.health().fault.is_some()).await;
    until(&watched, |w| w.health().age > Duration::from_millis(600)).await;
    assert!(is_authenticated(&watched.now(), "c1", "s1-Z7", at(0)));
    world.execute("ALTER TABLE hidden RENAME TO revisions").await;
    until(&watched, |w| w.health().fault.is_none() && w.health().age < Duration::from_millis(500)).await;
}

#[tokio::test]
async fn the_watch_ends_with_its_last_clone() {
    struct Flag(Arc<()>);
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let flag = Arc::new(());
    let held = Flag(flag.clone());
    let watched = store
        .watch(move |material, before| {
            let _in_use = &held.0;
            Names::build(material, before)
        })
        .await
        .unwrap_or_else(|e| panic!("{e}"));
    let clone = watched.clone();
    drop(watched);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(Arc::strong_count(&flag), 2);
    drop(clone);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(Arc::strong_count(&flag), 1);
}

#[tokio::test]
async fn following_every_change_gives_the_same_as_reading_everything() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let ids: Vec<_> = (0..7).map(|n| id(&format!("c{n}"))).collect();
    let jti = |n: usize| TokenId::parse(&format!("t{n}")).unwrap();
    // Some of these fail, as a second removal does; then nothing may change.
    for step in 0..120_usize {
        let (n, time) = (step * 5 % 7, at(i64::try_from(step).unwrap()));
        let _ = match step * 3 % 11 {
            0..=2 => store.add_client(time, &ids[n], &rights(), Some(NewSecret::Generate)).await.map(drop),
            3 => store.remove_client(time, &ids[n]).await,
            4 => store.set_enabled(&ids[n], step % 2 == 0).await,
            5 => store.add_secret(time, &ids[n], NewSecret::Generate).await.map(drop),
            6 => match store.client(&ids[n]).await {
                Ok(client) => store.expire_secret(&ids[n], &client.secrets[0].id, time).await,
                Err(none) => Err(none),
            },
            7 => store.revoke(&NewRevocation::Token { id: jti(step), until: time }).await,
            8 => store.revoke(&NewRevocation::Client { id: ids[n].clone(), before: time }).await,
            9 => store.expire(at(i64::try_from(step).unwrap() + 7200 - 40)).await.map(drop),
            _ => store.add_key(&key(&step.to_string())).await,
        };
        if step % 3 == 0 {
            watched.refresh().await.unwrap();
            let now = watched.now();
            let fresh = store.snapshot().await.unwrap_or_else(|e| panic!("{e}"));
            let seen = |s: &Snapshot| {
                let clients = ids.iter().map(|id| {
                    let client = s.client(id)?;
                    let secrets =
                        client.secrets.iter().map(|s| (s.id.clone(), s.expires_at)).collect::<Vec<_>>();
                    Some((client.enabled, secrets))
                });
                let tokens = (0..120).map(|n| s.revoked(&token("c1", 50, &format!("t{n}"), "s")));
                (
                    s.revision(),
                    s.clients(),
                    s.revocations(),
                    clients.collect::<Vec<_>>(),
                    tokens.collect::<Vec<_>>(),
                )
            };
            assert_eq!(seen(now.snapshot()), seen(&fresh), "after step {step}");
        }
    }
    assert!(watched.now().snapshot().clients() > 0 && watched.now().snapshot().revocations() > 5);
}

/// A trigger that sets the number of each part back when it is raised.
fn hold() -> &'static str {
    if is_postgres() {
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.number := OLD.number; RETURN NEW; END'; \
         CREATE TRIGGER hold BEFORE UPDATE ON revisions FOR EACH ROW EXECUTE FUNCTION hold()"
    } else {
        "CREATE TRIGGER hold AFTER UPDATE ON revisions BEGIN UPDATE revisions SET number = OLD.number \
         WHERE part = OLD.part; END"
    }
}

#[tokio::test]
async fn op_20_a_revision_that_a_trigger_holds_or_that_goes_back_hides_no_change() {
    let Some(world) = World::of_either_kind() else { return };
    let (here, there) = (world.open().await, world.open().await);
    add(&there, "c1", NewSecret::Generate).await;
    let watched = here.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let is_enabled = |w: &Watched<Names>| w.now().client(&id("c1")).unwrap().enabled;
    // Ordinary changes, and records that change nothing, are no reason to read everything again.
    add(&there, "c2", NewSecret::Generate).await;
    chains::node(&there, 1).await;
    until(&watched, |w| w.now().client(&id("c2")).is_some()).await;
    assert_eq!(watched.health().rereads, 0);
    world.execute(hold()).await;
    there.set_enabled(&id("c1"), false).await.unwrap();
    until(&watched, |w| !is_enabled(w)).await;
    assert_eq!(watched.health().rereads, 1);
    let claims = token("c1", 0, "jti-1", "s-1");
    let revoke = Revoke::of(claims.clone(), &Policy::new(claims.issuer.clone()), at(0));
    watched.revoke(&revoke).await.unwrap();
    assert!(watched.now().revoked(&claims).is_some());
    assert_eq!(watched.health().rereads, 2);
    world.execute(if is_postgres() { "DROP TRIGGER hold ON revisions" } else { "DROP TRIGGER hold" }).await;
    // The number of another part is raised, and that of the clients goes back.
    world
        .execute(
            "UPDATE clients SET enabled = 1; UPDATE revisions SET number = number + 1; \
        UPDATE revisions SET number = 1 WHERE part = 'clients'",
        )
        .await;
    until(&watched, is_enabled).await;
    assert_eq!(watched.health().rereads, 3);
    add(&there, "c3", NewSecret::Generate).await;
    until(&watched, |w| w.now().client(&id("c3")).is_some()).await;
    assert_eq!(watched.health().rereads, 3);
}
