//! The place where a history runs: the scripted world, or a server with its command line.

use crate::Ask;
use crate::laws::{Change, Token};
use serde_json::Value;
use tokenberg_core::{AccessTokenClaims, PeerCertificate};

/// The place where a history runs.
pub trait Site {
    /// The present, in seconds.
    fn now(&self) -> i64;

    /// Sends a request to the token endpoint.
    fn ask(&mut self, ask: &Ask) -> Reply;

    /// Sends a request to introspect a token.
    fn introspect(&mut self, ask: &Ask) -> Introspected;

    /// Revokes a token by RFC 7009; returns whether that was accepted.
    fn revoke(&mut self, ask: &Ask) -> bool;

    /// Whether a catalog accepts the token for this audience; `None` if there is no catalog.
    fn is_accepted(&mut self, token: &Token, audience: &str) -> Option<bool>;

    /// Makes the change, and returns once every later request is decided with it: the time from which on tokens are issued that
    /// it does not revoke. `token` is the token that the change names.
    fn change(&mut self, change: &Change, token: Option<&Token>) -> i64;

    /// Lets time pass, if possible.
    fn pass(&mut self, seconds: i64);

    /// Sets the clock back, and returns whether that is possible here.
    fn step_back(&mut self, seconds: u32) -> bool;

    /// Ends the server, and starts it again.
    fn restart(&mut self, killed: bool);

    /// The secret of the client.
    fn secret(&self, client: &str) -> String;

    /// Whether a connection can present a certificate now.
    fn shows_certificates(&self) -> bool;

    /// The certificate of this number.
    fn certificate(&self, number: usize) -> PeerCertificate;
}

/// The answer of the token endpoint, between two times.
#[derive(Debug)]
pub struct Reply {
    /// When the request was sent.
    pub from: i64,
    /// When the answer was received.
    pub to: i64,
    /// The answer.
    pub outcome: Outcome,
}

/// The answer of the token endpoint.
#[derive(Debug)]
pub enum Outcome {
    /// A token.
    Granted {
        /// The token.
        token: String,
        /// Its claims.
        claims: Box<AccessTokenClaims>,
    },
    /// A refusal, for this reason.
    Refused(String),
}

/// The answer of introspection.
#[derive(Debug, PartialEq, Eq)]
pub enum Introspected {
    /// The token is active, with these members.
    Active(Value),
    /// It is not, or the client may not see it.
    Inactive,
    /// The client was refused.
    Refused,
}
