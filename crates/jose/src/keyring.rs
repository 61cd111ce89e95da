//! Our own keys at one moment: the one that signs, and all that verify. Conformance KS-01, KS-02 and KS-04; RFC 7517 §5.

use crate::key_fault::KeyFault;
use crate::parsed_sets::ParsedSets;
use crate::public_keys::PublicKeys;
use crate::signing_key::SigningKey;
use crate::token_cache::{Found, Name, TokenCache};
use ring::rand::SystemRandom;
use std::collections::HashSet;
use std::sync::Arc;
use tokenberg_core::answers::SigningFault;
use tokenberg_core::jws::{
    Algorithm, Algorithms, DpopProof, FramingFault, KeyId, KeyMaterial, LONGEST_TOKEN, TokenReading,
};
use tokenberg_core::key_schedule::KeyTimes;
use tokenberg_core::{
    AccessTokenClaims, CompactJws, Issuer, Keys, Secret, SignatureFault, Timestamp, Verified,
};

/// Our own keys at one moment: immutable, replaced as a whole by [`Keyring::updated`].
pub struct Keyring {
    keys: Vec<Entry>,
    public: PublicKeys,
    jwks: Arc<str>,
    /// Parsed sets of issuers and clients, shared by successive keyrings.
    given: Arc<ParsedSets>,
    random: SystemRandom,
    /// Holds positions in `keys`, so each keyring begins with an empty one.
    token_cache: TokenCache,
}

#[derive(Clone)]
struct Entry {
    key: Arc<SigningKey>,
    created_at: Timestamp,
    signs_from: Timestamp,
    verifies_until: Option<Timestamp>,
}

impl Keyring {
    /// Reads the keys of the store, except those that have retired at `now`.
    ///
    /// # Errors
    /// The first key that does not parse, is not fit for its algorithm, has a wrong name, or the name of another.
    pub fn read(keys: &[KeyMaterial], now: Timestamp) -> Result<Self, KeyFault> {
        Self::assemble(keys, now, &[], Arc::default())
    }

    /// Reads the keys again, reusing those that were parsed before under the same name and algorithm.
    ///
    /// # Errors
    /// As [`Keyring::read`].
    pub fn updated(&self, keys: &[KeyMaterial], now: Timestamp) -> Result<Self, KeyFault> {
        Self::assemble(keys, now, &self.keys, Arc::clone(&self.given))
    }

    /// Reads the keys again, reusing those of `before` if there is one, as a watch of the store needs it.
    ///
    /// # Errors
    /// As [`Keyring::read`].
    pub fn follow(keys: &[KeyMaterial], before: Option<&Self>, now: Timestamp) -> Result<Self, KeyFault> {
        before.map_or_else(|| Self::read(keys, now), |before| before.updated(keys, now))
    }

    fn assemble(
        keys: &[KeyMaterial],
        now: Timestamp,
        parsed: &[Entry],
        given: Arc<ParsedSets>,
    ) -> Result<Self, KeyFault> {
        let mut names = HashSet::new();
        let mut entries = Vec::with_capacity(keys.len());
        for material in keys {
            let stored = |fault| KeyFault::Stored { key: material.id.clone(), fault: Box::new(fault) };
            if !names.insert(&material.id) {
                return Err(stored(KeyFault::Twice));
            }
            if material.times().is_over(now) {
                continue;
            }
            entries.push(Entry {
                key: parsed_key(material, parsed).map_err(stored)?,
                created_at: material.created_at,
                signs_from: material.signs_from,
                verifies_until: material.verifies_until,
            });
        }
        entries.sort_by(|a, b| b.times().order().cmp(&a.times().order()));
        let jwks: Vec<&str> = entries.iter().map(|entry| entry.key.jwk()).collect();
        Ok(Self {
            jwks: format!("{{\"keys\":[{}]}}", jwks.join(",")).into(),
            public: PublicKeys::of(entries.iter().map(|entry| Arc::clone(entry.key.public())).collect()),
            keys: entries,
            given,
            random: SystemRandom::new(),
            token_cache: TokenCache::new(),
        })
    }

