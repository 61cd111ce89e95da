//! What one thread does with a token: searches for keys, and signs; RFC 7518 §3, PKCS#11 v3.0.

use super::error::Pkcs11Error;
use super::token::{Token, call, is_of_session};
use super::uri::KeyUri;
use crate::verifying_key::Material;
use cryptoki::error::Error;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use ring::digest::{SHA256, SHA384, digest};
use std::collections::HashMap;
use tokenberg_core::jws::Algorithm;

/// What a thread keeps: its session, and where the keys are in it.
#[derive(Default)]
pub(super) struct Seat(Option<(Session, HashMap<Box<str>, ObjectHandle>)>);

impl Seat {
    /// Signs with the private key of this name. A session that was lost is replaced once.
    pub(super) fn sign(
        &mut self,
        token: &Token,
        uri: &str,
        algorithm: Algorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, Pkcs11Error> {
        let had_session = self.0.is_some();
        match self.attempt(token, uri, algorithm, message)? {
            Err(error) if had_session && is_of_session(&error) => {
                self.0 = None;
                self.attempt(token, uri, algorithm, message)?
            }
            outcome => outcome,
        }
        .map_err(|error| {
            self.0 = None;
            call("signing", &error)
        })
    }

    fn attempt(
        &mut self,
        token: &Token,
        uri: &str,
        algorithm: Algorithm,
        message: &[u8],
    ) -> Result<Result<Vec<u8>, Error>, Pkcs11Error> {
        let (session, keys) = match &mut self.0 {
            Some(seat) => seat,
            seat @ None => seat.insert((token.open(false)?, HashMap::new())),
        };
        let key = match keys.get(uri) {
            Some(key) => *key,
            None => match private_key(session, uri) {
                Ok(key) => {
                    keys.insert(uri.into(), key);
                    key
                }
                Err(SearchError::Module(error)) => return Ok(Err(error)),
                Err(SearchError::Key(error)) => return Err(error),
            },
        };
        Ok(sign(session, key, algorithm, message))
    }
}

/// Why a key was not found.
pub(super) enum SearchError {
    Module(Error),
    Key(Pkcs11Error),
}

impl From<Error> for SearchError {
    fn from(error: Error) -> Self {
        Self::Module(error)
    }
}

impl From<SearchError> for Pkcs11Error {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Module(error) => call("searching for the key", &error),
            SearchError::Key(error) => error,
        }
    }
}

/// The one private key of this name.
pub(super) fn private_key(session: &Session, uri: &str) -> Result<ObjectHandle, SearchError> {
    let found = session
        .find_objects(&named(&KeyUri::parse(uri).map_err(SearchError::Key)?, ObjectClass::PRIVATE_KEY))?;
    match found[..] {
        [key] => Ok(key),
        [] => Err(SearchError::Key(Pkcs11Error::NoKey(uri.into()))),
        _ => Err(SearchError::Key(Pkcs11Error::SeveralKeys { uri: uri.into(), count: found.len() })),
    }
}

fn named(uri: &KeyUri, class: ObjectClass) -> Vec<Attribute> {
    let object = uri.object.as_ref().map(|label| Attribute::Label(label.clone().into_bytes()));
    let id = uri.id.clone().map(Attribute::Id);
    [Some(Attribute::Class(class)), object, id].into_iter().flatten().collect()
}

/// A private key, as the device describes it.
pub(super) struct Description {
    /// CKA_LABEL, empty without one.
    pub(super) label: String,
    pub(super) id: Vec<u8>,
    pub(super) public: Material,
}

/// Reads the name and the public half of a private key: from the public key with the same id, or from the private one, where some
/// devices have it as well.
pub(super) fn describe(session: &Session, key: ObjectHandle, uri: &str) -> Result<Description, Pkcs11Error> {
    let failed = |error: Error| call("reading the key", &error);
    let named = session.get_attributes(key, &[AttributeType::Label, AttributeType::Id]).map_err(failed)?;
    let (mut label, mut id) = (String::new(), Vec::new());
    for attribute in named {
        if let Attribute::Label(bytes) = attribute {
            label = String::from_utf8_lossy(&bytes).into_owned();
        } else if let Attribute::Id(bytes) = attribute {
            id = bytes;
        }
    }
    let mut candidates = Vec::new();
    if !id.is_empty() {
        let public = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Id(id.clone())];
        candidates = session.find_objects(&public).map_err(failed)?;
    }
    candidates.push(key);
    let read = candidates.into_iter().find_map(|object| public_half(session, object));
    let public = read.ok_or_else(|| Pkcs11Error::NoPublicKey(uri.into()))?;
    Ok(Description { label, id, public })
}

