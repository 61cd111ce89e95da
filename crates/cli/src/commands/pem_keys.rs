//! Converts public keys and certificates in PEM to a JWK Set: RFC 7468 §5 and §13, RFC 7517 §4.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use x509_cert::Certificate;
use x509_cert::der::asn1::UintRef;
use x509_cert::der::{Decode, Reader, SliceReader};
use x509_cert::spki::{ObjectIdentifier, SubjectPublicKeyInfoOwned};

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

const BEGIN: &str = "-----BEGIN ";

/// The keys as a JWK Set; `None` if the text is not PEM. Keys have no `kid`, so they are named by their thumbprints.
///
/// # Errors
/// If the text has a private key or no public one, or a key is of another type or damaged.
pub(super) fn as_jwks(text: &str) -> anyhow::Result<Option<String>> {
    if !text.contains(BEGIN) {
        return Ok(None);
    }
    let mut keys = Vec::new();
    for block in text.split(BEGIN).skip(1) {
        let (label, rest) = block.split_once("-----").context("a PEM label does not end")?;
        anyhow::ensure!(
            !label.contains("PRIVATE KEY"),
            "it contains a private key: give public keys only (`openssl pkey -in FILE -pubout`), and replace the key if others may \
             have read the file"
        );
        let info = match label {
            "PUBLIC KEY" => SubjectPublicKeyInfoOwned::from_der(&der(rest, label)?)?,
            "CERTIFICATE" => {
                let certificate = Certificate::from_der(&der(rest, label)?)?;
                certificate.tbs_certificate().subject_public_key_info().clone()
            }
            "RSA PUBLIC KEY" => anyhow::bail!(
                "it contains a key in PKCS#1 form; convert it with `openssl rsa -RSAPublicKey_in -in FILE -pubout`"
            ),
            // Parameters of a curve, and the like.
            _ => continue,
        };
        keys.push(jwk(&info)?);
    }
    anyhow::ensure!(!keys.is_empty(), "it contains no public key");
    Ok(Some(json!({"keys": keys}).to_string()))
}

fn der(block: &str, label: &str) -> anyhow::Result<Vec<u8>> {
    let (body, _) =
        block.split_once(&format!("-----END {label}-----")).context("a PEM block does not end")?;
    let base64: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(base64).context("a PEM block is not base64")
}

fn jwk(info: &SubjectPublicKeyInfoOwned) -> anyhow::Result<Value> {
    let bits = info.subject_public_key.raw_bytes();
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let algorithm = &info.algorithm;
    if algorithm.oid == ED25519 {
        return Ok(json!({"kty": "OKP", "crv": "Ed25519", "x": text(bits)}));
    }
    if algorithm.oid == RSA {
        // RFC 8017 A.1.1: RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }
        let mut reader = SliceReader::new(bits)?;
        let (n, e) = reader.sequence(|key| {
            let n = UintRef::decode(key)?;
            Ok::<_, x509_cert::der::Error>((n, UintRef::decode(key)?))
        })?;
        return Ok(json!({"kty": "RSA", "n": text(n.as_bytes()), "e": text(e.as_bytes())}));
    }
    let curve = algorithm.parameters.as_ref().and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok());
    let name = match curve {
        Some(P256) if algorithm.oid == EC => "P-256",
        Some(P384) if algorithm.oid == EC => "P-384",
        Some(_) | None => {
            anyhow::bail!("it contains a key of another type than P-256, P-384, Ed25519 and RSA")
        }
    };
    // SEC 1 §2.3.3: 4, then x and y of equal length.
    let [4, coordinates @ ..] = bits else { anyhow::bail!("a point of a key is compressed") };
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    Ok(json!({"kty": "EC", "crv": name, "x": text(x), "y": text(y)}))
}
