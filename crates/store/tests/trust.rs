//! Trusted issuers, foreign identities and disabled subjects, and that a running server follows their changes.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::sync::Arc;
use tokenberg_core::answers::SubjectStatus;
use tokenberg_core::issuer::AcceptedAs;
use tokenberg_core::registration::Federation;
use tokenberg_core::token::{Actor, Origin, Provenance, SingleUseId};
use tokenberg_core::{Answers, Issuer, KeySource, Revocation, SingleUse, Subject, Trust};
use tokenberg_store::{NewRevocation, Store, StoreError, Watched};
use world::*;

const IDP: &str = "https://idp.test/";
const K8S: &str = "https://k8s.test";
const TD: &str = "spiffe://td.test";

fn foreign(text: &str) -> Issuer {
    Issuer::foreign(text).unwrap()
}

fn subject(text: &str) -> Subject {
    text.parse().unwrap()
}

fn federation(issuer: &str, subject: &str) -> Federation {
    Federation { issuer: foreign(issuer), subject: subject.into(), audience: None, uid: None }
}

async fn trust(store: &Store, issuer: &str) {
    let done = store.add_issuer(at(0), &foreign(issuer), &Trust::new(KeySource::Discovery)).await;
    done.unwrap_or_else(|e| panic!("{e}"));
}

async fn watch(store: &Store) -> Watched<Names> {
    store.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"))
}

async fn federated_client(watched: &Watched<Names>, issuer: &str, subject: &str) -> Option<String> {
    watched.refresh().await.unwrap();
    watched.now().federated(&foreign(issuer), subject).map(|client| client.id.to_string())
}

#[tokio::test]
async fn ks_06_an_issuer_is_trusted_by_its_exact_text_and_followed() {
    let Some(world) = World::of_either_kind() else { return };
    let (here, there) = (world.open().await, world.open().await);
    let watched = watch(&here).await;
    assert!(watched.now().issuer(IDP).is_none(), "by default no issuer is trusted");
    let mut terms = Trust::new(KeySource::Jwks(r#"{"keys":[]}"#.into()));
    terms.accept = vec![AcceptedAs::IdToken, AcceptedAs::JwtBearer];
    terms.map = vec!["groups=a:PRINCIPAL_ROLE:a".parse().unwrap()];
    there.add_issuer(at(0), &foreign(IDP), &terms).await.unwrap();
    watched.refresh().await.unwrap();
    let before = watched.now();
    let trusted = before.issuer(IDP).unwrap();
    assert_eq!((&trusted.trust, trusted.enabled), (&terms, true));
    for other in ["https://idp.test", "https://IDP.test/", "https://idp.test//", "", "idp.test/"] {
        assert!(before.issuer(other).is_none(), "{other}");
    }
    assert_eq!(there.issuer(&foreign(IDP)).await.unwrap().created_at, at(0));

    let again = fault(there.add_issuer(at(1), &foreign(IDP), &terms).await);
    assert_eq!(again, StoreError::IssuerExists { issuer: foreign(IDP) });
    there.set_issuer_enabled(&foreign(IDP), false).await.unwrap();
    terms.keys = KeySource::JwksUri("https://idp.test/keys".into());
    there.set_trust(&foreign(IDP), &terms).await.unwrap();
    watched.refresh().await.unwrap();
    let now = watched.now().issuer(IDP).unwrap();
    assert_eq!((&now.trust, now.enabled), (&terms, false), "other keys do not enable it");
    assert!(before.issuer(IDP).unwrap().enabled, "an older moment does not change");

    there.remove_issuer(at(5), &foreign(IDP)).await.unwrap();
    watched.refresh().await.unwrap();
    assert!(watched.now().issuer(IDP).is_none());
    let none = StoreError::NoSuchIssuer { issuer: foreign(IDP) };
    assert_eq!(fault(there.remove_issuer(at(5), &foreign(IDP)).await), none);
    assert_eq!(fault(there.set_trust(&foreign(IDP), &terms).await), none);
    assert_eq!(fault(there.set_issuer_enabled(&foreign(IDP), true).await), none);
    assert_eq!(fault(there.issuer(&foreign(IDP)).await), none);
    assert!(there.issuers().await.unwrap().is_empty());
}

#[tokio::test]
async fn cc_17_concurrent_changes_of_an_issuer_do_not_undo_each_other() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let idp = foreign(IDP);
    trust(&store, IDP).await;
    let first = store.issuer(&idp).await.unwrap().trusted.trust;
    let mut prefixed = first.clone();
    prefixed.subject_prefix = Some("okta:".into());
    let mut other = first.clone();
    other.subject_claim = "oid".into();
    assert!(store.replace_trust(&idp, &first, &prefixed).await.unwrap());
    assert!(!store.replace_trust(&idp, &first, &other).await.unwrap(), "it is not the first any more");
    assert!(!store.replace_trust(&idp, &first, &first).await.unwrap());
    assert!(store.replace_trust(&idp, &prefixed, &prefixed).await.unwrap());
    assert_eq!(store.issuer(&idp).await.unwrap().trusted.trust, prefixed);
    let none = StoreError::NoSuchIssuer { issuer: foreign(K8S) };
    assert_eq!(fault(store.replace_trust(&foreign(K8S), &first, &other).await), none);
    assert_eq!(fault(store.replace_trust(&foreign(K8S), &first, &first).await), none);
}

#[tokio::test]
async fn cc_17_clients_are_found_by_the_beginning_of_their_names() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    for name in ["okta", "okta:", "okta:b", "okta:a", "Okta:c", "x%y", "xzy", "a_b"] {
        store.add_client(at(0), &id(name), &rights(), None).await.map(drop).unwrap();
    }
    for (prefix, most, expected) in [
        ("okta:", 9, &["okta:a", "okta:b"][..]),
        ("okta:", 1, &["okta:a"]),
        ("okta", 9, &["okta:", "okta:a", "okta:b"]),
        ("x%", 9, &["x%y"]),
        ("a_", 9, &["a_b"]),
        ("Zoë:", 9, &[]),
        ("okta:abc", 9, &[]),
    ] {
        let found = store.clients_beginning_with(prefix, most).await.unwrap();
        assert_eq!(found.iter().map(|id| id.as_str()).collect::<Vec<_>>(), expected, "{prefix}");
    }
}

