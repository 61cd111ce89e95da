//! Tokens that are signed by the holder of a key elsewhere, such as a KMS.

use crate::check::*;
use crate::world::*;
use futures_util::future::join_all;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokenberg_core::answers::SigningFault;
use tokenberg_core::backends::BoxFuture;
use tokenberg_core::jws::{Algorithm, KeyId};
use tokenberg_core::{Signer, Timestamp};
use tokenberg_jose::{PublicKeyring, PublicKeyringError};
use tokio::sync::Barrier;

/// More than any pool of threads has.
const AT_ONCE: usize = 200;

/// Answers only when so many requests wait for it.
#[derive(Clone)]
struct Kms {
    pair: Arc<EcdsaKeyPair>,
    id: KeyId,
    together: Arc<Barrier>,
    waiting: Arc<AtomicUsize>,
    is_away: Arc<AtomicBool>,
}

impl Signer for Kms {
    fn key(&self, _: Timestamp) -> Option<(KeyId, Algorithm)> {
        Some((self.id.clone(), Algorithm::ES256))
    }

    fn sign<'a>(&'a self, key: &'a KeyId, input: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, SigningFault>> {
        Box::pin(async move {
            if self.is_away.load(Ordering::SeqCst) {
                return Err(SigningFault::Unavailable {
                    key: key.clone(),
                    reason: "as the test wants it".to_owned(),
                });
            }
            self.waiting.fetch_add(1, Ordering::SeqCst);
            self.together.wait().await;
            let signature = self.pair.sign(&SystemRandom::new(), input).unwrap();
            Ok(signature.as_ref().to_vec())
        })
    }
}

#[actix_web::test]
async fn requests_wait_for_a_slow_signer_together_and_its_outage_is_503() {
    let world = World::new();
    let pkcs8 = world.material.private.pkcs8().unwrap();
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new()).unwrap();
    let kms = Kms {
        pair: Arc::new(pair),
        id: world.material.id.clone(),
        together: Arc::new(Barrier::new(AT_ONCE)),
        waiting: Arc::default(),
        is_away: Arc::default(),
    };
    // No key of the world signs.
    world.keys.gone.store(true, Ordering::SeqCst);
    let service = world.builder().signer(kms.clone()).build();
    let ask = form(CC).basic(C1);
    let ask_one = || check(&service, &ask, Expected::Ok);
    let mut asking = pin!(join_all((1..AT_ONCE).map(|_| ask_one())));
    // All but one wait for the signer; meanwhile this one thread answers what needs no signature.
    while kms.waiting.load(Ordering::SeqCst) < AT_ONCE - 1 {
        assert!(futures_util::poll!(asking.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    for _ in 0..10 {
        assert!(futures_util::poll!(asking.as_mut()).is_pending());
        let wrong = answer(&service, &form(CC).basic(("c1", "wrong"))).await;
        assert_eq!(wrong.status, 401, "{}", wrong.text());
    }
    // The last one, for which the others wait.
    let all = async { futures_util::join!(asking, ask_one()) };
    let (answers, _) = tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
    assert_eq!(answers.len(), AT_ONCE - 1);
    let checked = crate::bearer::catalog(
        tokenberg_actix::BearerConfig::of(&service),
        &crate::bearer::get().bearer(&answers[0].token()),
    )
    .await;
    assert_eq!(
        checked.status,
        403,
        "the token is good, and lacks the scope of the route: {}",
        checked.text()
    );

    kms.is_away.store(true, Ordering::SeqCst);
    let away = answer(&service, &ask).await;
    assert_eq!((away.status, away.header("Retry-After")), (503, Some("1")), "{}", away.text());
}

#[test]
fn a_keyring_of_public_keys_publishes_only_these() {
    let world = World::new();
    let jwks = tokenberg_core::Keys::jwks(&world.keys);
    let keyring = PublicKeyring::from_jwks(&jwks).unwrap();
    assert_eq!(tokenberg_core::Keys::jwks(&keyring), jwks);
    let private = jwks.replacen("\"x\"", "\"d\":\"AAAA\",\"x\"", 1);
    assert!(matches!(PublicKeyring::from_jwks(&private).err(), Some(PublicKeyringError::Unfit(_))));
    assert_eq!(PublicKeyring::from_jwks(r#"{"keys":[]}"#).err(), Some(PublicKeyringError::Empty));
}
