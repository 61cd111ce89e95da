//! Keys rotate without a gap and once for all nodes, and the key-encryption key can be changed; conformance KS-04, KS-05,
//! OP-02.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::os::unix::fs::PermissionsExt;
use tokenberg_core::jws::KeyMaterial;
use tokenberg_core::key_schedule::{KeyState, signer};
use tokenberg_core::{Lifetime, Timestamp};
use tokenberg_store::{KekSource, NewSecret, NowSigning, Store, StoreError};
use world::*;

const DAY: i64 = 24 * 3600;
const QUARTER: Lifetime = Lifetime::from_hours(90 * 24);

fn spare(name: &str, now: Timestamp) -> KeyMaterial {
    KeyMaterial { created_at: now, signs_from: now, ..key(name) }
}

async fn states(store: &Store, now: Timestamp) -> Vec<(String, &'static str)> {
    let keys = store.keys().await.unwrap_or_else(|e| panic!("{e}"));
    let of = |key: &KeyMaterial| KeyState::of(key.times(), keys.iter().map(KeyMaterial::times), now).as_str();
    let mut states: Vec<_> = keys.iter().map(|key| (key.id.to_string(), of(key))).collect();
    states.sort();
    states
}

fn named(states: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    states.iter().map(|(name, state)| ((*name).to_owned(), *state)).collect()
}