#[tokio::test]
async fn tx_37_tokens_of_a_removed_issuer_stay_revoked_when_it_is_trusted_again() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let watched = watch(&store).await;
    for issuer in [IDP, K8S] {
        trust(&store, issuer).await;
    }
    let session_of = |issuer: Option<&str>, start| {
        let mut claims = token("alice", start, "j", "s");
        claims.client_id = id("trino");
        claims.session.subject_issuer = issuer.map(foreign);
        claims
    };
    store.remove_issuer(at(10), &foreign(IDP)).await.unwrap();
    trust(&store, IDP).await;
    watched.refresh().await.unwrap();
    let moment = watched.now();
    assert!(moment.revoked(&session_of(Some(IDP), 9)).is_some());
    assert!(moment.revoked(&session_of(Some(IDP), 10)).is_none());
    assert!(moment.revoked(&session_of(Some(K8S), 9)).is_none());
    assert!(moment.revoked(&session_of(None, 9)).is_none());
    // Tokens with one of its subjects as a present or earlier actor, in any session.
    let with_actor = |issuer: &str, issued| {
        let mut claims = session_of(None, 9);
        let actor = |issuer, subject: &str, prior| Actor { issuer, subject: subject.parse().unwrap(), prior };
        let prior = Some(Box::new(actor(Some(foreign(issuer)), "robot", None)));
        claims.actor = Some(actor(None, "trino", prior));
        claims.issued_at = at(issued);
        claims
    };
    let before = Revocation::Origin(Box::new(Revocation::Issuer { before: at(10) }));
    for (issuer, issued, is) in [(IDP, 9, true), (IDP, 10, false), (IDP, 11, false), (K8S, 9, false)] {
        let revoked = moment.revoked(&with_actor(issuer, issued));
        assert_eq!(revoked, is.then_some(before.clone()), "{issuer} {issued}");
    }
    // A renewal does not move the time at which the actor's token was presented.
    let mut renewed = with_actor(IDP, 11);
    let subject = "robot".parse().unwrap();
    let origins = vec![Origin::Foreign { issuer: foreign(IDP), subject, since: at(9) }];
    renewed.session.provenance = Some(Box::new(Provenance { origins, ..Provenance::default() }));
    assert_eq!(moment.revoked(&renewed), Some(before));
}

