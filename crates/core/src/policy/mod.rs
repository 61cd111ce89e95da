//! The rules of what may be granted: pure functions of values, which ask no question and never wait.

pub(crate) mod access_token;
pub(crate) mod address;
pub(crate) mod binding;
pub(crate) mod certificate;
pub(crate) mod client_assertion;
pub(crate) mod client_credentials;
pub(crate) mod client_secret;
pub(crate) mod delegation;
pub(crate) mod dpop;
pub(crate) mod exchange;
pub(crate) mod foreign_times;
pub(crate) mod foreign_token;
pub(crate) mod framing;
pub(crate) mod id_token;
pub mod limits;
pub(crate) mod parties;
pub(crate) mod party;
pub(crate) mod proof;
pub(crate) mod public_client;
pub(crate) mod rights;
pub(crate) mod session;
pub(crate) mod signed_token;
pub(crate) mod token_kind;
pub(crate) mod token_status;

pub use address::TOKEN_ENDPOINT_PATHS;
pub use rights::{LONGEST_SESSION_LIFETIME, LONGEST_TOKEN_LIFETIME};

use crate::error::Realm;
use crate::{AccessTokenClaims, Issuer, Lifetime, Timestamp};

/// The settings that apply to every request, whatever the client.
///
/// ```
/// use tokenberg_core::{Lifetime, Policy};
///
/// let mut policy = Policy::new("https://catalog.example/auth".parse()?);
/// policy.expired_subject_grace = Lifetime::from_hours(1);
/// assert_eq!(policy.token_endpoint(), "https://catalog.example/auth/v1/oauth/tokens");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// Our issuer identifier: `iss` of every token.
    pub issuer: Issuer,
    /// For how long after its end a client's own token can still be renewed with the client's credential; 24 h.
    pub expired_subject_grace: Lifetime,
    /// How many actors a chain may have; 5.
    pub deepest_chain: usize,
    /// How far the clocks of our own nodes may be apart; 5 s. Applies to `iat` and `nbf`, never to `exp`.
    pub clock_leeway: Lifetime,
    /// Whether only the six error codes that Iceberg's specification lists are sent: `invalid_target` becomes
    /// `invalid_request`.
    pub strict_iceberg_errors: bool,
    /// Whether a DPoP proof needs a nonce of ours (RFC 9449 §8); off.
    pub require_dpop_nonce: bool,
    /// The path that the endpoints are served under, in addition to that of the issuer: a DPoP proof may be made for either. It begins
    /// with a slash and does not end with one.
    pub base_path: Option<Box<str>>,
    /// The realm of challenges.
    pub realm: Realm,
}

/// The path of the token endpoint under the issuer, as in Iceberg's specification.
const TOKEN_ENDPOINT: &str = address::TOKEN_ENDPOINT_PATHS[0];

impl Policy {
    /// The defaults, for this issuer.
    #[must_use]
    pub fn new(issuer: Issuer) -> Self {
        Self {
            issuer,
            expired_subject_grace: Lifetime::from_hours(24),
            deepest_chain: 5,
            clock_leeway: Lifetime::from_seconds(5),
            strict_iceberg_errors: false,
            require_dpop_nonce: false,
            base_path: None,
            realm: Realm::default(),
        }
    }

    /// The address of the token endpoint, as clients know it: that of the issuer and `/v1/oauth/tokens`, never that of a request.
    #[must_use]
    pub fn token_endpoint(&self) -> String {
        format!("{}{TOKEN_ENDPOINT}", self.issuer)
    }

    pub(crate) fn is_token_endpoint(&self, address: &str) -> bool {
        address.strip_prefix(self.issuer.as_str()) == Some(TOKEN_ENDPOINT)
    }

    /// The time until which a revocation of the token's session, made at `now`, has to be kept: until no token that depends on the
    /// session can be presented any more, including an expired token presented by its own client, on a node whose clock is late.
    ///
    /// One token of the session may expire earlier than another; but none is issued after the revocation, and none lives longer than the
    /// maximum lifetime of a token. Sessions of users that were begun with a client's own token may outlive it.
    #[must_use]
    pub fn remembers_until(&self, token: &AccessTokenClaims, now: Timestamp) -> Timestamp {
        let longest = if token.is_of_clients_session() {
            rights::LONGEST_SESSION_LIFETIME
        } else {
            rights::LONGEST_TOKEN_LIFETIME
        };
        let last = token.session.end.max(now.plus(longest));
        last.plus(self.expired_subject_grace).plus(self.clock_leeway)
    }

    /// The error that the client receives for a refusal under this policy.
    #[must_use]
    pub fn error_for(&self, refusal: &crate::Refusal) -> crate::OAuthError {
        let error = refusal.to_oauth_error();
        if self.strict_iceberg_errors && error.code == crate::ErrorCode::InvalidTarget {
            return crate::OAuthError { code: crate::ErrorCode::InvalidRequest, ..error };
        }
        error
    }
}
