//! Signs access tokens with one private key and its one algorithm: RFC 7515 §5.1 and RFC 9068 §2.1.

use crate::ecdsa::{Curve, Ecdsa};
use crate::ed25519::Ed25519;
use crate::jwk;
use crate::key_fault::KeyFault;
use crate::rsa::{Padding, Rsa};
use crate::spki;
use crate::thumbprint;
use crate::unfit_key::UnfitKey;
use crate::verifying_key::{Material, VerifyingKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, EllipticCurveKeyParameters, Jwk, KeyAlgorithm,
    OctetKeyPairParameters, PublicKeyUse, RSAKeyParameters,
};
use ring::error::Unspecified;
use ring::rand::SystemRandom;
use serde_json::Value;
use std::sync::Arc;
use tokenberg_core::Secret;
use tokenberg_core::answers::SigningFault;
use tokenberg_core::jws::{Algorithm, DeviceKey, KeyId, KeyMaterial, PrivateHalf};
use tokenberg_core::token::ACCESS_TOKEN_TYPE;

/// A parsed private key, or one that a device holds, and all that is the same for all its tokens.
pub(crate) struct SigningKey {
    pair: Pair,
    algorithm: Algorithm,
    /// The encoded header and the dot after it.
    header: Box<str>,
    signature_length: usize,
    public: Arc<VerifyingKey>,
    jwk: Box<str>,
}

enum Pair {
    Ecdsa(Ecdsa),
    Ed25519(Ed25519),
    Rsa(Box<Rsa>),
    /// The name of the key in the device.
    Device(Box<str>),
}

impl SigningKey {
    /// Reads a key of the store.
    pub(crate) fn of(key: &KeyMaterial) -> Result<Self, KeyFault> {
        match &key.private {
            PrivateHalf::Pkcs8(der) => Self::read(der, key.algorithm),
            PrivateHalf::Device(device) => Self::in_device(device, key.algorithm),
        }
    }

    /// Reads a private key from PKCS#8 DER, for this one algorithm.
    pub(crate) fn read(pkcs8: &[u8], algorithm: Algorithm) -> Result<Self, KeyFault> {
        algorithm_name(algorithm).ok_or(KeyFault::VerifyOnly(algorithm))?;
        let (pair, public) = pair(pkcs8, algorithm).map_err(|reason| match reason.as_str() {
            "TooSmall" | "TooLarge" => KeyFault::Unfit(UnfitKey::RsaSize),
            _ => KeyFault::Rejected { algorithm, reason: reason.into() },
        })?;
        Self::assemble(pair, &public, algorithm)
    }

    /// Reads the public half of a key that a device holds.
    fn in_device(device: &DeviceKey, algorithm: Algorithm) -> Result<Self, KeyFault> {
        let json: Value = serde_json::from_str(&device.jwk).map_err(|_| UnfitKey::Malformed)?;
        let public = jwk::canonical(&json, algorithm)?;
        Self::assemble(Pair::Device(device.uri.clone()), public.material(), algorithm)
    }

    fn assemble(pair: Pair, material: &Material, algorithm: Algorithm) -> Result<Self, KeyFault> {
        let name = algorithm_name(algorithm).ok_or(KeyFault::VerifyOnly(algorithm))?;
        let id = thumbprint::of(material);
        let jwk = public_jwk(material, name, &id);
        let public = jwk::canonical(&serde_json::to_value(&jwk).map_err(unwritable)?, algorithm)?;
        let mut header = jsonwebtoken::Header::new(name);
        header.typ = Some(ACCESS_TOKEN_TYPE.to_owned());
        header.kid = Some(id.as_str().to_owned());
        let header = serde_json::to_string(&header).map_err(unwritable)?;
        Ok(Self {
            signature_length: match material {
                Material::P256(_) | Material::Ed25519(_) => 64,
                Material::P384(_) => 96,
                Material::Rsa { n, .. } => n.len(),
            },
            pair,
            algorithm,
            header: format!("{}.", URL_SAFE_NO_PAD.encode(header)).into(),
            public: Arc::new(public),
            jwk: serde_json::to_string(&jwk).map_err(unwritable)?.into(),
        })
    }

