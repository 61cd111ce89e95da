//! Every change has a record, in the transaction of the change: neither exists without the other. Conformance SE-06.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use serde_json::{Value, json};
use std::path::Path;
use std::pin::Pin;
use tokenberg_core::registration::Federation;
use tokenberg_core::{Issuer, KeySource, Lifetime, Subject, TokenId, Trust};
use tokenberg_store::{AuditCursor, AuditEntry, KekSource, NewRevocation, NewSecret, Store, StoreError};
use world::*;

const IDP: &str = "https://idp.test";

/// A change; the path is where a new key-encryption key may be.
type Change = for<'a> fn(&'a Store, &'a Path) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + 'a>>;

fn idp() -> Issuer {
    IDP.parse().unwrap()
}

fn alice() -> Subject {
    "alice".parse().unwrap()
}

fn named(text: &str) -> TokenId {
    TokenId::parse(text).unwrap()
}

fn trust(jwks: &str) -> Trust {
    Trust::new(KeySource::Jwks(jwks.into()))
}

fn workload() -> Federation {
    Federation { issuer: idp(), subject: "job".into(), audience: None, uid: None }
}

async fn first_secret_of_c1(store: &Store) -> Box<str> {
    store.client(&id("c1")).await.unwrap().secrets[0].id.clone()
}

/// The records of changes so far.
async fn records(store: &Store) -> Vec<Value> {
    let mut records = Vec::new();
    let take = |entry: AuditEntry| -> Result<(), StoreError> {
        records.push(serde_json::from_str::<Value>(&entry.record).unwrap());
        Ok(())
    };
    store.read_audit(&mut AuditCursor::default(), take).await.unwrap();
    records
}

