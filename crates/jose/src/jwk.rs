//! Reads one public key, a JWK: RFC 7517 §4, RFC 7518 §6, RFC 8037 §2; conformance JW-12 to JW-25.
//!
//! Published keys are read leniently, as other libraries do: a member may be null, `key_ops` empty, and a number may have leading
//! zeros. `tests/key_shapes.rs` lists the shapes and which libraries accept them.

use crate::rsa_strength;
use crate::thumbprint;
use crate::unfit_key::UnfitKey;
use crate::verifying_key::{Material, VerifyingKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use std::borrow::Cow;
use tokenberg_core::jws::{Algorithm, Algorithms, KeyId};

/// RFC 7518 §6.2.2, §6.3.2 and §6.4.1, RFC 8037 §2 and RFC 9964: the members of a private key.
const PRIVATE_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// The other members that describe a key.
const PUBLIC_MEMBERS: [&str; 10] = ["kty", "use", "key_ops", "alg", "kid", "crv", "x", "y", "n", "e"];

/// Whether a member of this name describes a key.
pub(crate) fn is_known(name: &str) -> bool {
    PUBLIC_MEMBERS.contains(&name) || PRIVATE_MEMBERS.contains(&name)
}

/// The maximum length of a `kid`, in bytes: that of a token's header.
const LONGEST_KEY_ID: usize = 256;

/// How a JWK is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// Leniently: for sets that issuers and operators publish.
    Any,
    /// In the one spelling of the RFCs: for keys that are named by their thumbprint (conformance DP-16).
    Canonical,
}

/// A JWK, and how it is read.
#[derive(Clone, Copy)]
pub(crate) struct PublicJwk<'a> {
    members: &'a Map<String, Value>,
    spelling: Spelling,
}

impl<'a> PublicJwk<'a> {
    /// A JWK is a JSON object with these members.
    pub(crate) fn of(members: &'a Map<String, Value>, spelling: Spelling) -> Self {
        Self { members, spelling }
    }

    /// The key, with every algorithm that it may be used with.
    pub(crate) fn read(self) -> Result<VerifyingKey, UnfitKey> {
        self.check_secrecy()?;
        self.check_purpose()?;
        let material = self.material()?;
        let algorithms = match self.text("alg")? {
            None => None,
            Some(alg) => {
                let named = material.algorithms().named(alg).ok_or(UnfitKey::Algorithm)?;
                Some(Algorithms::from(named))
            }
        };
        let id = match self.key_id()? {
            Some(id) => id,
            None => thumbprint::of(&material),
        };
        Ok(VerifyingKey::new(id, material, algorithms))
    }

    /// `kid`, if present.
    pub(crate) fn key_id(self) -> Result<Option<KeyId>, UnfitKey> {
        match self.member("kid") {
            None => Ok(None),
            Some(Value::String(kid)) if (1..=LONGEST_KEY_ID).contains(&kid.len()) => {
                Ok(Some(KeyId::new(kid)))
            }
            Some(_) => Err(UnfitKey::KeyId),
        }
    }

    /// The member that is missing, of the wrong type, or not base64url, if any.
    pub(crate) fn faulty_member(self) -> Option<&'static str> {
        let is_no_text = |name: &&str| self.text(name).is_err();
        if let Some(name) = ["kty", "use", "alg", "crv"].into_iter().find(is_no_text) {
            return Some(name);
        }
        if self.member("key_ops").is_some_and(|operations| !operations.is_array()) {
            return Some("key_ops");
        }
        let Ok(Some(kty)) = self.text("kty") else { return Some("kty") };
        let (is_on_curve, numbers): (bool, &[&'static str]) = match kty {
            "EC" => (true, &["x", "y"]),
            "OKP" => (true, &["x"]),
            "RSA" => (false, &["n", "e"]),
            "oct" => (false, &["k"]),
            _ => return None,
        };
        if is_on_curve && self.member("crv").is_none() {
            return Some("crv");
        }
        let is_zero = |name: &str| kty == "RSA" && self.number(name).is_ok_and(|number| number.is_empty());
        numbers.iter().find(|name| self.bytes(name).is_err() || is_zero(name)).copied()
    }

    /// Refuses secrets and private keys, whatever else is wrong with them.
    fn check_secrecy(self) -> Result<(), UnfitKey> {
        let is_there = |name: &str| match self.spelling {
            Spelling::Any => self.member(name).is_some(),
            Spelling::Canonical => self.members.contains_key(name),
        };
        let is_symmetric = self.members.get("kty").is_some_and(|kty| kty == "oct");
        if is_symmetric && is_there("k") {
            return Err(UnfitKey::Symmetric);
        }
        if PRIVATE_MEMBERS.into_iter().any(is_there) {
            return Err(UnfitKey::Private);
        }
        Ok(())
    }

    fn check_purpose(self) -> Result<(), UnfitKey> {
        let used_for_signatures = match self.text("use")? {
            // The SPIFFE Trust Domain and Bundle §4.2.2 uses its own word here.
            None | Some("sig" | "jwt-svid") => true,
            Some(_) => false,
        };
        let may_verify = match self.member("key_ops") {
            None => true,
            Some(Value::Array(operations)) => operations.iter().any(|one| one == "verify"),
            Some(_) => return Err(UnfitKey::Malformed),
        };
        if used_for_signatures && may_verify { Ok(()) } else { Err(UnfitKey::Purpose) }
    }