    /// The thumbprint of the public key.
    pub(crate) fn id(&self) -> &KeyId {
        self.public.id()
    }

    /// Its algorithm.
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its public half.
    pub(crate) fn public(&self) -> &Arc<VerifyingKey> {
        &self.public
    }

    /// Its public members as a JWK, JSON.
    pub(crate) fn jwk(&self) -> &str {
        &self.jwk
    }

    /// Its public half as PEM.
    fn public_pem(&self) -> String {
        match self.public.material() {
            Material::P256(point) => spki::pem(spki::P256, point),
            Material::P384(point) => spki::pem(spki::P384, point),
            Material::Ed25519(key) => spki::pem(spki::ED25519, key),
            Material::Rsa { n, e } => spki::pem(spki::RSA, &spki::rsa_public_key(n, e)),
        }
    }

    /// The name of the key in the device that holds its private half, if one does.
    pub(crate) fn device(&self) -> Option<&str> {
        match &self.pair {
            Pair::Device(uri) => Some(uri),
            Pair::Ecdsa(_) | Pair::Ed25519(_) | Pair::Rsa(_) => None,
        }
    }

    /// Whether a signature takes about 1 ms.
    pub(crate) fn is_costly(&self) -> bool {
        match self.pair {
            Pair::Rsa(_) => true,
            Pair::Ecdsa(_) | Pair::Ed25519(_) | Pair::Device(_) => false,
        }
    }

    /// The access token with this payload, in compact form.
    pub(crate) fn sign(&self, payload: &[u8], random: &SystemRandom) -> Result<Secret, SigningFault> {
        if let Some(uri) = self.device() {
            let reason =
                format!("its private half is in {uri}, and this process has no access to that device");
            return Err(SigningFault::Unavailable { key: self.id().clone(), reason });
        }
        // Room for all of it from the start: growing would leave a copy of the token in freed memory.
        let encoded = |length: usize| length.div_ceil(3) * 4;
        let capacity = self.header.len() + encoded(payload.len()) + 1 + encoded(self.signature_length);
        let mut token = String::with_capacity(capacity);
        token.push_str(&self.header);
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self
            .signature(token.as_bytes(), random)
            .map_err(|Unspecified| SigningFault::Key { key: self.id().clone() })?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(Secret::new(token))
    }

    /// The signature of a message, in the form of JWS: r and s side by side for ECDSA (RFC 7518 §3.4).
    pub(crate) fn signature(&self, message: &[u8], random: &SystemRandom) -> Result<Vec<u8>, Unspecified> {
        match &self.pair {
            Pair::Ecdsa(pair) => pair.sign(message, random),
            Pair::Ed25519(pair) => pair.sign(message),
            Pair::Rsa(pair) => pair.sign(message, random),
            Pair::Device(_) => Err(Unspecified),
        }
    }
}

/// The public key of a signing key as PEM, `-----BEGIN PUBLIC KEY-----`.
///
/// # Errors
/// If the private key does not parse as one of its algorithm.
pub fn public_key_pem(key: &KeyMaterial) -> Result<String, KeyFault> {
    read(key).map(|key| key.public_pem())
}

/// The public key of a signing key as a JWK, JSON, with its thumbprint as `kid`.
///
/// # Errors
/// As [`public_key_pem`].
pub fn public_key_jwk(key: &KeyMaterial) -> Result<String, KeyFault> {
    read(key).map(|key| key.jwk.into())
}

fn read(key: &KeyMaterial) -> Result<SigningKey, KeyFault> {
    let stored = |fault| KeyFault::Stored { key: key.id.clone(), fault: Box::new(fault) };
    SigningKey::of(key).map_err(stored)
}

