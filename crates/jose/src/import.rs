//! Imports a private key from PKCS#8, as PEM or DER: RFC 5208 and RFC 5958.

use crate::generate::material;
use crate::key_fault::{KeyFault, KeyFormat};
use crate::key_kind::KeyKind;
use crate::{pem, spki};
use tokenberg_core::Timestamp;
use tokenberg_core::jws::{Algorithm, KeyMaterial};
use zeroize::Zeroizing;

/// Reads a private key from a PKCS#8 file, PEM or DER: EC P-256 or P-384, Ed25519, or RSA of 2048 to 4096 bits.
///
/// An RSA key is for RS256 unless PS256 is requested; each other kind of key has one algorithm.
///
/// # Errors
/// If the file holds no such key; the error says how to convert it, and quotes nothing of its content.
pub fn import(
    pem_or_der: &[u8],
    algorithm: Option<Algorithm>,
    created_at: Timestamp,
    signs_from: Timestamp,
) -> Result<KeyMaterial, KeyFault> {
    let pkcs8 = match pem::private_key(pem_or_der)? {
        Some(der) => der,
        None => Zeroizing::new(pem_or_der.to_vec()),
    };
    let chosen = kind(&pkcs8)?.algorithm(algorithm)?;
    material(pkcs8, chosen, created_at, signs_from)
}

/// The kind of the key. Reads no further than the algorithm, to report what is wrong with a file; ring reads the key itself.
///
/// ```text
/// PrivateKeyInfo ::= SEQUENCE { version INTEGER, privateKeyAlgorithm SEQUENCE { algorithm OID, parameters }, ... }
/// ```
fn kind(der: &[u8]) -> Result<KeyKind, KeyFormat> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 2;
    const OCTET_STRING: u8 = 4;
    let (SEQUENCE, key, _) = value(der)? else { return Err(KeyFormat::Unknown) };
    let (INTEGER, _, rest) = value(key)? else {
        // EncryptedPrivateKeyInfo and certificates begin with a sequence.
        return Err(if key.first() == Some(&SEQUENCE) {
            encrypted_or_public(key)
        } else {
            KeyFormat::Unknown
        });
    };
    match value(rest)? {
        (SEQUENCE, identifier, _) => Ok(match identifier {
            spki::P256 => KeyKind::P256,
            spki::P384 => KeyKind::P384,
            spki::ED25519 => KeyKind::Ed25519,
            spki::RSA => KeyKind::Rsa,
            _ => return Err(KeyFormat::Kind),
        }),
        (INTEGER, _, _) => Err(KeyFormat::Pkcs1),
        (OCTET_STRING, _, _) => Err(KeyFormat::Sec1),
        _ => Err(KeyFormat::Unknown),
    }
}

/// EncryptedPrivateKeyInfo is an algorithm and an octet string, SubjectPublicKeyInfo an algorithm and a bit string.
fn encrypted_or_public(key: &[u8]) -> KeyFormat {
    match value(key).and_then(|(_, _, rest)| value(rest)) {
        Ok((4, _, _)) => KeyFormat::Encrypted,
        Ok(_) => KeyFormat::NotPrivate,
        Err(fault) => fault,
    }
}

/// The first value: its tag, its content, and the bytes after it (X.690 §8.1).
fn value(der: &[u8]) -> Result<(u8, &[u8], &[u8]), KeyFormat> {
    let read = || {
        let (&tag, rest) = der.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
                (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        Some((tag, content, rest))
    };
    read().ok_or(KeyFormat::Unknown)
}
