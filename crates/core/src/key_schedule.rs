//! Decides which key signs, which keys only verify, and how they change when a key is added or removed: conformance KS-04, KS-05 and
//! OP-02.

use crate::policy::LONGEST_TOKEN_LIFETIME;
use crate::types::algorithm::KeyId;
use crate::types::key_material::KeyMaterial;
use crate::types::time::{Lifetime, Timestamp};

/// A new key is published this long before it signs: catalogs may keep the key set for `max-age=300`, and as long again.
pub const PUBLICATION_DELAY: Lifetime = Lifetime::from_seconds(600);
/// An old key verifies this much longer than the last token that it can have signed.
const MARGIN: Lifetime = Lifetime::from_hours(1);

/// The times of a signing key. Everything that it does follows from these and from the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTimes<'a> {
    /// Its name.
    pub id: &'a KeyId,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it signs, unless another key's time came later.
    pub signs_from: Timestamp,
    /// When its verification period ends, if that is settled.
    pub verifies_until: Option<Timestamp>,
}

/// What a key does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// The key is published, but does not sign yet.
    Published,
    /// It signs.
    Signing,
    /// It only verifies what it has signed.
    Retired,
    /// The key neither signs nor verifies any more.
    Over,
}

impl KeyState {
    /// What `key` does at `now`, among all keys.
    #[must_use]
    pub fn of<'a>(key: KeyTimes<'_>, keys: impl IntoIterator<Item = KeyTimes<'a>>, now: Timestamp) -> Self {
        if key.is_over(now) {
            Self::Over
        } else if key.signs_from > now {
            Self::Published
        } else if signer(keys, now).is_some_and(|signer| signer.id == key.id) {
            Self::Signing
        } else {
            Self::Retired
        }
    }

    /// The name for display.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Signing => "signing",
            Self::Retired => "retired",
            Self::Over => "over",
        }
    }
}

impl KeyMaterial {
    /// The times of the key, without the key.
    #[must_use]
    pub fn times(&self) -> KeyTimes<'_> {
        KeyTimes {
            id: &self.id,
            created_at: self.created_at,
            signs_from: self.signs_from,
            verifies_until: self.verifies_until,
        }
    }
}

impl<'a> KeyTimes<'a> {
    /// Whether its verification period has ended.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.verifies_until.is_some_and(|until| until <= now)
    }

    /// Orders keys by start time; of two that start at the same time, the younger is the greater, then the greater name.
    #[must_use]
    pub fn order(&self) -> (Timestamp, Timestamp, &'a KeyId) {
        (self.signs_from, self.created_at, self.id)
    }
}

/// The key that signs now: the latest of those whose signing period has begun.
#[must_use]
pub fn signer<'a>(keys: impl IntoIterator<Item = KeyTimes<'a>>, now: Timestamp) -> Option<KeyTimes<'a>> {
    let candidates = keys.into_iter().filter(|key| key.signs_from <= now && !key.is_over(now));
    candidates.reduce(|a, b| if a.order() < b.order() { b } else { a })
}

/// A key that is published and waits to sign. There is one at a time: the next would replace it before it has signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key {id} is published already and signs from {signs_from}")]
pub struct AnotherWaits {
    /// The key.
    pub id: KeyId,
    /// From when on it signs.
    pub signs_from: Timestamp,
}

/// The changes to the other keys when a key is added or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Succession {
    /// From when on the new key signs.
    pub signs_from: Timestamp,
    /// Keys that have not signed and are not going to: to be removed.
    pub dropped: Vec<KeyId>,
    /// Keys whose end is settled now.
    pub ending: Vec<KeyId>,
    /// The end of their verification period: when the last token that they can have signed has expired.
    pub end: Timestamp,
}

/// Computes the changes for a new key: it signs when every catalog has fetched it, or immediately.
///
/// # Errors
/// If another key is waiting to sign, and the new one is not to sign immediately.
pub fn introduce(keys: &[KeyTimes<'_>], now: Timestamp, at_once: bool) -> Result<Succession, AnotherWaits> {
    let waiting: Vec<_> = keys.iter().filter(|key| key.signs_from > now).collect();
    if let Some(other) = waiting.first().filter(|_| !at_once) {
        return Err(AnotherWaits { id: other.id.clone(), signs_from: other.signs_from });
    }
    // If no key signs, waiting has no benefit.
    let signs_from = if at_once || signer(keys.iter().copied(), now).is_none() {
        // Of two keys that start in the same second, the other could be the one that signs.
        let has_begun_now = keys.iter().any(|key| key.signs_from == now);
        if has_begun_now { now.plus(Lifetime::from_seconds(1)) } else { now }
    } else {
        now.plus(PUBLICATION_DELAY)
    };
    let settled_now = |key: &&KeyTimes<'_>| key.signs_from <= now && key.verifies_until.is_none();
    Ok(Succession {
        signs_from,
        // They would take over from the new key when their time comes.
        dropped: waiting.into_iter().map(|key| key.id.clone()).collect(),
        ending: keys.iter().filter(settled_now).map(|key| key.id.clone()).collect(),
        // No token lives longer, whatever is registered.
        end: signs_from.plus(LONGEST_TOKEN_LIFETIME).plus(MARGIN),
    })
}

/// Whether it is time for a new key: the one that signs is old enough, and none waits.
///
/// A clock that went ahead and came back finds the key that was published meanwhile waiting, and makes no second one.
#[must_use]
pub fn is_rotation_due(keys: &[KeyTimes<'_>], now: Timestamp, every: Lifetime) -> bool {
    let waits = keys.iter().any(|key| key.signs_from > now && !key.is_over(now));
    !waits && signer(keys.iter().copied(), now).is_some_and(|key| key.signs_from.plus(every) <= now)
}

/// The key that signs after a key was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Successor {
    /// The signing key stays the same, or there is none, as before. If the removed key was about to replace it, its end is not settled
    /// any more.
    Unchanged {
        /// The key whose end is withdrawn.
        goes_on: Option<KeyId>,
    },
    /// One that was published and waited for its time, from this time on.
    Published {
        /// The key.
        id: KeyId,
        /// From when on.
        signs_from: Timestamp,
    },
    /// None is there: one has to be made that signs from this time on.
    New {
        /// From when on.
        signs_from: Timestamp,
    },
}

/// Computes the changes when `id` is removed immediately. A retired key never signs again: its end is settled, and a token that it signed
/// now could outlive it.
#[must_use]
pub fn revoke(keys: &[KeyTimes<'_>], id: &KeyId, now: Timestamp) -> Successor {
    /// Nodes whose clocks are behind must not be without a key that signs.
    const LEEWAY: Lifetime = Lifetime::from_seconds(60);
    let rest = || keys.iter().copied().filter(|key| key.id != id && !key.is_over(now));
    let waiting = rest().filter(|key| key.signs_from > now).min_by_key(|key| key.signs_from);
    match signer(keys.iter().copied(), now) {
        Some(signer) if signer.id == id => {
            // As long ago as it may be; the key that is gone signed since then, so that it is later than the rest's.
            let at_most = now.since(signer.signs_from).as_seconds().min(LEEWAY.as_seconds());
            let begun = now.as_seconds() - i64::from(at_most);
            let signs_from = Timestamp::from_seconds(begun).unwrap_or(now);
            match waiting {
                Some(next) => Successor::Published { id: next.id.clone(), signs_from },
                None => Successor::New { signs_from },
            }
        }
        Some(signer) if waiting.is_none() => Successor::Unchanged { goes_on: Some(signer.id.clone()) },
        Some(_) | None => Successor::Unchanged { goes_on: None },
    }
}
