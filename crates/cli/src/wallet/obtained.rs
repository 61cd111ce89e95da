//! A token response that was received now, or kept since.

use serde_json::{Map, Value};
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

    /// The members of a file that keeps the response.
    pub(super) fn to_file(&self) -> Map<String, Value> {
        let received_at = ("received_at".to_owned(), self.received_at.as_seconds().into());
        Map::from_iter([received_at, ("response".to_owned(), self.body.clone())])
    }

    /// The response that a file keeps; `None` if it is malformed, or its token has expired.
    pub(super) fn from_file(file: &Map<String, Value>, now: Timestamp) -> Option<Self> {
        let received_at = file.get("received_at").and_then(Value::as_i64)?;
        let received_at = Timestamp::from_seconds(received_at).ok()?;
        let body = file.get("response")?.clone();
        let response = TokenResponse::parse(&serde_json::to_vec(&body).ok()?).ok()?;
        let kept = Self { response, body, received_at };
        // A clock that was set back says nothing about the age of the token.
        (received_at <= now && kept.held().expires_at? > now).then_some(kept)
    }

    /// When the token expires, if the server says so.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.held().expires_at
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
