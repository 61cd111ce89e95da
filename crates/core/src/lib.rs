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
//! [`Reply`] is the response of each outcome as HTTP: status, header fields and body, for any framework. [`limits`] refuses sources that
//! guess secrets.
//!
//! [`IntrospectionEndpoint`] and [`RevocationEndpoint`] read a [`PresentedToken`] and ask the fewer questions of an [`Inquiry`].
//! [`inquire`] answers these on a thread that may block.
//!
//! The same types serve a client: [`TokenRequest::to_http`] writes a request, [`client::read_answer`] reads the response, and
//! [`client::Renewal`] decides when to renew and with which request. [`TokenVerification`] is the check that a catalog makes of
//! a token presented to it, and [`IdTokenVerification`] that of the party that an ID token was issued to.
#![forbid(unsafe_code)]

pub mod answers;
pub mod audit;
pub mod backends;
pub mod client;
mod debug;
mod drive;
pub mod error;
pub mod explanation;
pub mod flow;
pub mod introspection;
pub mod issuer;
pub mod jws;
pub mod key_schedule;
pub mod limits;
pub mod metadata;
pub mod policy;
pub mod refusal;
pub mod registration;
pub mod reply;
pub mod request;
pub mod response;
pub mod revocation;
pub mod text;
pub mod time;
pub mod token;
mod types;

pub use answers::{Answers, Keys, World};
pub use audit::Outcome;
pub use backends::{Blocking, IssuerKeys, KeyDevice, Revocations, Signer, SingleUse};
pub use drive::{NotGranted, drive, inquire};
pub use error::{ErrorCode, OAuthError};
pub use flow::{
    Answered, AuthenticatedClient, Granted, Inquiry, Listener, Pending, Question, Step, TokenEndpoint,
};
pub use introspection::{Introspection, IntrospectionEndpoint};
pub use policy::Policy;
pub use policy::access_token::TokenVerification;
pub use policy::id_token::IdTokenVerification;
pub use refusal::{Refusal, TokenFault};
pub use reply::Reply;
pub use request::presented_token::PresentedToken;
pub use request::token_request::TokenRequest;
pub use request::{Presented, Request};
pub use response::TokenResponse;
pub use revocation::{RevocationEndpoint, Revoke};
pub use types::authority;
pub use types::claims::AccessTokenClaims;
pub use types::client_id::ClientId;
pub use types::compact_jws::CompactJws;
pub use types::entropy::Entropy;
pub use types::excerpt::Excerpt;
pub use types::issuer::Issuer;
pub use types::peer_certificate::PeerCertificate;
pub use types::registration::{AuthMethod, Client, GrantType, Rights};
pub use types::revocation::Revocation;
pub use types::scope::Scope;
pub use types::secret::{Secret, SecretDigest};
pub use types::signature_fault::SignatureFault;
pub use types::subject::Subject;
pub use types::target::Target;
pub use types::time::{Lifetime, Timestamp};
pub use types::token_id::TokenId;
pub use types::token_type::TokenType;
pub use types::trusted_issuer::{KeySource, Trust, TrustedIssuer};
pub use types::verified::Verified;
