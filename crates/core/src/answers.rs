//! The traits that answer the questions of the flow. They only compute, so keys, store and transport are independent of each other.
//!
//! The flow calls none of them: an adapter reads from a [`Step`](crate::Step) what it needs, calls these traits, and answers the step.

use crate::{
    AccessTokenClaims, Algorithm, Algorithms, AuthMethod, Client, ClientId, CompactJws, DpopProof, Issuer,
    KeyId, Origin, Participant, Principal, Revocation, Secret, SecretDigest, SignatureFault, Subject,
    SubjectStatus, Timestamp, TokenReading, TrustedIssuer,
};
use std::sync::Arc;

/// Our own keys, and what is done with keys: sign, and check a signature. They never decide whether a token is good.
pub trait Keys: Send + Sync {
    /// Signs the claims as an access token of type `at+jwt` (RFC 9068 §2.1) with the key that signs at `now`.
    ///
    /// # Errors
    /// If no key can sign now.
    fn sign(&self, claims: &AccessTokenClaims, now: Timestamp) -> Result<Secret, SigningFault>;

    /// Checks the signature with the key that the header names, and with the algorithm of that key.
    ///
    /// A key whose verification period ended before `now` does not match, whenever the keys were last read.
    ///
    /// # Errors
    /// If no key of ours matches, or the signature is invalid.
    fn verify(&self, token: &CompactJws, now: Timestamp) -> Result<Verified, SignatureFault>;

    /// Reads a token that may be an access token of this issuer, with a key of ours that still verifies at `now`.
    ///
    /// An implementation may cache what it read, under a cryptographic hash of the whole token and only where it checked the
    /// signature itself; whether the key still verifies is checked each time (conformance JW-40).
    fn read(&self, token: &str, issuer: &Issuer, now: Timestamp) -> TokenReading {
        TokenReading::read(token, issuer, |token| self.verify(token, now))
    }

    /// The public keys as a JWK Set (RFC 7517 §5), JSON, of every key that may verify a live token.
    fn jwks(&self) -> Arc<str>;

    /// Whether signing takes so long (RSA: about a millisecond) that an event loop should not wait for it.
    fn is_costly(&self, now: Timestamp) -> bool;

    /// Checks the signature with the key of this JWK Set that the header's `kid` and `alg` name; without a `kid`, with the only
    /// one that fits. Of the algorithms only those that are accepted count; an empty list accepts each that a key has.
    ///
    /// # Errors
    /// If no key of the set fits, or two different ones do, the set is none, or the signature is not valid.
    fn verify_with(
        &self,
        jwks: &str,
        accepted: Algorithms,
        token: &CompactJws,
    ) -> Result<Verified, SignatureFault>;

    /// Checks the signature of a DPoP proof with the key that it carries (RFC 9449 §4.3). [`Verified::key`] is then the RFC 7638
    /// thumbprint of that key.
    ///
    /// # Errors
    /// If the key is not a public key of ours to verify with, or the signature is not valid.
    fn verify_proof(&self, proof: &DpopProof) -> Result<Verified, SignatureFault>;
}

/// Everything that a token request is answered from: one moment of the world, held in memory.
pub trait Answers: Send + Sync {
    /// The client that is registered under this identifier, disabled ones too.
    fn client(&self, id: &ClientId) -> Option<Arc<Client>>;

    /// Derives what the secret would be stored as, by a way that depends on `client_id` and `secret` only.
    ///
    /// It takes as long for a client that does not exist as for one that does (conformance AB-06).
    fn digest(&self, client_id: &str, secret: &Secret) -> SecretDigest;

    /// Whether [`Answers::digest`] would take milliseconds now, as for a secret that a person chose and that is not known to
    /// be right.
    fn is_costly(&self, client_id: &str, secret: &Secret) -> bool;

    /// Whether an attacker with enough attempts could guess the secret, such as one that a person chose.
    ///
    /// It depends on the secret alone, never on what is registered.
    fn may_be_guessed(&self, secret: &Secret) -> bool;

    /// Whether the token was revoked, alone or together with others.
    fn revoked(&self, token: &AccessTokenClaims) -> Option<Revocation>;

