//! Warns of issuers of an earlier version about whose users' names the operator has to decide: conformance CC-17.

use crate::issuer_names::Names;
use std::collections::HashSet;
use std::time::Duration;
use tokenberg_core::Issuer;
use tokenberg_service::Following;
use tokenberg_store::Snapshot;

/// The interval between checks whether the store has changed; a check costs nothing while it has not.
const INTERVAL: Duration = Duration::from_secs(1);

/// Warns of those that are there now, and in the background, until the runtime ends, of each that comes to be one.
pub(super) fn begin(following: Following) {
    let watched = following.watched();
    let mut known = HashSet::new();
    let moment = watched.now();
    let mut revision = moment.snapshot().revision();
    warn_of_new(moment.snapshot(), &mut known);
    actix_web::rt::spawn(async move {
        loop {
            actix_web::rt::time::sleep(INTERVAL).await;
            let moment = watched.now();
            if moment.snapshot().revision() != revision {
                revision = moment.snapshot().revision();
                warn_of_new(moment.snapshot(), &mut known);
            }
        }
    });
}

/// Warns of issuers to decide about that are not `known`, which are all of them afterwards.
fn warn_of_new(snapshot: &Snapshot, known: &mut HashSet<Issuer>) {
    let names = Names::new(snapshot.issuers_in_order());
    let mut open = HashSet::new();
    for (issuer, sentence) in names.open() {
        if !known.contains(issuer) {
            tracing::warn!(issuer = issuer.as_str(), "{sentence}");
        }
        open.insert(issuer.clone());
    }
    *known = open;
}
