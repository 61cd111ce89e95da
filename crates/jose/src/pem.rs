//! Extracts the one private key of a PEM file: RFC 7468 §2, §10 and §11.

use crate::key_fault::KeyFormat;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// The DER of the one private key in a PEM text; nothing if the text is not PEM.
///
/// RFC 7468 §2: "Data before the encapsulation boundaries are permitted, and parsers MUST NOT malfunction when processing such
/// data." This also covers the parameters that `openssl ecparam` writes first.
pub(crate) fn private_key(bytes: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, KeyFormat> {
    const BEGIN: &str = "-----BEGIN ";
    let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| text.contains(BEGIN)) else {
        return Ok(None);
    };
    let mut found = None;
    for block in text.split(BEGIN).skip(1) {
        let (label, rest) = block.split_once("-----").ok_or(KeyFormat::Unknown)?;
        match label {
            "PRIVATE KEY" if found.is_some() => return Err(KeyFormat::Several),
            "PRIVATE KEY" => found = Some(decoded(rest)?),
            "ENCRYPTED PRIVATE KEY" => return Err(KeyFormat::Encrypted),
            "RSA PRIVATE KEY" => return Err(KeyFormat::Pkcs1),
            "EC PRIVATE KEY" => return Err(KeyFormat::Sec1),
            "OPENSSH PRIVATE KEY" => return Err(KeyFormat::OpenSsh),
            // A certificate, a public key or parameters.
            _ => {}
        }
    }
    found.map(Some).ok_or(KeyFormat::NotPrivate)
}

fn decoded(block: &str) -> Result<Zeroizing<Vec<u8>>, KeyFormat> {
    let (body, _) = block.split_once("-----END PRIVATE KEY-----").ok_or(KeyFormat::Unknown)?;
    let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
    base64.extend(body.chars().filter(|c| !c.is_ascii_whitespace()));
    STANDARD.decode(base64.as_bytes()).map(Zeroizing::new).map_err(|_| KeyFormat::Unknown)
}
