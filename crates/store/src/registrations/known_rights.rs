//! Lets clients with equal rights share one copy in memory.

use crate::error::StoreError;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokenberg_core::Rights;

/// The rights of the clients in memory, held as long as a client has them.
#[derive(Default)]
pub(crate) struct KnownRights {
    hasher: RandomState,
    by_hash: Mutex<ByHash>,
}

#[derive(Default)]
struct ByHash {
    known: HashMap<u64, Weak<Rights>>,
    /// How many entries there may be before those of rights that no client has any more are removed.
    enough: usize,
}

/// Fewer entries are not searched for unused ones.
const FEW: usize = 1024;

impl KnownRights {
    /// Returns the rights, shared with clients that have equal ones.
    pub(crate) fn share(&self, mut rights: Rights) -> Arc<Rights> {
        // No request depends on labels, and most clients would differ by them.
        rights.labels = BTreeMap::new();
        // Keys, names and foreign identities belong to one client.
        if rights.jwks.is_some() || rights.certificate.is_some() || !rights.federations.is_empty() {
            return Arc::new(rights);
        }
        let hash = self.hasher.hash_one(&rights);
        // A panic elsewhere leaves it consistent: it changes by single insertions.
        let mut by_hash = self.by_hash.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = by_hash.known.get(&hash).and_then(Weak::upgrade)
            && *same == rights
        {
            return same;
        }
        let shared = Arc::new(rights);
        by_hash.known.insert(hash, Arc::downgrade(&shared));
        if by_hash.known.len() > by_hash.enough.max(FEW) {
            by_hash.known.retain(|_, rights| rights.strong_count() > 0);
            by_hash.known.shrink_to(FEW);
            by_hash.enough = 2 * by_hash.known.len();
        }
        shared
    }
}

/// Parses rights as they are stored, each text once.
pub(crate) struct WrittenRights<'a> {
    known: &'a KnownRights,
    last: Option<(Box<str>, Arc<Rights>)>,
    read: HashMap<Box<str>, Arc<Rights>>,
}

impl<'a> WrittenRights<'a> {
    /// The most texts that are kept: with more, clients are too different for it to pay.
    const MOST: usize = 4096;

    pub(crate) fn new(known: &'a KnownRights) -> Self {
        Self { known, last: None, read: HashMap::new() }
    }

    /// Parses rights.
    pub(crate) fn read(&mut self, text: &str, whose: &str) -> Result<Arc<Rights>, StoreError> {
        if let Some((last, rights)) = &self.last
            && **last == *text
        {
            return Ok(rights.clone());
        }
        let rights = if let Some(rights) = self.read.get(text) {
            rights.clone()
        } else {
            let rights = self.known.share(from_json(text, whose)?);
            if self.read.len() < Self::MOST {
                self.read.insert(text.into(), rights.clone());
            }
            rights
        };
        self.last = Some((text.into(), rights.clone()));
        Ok(rights)
    }
}

/// The rights of a new client as they are stored.
///
/// # Errors
/// If they cannot be registered.
pub(super) fn new_to_json(rights: &Rights) -> Result<String, StoreError> {
    rights.check()?;
    to_json(rights)
}

pub(crate) fn to_json(rights: &Rights) -> Result<String, StoreError> {
    serde_json::to_string(rights).map_err(|_| StoreError::damaged("the rights to be written"))
}

pub(crate) fn from_json(text: &str, whose: &str) -> Result<Rights, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::damaged(format!("the client {whose:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenberg_core::Lifetime;
    use tokenberg_core::registration::AllowedScope;

    fn lasting(seconds: u32) -> Rights {
        let mut rights = Rights::new(AllowedScope::Every);
        rights.token_lifetime = Lifetime::from_seconds(seconds);
        rights
    }

    fn count(known: &KnownRights) -> usize {
        known.by_hash.lock().unwrap().known.len()
    }

    #[test]
    fn equal_rights_share_one_copy_while_a_client_has_them() {
        let known = KnownRights::default();
        let (one, same, other) = (known.share(lasting(1)), known.share(lasting(1)), known.share(lasting(2)));
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
        assert_eq!((&*one, &*other), (&lasting(1), &lasting(2)));
        let gone = Arc::downgrade(&one);
        drop((one, same));
        assert!(gone.upgrade().is_none(), "unused rights are dropped");
        let (mut labeled, plain) = (lasting(1), known.share(lasting(1)));
        labeled.labels.insert("owner".into(), "data".into());
        assert!(Arc::ptr_eq(&known.share(labeled), &plain), "no request depends on a label");
        assert_eq!(*known.share(lasting(1)), lasting(1));
    }

    #[test]
    fn rights_with_keys_or_identities_are_not_shared() {
        let known = KnownRights::default();
        let mut keyed = lasting(1);
        keyed.jwks = Some("{}".into());
        assert!(!Arc::ptr_eq(&known.share(keyed.clone()), &known.share(keyed)));
        assert_eq!(count(&known), 0);
    }

    #[test]
    fn unused_rights_are_removed() {
        let known = KnownRights::default();
        let kept: Vec<_> = (0..100).map(|n| known.share(lasting(n))).collect();
        for n in 0..50_000 {
            known.share(lasting(1000 + n));
            assert!(count(&known) <= FEW + 1, "after {n}");
        }
        assert!(kept.iter().zip(0..).all(|(rights, n)| Arc::ptr_eq(rights, &known.share(lasting(n)))));
        // All that are in use are kept, however many they are.
        let many: Vec<_> = (0..5000).map(|n| known.share(lasting(100_000 + n))).collect();
        assert!(many.iter().zip(0..).all(|(r, n)| Arc::ptr_eq(r, &known.share(lasting(100_000 + n)))));
        drop(many);
        for n in 0..20_000 {
            known.share(lasting(1000 + n));
        }
        assert!(count(&known) <= 2 * FEW, "{}", count(&known));
    }

    #[test]
    fn equal_texts_are_parsed_once_and_damaged_ones_are_named() {
        let known = KnownRights::default();
        let mut written = WrittenRights::new(&known);
        let texts: Vec<_> = (0..3).map(|n| serde_json::to_string(&lasting(n)).unwrap()).collect();
        let first: Vec<_> = texts.iter().map(|text| written.read(text, "c").unwrap()).collect();
        for (text, rights) in texts.iter().zip(&first) {
            assert!(Arc::ptr_eq(rights, &written.read(text, "d").unwrap()));
        }
        let damaged = written.read("{}", "c \"1\"").unwrap_err();
        assert_eq!(damaged.to_string(), r#"the store is damaged: the client "c \"1\"" cannot be read"#);
    }
}