fn public_half(session: &Session, object: ObjectHandle) -> Option<Material> {
    // A device may refuse all attributes for one that the object does not have.
    let read = |kind| session.get_attributes(object, &[kind]).ok().and_then(|found| found.into_iter().next());
    let Some(Attribute::KeyType(kind)) = read(AttributeType::KeyType) else { return None };
    if kind == KeyType::RSA {
        let Some(Attribute::Modulus(n)) = read(AttributeType::Modulus) else { return None };
        let Some(Attribute::PublicExponent(e)) = read(AttributeType::PublicExponent) else { return None };
        return Some(Material::Rsa { n: without_leading_zeros(&n), e: without_leading_zeros(&e) });
    }
    let Some(Attribute::EcPoint(point)) = read(AttributeType::EcPoint) else { return None };
    // PKCS#11 v3.0 §2.3.3: DER of an OCTET STRING; some devices leave it out.
    let point = match &point[..] {
        [4, length, rest @ ..] if rest.len() == usize::from(*length) => rest,
        whole => whole,
    };
    match (kind, point) {
        (KeyType::EC, [4, coordinates @ ..]) if coordinates.len() == 64 => {
            Some(Material::P256(point.to_vec()))
        }
        (KeyType::EC, [4, coordinates @ ..]) if coordinates.len() == 96 => {
            Some(Material::P384(point.to_vec()))
        }
        (KeyType::EC_EDWARDS, key) if key.len() == 32 => Some(Material::Ed25519(key.to_vec())),
        _ => None,
    }
}

fn without_leading_zeros(number: &[u8]) -> Vec<u8> {
    number.iter().copied().skip_while(|byte| *byte == 0).collect()
}

/// The signature in the form of JWS, which for ECDSA is that of PKCS#11 as well: r and s side by side (RFC 7518 §3.4).
pub(super) fn sign(
    session: &Session,
    key: ObjectHandle,
    algorithm: Algorithm,
    message: &[u8],
) -> Result<Vec<u8>, Error> {
    match algorithm {
        Algorithm::ES256 => session.sign(&Mechanism::Ecdsa, key, digest(&SHA256, message).as_ref()),
        Algorithm::ES384 => session.sign(&Mechanism::Ecdsa, key, digest(&SHA384, message).as_ref()),
        Algorithm::EdDSA => {
            session.sign(&Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure)), key, message)
        }
        Algorithm::RS256 => session.sign(&Mechanism::Sha256RsaPkcs, key, message),
        Algorithm::PS256 => {
            let parameters = PkcsPssParams {
                hash_alg: MechanismType::SHA256,
                mgf: PkcsMgfType::MGF1_SHA256,
                // RFC 7518 §3.5: "the size of the salt value is the same size as the hash function output".
                s_len: 32.into(),
            };
            session.sign(&Mechanism::Sha256RsaPkcsPss(parameters), key, message)
        }
        // Keys are read for algorithms of our own only.
        Algorithm::RS384 | Algorithm::RS512 | Algorithm::PS384 | Algorithm::PS512 => Err(Error::NotSupported),
    }
}

/// Generates a pair in the token: the private half can neither be read nor exported.
pub(super) fn generate(
    session: &Session,
    algorithm: Algorithm,
    label: &str,
    id: &[u8],
) -> Result<ObjectHandle, Error> {
    /// X.690 §8.19 of 1.2.840.10045.3.1.7 and 1.3.132.0.34; and the name of the curve, which PKCS#11 v3.0 §2.3.10 has for Edwards.
    const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
    const P384: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x22";
    const ED25519: &[u8] = b"\x13\x0cedwards25519";
    let (mechanism, kind) = match algorithm {
        Algorithm::ES256 => (Mechanism::EccKeyPairGen, vec![Attribute::EcParams(P256.to_vec())]),
        Algorithm::ES384 => (Mechanism::EccKeyPairGen, vec![Attribute::EcParams(P384.to_vec())]),
        Algorithm::EdDSA => (Mechanism::EccEdwardsKeyPairGen, vec![Attribute::EcParams(ED25519.to_vec())]),
        Algorithm::RS256 | Algorithm::PS256 => (
            Mechanism::RsaPkcsKeyPairGen,
            vec![Attribute::ModulusBits(3072.into()), Attribute::PublicExponent(vec![1, 0, 1])],
        ),
        Algorithm::RS384 | Algorithm::RS512 | Algorithm::PS384 | Algorithm::PS512 => {
            return Err(Error::NotSupported);
        }
    };
    let names = || [Attribute::Token(true), Attribute::Label(label.into()), Attribute::Id(id.to_vec())];
    let mut public = vec![Attribute::Private(false), Attribute::Verify(true)];
    public.extend(names());
    public.extend(kind);
    let mut private = vec![
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
    ];
    private.extend(names());
    session.generate_key_pair(&mechanism, &public, &private).map(|(_, private)| private)
}

/// Destroys both halves of a key.
pub(super) fn destroy(session: &Session, uri: &str) -> Result<(), Pkcs11Error> {
    let uri = KeyUri::parse(uri)?;
    let failed = |error: Error| call("destroying the key", &error);
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
        for object in session.find_objects(&named(&uri, class)).map_err(failed)? {
            session.destroy_object(object).map_err(failed)?;
        }
    }
    Ok(())
}

/// Whether the private key may be read out of the device. `None` if the device does not say.
pub(super) fn is_extractable(session: &Session, key: ObjectHandle) -> Option<bool> {
    let found = session.get_attributes(key, &[AttributeType::Extractable]).ok()?;
    found.into_iter().find_map(
        |attribute| {
            if let Attribute::Extractable(is) = attribute { Some(is) } else { None }
        },
    )
}
