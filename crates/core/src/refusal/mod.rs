//! The exact reason of a refusal, for logs, audit and the operator; and the one map to the error that the client receives.

mod copy_fault;
pub(crate) mod facts;
mod guess;
mod hint;
mod not_renewable;
mod parties;
mod proof_fault;
mod request_facts;
mod stage;
mod to_wire;
mod token_fault;

pub use copy_fault::CopyFault;
pub use facts::{AgeLimit, AudienceFault, AudienceRule, AuthorizedParty, Cue, IssuerRule, OfAnotherKind};
pub use hint::Redacted;
pub use not_renewable::NotRenewable;
pub use parties::{
    Involved, Involvement, MayNotAct, NotAccepted, NotFederated, NotPossessed, Principal, WithoutRight,
};
pub use proof_fault::ProofFault;
pub use request_facts::{
    BasicFault, CertificateFault, CertificateRule, ClientIdsDiffer, DelegatedActor, ExpiredSecret,
    NonceFault, SessionLimit,
};
pub use token_fault::TokenFault;

use crate::jws::FramingFault;
use crate::policy::limits::{AudienceCeilings, ScopeCeilings, allowed_by_all, lacking_scope, lacking_target};
use crate::request::form::{FormFault, Parameter};
use crate::token::{ScopeError, TargetError};
use crate::{ClientId, Excerpt, GrantType, Scope, Timestamp, TokenType};
use request_facts::{Grants, listed};

