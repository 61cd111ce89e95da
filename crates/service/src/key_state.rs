//! The state of a signing key, for `key list`, `check`, metrics and rotation; conformance KS-04.

use tokenberg_core::Timestamp;
use tokenberg_core::jws::KeyMaterial;
use tokenberg_core::key_schedule::KeyState;

/// The state of the key: `published` before it signs, `signing`, `retired` while it only verifies, and `over` when it is unused.
#[must_use]
pub fn state(key: &KeyMaterial, keys: &[KeyMaterial], now: Timestamp) -> &'static str {
    KeyState::of(key.times(), keys.iter().map(KeyMaterial::times), now).as_str()
}

/// The key that signs now.
#[must_use]
pub fn signing(keys: &[KeyMaterial], now: Timestamp) -> Option<&KeyMaterial> {
    let signer = tokenberg_core::key_schedule::signer(keys.iter().map(KeyMaterial::times), now)?;
    keys.iter().find(|key| key.id == *signer.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenberg_core::jws::{Algorithm, KeyId, PrivateHalf};

    fn key(id: &str, signs_from: i64, verifies_until: Option<i64>) -> KeyMaterial {
        let at = |seconds| Timestamp::from_seconds(seconds).unwrap();
        KeyMaterial {
            id: KeyId::new(id),
            algorithm: Algorithm::ES256,
            private: PrivateHalf::Pkcs8(Vec::new().into()),
            created_at: at(0),
            signs_from: at(signs_from),
            verifies_until: verifies_until.map(at),
        }
    }

    #[test]
    fn ks_04_states_follow_from_the_times() {
        let keys = [
            key("old", 0, Some(50)),
            key("older", 0, Some(10)),
            key("present", 20, None),
            key("next", 40, None),
        ];
        let states = |now| {
            let now = Timestamp::from_seconds(now).unwrap();
            keys.iter().map(|k| state(k, &keys, now)).collect::<Vec<_>>()
        };
        assert_eq!(states(30), ["retired", "over", "signing", "published"]);
        assert_eq!(states(40), ["retired", "over", "retired", "signing"]);
        assert_eq!(states(50), ["over", "over", "retired", "signing"]);
    }
}