/// Everything that an operator can change here, in an order in which each can be done: its record, and whether repeating it
/// changes nothing, so that nothing is recorded.
#[allow(clippy::too_many_lines, reason = "a table")]
fn changes() -> Vec<(Value, bool, Change)> {
    vec![
        (json!({"change": "key added", "key": "k1", "alg": "ES256", "dropped": []}), true, |store, _| {
            Box::pin(async move { store.introduce_key(at(0), &key("k1"), true).await.map(drop) })
        }),
        // By the clock of a node.
        (json!({"change": "key added", "key": "k2"}), true, |store, _| {
            Box::pin(async move {
                let every = Lifetime::from_hours(24);
                store.rotate_if_due(at(86_400), &key("k2"), every).await.map(drop)
            })
        }),
        (json!({"change": "key revoked", "key": "k1", "now_signing": "k2"}), true, |store, _| {
            Box::pin(async move { store.revoke_key(at(86_401), &key("k1").id, &key("k3")).await.map(drop) })
        }),
        (json!({"change": "key revoked", "key": "k2", "now_signing": "k3"}), true, |store, _| {
            Box::pin(async move { store.revoke_key(at(90_000), &key("k2").id, &key("k3")).await.map(drop) })
        }),
        (json!({"change": "key-encryption key changed", "signing_keys": 1}), false, |store, place| {
            Box::pin(async move {
                let new = KekSource::File(place.join("new.key"));
                store.change_key_encryption_key(&new).await.map(drop)
            })
        }),
        (json!({"change": "issuer added", "issuer": IDP, "trust": trust("{}")}), true, |store, _| {
            Box::pin(async move { store.add_issuer(at(0), &idp(), &trust("{}")).await })
        }),
        (json!({"change": "issuer changed", "issuer": IDP, "trust": trust("[]")}), false, |store, _| {
            Box::pin(async move { store.set_trust(&idp(), &trust("[]")).await })
        }),
        (json!({"change": "issuer changed", "issuer": IDP, "trust": trust("{}")}), true, |store, _| {
            Box::pin(async move {
                let before = store.issuer(&idp()).await?.trusted.trust;
                store.replace_trust(&idp(), &before, &trust("{}")).await.map(|replaced| assert!(replaced))
            })
        }),
        (json!({"change": "issuer disabled", "issuer": IDP}), false, |store, _| {
            Box::pin(async move { store.set_issuer_enabled(&idp(), false).await })
        }),
        (json!({"change": "issuer enabled", "issuer": IDP}), false, |store, _| {
            Box::pin(async move { store.set_issuer_enabled(&idp(), true).await })
        }),
        (json!({"change": "client added", "client": "c1", "rights": rights()}), true, |store, _| {
            Box::pin(async move {
                store.add_client(at(0), &id("c1"), &rights(), Some(NewSecret::Generate)).await.map(drop)
            })
        }),
        (json!({"change": "secret added", "client": "c1"}), true, |store, _| {
            Box::pin(async move { store.add_secret(at(1), &id("c1"), NewSecret::Generate).await.map(drop) })
        }),
        (json!({"change": "secret end set", "client": "c1", "until": NOW + 2}), false, |store, _| {
            Box::pin(async move {
                let first = first_secret_of_c1(store).await;
                store.expire_secret(&id("c1"), &first, at(2)).await.map(drop)
            })
        }),
        (json!({"change": "client changed", "client": "c1"}), false, |store, _| {
            Box::pin(async move { store.set_jwks(&id("c1"), r#"{"keys":[]}"#).await })
        }),
        (json!({"change": "client changed", "client": "c1"}), false, |store, _| {
            Box::pin(async move { store.federate(&id("c1"), &workload()).await })
        }),
        (json!({"change": "client changed", "client": "c1"}), true, |store, _| {
            Box::pin(async move { store.unfederate(&id("c1"), &idp(), "job").await })
        }),
        (json!({"change": "client changed", "client": "c1"}), true, |store, _| {
            Box::pin(async move {
                let before = store.client(&id("c1")).await?.rights;
                let mut after = before.clone();
                after.token_lifetime = Lifetime::from_hours(2);
                store.replace_rights(&id("c1"), &before, &after).await.map(|replaced| assert!(replaced))
            })
        }),
        (json!({"change": "client disabled", "client": "c1"}), false, |store, _| {
            Box::pin(async move { store.set_enabled(&id("c1"), false).await })
        }),
        (json!({"change": "client enabled", "client": "c1"}), false, |store, _| {
            Box::pin(async move { store.set_enabled(&id("c1"), true).await })
        }),
        (json!({"change": "subject disabled", "issuer": null, "subject": "alice"}), true, |store, _| {
            Box::pin(async move { store.disable_subject(at(0), None, &alice()).await.map(drop) })
        }),
        (json!({"change": "subject enabled", "issuer": null, "subject": "alice"}), true, |store, _| {
            Box::pin(async move { store.enable_subject(None, &alice()).await })
        }),
        (json!({"change": "subject disabled", "issuer": IDP, "subject": "alice"}), true, |store, _| {
            Box::pin(async move { store.disable_subject(at(0), Some(&idp()), &alice()).await.map(drop) })
        }),
        (json!({"change": "revoked", "token": "j1", "until": NOW + 60}), false, |store, _| {
            Box::pin(
                async move { store.revoke(&NewRevocation::Token { id: named("j1"), until: at(60) }).await },
            )
        }),
        (json!({"change": "revoked", "session": "s1", "until": NOW + 60}), false, |store, _| {
            Box::pin(
                async move { store.revoke(&NewRevocation::Session { id: named("s1"), until: at(60) }).await },
            )
        }),
        (json!({"change": "revoked", "client": "c1", "before": NOW + 5}), false, |store, _| {
            Box::pin(
                async move { store.revoke(&NewRevocation::Client { id: id("c1"), before: at(5) }).await },
            )
        }),
        (json!({"change": "revoked", "issuer": IDP, "before": NOW + 5}), false, |store, _| {
            Box::pin(
                async move { store.revoke(&NewRevocation::Issuer { issuer: idp(), before: at(5) }).await },
            )
        }),
        (json!({"change": "client removed", "client": "c1", "revoked_before": NOW + 9}), true, |store, _| {
            Box::pin(async move { store.remove_client(at(9), &id("c1")).await })
        }),
        (json!({"change": "issuer removed", "issuer": IDP, "revoked_before": NOW + 9}), true, |store, _| {
            Box::pin(async move { store.remove_issuer(at(9), &idp()).await })
        }),
    ]
}

#[tokio::test]
async fn se_06_every_change_is_made_with_its_record_or_not_at_all() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await.changed_by("the test");
    let revision = async || store.snapshot().await.unwrap().revision();
    for (expected, is_once, change) in changes() {
        let (before, recorded) = (revision().await, records(&store).await.len());
        world.execute("ALTER TABLE audit_records RENAME TO away").await;
        assert!(change(&store, world.directory()).await.is_err(), "{expected}: recording it failed");
        world.execute("ALTER TABLE away RENAME TO audit_records").await;
        assert_eq!((revision().await, records(&store).await.len()), (before, recorded), "{expected}");

        change(&store, world.directory()).await.unwrap_or_else(|e| panic!("{expected}: {e}"));
        let records_now = records(&store).await;
        assert_eq!(records_now.len(), recorded + 1, "{expected}");
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&records_now[recorded][name], value, "{name} of {expected}");
        }
        assert_eq!(records_now[recorded]["source"], "the test");
        assert!(revision().await > before, "{expected}");
        if is_once {
            // Refused, or without effect.
            let _ = change(&store, world.directory()).await;
            assert_eq!(records(&store).await.len(), recorded + 1, "{expected}: nothing was changed");
        }
    }
    assert!(store.verify_audit().await.unwrap().is_whole());
}
