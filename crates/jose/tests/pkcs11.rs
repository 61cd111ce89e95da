//! Keys in a token of PKCS#11, with SoftHSM: conformance KS-10.
//!
//! SoftHSM reads where its tokens are from a variable of the process, so each test runs again in a process of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cryptoki::context::Pkcs11 as Module;
use cryptoki::object::{Attribute, AttributeType, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokenberg_core::answers::SigningFault;
use tokenberg_core::jws::{Algorithm, KeyMaterial};
use tokenberg_core::{AccessTokenClaims, CompactJws, KeyDevice, Keys, Secret, Timestamp};
use tokenberg_jose::{KeyFault, Keyring, Pkcs11, Pkcs11Error, Pkcs11Options, generate, public_key_pem};
use tokenberg_testkit::SoftHsm;

const DIRECTORY: &str = "TOKENBERG_TEST_DIRECTORY";

/// The token, in a process that may use it. Elsewhere `None`, after the test of this name ran in such a process.
fn token(test: &str) -> Option<(SoftHsm, PathBuf)> {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        let directory = PathBuf::from(directory);
        return Some((SoftHsm::at(&directory)?, directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let hsm = SoftHsm::at(directory.path())?;
    let again = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(DIRECTORY, directory.path())
        .env(SoftHsm::VARIABLE, &hsm.configuration)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(
        again.status.success() && said.contains("1 passed"),
        "{said} {}",
        String::from_utf8_lossy(&again.stderr)
    );
    None
}

fn options(hsm: &SoftHsm) -> Pkcs11Options {
    let (module, token) = (hsm.module.clone(), SoftHsm::TOKEN.into());
    Pkcs11Options { module, token, pin: Secret::new(SoftHsm::PIN.to_owned()), sessions: 16, waiting: 1000 }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds).unwrap()
}

fn waited<T>(pending: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(pending)
}

fn claims() -> AccessTokenClaims {
    let payload = serde_json::json!({"iss":"https://as.test","aud":"https://cat.test","sub":"c1","client_id":"c1",
        "iat":1,"exp":2,"jti":"x","scope":"catalog","tokenberg_session":{"id":"x","start":1,"end":9}});
    AccessTokenClaims::read(payload.as_object().unwrap()).unwrap()
}

/// A JWS with the header of a token that the key signs.
async fn signed(device: &Pkcs11, key: &KeyMaterial) -> Result<String, SigningFault> {
    let header = format!(r#"{{"typ":"at+jwt","alg":"{}","kid":"{}"}}"#, key.algorithm, key.id.as_str());
    let encode = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let input = format!("{}.{}", encode(header.as_bytes()), encode(&serde_json::to_vec(&claims()).unwrap()));
    let uri = &key.private.device().unwrap().uri;
    let signature = KeyDevice::sign(device, &key.id, uri, key.algorithm, input.as_bytes()).await?;
    Ok(format!("{input}.{}", encode(&signature)))
}

/// Another session of this process, which is logged in with all others.
fn session(hsm: &SoftHsm) -> Session {
    let module = Module::new(&hsm.module).unwrap();
    let slot = module.get_slots_with_initialized_token().unwrap()[0];
    module.open_rw_session(slot).unwrap()
}

fn pin(text: &str) -> AuthPin {
    AuthPin::new(text.into())
}

fn pem_file(directory: &Path, name: &str, key: &KeyMaterial) -> PathBuf {
    let path = directory.join(name);
    let base64 = STANDARD.encode(key.private.pkcs8().unwrap());
    std::fs::write(&path, format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n"))
        .unwrap();
    path
}

#[test]
fn ks_10_tokens_are_signed_in_the_device_with_every_algorithm_and_the_key_cannot_be_read() {
    let Some((hsm, _)) =
        token("ks_10_tokens_are_signed_in_the_device_with_every_algorithm_and_the_key_cannot_be_read")
    else {
        return;
    };
    let device = Pkcs11::open(options(&hsm)).unwrap();
    for algorithm in Algorithm::SIGNING {
        let key = match waited(device.generate(algorithm, at(0), at(0))) {
            Ok(key) => key,
            // Debian's SoftHSM is built without it.
            Err(Pkcs11Error::Call { reason, .. }) if reason.contains("MechanismInvalid") => {
                eprintln!("skipped: this SoftHSM has no {algorithm}");
                continue;
            }
            Err(error) => panic!("{algorithm}: {error}"),
        };
        let keyring = Keyring::read(std::slice::from_ref(&key), at(0)).unwrap();
        assert_eq!(keyring.signing_device_key(at(0)), Some((&key.id, algorithm)));
        assert!(public_key_pem(&key).unwrap().starts_with("-----BEGIN PUBLIC KEY-----"));
        // For each signature of ECDSA the numbers have another length.
        for _ in 0..8 {
            let token = waited(signed(&device, &key)).unwrap();
            let verified = keyring.verify(&CompactJws::parse(&token).unwrap(), at(0)).unwrap();
            assert_eq!((verified.key(), keyring.jwks().contains("\"d\"")), (&key.id, false));
        }
        // Without the device, nothing signs, and the message names where the key is.
        let fault = keyring.sign(&claims(), at(0)).err().unwrap();
        assert!(
            matches!(&fault, SigningFault::Unavailable { reason, .. } if reason.contains("pkcs11:token=test%20token;"))
        );

        let uri = key.private.device().unwrap().uri.clone();
        assert_eq!(waited(device.is_extractable(&uri)), Ok(Some(false)));
        let session = session(&hsm);
        let private = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap();
        let secret = [AttributeType::Value, AttributeType::PrivateExponent];
        assert!(
            private.iter().all(|key| session.get_attributes(*key, &secret).is_ok_and(|read| read.is_empty()))
        );
        waited(device.destroy(&uri)).unwrap();
        assert!(session.find_objects(&[]).unwrap().is_empty(), "both halves are gone");
        assert!(matches!(waited(signed(&device, &key)), Err(SigningFault::Unavailable { .. })));
    }
}

#[test]
fn ks_10_a_lost_session_is_replaced_and_many_signatures_are_made_at_a_time() {
    let Some((hsm, _)) = token("ks_10_a_lost_session_is_replaced_and_many_signatures_are_made_at_a_time")
    else {
        return;
    };
    let device = Pkcs11::open(options(&hsm)).unwrap();
    let key = waited(device.generate(Algorithm::ES256, at(0), at(0))).unwrap();
    let keyring = Keyring::read(std::slice::from_ref(&key), at(0)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for round in 0..4 {
        let signing: Vec<_> = (0..200)
            .map(|_| {
                let (device, key) = (device.clone(), key.clone());
                runtime.spawn(async move { signed(&device, &key).await })
            })
            .collect();
        for token in signing {
            let token =
                runtime.block_on(token).unwrap().unwrap_or_else(|fault| panic!("round {round}: {fault}"));
            keyring.verify(&CompactJws::parse(&token).unwrap(), at(0)).unwrap();
        }
        // That of all sessions of this process, as a device does that restarts: their keys are gone as well.
        session(&hsm).logout().unwrap();
    }
}

#[test]
fn ks_10_faults_are_named_and_a_wrong_pin_is_presented_once() {
    let Some((hsm, _)) = token("ks_10_faults_are_named_and_a_wrong_pin_is_presented_once") else { return };
    let fault = |options| Pkcs11::open(options).err().unwrap();
    let missing = fault(Pkcs11Options { module: "/nowhere/hsm.so".into(), ..options(&hsm) });
    assert!(
        matches!(&missing, Pkcs11Error::Module { path, .. } if path == Path::new("/nowhere/hsm.so")),
        "{missing}"
    );
    let other = fault(Pkcs11Options { token: "prod".into(), ..options(&hsm) });
    assert!(matches!(&other, Pkcs11Error::NoToken { present, .. } if present == "\"test token\""), "{other}");
    let wrong = fault(Pkcs11Options { pin: Secret::new("0000-wrong".to_owned()), ..options(&hsm) });
    assert!(matches!(&wrong, Pkcs11Error::Pin { reason, .. } if reason == "PinIncorrect"), "{wrong}");
    for text in [missing.to_string(), other.to_string(), wrong.to_string(), format!("{:?}", options(&hsm))] {
        assert!(!text.contains(SoftHsm::PIN) && !text.contains("0000-wrong"), "{text}");
    }

    // The PIN is changed while the server runs: its next login is refused, and the token is left alone after that.
    let device = Pkcs11::open(options(&hsm)).unwrap();
    let key = waited(device.generate(Algorithm::ES256, at(0), at(0))).unwrap();
    let administrator = session(&hsm);
    administrator.set_pin(&pin(SoftHsm::PIN), &pin("another-pin")).unwrap();
    administrator.logout().unwrap();
    for _ in 0..3 {
        let fault = waited(signed(&device, &key)).err().unwrap();
        assert!(
            matches!(&fault, SigningFault::Unavailable { reason, .. } if reason.contains("refuses the PIN")),
            "{fault}"
        );
    }
    administrator.login(UserType::User, Some(&pin("another-pin"))).unwrap();
    administrator.set_pin(&pin("another-pin"), &pin(SoftHsm::PIN)).unwrap();
    // It would be accepted again, and is not presented.
    assert!(waited(signed(&device, &key)).is_err());
}

#[test]
fn ks_10_a_key_that_is_in_the_device_is_imported_by_name() {
    let Some((hsm, directory)) = token("ks_10_a_key_that_is_in_the_device_is_imported_by_name") else {
        return;
    };
    let device = Pkcs11::open(options(&hsm)).unwrap();
    let import = |uri: &str, algorithm| waited(device.import(uri, algorithm, at(1), at(2)));
    let rsa = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rsa-2048-test-only.pem");
    hsm.import(&rsa, "rsa key", "01", &[]);
    for (requested, algorithm) in [(None, Algorithm::RS256), (Some(Algorithm::PS256), Algorithm::PS256)] {
        let key = import("pkcs11:object=rsa%20key", requested).unwrap();
        assert_eq!((key.algorithm, key.created_at, key.signs_from), (algorithm, at(1), at(2)));
        let file = tokenberg_jose::import(&std::fs::read(&rsa).unwrap(), requested, at(1), at(2)).unwrap();
        assert_eq!((key.id.clone(), public_key_pem(&key)), (file.id.clone(), public_key_pem(&file)));
        assert_eq!(&*key.private.device().unwrap().uri, "pkcs11:token=test%20token;object=rsa%20key;id=%01");
        let keyring = Keyring::read(std::slice::from_ref(&key), at(2)).unwrap();
        keyring.verify(&CompactJws::parse(&waited(signed(&device, &key)).unwrap()).unwrap(), at(2)).unwrap();
    }
    let unfit = import("pkcs11:id=%01", Some(Algorithm::ES256)).err().unwrap();
    assert!(matches!(unfit, Pkcs11Error::Unfit { fault: KeyFault::Algorithm { .. }, .. }), "{unfit}");
    assert!(matches!(import("pkcs11:object=other", None), Err(Pkcs11Error::NoKey(_))));
    assert!(matches!(import("pkcs11:token=other;id=%01", None), Err(Pkcs11Error::Uri(_))));

    let ec = |name: &str| pem_file(&directory, name, &generate(Algorithm::ES256, at(0), at(0)).unwrap());
    hsm.import(&ec("1.pem"), "twice", "02", &[]);
    hsm.import(&ec("2.pem"), "twice", "03", &[]);
    assert!(matches!(import("pkcs11:object=twice", None), Err(Pkcs11Error::SeveralKeys { count: 2, .. })));
    assert!(import("pkcs11:object=twice;id=%03", None).is_ok());
    hsm.import(&ec("3.pem"), "alone", "04", &["--no-public-key"]);
    // SoftHSM has the public half of a private key only where it was imported.
    assert!(matches!(import("pkcs11:object=alone", None), Err(Pkcs11Error::NoPublicKey(_))));
    // The public half under the id of this key is that of another one.
    let public = generate(Algorithm::ES256, at(0), at(0)).unwrap();
    hsm.import(&pem_file(&directory, "4.pem", &public), "stranger", "05", &[]);
    let session = session(&hsm);
    let stranger = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Label(b"stranger".to_vec())];
    let stranger = session.find_objects(&stranger).unwrap()[0];
    session.copy_object(stranger, &[Attribute::Id(vec![4])]).unwrap();
    assert!(matches!(import("pkcs11:object=alone", None), Err(Pkcs11Error::Mismatch(_))));
}