/// Why a token request was refused, with the facts that decided it. Never holds a secret or a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The form cannot be read, or a parameter stands where it should not.
    #[error("{0}")]
    MalformedForm(FormFault),
    /// More than one `Authorization` header field.
    #[error("the request has more than one Authorization header")]
    SeveralAuthorizationHeaders,
    /// More than one way of authenticating: these two.
    #[error("the request authenticates the client in more than one way: by {0} and by {1}")]
    SeveralAuthenticationMethods(&'static str, &'static str),
    /// `client_assertion` or `client_assertion_type` without the other, which is missing.
    #[error("client_assertion and client_assertion_type belong together, and {} is missing", .0.name())]
    IncompleteClientAssertion(Parameter),
    /// `client_assertion_type` is none that we know (RFC 7521 §4.2).
    #[error("client_assertion_type is {0}, which is not supported")]
    UnsupportedClientAssertion(Excerpt),
    /// The client assertion is not valid.
    #[error("the client assertion{mark} is not acceptable: {0}", mark = .0.mark())]
    ClientAssertion(TokenFault),
    /// The client assertion with this `jti` was used before (conformance CJ-07).
    #[error("the client assertion with the jti {0} was used before")]
    ClientAssertionReplayed(Excerpt),
    /// The certificate of the connection is not that of the client, has expired, or was issued by an authority that is not trusted.
    #[error("{0}")]
    WrongCertificate(Box<CertificateFault>),
    /// More than one DPoP proof (RFC 9449 §4.3(1)).
    #[error("the request has more than one DPoP proof")]
    SeveralProofs,
    /// A DPoP header that is no proof.
    #[error("the DPoP proof is unreadable: {0}")]
    MalformedProof(FramingFault),
    /// The DPoP proof is not for this request.
    #[error("the DPoP proof is not acceptable: {0}")]
    Proof(ProofFault),
    /// The DPoP proof with this `jti` was used before.
    #[error("the DPoP proof with the jti {0} was used before")]
    ProofReplayed(Excerpt),
    /// The DPoP proof needs a nonce of ours, or has one that is not (RFC 9449 §8).
    #[error("{0}")]
    ProofNonce(NonceFault),
    /// The client is registered for bound tokens only (RFC 9449 §5.2).
    #[error("the request has no DPoP proof, and the client {0} is registered with --dpop-bound")]
    ProofMissing(ClientId),
    /// The assertion of the jwt-bearer grant is not valid.
    #[error("the assertion{mark} is not acceptable: {0}", mark = .0.mark())]
    Assertion(TokenFault),
    /// The assertion of the jwt-bearer grant with this `jti` was used before.
    #[error("the assertion with the jti {0} was used before")]
    AssertionReplayed(Excerpt),
    /// No credentials at all.
    #[error("the request has no client credentials: no Authorization, client_secret or client_assertion")]
    NoCredentials,
    /// An `Authorization` of another scheme, and no other credentials. The scheme name may contain a secret.
    #[error("the scheme of the Authorization header is neither Basic nor Bearer")]
    UnknownScheme,
    /// A Basic header that cannot be read.
    #[error("Authorization: Basic is unreadable: {0}")]
    MalformedBasic(BasicFault),
    /// A Bearer header that has no token in it.
    #[error("Authorization: Bearer has no token")]
    MalformedBearer,
    /// A secret without the identifier of a client.
    #[error("client_secret was sent without client_id")]
    SecretWithoutClientId,
    /// A secret of more than 1024 bytes.
    #[error("the client secret is longer than 1024 bytes")]
    SecretTooLong,
    /// The form and the header, or the form and the token, name different clients.
    #[error("{0}")]
    ClientIdsDiffer(Box<ClientIdsDiffer>),
    /// No client is registered under that identifier.
    ///
    /// A secret may stand where the identifier should, so only its beginning is kept.
    #[error("no client is registered as {0}")]
    UnknownClient(Redacted),
    /// The client exists and was disabled.
    #[error("the client {0} is disabled")]
    DisabledClient(ClientId),
    /// The secret is one of the client's that has expired.
    #[error("{0}")]
    ExpiredSecret(Box<ExpiredSecret>),
    /// The client exists, and this was never its secret, or expired more than 30 days ago.
    #[error("wrong secret for the client {client}, which has {live} live {}{}", if *.live == 1 { "secret" } else { "secrets" },
        .copied.map(|fault| format!("; {fault}")).unwrap_or_default())]
    WrongSecret {
        /// The client.
        client: ClientId,
        /// How many live secrets it has.
        live: usize,
        /// What the presented secret has that a person probably copied along with it.
        copied: Option<CopyFault>,
    },
    /// The client exists and is registered to authenticate otherwise (conformance CA-19).
    #[error("the client {client} is registered to authenticate by {}, but the request uses {presented}", .registered.as_str())]
    OtherMethod {
        /// The client.
        client: ClientId,
        /// How it would have to authenticate.
        registered: crate::AuthMethod,
        /// How the request authenticates it.
        presented: &'static str,
    },
    /// A Bearer as the only credential of anything that is no exchange (conformance TX-24).
    #[error("a Bearer token authenticates a client for token exchange only")]
    BearerOutsideOfExchange,
    /// A Bearer that is neither token of the form (conformance D3).
    #[error("the Bearer token is neither the subject_token nor the actor_token")]
    BearerIsNeitherSubjectNorActor,
    /// The Bearer itself is not valid.
    #[error("the Bearer token{mark} is not acceptable: {0}", mark = .0.mark())]
    BearerToken(TokenFault),
    /// The client is not registered for the grant.
    #[error("the client {client} is registered for the grants {}, and not for {}", Grants(.registered), .grant.as_str())]
    GrantNotAllowed {
        /// The client.
        client: ClientId,
        /// The grant.
        grant: GrantType,
        /// Those that it is registered for.
        registered: Box<[GrantType]>,
    },
    /// A grant that we do not know.
    #[error("grant_type is {0}, which is not supported")]
    UnsupportedGrantType(Excerpt),
    /// A parameter that the grant, or another parameter, demands.
    #[error("the parameter {} is missing", .0.name())]
    MissingParameter(Parameter),
    /// A token type identifier that RFC 8693 §3 does not have.
    #[error("the parameter {} is {found}, which is not a token type identifier", .parameter.name())]
    UnknownTokenType {
        /// The parameter.
        parameter: Parameter,
        /// Its value.
        found: Excerpt,
    },
    /// A token type that we know and do not accept.
    #[error("a {kind} is not accepted as {}", .parameter.name())]
    UnsupportedTokenType {
        /// Where it was declared.
        parameter: Parameter,
        /// What was declared.
        kind: TokenType,
    },
    /// The scope is not of the grammar.
    #[error("{0}")]
    MalformedScope(ScopeError),
    /// Scope-tokens that may not be granted here.
    #[error(
        "{}; allowed: {}{}",
        request_facts::refused_scope(.refused), allowed_by_all(.ceilings), lacking_scope(.refused, .ceilings)
    )]
    ScopeNotAllowed {
        /// The requested scope that is not allowed; empty if none was requested and none is left.
        refused: Scope,
        /// The part of the requested scope that may be granted.
        allowed: Scope,
        /// The ceilings of each party.
        ceilings: ScopeCeilings,
    },
    /// A resource or audience that is not of the grammar.
    #[error("{0}")]
    MalformedTarget(TargetError),
    /// A resource or audience that the client may not request.
    #[error("{}; allowed: {}{}", request_facts::refused_target(.refused.as_deref()), listed(.allowed), lacking_target(.refused.as_deref(), .ceilings))]
    TargetNotAllowed {
        /// The first that is not allowed; `None` if none was requested and none is left.
        refused: Option<Box<str>>,
        /// The targets that are allowed.
        allowed: Vec<Box<str>>,
        /// The ceilings of each party.
        ceilings: AudienceCeilings,
    },
    /// The subject token is not valid.
    #[error("the subject token{mark} is not acceptable: {0}", mark = .0.mark())]
    SubjectToken(TokenFault),
    /// The actor token is not valid.
    #[error("the actor token{mark} is not acceptable: {0}", mark = .0.mark())]
    ActorToken(TokenFault),
    /// A token of another client, and no policy that lets this client exchange it.
    #[error(
        "the client {client} may not have a token for the subject {}{}{}", Excerpt::of_claim(.subject),
        .issuer.as_ref().map(|issuer| format!(" of {issuer}")).unwrap_or_default(),
        .of.as_ref().map(|of| format!(", whose token was issued to the client {of}")).unwrap_or_default()
    )]
    MayNotActFor {
        /// The client that made the request.
        client: ClientId,
        /// The client to which the subject token was issued, if it is one of ours.
        of: Option<ClientId>,
        /// Its subject.
        subject: Box<str>,
        /// Whose name the subject is; `None` for an unsecured user.
        issuer: Option<crate::Issuer>,
    },
    /// An actor token that was issued to another client than the requesting one.
    #[error("the actor token was issued to the client {of}, not to {client}")]
    ActorOfAnotherClient {
        /// The client that made the request.
        client: ClientId,
        /// The client to which the actor token was issued.
        of: ClientId,
    },
    /// An actor that has an actor itself (conformance D24), or that the client impersonates.
    #[error("the actor token is not about the client itself: {0}")]
    ActorIsDelegated(DelegatedActor),
    /// Too many actors.
    #[error("the chain would have {depth} actors, more than {deepest}")]
    ChainTooDeep {
        /// How many it would have.
        depth: usize,
        /// How many it may have.
        deepest: usize,
    },
    /// Too many tokens that the result would depend on.
    #[error("the token would depend on {origins} other tokens, more than {most}")]
    TooManyOrigins {
        /// How many it would depend on.
        origins: usize,
        /// How many it may depend on.
        most: usize,
    },
    /// The session's absolute end has come.
    #[error("the session ended at {end}, {limit}; it is {now} now")]
    SessionOver {
        /// Its end.
        end: Timestamp,
        /// The present.
        now: Timestamp,
        /// What ended it.
        limit: SessionLimit,
    },
    /// A token of another client, presented to be revoked (RFC 7009 §2.1, conformance D18).
    #[error("the client {client} may not revoke the token of client {of}")]
    TokenOfAnotherClient {
        /// The client that made the request.
        client: ClientId,
        /// The client to which the token was issued.
        of: ClientId,
    },
    /// The token would be larger than what travels safely in a header.
    #[error("the token would be {bytes} bytes long, more than {most}")]
    TokenTooLarge {
        /// Its length.
        bytes: usize,
        /// The most that is issued.
        most: usize,
    },
    /// A [`GrantHook`](crate::flow::GrantHook) of the embedding program denies it, for this reason.
    #[error("denied by a decision of this service: {0}")]
    Denied(Box<str>),
}
