//! What happens next? A request as a chain of owned steps, each of which asks its caller one thing.

mod exchange;
pub(crate) mod find_client;
pub(crate) mod inquiry;
mod recall;
mod sign;
mod verify_token;

pub use find_client::{AsksForClients, DigestSecret, FindClient};
pub use inquiry::{Inquiry, RecallPresented, VerifyPresented};
pub use recall::Recall;
pub use sign::{Decision, Sign};
pub use verify_token::VerifyToken;

use crate::policy::proof::Authenticated;
use crate::policy::{Policy, client_credentials, rights};
use crate::refusal::Refusal;
use crate::request::Presented;
use crate::request::client_authentication::Authentication;
use crate::request::token_request::TokenRequest;
use crate::{Entropy, GrantType, Timestamp, TokenId};
use std::sync::Arc;

/// A question that has to be answered before the request gets any further.
///
/// Exhaustive on purpose: an adapter that does not answer a question does not compile.
#[must_use = "a request makes no progress until its step is answered"]
pub enum Step {
    /// Who is registered under this identifier?
    FindClient(FindClient),
    /// What would this secret be stored as?
    DigestSecret(DigestSecret),
    /// Is this signature good?
    VerifyToken(VerifyToken),
    /// What is known now about this token?
    Recall(Recall),
    /// Sign this: the last question.
    Sign(Sign),
}

impl From<FindClient> for Step {
    fn from(question: FindClient) -> Self {
        Self::FindClient(question)
    }
}

impl From<DigestSecret> for Step {
    fn from(question: DigestSecret) -> Self {
        Self::DigestSecret(question)
    }
}

/// The token endpoint (RFC 6749 §3.2): makes steps of requests.
#[derive(Clone)]
pub struct TokenEndpoint {
    policy: Arc<Policy>,
}

impl TokenEndpoint {
    /// An endpoint under this policy.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy: Arc::new(policy) }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The same policy, for the companions of the token endpoint.
    pub(crate) fn shared_policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy)
    }

    /// Begins with a request at the time `now`.
    ///
    /// The order is always the same: the client proves who it is, then its right to the grant is checked, then the
    /// grant's parameters, then the tokens, then what may be granted.
    ///
    /// # Errors
    /// A [`Refusal`] if that is clear without asking anything.
    pub fn start(&self, presented: Presented, now: Timestamp, entropy: Entropy) -> Result<Step, Refusal> {
        let known = Known {
            method: presented.method(),
            policy: Arc::clone(&self.policy),
            now,
            id: entropy.into_token_id(),
        };
        let asked = Asked { grant_type: presented.grant_type, request: presented.request };
        match presented.authentication {
            Authentication::Secret(secret) => {
                find_client::begin(secret, now, move |client| authenticated(known, client, asked))
            }
            Authentication::Bearer(bearer) => verify_token::begin_with_bearer(known, asked, bearer),
        }
    }
}

/// What holds from the start on.
pub(crate) struct Known {
    pub(crate) policy: Arc<Policy>,
    pub(crate) now: Timestamp,
    pub(crate) id: TokenId,
    pub(crate) method: &'static str,
}

/// What was asked for, not to be talked about before the client has proven who it is (conformance TE-25).
pub(crate) struct Asked {
    grant_type: Result<GrantType, Refusal>,
    request: Result<TokenRequest, Refusal>,
}

impl Asked {
    /// The request, for a client that may use its grant.
    fn of(self, client: &Authenticated) -> Result<TokenRequest, Refusal> {
        rights::check_grant(client.client(), self.grant_type?)?;
        self.request
    }
}

/// Goes on with a client that has proven its credential.
fn authenticated(known: Known, client: Authenticated, asked: Asked) -> Result<Step, Refusal> {
    match asked.of(&client)? {
        TokenRequest::ClientCredentials(request) => {
            let claims = client_credentials::grant(&known.policy, &client, &request, known.now, known.id)?;
            Ok(sign::ask(claims, Decision::client_credentials(known.method, request.scope), known.now))
        }
        TokenRequest::JwtBearer(_) => Err(Refusal::UnsupportedGrantType),
        TokenRequest::TokenExchange(request) => exchange::Exchange::begin(known, client, request)?.next(),
    }
}
