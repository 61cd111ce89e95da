//! Which key files can be imported, and the errors for the others: conformance KS-02 and KS-07.
#![allow(clippy::unwrap_used, reason = "the functions that the tests share are tests too")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::Write;
use std::process::{Command, Stdio};
use tokenberg_core::Timestamp;
use tokenberg_core::jws::{Algorithm, KeyMaterial};
use tokenberg_jose::{KeyFault, KeyFormat, Keyring, UnfitKey, generate};

const RSA: &[u8] = include_bytes!("fixtures/rsa-2048-test-only.pem");

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds).unwrap()
}

fn import(bytes: &[u8], algorithm: Option<Algorithm>) -> Result<KeyMaterial, KeyFault> {
    tokenberg_jose::import(bytes, algorithm, at(1), at(2))
}

fn fault(bytes: &[u8], algorithm: Option<Algorithm>) -> KeyFault {
    let fault = import(bytes, algorithm).err().unwrap();
    assert!(!fault.to_string().contains("AAAA"), "{fault}");
    fault
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

#[test]
fn ks_02_a_generated_key_can_be_imported() {
    for algorithm in [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
        let made = generate(algorithm, at(0), at(0)).unwrap();
        let der = made.private.pkcs8().unwrap();
        let text = pem("PRIVATE KEY", der);
        for form in [der, text.as_bytes(), text.replace('\n', "\r\n").as_bytes()] {
            for requested in [None, Some(algorithm)] {
                let key = import(form, requested).unwrap();
                assert_eq!((&key.id, key.algorithm), (&made.id, algorithm));
                assert_eq!((key.created_at, key.signs_from, key.verifies_until), (at(1), at(2), None));
            }
            let requested = Algorithm::RS256;
            assert!(matches!(fault(form, Some(requested)), KeyFault::Algorithm { .. }));
        }
    }
}

#[test]
fn ks_02_an_rsa_key_is_for_rs256_unless_requested_otherwise() {
    assert_eq!(import(RSA, None).unwrap().algorithm, Algorithm::RS256);
    let (rs256, ps256) =
        (import(RSA, Some(Algorithm::RS256)).unwrap(), import(RSA, Some(Algorithm::PS256)).unwrap());
    assert_eq!((rs256.algorithm, ps256.algorithm), (Algorithm::RS256, Algorithm::PS256));
    // The thumbprint does not depend on the algorithm, so one keyring cannot hold both.
    assert!(Keyring::read(&[rs256, ps256], at(0)).is_err());
    assert!(matches!(fault(RSA, Some(Algorithm::ES256)), KeyFault::Algorithm { .. }));
}

#[test]
fn ks_07_other_formats_are_refused_with_the_command_that_converts_them() {
    let der = b"\0\0\0";
    for (bytes, expected, says) in [
        (pem("ENCRYPTED PRIVATE KEY", der).into_bytes(), KeyFormat::Encrypted, "openssl pkey"),
        (pem("RSA PRIVATE KEY", der).into_bytes(), KeyFormat::Pkcs1, "openssl pkcs8 -topk8 -nocrypt"),
        (
            format!("{}{}", pem("EC PARAMETERS", der), pem("EC PRIVATE KEY", der)).into_bytes(),
            KeyFormat::Sec1,
            "openssl pkcs8 -topk8 -nocrypt",
        ),
        (pem("OPENSSH PRIVATE KEY", der).into_bytes(), KeyFormat::OpenSsh, "ssh-keygen"),
        (pem("PUBLIC KEY", der).into_bytes(), KeyFormat::NotPrivate, "no private key"),
        (pem("CERTIFICATE", der).into_bytes(), KeyFormat::NotPrivate, "no private key"),
        ([RSA, RSA].concat(), KeyFormat::Several, "more than one"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n".to_vec(), KeyFormat::Unknown, "PKCS#8"),
        (b"-----BEGIN PRIVATE KEY".to_vec(), KeyFormat::Unknown, "PKCS#8"),
        (pem("PRIVATE KEY", b"").into_bytes(), KeyFormat::Unknown, "PKCS#8"),
        (pem("PRIVATE KEY", der).replace("AAAA", "A!AA").into_bytes(), KeyFormat::Unknown, "PKCS#8"),
        (Vec::new(), KeyFormat::Unknown, "PKCS#8"),
        (b"0".to_vec(), KeyFormat::Unknown, "PKCS#8"),
        // DER: SEQUENCE of version and modulus, of version and octets, of algorithm and octets, of algorithm and bits.
        (b"\x30\x06\x02\x01\x00\x02\x01\x05".to_vec(), KeyFormat::Pkcs1, "openssl"),
        (b"\x30\x06\x02\x01\x01\x04\x01\x05".to_vec(), KeyFormat::Sec1, "openssl"),
        (b"\x30\x06\x30\x01\x00\x04\x01\x05".to_vec(), KeyFormat::Encrypted, "openssl"),
        (b"\x30\x06\x30\x01\x00\x03\x01\x05".to_vec(), KeyFormat::NotPrivate, "no private key"),
        (b"\x30\x06\x02\x01\x00\x30\x01\x05".to_vec(), KeyFormat::Kind, "Ed25519"),
        (b"\x30\x85\xff\xff\xff\xff\xff".to_vec(), KeyFormat::Unknown, "PKCS#8"),
        (b"\x30\x84\xff\xff\xff\xff".to_vec(), KeyFormat::Unknown, "PKCS#8"),
    ] {
        let fault = fault(&bytes, None);
        assert_eq!(fault, KeyFault::Format(expected), "{}", String::from_utf8_lossy(&bytes));
        assert!(fault.to_string().contains(says), "{fault}");
    }
}

#[test]
fn ks_07_a_damaged_key_is_rejected_without_its_content() {
    let good = generate(Algorithm::ES256, at(0), at(0)).unwrap();
    let der = good.private.pkcs8().unwrap();
    for bit in (0..der.len() * 8).step_by(7) {
        let mut bad = der.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        // It is refused, or read as a complete other key; never the same name for other bytes.
        if let Ok(key) = import(&bad, None) {
            assert_ne!(key.id, good.id, "bit {bit}");
        }
    }
}

/// Keys as operators make them, where `openssl` is installed.
#[test]
fn ks_07_keys_of_openssl_are_imported() {
    let Some(rsa_1024) = openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"], b"")
    else {
        println!("skipped: openssl is not installed");
        return;
    };
    assert_eq!(fault(&rsa_1024, None), KeyFault::Unfit(UnfitKey::RsaSize));
    let curve = |name| ["genpkey", "-algorithm", "EC", "-pkeyopt", name].to_vec();
    for (arguments, algorithm) in [
        (curve("ec_paramgen_curve:P-256"), Some(Algorithm::ES256)),
        (curve("ec_paramgen_curve:P-384"), Some(Algorithm::ES384)),
        (curve("ec_paramgen_curve:P-521"), None),
        (vec!["genpkey", "-algorithm", "ED25519"], Some(Algorithm::EdDSA)),
        (vec!["genpkey", "-algorithm", "ED448"], None),
        (vec!["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"], Some(Algorithm::RS256)),
        (vec!["genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"], None),
    ] {
        let key = openssl(&arguments, b"").unwrap();
        let der = openssl(&["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"], &key).unwrap();
        for form in [&key, &der] {
            match algorithm {
                Some(algorithm) => {
                    assert_eq!(import(form, None).unwrap().algorithm, algorithm, "{arguments:?}")
                }
                None => assert_eq!(fault(form, None), KeyFault::Format(KeyFormat::Kind), "{arguments:?}"),
            }
        }
        let encrypt = ["pkcs8", "-topk8", "-passout", "pass:hush", "-outform", "DER"];
        assert_eq!(fault(&openssl(&encrypt, &key).unwrap(), None), KeyFault::Format(KeyFormat::Encrypted));
    }
    for (arguments, form) in
        [(["rsa", "-traditional"], KeyFormat::Pkcs1), (["rsa", "-pubout"], KeyFormat::NotPrivate)]
    {
        assert_eq!(fault(&openssl(&arguments, RSA).unwrap(), None), KeyFault::Format(form));
        let der = openssl(&[&arguments[..], &["-outform", "DER"]].concat(), RSA).unwrap();
        assert_eq!(fault(&der, None), KeyFault::Format(form));
    }
    // The command that the fault names works.
    let sec1 = openssl(&["ecparam", "-genkey", "-name", "prime256v1"], b"").unwrap();
    assert_eq!(fault(&sec1, None), KeyFault::Format(KeyFormat::Sec1));
    let converted = openssl(&["pkcs8", "-topk8", "-nocrypt"], &sec1).unwrap();
    assert_eq!(import(&converted, None).unwrap().algorithm, Algorithm::ES256);
}

fn openssl(arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    child.stdin.take()?.write_all(input).ok();
    let output = child.wait_with_output().ok()?;
    assert!(output.status.success(), "{arguments:?}");
    Some(output.stdout)
}
