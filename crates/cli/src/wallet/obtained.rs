//! A token response that was received now, or kept since.

use serde_json::Value;
use tokenberg_core::client::Held;
use tokenberg_core::response::AccessTokenType;
use tokenberg_core::{Lifetime, Secret, Timestamp, TokenResponse};

/// A token response, and when it was received.
#[derive(Clone)]
pub(crate) struct Obtained {
    response: TokenResponse,
    body: Value,
    received_at: Timestamp,
}

impl Obtained {
    /// A response that was received at this time.
    pub(super) fn new(response: TokenResponse, body: Value, received_at: Timestamp) -> Self {
        Self { response, body, received_at }
    }

    /// How long the token is valid from its receipt on, if the server says so.
    pub(super) fn expires_in(&self) -> Option<Lifetime> {
        self.response.expires_in
    }

    /// The access token.
    pub(crate) fn token(&self) -> &Secret {
        &self.response.access_token
    }

    /// The whole response, including members that this program does not know. `expires_in` counts from now on.
    pub(crate) fn body(&self) -> &Value {
        &self.body
    }

    /// The scheme in `Authorization` (RFC 6750 §2.1, RFC 9449 §7.1).
    pub(crate) fn scheme(&self) -> &'static str {
        match self.response.token_type {
            AccessTokenType::Dpop => "DPoP",
            AccessTokenType::Bearer | AccessTokenType::NotApplicable => "Bearer",
        }
    }

    pub(super) fn received_at(&self) -> Timestamp {
        self.received_at
    }

    /// A response that was kept since `received_at`; `None` if it is malformed, or its token has expired.
    pub(super) fn kept(body: Value, received_at: Timestamp, now: Timestamp) -> Option<Self> {
        let response = TokenResponse::parse(&serde_json::to_vec(&body).ok()?).ok()?;
        let kept = Self { response, body, received_at };
        // A clock that was set back says nothing about the age of the token.
        (received_at <= now && kept.held().expires_at? > now).then_some(kept)
    }

    /// The token as a client holds it.
    pub(super) fn held(&self) -> Held {
        Held::new(&self.response, self.received_at)
    }

    /// Whether the token does not have to be renewed yet, and is valid for this long.
    pub(super) fn is_good_for(&self, valid_for: Lifetime, now: Timestamp) -> bool {
        let held = self.held();
        held.renew_at().is_some_and(|at| now < at)
            && held.expires_at.is_some_and(|end| end.since(now) >= valid_for)
    }

    /// The same with `expires_in` as it is now.
    pub(super) fn at(mut self, now: Timestamp) -> Self {
        if let (Some(end), Some(members)) = (self.held().expires_at, self.body.as_object_mut()) {
            members.insert("expires_in".to_owned(), end.since(now).as_seconds().into());
        }
        self
    }
}
