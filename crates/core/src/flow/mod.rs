//! The flow of a request: a chain of owned steps, each of which asks its caller one question.

mod bearer;
mod check_status;
pub(crate) mod client_authentication;
mod exchange;
pub(crate) mod find_client;
mod find_issuer;
pub(crate) mod inquiry;
mod jwt_bearer;
mod listener;
pub(crate) mod party;
mod pending;
pub(crate) mod question;
mod read_token;
mod sign;
mod use_once;
mod verify_proof;
mod verify_token;

pub use check_status::{CheckStatus, CheckSubjectStatus};
pub use find_client::{DigestSecret, FindClient, Who};
pub use find_issuer::FindIssuer;
pub use inquiry::Inquiry;
pub use listener::Listener;
pub use pending::{Answered, FetchKeys, Pending};
pub use question::{Asks, Question};
pub use read_token::ReadToken;
pub use sign::{Decision, Sign, SubjectProof};
pub use use_once::UseOnce;
pub use verify_proof::VerifyProof;
pub use verify_token::{DECOY_JWKS, KeysOf, VerifyToken};

use crate::policy::limits::Limits;
use crate::policy::proof::Authenticated;
use crate::policy::{Policy, client_credentials, dpop, rights};
use crate::refusal::Refusal;
use crate::request::Presented;
use crate::request::client_authentication::Authentication;
use crate::request::token_request::TokenRequest;
use crate::types::confirmation::Possession;
use crate::{
    AccessTokenClaims, DpopProof, Entropy, Excerpt, GrantType, PeerCertificate, SingleUseId, Thumbprint,
    Timestamp, TokenId,
};
use std::sync::Arc;

/// What has to be done before the request gets any further.
///
/// Exhaustive on purpose: an adapter that leaves one out does not compile.
#[must_use = "a request makes no progress until its step is answered"]
pub enum Step {
    /// Answer this.
    Ask(Question<Self>),
    /// Sign this: the last question.
    Sign(Sign),
}

impl From<Question<Self>> for Step {
    fn from(question: Question<Self>) -> Self {
        Self::Ask(question)
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
    /// The order is always the same: the client authenticates, then its right to the grant is checked, then the grant's parameters, then
    /// the tokens, then what may be granted, and last the single-use identifiers.
    ///
    /// # Errors
    /// A [`Refusal`] if that is clear without any question.
    pub fn start(&self, presented: Presented, now: Timestamp, entropy: Entropy) -> Result<Step, Refusal> {
        self.begin(presented, now, entropy, false)
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
        };
        let asked = GrantRequest { grant_type: presented.grant_type, request: presented.request };
        let shown = PresentedKeys { certificate: presented.certificate, proof: presented.proof };
        match presented.authentication {
            Authentication::Bearer(bearer) => Ok(bearer::begin(known, asked, bearer, shown)),
            Authentication::Credential(credential) => {
                let policy = Arc::clone(&known.policy);
                client_authentication::prove(&policy, credential, now, move |client| {
                    authenticated(known, client, asked, shown)
                })
            }
        }
    }
}

/// What holds from the start on.
pub(crate) struct Known {
    pub(crate) policy: Arc<Policy>,
    pub(crate) now: Timestamp,
    pub(crate) id: TokenId,
    pub(crate) method: &'static str,
    /// Whether the caller wants an explanation of which party allowed what.
    pub(crate) explained: bool,
}

impl Known {
    fn explains(&self, limits: impl FnOnce() -> Limits) -> Option<Box<Limits>> {
        self.explained.then(|| Box::new(limits()))
    }
}

/// The keys of the request that a token could be bound to. A proof is verified after the client is authenticated: verifying one can cost
/// thirty times as much as the rest of a request, and no unauthenticated caller may choose the algorithm.
pub(crate) struct PresentedKeys {
    certificate: Option<PeerCertificate>,
    proof: Option<Result<DpopProof, Refusal>>,
}

/// The keys whose possession is proven, and the proof that is still to be used up.
pub(crate) struct Possessed {
    possession: Possession,
    once: Option<SingleUseId>,
}

impl PresentedKeys {
    /// Verifies the proof, if there is one, and continues with the keys that it proves.
    fn prove(
        self,
        known: Known,
        then: impl FnOnce(Known, Possessed) -> Result<Step, Refusal> + Send + 'static,
    ) -> Result<Step, Refusal> {
        let certificate = self.certificate.map(|shown| Thumbprint::of(shown.thumbprint));
        let Some(proof) = self.proof.transpose()? else {
            return then(known, Possessed { possession: Possession { key: None, certificate }, once: None });
        };
        let now = known.now;
        Ok(verify_proof::ask(proof, now, move |proof, verified, nonce_is_ours| {
            let proven = dpop::check(&known.policy, &proof, verified, nonce_is_ours, now)?;
            let possession = Possession { key: Some(proven.key), certificate };
            then(known, Possessed { possession, once: Some(proven.once) })
        }))
    }
}

/// The grant parameters of the request; none of them is checked before the client is authenticated (conformance TE-25).
pub(crate) struct GrantRequest {
    grant_type: Result<GrantType, Refusal>,
    request: Result<TokenRequest, Refusal>,
}

impl GrantRequest {
    /// The request, whose parameters were not checked yet, for a client that may use its grant.
    fn of(self, client: &Authenticated) -> Result<Result<TokenRequest, Refusal>, Refusal> {
        rights::check_grant(client.client(), self.grant_type?)?;
        Ok(self.request)
    }
}

/// Continues with a client that has authenticated with its own credential.
fn authenticated(
    known: Known,
    client: Authenticated,
    asked: GrantRequest,
    shown: PresentedKeys,
) -> Result<Step, Refusal> {
    let request = asked.of(&client)?;
    shown.prove(known, move |known, possessed| {
        check_proof_sent(&client, &possessed)?;
        match request? {
            TokenRequest::ClientCredentials(request) => {
                let id = known.id.clone();
                let possession = &possessed.possession;
                let claims =
                    client_credentials::grant(&known.policy, &client, &request, possession, known.now, id)?;
                let decision = Decision::client_credentials(known.method, request.scope);
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

/// RFC 9449 §5.2: a client may be registered for bound tokens only.
fn check_proof_sent(client: &Authenticated, possessed: &Possessed) -> Result<(), Refusal> {
    if client.client().rights.dpop_bound && possessed.possession.key.is_none() {
        return Err(Refusal::ProofMissing(client.id().clone()));
    }
    Ok(())
}

/// Uses up the proof after all other checks (conformance DP-09), and asks for the signature.
fn conclude(
    known: &Known,
    claims: AccessTokenClaims,
    decision: Decision,
    limits: Option<Box<Limits>>,
    once: Option<SingleUseId>,
) -> Result<Step, Refusal> {
    let now = known.now;
    match once {
        None => Ok(sign::ask(claims, decision, limits, now)),
        Some(once) => Ok(use_once::ask(
            once,
            |once| Refusal::ProofReplayed(Excerpt::of_claim(&once.id)),
            move || Ok(sign::ask(claims, decision, limits, now)),
        )),
    }
}
