//! Where a history happens: the scripted world, or a server with its command line.

use crate::Ask;
use crate::laws::{Change, Token};
use serde_json::Value;
use tokenberg_core::{AccessTokenClaims, PeerCertificate};

/// Where a history happens.
pub trait Site {
    /// The present, in seconds.
    fn now(&self) -> i64;

    /// Asks the token endpoint.
    fn ask(&mut self, ask: &Ask) -> Reply;

    /// Sends a request to introspect a token.
    fn introspect(&mut self, ask: &Ask) -> Introspected;

    /// Revokes a token by RFC 7009; whether that was accepted.
    fn revoke(&mut self, ask: &Ask) -> bool;

    /// Whether a catalog accepts the token for this audience; `None` where none can be asked.
    fn is_accepted(&mut self, token: &Token, audience: &str) -> Option<bool>;

    /// Makes the change, and returns once every later request is decided with it: the time from which on what is issued is
    /// not revoked by it. `token` is the token that the change names.
    fn change(&mut self, change: &Change, token: Option<&Token>) -> i64;

    /// Lets time pass, if it can.
    fn pass(&mut self, seconds: i64);

    /// Sets the clock back, and returns whether that is possible here.
    fn step_back(&mut self, seconds: u32) -> bool;

    /// Ends the server, and starts it again.
    fn restart(&mut self, killed: bool);

    /// The secret of the client.
    fn secret(&self, client: &str) -> String;

    /// Whether a connection can show a certificate now.
    fn shows_certificates(&self) -> bool;

    /// The certificate of this number.
    fn certificate(&self, number: usize) -> PeerCertificate;
}

/// What the token endpoint answered, between two times.
#[derive(Debug)]
pub struct Reply {
    /// When the request was sent.
    pub from: i64,
    /// When the answer was there.
    pub to: i64,
    /// The answer.
    pub outcome: Outcome,
}

/// What the token endpoint answered.
#[derive(Debug)]
pub enum Outcome {
    /// A token.
    Granted {
        /// The token.
        token: String,
        /// What it says.
        claims: Box<AccessTokenClaims>,
    },
    /// None, for this reason.
    Refused(String),
}

/// What introspection answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Introspected {
    /// The token is active, with these members.
    Active(Value),
    /// It is not, or the client may not know.
    Inactive,
    /// The client was refused.
    Refused,
}
