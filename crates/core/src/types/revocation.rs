//! What was revoked, and which tokens that reaches: RFC 7009 §2.1 and "revoke all before" (conformance TX-38).

use super::claims::{AccessTokenClaims, TokenId};
use super::client_id::ClientId;
use super::provenance::Origin;
use super::time::Timestamp;

/// What the operator or a client revoked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Revocation {
    /// This one token.
    #[error("the token {} was revoked", .0.as_str())]
    Token(TokenId),
    /// All tokens that go back to the same authentication.
    #[error("the session {} was revoked", .0.as_str())]
    Session(TokenId),
    /// All tokens that a client got in a session which began with somebody else's authentication.
    #[error("what {client} has of the session {} was revoked", .session.as_str())]
    Delegation {
        /// The session.
        session: TokenId,
        /// The client.
        client: ClientId,
    },
    /// All tokens of the client from before a time; see [`Revocation::reaches`].
    #[error("tokens of the client from before {before} were revoked")]
    Client {
        /// The time.
        before: Timestamp,
    },
    /// All tokens for the subject from before a time; see [`Revocation::reaches`].
    #[error("tokens of the subject from before {before} were revoked")]
    Subject {
        /// The time.
        before: Timestamp,
    },
    /// Something that the token was obtained with.
    #[error("it was obtained with a token that is revoked: {0}")]
    Origin(Box<Self>),
}

impl Revocation {
    /// Whether what was revoked includes this token.
    ///
    /// "Before a time" is compared with when the client joined the session, or the subject's session began, because renewing, in
    /// that very second or on a node that does not know of the revocation yet, does not move it. A client that begins or joins a
    /// session afterwards can act again.
    #[must_use]
    pub fn reaches(&self, token: &AccessTokenClaims) -> bool {
        match self {
            Self::Token(id) => *id == token.token_id,
            Self::Session(id) => *id == token.session.id,
            Self::Delegation { session, client } => {
                *session == token.session.id && *client == token.client_id
            }
            Self::Client { before } => token.session.joined() < *before,
            Self::Subject { before } => token.session.start < *before,
            Self::Origin(revocation) => token.origins().any(|origin| revocation.reaches_origin(origin)),
        }
    }

    /// Why the token is revoked, if this reaches it or something that it was obtained with.
    #[must_use]
    pub fn reason_for(&self, token: &AccessTokenClaims) -> Option<Self> {
        if self.reaches(token) {
            return Some(self.clone());
        }
        let reaches_origin = token.origins().any(|origin| self.reaches_origin(origin));
        reaches_origin.then(|| Self::Origin(Box::new(self.clone())))
    }

    /// Whether what was revoked includes the token with which another one was obtained.
    fn reaches_origin(&self, origin: &Origin) -> bool {
        match (self, origin) {
            (Self::Session(id), Origin::Session { session, .. }) => id == session,
            (Self::Delegation { session, client }, Origin::Session { session: of, client: by, .. }) => {
                session == of && client == by
            }
            (Self::Client { before }, Origin::Session { joined: since, .. })
            | (
                Self::Subject { before },
                Origin::Session { joined: since, .. } | Origin::Foreign { since, .. },
            ) => since < before,
            (Self::Token(_) | Self::Origin(_), _)
            | (Self::Session(_) | Self::Delegation { .. } | Self::Client { .. }, Origin::Foreign { .. }) => {
                false
            }
        }
    }
}
