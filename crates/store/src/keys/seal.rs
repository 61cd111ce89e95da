//! Seals keys in the database with ChaCha20-Poly1305 (RFC 8439 §2.8), bound to their purpose and name.

use crate::digest::derived_key;
use crate::error::StoreError;
use crate::keys::key_encryption_key::{KekSource, KeyEncryptionKey};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// The first byte of every sealed value, and the last byte of its authenticated data.
const VERSION: u8 = 1;

/// Seals and opens with the key-encryption key.
pub(crate) struct Sealer {
    key: LessSafeKey,
    random: SystemRandom,
}

/// What is sealed. A sealed value opens only for its own purpose and identifier.
#[derive(Clone, Copy)]
pub(crate) enum Purpose<'a> {
    /// The pepper of the digests.
    Pepper,
    /// The private key of this name and algorithm.
    SigningKey { id: &'a str, algorithm: &'a str },
}

impl Sealer {
    pub(crate) fn new(key: &KeyEncryptionKey) -> Result<Self, StoreError> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.bytes())?;
        Ok(Self { key: LessSafeKey::new(key), random: SystemRandom::new() })
    }

    /// `VERSION nonce ciphertext tag`.
    pub(crate) fn seal(&self, purpose: Purpose<'_>, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0_u8; NONCE_LEN];
        self.random.fill(&mut nonce)?;
        // The whole capacity at once, so that no copy of the plain bytes stays in memory.
        let mut text = Vec::with_capacity(plain.len() + CHACHA20_POLY1305.tag_len());
        text.extend_from_slice(plain);
        let nonce_value = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce_value, Aad::from(purpose.authenticated()), &mut text)?;
        Ok([&[VERSION], nonce.as_slice(), text.as_slice()].concat())
    }

    /// The plain bytes; `None` if the value was sealed with another key or for another purpose, or was changed.
    pub(crate) fn open(&self, purpose: Purpose<'_>, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (version, rest) = sealed.split_first()?;
        let (nonce, text) = rest.split_at_checked(NONCE_LEN)?;
        if *version != VERSION {
            return None;
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = Zeroizing::new(text.to_vec());
        let plain = self.key.open_in_place(nonce, Aad::from(purpose.authenticated()), &mut text).ok()?.len();
        text.truncate(plain);
        Some(text)
    }
}

/// The pepper is sealed first, and again whenever the key changes: as long as it is unchanged, the key is the right one.
pub(crate) const SELECT_PEPPER: &str = "SELECT value FROM meta WHERE name = 'pepper'";

/// The key that seals the store, and the pepper that it seals.
pub(crate) struct Seal {
    pub(crate) sealer: Sealer,
    /// What the keys of files beside the database are derived from.
    pub(crate) file_key: hmac::Key,
    /// The sealed pepper, which changes with the key.
    pub(crate) pepper: Vec<u8>,
}

impl Seal {
    /// The seal of this key.
    pub(crate) fn new(key: &KeyEncryptionKey, pepper: Vec<u8>) -> Result<Self, StoreError> {
        Ok(Self { sealer: Sealer::new(key)?, file_key: file_key(key), pepper })
    }

    /// The seal, if the present key opens the sealed pepper, or the next one does.
    pub(crate) fn open(kek: &KekSource, pepper: Vec<u8>) -> Result<Option<Self>, StoreError> {
        let mut seal = Self::new(&kek.key(true)?, pepper)?;
        if seal.plain_pepper().is_none()
            && let Some(next) = kek.next_key()?
        {
            seal = Self::new(&next, seal.pepper)?;
        }
        Ok(seal.plain_pepper().is_some().then_some(seal))
    }

    pub(crate) fn plain_pepper(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.sealer.open(Purpose::Pepper, &self.pepper)
    }
}

/// What the keys of files beside the database are derived from.
pub(crate) fn file_key(key: &KeyEncryptionKey) -> hmac::Key {
    derived_key(key.bytes(), b"files")
}

impl Purpose<'_> {
    fn authenticated(self) -> Vec<u8> {
        match self {
            Self::Pepper => [b"pepper".as_slice(), b"\0", &[VERSION]].concat(),
            Self::SigningKey { id, algorithm } => {
                [b"signing key\0", id.as_bytes(), b"\0", algorithm.as_bytes(), b"\0", &[VERSION]].concat()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_03_sealed_bytes_open_with_their_key_and_for_their_purpose_only() {
        let sealer = Sealer::new(&KeyEncryptionKey::generate().unwrap()).unwrap();
        let other = Sealer::new(&KeyEncryptionKey::generate().unwrap()).unwrap();
        let purpose = Purpose::SigningKey { id: "k1", algorithm: "ES256" };
        let sealed = sealer.seal(purpose, b"private bytes").unwrap();
        assert!(!sealed.windows(13).any(|w| w == b"private bytes"));
        assert_ne!(sealed, sealer.seal(purpose, b"private bytes").unwrap());
        assert_eq!(sealer.open(purpose, &sealed).unwrap().as_slice(), b"private bytes");
        assert!(other.open(purpose, &sealed).is_none());
        for wrong in [
            Purpose::Pepper,
            Purpose::SigningKey { id: "k2", algorithm: "ES256" },
            Purpose::SigningKey { id: "k1", algorithm: "EdDSA" },
        ] {
            assert!(sealer.open(wrong, &sealed).is_none());
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(sealer.open(purpose, &changed).is_none(), "{at}");
            assert!(sealer.open(purpose, &sealed[..at]).is_none(), "{at}");
        }
    }
}
