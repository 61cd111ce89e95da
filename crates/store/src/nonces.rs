//! DPoP nonces, RFC 9449 §8: a nonce is a keyed hash of the time, so none is stored. Conformance DP-10.

use crate::digest::derived_key;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use tokenberg_core::Timestamp;

/// How long the same nonce is issued, in seconds. It is accepted for as long again.
const EPOCH: i64 = 60;

/// The nonces of a store: the same on every node that shares its pepper.
pub(crate) struct Nonces(hmac::Key);

impl Nonces {
    /// The key is derived from the pepper, so that no nonce equals a digest of anything else.
    pub(crate) fn new(pepper: &[u8]) -> Self {
        Self(derived_key(pepper, b"nonces"))
    }

    pub(crate) fn at(&self, now: Timestamp) -> Box<str> {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, &epoch(now, 0))).into()
    }

    /// Whether it is the nonce of this epoch or of the one before.
    pub(crate) fn accepts(&self, nonce: &str, now: Timestamp) -> bool {
        let Ok(tag) = URL_SAFE_NO_PAD.decode(nonce) else { return false };
        [0, 1].into_iter().any(|ago| hmac::verify(&self.0, &epoch(now, ago), &tag).is_ok())
    }
}

fn epoch(now: Timestamp, ago: i64) -> [u8; 8] {
    (now.as_seconds().div_euclid(EPOCH) - ago).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dp_10_a_nonce_is_accepted_in_its_epoch_and_the_next_by_its_own_store() {
        let at = |seconds: i64| Timestamp::from_seconds(1_800_000_000 + seconds).unwrap();
        let nonces = Nonces::new(&[7; 32]);
        let nonce = nonces.at(at(0));
        assert_eq!((nonce.len(), &nonce), (43, &nonces.at(at(59))));
        assert_ne!(nonce, nonces.at(at(60)));
        for (seconds, is) in [(-1, false), (0, true), (59, true), (60, true), (119, true), (120, false)] {
            assert_eq!(nonces.accepts(&nonce, at(seconds)), is, "{seconds}");
        }
        assert!(Nonces::new(&[7; 32]).accepts(&nonce, at(0)), "another node, or the same after a restart");
        assert!(!Nonces::new(&[8; 32]).accepts(&nonce, at(0)));
        for wrong in ["", "x", &nonce[1..], &nonce.to_uppercase(), &format!("{nonce}="), &format!("{nonce}A")]
        {
            assert!(!nonces.accepts(wrong, at(0)), "{wrong}");
        }
    }
}
