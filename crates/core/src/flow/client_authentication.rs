//! Is the client who it says? Every way of proving it that is not a token: RFC 6749 §2.3, RFC 7521 §4.2, RFC 8705 §2.

use super::question::Asks;
use super::verify_token::KeysOf;
use super::{find_client, find_issuer, use_once, verify_token};
use crate::flow::find_client::Who;
use crate::policy::foreign_token::text;
use crate::policy::proof::Authenticated;
use crate::policy::{Policy, certificate, client_assertion, token_kind};
use crate::refusal::{Hint, Refusal, TokenFault};
use crate::request::client_authentication::{
    AssertionAuthentication, AssertionKind, CertificateAuthentication, Credential,
};
use crate::{Client, ClientId, CompactJws, SpiffeId, Timestamp, TrustedIssuer};
use std::sync::Arc;

/// What the client will be asked about next, once it has proven who it is.
type Then<S> = Box<dyn FnOnce(Authenticated) -> Result<S, Refusal> + Send>;

/// Proves the client, and goes on with `then`.
pub(crate) fn prove<S: Asks + 'static>(
    policy: &Arc<Policy>,
    credential: Credential,
    now: Timestamp,
    then: impl FnOnce(Authenticated) -> Result<S, Refusal> + Send + 'static,
) -> Result<S, Refusal> {
    match credential {
        Credential::Secret(secret) => find_client::begin(secret, now, then),
        Credential::Certificate(shown) => by_certificate(shown, now, Box::new(then)),
        Credential::Assertion(assertion) => {
            Assertion::read(Arc::clone(policy), assertion, now)?.prove(Box::new(then))
        }
    }
}

fn by_certificate<S: Asks + 'static>(
    shown: CertificateAuthentication,
    now: Timestamp,
    then: Then<S>,
) -> Result<S, Refusal> {
    let unknown = |id: &str| Refusal::UnknownClient(Hint::of(id));
    let id: ClientId = shown.client_id.parse().map_err(|_| unknown(&shown.client_id))?;
    Ok(find_client::ask(Who::Id(id), move |client| {
        let client = client.ok_or_else(|| unknown(&shown.client_id))?;
        then(certificate::check(client, &shown.certificate, now)?)
    }))
}

/// An assertion that has the form of one. Who made it is not known yet.
struct Assertion {
    policy: Arc<Policy>,
    token: CompactJws,
    now: Timestamp,
    client_id: Option<ClientId>,
    maker: Maker,
}

/// Who says that he made it.
enum Maker {
    /// The client itself: `iss` and `sub` are the same.
    Client(ClientId),
    /// An issuer, about a subject that stands for a client.
    Issuer { issuer: Box<str>, subject: Box<str> },
}

impl Assertion {
    fn read(
        policy: Arc<Policy>,
        presented: AssertionAuthentication,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let not_good = Refusal::ClientAssertion;
        let token =
            CompactJws::parse(presented.assertion.expose()).map_err(|fault| not_good(fault.into()))?;
        token_kind::check_client_assertion(&token).map_err(not_good)?;
        let payload = token.unverified_payload();
        let subject = text(payload, "sub").ok_or(not_good(crate::ClaimFault("sub").into()))?;
        let maker = match presented.kind {
            AssertionKind::JwtSpiffe => Maker::of_workload(subject),
            // A workload's identity is one whatever it is declared as; `iss` of an SVID means nothing.
            AssertionKind::JwtBearer if subject.starts_with("spiffe:") => Maker::of_workload(subject),
            AssertionKind::JwtBearer => match text(payload, "iss") {
                Some(issuer) if issuer == subject => {
                    subject.parse().map(Maker::Client).map_err(|_| TokenFault::Issuer)
                }
                Some(issuer) => Ok(Maker::Issuer { issuer: issuer.into(), subject: subject.into() }),
                None => Err(TokenFault::Issuer),
            },
        };
        // RFC 7521 §4.2: the identifier "MUST identify the same client as is identified by the client assertion".
        let client_id = presented.client_id.map(|id| id.parse()).transpose();
        let client_id = client_id.map_err(|_| Refusal::ClientIdsDiffer)?;
        Ok(Self { maker: maker.map_err(not_good)?, policy, token, now, client_id })
    }

