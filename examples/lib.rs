//! The answers of the examples that drive the core by hand: one client and one key, in memory.
//!
//! - `cargo run -p tokenberg-examples --example blocking`: the core without HTTP and without a runtime
//! - `cargo run -p tokenberg-examples --example asynchronous`: the same, with answers that are awaited
//! - `cargo run -p tokenberg-examples --example catalog`: the endpoint mounted beside a tiny catalog
//! - `examples/pyiceberg_client.py` and `examples/duckdb_client.py`: clients to point at it
#![allow(missing_debug_implementations, reason = "an example needs no more")]
#![forbid(unsafe_code)]

use anyhow::{Result, anyhow};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use std::sync::Arc;
use std::time::SystemTime;
use tokenberg_core::answers::SubjectStatus;
use tokenberg_core::jws::Algorithm;
use tokenberg_core::registration::{AllowedScope, StoredSecret};
use tokenberg_core::{
    AccessTokenClaims, Answers, Client, ClientId, Entropy, Issuer, Keys, Revocation, Rights, Scope, Secret,
    SecretDigest, Timestamp, TrustedIssuer,
};
use tokenberg_jose::{Keyring, generate};

/// The time, which the core takes as an argument.
///
/// # Errors
/// If the clock of the machine stands before 1970.
pub fn now() -> Result<Timestamp> {
    Ok(SystemTime::now().try_into()?)
}

/// Randomness, which the core takes as an argument.
///
/// # Errors
/// If the operating system has none.
pub fn entropy() -> Result<Entropy> {
    let mut bits = [0; 16];
    SystemRandom::new().fill(&mut bits).map_err(|_| anyhow!("no randomness"))?;
    Ok(Entropy::from_bits(bits))
}

/// A world of one client, whose secret has 256 bits and so needs no slow hash.
pub struct OneClient {
    client: Arc<Client>,
    keys: Keyring,
    pepper: hmac::Key,
}

impl OneClient {
    /// Registers the client `spark` with this secret, and makes a key.
    ///
    /// # Errors
    /// If the operating system has no randomness.
    pub fn new(secret: &Secret) -> Result<Self> {
        let now = now()?;
        let pepper = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| anyhow!("no randomness"))?;
        let stored =
            StoredSecret { id: "1".into(), digest: digest(&pepper, "spark", secret), expires_at: None };
        let rights = Rights::new(AllowedScope::Only(Scope::catalog()));
        let client = Client::new("spark".parse()?, vec![stored], rights);
        let keys = Keyring::read(&[generate(Algorithm::ES256, now, now)?], now)?;
        Ok(Self { client: Arc::new(client), keys, pepper })
    }
}

impl Answers for OneClient {
    fn client(&self, id: &ClientId) -> Option<Arc<Client>> {
        (*id == self.client.id).then(|| Arc::clone(&self.client))
    }

    fn digest(&self, client_id: &str, secret: &Secret) -> SecretDigest {
        digest(&self.pepper, client_id, secret)
    }

    fn is_costly(&self, _: &str, _: &Secret) -> bool {
        false
    }

    fn revoked(&self, _: &AccessTokenClaims) -> Option<Revocation> {
        None
    }

    fn keys(&self) -> &dyn Keys {
        &self.keys
    }

    fn may_be_guessed(&self, _: &Secret) -> bool {
        true
    }

    fn issuer(&self, _: &str) -> Option<Arc<TrustedIssuer>> {
        None
    }

    fn federated(&self, _: &Issuer, _: &str) -> Option<Arc<Client>> {
        None
    }

    fn subject(&self, _: Option<&Issuer>, _: &str, _: &str) -> SubjectStatus {
        SubjectStatus::default()
    }

    fn nonce(&self, _: Timestamp) -> Option<Box<str>> {
        None
    }

    fn accepts_nonce(&self, _: &str, _: Timestamp) -> bool {
        false
    }
}

fn digest(pepper: &hmac::Key, client_id: &str, secret: &Secret) -> SecretDigest {
    let mut context = hmac::Context::with_key(pepper);
    for part in [client_id, "\0", secret.expose()] {
        context.update(part.as_bytes());
    }
    let mut digest = [0; 32];
    digest.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
    SecretDigest(digest)
}