    /// The key at this position, if it still verifies at `now`.
    fn live(&self, position: usize, now: Timestamp) -> Result<&Entry, SignatureFault> {
        let entry = self.keys.get(position).ok_or(SignatureFault::NoKeys)?;
        if entry.times().is_over(now) {
            let since = entry.verifies_until.unwrap_or(now);
            return Err(SignatureFault::Retired { key: entry.key.id().clone(), since });
        }
        Ok(entry)
    }

    /// Verifies a token unless it is cached, and caches good ones: the only caller of [`TokenCache::keep`].
    fn verify_called(
        &self,
        name: Name,
        token: &CompactJws,
        now: Timestamp,
    ) -> Result<Verified, SignatureFault> {
        if let Some(found) = self.token_cache.find(&name) {
            let key = &self.live(found.key, now)?.key;
            return Ok(Verified::assertion(key.id().clone(), key.algorithm()));
        }
        let verified = self.public.verify(token)?;
        let position = self.keys.iter().position(|entry| entry.key.id() == verified.key());
        let position = position.ok_or(SignatureFault::NoKeys)?;
        self.live(position, now)?;
        self.token_cache.keep(name, position);
        Ok(verified)
    }

    /// The key that signs at `now`, if a device holds its private half. [`Keys::sign`] fails with it.
    #[must_use]
    pub fn signing_device_key(&self, now: Timestamp) -> Option<(&KeyId, Algorithm)> {
        let key = self.signer(now)?;
        key.device().map(|_| (key.id(), key.algorithm()))
    }

    /// The algorithm of the key, and its name in the device that holds its private half, if one does.
    #[must_use]
    pub fn device_key(&self, id: &KeyId) -> Option<(Algorithm, &str)> {
        let entry = self.keys.iter().find(|entry| entry.key.id() == id)?;
        entry.key.device().map(|uri| (entry.key.algorithm(), uri))
    }

    fn signer(&self, now: Timestamp) -> Option<&SigningKey> {
        let signer = tokenberg_core::key_schedule::signer(self.keys.iter().map(Entry::times), now)?;
        self.keys.iter().find(|entry| entry.key.id() == signer.id).map(|entry| &*entry.key)
    }
}

impl Keys for Keyring {
    fn sign(&self, claims: &AccessTokenClaims, now: Timestamp) -> Result<Secret, SigningFault> {
        let key = self.signer(now).ok_or(SigningFault::NoKey)?;
        let payload = serde_json::to_vec(claims).map_err(|_| SigningFault::Key { key: key.id().clone() })?;
        key.sign(&payload, &self.random)
    }

    fn verify(&self, token: &CompactJws, now: Timestamp) -> Result<Verified, SignatureFault> {
        self.verify_called(Name::of(token.expose()), token, now)
    }

    fn read(&self, text: &str, issuer: &Issuer, now: Timestamp) -> TokenReading {
        if text.len() > LONGEST_TOKEN {
            let (part, bytes, most) = (tokenberg_core::jws::Part::Token, text.len(), LONGEST_TOKEN);
            return TokenReading::Bad(FramingFault::TooLong { part, bytes, most }.into());
        }
        let name = Name::of(text);
        if let Some(Found { key, token: Some(token) }) = self.token_cache.find(&name)
            && token.issuer() == issuer
        {
            return match self.live(key, now) {
                Ok(_) => TokenReading::Ours(token),
                Err(fault) => TokenReading::Bad(fault.into()),
            };
        }
        let reading = TokenReading::read(text, issuer, |token| self.verify_called(name, token, now));
        if let TokenReading::Ours(token) = &reading {
            self.token_cache.keep_read(&name, token);
        }
        reading
    }

    fn verify_with(
        &self,
        jwks: &str,
        accepted: Algorithms,
        token: &CompactJws,
    ) -> Result<Verified, SignatureFault> {
        self.given.verify(jwks, accepted, token)
    }

