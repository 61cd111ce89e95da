//! Identifiers that may be used once.

use super::time::Timestamp;

/// An identifier for a single use (RFC 7523 §3, RFC 9449 §11.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SingleUseId {
    /// The kind and the owner of the identifier, so that identifiers of different features or clients do not collide.
    pub namespace: Box<str>,
    /// The identifier.
    pub id: Box<str>,
    /// When what carries it was made, if it says so.
    pub issued_at: Option<Timestamp>,
    /// Until when what carries it could be presented again.
    pub until: Timestamp,
}
