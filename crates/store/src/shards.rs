//! A set in 1024 parts, so that a changed version of a large set shares the parts that did not change.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::borrow::Borrow;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// With a million members, one change copies about a thousand of them.
const SHARDS: usize = 1024;

/// A set whose members are found by a text. A clone shares its parts until one of the two changes.
#[derive(Clone)]
pub(crate) struct Shards<T> {
    hasher: RandomState,
    parts: Vec<Arc<HashTable<T>>>,
}

impl<T: Borrow<str> + Clone> Shards<T> {
    pub(crate) fn new() -> Self {
        Self::with_room_for(0)
    }

    /// An empty set with room for this many members.
    pub(crate) fn with_room_for(members: usize) -> Self {
        let each = members / SHARDS;
        // A part may get more than its share. Few get four standard deviations more, and those grow.
        let room = if each == 0 { 0 } else { each + 4 * each.isqrt() };
        let parts = (0..SHARDS).map(|_| Arc::new(HashTable::with_capacity(room))).collect();
        Self { hasher: RandomState::new(), parts }
    }

    pub(crate) fn find(&self, name: &str) -> Option<&T> {
        let hash = self.hasher.hash_one(name);
        self.parts[part(hash)].find(hash, |member| member.borrow() == name)
    }

    /// The member of this name. Its name must not change.
    pub(crate) fn find_mut(&mut self, name: &str) -> Option<&mut T> {
        let hash = self.hasher.hash_one(name);
        Arc::make_mut(&mut self.parts[part(hash)]).find_mut(hash, |member| member.borrow() == name)
    }

    /// Adds the member. Replaces and returns one of the same name.
    pub(crate) fn put(&mut self, member: T) -> Option<T> {
        let Self { hasher, parts } = self;
        let hash = hasher.hash_one(member.borrow());
        let part = Arc::make_mut(&mut parts[part(hash)]);
        match part.entry(hash, |m| m.borrow() == member.borrow(), |m| hasher.hash_one(m.borrow())) {
            Entry::Occupied(mut there) => Some(std::mem::replace(there.get_mut(), member)),
            Entry::Vacant(free) => {
                free.insert(member);
                None
            }
        }
    }

    /// Removes and returns the member.
    pub(crate) fn remove(&mut self, name: &str) -> Option<T> {
        self.find(name)?;
        let hash = self.hasher.hash_one(name);
        let part = Arc::make_mut(&mut self.parts[part(hash)]);
        part.find_entry(hash, |member| member.borrow() == name).ok().map(|there| there.remove().0)
    }

    /// All members, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.parts.iter().flat_map(|part| part.iter())
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }
}

/// The part of a hash. The tables inside use the highest and the lowest bits.
fn part(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_keeps_its_members_and_shares_the_rest() {
        let mut set = Shards::<Box<str>>::new();
        for n in 0..5000 {
            assert!(set.put(n.to_string().into()).is_none());
        }
        let before = set.clone();
        assert_eq!(set.remove("7").as_deref(), Some("7"));
        assert!(set.remove("not there").is_none());
        assert!(set.put("x".into()).is_none());
        assert_eq!(set.put("8".into()).as_deref(), Some("8"));
        assert_eq!((before.len(), set.len()), (5000, 5000));
        assert!(before.find("7").is_some() && before.find("x").is_none());
        assert!(set.find("7").is_none() && set.find("x").is_some());
        let copied = before.parts.iter().zip(&set.parts).filter(|(a, b)| !Arc::ptr_eq(a, b)).count();
        assert!(copied <= 3);
    }

    #[test]
    fn members_are_spread_evenly_within_the_reserved_capacity() {
        let mut set = Shards::<Box<str>>::with_room_for(100_000);
        let room: usize = set.parts.iter().map(|part| part.capacity()).sum();
        for n in 0..100_000 {
            set.put(format!("client-{n}").into());
        }
        assert_eq!(set.len(), 100_000);
        let (least, most) = set
            .parts
            .iter()
            .fold((usize::MAX, 0), |(least, most), part| (least.min(part.len()), most.max(part.len())));
        // 98 in each; 40 is four standard deviations, which one of 32 thousand exceeds, and 70 is seven.
        assert!(least > 28 && most < 168, "{least} to {most}");
        let now: usize = set.parts.iter().map(|part| part.capacity()).sum();
        assert!(now < room + room / 100, "hardly any has grown");
        assert_eq!(set.find("client-99999").map(|found| &**found), Some("client-99999"));
    }
}