    fn prove<S: Asks + 'static>(self, then: Then<S>) -> Result<S, Refusal> {
        match self.maker {
            Maker::Client(ref id) => {
                if self.client_id.as_ref().is_some_and(|other| other != id) {
                    return Err(Refusal::ClientIdsDiffer);
                }
                let who = Who::Id(id.clone());
                Ok(find_client::ask(who, move |client| Ok(self.made_by(client, then))))
            }
            Maker::Issuer { ref issuer, .. } => {
                let issuer = issuer.clone();
                // The allow-list is asked before any key is, and before anybody learns whether such a client exists.
                Ok(find_issuer::ask(&issuer, move |trusted| match trusted {
                    Ok(issuer) => self.about_client(issuer, then),
                    Err(fault) => Ok(self.nobody(Refusal::ClientAssertion(fault))),
                }))
            }
        }
    }

    /// Checks what the client made for itself, with the keys that it is registered with.
    fn made_by<S: Asks + 'static>(self, client: Option<Arc<Client>>, then: Then<S>) -> S {
        let client = match client {
            None => return self.nobody(Refusal::UnknownClient(Hint::of(""))),
            Some(client) => match client_assertion::signs_for_itself(&client) {
                Ok(()) => client,
                Err(refusal) => return self.nobody(refusal),
            },
        };
        let (policy, now) = (self.policy, self.now);
        verify_token::ask(self.token, KeysOf::Client(Arc::clone(&client)), now, move |token, verified| {
            let (client, once) = client_assertion::check_own(&policy, client, &token, verified, now)?;
            Ok(use_once::ask(once, Refusal::ClientAssertionReplayed, move || then(client)))
        })
    }

    /// Finds the client for which the subject stands, and checks the identity with the keys of its issuer.
    fn about_client<S: Asks + 'static>(
        self,
        issuer: Arc<TrustedIssuer>,
        then: Then<S>,
    ) -> Result<S, Refusal> {
        let Maker::Issuer { subject, .. } = &self.maker else {
            return Err(Refusal::ClientAssertion(TokenFault::Issuer));
        };
        let who = match &self.client_id {
            Some(id) => Who::Id(id.clone()),
            None => Who::Federated(issuer.issuer.clone(), subject.clone()),
        };
        Ok(find_client::ask(who, move |client| {
            let Some(client) = client else {
                return Ok(self.nobody(Refusal::ClientAssertion(TokenFault::NotFederated)));
            };
            let (policy, now) = (self.policy, self.now);
            let keys = KeysOf::Issuer(Arc::clone(&issuer));
            Ok(verify_token::ask(self.token, keys, now, move |token, verified| {
                then(client_assertion::check_federated(&policy, client, &token, verified, &issuer, now)?)
            }))
        }))
    }

    /// Refuses after a signature was verified, so that nobody learns by the time who is registered (conformance CJ-17).
    fn nobody<S: Asks + 'static>(self, refusal: Refusal) -> S {
        verify_token::ask(self.token, KeysOf::Nobody, self.now, move |_, _| Err(refusal))
    }
}

impl Maker {
    /// The trust domain is that of the subject, whoever `iss` names (conformance WL-03).
    fn of_workload(subject: &str) -> Result<Self, TokenFault> {
        let id: SpiffeId = subject.parse().map_err(|_| crate::ClaimFault("sub"))?;
        if !id.has_path() {
            return Err(crate::ClaimFault("sub").into());
        }
        Ok(Self::Issuer { issuer: id.trust_domain().into(), subject: id.as_str().into() })
    }
}
