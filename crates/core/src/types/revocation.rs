//! Revocations, and the tokens that each of them reaches: RFC 7009 §2.1 and "revoke all before" (conformance TX-38).

use super::claims::AccessTokenClaims;
use super::client_id::ClientId;
use super::issuer::Issuer;
use super::participants::Participant;
use super::provenance::Origin;
use super::time::Timestamp;
use super::token_id::TokenId;

/// What the operator or a client revoked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Revocation {
    /// This one token.
    #[error("the token {} was revoked", .0.as_str())]
    Token(TokenId),
    /// All tokens that go back to the same authentication, or the branch of them that was passed on to one client.
    #[error("the session {} was revoked", .0.as_str())]
    Session(TokenId),
    /// All tokens that a client obtained in another principal's session, except those that were passed on to it.
    #[error("the tokens of {client} in the session {} were revoked", .session.as_str())]
    Delegation {
        /// The session.
        session: TokenId,
        /// The client.
        client: ClientId,
    },
    /// All tokens of the client from before a time; see [`Revocation::reaches`].
    #[error("tokens of the client issued before {before} were revoked")]
    Client {
        /// The time.
        before: Timestamp,
    },
    /// All tokens for the subject from before a time; see [`Revocation::reaches`].
    #[error("tokens of the subject issued before {before} were revoked")]
    Subject {
        /// The time.
        before: Timestamp,
    },
    /// All tokens for the subjects of an issuer from before a time; see [`Revocation::reaches`].
    #[error("tokens of all subjects of the issuer issued before {before} were revoked")]
    Issuer {
        /// The time.
        before: Timestamp,
    },
    /// Something that the token was obtained with.
    #[error("it was obtained with a revoked token: {0}")]
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
            Self::Session(id) => *id == token.session.id || Some(id) == token.session.branch(),
            Self::Delegation { session, client } => {
                session == token.session.family() && *client == token.client_id
            }
            Self::Client { before } => token.session.joined() < *before,
            Self::Subject { before } | Self::Issuer { before } => token.session.start < *before,
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
                Origin::Session { joined: since, .. }
                | Origin::Foreign { since, .. }
                | Origin::Identity { since, .. },
            )
            | (Self::Issuer { before }, Origin::Foreign { since, .. } | Origin::Identity { since, .. }) => {
                since < before
            }
            (Self::Token(_) | Self::Origin(_), _)
            | (Self::Issuer { .. }, Origin::Session { .. })
            | (
                Self::Session(_) | Self::Delegation { .. } | Self::Client { .. },
                Origin::Foreign { .. } | Origin::Identity { .. },
            ) => false,
        }
    }
}

/// The times before which tokens of parties were revoked, wherever they are kept.
pub trait RevokedBefore {
    /// The time before which the tokens of the client were revoked.
    fn of_client(&self, client: &str) -> Option<Timestamp>;

    /// The time before which the tokens for this subject of the issuer were revoked.
    fn of_subject(&self, issuer: &Issuer, subject: &str) -> Option<Timestamp>;

    /// The time before which the tokens for this client were revoked, whichever client has them, because it was removed.
    fn of_removed_client(&self, client: &str) -> Option<Timestamp>;

    /// The time before which the tokens for all subjects of the issuer were revoked, by the operator or because it was removed.
    fn of_issuer(&self, issuer: &Issuer) -> Option<Timestamp>;
}

impl Revocation {
    /// Why the token is revoked, if the tokens of a party on which it depends were revoked from before a time. The narrower
    /// reason first.
    #[must_use]
    pub fn before(token: &AccessTokenClaims, times: &impl RevokedBefore) -> Option<Self> {
        let of_client = times.of_client(token.client_id.as_str()).map(|before| Self::Client { before });
        let issuer = token.subject_issuer();
        // The operator may know the subject by the name that catalogs see.
        let names = [token.issuer_subject().as_str(), token.subject.as_str()];
        let of_subject = names.into_iter().map(|name| times.of_subject(issuer, name)).max().flatten();
        // A user of another issuer, or from an unsecured JWT, who is called like a client is not that client.
        let is_client = token.session.subject_issuer.is_none() && !token.session.unsecured;
        let of_removed = is_client.then(|| times.of_removed_client(token.subject.as_str())).flatten();
        let of_subject = of_subject.max(of_removed).map(|before| Self::Subject { before });
        let of_issuer = times.of_issuer(issuer).map(|before| Self::Issuer { before });
        let all = [of_client, of_subject, of_issuer];
        let direct = all.into_iter().flatten().find(|revocation| revocation.reaches(token));
        direct.or_else(|| {
            let of_participant = |participant| of_participant(&token.issuer, participant, times);
            token.participants().find_map(of_participant).map(|revocation| Self::Origin(Box::new(revocation)))
        })
    }
}

/// What was revoked of a client, or of a subject of another issuer, with whose token another one was obtained.
fn of_participant(
    ours: &Issuer,
    participant: Participant<'_>,
    times: &impl RevokedBefore,
) -> Option<Revocation> {
    let Participant { issuer, subject, since } = participant;
    let of_client = if issuer.is_none() { times.of_client(subject) } else { None };
    if let Some(before) = of_client.filter(|before| since < *before) {
        return Some(Revocation::Client { before });
    }
    let of_subject = times.of_subject(issuer.unwrap_or(ours), subject);
    if let Some(before) = of_subject.filter(|before| since < *before) {
        return Some(Revocation::Subject { before });
    }
    let before = times.of_issuer(issuer?)?;
    (since < before).then_some(Revocation::Issuer { before })
}