    fn verify_proof(&self, proof: &DpopProof) -> Result<Verified, SignatureFault> {
        crate::public_keys::verify_with_own_key(proof)
    }

    fn jwks(&self) -> Arc<str> {
        Arc::clone(&self.jwks)
    }

    fn is_costly(&self, now: Timestamp) -> bool {
        self.signer(now).is_some_and(SigningKey::is_costly)
    }
}

impl Entry {
    fn times(&self) -> KeyTimes<'_> {
        KeyTimes {
            id: self.key.id(),
            created_at: self.created_at,
            signs_from: self.signs_from,
            verifies_until: self.verifies_until,
        }
    }
}

fn parsed_key(material: &KeyMaterial, parsed: &[Entry]) -> Result<Arc<SigningKey>, KeyFault> {
    let device = material.private.device().map(|device| &*device.uri);
    let same = |entry: &&Entry| {
        let key = &entry.key;
        *key.id() == material.id && key.algorithm() == material.algorithm && key.device() == device
    };
    if let Some(entry) = parsed.iter().find(same) {
        return Ok(Arc::clone(&entry.key));
    }
    let key = SigningKey::of(material)?;
    if *key.id() != material.id {
        return Err(KeyFault::Name { thumbprint: key.id().clone() });
    }
    Ok(Arc::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{generate, import};
    use tokenberg_core::jws::PrivateHalf;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds).unwrap()
    }

    fn made(algorithm: Algorithm, signs_from: i64) -> KeyMaterial {
        generate(algorithm, at(0), at(signs_from)).unwrap()
    }

    fn fault(keys: &[KeyMaterial]) -> KeyFault {
        Keyring::read(keys, at(0)).err().unwrap()
    }

    #[test]
    fn ks_04_no_key_is_parsed_twice() {
        let (first, second) = (made(Algorithm::ES256, 0), made(Algorithm::EdDSA, 0));
        let before = Keyring::read(std::slice::from_ref(&first), at(0)).unwrap();
        let mut ending = first.clone();
        ending.verifies_until = Some(at(100));
        let after = before.updated(&[second, ending], at(0)).unwrap();
        let kept = after.keys.iter().find(|e| *e.key.id() == first.id).unwrap();
        assert!(Arc::ptr_eq(&kept.key, &before.keys[0].key));
        assert_eq!(kept.verifies_until, Some(at(100)));
        // Another algorithm is another key, even under the same name.
        let mut other = first;
        other.algorithm = Algorithm::ES384;
        assert!(before.updated(&[other], at(0)).is_err());
    }

    #[test]
    fn ks_04_the_key_with_the_latest_start_signs() {
        let mut keys = [made(Algorithm::ES256, 10), made(Algorithm::ES384, 20), made(Algorithm::EdDSA, 30)];
        let signer = |keys: &[KeyMaterial], now| {
            Keyring::read(keys, at(0)).unwrap().signer(at(now)).map(SigningKey::algorithm)
        };
        for (now, expected) in [
            (9, None),
            (10, Some(Algorithm::ES256)),
            (19, Some(Algorithm::ES256)),
            (20, Some(Algorithm::ES384)),
            (30, Some(Algorithm::EdDSA)),
            (1_000_000, Some(Algorithm::EdDSA)),
        ] {
            assert_eq!(signer(&keys, now), expected, "{now}");
        }
        // A retired key does not sign, even in a keyring that was read before it retired.
        keys[2].verifies_until = Some(at(40));
        assert_eq!(signer(&keys, 39), Some(Algorithm::EdDSA));
        assert_eq!(signer(&keys, 40), Some(Algorithm::ES384));
    }

    #[test]
    fn ks_04_ties_are_decided_by_age_and_then_by_name() {
        let mut keys: Vec<_> = (0..6).map(|_| made(Algorithm::ES256, 5)).collect();
        let greatest = keys.iter().map(|k| k.id.clone()).max().unwrap();
        let signer =
            |keys: &[KeyMaterial]| Keyring::read(keys, at(0)).unwrap().signer(at(5)).unwrap().id().clone();
        assert_eq!(signer(&keys), greatest);
        keys.reverse();
        assert_eq!(signer(&keys), greatest);
        let younger = keys.iter_mut().find(|k| k.id != greatest).unwrap();
        younger.created_at = at(1);
        let id = younger.id.clone();
        assert_eq!(signer(&keys), id);
    }

    #[test]
    fn ks_02_a_name_is_unique_and_is_the_thumbprint() {
        let key = made(Algorithm::ES256, 0);
        let named = |fault| KeyFault::Stored { key: key.id.clone(), fault: Box::new(fault) };
        assert_eq!(fault(&[key.clone(), key.clone()]), named(KeyFault::Twice));
        let mut renamed = made(Algorithm::ES256, 0);
        let thumbprint = std::mem::replace(&mut renamed.id, key.id.clone());
        assert_eq!(fault(&[renamed]), named(KeyFault::Name { thumbprint }));
    }

    #[test]
    fn ks_07_a_fault_names_the_key_and_not_its_content() {
        let good = made(Algorithm::ES256, 0);
        let pkcs8 = good.private.pkcs8().unwrap();
        for (algorithm, der) in [
            (Algorithm::ES256, b"hush".to_vec()),
            (Algorithm::ES384, pkcs8.to_vec()),
            (Algorithm::EdDSA, pkcs8.to_vec()),
            (Algorithm::RS256, pkcs8.to_vec()),
            (Algorithm::PS256, Vec::new()),
            (Algorithm::ES256, pkcs8[..pkcs8.len() - 1].to_vec()),
        ] {
            let mut bad = good.clone();
            (bad.algorithm, bad.private) = (algorithm, PrivateHalf::Pkcs8(der.into()));
            let fault = fault(&[bad]);
            assert!(matches!(&fault, KeyFault::Stored { key, .. } if *key == good.id), "{fault}");
            assert!(fault.to_string().len() < 140 && !fault.to_string().contains("hush"), "{fault}");
        }
    }

    #[test]
    fn jw_40_only_verified_tokens_are_cached() {
        let keys = Keyring::read(&[made(Algorithm::ES256, 0)], at(0)).unwrap();
        let payload = serde_json::json!({"iss":"https://as.test","aud":"https://cat.test","sub":"c1","client_id":"c1",
            "iat":1,"exp":2,"jti":"x","scope":"catalog","tokenberg_session":{"id":"x","start":1,"end":9}});
        let claims = AccessTokenClaims::read(payload.as_object().unwrap()).unwrap();
        let good = keys.sign(&claims, at(0)).unwrap().expose().to_owned();
        let bad = good.replacen(&good[good.len() - 9..good.len() - 5], "AAAA", 1);
        let stranger = "https://other.test".parse().unwrap();
        for (token, is_good) in [(&bad, false), (&good, true)] {
            let found = || keys.token_cache.find(&Name::of(token));
            let elsewhere = keys.read(token, &stranger, at(0));
            assert!(matches!(elsewhere, TokenReading::Foreign(_)) && found().is_none());
            let outcome = keys.verify(&CompactJws::parse(token).unwrap(), at(0));
            assert_eq!((outcome.is_ok(), found().is_some()), (is_good, is_good));
            let outcome = keys.read(token, &claims.issuer, at(0)).ours(&claims.issuer);
            let is_read = found().is_some_and(|found| found.token.is_some());
            assert_eq!((outcome.is_ok(), is_read), (is_good, is_good));
        }
    }

    #[test]
    fn at_01_only_rsa_is_costly() {
        let rsa = include_bytes!("../tests/fixtures/rsa-2048-test-only.pem");
        let rsa = import(rsa, None, at(0), at(20)).unwrap();
        let keyring = Keyring::read(&[made(Algorithm::EdDSA, 10), rsa], at(0)).unwrap();
        assert_eq!([5, 10, 20].map(|now| keyring.is_costly(at(now))), [false, false, true]);
    }
}
