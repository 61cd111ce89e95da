//! The token endpoint of Apache Iceberg REST catalogs, without I/O.
#![forbid(unsafe_code)]

mod answers;
mod client;
mod drive;
mod error;
mod flow;
mod policy;
mod refusal;
mod request;
mod response;
mod types;

pub use answers::{Answers, Keys, Recollection, Revocation, SignatureFault, SigningFault, Verified, World};
pub use client::{AnswerFault, ClientAuthentication, Held, NextRequest, Outgoing, Renewal, read_answer};
pub use drive::{Granted, NotGranted, drive};
pub use error::{Challenge, ErrorCode, NotAnOAuthError, OAuthError};
pub use flow::{Decision, DigestSecret, FindClient, Recall, Sign, Step, TokenEndpoint, VerifyToken};
pub use policy::Policy;
pub use policy::access_token::TokenVerification;
pub use refusal::{Hint, NotRenewable, Refusal, TokenFault};
pub use request::Presented;
pub use request::client_authentication::{
    Authentication, BasicFault, BearerAuthentication, Reading, Role, SecretAuthentication, SecretPlace,
};
pub use request::form::{Form, FormFault, LARGEST_BODY, Parameter};
pub use request::token_request::{ClientCredentialsRequest, TokenExchangeRequest, TokenRequest};
pub use response::{PresentedAs, TokenResponse, TokenResponseFault};
pub use types::algorithm::{Algorithm, KeyId, UnknownAlgorithm};
pub use types::claims::{ACCESS_TOKEN_TYPE, AccessTokenClaims, Actor, ClaimFault, Session, TokenId};
pub use types::client_id::{ClientId, ClientIdError};
pub use types::compact_jws::{CompactJws, FramingFault, Header, LONGEST_TOKEN};
pub use types::entropy::Entropy;
pub use types::issuer::{Issuer, IssuerError};
pub use types::json::JsonFault;
pub use types::key_material::KeyMaterial;
pub use types::registration::{AllowedScope, AuthMethod, Client, GrantType, Rights, StoredSecret};
pub use types::scope::{CATALOG, Scope, ScopeError};
pub use types::secret::{LONGEST_CLIENT_SECRET, Secret, SecretDigest};
pub use types::subject::{Subject, SubjectError};
pub use types::subject_pattern::{SubjectPattern, SubjectPatternError};
pub use types::target::{Target, TargetError};
pub use types::time::{Lifetime, Timestamp, TimestampOutOfRange};
pub use types::token_type::{TokenType, TypedToken};
