//! Whose keys may verify a token.

use crate::{Client, TrustedIssuer};
use std::sync::Arc;

/// Whose keys may verify a token. Decided before the token is verified, and never by the token itself.
#[derive(Clone, Debug)]
pub enum KeysOf {
    /// Those of an issuer that is on the list.
    Issuer(Arc<TrustedIssuer>),
    /// Those that the client is registered with.
    Client(Arc<Client>),
    /// The decoy key: the token is refused whatever the result, after the same time as one that is verified (conformance CJ-17).
    Decoy,
}

/// A JWK Set with one decoy key, whose private key is not known, to verify with where no client or issuer is known.
///
/// Its x is the SHA-256 of `nobody has the private key of this point`, which happens to be that of a point of the curve; its y
/// is the even one of the two.
pub const DECOY_JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","x":"C7zradwvhZFkSLU2MWr9B-z3z-DEIPj86IWUsLCoKE4","y":"hsQTJfqb9Pdyv79v-8dp13kc3OJVaqmEWIiVIuZIEZI"}]}"#;
