//! Bulk loading at a start yields the same as reading row by row, and clients share equal rights.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::sync::Arc;
use tokenberg_core::registration::Federation;
use tokenberg_core::{Issuer, Rights};
use tokenberg_store::{ClientRecord, NewRevocation, NewSecret, Snapshot, Store};
use world::*;

/// Everything that a snapshot has of the client.
fn seen(snapshot: &Snapshot, client: &ClientRecord) -> Option<(bool, Rights, Vec<String>)> {
    let found = snapshot.client(&client.id)?;
    let secrets = found.secrets.iter().map(|s| format!("{} {:?} {:?}", s.id, s.expires_at, s.digest.0));
    Some((found.enabled, (*found.rights).clone(), secrets.collect()))
}

async fn check(store: &Store, followed: &Snapshot) -> Snapshot {
    let at_once = store.snapshot().await.unwrap_or_else(|e| panic!("{e}"));
    let list = store.clients().await.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((at_once.clients(), followed.clients()), (list.len(), list.len()));
    for client in &list {
        let (is, was) = (seen(&at_once, client).unwrap(), seen(followed, client).unwrap());
        assert_eq!(is, was, "{}", client.id);
        assert_eq!((is.0, &is.1, is.2.len()), (client.enabled, &client.rights, client.secrets.len()));
        let named = |name: &str| is.2.iter().any(|secret| secret.starts_with(&format!("{name} ")));
        assert!(client.secrets.iter().all(|secret| named(&secret.id)), "{}", client.id);
    }
    at_once
}

#[tokio::test]
async fn op_20_unusual_clients_are_the_same_however_they_are_read() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let long = "x".repeat(255);
    let texts = [
        "c1",
        "~",
        " ",
        "a b ",
        "\"",
        "\\",
        "\\u001f",
        "'",
        "''",
        "a'b\"c\\d",
        "|,;:/?#[]@!$&()*+=%",
        "{}",
        "NULL",
        "0",
        "22-characters-in-place",
        "23-characters-elsewhere",
        &long,
    ];
    for (n, text) in texts.iter().enumerate() {
        let (client, time) = (id(text), at(i64::try_from(n).unwrap()));
        let mut odd = rights();
        // What JSON has to escape, and what it need not.
        let audience = format!("a\"{text}\\~");
        odd.audiences = vec![audience.into(); n % 3];
        odd.may_act_for = vec![format!("https://idp.test|{text}").parse().unwrap()];
        store.add_client(time, &client, &odd, None).await.map(drop).unwrap();
        // Clients with up to three secrets, some of which have ended.
        for secret in 0..n % 4 {
            let added =
                store.add_secret(time, &client, NewSecret::Generate).await.unwrap_or_else(|e| panic!("{e}"));
            if secret % 2 == 0 {
                store.expire_secret(&client, &added.secret_id, time).await.unwrap();
            }
        }
        store.set_enabled(&client, n % 5 != 0).await.unwrap();
        watched.refresh().await.unwrap();
    }
    let at_once = check(&store, watched.now().snapshot()).await;
    let secrets: Vec<_> = texts.iter().map(|text| at_once.client(&id(text)).unwrap().secrets.len()).collect();
    assert_eq!(secrets[..5], [0, 1, 2, 3, 0]);
}

#[tokio::test]
async fn op_20_many_clients_are_all_read_wherever_their_rows_lie() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    add(&store, "c1", NewSecret::Generate).await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    world
        .execute(
            "INSERT INTO clients (id, enabled, rights, created_at) \
             WITH RECURSIVE n (v) AS (SELECT 0 UNION ALL SELECT v + 1 FROM n WHERE v < 3999) \
             SELECT 'many-' || v, 1, rights, created_at FROM n, clients WHERE id = 'c1'; \
             INSERT INTO client_secrets (client_id, id, digest, created_at) \
             WITH RECURSIVE n (v) AS (SELECT 0 UNION ALL SELECT v + 1 FROM n WHERE v < 3999) \
             SELECT 'many-' || v, 'second', digest, created_at FROM n, client_secrets WHERE client_id = 'c1'; \
             INSERT INTO client_secrets (client_id, id, digest, created_at) \
             SELECT client_id, 'first', digest, created_at FROM client_secrets WHERE client_id LIKE 'many-%7'; \
             DELETE FROM clients WHERE id LIKE 'many-1%'; \
             INSERT INTO changed_clients (id, revision) SELECT id, 100 FROM clients WHERE id <> 'c1'; \
             UPDATE revisions SET number = 100 WHERE part = 'clients'",
        )
        .await;
    if !is_postgres() {
        world
            .execute(
                "UPDATE clients SET rowid = -9 WHERE id = 'many-20'; UPDATE clients SET rowid = -9223372036854775808 WHERE id = 'many-21'; \
                 UPDATE clients SET rowid = 9223372036854775807 WHERE id = 'many-22'; UPDATE clients SET rowid = 9223372036854775000 WHERE id = 'many-23'; \
                 UPDATE client_secrets SET rowid = 7000000000 WHERE client_id = 'many-24'",
            )
            .await;
    }
    watched.refresh().await.unwrap();
    let at_once = check(&store, watched.now().snapshot()).await;
    assert_eq!(at_once.clients(), 4001 - 1111);
    let names = |client: &str| {
        at_once.client(&id(client)).unwrap().secrets.iter().map(|s| s.id.to_string()).collect()
    };
    let (one, two): (Vec<_>, Vec<_>) = (names("many-24"), names("many-27"));
    assert_eq!((one, two), (vec!["second".to_owned()], vec!["first".to_owned(), "second".to_owned()]));
}

