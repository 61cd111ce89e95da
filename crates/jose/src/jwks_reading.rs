//! Reads the keys of a JWK Set one by one, so that a bad key affects no other: RFC 7517 §5, conformance KS-06 and JW-25.

use crate::json_parts::{Inside, Part};
use crate::jwk::{self, PublicJwk, Spelling};
use crate::public_keys::{IgnoredKey, MOST_KEYS, PublicKeys};
use crate::unfit_key::{Defect, UnfitKey};
use crate::verifying_key::{Material, VerifyingKey};
use serde_json::{Map, Value};
use std::sync::Arc;
use tokenberg_core::jws::KeyId;

/// The maximum number of keys that are listed as ignored; further ones are only counted.
const MOST_IGNORED: usize = 100;

/// A set that is being read.
#[derive(Default)]
pub(crate) struct Reading {
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
    pub(crate) fn take(&mut self, entry: Part<'_>) {
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
    pub(crate) fn finish(mut self) -> PublicKeys {
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
