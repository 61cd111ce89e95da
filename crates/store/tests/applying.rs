//! Many changes of registrations are made together or not at all, and watchers and the audit count each.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use tokenberg_core::{Answers, Issuer, KeySource, Trust};
use tokenberg_store::{NewSecret, RegistrationChange as Change, StoreError};
use world::*;

#[tokio::test]
async fn op_20_se_06_changes_are_applied_together_or_not_at_all_and_each_is_counted_and_recorded() {
    let Some(world) = World::of_either_kind() else { return };
    let (here, there) = (world.open().await, world.open().await);
    add(&there, "old", NewSecret::Generate).await;
    add(&there, "c1", NewSecret::Generate).await;
    let watched = here.watch(Names::build).await.unwrap_or_else(|e| panic!("{e}"));
    let idp = Issuer::foreign("https://idp.example").unwrap();
    let trust = Box::new(Trust::new(KeySource::Discovery));
    let before = there.client(&id("c1")).await.unwrap().rights;
    let mut after = before.clone();
    after.serves = vec!["lake".into()];
    let (before, after) = (Box::new(before), Box::new(after));
    let changes = vec![
        Change::AddIssuer { issuer: idp.clone(), trust: trust.clone() },
        Change::EnableIssuer { issuer: idp.clone(), enabled: false },
        Change::RemoveClient { id: id("old") },
        Change::ChangeClient { id: id("c1"), before: before.clone(), after: after.clone() },
        Change::AddClient { id: id("new"), rights: Box::new(rights()) },
        Change::EnableClient { id: id("new"), enabled: false },
    ];
    // Each of these presupposes what is not so, and comes last.
    for (last, expected) in [
        (
            Change::AddClient { id: id("new"), rights: Box::new(rights()) },
            StoreError::ClientExists { id: id("new") },
        ),
        (Change::RemoveClient { id: id("none") }, StoreError::NoSuchClient { id: id("none") }),
        (
            Change::ChangeClient { id: id("c1"), before: before.clone(), after: after.clone() },
            StoreError::ChangedMeanwhile { what: "client c1".to_owned() },
        ),
    ] {
        let all: Vec<Change> = changes.iter().cloned().chain([last]).collect();
        assert_eq!(fault(there.apply(at(0), at(1), &all).await), expected);
        assert!(there.issuer(&idp).await.is_err() && there.client(&id("new")).await.is_err());
        assert_eq!(there.client(&id("c1")).await.unwrap().rights, *before);
    }
    there.apply(at(0), at(1), &changes).await.unwrap();
    until(&watched, |w| w.now().client(&id("new")).is_some()).await;
    let moment = watched.now();
    assert!(!moment.client(&id("new")).unwrap().enabled && moment.client(&id("old")).is_none());
    assert_eq!(*moment.client(&id("c1")).unwrap().rights, *after);
    assert!(!moment.issuer(idp.as_str()).unwrap().enabled);
    assert!(moment.revoked(&token("old", 0, "jti-1", "s-1")).is_some(), "its tokens are revoked for good");
    assert_eq!(watched.health().rereads, 0, "each recorded change is counted");
    assert!(there.verify_audit().await.unwrap().is_whole());
    // The rest, and nothing at all.
    let mut changed = trust.clone();
    changed.outlives_subject = true;
    let rest = [
        Change::ChangeIssuer { issuer: idp.clone(), before: trust, after: changed },
        Change::RemoveIssuer { issuer: idp.clone() },
    ];
    there.apply(at(0), at(1), &rest).await.unwrap();
    there.apply(at(0), at(1), &[]).await.unwrap();
    until(&watched, |w| w.now().issuer(idp.as_str()).is_none()).await;
    assert_eq!(watched.health().rereads, 0);
}
