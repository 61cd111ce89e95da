//! A service whose signing keys are in a device: made, used and rotated there; conformance KS-10.
#![cfg(all(feature = "actix", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use actix_web::App;
use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokenberg_actix::TokenService;
use tokenberg_core::answers::SigningFault;
use tokenberg_core::backends::{BoxFuture, DeviceFault, KeyDevice};
use tokenberg_core::jws::{Algorithm, DeviceKey, KeyId, KeyMaterial, PrivateHalf};
use tokenberg_core::registration::AllowedScope;
use tokenberg_core::{CompactJws, Keys, Lifetime, Policy, Rights, Scope, Secret, Timestamp};
use tokenberg_service::{Options, Rotation, Tokens, now};
use tokenberg_store::{KekSource, StoreUrl};

const SECRET: &str = "a-secret-of-some-length";

/// A device in memory.
#[derive(Clone, Default)]
struct Device {
    keys: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    is_away: Arc<AtomicBool>,
}

impl Device {
    fn make(&self, at: Timestamp) -> KeyMaterial {
        let key = tokenberg_jose::generate(Algorithm::ES256, at, at).unwrap();
        let uri = format!("pkcs11:object={}", key.id.as_str());
        self.keys.lock().unwrap().insert(uri.clone(), key.private.pkcs8().unwrap().to_vec());
        let jwk = tokenberg_jose::public_key_jwk(&key).unwrap().into();
        KeyMaterial { private: PrivateHalf::Device(DeviceKey { uri: uri.into(), jwk }), ..key }
    }

    fn count(&self) -> usize {
        self.keys.lock().unwrap().len()
    }
}

impl KeyDevice for Device {
    fn sign<'a>(
        &'a self,
        key: &'a KeyId,
        uri: &'a str,
        _: Algorithm,
        input: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, SigningFault>> {
        Box::pin(async move {
            if self.is_away.load(Ordering::SeqCst) {
                return Err(SigningFault::Unavailable { key: key.clone(), reason: "it is away".to_owned() });
            }
            let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
            let pair = EcdsaKeyPair::from_pkcs8(kind, &self.keys.lock().unwrap()[uri], &random).unwrap();
            Ok(pair.sign(&random, input).unwrap().as_ref().to_vec())
        })
    }

    fn generate(
        &self,
        _: Algorithm,
        created_at: Timestamp,
        _: Timestamp,
    ) -> BoxFuture<'_, Result<KeyMaterial, DeviceFault>> {
        Box::pin(async move { Ok(self.make(created_at)) })
    }

    fn destroy<'a>(&'a self, uri: &'a str) -> BoxFuture<'a, Result<(), DeviceFault>> {
        Box::pin(async move {
            self.keys.lock().unwrap().remove(uri);
            Ok(())
        })
    }
}

struct Place(tempfile::TempDir);

impl Place {
    async fn open(&self, options: Options) -> Tokens {
        let path = self.0.path().join("tokens.db");
        let url: StoreUrl = format!("sqlite:{}", path.display()).parse().unwrap();
        let tokens = options.open(&url, KekSource::File(self.0.path().join("key"))).await.unwrap();
        let rights = Rights::new(AllowedScope::Only(Scope::catalog()));
        let secrets = [Secret::new(SECRET.to_owned())];
        tokens.ensure_client(&"spark".parse().unwrap(), &rights, &secrets).await.unwrap();
        tokens
    }
}

fn service(tokens: &Tokens) -> TokenService {
    tokens.service(Policy::new("https://catalog.example".parse().unwrap())).build()
}

/// The status, and the token.
async fn ask(service: &TokenService) -> (u16, String) {
    let app = init_service(App::new().configure(service.configure())).await;
    let form = [("grant_type", "client_credentials"), ("client_id", "spark"), ("client_secret", SECRET)];
    let request = TestRequest::post().uri("/v1/oauth/tokens").set_form(form).to_request();
    let response = call_service(&app, request).await;
    let status = response.status().as_u16();
    let body: Value = read_body_json(response).await;
    (status, body["access_token"].as_str().unwrap_or_default().to_owned())
}

#[actix_web::test]
async fn ks_10_the_first_key_is_made_in_the_device_and_a_service_without_it_is_not_ready() {
    let (place, device) = (Place(tempfile::tempdir().unwrap()), Device::default());
    let tokens = place.open(Options::default().device(device.clone())).await;
    assert!(tokens.ready().is_ok() && device.count() == 1);
    let with = service(&tokens);
    let (status, token) = ask(&with).await;
    assert_eq!(status, 200);
    let moment = tokens.following().watched().now();
    moment.signing_keys().verify(&CompactJws::parse(&token).unwrap(), now().unwrap()).unwrap();
    device.is_away.store(true, Ordering::SeqCst);
    assert_eq!(ask(&with).await.0, 503);
    tokens.end(&with).await;

    let tokens = place.open(Options::default()).await;
    let without = service(&tokens);
    let reason = tokens.ready().unwrap_err();
    assert!(reason.contains("pkcs11:object=") && reason.contains("Options::device"), "{reason}");
    assert_eq!(ask(&without).await.0, 503);
    // It makes no key of its own, and rotation is for a node with the device.
    assert_eq!(tokens.store().keys().await.unwrap().len(), 1);
    tokens.end(&without).await;
}

#[actix_web::test]
async fn ks_10_the_successor_of_a_key_in_the_device_is_made_there() {
    let (place, device) = (Place(tempfile::tempdir().unwrap()), Device::default());
    let long_ago = Timestamp::from_seconds(now().unwrap().as_seconds() - 90 * 86_400).unwrap();
    let tokens = place.open(Options::default().first_key(None)).await;
    tokens.store().add_key(&device.make(long_ago)).await.unwrap();
    tokens.close().await;

    let rotation = || Rotation::of(Some(Lifetime::from_hours(24)));
    let without = place.open(Options::default().rotation(rotation())).await;
    let with = place.open(Options::default().device(device.clone()).rotation(rotation())).await;
    let begun = Instant::now();
    let keys = loop {
        let keys = with.store().keys().await.unwrap();
        if keys.len() > 1 {
            break keys;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no successor");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(keys.len() == 2 && keys.iter().all(|key| key.private.device().is_some()), "{keys:?}");
    assert_eq!(device.count(), 2);
    without.close().await;
    with.close().await;
}
