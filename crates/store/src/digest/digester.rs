//! Digests of client secrets. The presented secret alone decides how its digest is derived; conformance SE-03, CA-23, AB-06.
//!
//! A generated secret has 256 random bits, so one keyed hash is enough. Any other secret may have been chosen by a person, and
//! Argon2id (RFC 9106 §3.1) makes it costly to guess. Neither depends on whether the client exists, so an unknown client takes
//! as long as a known one.

use crate::digest::client_secret::is_generated;
use crate::error::StoreError;
use argon2::{Argon2, Block};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use std::sync::atomic::{AtomicU64, Ordering};
use tokenberg_core::registration::LONGEST_CLIENT_SECRET;
use tokenberg_core::{Secret, SecretDigest};
use zeroize::Zeroizing;

/// How many blocks of 1 KiB are allocated for Argon2, which uses 19,456 of them. The C library keeps freed memory for later, unless
/// there are more than 32 MiB of it (`mallopt(3)`, `DEFAULT_MMAP_THRESHOLD_MAX`). What is not used takes no memory.
const ALLOCATED_BLOCKS: usize = 33 * 1024;

/// Derives digests with the pepper of the store, without which guesses cannot be tested on a stolen database.
pub(crate) struct Digester {
    pepper: hmac::Key,
    stretched: AtomicU64,
}

/// A key for one purpose, derived from the pepper or the key-encryption key, so that no text that is keyed with it equals one of
/// another purpose.
pub(crate) fn derived_key(secret: &[u8], purpose: &[u8]) -> hmac::Key {
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, purpose).as_ref())
}

/// A new pepper: 32 random bytes.
pub(crate) fn new_pepper() -> Result<Zeroizing<[u8; 32]>, StoreError> {
    let mut pepper = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(pepper.as_mut_slice())?;
    Ok(pepper)
}

/// A digest, or the computation that yields it.
pub(crate) enum Quick<'a> {
    Done(SecretDigest),
    Costly(Stretch<'a>),
}

/// A computation of Argon2id that has not run yet.
pub(crate) struct Stretch<'a> {
    digester: &'a Digester,
    client_id: &'a str,
    text: &'a str,
}

impl Stretch<'_> {
    pub(crate) fn compute(self) -> SecretDigest {
        self.digester.stretched(self.client_id, self.text)
    }
}

impl Digester {
    pub(crate) fn new(pepper: &[u8]) -> Self {
        Self { pepper: hmac::Key::new(hmac::HMAC_SHA256, pepper), stretched: AtomicU64::new(0) }
    }

    /// The digest of the secret for this client, which need not exist.
    pub(crate) fn digest(&self, client_id: &str, secret: &Secret) -> SecretDigest {
        match self.quick(client_id, secret) {
            Quick::Done(digest) => digest,
            Quick::Costly(stretch) => stretch.compute(),
        }
    }

    /// The digest if it takes microseconds, or else the computation.
    pub(crate) fn quick<'a>(&'a self, client_id: &'a str, secret: &'a Secret) -> Quick<'a> {
        let text = secret.expose();
        if text.len() > LONGEST_CLIENT_SECRET {
            // CA-22: "> 1024 bytes rejected pre-hash". No such secret is registered, so no client has this digest.
            Quick::Done(self.hash(&["too long"]))
        } else if is_generated(text) {
            Quick::Done(self.hash(&["generated", client_id, text]))
        } else {
            Quick::Costly(Stretch { digester: self, client_id, text })
        }
    }

    /// Whether [`Digester::digest`] takes milliseconds.
    pub(crate) fn is_costly(secret: &Secret) -> bool {
        let text = secret.expose();
        text.len() <= LONGEST_CLIENT_SECRET && !is_generated(text)
    }

    /// How often Argon2id was computed.
    pub(crate) fn count(&self) -> u64 {
        self.stretched.load(Ordering::Relaxed)
    }

    fn stretched(&self, client_id: &str, text: &str) -> SecretDigest {
        self.stretched.fetch_add(1, Ordering::Relaxed);
        let salt = self.hash(&["salt", client_id]).0;
        let mut digest = [0; 32];
        // Argon2id, 19456 KiB, 2 passes, 1 lane.
        let argon2 = Argon2::default();
        let mut blocks = Vec::with_capacity(ALLOCATED_BLOCKS);
        blocks.resize(argon2.params().block_count(), Block::default());
        let outcome =
            argon2.hash_password_into_with_memory(text.as_bytes(), &salt[..16], &mut digest, &mut blocks);
        match outcome {
            Ok(()) => SecretDigest(digest),
            Err(error) => {
                // Lengths are right by construction, so memory was lacking.
                tracing::error!(%error, "a client secret could not be checked");
                self.hash(&["failed"])
            }
        }
    }

    fn hash(&self, parts: &[&str]) -> SecretDigest {
        let mut context = hmac::Context::with_key(&self.pepper);
        for (n, part) in parts.iter().enumerate() {
            if n > 0 {
                context.update(b"\0");
            }
            context.update(part.as_bytes());
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        SecretDigest(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::client_secret::generate;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn the_parameters_of_argon2_are_those_that_stored_digests_were_made_with() {
        let argon2 = Argon2::default();
        let params = argon2.params();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (19_456, 2, 1));
        let digest = Digester::new(&[7; 32]).digest("c1", &secret("s1-Z7"));
        assert_eq!(digest.0[..4], [127, 170, 48, 121]);
    }

    #[test]
    fn ca_23_every_byte_of_the_secret_counts_and_so_does_the_client() {
        let digester = Digester::new(&[7; 32]);
        let generated = generate(&SystemRandom::new()).unwrap();
        let long = "x".repeat(72) + "y";
        for right in [generated.expose(), "s1-Z7", &long] {
            let digest = digester.digest("c1", &secret(right));
            assert!(digest.matches(&digester.digest("c1", &secret(right))));
            for wrong in
                [format!("{right}\0x"), format!("{right} "), right.to_uppercase(), "x".repeat(72) + "z"]
            {
                assert!(!digest.matches(&digester.digest("c1", &secret(&wrong))));
            }
            assert!(!digest.matches(&digester.digest("C1", &secret(right))));
            assert!(!digest.matches(&Digester::new(&[8; 32]).digest("c1", &secret(right))));
        }
    }

    #[test]
    fn ca_22_a_megabyte_is_refused_without_work() {
        let digester = Digester::new(&[7; 32]);
        let huge = secret(&"x".repeat(1 << 20));
        assert!(!Digester::is_costly(&huge));
        digester.digest("c1", &huge);
        assert_eq!(digester.count(), 0);
    }

    #[test]
    fn ab_06_the_form_of_the_secret_decides_the_cost() {
        let generated = generate(&SystemRandom::new()).unwrap();
        assert!(!Digester::is_costly(&generated));
        assert!(Digester::is_costly(&secret("s1-Z7")));
        assert!(Digester::is_costly(&secret(&generated.expose()[1..])));
    }
}
