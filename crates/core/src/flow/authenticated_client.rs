//! The client of a request that was authenticated alone, for a grant that this endpoint does not have: RFC 6749 §2.3 and §4.5.

use crate::policy::proof::Authenticated;
use crate::text::ShortText;
use crate::{Client, ClientId};
use std::sync::Arc;

/// A client that has authenticated with its own credential, by [`TokenEndpoint::authenticate`](crate::TokenEndpoint::authenticate).
#[derive(Clone, Debug)]
pub struct AuthenticatedClient {
    client: Arc<Client>,
    method: &'static str,
    secret: Option<ShortText>,
}

impl AuthenticatedClient {
    pub(super) fn new(client: &Authenticated, method: &'static str) -> Self {
        Self { client: Arc::clone(client.client()), method, secret: client.secret().cloned() }
    }

    /// Its registration.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> &ClientId {
        &self.client.id
    }

    /// How it authenticated, for the log: `client_secret_basic`, `private_key_jwt`, ….
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The name of the secret by which it authenticated, if it was one.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        self.secret.as_ref().map(ShortText::as_str)
    }
}
