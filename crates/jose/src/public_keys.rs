//! Chooses the key of a JWK Set that verifies a token: RFC 8725 §3, conformance JW-12 to JW-25.

use crate::jwk::{PublicJwk, Spelling};
use crate::unfit_key::{Defect, UnfitKey};
use crate::verifying_key::VerifyingKey;
use std::sync::Arc;
use tokenberg_core::jws::{Algorithm, Algorithms, DpopProof, Header, KeyId, NoKey, Sought};
use tokenberg_core::{CompactJws, SignatureFault, Verified};

/// The maximum number of keys of a JWK Set that are used; further ones are left out.
pub const MOST_KEYS: usize = 500;

/// Public keys, each with the algorithms that it may be used with.
#[derive(Debug, Default)]
pub struct PublicKeys {
    pub(crate) keys: Vec<Arc<VerifyingKey>>,
    pub(crate) ignored: Vec<IgnoredKey>,
    pub(crate) left_out: usize,
    /// The names of the keys that were left out, and why.
    pub(crate) unlisted: Vec<(KeyId, UnfitKey)>,
}

/// A key of a JWK Set that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IgnoredKey {
    /// Its position in the set, counted from 0.
    pub position: usize,
    /// Its `kid`, if it has a usable one.
    pub id: Option<KeyId>,
    /// The reason.
    pub reason: UnfitKey,
    /// What exactly is malformed, if that is the reason and known.
    pub defect: Option<Defect>,
}

impl PublicKeys {
    /// Our own keys, which a [`Keyring`](crate::Keyring) has checked.
    pub(crate) fn of(keys: Vec<Arc<VerifyingKey>>) -> Self {
        Self { keys, ..Self::default() }
    }

    /// As [`PublicKeys::verify_among`], with all algorithms of the key accepted.
    ///
    /// # Errors
    /// If no key fits, or two different ones do, or the signature is wrong.
    pub fn verify(&self, token: &CompactJws) -> Result<Verified, SignatureFault> {
        self.verify_among(Algorithms::default(), token)
    }

    /// Checks the signature with the key that the token's `kid` and `alg` name; without a `kid`, with the only key that fits.
    ///
    /// Only accepted algorithms count; an empty set accepts all that a key has. An RSA key without `alg` is used with the
    /// accepted algorithms of RSA and, if none is listed, with RS256.
    ///
    /// # Errors
    /// If no key fits, or two different ones do, or the signature is wrong.
    pub fn verify_among(&self, accepted: Algorithms, token: &CompactJws) -> Result<Verified, SignatureFault> {
        self.verify_parts(accepted, token.header(), token.signing_input(), token.signature())
    }

    /// As [`PublicKeys::verify_among`], also for payloads that are not JSON.
    pub(crate) fn verify_parts(
        &self,
        accepted: Algorithms,
        header: &Header,
        signing_input: &[u8],
        signature: &[u8],
    ) -> Result<Verified, SignatureFault> {
        let (key, algorithm) = self.chosen(accepted, header)?;
        key.verify(algorithm, signing_input, signature)
    }

