//! One-time codes with which an operator opens the page of a running server. A code is a keyed hash of its end, so none is stored
//! before it is used.

use crate::digest::derived_key;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use tokenberg_core::{Lifetime, Timestamp};

/// How long a code can be used, in seconds.
const USABLE: u32 = 300;
/// The end of a code, its random identifier, and the keyed hash of both.
const LENGTHS: [usize; 3] = [8, 16, 32];

/// The codes of a store: the same on every node that shares its pepper.
pub(crate) struct PageCodes(hmac::Key);

impl PageCodes {
    /// The key is derived from the pepper, so that no code equals a digest of anything else.
    pub(crate) fn new(pepper: &[u8]) -> Self {
        Self(derived_key(pepper, b"page codes"))
    }

    /// The code with this identifier that can be used from `now` on.
    pub(crate) fn code(&self, now: Timestamp, id: [u8; 16]) -> String {
        let end = now.plus(Lifetime::from_seconds(USABLE));
        let mut code = end.as_seconds().to_be_bytes().to_vec();
        code.extend(id);
        let tag = hmac::sign(&self.0, &code);
        code.extend(tag.as_ref());
        URL_SAFE_NO_PAD.encode(code)
    }

    /// The end and the identifier of a code of this store that has not ended.
    pub(crate) fn read(&self, code: &str, now: Timestamp) -> Option<(Timestamp, String)> {
        let code = URL_SAFE_NO_PAD.decode(code).ok()?;
        if code.len() != LENGTHS.iter().sum::<usize>() {
            return None;
        }
        let (signed, tag) = code.split_at_checked(LENGTHS[0] + LENGTHS[1])?;
        hmac::verify(&self.0, signed, tag).ok()?;
        let (end, id) = signed.split_first_chunk()?;
        let end = Timestamp::from_seconds(i64::from_be_bytes(*end)).ok()?;
        // Clocks of two machines may differ by a little; a code that ends later was made by a wrong one.
        let is_usable = now < end && end <= now.plus(Lifetime::from_seconds(2 * USABLE));
        is_usable.then(|| (end, URL_SAFE_NO_PAD.encode(id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_code_is_good_for_five_minutes_and_only_in_its_own_store() {
        let at = |seconds: i64| Timestamp::from_seconds(1_800_000_000 + seconds).unwrap();
        let codes = PageCodes::new(&[7; 32]);
        let code = codes.code(at(0), [9; 16]);
        for (seconds, is) in
            [(-301, false), (-300, true), (0, true), (299, true), (300, false), (9999, false)]
        {
            assert_eq!(codes.read(&code, at(seconds)).is_some(), is, "{seconds}");
        }
        assert!(PageCodes::new(&[8; 32]).read(&code, at(0)).is_none());
        let bytes = URL_SAFE_NO_PAD.decode(&code).unwrap();
        for byte in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[byte] ^= 1;
            assert!(codes.read(&URL_SAFE_NO_PAD.encode(changed), at(0)).is_none(), "{byte}");
        }
        for wrong in ["", "x", &code[1..], &format!("{code}A"), &format!("{code}=")] {
            assert!(codes.read(wrong, at(0)).is_none(), "{wrong}");
        }
    }
}
