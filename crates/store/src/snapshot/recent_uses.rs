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
    /// Remembers the use. Returns `false` if it is known already.
    pub(super) fn add(&self, used: &SingleUseId) -> bool {
        let mut uses = self.uses();
        if uses.len() >= MOST {
            drop_expired(&mut uses);
        }
        let name = (used.namespace.clone(), used.id.clone());
        let before = if uses.len() < MOST { uses.insert(name, used.until) } else { uses.get(&name).copied() };
        // An expired identifier may be used again.
        before.is_none_or(|until| until.as_seconds() <= now() / 1000)
    }

    /// Those that have not expired.
    pub(super) fn all(&self) -> Vec<SingleUseId> {
        let mut uses = self.uses();
        drop_expired(&mut uses);
        let all = uses.iter().map(|((namespace, id), until)| {
            let (namespace, id) = (namespace.clone(), id.clone());
            SingleUseId { namespace, id, issued_at: None, until: *until }
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
            issued_at: None,
            until: Timestamp::from_seconds(now() / 1000 + until).unwrap_or_else(|e| panic!("{e}")),
        };
        assert!(uses.add(&used("young", 100)) && uses.add(&used("old", -1)));
        assert!(!uses.add(&used("young", 100)));
        assert_eq!(uses.all(), [used("young", 100)]);
        assert!(uses.add(&used("past", -1)) && uses.add(&used("past", 7)));
    }
}
