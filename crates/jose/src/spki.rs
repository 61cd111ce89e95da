//! Writes the public half of a signing key as PEM, for verifiers that do not read a JWK Set: RFC 5280 §4.1.2.7 and RFC 7468 §13.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The content of an AlgorithmIdentifier: id-ecPublicKey 1.2.840.10045.2.1 with prime256v1 1.2.840.10045.3.1.7 (RFC 5480 §2.1.1).
pub(crate) const P256: &[u8] =
    b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
/// The same with secp384r1 1.3.132.0.34.
pub(crate) const P384: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22";
/// id-Ed25519 1.3.101.112, without parameters (RFC 8410 §3).
pub(crate) const ED25519: &[u8] = b"\x06\x03\x2b\x65\x70";
/// rsaEncryption 1.2.840.113549.1.1.1 with NULL (RFC 8017 A.1). Keys for PS256 have it too: `alg` of a token names the padding.
pub(crate) const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// A public key as PEM, `-----BEGIN PUBLIC KEY-----`: the content of its AlgorithmIdentifier, and its bits.
pub(crate) fn pem(identifier: &[u8], public: &[u8]) -> String {
    in_lines(&STANDARD.encode(subject_public_key_info(identifier, public)))
}

/// RFC 8017 A.1.1: RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }, of numbers without leading zeros.
pub(crate) fn rsa_public_key(n: &[u8], e: &[u8]) -> Vec<u8> {
    // An INTEGER has a sign (X.690 §8.3.3).
    let integer = |number: &[u8]| match number.first() {
        Some(0..=0x7f) => value(INTEGER, number),
        Some(_) | None => value(INTEGER, &[&[0], number].concat()),
    };
    value(SEQUENCE, &[integer(n), integer(e)].concat())
}

// SubjectPublicKeyInfo ::= SEQUENCE { algorithm AlgorithmIdentifier, subjectPublicKey BIT STRING }
fn subject_public_key_info(identifier: &[u8], public: &[u8]) -> Vec<u8> {
    // The first byte of a BIT STRING is the number of unused bits (X.690 §8.6.2.2).
    let bits = [&[0], public].concat();
    value(SEQUENCE, &[value(SEQUENCE, identifier), value(BIT_STRING, &bits)].concat())
}

/// A DER value, with the shortest encoding of its length (X.690 §8.1.3, §10.1).
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let leading = length.iter().take_while(|byte| **byte == 0).count();
    let long = length.get(leading..).unwrap_or_default();
    let mut der = vec![tag];
    match long {
        [] => der.push(0),
        [short @ 0..=0x7f] => der.push(*short),
        // At most the eight bytes of a `usize`.
        _ => {
            der.push(0x80 | long.len() as u8);
            der.extend_from_slice(long);
        }
    }
    der.extend_from_slice(content);
    der
}

/// Lines of 64 characters between the boundaries (RFC 7468 §2).
fn in_lines(base64: &str) -> String {
    let mut text = String::from("-----BEGIN PUBLIC KEY-----\n");
    let mut rest = base64;
    while let Some((line, more)) = rest.split_at_checked(64) {
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    if !rest.is_empty() {
        text.push_str(rest);
        text.push('\n');
    }
    text.push_str("-----END PUBLIC KEY-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyFault, generate, import, public_key_pem};
    use tokenberg_core::Timestamp;
    use tokenberg_core::jws::Algorithm;

    #[test]
    fn ks_02_lengths_are_written_in_as_few_bytes_as_they_need() {
        for (length, head) in [
            (0, &[4, 0][..]),
            (0x7f, &[4, 0x7f]),
            (0x80, &[4, 0x81, 0x80]),
            (0xff, &[4, 0x81, 0xff]),
            (0x100, &[4, 0x82, 1, 0]),
            (0x1_0000, &[4, 0x83, 1, 0, 0]),
        ] {
            let der = value(4, &vec![9; length]);
            assert_eq!((&der[..head.len()], der.len()), (head, head.len() + length));
        }
    }

    #[test]
    fn ks_02_a_public_key_as_pem_holds_nothing_private_and_no_line_over_64() {
        let at = |seconds| Timestamp::from_seconds(seconds).unwrap();
        let rsa = include_bytes!("../tests/fixtures/rsa-2048-test-only.pem");
        let keys = [
            generate(Algorithm::ES256, at(0), at(0)).unwrap(),
            generate(Algorithm::ES384, at(0), at(0)).unwrap(),
            generate(Algorithm::EdDSA, at(0), at(0)).unwrap(),
            import(rsa, None, at(0), at(0)).unwrap(),
            import(rsa, Some(Algorithm::PS256), at(0), at(0)).unwrap(),
        ];
        for key in &keys {
            let pem = public_key_pem(key).unwrap();
            let lines: Vec<&str> = pem.lines().collect();
            assert!(lines.iter().all(|line| line.len() <= 64 && !line.is_empty()), "{pem}");
            assert_eq!((lines[0], lines[lines.len() - 1]), (BEGIN, END), "{pem}");
            let der = STANDARD.decode(lines[1..lines.len() - 1].concat()).unwrap();
            // It is complete, and shorter than a PEM with the private half.
            assert!(der.len() < key.private.pkcs8().unwrap().len(), "{}", key.algorithm);
            assert!(import(pem.as_bytes(), None, at(0), at(0)).is_err(), "it contains no private key");
        }
        let mut broken = keys[0].clone();
        broken.algorithm = Algorithm::ES384;
        assert!(matches!(public_key_pem(&broken), Err(KeyFault::Stored { .. })));
    }

    const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
    const END: &str = "-----END PUBLIC KEY-----";
}
