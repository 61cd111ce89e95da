//! Caches parsed JWK Sets that the operator gave: the text is the same in every request.

use crate::decoy::{DECOY_KEY, verify_in_any_case};
use crate::jwks_reading::JwksFault;
use crate::public_keys::PublicKeys;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokenberg_core::jws::Algorithms;
use tokenberg_core::{CompactJws, SignatureFault, Verified};

/// The maximum number of cached sets.
const MOST_SETS: usize = 1024;

/// The maximum length of their texts together, in bytes.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Parsed JWK Sets, by their text. The least recently used set is evicted first.
#[derive(Debug, Default)]
pub(crate) struct ParsedSets {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    sets: HashMap<Box<str>, (Arc<PublicKeys>, u64)>,
    bytes: usize,
    uses: u64,
}

impl ParsedSets {
    /// The keys of this set, from the cache or parsed now.
    ///
    /// # Errors
    /// If the text is not a JWK Set.
    pub(crate) fn of(&self, jwks: &str) -> Result<Arc<PublicKeys>, JwksFault> {
        if let Some(keys) = self.held.lock().unwrap_or_else(PoisonError::into_inner).find(jwks) {
            return Ok(keys);
        }
        let keys = Arc::new(PublicKeys::from_jwks(jwks)?);
        self.held.lock().unwrap_or_else(PoisonError::into_inner).hold(jwks, &keys);
        Ok(keys)
    }

    /// Verifies the token with a key of this set; a text that is not a JWK Set has none. See
    /// [`Keys::verify_with`](tokenberg_core::Keys::verify_with).
    pub(crate) fn verify(
        &self,
        jwks: &str,
        accepted: Algorithms,
        token: &CompactJws,
    ) -> Result<Verified, SignatureFault> {
        let keys = self.of(jwks).unwrap_or_default();
        verify_in_any_case(&keys, accepted, DECOY_KEY.as_deref(), token).0
    }
}

impl Held {
    fn find(&mut self, jwks: &str) -> Option<Arc<PublicKeys>> {
        self.uses += 1;
        let (keys, used) = self.sets.get_mut(jwks)?;
        *used = self.uses;
        Some(Arc::clone(keys))
    }

    fn hold(&mut self, jwks: &str, keys: &Arc<PublicKeys>) {
        if self.sets.contains_key(jwks) {
            return;
        }
        while self.sets.len() >= MOST_SETS || self.bytes + jwks.len() > MOST_BYTES {
            let oldest = self.sets.iter().min_by_key(|(_, (_, used))| *used).map(|(text, _)| text.clone());
            let Some(oldest) = oldest else { break };
            self.sets.remove(&oldest);
            self.bytes -= oldest.len();
        }
        self.bytes += jwks.len();
        self.sets.insert(jwks.into(), (Arc::clone(keys), self.uses));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(number: usize, length: usize) -> String {
        let start = format!("{{\"keys\":[],\"number\":{number}}}");
        format!("{start}{}", " ".repeat(length.saturating_sub(start.len())))
    }

    #[test]
    fn cj_17_a_set_is_parsed_once() {
        let sets = ParsedSets::default();
        let first = sets.of(&set(0, 0)).unwrap();
        assert!(Arc::ptr_eq(&first, &sets.of(&set(0, 0)).unwrap()));
        assert!(!Arc::ptr_eq(&first, &sets.of(&set(1, 0)).unwrap()));
        assert_eq!(sets.of("{}").err(), Some(JwksFault::NoKeys));
        assert_eq!(sets.held.lock().unwrap().sets.len(), 2);
    }

    #[test]
    fn ab_10_the_cache_of_sets_is_bounded() {
        let sets = ParsedSets::default();
        let kept = sets.of(&set(0, 0)).unwrap();
        for number in 1..=MOST_SETS + 10 {
            sets.of(&set(number, 0)).unwrap();
            assert!(Arc::ptr_eq(&kept, &sets.of(&set(0, 0)).unwrap()), "{number}");
        }
        assert_eq!(sets.held.lock().unwrap().sets.len(), MOST_SETS);
        for number in 0..40 {
            sets.of(&set(number, 500_000)).unwrap();
        }
        let held = sets.held.lock().unwrap();
        assert!(held.bytes <= MOST_BYTES && held.sets.len() <= 17);
        assert_eq!(held.bytes, held.sets.keys().map(|text| text.len()).sum::<usize>());
    }
}
