//! The present status of a token that was issued earlier, and of every party on which it depends.

use crate::answers::SubjectStatus;
use crate::refusal::Principal;
use crate::{Client, ClientId, Issuer, Revocation, Subject, TrustedIssuer};
use std::sync::Arc;

/// What is known now about a token that was issued earlier.
#[derive(Clone, Debug)]
pub struct TokenStatus {
    /// Whether the token was revoked.
    pub revocation: Option<Revocation>,
    /// The registration of the client that it names, disabled or not.
    pub client: Option<Arc<Client>>,
    /// The registration of its subject, disabled or not, where the subject is one of ours.
    pub principal: Option<Arc<Client>>,
    /// The operator's decision about its subject, where that is a subject of another issuer.
    pub subject: SubjectStatus,
    /// The issuer of its subject, where that is another one and still on the list.
    pub issuer: Option<Arc<TrustedIssuer>>,
    /// Whether the client can still authenticate, or its session names the identity by which it did: then that identity decides, which
    /// is one of the participants.
    pub is_vouched_for: bool,
    /// The operator's decisions about the parties whose tokens it was obtained with, and about present and prior actors.
    pub participants: ParticipantsStatus,
}

/// The present status of all parties whose tokens a token was obtained with: it ends with each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParticipantsStatus {
    /// All of them, if there are any, are enabled, registered and not revoked.
    Good,
    /// A client or an issuer is no longer registered.
    Gone(Principal),
    /// A client, an issuer or a subject of one is disabled.
    Disabled(Principal),
    /// No issuer that vouches for this client is trusted and enabled.
    NotVouchedFor(ClientId),
    /// This identity, by which the client authenticated, is no longer registered for it.
    NotFederated(ClientId, Issuer, Subject),
}
