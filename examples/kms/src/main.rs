//! A token endpoint whose signing key never leaves a KMS: here a stand-in that takes 20 ms for each signature.

#[path = "../../axum/src/clients.rs"]
mod clients;

use actix_web::{App, HttpServer};
use clients::Table;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokenberg_actix::{Fixed, TokenService};
use tokenberg_core::answers::SigningFault;
use tokenberg_core::backends::BoxFuture;
use tokenberg_core::jws::{Algorithm, KeyId};
use tokenberg_core::registration::AllowedScope;
use tokenberg_core::{Keys, Policy, Scope, Secret, Signer, Timestamp};
use tokenberg_jose::{Keyring, PublicKeyring, generate};

/// A client of the KMS. A real one sends the signing input, or its digest, to an address, and returns r and s side by side.
struct Kms {
    id: KeyId,
    latency: Duration,
    pair: Arc<EcdsaKeyPair>,
}

impl Signer for Kms {
    fn key(&self, _: Timestamp) -> Option<(KeyId, Algorithm)> {
        Some((self.id.clone(), Algorithm::ES256))
    }

    fn sign<'a>(&'a self, key: &'a KeyId, input: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, SigningFault>> {
        Box::pin(async move {
            actix_web::rt::time::sleep(self.latency).await;
            // An outage is `SigningFault::Unavailable`, which is answered with 503 and Retry-After.
            let failed = |_| SigningFault::Key { key: key.clone() };
            Ok(self.pair.sign(&SystemRandom::new(), input).map_err(failed)?.as_ref().to_vec())
        })
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listen = std::env::var("LISTEN").unwrap_or("127.0.0.1:8186".to_owned());
    let latency = std::env::var("LATENCY_MS").map_or(Ok(20), |text| text.parse())?;
    let (kms, jwks) = stand_in(Duration::from_millis(latency))?;
    // All that this process has of the key is its public half.
    let mut table = Table { clients: Default::default(), keys: PublicKeyring::from_jwks(&jwks)? };
    let secret = Secret::new(std::env::var("SPARK_SECRET")?);
    table.add("spark".parse()?, &secret, AllowedScope::Only(Scope::catalog()));
    let policy = Policy::new(format!("http://{listen}").parse()?);
    let service = TokenService::builder(policy, Fixed::new(table)).signer(kms).build();
    let server = HttpServer::new(move || App::new().configure(service.configure()));
    Ok(server.workers(2).bind(listen)?.run().await?)
}

/// Makes a key, as the KMS would, and returns the public half as it would be downloaded.
fn stand_in(latency: Duration) -> Result<(Kms, Arc<str>), Box<dyn Error>> {
    let now: Timestamp = SystemTime::now().try_into()?;
    let key = generate(Algorithm::ES256, now, now)?;
    let jwks = Keyring::read(std::slice::from_ref(&key), now)?.jwks();
    let pair = EcdsaKeyPair::from_pkcs8(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        key.private.pkcs8().unwrap_or_default(),
        &SystemRandom::new(),
    );
    let pair = Arc::new(pair.map_err(|_| "the key is unusable")?);
    Ok((Kms { id: key.id, latency, pair }, jwks))
}