#[tokio::test]
async fn wl_10_a_foreign_identity_authenticates_its_client_immediately_and_until_it_is_removed() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let watched = watch(&store).await;
    for client in ["etl", "spark"] {
        store.add_client(at(0), &id(client), &rights(), None).await.map(drop).unwrap();
    }
    let sa = federation(K8S, "system:serviceaccount:ns:sa");
    let unknown = fault(store.federate(&id("etl"), &sa).await);
    assert_eq!(unknown, StoreError::NoSuchIssuer { issuer: foreign(K8S) });
    trust(&store, K8S).await;
    fault(store.federate(&id("unknown"), &sa).await);
    store.federate(&id("etl"), &sa).await.unwrap();
    assert_eq!(federated_client(&watched, K8S, &sa.subject).await.as_deref(), Some("etl"));
    assert_eq!(federated_client(&watched, K8S, "system:serviceaccount:ns:sa2").await, None);
    assert_eq!(federated_client(&watched, IDP, &sa.subject).await, None);

    store.set_enabled(&id("etl"), false).await.unwrap();
    assert_eq!(federated_client(&watched, K8S, &sa.subject).await, None);
    store.set_enabled(&id("etl"), true).await.unwrap();
    store.unfederate(&id("etl"), &sa.issuer, &sa.subject).await.unwrap();
    assert_eq!(federated_client(&watched, K8S, &sa.subject).await, None);
    let gone = fault(store.unfederate(&id("etl"), &sa.issuer, &sa.subject).await);
    assert!(matches!(gone, StoreError::NoSuchFederation { .. }), "{gone}");

    // The identities of a removed client are available again.
    store.federate(&id("etl"), &sa).await.unwrap();
    store.remove_client(at(1), &id("etl")).await.unwrap();
    store.federate(&id("spark"), &sa).await.unwrap();
    assert_eq!(federated_client(&watched, K8S, &sa.subject).await.as_deref(), Some("spark"));
    // And a watch that begins now sees the same.
    assert_eq!(federated_client(&watch(&store).await, K8S, &sa.subject).await.as_deref(), Some("spark"));
}

#[tokio::test]
async fn wl_12_the_same_identity_with_another_uid_replaces_the_previous_one() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    trust(&store, K8S).await;
    store.add_client(at(0), &id("etl"), &rights(), None).await.map(drop).unwrap();
    let mut sa = federation(K8S, "system:serviceaccount:ns:sa");
    for uid in ["uid-1", "uid-2"] {
        sa.uid = Some(uid.into());
        store.federate(&id("etl"), &sa).await.unwrap();
    }
    assert_eq!(store.client(&id("etl")).await.unwrap().rights.federations, [sa]);
}

#[tokio::test]
async fn wl_14_an_identity_authenticates_one_client_however_it_is_registered() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    for issuer in [K8S, TD] {
        trust(&store, issuer).await;
    }
    for client in ["a", "b"] {
        store.add_client(at(0), &id(client), &rights(), None).await.map(drop).unwrap();
    }
    store.federate(&id("a"), &federation(K8S, "x")).await.unwrap();
    store.federate(&id("a"), &federation(TD, "spiffe://td.test/x/*")).await.unwrap();
    store.federate(&id("a"), &federation(TD, "spiffe://td.test/x/y")).await.unwrap();
    for (issuer, subject, is_free) in [
        (K8S, "x", false),
        (K8S, "y", true),
        (TD, "spiffe://td.test/x/*", false),
        (TD, "spiffe://td.test/x/y", false),
        (TD, "spiffe://td.test/x/z", false),
        (TD, "spiffe://td.test/x/z/*", false),
        (TD, "spiffe://td.test/*", false),
        (TD, "spiffe://td.test/x", true),
        (TD, "spiffe://td.test/xy", true),
        (TD, "spiffe://td.test/x-", true),
    ] {
        let done = store.federate(&id("b"), &federation(issuer, subject)).await;
        let is_taken = matches!(&done, Err(StoreError::FederatedAlready { client, .. }) if &**client == "a");
        assert_eq!((done.is_ok(), is_taken), (is_free, !is_free), "{subject} {done:?}");
        // Replacing all rights has the same result.
        let mut whole = rights();
        whole.federations = vec![federation(issuer, subject)];
        assert_eq!(set_rights(&store, &id("b"), &whole).await.is_ok(), is_free, "{subject}");
        let added = store.add_client(at(0), &id("c"), &whole, None).await;
        assert!(added.is_err(), "{subject}: it is of a or of b by now");
        fault(store.client(&id("c")).await);
        set_rights(&store, &id("b"), &rights()).await.unwrap();
    }
    // A removed issuer does not block changes of other rights, and no identity of it can be added.
    store.remove_issuer(at(1), &foreign(K8S)).await.unwrap();
    let mut kept = store.client(&id("a")).await.unwrap().rights;
    kept.dpop_bound = true;
    set_rights(&store, &id("a"), &kept).await.unwrap();
    kept.federations.push(federation(K8S, "z"));
    fault(set_rights(&store, &id("a"), &kept).await);
}

