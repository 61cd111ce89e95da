//! Why was it refused, exactly? For logs, audit and the operator; and the one map to what the client is told.

mod hint;
mod not_renewable;
mod proof_fault;
mod stage;
mod told;

pub use hint::Hint;
pub use not_renewable::NotRenewable;
pub use proof_fault::ProofFault;

use crate::policy::limits::{AudienceCeilings, ScopeCeilings, lacking_scope, lacking_target};
use crate::request::client_authentication::BasicFault;
use crate::request::form::{FormFault, Parameter};
use crate::{
    ClaimFault, ClientId, FramingFault, GrantType, Lifetime, Revocation, Scope, ScopeError, SignatureFault,
    TargetError, Timestamp, TokenType,
};

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
    /// More than one way of authenticating.
    #[error("the request authenticates the client in more than one way")]
    SeveralAuthenticationMethods,
    /// `client_assertion` or `client_assertion_type` without the other.
    #[error("client_assertion and client_assertion_type belong together")]
    IncompleteClientAssertion,
    /// `client_assertion_type` is none that we know (RFC 7521 §4.2).
    #[error("client_assertion_type is not one that is supported")]
    UnsupportedClientAssertion,
    /// The client assertion is not good.
    #[error("the client assertion is not acceptable: {0}")]
    ClientAssertion(TokenFault),
    /// The client assertion was used before (conformance CJ-07).
    #[error("the client assertion was used before")]
    ClientAssertionReplayed,
    /// The certificate of the connection is not that of the client, or nobody trusts who issued it.
    #[error("the certificate with the subject {:?} is not that of client {client}, or is not trusted", hint::cut(.subject))]
    WrongCertificate {
        /// The client.
        client: ClientId,
        /// The subject of the certificate.
        subject: Box<str>,
    },
    /// More than one DPoP proof (RFC 9449 §4.3(1)).
    #[error("the request has more than one DPoP proof")]
    SeveralProofs,
    /// A DPoP header that is no proof.
    #[error("the DPoP proof is unreadable: {0}")]
    MalformedProof(FramingFault),
    /// The DPoP proof is not for this request.
    #[error("the DPoP proof is not acceptable: {0}")]
    Proof(ProofFault),
    /// The DPoP proof was used before.
    #[error("the DPoP proof was used before")]
    ProofReplayed,
    /// The DPoP proof needs a nonce of ours, or has one that is not (RFC 9449 §8).
    #[error("the DPoP proof has no nonce that was handed out lately")]
    ProofNonce,
    /// The client is registered for bound tokens only (RFC 9449 §5.2).
    #[error("the client {0} gets tokens with a DPoP proof only")]
    ProofMissing(ClientId),
    /// The assertion of the jwt-bearer grant is not good.
    #[error("the assertion is not acceptable: {0}")]
    Assertion(TokenFault),
    /// The assertion of the jwt-bearer grant was used before.
    #[error("the assertion was used before")]
    AssertionReplayed,
    /// No credentials at all.
    #[error("the request has no client credentials")]
    NoCredentials,
    /// A Basic header that says nothing.
    #[error("Authorization: Basic is unreadable: {0}")]
    MalformedBasic(BasicFault),
    /// A Bearer header that has no token in it.
    #[error("Authorization: Bearer holds no token")]
    MalformedBearer,
    /// A secret, and nobody whose secret it is.
    #[error("client_secret was sent without client_id")]
    SecretWithoutClientId,
    /// A secret of more than 1024 bytes.
    #[error("the client secret is longer than 1024 bytes")]
    SecretTooLong,
    /// The form and the header, or the form and the token, name different clients.
    #[error("client_id is not the client of the Authorization header")]
    ClientIdsDiffer,
    /// Nobody is registered under that identifier.
    ///
    /// A secret may stand where the identifier should, so only its beginning is told.
    #[error("no client is registered as {0}")]
    UnknownClient(Hint),
    /// The client exists and was disabled.
    #[error("the client {0} is disabled")]
    DisabledClient(ClientId),
    /// The client exists and the secret is not one of its live ones.
    #[error("the secret is not one of the {live} live secrets of client {client}")]
    WrongSecret {
        /// The client.
        client: ClientId,
        /// How many live secrets it has.
        live: usize,
    },
    /// The client exists and is registered to authenticate otherwise (conformance CA-19).
    #[error("the client {client} is registered to authenticate by {}", .registered.as_str())]
    OtherMethod {
        /// The client.
        client: ClientId,
        /// How it would have to authenticate.
        registered: crate::AuthMethod,
    },
    /// A Bearer as the only credential of anything that is no exchange (conformance TX-24).
    #[error("a Bearer token authenticates a client for token exchange only")]
    BearerOutsideOfExchange,
    /// A Bearer that is neither token of the form (conformance D3).
    #[error("the Bearer token is neither the subject_token nor the actor_token")]
    BearerIsNeitherSubjectNorActor,
    /// The Bearer itself is not good.
    #[error("the Bearer token is not acceptable: {0}")]
    BearerToken(TokenFault),
    /// The client is not registered for the grant.
    #[error("the client {client} is not registered for the grant {}", .grant.as_parameter())]
    GrantNotAllowed {
        /// The client.
        client: ClientId,
        /// The grant.
        grant: GrantType,
    },
    /// A grant that we do not know.
    #[error("grant_type is not one that is supported")]
    UnsupportedGrantType,
    /// A parameter that the grant, or another parameter, demands.
    #[error("the parameter {} is missing", .0.name())]
    MissingParameter(Parameter),
    /// A token type identifier that RFC 8693 §3 does not have.
    #[error("the parameter {} is not a known token type identifier", .0.name())]
    UnknownTokenType(Parameter),
    /// A token type that we know and do not take.
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
        "the scope {:?} may not be granted; what may be is {:?}{}",
        .refused.as_str(), .allowed.as_str(), lacking_scope(.refused, .ceilings)
    )]
    ScopeNotAllowed {
        /// What was asked for and is not allowed; empty if nothing was asked for and nothing is left.
        refused: Scope,
        /// What could have been asked for, as far as that is a list.
        allowed: Scope,
        /// Who allows what.
        ceilings: ScopeCeilings,
    },
    /// A resource or audience that is not of the grammar.
    #[error("{0}")]
    MalformedTarget(TargetError),
    /// A resource or audience that may not be asked for here.
    #[error(
        "the target {} may not be asked for; what may be is {allowed:?}{}",
        .refused.as_deref().unwrap_or("that is left"), lacking_target(.refused.as_deref(), .ceilings)
    )]
    TargetNotAllowed {
        /// The first that is not allowed; none if nothing was asked for and nothing is left.
        refused: Option<Box<str>>,
        /// What could have been asked for.
        allowed: Vec<Box<str>>,
        /// Who allows what.
        ceilings: AudienceCeilings,
    },
    /// The subject token is not good.
    #[error("the subject token is not acceptable: {0}")]
    SubjectToken(TokenFault),
    /// The actor token is not good.
    #[error("the actor token is not acceptable: {0}")]
    ActorToken(TokenFault),
    /// A token of another client, and no policy that lets this client exchange it.
    #[error(
        "the client {client} may not get a token for subject {subject:?}{}",
        .of.as_ref().map(|of| format!(" whose token was issued to client {of}")).unwrap_or_default()
    )]
    MayNotActFor {
        /// Who asks.
        client: ClientId,
        /// To whom the subject token was issued, if it is one of ours.
        of: Option<ClientId>,
        /// Its subject.
        subject: Box<str>,
        /// Whose name the subject is; `None` if a client asserted it.
        issuer: Option<crate::Issuer>,
    },
    /// An actor token of somebody else than the client that asks.
    #[error("the actor token was issued to client {of}, not to {client}")]
    ActorOfAnotherClient {
        /// Who asks.
        client: ClientId,
        /// To whom the actor token was issued.
        of: ClientId,
    },
    /// An actor who is himself acted for (conformance D24), or whom the client impersonates.
    #[error("the actor token is not about the client itself")]
    ActorIsDelegated,
    /// Too many actors.
    #[error("the chain would have {depth} actors, more than {deepest}")]
    ChainTooDeep {
        /// How many it would have.
        depth: usize,
        /// How many it may have.
        deepest: usize,
    },
    /// Too many tokens that the result would depend on.
    #[error("the token would depend on {origins} others, more than {most}")]
    TooManyOrigins {
        /// How many it would depend on.
        origins: usize,
        /// How many it may depend on.
        most: usize,
    },
    /// The session's absolute end has come.
    #[error("the session ended at {end}, and it is {now}")]
    SessionOver {
        /// Its end.
        end: Timestamp,
        /// The present.
        now: Timestamp,
    },
    /// A token of another client, presented to be revoked (RFC 7009 §2.1, conformance D18).
    #[error("the client {client} may not revoke the token of client {of}")]
    TokenOfAnotherClient {
        /// Who asks.
        client: ClientId,
        /// To whom the token was issued.
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
}

