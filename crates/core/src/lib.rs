//! The protocol of the token endpoint of an Apache Iceberg REST catalog, without any I/O.
//!
//! ```text
//! bytes ── Presented::read ──> Presented ── TokenEndpoint::start ──> Step ⇄ your loop, or `drive` ──> TokenResponse
//!                                                                     └─────────────> Refusal ── Policy::error_for ──> OAuthError
//! ```
//!
//! Each [`Step`] owns all that is known so far, asks one question, and is consumed by the answer. So no trait has to be sync or async:
//! [`Question::answer`] answers from memory with [`Answers`] and returns the three things that take time as a [`Pending`]. A program that
//! may block calls [`drive`]; one with an event loop awaits those three itself. Time and randomness are arguments. Inside the flow, code
//! that proceeds for an unauthenticated client, or from an unverified token, does not compile.
//!
//! ```
//! use tokenberg_core::{Policy, Presented, TokenEndpoint, drive};
//! # use tokenberg_core::{Entropy, Timestamp};
//! # let now = Timestamp::from_seconds(tokenberg_testkit::NOW)?;
//! # let entropy = Entropy::from_bits([7; 16]);
//! # let world = tokenberg_testkit::World::new();
//! // `world` implements `Answers` (clients, keys and revocations, in memory) and `Blocking` (what takes time).
//! let endpoint = TokenEndpoint::new(Policy::new("https://as.test".parse()?));
//! let presented = Presented::read(&[b"Basic YzE6czEtWjc="], None, b"grant_type=client_credentials")?;
//! let granted = drive(endpoint.start(presented, now, entropy)?, &world, &world)?;
//! assert_eq!(granted.claims.client_id.as_str(), "c1");
//! assert_eq!(granted.response.scope.map(|scope| scope.to_string()), Some("catalog".to_owned()));
//!
//! // A refusal has two descriptions: an exact one for the log, and a brief one for the client.
//! # let entropy = Entropy::from_bits([8; 16]);
//! let stranger = Presented::read(&[], None, b"grant_type=client_credentials&client_id=c1&client_secret=x")?;
//! let Err(tokenberg_core::NotGranted::Refused(refusal)) = drive(endpoint.start(stranger, now, entropy)?, &world, &world) else {
//!     unreachable!("the secret is wrong");
//! };
//! assert_eq!(refusal.to_string(), "wrong secret for the client c1, which has 1 live secret");
//! assert_eq!(endpoint.policy().error_for(&refusal).status(), 401);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`IntrospectionEndpoint`] and [`RevocationEndpoint`] read a [`PresentedToken`] and ask the fewer questions of an [`Inquiry`].
//! [`inquire`] answers these on a thread that may block.
//!
//! The same types serve a client: [`TokenRequest::to_http`] writes a request, [`read_answer`] reads the response, [`Renewal`] decides
//! when to renew and with which request. [`TokenVerification`] is the check that a catalog makes of a token presented to it.
#![forbid(unsafe_code)]

mod answers;
mod backends;
mod client;
mod debug;
mod drive;
mod error;
mod explanation;
mod flow;
mod introspection;
mod outcome;
mod policy;
mod record;
mod refusal;
mod request;
mod response;
mod revocation;
mod types;

