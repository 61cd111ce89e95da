//! Names a key by the SHA-256 thumbprint of its public members: RFC 7638 §3 and RFC 8037 §2.

use crate::verifying_key::Material;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tokenberg_core::jws::KeyId;

/// The thumbprint of a public key. Symmetric and unknown keys have none: the thumbprint of a symmetric key would reveal something
/// of it.
#[must_use]
pub fn thumbprint(jwk: &Jwk) -> Option<KeyId> {
    // RFC 7638 §3: "no whitespace or line breaks [...] and with the required members ordered lexicographically". They are written
    // in that order here too, so that it holds with the feature `preserve_order` of `serde_json` as well.
    let members = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(ec) => {
            json!({"crv": curve(&ec.curve)?, "kty": "EC", "x": ec.x, "y": ec.y})
        }
        AlgorithmParameters::RSA(rsa) => json!({"e": rsa.e, "kty": "RSA", "n": rsa.n}),
        AlgorithmParameters::OctetKeyPair(okp) => {
            json!({"crv": curve(&okp.curve)?, "kty": "OKP", "x": okp.x})
        }
        AlgorithmParameters::OctetKey(_) | AlgorithmParameters::Other(_) | _ => return None,
    };
    Some(of_members(&members))
}

/// The thumbprint of a key in its canonical form.
pub(crate) fn of(material: &Material) -> KeyId {
    of_members(&members(material))
}

/// The members of a JWK that make the thumbprint, which are all that a public key needs.
pub(crate) fn members(material: &Material) -> Value {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let on_curve = |crv: &str, point: &[u8]| {
        // SEC 1 §2.3.3: 4, then x and y of equal and fixed length.
        let coordinates = point.get(1..).unwrap_or_default();
        let (x, y) = coordinates.split_at(coordinates.len() / 2);
        json!({"crv": crv, "kty": "EC", "x": encode(x), "y": encode(y)})
    };
    match material {
        Material::P256(point) => on_curve("P-256", point),
        Material::P384(point) => on_curve("P-384", point),
        Material::Ed25519(x) => json!({"crv": "Ed25519", "kty": "OKP", "x": encode(x)}),
        Material::Rsa { n, e } => json!({"e": encode(e), "kty": "RSA", "n": encode(n)}),
    }
}

fn of_members(members: &Value) -> KeyId {
    KeyId::new(&URL_SAFE_NO_PAD.encode(digest(&SHA256, members.to_string().as_bytes())))
}

fn curve(curve: &EllipticCurve) -> Option<&'static str> {
    match curve {
        EllipticCurve::P256 => Some("P-256"),
        EllipticCurve::P384 => Some("P-384"),
        EllipticCurve::P521 => Some("P-521"),
        EllipticCurve::Ed25519 => Some("Ed25519"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwk::{PublicJwk, Spelling};

    #[test]
    fn ks_02_rfc_7638_3_1_and_rfc_8037_a_3() {
        for (jwk, expected) in [
            (
                json!({"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}),
                "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            ),
            (
                json!({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
                "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            ),
            // RFC 9449 §6.1, `jkt` of the key of its §4.1.
            (
                json!({"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}),
                "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
            ),
        ] {
            let read = PublicJwk::of(jwk.as_object().unwrap(), Spelling::Canonical).material().unwrap();
            assert_eq!(of(&read), KeyId::new(expected));
            let jwk: Jwk = serde_json::from_value(jwk).unwrap();
            assert_eq!(thumbprint(&jwk), Some(KeyId::new(expected)));
        }
        let symmetric: Jwk = serde_json::from_value(json!({"kty":"oct","k":"AAAA"})).unwrap();
        assert_eq!(thumbprint(&symmetric), None);
    }
}
