//! Who asks, and does he know the secret? RFC 6749 §2.3.1.

use super::Step;
use crate::policy::client_secret;
use crate::policy::proof::Authenticated;
use crate::refusal::Refusal;
use crate::request::client_authentication::{Reading, SecretAuthentication};
use crate::{Client, ClientId, Secret, SecretDigest, Timestamp};
use std::sync::Arc;

/// Begins to prove the client, and goes on with `then` once that is done.
pub(crate) fn begin<S: AsksForClients>(
    secret: SecretAuthentication,
    now: Timestamp,
    then: impl FnOnce(Authenticated) -> Result<S, Refusal> + Send + 'static,
) -> Result<S, Refusal> {
    let readings = secret.readings.into_iter();
    Proving { now, then: Box::new(then), readings, outcome: Err(Refusal::NoCredentials) }.next()
}

/// A step of any endpoint that clients prove themselves to: the same two questions come first.
pub trait AsksForClients: From<FindClient<Self>> + From<DigestSecret<Self>> {}

impl<S: From<FindClient<S>> + From<DigestSecret<S>>> AsksForClients for S {}

type Then<S> = Box<dyn FnOnce(Authenticated) -> Result<S, Refusal> + Send>;

/// Every reading is tried to its end, so that the time tells nothing about which one was right.
struct Proving<S> {
    now: Timestamp,
    then: Then<S>,
    readings: std::vec::IntoIter<Reading>,
    outcome: Result<Authenticated, Refusal>,
}

impl<S: AsksForClients> Proving<S> {
    fn next(mut self) -> Result<S, Refusal> {
        let Some(reading) = self.readings.next() else {
            return (self.then)(self.outcome?);
        };
        Ok(match reading.client_id.parse() {
            Ok(client_id) => FindClient { proving: self, reading, client_id }.into(),
            // Nobody can be registered so; the secret is digested all the same.
            Err(_) => DigestSecret { proving: self, reading, client_id: None, client: None }.into(),
        })
    }

    fn record(mut self, outcome: Result<Authenticated, Refusal>) -> Self {
        self.outcome = match (self.outcome, outcome) {
            (Ok(first), _) => Ok(first),
            (Err(_), Ok(second)) => Ok(second),
            // That a secret was wrong says more to the operator than that another reading named nobody.
            (Err(first @ (Refusal::WrongSecret { .. } | Refusal::DisabledClient(_))), Err(_)) => Err(first),
            (Err(_), Err(second)) => Err(second),
        };
        self
    }
}

/// Who is registered under this identifier?
pub struct FindClient<S = Step> {
    proving: Proving<S>,
    reading: Reading,
    client_id: ClientId,
}

impl<S: AsksForClients> FindClient<S> {
    /// The identifier.
    #[must_use]
    pub fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// Answers with the registration, disabled or not, or with `None` if there is none.
    ///
    /// # Errors
    /// None now; whoever asks learns nothing before his secret was digested.
    pub fn found(self, client: Option<Arc<Client>>) -> Result<S, Refusal> {
        let client_id = Some(self.client_id);
        Ok(DigestSecret { proving: self.proving, reading: self.reading, client_id, client }.into())
    }
}

/// What would this secret be stored as? The answer may take milliseconds.
pub struct DigestSecret<S = Step> {
    proving: Proving<S>,
    reading: Reading,
    client_id: Option<ClientId>,
    client: Option<Arc<Client>>,
}

impl<S: AsksForClients> DigestSecret<S> {
    /// The identifier that goes into the digest, empty if it could not be one.
    #[must_use]
    pub fn client_id(&self) -> &str {
        self.client_id.as_ref().map_or("", ClientId::as_str)
    }

    /// The secret, 1 to 1024 bytes.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.reading.secret
    }

    /// Answers with the digest.
    ///
    /// # Errors
    /// A [`Refusal`] if the client has not proven who it is, or what it asks for is refused without asking more.
    pub fn digested(self, digest: &SecretDigest) -> Result<S, Refusal> {
        let now = self.proving.now;
        self.proving.record(client_secret::check(self.client_id, self.client, digest, now)).next()
    }
}
