//! How a request names a client.

use crate::{ClientId, Issuer};

/// How a client is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// By its identifier.
    Id(ClientId),
    /// By a foreign identity that stands for it.
    Federated(Issuer, Box<str>),
}