    /// Our keys.
    fn keys(&self) -> &dyn Keys;

    /// The trusted issuer with exactly this identifier, disabled ones too.
    fn issuer(&self, issuer: &str) -> Option<Arc<TrustedIssuer>>;

    /// A trusted issuer whose identifier is similar to this text ([`Issuer::is_similar_to`]), for a message to the operator; without a
    /// list of issuers, `None`.
    fn similar_issuer(&self, _issuer: &str) -> Option<Arc<TrustedIssuer>> {
        None
    }

    /// The client for which this subject of this issuer stands, if it is registered for exactly one.
    fn federated(&self, issuer: &Issuer, subject: &str) -> Option<Arc<Client>>;

    /// What the operator decided about the subject of another issuer or, without one, about the user of an unsecured JWT.
    ///
    /// `sub` is what `sub` of our tokens says: the subject, after the issuer's prefix. [`Namesake::find`](crate::Namesake::find)
    /// computes who else has that name.
    fn subject(&self, issuer: Option<&Issuer>, subject: &str, sub: &str) -> SubjectStatus;

    /// The nonce that DPoP proofs should have from now on, if there are nonces (RFC 9449 §8).
    fn nonce(&self, now: Timestamp) -> Option<Box<str>>;

    /// Whether this nonce was issued recently, by any node.
    fn accepts_nonce(&self, nonce: &str, now: Timestamp) -> bool;
}

/// Hands out moments: each request is answered from exactly one, however the world changes meanwhile.
pub trait World: Send + Sync + 'static {
    /// A moment, immutable and in memory.
    type Moment: Answers + 'static;

    /// The present moment; cheap, and never waits.
    fn now(&self) -> Arc<Self::Moment>;

    /// Whether the present moment is too old to report a token as still active (conformance OP-21).
    fn is_too_old(&self) -> bool {
        false
    }
}

/// What is known now about a token that was issued earlier.
#[derive(Clone)]
pub struct TokenStatus {
    /// Whether the token was revoked.
    pub revocation: Option<Revocation>,
    /// The registration of the client that it names, disabled or not.
    pub client: Option<Arc<Client>>,
    /// The registration of its subject, disabled or not, where the subject is one of ours.
    pub principal: Option<Arc<Client>>,
    /// The operator's decision about its subject, where that is a subject of another issuer.
    pub subject: SubjectStatus,
    /// The issuer of its subject, where that is another one and still on the list.
    pub issuer: Option<Arc<TrustedIssuer>>,
    /// Whether the client can still authenticate, or its session names the identity by which it did: then that identity decides, which
    /// is one of the participants.
    pub is_vouched_for: bool,
    /// The operator's decisions about the parties whose tokens it was obtained with, and about present and prior actors.
    pub participants: ParticipantsStatus,
}

/// The present status of all parties whose tokens a token was obtained with: it ends with each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParticipantsStatus {
    /// All of them, if there are any, are in good standing.
    Good,
    /// A client or an issuer is no longer registered.
    Gone(Principal),
    /// A client, an issuer or a subject of one is disabled.
    Disabled(Principal),
    /// No issuer that vouches for this client is trusted and enabled.
    NotVouchedFor(ClientId),
    /// This identity, by which the client authenticated, is no longer registered for it.
    NotFederated(ClientId, Issuer, Subject),
}

impl TokenStatus {
    /// Collects everything that has to be recalled about the token.
    #[must_use]
    pub fn of(answers: &(impl Answers + ?Sized), token: &AccessTokenClaims) -> Self {
        let client = answers.client(&token.client_id);
        let foreign = token.session.subject_issuer.as_ref();
        let is_ours = foreign.is_none() && !token.session.asserted;
        let principal = if !is_ours {
            None
        } else if token.subject.as_str() == token.client_id.as_str() {
            client.clone()
        } else {
            token.subject.as_str().parse().ok().and_then(|id| answers.client(&id))
        };
        let subject = if is_ours {
            SubjectStatus::default()
        } else {
            answers.subject(foreign, token.issuer_subject().as_str(), token.subject.as_str())
        };
        let issuer = foreign.and_then(|issuer| answers.issuer(issuer.as_str()));
        let is_vouched_for = client.as_ref().is_none_or(|client| is_vouched_for(answers, token, client));
        let participants = participants_status(answers, token);
        Self {
            revocation: answers.revoked(token),
            client,
            principal,
            subject,
            issuer,
            is_vouched_for,
            participants,
        }
    }
}

