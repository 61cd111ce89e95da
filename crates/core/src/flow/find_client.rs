//! Finds the client and checks its secret, RFC 6749 §2.3.1; finds the client that a foreign identity stands for.

use super::listener::Listener;
use super::question::{Asks, ask};
use super::who::Who;
use crate::policy::client_secret;
use crate::policy::proof::Authenticated;
use crate::refusal::Refusal;
use crate::request::client_authentication::{CredentialReading, SecretAuthentication};
use crate::{Answers, Client, ClientId, Secret, SecretDigest, Timestamp};
use std::sync::Arc;

/// Starts authentication by client secret, and continues with `then` on success.
pub(crate) fn begin<S: Asks + 'static>(
    secret: SecretAuthentication,
    now: Timestamp,
    then: impl FnOnce(Authenticated) -> Result<S, Refusal> + Send + 'static,
) -> Result<S, Refusal> {
    let readings = secret.readings.into_iter();
    Proving { now, then: Box::new(then), readings, outcome: Err(Refusal::NoCredentials) }.next()
}

type ThenFound<S> = Box<dyn FnOnce(Option<Arc<Client>>) -> Result<S, Refusal> + Send>;

type Then<S> = Box<dyn FnOnce(Authenticated) -> Result<S, Refusal> + Send>;

/// Every reading is tried to its end, so that the response time does not reveal which one was right.
struct Proving<S> {
    now: Timestamp,
    then: Then<S>,
    readings: std::vec::IntoIter<CredentialReading>,
    outcome: Result<Authenticated, Refusal>,
}

impl<S: Asks> Proving<S> {
    fn next(mut self) -> Result<S, Refusal> {
        let Some(mut reading) = self.readings.next() else {
            return (self.then)(self.outcome?);
        };
        // It is needed as an identifier only.
        let question = match ClientId::try_from(String::from(std::mem::take(&mut reading.client_id))) {
            Ok(client_id) => {
                ask(FindClient { who: Who::Id(client_id), purpose: Purpose::Secret(self, reading) })
            }
            // No client can be registered under such an identifier; the secret is digested all the same.
            Err(_) => ask(DigestSecret { proving: self, reading, client_id: None, client: None }),
        };
        Ok(question)
    }

    fn record(mut self, outcome: Result<Authenticated, Refusal>) -> Self {
        self.outcome = match (self.outcome, outcome) {
            (Ok(first), _) => Ok(first),
            (Err(_), Ok(second)) => Ok(second),
            // For the operator, a wrong or expired secret is more informative than another reading that names no client.
            (Err(first @ (Refusal::ExpiredSecret(_) | Refusal::DisabledClient(_))), Err(_)) => Err(first),
            (Err(_), Err(second @ Refusal::ExpiredSecret(_))) => Err(second),
            (Err(first @ Refusal::WrongSecret { .. }), Err(_)) => Err(first),
            (Err(_), Err(second)) => Err(second),
        };
        self
    }
}

/// Asks for the client registered under an identifier.
pub struct FindClient<S> {
    who: Who,
    purpose: Purpose<S>,
}

enum Purpose<S> {
    Secret(Proving<S>, CredentialReading),
    Other(ThenFound<S>),
}

impl<S: Asks> FindClient<S> {
    /// Looks the client up for a purpose that does not need its secret.
    pub(super) fn new(
        who: Who,
        then: impl FnOnce(Option<Arc<Client>>) -> Result<S, Refusal> + Send + 'static,
    ) -> Self {
        Self { who, purpose: Purpose::Other(Box::new(then)) }
    }

    /// How the client was named.
    pub(crate) fn who(&self) -> &Who {
        &self.who
    }

    /// Answers with the registration, disabled or not, or with `None` if there is none. Where a secret was presented, it is digested
    /// before anything is refused.
    pub(crate) fn found(self, client: Option<Arc<Client>>) -> Result<S, Refusal> {
        match (self.purpose, self.who) {
            (Purpose::Secret(proving, reading), Who::Id(client_id)) => {
                let client_id = Some(client_id);
                Ok(ask(DigestSecret { proving, reading, client_id, client }))
            }
            (Purpose::Secret(..), Who::Federated(..)) => Err(Refusal::NoCredentials),
            (Purpose::Other(then), who) => then(client.filter(|client| match &who {
                // An adapter whose look-up folds case must not turn one client into another.
                Who::Id(id) => client.id == *id,
                Who::Federated(issuer, subject) => {
                    client.rights.federations.iter().any(|federation| federation.is_of(issuer, subject))
                }
            })),
        }
    }
}

/// Asks for the stored form of a secret. The answer may take milliseconds.
pub struct DigestSecret<S> {
    proving: Proving<S>,
    reading: CredentialReading,
    client_id: Option<ClientId>,
    client: Option<Arc<Client>>,
}

impl<S: Asks> DigestSecret<S> {
    /// The identifier that the digest includes, empty if it is not a valid one.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.client_id.as_ref().map_or("", ClientId::as_str)
    }

    /// The secret, 1 to 1024 bytes.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.reading.secret
    }

    /// Derives the digest on the calling thread, and answers with it.
    ///
    /// # Errors
    /// As [`DigestSecret::digested`].
    pub fn computed(
        self,
        answers: &(impl Answers + ?Sized),
        listener: &mut (impl Listener + ?Sized),
    ) -> Result<S, Refusal> {
        let digest = answers.digest(self.client_id(), self.secret());
        self.digested(&digest, listener)
    }

    /// Answers with the digest.
    ///
    /// # Errors
    /// A [`Refusal`] if the secret does not authenticate the client, or the request is refused without further questions.
    pub fn digested(
        self,
        digest: &SecretDigest,
        listener: &mut (impl Listener + ?Sized),
    ) -> Result<S, Refusal> {
        let now = self.proving.now;
        listener.secret_digested(self.client_id(), digest, now);
        let presented = (&self.reading.secret, digest);
        self.proving.record(client_secret::check(self.client_id, self.client, presented, now)).next()
    }
}
