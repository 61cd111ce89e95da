//! Answers of which some are supposed: the authentication of a client, and the signatures of its tokens.

use super::verdict::Explanation;
use crate::answers::{SigningFault, SubjectStatus};
use crate::backends::{KeysUnavailable, NotWritten};
use crate::jws::{Algorithm, Algorithms, DpopProof, KeyId};
use crate::registration::StoredSecret;
use crate::token::SingleUseId;
use crate::{
    AccessTokenClaims, Answers, AuthMethod, Blocking, Client, ClientId, CompactJws, Issuer, Keys, Revocation,
    Secret, SecretDigest, SignatureFault, Timestamp, TrustedIssuer, Verified,
};
use std::sync::Arc;

/// The secret of every supposed authentication, and its digest.
pub(super) const SECRET: &str = "supposed";
const DIGEST: SecretDigest = SecretDigest([0x5a; 32]);
/// The key of every supposed token.
pub(super) const KEY: &str = "supposed";

/// Asks with answers in which this client authenticates with the supposed secret, and these tokens verify.
pub(super) fn supposing<A: Answers + ?Sized, B: Blocking + ?Sized>(
    client: &ClientId,
    tokens: &[String],
    answers: &A,
    blocking: &B,
    ask: impl FnOnce(&AsIf<'_, A>, &Verifying<'_, B>) -> Explanation,
) -> Explanation {
    let keys = SupposedKeys { keys: answers.keys(), tokens };
    ask(&AsIf { answers, client, keys }, &Verifying { blocking, tokens })
}

/// Whether it has a credential that can be supposed. The others may do less.
pub(super) fn has_credential(client: &Client) -> bool {
    client.rights.auth_method != AuthMethod::Public
}

/// Whether it is one of the supposed tokens, whose signatures are supposed to be valid.
fn verified(tokens: &[String], token: &CompactJws) -> Option<Verified> {
    let is_supposed = tokens.iter().any(|supposed| supposed == token.expose());
    let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.is_named(&token.header().alg))?;
    is_supposed.then(|| Verified::assertion(KeyId::new(KEY), algorithm))
}

/// The answers, with a client that authenticates by the supposed secret.
pub(super) struct AsIf<'a, A: ?Sized> {
    answers: &'a A,
    client: &'a ClientId,
    keys: SupposedKeys<'a>,
}

pub(super) struct SupposedKeys<'a> {
    keys: &'a dyn Keys,
    tokens: &'a [String],
}

pub(super) struct Verifying<'a, B: ?Sized> {
    blocking: &'a B,
    tokens: &'a [String],
}

impl<A: Answers + ?Sized> Answers for AsIf<'_, A> {
    fn client(&self, id: &ClientId) -> Option<Arc<Client>> {
        let mut client = self.answers.client(id)?;
        if id == self.client && has_credential(&client) {
            let known = Arc::make_mut(&mut client);
            known.secrets = vec![StoredSecret { id: KEY.into(), digest: DIGEST, expires_at: None }].into();
            let rights = known.rights_mut();
            // How it authenticates, and what it would prove with it, is supposed.
            rights.auth_method = AuthMethod::ClientSecret;
            rights.dpop_bound = false;
        }
        Some(client)
    }

    fn digest(&self, _: &str, _: &Secret) -> SecretDigest {
        DIGEST
    }

    fn is_costly(&self, _: &str, _: &Secret) -> bool {
        false
    }

    fn may_be_guessed(&self, _: &Secret) -> bool {
        false
    }

    fn revoked(&self, token: &AccessTokenClaims) -> Option<Revocation> {
        self.answers.revoked(token)
    }

    fn keys(&self) -> &dyn Keys {
        &self.keys
    }

    fn issuer(&self, issuer: &str) -> Option<Arc<TrustedIssuer>> {
        self.answers.issuer(issuer)
    }

    fn similar_issuer(&self, issuer: &str) -> Option<Arc<TrustedIssuer>> {
        self.answers.similar_issuer(issuer)
    }

    fn federated(&self, issuer: &Issuer, subject: &str) -> Option<Arc<Client>> {
        self.answers.federated(issuer, subject)
    }

    fn subject(&self, issuer: Option<&Issuer>, subject: &str, sub: &str) -> SubjectStatus {
        self.answers.subject(issuer, subject, sub)
    }

    fn nonce(&self, now: Timestamp) -> Option<Box<str>> {
        self.answers.nonce(now)
    }

    fn accepts_nonce(&self, nonce: &str, now: Timestamp) -> bool {
        self.answers.accepts_nonce(nonce, now)
    }
}

impl Keys for SupposedKeys<'_> {
    fn sign(&self, claims: &AccessTokenClaims, now: Timestamp) -> Result<Secret, SigningFault> {
        self.keys.sign(claims, now)
    }

    fn verify(&self, token: &CompactJws, now: Timestamp) -> Result<Verified, SignatureFault> {
        verified(self.tokens, token).map_or_else(|| self.keys.verify(token, now), Ok)
    }

    fn jwks(&self) -> Arc<str> {
        self.keys.jwks()
    }

    fn is_costly(&self, now: Timestamp) -> bool {
        self.keys.is_costly(now)
    }

    fn verify_with(
        &self,
        jwks: &str,
        accepted: Algorithms,
        token: &CompactJws,
    ) -> Result<Verified, SignatureFault> {
        verified(self.tokens, token).map_or_else(|| self.keys.verify_with(jwks, accepted, token), Ok)
    }

    fn verify_proof(&self, proof: &DpopProof) -> Result<Verified, SignatureFault> {
        self.keys.verify_proof(proof)
    }
}

impl<B: Blocking + ?Sized> Blocking for Verifying<'_, B> {
    fn use_once(&self, once: &SingleUseId) -> Result<bool, NotWritten> {
        self.blocking.use_once(once)
    }

    fn verify(
        &self,
        issuer: &TrustedIssuer,
        token: &CompactJws,
        now: Timestamp,
    ) -> Result<Result<Verified, SignatureFault>, KeysUnavailable> {
        match verified(self.tokens, token) {
            Some(verified) => Ok(Ok(verified)),
            None => self.blocking.verify(issuer, token, now),
        }
    }
}
