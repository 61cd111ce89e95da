//! The kinds of proof by which a client authenticates.

use tokenberg_core::Credential;

/// What a client authenticates with, as far as it says what a failure comes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    None,
    /// A secret or a certificate, which is checked before anything is asked of an issuer or of the store.
    Held,
    Assertion,
    Bearer,
}

impl Proof {
    pub(super) fn of(credential: &Credential) -> Self {
        match credential {
            Credential::Secret(_) | Credential::Certificate(_) => Self::Held,
            Credential::Assertion(_) => Self::Assertion,
        }
    }
}