fn participants_status(answers: &(impl Answers + ?Sized), token: &AccessTokenClaims) -> ParticipantsStatus {
    use ParticipantsStatus::{Disabled, Gone, NotVouchedFor};
    for Participant { issuer, subject, .. } in token.participants() {
        match issuer {
            // The client of the token itself is recalled anyway.
            None if subject == token.client_id.as_str() => {}
            None => match subject.parse().ok().and_then(|id| answers.client(&id)) {
                None => return Gone(Principal::Client(subject.into())),
                Some(client) if !client.enabled => return Disabled(Principal::Client(subject.into())),
                Some(client) if !is_vouched_for(answers, token, &client) => {
                    return NotVouchedFor(client.id.clone());
                }
                Some(_) => {}
            },
            Some(issuer) => match answers.issuer(issuer.as_str()) {
                None => return Gone(Principal::Issuer(issuer.clone())),
                Some(trusted) if !trusted.enabled => return Disabled(Principal::Issuer(issuer.clone())),
                Some(trusted) => {
                    if answers.subject(Some(issuer), subject, &trusted.trust.sub_of(subject)).disabled {
                        return Disabled(Principal::User(Some(issuer.clone()), subject.into()));
                    }
                }
            },
        }
    }
    identities_status(answers, token)
}

/// Whether the identities by which clients authenticated are still registered for them. Their issuers and subjects are participants.
fn identities_status(answers: &(impl Answers + ?Sized), token: &AccessTokenClaims) -> ParticipantsStatus {
    use ParticipantsStatus::{Disabled, Gone, NotFederated};
    for origin in token.origins() {
        let Origin::Identity { issuer, subject, client: id, .. } = origin else { continue };
        let Some(client) = answers.client(id) else { return Gone(Principal::Client(id.as_str().into())) };
        if !client.enabled {
            return Disabled(Principal::Client(id.as_str().into()));
        }
        if !client.rights.federations.iter().any(|registered| registered.is_of(issuer, subject.as_str())) {
            return NotFederated(id.clone(), issuer.clone(), subject.clone());
        }
    }
    ParticipantsStatus::Good
}

/// Whether the token names the identity by which the client authenticated, the client has its own credential, or an issuer that vouches
/// for it is still trusted. Tokens of earlier builds do not name the identity.
fn is_vouched_for(answers: &(impl Answers + ?Sized), token: &AccessTokenClaims, client: &Client) -> bool {
    let is_of_client =
        |origin: &Origin| matches!(origin, Origin::Identity { client: id, .. } if *id == client.id);
    let is_trusted = |issuer: &Issuer| answers.issuer(issuer.as_str()).is_some_and(|issuer| issuer.enabled);
    client.rights.auth_method != AuthMethod::Federated
        || token.origins().any(is_of_client)
        || client.rights.federations.iter().any(|federation| is_trusted(&federation.issuer))
}

/// States that a signature is valid. The name is conspicuous because the code that makes one vouches for the token it is returned with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    key: KeyId,
    algorithm: Algorithm,
}

impl Verified {
    /// States that the signature was verified with this key and algorithm.
    #[must_use]
    pub fn assertion(key: KeyId, algorithm: Algorithm) -> Self {
        Self { key, algorithm }
    }

    /// The key that verified.
    #[must_use]
    pub fn key(&self) -> &KeyId {
        &self.key
    }

    /// The algorithm of that key.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// Why signing failed. The cause is always the server, never the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningFault {
    /// No signing key is active yet.
    #[error("no key is there to sign with")]
    NoKey,
    /// The key refused.
    #[error("key {key} failed to sign")]
    Key {
        /// The key.
        key: KeyId,
    },
}
