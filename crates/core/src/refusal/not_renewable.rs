//! Why an expired token is not renewed: conformance D13.

use crate::{ClientId, Lifetime, Timestamp};

/// Which condition of the renewal of an expired token is not met (conformance D13).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRenewable {
    /// It was issued to another client.
    #[error("it was issued to the client {0}, and only that client can renew it")]
    OtherClient(Box<ClientId>),
    /// It is for a user, and its present actor is not the client: the client's credential does not stand for them.
    #[error(
        "the client is neither its subject nor its current actor, so the client's credential does not renew it"
    )]
    NotTheActor,
    /// The request names another actor than the token.
    #[error("an expired token cannot be renewed with another actor")]
    AnotherActor,
    /// It expired too long ago.
    #[error("it is {now} now; it could be renewed for {most} after that")]
    TooLate {
        /// The present.
        now: Timestamp,
        /// How long after its end a token is renewed.
        most: Lifetime,
    },
}
