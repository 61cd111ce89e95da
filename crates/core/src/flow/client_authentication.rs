//! Authenticates the client in every way other than a token: RFC 6749 §2.3, RFC 7521 §4.2, RFC 8705 §2.

use super::check_status::CheckSubjectStatus;
use super::find_client::{self, FindClient};
use super::find_issuer::FindIssuer;
use super::keys_of::KeysOf;
use super::question::{Asks, ask};
use super::use_once::UseOnce;
use super::verify_token::VerifyToken;
use super::who::Who;
use crate::issuer::AcceptedAs;
use crate::policy::foreign_token::{self, text};
use crate::policy::proof::Authenticated;
use crate::policy::{Policy, certificate, client_assertion, public_client, token_kind};
use crate::refusal::{ClientIdsDiffer, NotFederated, Redacted, Refusal, TokenFault};
use crate::registration::SpiffeId;
use crate::request::client_authentication::{
    AssertionAuthentication, AssertionKind, CertificateAuthentication, Credential, IdTokenAuthentication,
};
use crate::token::{ClaimFault, Defect, SingleUseId};
use crate::{AuthMethod, Client, ClientId, CompactJws, Excerpt, Timestamp, TrustedIssuer};
use std::sync::Arc;

/// The continuation after the client has authenticated.
type Then<S> = Box<dyn FnOnce(Authenticated) -> Result<S, Refusal> + Send>;

/// Authenticates the client, and continues with `then`.
pub(crate) fn prove<S: Asks + 'static>(
    policy: &Arc<Policy>,
    credential: Credential,
    now: Timestamp,
    then: impl FnOnce(Authenticated) -> Result<S, Refusal> + Send + 'static,
) -> Result<S, Refusal> {
    match credential {
        Credential::Secret(secret) => find_client::begin(secret, now, then),
        Credential::Certificate(presented) => {
            by_certificate(Arc::clone(policy), presented, now, Box::new(then))
        }
        Credential::Assertion(assertion) => {
            Assertion::read(Arc::clone(policy), assertion, now)?.prove(Box::new(then))
        }
        Credential::IdToken(presented) => by_id_token(Arc::clone(policy), &presented, now, Box::new(then)),
    }
}

/// Connections may have a certificate for their own reasons: with an ID token, it counts only for clients that are registered with one.
fn by_certificate<S: Asks + 'static>(
    policy: Arc<Policy>,
    presented: CertificateAuthentication,
    now: Timestamp,
    then: Then<S>,
) -> Result<S, Refusal> {
    let CertificateAuthentication { client_id, certificate, id_token } = presented;
    let unknown = |id: &str| Refusal::UnknownClient(Redacted::of(id));
    let id: ClientId = client_id.parse().map_err(|_| unknown(&client_id))?;
    Ok(ask(FindClient::new(Who::Id(id), move |client| {
        let has_name = |client: &Arc<Client>| client.rights.auth_method == AuthMethod::TlsClientAuth;
        if let Some(id_token) = id_token.filter(|_| !client.as_ref().is_some_and(has_name)) {
            return by_id_token(policy, &IdTokenAuthentication { client_id, id_token }, now, then);
        }
        let client = client.ok_or_else(|| unknown(&client_id))?;
        then(certificate::check(client, &certificate, now)?)
    })))
}

