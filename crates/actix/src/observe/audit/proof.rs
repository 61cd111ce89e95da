//! The kinds of proof by which a client authenticates.

use tokenberg_core::request::Credential;

/// The kind of a client's credential, as far as it decides what a failure comes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    None,
    /// A secret or a certificate, which is checked before anything is requested from an issuer or the store.
    Held,
    Assertion,
    Bearer,
}

impl Proof {
    pub(super) fn of(credential: &Credential) -> Self {
        match credential {
            Credential::Certificate(presented) if presented.id_token.is_some() => Self::Assertion,
            Credential::Secret(_) | Credential::Certificate(_) => Self::Held,
            Credential::Assertion(_) | Credential::IdToken(_) => Self::Assertion,
        }
    }
}
