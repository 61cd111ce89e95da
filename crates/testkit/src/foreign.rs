//! Keys of other issuers, of clients and of holders of bound tokens, that tests sign with.

use crate::NOW;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use tokenberg_core::issuer::AcceptedAs;
use tokenberg_core::token::Thumbprint;
use tokenberg_core::{KeySource, PeerCertificate, Timestamp, Trust, TrustedIssuer};

/// An ES256 key outside of the world.
pub struct ForeignKey {
    key: EcdsaKeyPair,
    kid: Option<&'static str>,
}

impl ForeignKey {
    /// A new key, with this `kid` in headers and sets, or without one.
    ///
    /// # Panics
    /// If no key can be made.
    #[must_use]
    pub fn new(kid: Option<&'static str>) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        Self { key, kid }
    }

    /// The public key.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let point = self.key.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "x": BASE64URL.encode(&point[1..33]), "y": BASE64URL.encode(&point[33..])})
    }

    /// The set of this one key.
    #[must_use]
    pub fn jwks(&self) -> Box<str> {
        let mut jwk = self.jwk();
        if let Some(kid) = self.kid {
            jwk["kid"] = kid.into();
        }
        json!({"keys": [jwk]}).to_string().into()
    }

    /// RFC 7638.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        let jwk = self.jwk();
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
        Thumbprint::of(sha256(canonical.as_bytes()))
    }

    /// A token with the usual header and these claims.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        let mut header = json!({"alg": "ES256", "typ": "JWT"});
        if let Some(kid) = self.kid {
            header["kid"] = kid.into();
        }
        self.sign_raw(&header.to_string(), &claims.to_string())
    }

    /// A token with this header and payload, byte for byte.
    ///
    /// # Panics
    /// If the key does not sign.
    #[must_use]
    pub fn sign_raw(&self, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(payload));
        let signature = self.key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", BASE64URL.encode(signature))
    }

    /// A DPoP proof for the token endpoint of the fixture, changed by these claims; null removes a claim.
    ///
    /// # Panics
    /// If `changes` is not an object.
    #[must_use]
    pub fn proof(&self, now: Timestamp, id: &str, changes: &Value) -> String {
        let claims = json!({"jti": id, "htm": "POST", "htu": "https://as.test/v1/oauth/tokens", "iat": now.as_seconds()});
        let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk()});
        self.sign_raw(&header.to_string(), &changed(claims, changes).to_string())
    }
}

/// The claims, with those of `changes` replaced; null removes a claim.
///
/// # Panics
/// If either is not an object.
#[must_use]
pub fn changed(mut claims: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// The trusted issuer `P` of the conformance fixture, or another one with all uses but the grant.
///
/// # Panics
/// If the name is not a valid issuer.
#[must_use]
pub fn trusted(issuer: &str, key: &ForeignKey) -> TrustedIssuer {
    let mut trust = Trust::new(KeySource::Jwks(key.jwks()));
    trust.accept = vec![AcceptedAs::IdToken, AcceptedAs::Jwt, AcceptedAs::AccessToken];
    trust.scope = "catalog ns:read".parse().unwrap();
    TrustedIssuer { issuer: tokenberg_core::Issuer::foreign(issuer).unwrap(), enabled: true, trust }
}

/// The claims of `UT`: an ID token of `P` for `alice`, to `c1`, valid for an hour from the beginning.
#[must_use]
pub fn alice(changes: &Value) -> Value {
    let claims =
        json!({"iss": "https://idp.test", "sub": "alice", "aud": "c1", "iat": NOW, "exp": NOW + 3600});
    changed(claims, changes)
}

/// An unsecured JWT (RFC 7519 §6) with these claims.
#[must_use]
pub fn unsecured(claims: &Value) -> String {
    format!("{}.{}.", BASE64URL.encode(r#"{"alg":"none"}"#), BASE64URL.encode(claims.to_string()))
}

/// The certificate of the client `cm`, of a trusted authority.
///
/// # Panics
/// Never.
#[must_use]
pub fn certificate(subject: &str, seed: u8) -> PeerCertificate {
    PeerCertificate {
        thumbprint: [seed; 32],
        fault: None,
        subject: subject.into(),
        common_names: 1,
        names: Vec::new(),
        not_after: Timestamp::from_seconds(NOW + 86_400 * 365).unwrap(),
    }
}

/// SHA-256.
///
/// # Panics
/// Never.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().unwrap()
}
