//! The single-use identifiers that this process has used lately: a database that lost them frees none of them here.

use crate::clock::now;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokenberg_core::Timestamp;
use tokenberg_core::token::SingleUseId;

/// The most that are remembered; some ten megabytes.
const MOST: usize = 100_000;

/// Namespace and identifier, with their expiry.
type Uses = HashMap<(Box<str>, Box<str>), Timestamp>;

#[derive(Default)]
pub(super) struct RecentUses(Mutex<Uses>);

impl RecentUses {
    pub(super) fn add(&self, used: &SingleUseId) {
        let mut uses = self.uses();
        if uses.len() >= MOST {
            drop_expired(&mut uses);
        }
        if uses.len() < MOST {
            uses.insert((used.namespace.clone(), used.id.clone()), used.until);
        }
    }

    pub(super) fn has(&self, used: &SingleUseId) -> bool {
        self.uses().contains_key(&(used.namespace.clone(), used.id.clone()))
    }

    /// Those that have not expired.
    pub(super) fn all(&self) -> Vec<SingleUseId> {
        let mut uses = self.uses();
        drop_expired(&mut uses);
        let all = uses.iter().map(|((namespace, id), until)| {
            let (namespace, id) = (namespace.clone(), id.clone());
            SingleUseId { namespace, id, until: *until }
        });
        all.collect()
    }

    fn uses(&self) -> MutexGuard<'_, Uses> {
        // Each entry is set as a whole, so a panic elsewhere leaves it consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn drop_expired(uses: &mut Uses) {
    let now = now() / 1000;
    uses.retain(|_, until| until.as_seconds() > now);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_5_uses_are_remembered_until_they_expire() {
        let uses = RecentUses::default();
        let used = |id: &str, until: i64| SingleUseId {
            namespace: "n".into(),
            id: id.into(),
            until: Timestamp::from_seconds(now() / 1000 + until).unwrap_or_else(|e| panic!("{e}")),
        };
        uses.add(&used("young", 100));
        uses.add(&used("old", -1));
        assert!(uses.has(&used("young", 7)) && !uses.has(&used("other", 7)));
        assert_eq!(uses.all(), [used("young", 100)]);
        assert!(!uses.has(&used("old", 7)));
    }
}