    /// The one key and algorithm to verify such a token with, chosen before any signature is computed.
    fn chosen<'a>(
        &'a self,
        accepted: Algorithms,
        header: &'a Header,
    ) -> Result<(&'a VerifyingKey, Algorithm), SignatureFault> {
        let mut found: Option<(&'a VerifyingKey, Algorithm)> = None;
        for key in self.named(header) {
            let Some(algorithm) = key.algorithms_among(accepted).named(&header.alg) else { continue };
            match found {
                None => found = Some((key, algorithm)),
                // The same key under two names is one key.
                Some((other, _)) if other.material() == key.material() => {}
                Some(_) => return Err(SignatureFault::Several(Box::new(Sought::by(header)))),
            }
        }
        found.ok_or_else(|| self.why_none(accepted, header))
    }

    /// The keys with the header's `kid`, or all if it has none.
    fn named<'a>(&'a self, header: &'a Header) -> impl Iterator<Item = &'a VerifyingKey> {
        let is_named = move |key: &&VerifyingKey| header.kid.as_ref().is_none_or(|kid| kid == key.id());
        self.keys.iter().map(|key| &**key).filter(is_named)
    }

    fn why_none(&self, accepted: Algorithms, header: &Header) -> SignatureFault {
        if let Some(other) = self.named(header).find_map(|key| key.possible_algorithms().named(&header.alg))
            && !accepted.is_empty()
        {
            return SignatureFault::NotAccepted(other);
        }
        let Some(kid) = &header.kid else { return self.no_key(header) };
        if let Some(key) = self.named(header).next() {
            let all = self.named(header).map(|key| key.algorithms_among(accepted));
            let expected = all.fold(Algorithms::default(), Algorithms::union);
            return SignatureFault::algorithm(header, key.id().clone(), expected);
        }
        match self.why_unused(kid) {
            Some(reason) => SignatureFault::Unusable { key: kid.clone(), reason: reason.as_str() },
            None => self.no_key(header),
        }
    }

    /// The fault for a token that no key fits, with a possible cause: published keys that are not used.
    fn no_key(&self, header: &Header) -> SignatureFault {
        SignatureFault::NoKey(Box::new(NoKey {
            sought: Sought::by(header),
            usable: self.keys.len(),
            unusable: self.ignored.len() + self.left_out,
            reason: self.ignored.first().map(|ignored| ignored.reason.as_str()),
        }))
    }

    /// Why the key of this name is not used; `None` if the set has no such key.
    fn why_unused(&self, kid: &KeyId) -> Option<UnfitKey> {
        let listed = self.ignored.iter().find(|ignored| ignored.id.as_ref() == Some(kid));
        let unlisted = || self.unlisted.iter().find(|(id, _)| id == kid).map(|(_, reason)| *reason);
        listed.map(|ignored| ignored.reason).or_else(unlisted)
    }

    /// Whether the set holds the key that the header names, usable or not: a newer set would not help the token.
    pub(crate) fn knows(&self, header: &Header) -> bool {
        match &header.kid {
            Some(kid) => self.named(header).next().is_some() || self.why_unused(kid).is_some(),
            None => self.keys.iter().any(|key| key.possible_algorithms().named(&header.alg).is_some()),
        }
    }

    /// The only key of the set, if it has exactly one.
    pub(crate) fn only(&self) -> Option<Arc<VerifyingKey>> {
        let [key] = &*self.keys else { return None };
        Some(Arc::clone(key))
    }

    /// The first hundred keys of the set that are not used, in its order.
    #[must_use]
    pub fn ignored(&self) -> &[IgnoredKey] {
        &self.ignored
    }

    /// The number of further unused keys, which are not listed as ignored.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The number of keys that can be used with one of these algorithms; an empty set means all.
    #[must_use]
    pub fn usable_among(&self, accepted: Algorithms) -> usize {
        self.keys.iter().filter(|key| !key.algorithms_among(accepted).is_empty()).count()
    }

    /// The number of keys to verify with.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it has no key to verify with.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl std::fmt::Display for IgnoredKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A `kid` of another party may be any text, so it is escaped.
        match &self.id {
            Some(id) => write!(f, "key {} ({:?}) is ignored: ", self.position, id.as_str())?,
            None => write!(f, "key {} is ignored: ", self.position)?,
        }
        match self.defect {
            Some(defect) => write!(f, "{defect}"),
            None => write!(f, "{}", self.reason),
        }
    }
}

/// Verifies a proof with the key in its header, which is named by its thumbprint whatever its `kid`.
pub(crate) fn verify_with_own_key(proof: &DpopProof) -> Result<Verified, SignatureFault> {
    let mut jwk = proof.jwk().clone();
    jwk.remove("kid");
    let read = PublicJwk::of(&jwk, Spelling::Canonical).read();
    let key = read.map_err(|unfit| SignatureFault::Carried(unfit.as_str()))?;
    // Key and header have the same author, so an RSA key without `alg` is for the padding that the header names.
    let ours: Algorithms = Algorithm::SIGNING.into_iter().collect();
    let usable = key.algorithms_among(ours);
    let token = proof.token();
    let Some(algorithm) = usable.named(&token.header().alg) else {
        return Err(SignatureFault::algorithm(token.header(), key.id().clone(), usable));
    };
    key.verify(algorithm, token.signing_input(), token.signature())
}