#[tokio::test]
async fn op_02_a_clock_that_jumps_ahead_and_back_does_not_rotate_twice() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    store.add_key(&key("k0")).await.unwrap();
    let due = 90 * DAY;
    let rotate = async |name: &str, now: i64| {
        let made = store.rotate_if_due(at(now), &spare(name, at(now)), QUARTER).await;
        made.unwrap_or_else(|e| panic!("{e}")).map(|made| made.signs_from)
    };
    assert_eq!(rotate("early", due - 1).await, None);
    // An hour ahead a rotation is due; after the clock returns it is not, until the new key has signed for as long.
    assert_eq!(rotate("k1", due - 1800 + 3600).await, Some(at(due + 1800 + 600)));
    for now in [due - 1800, due, due + 1800, due + 2399, due + 2400, due + 3600 - 1800, due + 80 * DAY] {
        assert_eq!(rotate("again", now).await, None, "{now}");
    }
    assert_eq!(states(&store, at(due)).await, named(&[("k0", "signing"), ("k1", "published")]));
    assert_eq!(states(&store, at(due + 2400)).await, named(&[("k0", "retired"), ("k1", "signing")]));
    assert!(rotate("k2", 2 * due + 2400).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn op_20_exactly_one_of_the_nodes_that_rotate_concurrently_succeeds() {
    let Some(world) = World::of_either_kind() else { return };
    let nodes = [world.open().await, world.open().await, world.open().await];
    nodes[0].add_key(&key("k0")).await.unwrap();
    let now = at(90 * DAY);
    let tasks: Vec<_> = (0..12)
        .map(|n| {
            let node = nodes[n % 3].clone();
            tokio::spawn(async move { node.rotate_if_due(now, &spare(&format!("n{n}"), now), QUARTER).await })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        made += usize::from(task.await.unwrap().unwrap_or_else(|e| panic!("{e}")).is_some());
    }
    assert_eq!((made, nodes[0].keys().await.unwrap().len()), (1, 2));
}

#[tokio::test]
async fn ks_05_a_key_is_revoked_and_one_always_signs() {
    for (others, revoked, expected, signing_now) in [
        // It signs alone; it signs and another waits; it waits; it only verifies.
        (&["k1"][..], "k1", vec![("spare", "signing")], NowSigning::New(key("spare").id)),
        (&["k1", "k2"], "k1", vec![("k2", "signing")], NowSigning::Published(key("k2").id)),
        (&["k1", "k2"], "k2", vec![("k1", "signing")], NowSigning::Unchanged),
        (&["k0", "k1"], "k0", vec![("k1", "signing")], NowSigning::Unchanged),
        // A retired one does not sign again: its tokens would outlive it.
        (
            &["k0", "k1"],
            "k1",
            vec![("k0", "retired"), ("spare", "signing")],
            NowSigning::New(key("spare").id),
        ),
    ] {
        let Some(world) = World::of_either_kind() else { return };
        let store = world.open().await;
        let now = at(5000);
        for name in others {
            let introduced = match *name {
                "k0" => at(0),
                "k1" => at(2000),
                _ => at(5000),
            };
            store.introduce_key(introduced, &spare(name, introduced), false).await.unwrap();
        }
        let outcome = store.revoke_key(now, &key(revoked).id, &spare("spare", now)).await.unwrap();
        assert_eq!(outcome.signing, signing_now, "{others:?} {revoked}");
        assert_eq!(states(&store, now).await, named(&expected), "{others:?} {revoked}");
        let keys = store.keys().await.unwrap();
        // On a node whose clock is a minute behind, too.
        for when in [at(5000), at(4941)] {
            let signer = signer(keys.iter().map(KeyMaterial::times), when).unwrap();
            let state = expected.iter().find(|(_, state)| *state == "signing").unwrap();
            assert_eq!(signer.id.as_str(), state.0);
            assert_eq!(signer.verifies_until, None, "what it signs now must not outlive it");
        }
        let again = store.revoke_key(now, &key(revoked).id, &spare("other", now)).await;
        assert!(matches!(fault(again), StoreError::NoSuchKey { .. }));
    }
}

/// A second key file, as the operator puts it in the place of the first.
fn replace(world: &World, by: &std::path::Path) {
    std::fs::rename(by, world.key_file()).unwrap();
}

#[tokio::test]
async fn se_03_the_key_encryption_key_changes_under_a_running_server() {
    let Some(world) = World::of_either_kind() else { return };
    let (here, admin) = (world.open().await, world.open().await);
    add(&here, "c1", chosen("s1-Z7")).await;
    here.add_key(&key("k1")).await.unwrap();
    let watched = here.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let new = world.directory().join("new.key");
    let source = KekSource::File(new.clone());
    assert_eq!(admin.change_key_encryption_key(&source).await.unwrap(), 1);
    assert_eq!(std::fs::metadata(&new).unwrap().permissions().mode() & 0o7777, 0o600);

    // The old key opens nothing any more, and its user gets the usual error.
    assert!(matches!(fault(world.try_open().await), StoreError::WrongKey { .. }));
    // A running process continues, follows all other changes, and writes nothing that the new key would not open.
    add(&admin, "c2", NewSecret::Generate).await;
    until(&watched, |w| w.now().snapshot().clients() == 2).await;
    until(&watched, |w| matches!(w.health().fault, Some(StoreError::Resealed { .. }))).await;
    assert!(is_authenticated(&watched.now(), "c1", "s1-Z7", at(0)));
    assert_eq!(watched.now().signing_keys().0, ["k1"]);
    assert!(matches!(fault(here.add_key(&key("k2")).await), StoreError::Resealed { .. }));
    admin.add_key(&key("k3")).await.unwrap();

    replace(&world, &new);
    until(&watched, |w| w.health().fault.is_none() && w.now().signing_keys().0.len() == 2).await;
    here.add_key(&key("k4")).await.unwrap();
    let opened = world.open().await.keys().await.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(opened.len(), 3);
    assert!(opened.iter().all(|opened| opened.private.pkcs8() == key(opened.id.as_str()).private.pkcs8()));
}

#[tokio::test]
async fn s_10_a_key_that_is_revoked_while_the_key_encryption_key_changes_is_not_used_any_more() {
    let Some(world) = World::of_either_kind() else { return };
    let (here, admin) = (world.open().await, world.open().await);
    here.add_key(&key("k1")).await.unwrap();
    here.add_key(&key("k2")).await.unwrap();
    let watched = here.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    watched.appear();
    let new = world.directory().join("new.key");
    admin.change_key_encryption_key(&KekSource::File(new.clone())).await.unwrap();
    until(&watched, |w| matches!(w.health().fault, Some(StoreError::Resealed { .. }))).await;
    let revoked = admin.revoke_key(at(0), &key("k2").id, &key("k3")).await.unwrap();
    assert!(matches!(revoked.signing, NowSigning::New(_)), "{revoked:?}");
    until(&watched, |w| w.now().signing_keys().0 == ["k1"]).await;
    // It has not followed: it cannot use the key that replaces the revoked one.
    let position = admin.position().await.unwrap();
    let is_reported = async || {
        let nodes = admin.nodes().await.unwrap();
        nodes.iter().any(|node| node.fault.is_some() && node.followed.behind(&position) > 0)
    };
    let begun = std::time::Instant::now();
    while !is_reported().await {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", admin.nodes().await);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(matches!(watched.health().fault, Some(StoreError::Resealed { .. })));
    replace(&world, &new);
    until(&watched, |w| w.health().fault.is_none() && w.now().signing_keys().0 == ["k1", "k3"]).await;
}

#[tokio::test]
async fn se_03_a_store_that_cannot_be_resealed_is_unchanged() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    store.add_key(&key("k1")).await.unwrap();
    let bad = world.directory().join("bad.key");
    std::fs::write(&bad, "no key").unwrap();
    std::fs::set_permissions(&bad, std::fs::Permissions::from_mode(0o600)).unwrap();
    fault(store.change_key_encryption_key(&KekSource::File(bad)).await);
    // One of its keys cannot be read: then nothing is sealed again.
    world.execute("UPDATE signing_keys SET algorithm = 'ES384'").await;
    let new = KekSource::File(world.directory().join("new.key"));
    assert!(matches!(fault(store.change_key_encryption_key(&new).await), StoreError::Damaged { .. }));
    world.execute("UPDATE signing_keys SET algorithm = 'ES256'").await;
    assert_eq!(world.open().await.keys().await.unwrap_or_else(|e| panic!("{e}")).len(), 1);
}

#[tokio::test]
async fn ca_21_the_last_use_of_a_secret_is_written_once_for_many_requests() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let first = add(&store, "c1", chosen("s1-Z7")).await;
    let second = store.add_secret(at(0), &id("c1"), NewSecret::Generate).await.unwrap();
    let text = second.secret.clone().unwrap();
    add(&store, "c2", chosen("s2-Z7")).await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let used = async |client: &str| -> Vec<Option<Timestamp>> {
        let record = store.client(&id(client)).await.unwrap();
        let of = |name: &str| record.secrets.iter().find(|s| *s.id == *name).unwrap().last_used_at;
        if client == "c1" {
            [&first, &second].map(|secret| of(&secret.secret_id)).to_vec()
        } else {
            record.secrets.iter().map(|s| s.last_used_at).collect()
        }
    };
    for _ in 0..5 {
        assert!(is_authenticated(&watched.now(), "c1", "s1-Z7", at(0)));
        assert!(!is_authenticated(&watched.now(), "c2", "wrong", at(0)));
    }
    let revision = watched.now().snapshot().revision();
    assert_eq!(used("c1").await, [None, None]);
    assert_eq!(store.write_used_secrets(at(60)).await.unwrap(), 1);
    assert_eq!((used("c1").await, used("c2").await), (vec![Some(at(60)), None], vec![None]));
    assert_eq!(store.write_used_secrets(at(120)).await.unwrap(), 0);
    assert!(is_authenticated(&watched.now(), "c1", text.expose(), at(0)));
    assert_eq!(store.write_used_secrets(at(120)).await.unwrap(), 1);
    assert_eq!(used("c1").await, [Some(at(60)), Some(at(120))]);
    // No node has to read it again, and a node whose clock is behind does not set it back.
    assert_eq!(store.snapshot().await.unwrap().revision(), revision);
    assert!(is_authenticated(&watched.now(), "c1", text.expose(), at(0)));
    store.write_used_secrets(at(90)).await.unwrap();
    assert_eq!(used("c1").await, [Some(at(60)), Some(at(120))]);
    // A disabled client and an expired secret are not recorded as used.
    store.expire_secret(&id("c1"), &first.secret_id, at(100)).await.unwrap();
    store.set_enabled(&id("c2"), false).await.unwrap();
    watched.refresh().await.unwrap();
    is_authenticated(&watched.now(), "c1", "s1-Z7", at(200));
    is_authenticated(&watched.now(), "c2", "s2-Z7", at(200));
    store.write_used_secrets(at(200)).await.unwrap();
    assert_eq!((used("c1").await, used("c2").await), (vec![Some(at(60)), Some(at(120))], vec![None]));
}
