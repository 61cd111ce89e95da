//! The flow of a request: a chain of owned steps, each of which asks its caller one question.

mod authenticated_client;
mod bearer;
mod check_status;
pub(crate) mod client_authentication;
mod exchange;
pub(crate) mod find_client;
mod find_issuer;
mod grant_hook;
pub(crate) mod inquiry;
mod jwt_bearer;
mod keys_of;
mod known;
mod listener;
pub(crate) mod party;
mod pending;
pub(crate) mod question;
mod read_token;
mod sign;
mod step;
mod use_once;
mod verify_proof;
mod verify_token;
mod who;

pub use authenticated_client::AuthenticatedClient;
pub use check_status::{CheckStatus, CheckSubjectStatus};
pub use find_client::{DigestSecret, FindClient};
pub use find_issuer::FindIssuer;
pub use grant_hook::{GrantHook, Proposal, Verdict};
pub use inquiry::Inquiry;
pub use keys_of::{DECOY_JWKS, KeysOf};
pub use listener::Listener;
pub use pending::{Answered, Pending};
pub use question::{Asks, Question};
pub use read_token::ReadToken;
pub use sign::{Decision, Granted, Sign, SignInput, SubjectProof};
pub use step::Step;
pub use use_once::UseOnce;
pub use verify_proof::VerifyProof;
pub use verify_token::{FetchKeys, VerifyToken};
pub use who::Who;

use crate::policy::proof::Authenticated;
use crate::policy::{Policy, client_credentials};
use crate::refusal::Refusal;
use crate::request::client_authentication::Authentication;
use crate::request::token_request::TokenRequest;
use crate::request::{Presented, Request};
use crate::{Entropy, Timestamp};
use known::{GrantRequest, Known, PresentedKeys, check_proof_sent, conclude};
use std::sync::Arc;

/// The token endpoint (RFC 6749 §3.2): makes steps of requests.
#[derive(Clone)]
pub struct TokenEndpoint {
    policy: Arc<Policy>,
    hook: Option<Arc<dyn GrantHook>>,
}

impl TokenEndpoint {
    /// An endpoint under this policy.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { policy: Arc::new(policy), hook: None }
    }

    /// Asks this hook about every token that would be issued.
    #[must_use]
    pub fn decided_by(self, hook: Arc<dyn GrantHook>) -> Self {
        Self { hook: Some(hook), ..self }
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
    /// The order is always the same: the client authenticates, then its right to the grant is checked, then the grant's parameters, then
    /// the tokens, then what may be granted, and last the single-use identifiers.
    ///
    /// # Errors
    /// A [`Refusal`] if that is clear without any question.
    pub fn start(&self, presented: Presented, now: Timestamp, entropy: Entropy) -> Result<Step, Refusal> {
        self.begin(presented, now, entropy, false)
    }

    /// Begins to authenticate the client of a request, by every method that the endpoint has except a token, and checks nothing else:
    /// for a grant of your own (RFC 6749 §4.5), which may be at the same path or another one. Whether this client may use that grant,
    /// and what it gets, is for you to decide.
    ///
    /// ```
    /// use tokenberg_core::{Answers, NotGranted, Request, TokenEndpoint, Timestamp, inquire};
    ///
    /// /// Answers `grant_type=urn:example:job`.
    /// fn own_grant(endpoint: &TokenEndpoint, answers: &dyn Answers, request: &Request<'_>, now: Timestamp) -> Result<String, NotGranted> {
    ///     let client = inquire(endpoint.authenticate(request, now)?, answers, &())?;
    ///     Ok(format!("{} has authenticated by {}", client.id(), client.method()))
    /// }
    /// ```
    ///
    /// # Errors
    /// A [`Refusal`] if the form is malformed, a parameter is in the query, or there are no readable credentials.
    pub fn authenticate(
        &self,
        request: &Request<'_>,
        now: Timestamp,
    ) -> Result<Inquiry<AuthenticatedClient>, Refusal> {
        let credential = request.credential()?;
        let method = credential.method();
        client_authentication::prove(&self.policy, credential, now, move |client| {
            Ok(Inquiry::Answered(AuthenticatedClient::new(&client, method)))
        })
    }

    /// As [`TokenEndpoint::start`]; `explained` changes no decision, only what is recorded of it.
    pub(crate) fn begin(
        &self,
        presented: Presented,
        now: Timestamp,
        entropy: Entropy,
        explained: bool,
    ) -> Result<Step, Refusal> {
        let known = Known {
            explained,
            method: presented.method(),
            policy: Arc::clone(&self.policy),
            now,
            id: entropy.into_token_id(),
            hook: self.hook.clone(),
        };
        let grant = GrantRequest { grant_type: presented.grant_type, request: presented.request };
        let keys = PresentedKeys { certificate: presented.certificate, proof: presented.proof };
        match presented.authentication {
            Authentication::Bearer(bearer) => Ok(bearer::begin(known, grant, bearer, keys)),
            Authentication::Credential(credential) => {
                let policy = Arc::clone(&known.policy);
                client_authentication::prove(&policy, credential, now, move |client| {
                    // The connection may have had a certificate, which did not count.
                    let method = if client.is_public() { "none" } else { known.method };
                    authenticated(Known { method, ..known }, client, grant, keys)
                })
            }
        }
    }
}

/// Continues with a client that has authenticated with its own credential.
fn authenticated(
    known: Known,
    client: Authenticated,
    grant: GrantRequest,
    keys: PresentedKeys,
) -> Result<Step, Refusal> {
    let request = grant.of(&client)?;
    keys.prove(known, move |known, possessed| {
        check_proof_sent(&client, &possessed)?;
        match request? {
            TokenRequest::ClientCredentials(request) => {
                let id = known.id.clone();
                let possession = &possessed.possession;
                let claims =
                    client_credentials::grant(&known.policy, &client, &request, possession, known.now, id)?;
                let decision = Decision::client_credentials(known.method, request.scope).of_client(&client);
                let claims = known.decided(claims, &decision)?;
                let limits = known.explains(|| client_credentials::limits(&known.policy, &client));
                conclude(&known, claims, decision, limits, possessed.once)
            }
            TokenRequest::TokenExchange(request) => {
                exchange::Exchange::begin(known, client, request, possessed)?.next()
            }
            TokenRequest::JwtBearer(request) => jwt_bearer::begin(known, client, request, possessed),
        }
    })
}