/// Why a token that was presented is not good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFault {
    /// It is no token that we read.
    #[error("{0}")]
    Framing(#[from] FramingFault),
    /// Its `typ` is not `at+jwt` (RFC 9068 §4).
    #[error("its typ is not at+jwt")]
    Type,
    /// Its `typ` or a claim says that it is another kind of token than what it was presented as.
    #[error("its {by} says that it is {what}")]
    OtherKind {
        /// The header member `typ`, or the claim.
        by: &'static str,
        /// What it is.
        what: &'static str,
    },
    /// It was declared as something that a token of ours is not.
    #[error("it was declared as {0}, and no issuer of such is trusted")]
    DeclaredType(TokenType),
    /// `iss` is absent or not an issuer that is trusted; its keys were not asked for.
    #[error("its issuer is not trusted")]
    Issuer,
    /// The signature is not good.
    #[error("{0}")]
    Signature(#[from] SignatureFault),
    /// A claim is absent or malformed.
    #[error("{0}")]
    Claim(#[from] ClaimFault),
    /// RFC 7519 §4.1.4: "on or after which the JWT MUST NOT be accepted".
    #[error("it expired at {expired}, and it is {now}")]
    Expired {
        /// `exp`.
        expired: Timestamp,
        /// The present.
        now: Timestamp,
    },
    /// Its subject, or what it may have, is an e-mail address that its issuer has not verified.
    #[error("its e-mail address is not verified: {0} is there and not true")]
    UnverifiedEmail(&'static str),
    /// Expired, presented with the client's own credential, and still not renewable (conformance D13).
    #[error("it expired at {expired}, and {why}")]
    NotRenewable {
        /// `exp`.
        expired: Timestamp,
        /// Which condition it does not meet.
        why: NotRenewable,
    },
    /// `iat` or `nbf` lies further in the future than clocks differ, or after `exp`.
    #[error("it is valid from {from}, and it is {now}")]
    NotYetValid {
        /// `iat` or `nbf`.
        from: Timestamp,
        /// The present.
        now: Timestamp,
    },
    /// `aud` names none of those that it should.
    #[error("its audience is not one that is acceptable here")]
    Audience,
    /// The operator took it back.
    #[error("{0}")]
    Revoked(Revocation),
    /// The client or subject that it names is unknown.
    #[error("the {0} that it names is not registered any more")]
    Gone(&'static str),
    /// The client or subject that it names is disabled.
    #[error("the {0} that it names is disabled")]
    Disabled(&'static str),
    /// The operator does not take tokens of its issuer as this.
    #[error("its issuer is not trusted for {0}")]
    NotAcceptedAs(crate::AcceptedAs),
    /// The operator does not take this algorithm of its issuer.
    #[error("it is signed with {0}, which is not accepted of its issuer")]
    Algorithm(crate::Algorithm),
    /// `exp` is further ahead than is accepted.
    #[error("it would live until {expires}, longer than {most}")]
    TooLongLived {
        /// `exp`.
        expires: Timestamp,
        /// How far it may be ahead.
        most: Lifetime,
    },
    /// It was made too long ago.
    #[error("it was made at {issued}, longer ago than {most}")]
    TooOld {
        /// `iat`.
        issued: Timestamp,
        /// How old it may be.
        most: Lifetime,
    },
    /// Its issuer lets somebody else act for its subject (RFC 8693 §4.4).
    #[error("its may_act does not name the actor")]
    MayNotAct,
    /// Another principal has the name of its subject (RFC 9068 §5).
    #[error("catalogs would take its subject {sub:?} for {by}", sub = .sub.as_str())]
    NameTaken {
        /// `sub` of the token that it would give.
        sub: crate::Subject,
        /// The other principal.
        by: crate::Namesake,
    },
    /// A foreign actor for whom the client may not act.
    #[error("the client may not act for its subject")]
    NotThisActor,
    /// The client may not have a token for its subject.
    #[error("the client may not get a token for its subject")]
    MayNotActFor,
    /// The foreign identity stands for no client, or not for this one.
    #[error("its subject is not registered for the client")]
    NotFederated,
    /// An unsigned assertion without an actor who may make it (conformance TX-61).
    #[error("it is not signed, and no actor is there who may assert its subject")]
    NobodyAsserts,
    /// An unsigned assertion that names a client (conformance TX-66).
    #[error("it is not signed, and names a client")]
    AssertsClient,
    /// It is bound to a key, and nothing proves possession of that (RFC 9700 §2.2.1).
    #[error("it is bound to a key of which no proof was given")]
    Bound,
}
