//! How does a large set change a little without being copied? In 1024 parts: the next version shares all that did not change.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// With a million members, one change copies about a thousand.
const SHARDS: usize = 1024;

/// A set of what is found by a text. A clone shares its parts until one of the two changes.
#[derive(Clone)]
pub(crate) struct Shards<T>(Vec<Arc<HashSet<T>>>);

impl<T: Borrow<str> + Clone + Eq + Hash> Shards<T> {
    pub(crate) fn new() -> Self {
        Self((0..SHARDS).map(|_| Arc::default()).collect())
    }

    pub(crate) fn find(&self, name: &str) -> Option<&T> {
        self.0[shard(name)].get(name)
    }

    /// Puts the member in, in place of one of the same name.
    pub(crate) fn put(&mut self, member: T) {
        Arc::make_mut(&mut self.0[shard(member.borrow())]).replace(member);
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if self.find(name).is_some() {
            Arc::make_mut(&mut self.0[shard(name)]).remove(name);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|s| s.len()).sum()
    }
}

fn shard(name: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    (hasher.finish() % SHARDS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_keeps_what_it_had_and_shares_the_rest() {
        let mut set = Shards::<Box<str>>::new();
        for n in 0..5000 {
            set.put(n.to_string().into());
        }
        let before = set.clone();
        set.remove("7");
        set.remove("not there");
        set.put("x".into());
        set.put("8".into());
        assert_eq!((before.len(), set.len()), (5000, 5000));
        assert!(before.find("7").is_some() && before.find("x").is_none());
        assert!(set.find("7").is_none() && set.find("x").is_some());
        let copied = before.0.iter().zip(&set.0).filter(|(a, b)| !Arc::ptr_eq(a, b)).count();
        assert!(copied <= 3);
    }
}
