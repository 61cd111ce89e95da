//! Reads the keys of another party's JWK Set one by one, so that a bad key affects no other: RFC 7517 §5, conformance KS-06 and JW-25.

use crate::json_parts::{Broken, Inside, Part};
use crate::jwk::{self, PublicJwk, Spelling};
use crate::public_keys::{IgnoredKey, MOST_KEYS, PublicKeys};
use crate::unfit_key::{Defect, UnfitKey};
use crate::verifying_key::{Material, VerifyingKey};
use serde_json::{Map, Value};
use std::sync::Arc;
use tokenberg_core::jws::KeyId;

/// The maximum length of a JWK Set, in bytes.
pub const LARGEST_JWKS: usize = 1024 * 1024;

/// The maximum number of keys that are listed as ignored; further ones are only counted.
const MOST_IGNORED: usize = 100;

/// Why a text cannot be read as a JWK Set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksFault {
    /// Longer than [`LARGEST_JWKS`].
    #[error("the JWK Set is longer than {LARGEST_JWKS} bytes")]
    TooLarge,
    /// Not JSON, or cut off.
    #[error("this is not a JWK Set: it is not JSON from byte {offset} on")]
    Json {
        /// Where it stops being JSON, in bytes from its start. Its length if it ends too early.
        offset: usize,
    },
    /// JSON, but not an object.
    #[error("this is not a JWK Set: a JWK Set is an object, and this is {0}")]
    Object(&'static str),
    /// An object without a member `keys`.
    #[error("this is not a JWK Set: the object has no member keys")]
    NoKeys,
    /// The member `keys` is not an array.
    #[error("this is not a JWK Set: its member keys is an array, and this is {0}")]
    Keys(&'static str),
}

impl From<Broken> for JwksFault {
    fn from(Broken(offset): Broken) -> Self {
        Self::Json { offset }
    }
}

impl PublicKeys {
    /// Reads a JWK Set. Unusable keys are left out and listed in [`PublicKeys::ignored`]; a set without any key is no error.
    ///
    /// A key that is listed several times under one `kid`, once for each `alg`, is one key with all of them. A key without a `kid`
    /// is named by its thumbprint. A key without `alg` has the algorithm of its type and curve; for RSA see
    /// [`PublicKeys::verify_among`].
    ///
    /// Each key is read separately, and only the members that describe a key: an error in one key or in any other member affects
    /// no other key.
    ///
    /// # Errors
    /// If the text as a whole is no JWK Set, or too large.
    pub fn from_jwks(json: &str) -> Result<Self, JwksFault> {
        Self::from_bytes(json.as_bytes())
    }

    /// As [`PublicKeys::from_jwks`], for a text that may contain invalid UTF-8.
    ///
    /// # Errors
    /// If the text as a whole is no JWK Set, or too large.
    pub fn from_bytes(json: &[u8]) -> Result<Self, JwksFault> {
        if json.len() > LARGEST_JWKS {
            return Err(JwksFault::TooLarge);
        }
        let whole = Part::whole(json)?;
        if whole.members().is_none() {
            return Err(JwksFault::Object(whole.kind()));
        }
        let keys = whole.member("keys")?.ok_or(JwksFault::NoKeys)?;
        let mut entries = keys.elements().ok_or(JwksFault::Keys(keys.kind()))?;
        let mut reading = Reading::default();
        while let Some(entry) = entries.element()? {
            reading.take(entry);
        }
        Ok(reading.finish())
    }
}

/// A set that is being read.
#[derive(Default)]
struct Reading {
    /// The position of the next entry.
    position: usize,
    keys: Vec<(usize, VerifyingKey)>,
    ignored: Vec<IgnoredKey>,
    left_out: usize,
    unlisted: Vec<(KeyId, UnfitKey)>,
    /// Keys whose private half is in the set too.
    leaked: Vec<Material>,
}

impl Reading {
    /// Reads the next entry of the set.
    fn take(&mut self, entry: Part<'_>) {
        let position = self.position;
        self.position += 1;
        let Some(mut members) = entry.members() else {
            let defect = Some(Defect::Kind(entry.kind()));
            return self.ignore(IgnoredKey { position, id: None, reason: UnfitKey::Malformed, defect });
        };
        let (members, broken) = known_members(&mut members);
        let jwk = PublicJwk::of(&members, Spelling::Any);
        match (jwk.read(), broken) {
            (Ok(key), None) => self.take_key(position, key),
            (Ok(_), Some(defect)) => self.take_unfit(position, jwk, UnfitKey::Malformed, Some(defect)),
            (Err(reason), Some(defect)) if !reason.is_leak() => {
                self.take_unfit(position, jwk, UnfitKey::Malformed, Some(defect));
            }
            (Err(reason), _) => {
                let member = (reason == UnfitKey::Malformed).then(|| jwk.faulty_member()).flatten();
                self.take_unfit(position, jwk, reason, member.map(Defect::Member));
            }
        }
    }

    fn take_key(&mut self, position: usize, key: VerifyingKey) {
        if self.keys.iter_mut().any(|(_, known)| known.merge(&key)) {
            return;
        }
        if self.keys.len() < MOST_KEYS {
            self.keys.push((position, key));
        } else {
            let (id, reason) = (Some(key.id().clone()), UnfitKey::Surplus);
            self.ignore(IgnoredKey { position, id, reason, defect: None });
        }
    }

    fn take_unfit(&mut self, position: usize, jwk: PublicJwk<'_>, reason: UnfitKey, defect: Option<Defect>) {
        if reason == UnfitKey::Private && self.leaked.len() < MOST_KEYS {
            self.leaked.extend(jwk.material());
        }
        self.ignore(IgnoredKey { position, id: jwk.key_id().ok().flatten(), reason, defect });
    }

    fn ignore(&mut self, key: IgnoredKey) {
        // A leak is always listed, because the operator has to act on it.
        let is_first_leak = key.reason.is_leak() && !self.ignored.iter().any(|other| other.reason.is_leak());
        if self.ignored.len() < MOST_IGNORED || is_first_leak {
            self.ignored.push(key);
        } else {
            self.left_out += 1;
            self.unlisted.extend(key.id.map(|id| (id, key.reason)));
        }
    }

    /// The usable keys.
    fn finish(mut self) -> PublicKeys {
        let keys = std::mem::take(&mut self.keys);
        let reasons: Vec<Option<UnfitKey>> = keys
            .iter()
            .map(|(position, key)| {
                let is_same_name = |(other, twin): &&(usize, VerifyingKey)| {
                    other != position && !key.is_distinguishable_from(twin)
                };
                if self.leaked.contains(key.material()) {
                    Some(UnfitKey::Leaked)
                } else {
                    keys.iter().find(is_same_name).map(|_| UnfitKey::Twice)
                }
            })
            .collect();
        let mut used = Vec::with_capacity(keys.len());
        for ((position, key), reason) in keys.into_iter().zip(reasons) {
            match reason {
                None => used.push(Arc::new(key)),
                Some(reason) => {
                    self.ignore(IgnoredKey { position, id: Some(key.id().clone()), reason, defect: None })
                }
            }
        }
        self.ignored.sort_by_key(|key| key.position);
        PublicKeys { keys: used, ignored: self.ignored, left_out: self.left_out, unlisted: self.unlisted }
    }
}

/// The members that describe a key, and where the entry stops being JSON, if it does. RFC 7517 §4: "Additional members can be
/// present in the JWK; if not understood by implementations encountering them, they MUST be ignored."
fn known_members(members: &mut Inside<'_>) -> (Map<String, Value>, Option<Defect>) {
    let mut known = Map::new();
    loop {
        match members.member() {
            Ok(Some((name, value))) => {
                if let Some(name) = name.string().filter(|name| jwk::is_known(name)) {
                    known.insert(name, value.value().unwrap_or(UNREADABLE));
                }
            }
            Ok(None) => return (known, None),
            Err(broken) => return (known, Some(Defect::Json { offset: broken.0 })),
        }
    }
}

/// Stands for a value that does not parse: it is present, and of no type that a member of a key has.
const UNREADABLE: Value = Value::Bool(false);