    /// The key itself, whatever its purpose.
    pub(crate) fn material(self) -> Result<Material, UnfitKey> {
        let curve = || self.text("crv")?.ok_or(UnfitKey::Malformed);
        match self.text("kty")?.ok_or(UnfitKey::Malformed)? {
            "EC" => match curve()? {
                "P-256" => Ok(Material::P256(self.point::<32>()?)),
                "P-384" => Ok(Material::P384(self.point::<48>()?)),
                _ => Err(UnfitKey::Algorithm),
            },
            "OKP" => match curve()? {
                "Ed25519" => {
                    let x = self.bytes("x")?;
                    if x.len() == 32 { Ok(Material::Ed25519(x)) } else { Err(UnfitKey::Length) }
                }
                _ => Err(UnfitKey::Algorithm),
            },
            "RSA" => {
                let (n, e) = (self.number("n")?, self.number("e")?);
                rsa_strength::check(&n, &e)?;
                Ok(Material::Rsa { n, e })
            }
            // Without a value it is neither a secret nor a key.
            "oct" => Err(UnfitKey::Malformed),
            _ => Err(UnfitKey::Algorithm),
        }
    }

    /// The member, unless it is null. RFC 7517 §4 does not mention null; other libraries read it as absence, and write it.
    fn member(self, name: &str) -> Option<&'a Value> {
        let value = self.members.get(name)?;
        let is_unset = match value {
            Value::Null => true,
            Value::String(text) => self.spelling == Spelling::Any && text.is_empty(),
            Value::Array(many) => self.spelling == Spelling::Any && many.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
        };
        (!is_unset).then_some(value)
    }

    fn text(self, name: &str) -> Result<Option<&'a str>, UnfitKey> {
        match self.member(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(UnfitKey::Malformed),
        }
    }

    /// RFC 7515 §2: base64url "with all trailing '=' characters omitted [...] and without the inclusion of any line breaks". The
    /// lenient reading allows both, and the standard alphabet.
    fn bytes(self, name: &str) -> Result<Vec<u8>, UnfitKey> {
        let text = self.text(name)?.ok_or(UnfitKey::Malformed)?;
        let text = match self.spelling {
            Spelling::Canonical => Cow::Borrowed(text),
            Spelling::Any => {
                let graphic = text.trim_end_matches('=').chars().filter(|c| !c.is_ascii_whitespace());
                Cow::Owned(graphic.map(in_url_alphabet).collect())
            }
        };
        URL_SAFE_NO_PAD.decode(text.as_bytes()).map_err(|_| UnfitKey::Malformed)
    }

    /// RFC 7518 §6.3.1.1 with §2: "The octet sequence MUST utilize the minimum number of octets needed to represent the value."
    fn number(self, name: &str) -> Result<Vec<u8>, UnfitKey> {
        let bytes = self.bytes(name)?;
        Ok(match self.spelling {
            Spelling::Canonical => bytes,
            Spelling::Any => without_leading_zeros(&bytes).to_vec(),
        })
    }

    /// The uncompressed point (SEC 1 §2.3.3): 4, x, y.
    fn point<const LENGTH: usize>(self) -> Result<Vec<u8>, UnfitKey> {
        Ok([&[4][..], &self.coordinate::<LENGTH>("x")?, &self.coordinate::<LENGTH>("y")?].concat())
    }

    /// RFC 7518 §6.2.1.2: "The length of this octet string MUST be the full size of a coordinate for the curve".
    fn coordinate<const LENGTH: usize>(self, name: &str) -> Result<[u8; LENGTH], UnfitKey> {
        let bytes = self.bytes(name)?;
        let number = match self.spelling {
            Spelling::Canonical => &bytes[..],
            Spelling::Any => without_leading_zeros(&bytes),
        };
        let mut whole = [0; LENGTH];
        let missing = LENGTH.checked_sub(number.len()).ok_or(UnfitKey::Length)?;
        // Some libraries drop a few leading zeros; half a coordinate is an error.
        let most_missing = if self.spelling == Spelling::Any { LENGTH / 4 } else { 0 };
        if missing > most_missing {
            return Err(UnfitKey::Length);
        }
        whole[missing..].copy_from_slice(number);
        Ok(whole)
    }
}

fn in_url_alphabet(c: char) -> char {
    match c {
        '+' => '-',
        '/' => '_',
        other => other,
    }
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len())..]
}

/// Checks a key and an algorithm of our own.
pub(crate) fn canonical(json: &Value, algorithm: Algorithm) -> Result<VerifyingKey, UnfitKey> {
    let members = json.as_object().ok_or(UnfitKey::Malformed)?;
    let key = PublicJwk::of(members, Spelling::Canonical).read()?;
    if key.algorithms_among(algorithm.into()).is_empty() { Err(UnfitKey::Algorithm) } else { Ok(key) }
}