#[tokio::test]
async fn tx_37_a_subject_is_disabled_by_issuer_and_name_and_enabled_again() {
    let Some(world) = World::of_either_kind() else { return };
    let store = world.open().await;
    let watched = watch(&store).await;
    for issuer in [IDP, K8S] {
        trust(&store, issuer).await;
    }
    let (idp, k8s) = (foreign(IDP), foreign(K8S));
    fault(store.disable_subject(at(0), Some(&foreign("https://x.test")), &subject("alice")).await);
    store.disable_subject(at(0), Some(&idp), &subject("alice")).await.unwrap();
    store.disable_subject(at(9), Some(&idp), &subject("alice")).await.unwrap();
    store.disable_subject(at(0), None, &subject("bob")).await.unwrap();
    let before =
        NewRevocation::Subject { issuer: Some(idp.clone()), subject: subject("carol"), before: at(7) };
    store.revoke(&before).await.unwrap();
    let of_any_issuer = NewRevocation::Subject { issuer: None, subject: subject("carol"), before: at(5) };
    store.revoke(&of_any_issuer).await.unwrap();
    watched.refresh().await.unwrap();
    let moment = watched.now();
    for (issuer, name, disabled, revoked_before) in [
        (Some(&idp), "alice", true, None),
        (Some(&idp), "Alice", false, None),
        (Some(&k8s), "alice", false, None),
        (None, "alice", false, None),
        (None, "bob", true, None),
        (Some(&idp), "bob", false, None),
        (Some(&idp), "carol", false, Some(at(7))),
        (Some(&k8s), "carol", false, Some(at(5))),
        (None, "carol", false, Some(at(5))),
        (Some(&idp), "", false, None),
    ] {
        let standing = SubjectStatus { disabled, revoked_before, ..SubjectStatus::default() };
        assert_eq!(moment.subject(issuer, name, name), standing, "{issuer:?} {name}");
    }
    let listed = store.disabled_subjects().await.unwrap();
    let listed: Vec<_> = listed.iter().map(|s| (s.issuer.clone(), s.subject.as_str(), s.since)).collect();
    assert_eq!(listed, [(None, "bob", at(0)), (Some(idp.clone()), "alice", at(0))]);
    store.enable_subject(Some(&idp), &subject("alice")).await.unwrap();
    watched.refresh().await.unwrap();
    assert!(!watched.now().subject(Some(&idp), "alice", "alice").disabled);
    assert!(moment.subject(Some(&idp), "alice", "alice").disabled);
    fault(store.enable_subject(Some(&idp), &subject("alice")).await);
}

#[tokio::test]
async fn dp_10_nonces_are_accepted_on_every_node_and_from_no_other_store() {
    let (Some(world), Some(other)) = (World::of_either_kind(), World::of_either_kind()) else { return };
    let (here, there) = (watch(&world.open().await).await, watch(&world.open().await).await);
    let nonce = here.now().nonce(at(0)).unwrap();
    assert!(there.now().accepts_nonce(&nonce, at(0)) && there.now().accepts_nonce(&nonce, at(60)));
    assert!(!there.now().accepts_nonce(&nonce, at(240)));
    assert!(!watch(&other.open().await).await.now().accepts_nonce(&nonce, at(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cj_07_one_of_fifty_concurrent_uses_on_two_nodes_succeeds_and_none_after_a_restart() {
    let Some(world) = World::of_either_kind() else { return };
    let nodes = [Arc::new(watch(&world.open().await).await), Arc::new(watch(&world.open().await).await)];
    let (namespace, id) = ("client_assertion c1".into(), "j-1".into());
    let once = SingleUseId { namespace, id, issued_at: Some(at(0)), until: at(300) };
    let mut tasks = Vec::new();
    for n in 0..50 {
        let (node, once) = (Arc::clone(&nodes[n % 2]), once.clone());
        tasks.push(tokio::spawn(async move { node.use_once(&once).await.unwrap() }));
    }
    let mut used = 0;
    for task in tasks {
        used += i32::from(task.await.unwrap());
    }
    assert_eq!(used, 1);
    for node in nodes {
        node.store().close().await;
    }
    let again = watch(&world.open().await).await;
    assert!(!again.use_once(&once).await.unwrap());
    // CJ-09: of another client, or by another feature, it is another identifier.
    let other = SingleUseId { namespace: "client_assertion c2".into(), ..once.clone() };
    assert!(again.use_once(&other).await.unwrap());
    again.store().close().await;
    let unknown = again.use_once(&SingleUseId { id: "j-2".into(), ..once }).await;
    assert!(unknown.is_err(), "a use that cannot be stored is no first use");
}
