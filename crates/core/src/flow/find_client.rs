//! Who asks, and does he know the secret? RFC 6749 §2.3.1.

use super::{Asked, Known, Step, authenticated};
use crate::policy::client_secret;
use crate::policy::proof::Authenticated;
use crate::refusal::Refusal;
use crate::request::client_authentication::{Reading, SecretAuthentication};
use crate::{Client, ClientId, Secret, SecretDigest};
use std::sync::Arc;

pub(super) fn begin(known: Known, asked: Asked, secret: SecretAuthentication) -> Result<Step, Refusal> {
    Proving { known, asked, readings: secret.readings.into_iter(), outcome: Err(Refusal::NoCredentials) }
        .next()
}

/// Every reading is tried to its end, so that the time tells nothing about which one was right.
struct Proving {
    known: Known,
    asked: Asked,
    readings: std::vec::IntoIter<Reading>,
    outcome: Result<Authenticated, Refusal>,
}

impl Proving {
    fn next(mut self) -> Result<Step, Refusal> {
        let Some(reading) = self.readings.next() else {
            return authenticated(self.known, self.outcome?, self.asked);
        };
        Ok(match reading.client_id.parse() {
            Ok(client_id) => Step::FindClient(FindClient { proving: self, reading, client_id }),
            // Nobody can be registered so; the secret is digested all the same.
            Err(_) => {
                Step::DigestSecret(DigestSecret { proving: self, reading, client_id: None, client: None })
            }
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
pub struct FindClient {
    proving: Proving,
    reading: Reading,
    client_id: ClientId,
}

impl FindClient {
    /// The identifier.
    #[must_use]
    pub fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// Answers with the registration, disabled or not, or with `None` if there is none.
    ///
    /// # Errors
    /// None now; whoever asks learns nothing before his secret was digested.
    pub fn found(self, client: Option<Arc<Client>>) -> Result<Step, Refusal> {
        let client_id = Some(self.client_id);
        Ok(Step::DigestSecret(DigestSecret {
            proving: self.proving,
            reading: self.reading,
            client_id,
            client,
        }))
    }
}

/// What would this secret be stored as? The answer may take milliseconds.
pub struct DigestSecret {
    proving: Proving,
    reading: Reading,
    client_id: Option<ClientId>,
    client: Option<Arc<Client>>,
}

impl DigestSecret {
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
    pub fn digested(self, digest: &SecretDigest) -> Result<Step, Refusal> {
        let now = self.proving.known.now;
        self.proving.record(client_secret::check(self.client_id, self.client, digest, now)).next()
    }
}