/// The issuer is checked before any key is fetched, and every refusal follows the verification of a signature, as with assertions.
fn by_id_token<S: Asks + 'static>(
    policy: Arc<Policy>,
    presented: &IdTokenAuthentication,
    now: Timestamp,
    then: Then<S>,
) -> Result<S, Refusal> {
    let not_good = Refusal::ClientAssertion;
    let token = CompactJws::parse(presented.id_token.expose()).map_err(|fault| not_good(fault.into()))?;
    let issuer = foreign_token::issuer_of(&token, AcceptedAs::IdToken).map_err(not_good)?;
    let unknown = Refusal::UnknownClient(Redacted::of(&presented.client_id));
    let Ok(id) = presented.client_id.parse::<ClientId>() else { return Err(unknown) };
    let refuse =
        move |token, refusal| Ok(ask(VerifyToken::new(token, KeysOf::Decoy, now, move |_, _| Err(refusal))));
    Ok(ask(FindIssuer::new(&issuer, move |trusted| {
        let issuer = match trusted {
            Ok(issuer) => issuer,
            Err(fault) => return refuse(token, not_good(fault)),
        };
        Ok(ask(FindClient::new(Who::Id(id), move |client| {
            let client = client.ok_or(unknown);
            let client = client.and_then(|client| public_client::has_no_credential(&client).map(|()| client));
            // With the same keys for every client: whether they can be fetched must not tell which clients there are.
            let keys = KeysOf::Issuer(Arc::clone(&issuer));
            Ok(ask(VerifyToken::new(token, keys, now, move |token, verified| {
                then(public_client::check(&policy, client?, &token, verified, &issuer, now)?)
            })))
        })))
    })))
}

/// An assertion in the form of one. Its maker is not verified yet.
struct Assertion {
    policy: Arc<Policy>,
    token: CompactJws,
    now: Timestamp,
    client_id: Option<ClientId>,
    maker: Maker,
}

