//! A request in the terms of the laws.

use super::parties::{Bound, MayAct, Principal, Realm};
use super::register::Registration;
use std::collections::BTreeSet;

/// A request to the token endpoint.
#[derive(Clone, Debug)]
pub struct Request {
    /// The authenticated party.
    pub by: By,
    /// The requested kind of token.
    pub asks: Asks,
    /// The requested scope, between spaces; empty for none.
    pub scope: &'static str,
    /// The requested audiences.
    pub audience: Vec<&'static str>,
    /// The key of the DPoP proof, and the certificate of the connection.
    pub proven: Bound,
}

/// How a client authenticates.
#[derive(Clone, Copy, Debug)]
pub enum By {
    /// As this client, by its own credential.
    Credential(&'static str),
    /// As this client, by an assertion of this issuer, made now, about the subject that stands for the client.
    #[allow(missing_docs, reason = "each is what it says")]
    Identity { client: &'static str, issuer: &'static str },
    /// By this token as the Bearer (D3).
    Bearer(usize),
}

impl By {
    /// Whether the client authenticates, and does not present a token that it has.
    #[must_use]
    pub fn is_credential(self) -> bool {
        match self {
            Self::Credential(_) | Self::Identity { .. } => true,
            Self::Bearer(_) => false,
        }
    }
}

/// The kind of request.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Asks {
    /// A token of the client's own.
    Itself,
    /// A token in exchange for a token.
    Exchange { subject: Presented, actor: Option<Presented> },
    /// A token in exchange for an assertion (RFC 7523 §2.1).
    Grant(Foreign),
}

/// A token as the subject or the actor.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Presented {
    /// One of ours, by number.
    Own(usize),
    Foreign(Foreign),
    /// The name in an unsecured JWT.
    Unsecured(&'static str),
}

/// A token of another issuer.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    /// The issuer that signed it.
    pub issuer: &'static str,
    /// The subject.
    pub name: &'static str,
    /// `iat`.
    pub issued: i64,
    /// `exp`.
    pub expires: i64,
    /// `may_act`, if present.
    pub may_act: Option<MayAct>,
    /// The key or the certificate that it is bound to.
    pub bound: Bound,
}

impl Foreign {
    /// The principal that it is about.
    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal::new(Realm::Of(self.issuer), self.name)
    }
}

/// A request of a client that is authenticated.
pub(super) struct Asking<'a> {
    pub(super) client: &'static str,
    pub(super) registration: &'a Registration,
    pub(super) request: &'a Request,
    pub(super) now: i64,
}

/// The reason for which a request has to be refused.
pub(super) type Reason = &'static str;

/// The tokens of a scope.
pub(super) fn tokens(scope: &str) -> BTreeSet<String> {
    scope.split(' ').filter(|token| !token.is_empty()).map(str::to_owned).collect()
}
