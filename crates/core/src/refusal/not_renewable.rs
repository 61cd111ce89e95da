//! Why an expired token is not renewed: conformance D13.

use crate::Lifetime;

/// Which condition of the renewal of an expired token is not met (conformance D13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRenewable {
    /// It was issued to somebody else.
    #[error("it was issued to another client")]
    OtherClient,
    /// It is for a user, and its present actor is not the client: the client's credential does not stand for them.
    #[error(
        "it is neither the client's own nor is the client its present actor, so the client's credential does not renew it"
    )]
    NotTheActor,
    /// The request names another actor than the token.
    #[error("an expired token is renewed as it is, without another actor")]
    AnotherActor,
    /// It expired too long ago.
    #[error("that is longer ago than {0}")]
    TooLate(Lifetime),
}