pub use answers::{Answers, Keys, SigningFault, World};
pub use backends::{
    Blocking, BoxFuture, IssuerKeys, KeysUnavailable, NotWritten, Revocations, SingleUse, Writing,
};
pub use client::{
    AnswerFault, ClientAuthentication, Held, NextRequest, Outgoing, ReceivedError, Renewal, read_answer,
};
pub use drive::{NotGranted, drive, inquire};
pub use error::{Challenge, ErrorCode, OAuthError};
pub use explanation::{
    Explanation, Granting, KeysFound, Named, Refusing, Registration, Rule, SecretFound, Verdict, explain,
    quoted,
};
pub use flow::{
    Answered, Asks, CheckStatus, CheckSubjectStatus, DECOY_JWKS, Decision, DigestSecret, FetchKeys,
    FindClient, FindIssuer, Granted, Inquiry, KeysOf, Listener, Pending, Question, ReadToken, Sign, Step,
    SubjectProof, TokenEndpoint, UseOnce, VerifyProof, VerifyToken, Who,
};
pub use introspection::{Inactivity, Introspection, IntrospectionEndpoint};
pub use outcome::Outcome;
pub use policy::Policy;
pub use policy::access_token::TokenVerification;
pub use policy::address::TOKEN_ENDPOINT_PATHS;
pub use policy::key_schedule::{
    AnotherWaits, KeyState, KeyTimes, PUBLICATION_DELAY, Succession, Successor, introduce, is_rotation_due,
    revoke, signer,
};
pub use policy::limits::{AudienceCeilings, Ceiling, Limits, Party, ScopeCeiling, ScopeCeilings};
pub use policy::rights::{LONGEST_SESSION_LIFETIME, LONGEST_TOKEN_LIFETIME};
pub use policy::signed_token::{SignedToken, TokenReading};
pub use policy::token_status::{ParticipantsStatus, TokenStatus};
pub use record::{AuditRecord, Recorder};
pub use refusal::{
    AgeLimit, AudienceFault, AudienceRule, AuthorizedParty, BasicFault, CertificateFault, CertificateRule,
    ClientIdsDiffer, CopyFault, Cue, DelegatedActor, ExpiredSecret, Involved, Involvement, IssuerRule,
    MayNotAct, NonceFault, NotAccepted, NotFederated, NotPossessed, NotRenewable, OfAnotherKind, Principal,
    ProofFault, Redacted, Refusal, SessionLimit, TokenFault, WithoutRight,
};
pub use request::claimed::ClaimedToken;
pub use request::client_authentication::{
    AssertionAuthentication, AssertionKind, Authentication, BearerAuthentication, CertificateAuthentication,
    Credential, CredentialReading, Role, SecretAuthentication, SecretPlace,
};
pub use request::form::{Form, FormFault, LARGEST_BODY, LARGEST_PRESENTATION, Parameter};
pub use request::presented_token::PresentedToken;
pub use request::token_request::{
    ClientCredentialsRequest, JwtBearerRequest, TokenExchangeRequest, TokenRequest,
};
pub use request::{Presented, Request};
pub use response::{AccessTokenType, TokenResponse, TokenResponseFault};
pub use revocation::{RevocationEndpoint, Revoke, Revoked, Revoking};
pub use types::actor::Actor;
pub use types::algorithm::{Algorithm, Algorithms, KeyId, NotForSigning, UnknownAlgorithm};
pub use types::authority;
pub use types::claim_fault::{ClaimFault, Defect, HeaderFault};
pub use types::claims::{ACCESS_TOKEN_TYPE, AccessTokenClaims};
pub use types::client_id::{ClientId, ClientIdError};
pub use types::compact_jws::{CompactJws, FramingFault, Header, LONGEST_TOKEN, Part};
pub use types::confirmation::{Confirmation, Possession, Thumbprint};
pub use types::distinguished_name::{DistinguishedName, DistinguishedNameError};
pub use types::dpop_proof::DpopProof;
pub use types::entropy::Entropy;
pub use types::excerpt::{Excerpt, LONGEST_EXCERPT};
pub use types::federation::Federation;
pub use types::issuer::{Issuer, IssuerError};
pub use types::json::JsonFault;
pub use types::key_material::KeyMaterial;
pub use types::namesake::Namesake;
pub use types::participants::Participant;
pub use types::peer_certificate::{CertificateName, PeerCertificate};
pub use types::provenance::{MOST_ORIGINS, MayAct, Origin, Provenance};
pub use types::registration::{
    AllowedScope, AuthMethod, Client, GrantType, LONGEST_ASSERTION_LIFETIME, Rights,
};
pub use types::revocation::{Revocation, RevokedBefore};
pub use types::scope::{CATALOG, Scope, ScopeError};
pub use types::scope_mapping::{ScopeMapping, ScopeMappingError};
pub use types::secret::{LONGEST_CLIENT_SECRET, Secret, SecretDigest};
pub use types::session::{Session, UNSECURED};
pub use types::short_text::ShortText;
pub use types::signature_fault::{NoKey, OtherAlgorithm, SignatureFault, Sought};
pub use types::single_use_id::SingleUseId;
pub use types::spiffe_id::{SpiffeId, SpiffeIdError};
pub use types::stored_secret::{StoredSecret, StoredSecrets};
pub use types::subject::{Subject, SubjectError, is_unsafe_to_display};
pub use types::subject_names::{LONGEST_SUBJECT_PREFIX, SubjectNames, prefixes_overlap, suggested_prefix};
pub use types::subject_pattern::{SubjectPattern, SubjectPatternError};
pub use types::subject_status::SubjectStatus;
pub use types::target::{Target, TargetError};
pub use types::time::{Lifetime, Timestamp, TimestampOutOfRange, UNITS_OF_TIME};
pub use types::token_id::TokenId;
pub use types::token_type::{TokenType, TypedToken};
pub use types::trusted_issuer::{AcceptedAs, KeySource, LONGEST_MAX_AGE, Trust, TrustedIssuer};
pub use types::user_pattern::{UserPattern, UserPatternError};
pub use types::verified::Verified;
