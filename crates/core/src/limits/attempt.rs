//! An attempt to authenticate, as far as its failure is limited: which counts it is checked against and added to.

use super::source::source_of;
use crate::request::{Authentication, Credential, CredentialReading};
use crate::{NotGranted, Refusal, Secret, SignatureFault, TokenFault};
use std::hash::BuildHasher;
use std::net::IpAddr;

/// The credential of a request, as far as failures with it are limited. It is made of an [`Authentication`] or a [`Credential`].
#[derive(Clone, Copy, Debug)]
pub enum PresentedCredential<'a> {
    /// A secret, in each reading of the request.
    Secret(&'a [CredentialReading]),
    /// A token or an assertion, whose signature is verified.
    Token(&'a Secret),
    /// A credential that can neither be guessed nor is costly to check.
    Other,
}

impl<'a> From<&'a Credential> for PresentedCredential<'a> {
    fn from(credential: &'a Credential) -> Self {
        match credential {
            Credential::Secret(secret) => Self::Secret(&secret.readings),
            Credential::Assertion(assertion) => Self::Token(&assertion.assertion),
            Credential::IdToken(presented) => Self::Token(&presented.id_token),
            Credential::Certificate(presented) => {
                presented.id_token.as_ref().map_or(Self::Other, Self::Token)
            }
        }
    }
}

impl<'a> From<&'a Authentication> for PresentedCredential<'a> {
    fn from(authentication: &'a Authentication) -> Self {
        match authentication {
            Authentication::Credential(credential) => credential.into(),
            Authentication::Bearer(bearer) => Self::Token(&bearer.token),
        }
    }
}

/// A client that tries to authenticate. It outlives the request that it was made of.
#[derive(Debug)]
#[must_use = "an attempt is limited by Limiter::check and Limiter::record"]
pub struct Attempt {
    by_secret: bool,
    limited: Option<Limited>,
}

#[derive(Debug)]
enum Limited {
    Guess(Guess),
    /// A signature that is costly to verify, by the key of the source.
    Signature(u64),
}

/// A presented secret, as keys of the tables.
#[derive(Debug)]
pub(super) struct Guess {
    /// Client identifier and source, for each reading of the request.
    pub(super) pairs: Vec<u64>,
    pub(super) source: u64,
    pub(super) may_be_guessed: bool,
}

impl Attempt {
    /// The attempt of a request from this address; without one, nothing is limited.
    ///
    /// `keys` are the same for the life of the process, and clients cannot predict their hashes: `std::hash::RandomState`.
    /// `may_be_guessed` is [`Answers::may_be_guessed`](crate::Answers::may_be_guessed). A secret that cannot be guessed is always
    /// checked: see [`Limiter::record`](super::Limiter::record).
    pub fn of<'a>(
        credential: impl Into<PresentedCredential<'a>>,
        address: Option<IpAddr>,
        keys: &impl BuildHasher,
        may_be_guessed: impl Fn(&Secret) -> bool,
    ) -> Self {
        let credential = credential.into();
        let limited = match (credential, address.map(source_of)) {
            (PresentedCredential::Secret(readings), Some(source)) => Some(Limited::Guess(Guess {
                pairs: readings.iter().map(|r| keys.hash_one((&r.client_id, source))).collect(),
                source: keys.hash_one(source),
                may_be_guessed: readings.iter().any(|reading| may_be_guessed(&reading.secret)),
            })),
            (PresentedCredential::Token(token), Some(source)) if is_costly(token.expose()) => {
                Some(Limited::Signature(keys.hash_one(("signature", source))))
            }
            (PresentedCredential::Secret(_) | PresentedCredential::Token(_), _)
            | (PresentedCredential::Other, _) => None,
        };
        Self { by_secret: matches!(credential, PresentedCredential::Secret(_)), limited }
    }

    /// Whether [`Limiter::check`](super::Limiter::check) may refuse it. If not, there is no need to take a lock for it.
    #[must_use]
    pub fn may_be_refused(&self) -> bool {
        match &self.limited {
            Some(Limited::Guess(guess)) => guess.may_be_guessed,
            Some(Limited::Signature(_)) => true,
            None => false,
        }
    }

    /// Whether the request was refused for a wrong secret, from whatever source, for a metric.
    #[must_use]
    pub fn is_failed_guess(&self, reason: &NotGranted) -> bool {
        self.by_secret && refusal(reason).is_some_and(Refusal::is_failed_guess)
    }

    /// The outcome, for [`Limiter::record`](super::Limiter::record): why the request was not granted, or `None` if it was. Returns
    /// `None` if there is nothing to record. An attempt whose request ended in a failure of yours is dropped instead.
    #[must_use]
    pub fn judged(self, reason: Option<&NotGranted>) -> Option<Judged> {
        let is_failed_guess = reason.is_some_and(|reason| self.is_failed_guess(reason));
        Some(Judged(match self.limited? {
            Limited::Guess(guess) if is_failed_guess => Counted::Failure(guess),
            Limited::Guess(guess) if reason.is_none() && guess.may_be_guessed => Counted::Success(guess),
            Limited::Signature(source) if reason.and_then(refusal).is_some_and(is_bad_signature) => {
                Counted::Forgery(source)
            }
            Limited::Guess(_) | Limited::Signature(_) => return None,
        }))
    }

    pub(super) fn guess(&self) -> Option<&Guess> {
        if let Some(Limited::Guess(guess)) = &self.limited { Some(guess) } else { None }
    }

    pub(super) fn costly_signature(&self) -> Option<u64> {
        if let Some(Limited::Signature(source)) = self.limited { Some(source) } else { None }
    }
}

/// The outcome of an attempt, to be recorded.
#[derive(Debug)]
#[must_use = "an outcome counts when Limiter::record gets it"]
pub struct Judged(pub(super) Counted);

#[derive(Debug)]
pub(super) enum Counted {
    Failure(Guess),
    Success(Guess),
    Forgery(u64),
}

/// The length of a signature with ES384, 96 bytes, in base64url. No other accepted algorithm has signatures of that length.
const ES384_SIGNATURE: usize = 128;

/// Whether verifying the signature of the token takes several times as long as the rest of a request: half a millisecond with
/// ES384. RSA keys are cheap to verify with, because those of more than 4096 bits are refused (conformance AB-10).
fn is_costly(token: &str) -> bool {
    token.rsplit('.').next().unwrap_or_default().len() == ES384_SIGNATURE
}

fn refusal(reason: &NotGranted) -> Option<&Refusal> {
    match reason {
        NotGranted::Refused(refusal) => Some(refusal),
        NotGranted::Unsigned(_) | NotGranted::Unwritten(_) | NotGranted::KeysUnavailable(_) => None,
    }
}

/// Whether the signature of the credential is bad, which never happens to a client with its own key.
fn is_bad_signature(refusal: &Refusal) -> bool {
    let (Refusal::BearerToken(TokenFault::Signature(fault))
    | Refusal::ClientAssertion(TokenFault::Signature(fault))) = refusal
    else {
        return false;
    };
    matches!(fault, SignatureFault::Signature { .. })
}