#[tokio::test]
async fn op_20_clients_with_the_same_rights_share_them_and_a_change_is_of_one_alone() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    for client in ["a", "b", "c"] {
        add(&store, client, NewSecret::Generate).await;
    }
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let of = |snapshot: &Snapshot, client: &str| snapshot.client(&id(client)).unwrap().rights.clone();
    let first = watched.now();
    assert!(Arc::ptr_eq(&of(first.snapshot(), "a"), &of(first.snapshot(), "c")));
    let mut wider = rights();
    wider.audiences.push("https://lake.test".into());
    set_rights(&store, &id("b"), &wider).await.unwrap();
    watched.refresh().await.unwrap();
    let second = watched.now();
    assert_eq!(*of(second.snapshot(), "b"), wider);
    assert_eq!((&*of(second.snapshot(), "a"), &*of(first.snapshot(), "b")), (&rights(), &rights()));
    // A client that is new, gets the same rights again, or changes something else has the same copy; also after a new start.
    set_rights(&store, &id("b"), &rights()).await.unwrap();
    store.set_enabled(&id("c"), false).await.unwrap();
    add(&store, "d", NewSecret::Generate).await;
    watched.refresh().await.unwrap();
    let (now, fresh) = (watched.now(), store.snapshot().await.unwrap_or_else(|e| panic!("{e}")));
    for snapshot in [now.snapshot(), &fresh] {
        for client in ["a", "b", "c", "d"] {
            assert!(Arc::ptr_eq(&of(snapshot, client), &of(first.snapshot(), "a")), "{client}");
        }
    }
    // Rights that no client has any more are dropped with the last moment that contains them.
    let gone = Arc::downgrade(&of(second.snapshot(), "b"));
    assert!(gone.upgrade().is_some());
    drop(second);
    assert!(gone.upgrade().is_none());
}

#[tokio::test]
async fn wl_10_foreign_identities_are_loaded_at_the_start() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let issuer = Issuer::foreign("https://k8s.test").unwrap();
    world
        .execute(
            "INSERT INTO issuers (issuer, enabled, trust, created_at) VALUES ('https://k8s.test', 0, '', 0)",
        )
        .await;
    add(&store, "a", NewSecret::Generate).await;
    let federation = Federation { issuer: issuer.clone(), subject: "sa".into(), audience: None, uid: None };
    store.federate(&id("a"), &federation).await.unwrap();
    world.execute("DELETE FROM issuers").await;
    let snapshot = store.snapshot().await.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(snapshot.federated(&issuer, "sa").map(|client| client.id.clone()), Some(id("a")));
    assert!(snapshot.federated(&issuer, "sb").is_none());
}

#[tokio::test]
async fn rv_06_many_revocations_are_not_read_again_when_a_few_expire() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    world
        .execute(
            "INSERT INTO revoked_ids (kind, id, until, revision) \
             WITH RECURSIVE n (v) AS (SELECT 0 UNION ALL SELECT v + 1 FROM n WHERE v < 19999) \
             SELECT CASE WHEN v < 10000 THEN 'token' ELSE 'session' END, 'r' || v, 1800000000 + v, 1 FROM n",
        )
        .await;
    let watched = store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let count = || watched.now().snapshot().revocations();
    let is_revoked = |token_id: &str, session: &str| {
        watched.now().snapshot().revoked(&token("c1", 0, token_id, session)).is_some()
    };
    assert_eq!(count(), 20_000);
    assert!(
        is_revoked("r0", "s")
            && is_revoked("r9999", "s")
            && is_revoked("t", "r10000")
            && is_revoked("t", "r19999")
    );
    assert!(!is_revoked("r10000", "s") && !is_revoked("t", "r0") && !is_revoked("t", "s"));
    // Deleted in the store and still in memory, where it does no harm: the token has expired.
    assert_eq!(store.expire(at(2999 + 7200)).await.unwrap(), 3000);
    watched.refresh().await.unwrap();
    assert_eq!(count(), 20_000);
    // New revocations are read in any case, and later deletions as well.
    let other = tokenberg_core::TokenId::parse("new").unwrap();
    store.revoke(&NewRevocation::Token { id: other, until: at(90_000) }).await.unwrap();
    watched.refresh().await.unwrap();
    assert!(count() == 20_001 && is_revoked("new", "s"));
    // When they are a fifth, they are dropped.
    assert_eq!(store.expire(at(3999 + 7200)).await.unwrap(), 1000);
    watched.refresh().await.unwrap();
    assert_eq!(count(), 20_001);
    assert_eq!(store.expire(at(4000 + 7200)).await.unwrap(), 1);
    watched.refresh().await.unwrap();
    assert_eq!(count(), 16_000);
    assert!(
        !is_revoked("r4000", "s")
            && is_revoked("r4001", "s")
            && is_revoked("new", "s")
            && is_revoked("t", "r19999")
    );
    // A small set drops all of them.
    assert_eq!(store.expire(at(10_500 + 7200)).await.unwrap(), 6500);
    watched.refresh().await.unwrap();
    assert_eq!(count(), 9500);
    assert_eq!(store.expire(at(10_501 + 7200)).await.unwrap(), 1);
    watched.refresh().await.unwrap();
    assert_eq!(count(), 9499);
}
