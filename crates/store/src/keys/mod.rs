//! Signing keys, and the key-encryption key that seals them.

mod key_encryption_key;
mod reseal;
mod seal;
mod sealed_since;
mod signing_keys;
mod succession;

pub use key_encryption_key::{KekError, KekSource, KeyEncryptionKey};
pub(crate) use seal::{Purpose, SELECT_PEPPER, Seal, Sealer, file_key};
pub use sealed_since::SealedSince;
pub(crate) use signing_keys::{Row as KeyRow, SELECT_KEYS, delete_key, read_key, sealed};
pub use succession::{IntroducedKey, NowSigning, RevokedKey};
