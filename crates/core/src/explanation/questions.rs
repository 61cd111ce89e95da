//! What did each question find out? The loop over the steps, with a rule kept of every answer.

use super::facts::{KeysTold, Named, Registration, SecretFound};
use super::rule::Rule;
use super::{Explanation, Halt, Refusing, Verdict, remedy};
use crate::answers::Recollection;
use crate::flow::{DigestSecret, KeysOf, Question, ReadToken, Step, VerifyToken, Who};
use crate::request::client_authentication::{Authentication, Credential};
use crate::request::token_request::TokenRequest;
use crate::types::unsecured_jwt::UnsecuredJwt;
use crate::{
    Answers, ClientId, Hint, Policy, Presented, Refusal, Secret, SecretDigest, SignedToken, Timestamp,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// What was found out so far.
pub(super) struct Trace {
    pub(super) rules: Vec<Rule>,
    /// The tokens of the request, each with the place where it stood.
    places: Vec<(&'static str, Secret)>,
    /// The user whom an unsigned assertion names.
    asserted: Option<Box<str>>,
}

impl Trace {
    pub(super) fn new() -> Self {
        Self { rules: Vec::new(), places: Vec::new(), asserted: None }
    }

    pub(super) fn presented(&mut self, presented: &Presented) {
        match presented.authentication() {
            Authentication::Bearer(bearer) => self.places.push(("Bearer", bearer.token.clone())),
            Authentication::Credential(Credential::Assertion(assertion)) => {
                self.places.push(("client_assertion", assertion.assertion.clone()));
            }
            Authentication::Credential(Credential::Secret(_) | Credential::Certificate(_)) => {}
        }
        let (mut scope, mut targets) = (String::new(), Vec::new());
        if let Ok(request) = presented.request() {
            request.scope().as_str().clone_into(&mut scope);
            let asked = match request {
                TokenRequest::ClientCredentials(request) => &request.targets,
                TokenRequest::TokenExchange(request) => {
                    self.places.push(("subject_token", request.subject.token.clone()));
                    let actor = request.actor.iter().map(|actor| ("actor_token", actor.token.clone()));
                    self.places.extend(actor);
                    &request.targets
                }
                TokenRequest::JwtBearer(request) => {
                    self.places.push(("assertion", request.assertion.clone()));
                    &request.targets
                }
            };
            targets = asked.iter().map(|target| target.as_str().into()).collect();
        }
        let (grant, method) = (presented.grant_type(), presented.method());
        self.rules.push(Rule::Request { grant, method, scope, targets });
        let unsigned = self
            .places
            .iter()
            .find(|(place, token)| *place == "subject_token" && UnsecuredJwt::is_one(token.expose()));
        if let Some(token) = unsigned.and_then(|(_, token)| UnsecuredJwt::parse(token.expose()).ok()) {
            let claims = told_claims(token.unsigned_payload(), &[]);
            self.asserted = claims.get("sub").and_then(Value::as_str).map(Into::into);
            self.rules.push(Rule::Unsigned { claims });
        }
    }

    /// Answers the question, and keeps what it found out.
    pub(super) fn answer(
        &mut self,
        question: Question<Step>,
        answers: &(impl Answers + ?Sized),
    ) -> Result<Step, Halt> {
        let next = match question {
            Question::FindClient(question) => {
                let (client, named) = match question.who() {
                    Who::Id(id) => (answers.client(id), Named::Id(Hint::of(id.as_str()))),
                    Who::Federated(issuer, subject) => {
                        (answers.federated(issuer, subject), Named::Identity(issuer.clone(), subject.clone()))
                    }
                };
                let found = client.as_deref().map(Registration::of);
                let asserted = self.asserted.as_deref().filter(|name| match question.who() {
                    Who::Id(id) => id.as_str() == *name,
                    Who::Federated(..) => false,
                });
                self.rules.push(match asserted {
                    Some(name) => Rule::AssertedName { name: name.into(), is_client: found.is_some() },
                    None => Rule::Client { named, found },
                });
                question.found(client)?
            }
            Question::DigestSecret(question) => {
                let digest = answers.digest(question.client_id(), question.secret());
                self.rules.extend(secret(&question, &digest, answers));
                question.digested(&digest)?
            }
            Question::FindIssuer(question) => {
                let found = answers.issuer(question.issuer());
                self.rules.push(Rule::Issuer {
                    asked: question.issuer().into(),
                    found: found.as_deref().cloned().map(Box::new),
                });
                question.found(found)?
            }
            Question::ReadToken(question) => self.read(question, answers)?,
            Question::VerifyToken(question) => self.verify(question, answers)?,
            Question::VerifyProof(question) => {
                let verified = answers.keys().verify_proof(question.proof());
                let nonce = question.nonce().map(|nonce| answers.accepts_nonce(nonce, question.now()));
                let claims = question.proof().token().unverified_payload();
                self.rules.push(Rule::Proof {
                    verified: verified.clone(),
                    nonce,
                    claims: picked(claims, &["htm", "htu", "iat", "jti"]),
                });
                question.verified(verified, nonce == Some(true))?
            }
            Question::Recall(question) => {
                let known = Recollection::of(answers, question.claims());
                self.rules.push(Rule::Recalled {
                    token: question.claims().token_id.clone(),
                    client: known.client.as_deref().map(Registration::of).map(Box::new),
                    named: question.claims().client_id.clone(),
                    subject: question.claims().subject.clone(),
                    subject_issuer: question.claims().session.subject_issuer.clone(),
                    principal: known.principal.as_ref().map(|principal| principal.enabled),
                    trusted: known.issuer.as_deref().cloned().map(Box::new),
                    standing: known.subject.clone(),
                    revocation: known.revocation.clone(),
                });
                question.recalled(known)?
            }
            Question::RecallSubject(question) => {
                let standing = question.standing(answers);
                let (issuer, subject) = (question.issuer().cloned(), question.subject().clone());
                self.rules.push(Rule::Subject { issuer, subject, standing: standing.clone() });
                question.recalled(standing)?
            }
            Question::UseOnce(question) => {
                let otherwise = question.replayed().clone();
                self.rules.push(Rule::FirstUse { once: question.once().clone(), otherwise });
                question.used(true)?
            }
        };
        Ok(next)
    }

    /// Where the token stood in the request.
    fn place(&self, token: &str) -> String {
        let at = self.places.iter().filter(|(_, text)| text.expose() == token);
        at.map(|(place, _)| *place).collect::<Vec<_>>().join(" and ")
    }

    fn read(&mut self, question: ReadToken<Step>, answers: &(impl Answers + ?Sized)) -> Result<Step, Halt> {
        let place = self.place(question.token().expose());
        let answer = SignedToken::read(question.token().expose(), question.issuer(), |token| {
            let verified = answers.keys().verify(token, question.now());
            self.rules.push(Rule::Signature {
                place,
                keys: KeysTold::Ourselves,
                header: token.header().clone(),
                verified: Some(verified.clone()),
                claims: told_claims(token.unverified_payload(), &[]),
            });
            verified
        });
        Ok(question.read(answer.map(Arc::new))?)
    }

    fn verify(
        &mut self,
        question: VerifyToken<Step>,
        answers: &(impl Answers + ?Sized),
    ) -> Result<Step, Halt> {
        let token = question.token();
        let place = self.place(token.expose());
        let (keys, mapped) = match question.keys() {
            KeysOf::Issuer(issuer) => {
                let mut mapped = vec![&*issuer.trust.subject_claim];
                mapped.extend(issuer.trust.map.iter().map(crate::ScopeMapping::claim));
                (KeysTold::Issuer(issuer.issuer.clone()), mapped)
            }
            KeysOf::Client(client) => (KeysTold::Client(client.id.clone()), Vec::new()),
            KeysOf::Nobody => (KeysTold::Nobody, Vec::new()),
        };
        let claims = told_claims(token.unverified_payload(), &mapped);
        let header = token.header().clone();
        let rule = |verified| Rule::Signature { place, keys, header, verified, claims };
        let answer = match question.compute(answers.keys()) {
            Ok(answer) => answer,
            Err(issuer) => match answers.verify_fetched(issuer, question.token(), question.now()) {
                Ok(answer) => answer,
                Err(outage) => {
                    self.rules.push(rule(None));
                    return Err(Halt::KeysUnavailable(outage));
                }
            },
        };
        self.rules.push(rule(Some(answer.clone())));
        Ok(question.verified(answer)?)
    }

    /// The end of a request that is refused.
    pub(super) fn refused(self, policy: &Policy, refusal: Refusal) -> Explanation {
        let (told, remedy) = (policy.error_for(&refusal), remedy::of(&refusal, &self.rules, policy));
        let verdict = Verdict::Refused(Box::new(Refusing { refusal, told, remedy }));
        Explanation { rules: self.rules, verdict }
    }
}

/// Which secret of the client it is; the present is that of the question.
fn secret(
    question: &DigestSecret<Step>,
    digest: &SecretDigest,
    answers: &(impl Answers + ?Sized),
) -> Option<Rule> {
    let id: ClientId = question.client_id().parse().ok()?;
    let client = answers.client(&id).filter(|found| found.id == id)?;
    let now: Timestamp = question.now();
    let secrets = client.secrets.iter().map(|stored| SecretFound {
        id: stored.id.clone(),
        expires_at: stored.expires_at,
        is_live: stored.is_live(now),
        is_presented: stored.digest.matches(digest),
    });
    Some(Rule::Secret { client: id, secrets: secrets.collect() })
}

/// The claims that decisions are made of. Others are nobody's business, not even the operator's.
const TOLD: [&str; 16] = [
    "iss",
    "sub",
    "aud",
    "azp",
    "client_id",
    "scope",
    "iat",
    "nbf",
    "exp",
    "jti",
    "act",
    "may_act",
    "cnf",
    "amr",
    "tokenberg_session",
    "kubernetes.io",
];

fn told_claims(payload: &Map<String, Value>, mapped: &[&str]) -> Map<String, Value> {
    let mut claims = picked(payload, &TOLD);
    for name in mapped {
        // A name with dots may be a path into objects.
        let first = if payload.contains_key(*name) { Some(*name) } else { name.split('.').next() };
        claims.extend(first.map(|name| picked(payload, &[name])).unwrap_or_default());
    }
    claims
}

fn picked(payload: &Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let is_told = |name: &str| names.contains(&name);
    payload.iter().filter(|(name, _)| is_told(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
}