/// The key pair and its public half, or what the library says is wrong with it. The public half is made only from what ring says is
/// public, so that it cannot contain anything private.
fn pair(pkcs8: &[u8], algorithm: Algorithm) -> Result<(Pair, Material), String> {
    let ecdsa = |curve| {
        let pair = Ecdsa::read(pkcs8, curve)?;
        let point = pair.public_key().to_vec();
        let material = match curve {
            Curve::P256 => Material::P256(point),
            Curve::P384 => Material::P384(point),
        };
        Ok((Pair::Ecdsa(pair), material))
    };
    let rsa = |padding| {
        let pair = Rsa::read(pkcs8, padding)?;
        let (n, e) = pair.public();
        Ok((Pair::Rsa(Box::new(pair)), Material::Rsa { n, e }))
    };
    match algorithm {
        Algorithm::ES256 => ecdsa(Curve::P256),
        Algorithm::ES384 => ecdsa(Curve::P384),
        Algorithm::EdDSA => {
            let pair = Ed25519::read(pkcs8)?;
            let public = pair.public_key().to_vec();
            Ok((Pair::Ed25519(pair), Material::Ed25519(public)))
        }
        Algorithm::RS256 => rsa(Padding::Pkcs1),
        Algorithm::PS256 => rsa(Padding::Pss),
        Algorithm::RS384 | Algorithm::RS512 | Algorithm::PS384 | Algorithm::PS512 => {
            Err("VerifyOnly".to_owned())
        }
    }
}

/// The public half as it is published.
fn public_jwk(material: &Material, algorithm: jsonwebtoken::Algorithm, id: &KeyId) -> Jwk {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let on_curve = |curve, point: &[u8]| {
        // SEC 1 §2.3.3: 4, then x and y of equal and fixed length.
        let coordinates = point.get(1..).unwrap_or_default();
        let (x, y) = coordinates.split_at(coordinates.len() / 2);
        let parameters =
            EllipticCurveKeyParameters { curve, x: encode(x), y: encode(y), ..Default::default() };
        AlgorithmParameters::EllipticCurve(parameters)
    };
    let algorithm_parameters = match material {
        Material::P256(point) => on_curve(EllipticCurve::P256, point),
        Material::P384(point) => on_curve(EllipticCurve::P384, point),
        Material::Ed25519(x) => AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
            curve: EllipticCurve::Ed25519,
            x: encode(x),
            ..Default::default()
        }),
        Material::Rsa { n, e } => {
            AlgorithmParameters::RSA(RSAKeyParameters { n: encode(n), e: encode(e), ..Default::default() })
        }
    };
    Jwk {
        common: CommonParameters {
            public_key_use: Some(PublicKeyUse::Signature),
            key_algorithm: Some(KeyAlgorithm::from(algorithm)),
            key_id: Some(id.as_str().to_owned()),
            ..Default::default()
        },
        algorithm: algorithm_parameters,
    }
}

/// The name in headers and keys, if our keys sign with it.
fn algorithm_name(algorithm: Algorithm) -> Option<jsonwebtoken::Algorithm> {
    match algorithm {
        Algorithm::ES256 => Some(jsonwebtoken::Algorithm::ES256),
        Algorithm::ES384 => Some(jsonwebtoken::Algorithm::ES384),
        Algorithm::EdDSA => Some(jsonwebtoken::Algorithm::EdDSA),
        Algorithm::RS256 => Some(jsonwebtoken::Algorithm::RS256),
        Algorithm::PS256 => Some(jsonwebtoken::Algorithm::PS256),
        Algorithm::RS384 | Algorithm::RS512 | Algorithm::PS384 | Algorithm::PS512 => None,
    }
}

/// Unreachable, since these are texts and names only; an error is still better than a panic.
fn unwritable(_: serde_json::Error) -> KeyFault {
    KeyFault::Unfit(UnfitKey::Malformed)
}