/// The party named as the maker of an assertion.
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
        let bad_claim = |name: &'static str, rule: String| {
            TokenFault::UnverifiedClaim(ClaimFault::new(name, Defect::of_text(payload.get(name), rule)))
        };
        let subject = text(payload, "sub").ok_or_else(|| not_good(bad_claim("sub", String::new())))?;
        let maker = match presented.kind {
            AssertionKind::JwtSpiffe => Maker::of_workload(subject),
            // A SPIFFE identity is one whatever assertion type is declared; `iss` of an SVID has no meaning.
            AssertionKind::JwtBearer if subject.starts_with("spiffe:") => Maker::of_workload(subject),
            AssertionKind::JwtBearer => match text(payload, "iss") {
                Some(issuer) if issuer == subject => {
                    let client: Result<ClientId, _> = subject.parse();
                    client.map(Maker::Client).map_err(|rule| bad_claim("sub", rule.to_string()))
                }
                Some(issuer) => Ok(Maker::Issuer { issuer: issuer.into(), subject: subject.into() }),
                None => Err(bad_claim("iss", String::new())),
            },
        };
        // RFC 7521 §4.2: the identifier "MUST identify the same client as is identified by the client assertion".
        let named = presented.client_id.as_deref();
        let client_id = named.map(str::parse).transpose().map_err(|_| differs(named, subject))?;
        let maker = maker.map_err(not_good)?;
        Ok(Self { maker, policy, token, now, client_id })
    }

    fn prove<S: Asks + 'static>(self, then: Then<S>) -> Result<S, Refusal> {
        match self.maker {
            Maker::Client(ref id) => {
                if let Some(other) = self.client_id.as_ref().filter(|other| *other != id) {
                    return Err(differs(Some(other.as_str()), id.as_str()));
                }
                let who = Who::Id(id.clone());
                Ok(ask(FindClient::new(who, move |client| Ok(self.made_by(client, then)))))
            }
            Maker::Issuer { ref issuer, .. } => {
                let issuer = issuer.clone();
                // The allow-list is checked before any key is fetched, and before a caller can find out whether such a client exists.
                Ok(ask(FindIssuer::new(&issuer, move |trusted| match trusted {
                    Ok(issuer) => self.about_client(issuer, then),
                    Err(fault) => Ok(self.refuse(Refusal::ClientAssertion(fault))),
                })))
            }
        }
    }

    /// Checks what the client made for itself, with the keys that it is registered with.
    fn made_by<S: Asks + 'static>(self, client: Option<Arc<Client>>, then: Then<S>) -> S {
        let client = match client {
            None => {
                let unknown = Refusal::UnknownClient(Redacted::of(self.claimed_subject()));
                return self.refuse(unknown);
            }
            Some(client) => match client_assertion::signs_for_itself(&client) {
                Ok(()) => client,
                Err(refusal) => return self.refuse(refusal),
            },
        };
        let (policy, now) = (self.policy, self.now);
        ask(VerifyToken::new(self.token, KeysOf::Client(Arc::clone(&client)), now, move |token, verified| {
            let (client, once) = client_assertion::check_own(&policy, client, &token, verified, now)?;
            let replayed = |once: &SingleUseId| Refusal::ClientAssertionReplayed(Excerpt::of_claim(&once.id));
            Ok(ask(UseOnce::new(once, replayed, move || then(client))))
        }))
    }

    /// Finds the client for which the subject stands, and checks the identity with the keys of its issuer.
    fn about_client<S: Asks + 'static>(
        self,
        issuer: Arc<TrustedIssuer>,
        then: Then<S>,
    ) -> Result<S, Refusal> {
        let who = match &self.client_id {
            Some(id) => Who::Id(id.clone()),
            None => Who::Federated(issuer.issuer.clone(), self.claimed_subject().into()),
        };
        Ok(ask(FindClient::new(who, move |client| {
            let Some(client) = client else {
                let fault = NotFederated {
                    issuer: issuer.issuer.clone(),
                    subject: Excerpt::of_claim(self.claimed_subject()),
                    client: self.client_id.clone(),
                    is_client_known: false,
                    is_verified: false,
                };
                let refusal = Refusal::ClientAssertion(TokenFault::NotFederated(Box::new(fault)));
                return Ok(self.refuse_after(KeysOf::Issuer(issuer), refusal));
            };
            let (policy, now) = (self.policy, self.now);
            let keys = KeysOf::Issuer(Arc::clone(&issuer));
            Ok(ask(VerifyToken::new(self.token, keys, now, move |token, verified| {
                let vouched =
                    client_assertion::check_federated(&policy, client, &token, verified, issuer, now)?;
                let (issuer, names) = vouched.names();
                Ok(ask(CheckSubjectStatus::of_subject(issuer, names, move |status| {
                    then(vouched.check_status(&status)?)
                })))
            })))
        })))
    }

    /// The subject that it claims to be about.
    fn claimed_subject(&self) -> &str {
        match &self.maker {
            Maker::Client(id) => id.as_str(),
            Maker::Issuer { subject, .. } => subject,
        }
    }

    /// Refuses after a signature was verified, so that the response time does not reveal which clients are registered (conformance
    /// CJ-17).
    fn refuse<S: Asks + 'static>(self, refusal: Refusal) -> S {
        self.refuse_after(KeysOf::Decoy, refusal)
    }

    /// The same with the keys that a registered client would need: whether they can be fetched must not tell, either.
    fn refuse_after<S: Asks + 'static>(self, keys: KeysOf, refusal: Refusal) -> S {
        ask(VerifyToken::new(self.token, keys, self.now, move |_, _| Err(refusal)))
    }
}

/// The form names another client than the assertion.
fn differs(named: Option<&str>, subject: &str) -> Refusal {
    let named = named.unwrap_or_default();
    Refusal::ClientIdsDiffer(ClientIdsDiffer::boxed(named, subject, "the client assertion"))
}

impl Maker {
    /// The trust domain is that of the subject, whatever `iss` says (conformance WL-03).
    fn of_workload(subject: &str) -> Result<Self, TokenFault> {
        let bad = |rule: String| {
            let defect = Defect::Rule { found: Excerpt::of_claim(subject), rule: rule.into() };
            TokenFault::UnverifiedClaim(ClaimFault::new("sub", defect))
        };
        let id: SpiffeId =
            subject.parse().map_err(|rule: crate::registration::SpiffeIdError| bad(rule.to_string()))?;
        if !id.has_path() {
            return Err(bad("it names a trust domain and no workload".to_owned()));
        }
        Ok(Self::Issuer { issuer: id.trust_domain().into(), subject: id.as_str().into() })
    }
}
