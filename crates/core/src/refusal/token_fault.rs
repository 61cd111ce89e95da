//! Why a presented token is not valid, with the facts that decided it: RFC 7519 §4, RFC 7523 §3, RFC 9068 §4.

use super::facts::{AgeLimit, AudienceFault, AuthorizedParty, IssuerRule, OfAnotherKind};
use super::not_renewable::NotRenewable;
use super::parties::{Involved, MayNotAct, NotAccepted, NotFederated, NotPossessed, WithoutRight};
use crate::issuer::Namesake;
use crate::jws::{Algorithms, FramingFault};
use crate::token::ClaimFault;
use crate::{Excerpt, Issuer, Lifetime, Revocation, SignatureFault, Subject, Timestamp, TokenType};

/// Why a token that was presented is not valid. Holds values of the token, cut to 128 bytes, and never the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFault {
    /// It is no token that we read.
    #[error("{0}")]
    Framing(#[from] FramingFault),
    /// Its `typ` is not `at+jwt` (RFC 9068 §4).
    #[error("its typ is {}; an access token of this server has \"at+jwt\"", Typ(.0))]
    Type(Option<Excerpt>),
    /// Its `typ` or a claim says that it is another kind of token than what it was presented as.
    #[error("{0}")]
    OtherKind(Box<OfAnotherKind>),
    /// It is a token of ours, and was declared as something that those are not.
    #[error("it is an access_token of this server, but it was declared as {0}")]
    DeclaredType(TokenType),
    /// `iss` is not an issuer that is trusted; its keys were not fetched.
    #[error("{}", .rule.of(.iss))]
    Issuer {
        /// `iss`, or for SPIFFE the trust domain of `sub`.
        iss: Excerpt,
        /// Which issuer it has to be.
        rule: IssuerRule,
    },
    /// The signature is not valid.
    #[error("{0}")]
    Signature(#[from] SignatureFault),
    /// A claim is absent or malformed, in a token whose signature was verified.
    #[error("{0}")]
    Claim(#[from] ClaimFault),
    /// A claim is absent or malformed, in a token whose signature was not verified.
    #[error("{0}")]
    UnverifiedClaim(ClaimFault),
    /// RFC 7519 §4.1.4: "on or after which the JWT MUST NOT be accepted".
    #[error("it expired at {expired}; it is {now} now{}", Leeway(.leeway))]
    Expired {
        /// `exp`.
        expired: Timestamp,
        /// The present.
        now: Timestamp,
        /// How far the clocks may differ.
        leeway: Lifetime,
    },
    /// Its subject, or what it may have, is an e-mail address that its issuer has not verified.
    #[error("its e-mail address is not verified: {claim} is {value}")]
    UnverifiedEmail {
        /// The claim that says so.
        claim: &'static str,
        /// Its value.
        value: Box<Excerpt>,
    },
    /// Expired, presented with the client's own credential, and still not renewable (conformance D13).
    #[error("it expired at {expired}, and {why}")]
    NotRenewable {
        /// `exp`.
        expired: Timestamp,
        /// Which condition it does not meet.
        why: NotRenewable,
    },
    /// `iat` or `nbf` lies further in the future than clocks differ.
    #[error("its {claim} is {from}; it is {now} now{}", Leeway(.leeway))]
    NotYetValid {
        /// The claim.
        claim: &'static str,
        /// Its value.
        from: Timestamp,
        /// The present.
        now: Timestamp,
        /// How far the clocks may differ.
        leeway: Lifetime,
    },
    /// `iat` or `nbf` lies after `exp`.
    #[error("its {claim} is {from}, after its exp {expires}")]
    Backwards {
        /// The claim.
        claim: &'static str,
        /// Its value.
        from: Timestamp,
        /// `exp`.
        expires: Timestamp,
    },
    /// `aud` does not name those that it should.
    #[error("{0}")]
    Audience(Box<AudienceFault>),
    /// `azp` of an ID token is another client (OpenID Connect Core 1.0 §3.1.3.7).
    #[error("{0}")]
    AuthorizedParty(Box<AuthorizedParty>),
    /// The operator or a client revoked it.
    #[error("{0}")]
    Revoked(Box<Revocation>),
    /// A client or issuer on which it depends is no longer registered.
    #[error("{0} is no longer registered")]
    Gone(Box<Involved>),
    /// A client, issuer or subject on which it depends is disabled.
    #[error("{0} is disabled")]
    Disabled(Box<Involved>),
    /// No issuer that vouches for its client is trusted and enabled.
    #[error("no issuer that vouches for the client {0}, to which it was issued, is trusted and enabled")]
    NotVouchedFor(Box<crate::ClientId>),
    /// The identity by which a client on which it depends authenticated is registered for that client no longer.
    #[error("the identity {} of {}, by which the client {} authenticated, is no longer registered for it", Excerpt::of_claim(&.0.subject), .0.issuer(), .0.client)]
    IdentityRemoved(Box<WithoutRight>),
    /// The operator accepts no tokens of the issuer of its subject but as identities of clients.
    #[error("tokens of {0}, the issuer of its subject, are accepted as identities of clients only")]
    NoSubjects(Box<crate::Issuer>),
    /// The operator does not accept tokens of its issuer as this.
    #[error("{0}")]
    NotAcceptedAs(Box<NotAccepted>),
    /// The operator does not accept this algorithm of its issuer.
    #[error("it is signed with {algorithm}; from its issuer, {accepted} is accepted")]
    Algorithm {
        /// The algorithm.
        algorithm: crate::jws::Algorithm,
        /// Those that are accepted.
        accepted: Algorithms,
    },
    /// `exp` is further ahead than is accepted.
    #[error("its exp is {expires}; it is {now} now, and at most {most} ahead is allowed {limit}")]
    TooLongLived {
        /// `exp`.
        expires: Timestamp,
        /// The present.
        now: Timestamp,
        /// How far it may be ahead.
        most: Lifetime,
        /// What says so.
        limit: AgeLimit,
    },
    /// It was made too long ago.
    #[error("its iat is {issued}; it is {now} now, and at most {most} ago is allowed {limit}")]
    TooOld {
        /// `iat`.
        issued: Timestamp,
        /// The present.
        now: Timestamp,
        /// How old it may be.
        most: Lifetime,
        /// What says so.
        limit: AgeLimit,
    },
    /// Its issuer lets another party act for its subject (RFC 8693 §4.4).
    #[error("{0}")]
    MayNotAct(Box<MayNotAct>),
    /// Another principal has the name of its subject (RFC 9068 §5).
    #[error("in catalogs its subject {} has the same name as {by}", Excerpt::of_claim(.sub.as_str()))]
    NameTaken {
        /// `sub` of the token that it would give.
        sub: Subject,
        /// The other principal.
        by: Namesake,
    },
    /// `sub` has a prefix that its issuer does not have any more, and that another issuer may have (RFC 9068 §5).
    #[error("users of {issuer} no longer have the prefix that its subject {} has", Excerpt::of_claim(.sub.as_str()))]
    Renamed {
        /// `sub` of the token.
        sub: Subject,
        /// The issuer of the subject.
        issuer: Issuer,
    },
    /// An actor of another issuer for whom the client may not act.
    #[error("{0}")]
    NotThisActor(Box<WithoutRight>),
    /// The client may not have a token for its subject.
    #[error("{0}")]
    MayNotActFor(Box<WithoutRight>),
    /// The foreign identity stands for no client, or not for this one.
    #[error("{0}")]
    NotFederated(Box<NotFederated>),
    /// An unsecured JWT without a token of the client as the actor (conformance TX-61).
    #[error("it is unsecured, and the request has no actor_token of the client to assert its subject")]
    NoActor,
    /// An unsecured user that the client may not assert (conformance TX-61).
    #[error("it is unsecured, and the client {} may not assert the user {}", .0.client, Excerpt::of_claim(&.0.subject))]
    MayNotAssert(Box<WithoutRight>),
    /// An unsecured JWT that names a client (conformance TX-66).
    #[error("it is unsecured, and its sub {} is the name of a client", Excerpt::of_claim(.0.as_str()))]
    AssertsClient(Subject),
    /// It is bound to a key, and possession of that key is not proven (RFC 9700 §2.2.1).
    #[error("{0}")]
    Bound(Box<NotPossessed>),
}

impl TokenFault {
    /// Whether the signature was not verified when this was found, so that anyone may have written the claims.
    #[must_use]
    pub fn is_unverified(&self) -> bool {
        match self {
            Self::Framing(_)
            | Self::Type(_)
            | Self::OtherKind(_)
            | Self::DeclaredType(_)
            | Self::Issuer { .. }
            | Self::Signature(_)
            | Self::UnverifiedClaim(_)
            | Self::NotAcceptedAs(_)
            | Self::Algorithm { .. }
            | Self::NoActor
            | Self::MayNotAssert(_)
            | Self::AssertsClient(_) => true,
            Self::NotFederated(fault) => !fault.is_verified,
            Self::Disabled(who) => who.is_issuer_of_token(),
            Self::Claim(_)
            | Self::Expired { .. }
            | Self::UnverifiedEmail { .. }
            | Self::NotRenewable { .. }
            | Self::NotYetValid { .. }
            | Self::Backwards { .. }
            | Self::Audience(_)
            | Self::AuthorizedParty(_)
            | Self::Revoked(_)
            | Self::Gone(_)
            | Self::NotVouchedFor(_)
            | Self::IdentityRemoved(_)
            | Self::NoSubjects(_)
            | Self::TooLongLived { .. }
            | Self::TooOld { .. }
            | Self::MayNotAct(_)
            | Self::NameTaken { .. }
            | Self::Renamed { .. }
            | Self::NotThisActor(_)
            | Self::MayNotActFor(_)
            | Self::Bound(_) => false,
        }
    }

    /// The mark of a token in a reason: ` (unverified)`, or empty.
    #[must_use]
    pub fn mark(&self) -> &'static str {
        if self.is_unverified() { " (unverified)" } else { "" }
    }
}

/// `typ`, if there is one.
struct Typ<'a>(&'a Option<Excerpt>);

impl std::fmt::Display for Typ<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(typ) => typ.fmt(f),
            None => f.write_str("missing"),
        }
    }
}

/// How far clocks may differ, where they may.
struct Leeway<'a>(&'a Lifetime);

impl std::fmt::Display for Leeway<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if *self.0 == Lifetime::ZERO { Ok(()) } else { write!(f, ", and clocks may differ by {}", self.0) }
    }
}
