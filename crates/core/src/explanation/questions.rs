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
    AcceptedAs, Answers, ClientId, CompactJws, Excerpt, Hint, Issuer, Policy, Presented, Refusal, Secret,
    SecretDigest, SignedToken, Timestamp, TokenType, TypedToken,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A token of the request.
struct Place {
    name: &'static str,
    token: Secret,
    /// What it was presented as; `None` for the credential of a client.
    presented_as: Option<AcceptedAs>,
}

impl Place {
    fn of(name: &'static str, token: &Secret, presented_as: Option<AcceptedAs>) -> Self {
        Self { name, token: token.clone(), presented_as }
    }

    /// A typed token of an exchange.
    fn typed(name: &'static str, typed: &TypedToken) -> Self {
        let presented_as = match typed.token_type {
            TokenType::IdToken => AcceptedAs::IdToken,
            TokenType::AccessToken => AcceptedAs::AccessToken,
            TokenType::Jwt | TokenType::RefreshToken | TokenType::Saml1 | TokenType::Saml2 => AcceptedAs::Jwt,
        };
        Self::of(name, &typed.token, Some(presented_as))
    }

    /// A claim of the token, whatever the token is worth.
    fn claim(&self, name: &str) -> Option<Box<str>> {
        let token = CompactJws::parse(self.token.expose()).ok()?;
        token.unverified_payload().get(name).and_then(Value::as_str).map(Into::into)
    }
}

/// What was found out so far.
pub(super) struct Trace {
    pub(super) rules: Vec<Rule>,
    /// The tokens of the request, each with the place where it stood.
    places: Vec<Place>,
    /// The user whom an unsigned assertion names.
    asserted: Option<Box<str>>,
}

impl Trace {
    pub(super) fn new() -> Self {
        Self { rules: Vec::new(), places: Vec::new(), asserted: None }
    }

    pub(super) fn presented(&mut self, presented: &Presented) {
        match presented.authentication() {
            Authentication::Bearer(bearer) => self.places.push(Place::of("Bearer", &bearer.token, None)),
            Authentication::Credential(Credential::Assertion(assertion)) => {
                self.places.push(Place::of("client_assertion", &assertion.assertion, None));
            }
            Authentication::Credential(Credential::Secret(_) | Credential::Certificate(_)) => {}
        }
        let (mut scope, mut targets) = (String::new(), Vec::new());
        if let Ok(request) = presented.request() {
            request.scope().as_str().clone_into(&mut scope);
            let asked = match request {
                TokenRequest::ClientCredentials(request) => &request.targets,
                TokenRequest::TokenExchange(request) => {
                    self.places.push(Place::typed("subject_token", &request.subject));
                    self.places.extend(request.actor.iter().map(|actor| Place::typed("actor_token", actor)));
                    &request.targets
                }
                TokenRequest::JwtBearer(request) => {
                    let used_as = Some(AcceptedAs::JwtBearer);
                    self.places.push(Place::of("assertion", &request.assertion, used_as));
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
            .find(|place| place.name == "subject_token" && UnsecuredJwt::is_one(place.token.expose()));
        if let Some(token) = unsigned.and_then(|place| UnsecuredJwt::parse(place.token.expose()).ok()) {
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
                self.rules.extend(self.identity(question.who(), answers));
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
                let asked = question.issuer();
                let found = answers.issuer(asked);
                let near = if found.is_none() { near(asked, answers) } else { None };
                let place = self.places.iter().find(|place| place.claim("iss").as_deref() == Some(asked));
                self.rules.push(Rule::Issuer {
                    asked: asked.into(),
                    found: found.as_deref().cloned().map(Box::new),
                    near,
                    presented_as: place.and_then(|place| place.presented_as),
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
                    principal: known.principal.as_deref().map(Registration::of).map(Box::new),
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
                let otherwise = question.replayed();
                self.rules.push(Rule::FirstUse { once: question.once().clone(), otherwise });
                question.used(true)?
            }
        };
        Ok(next)
    }

    /// Where the token stood in the request.
    fn place(&self, token: &str) -> String {
        let at = self.places.iter().filter(|place| place.token.expose() == token);
        at.map(|place| place.name).collect::<Vec<_>>().join(" and ")
    }

    /// For which client the identity stands that the request presents for the client that it names.
    fn identity(&self, who: &Who, answers: &(impl Answers + ?Sized)) -> Option<Rule> {
        let (Who::Id(_), Some(Rule::Issuer { found: Some(trusted), presented_as: None, .. })) =
            (who, self.rules.last())
        else {
            return None;
        };
        let assertion = self.places.iter().find(|place| place.name == "client_assertion")?;
        let (issuer, subject) = (trusted.issuer.clone(), assertion.claim("sub")?);
        let stands_for = answers.federated(&issuer, &subject).map(|client| client.id.clone());
        Some(Rule::Identity { issuer, subject, stands_for })
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

/// A trusted issuer whose identifier differs in what is easily mistaken: a slash at its end, or the scheme.
fn near(asked: &str, answers: &(impl Answers + ?Sized)) -> Option<Issuer> {
    let bare = asked.trim_end_matches('/');
    let other_scheme = match bare.split_once("://") {
        Some(("http", rest)) => format!("https://{rest}"),
        Some(("https", rest)) => format!("http://{rest}"),
        Some(_) | None => format!("https://{bare}"),
    };
    let candidates = [bare.to_owned(), format!("{bare}/"), other_scheme.clone(), format!("{other_scheme}/")];
    candidates.iter().find_map(|text| answers.issuer(text)).map(|near| near.issuer.clone())
}

/// The claims that decisions are made of. Others are not shown.
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
    let is_shown = |name: &str| names.contains(&name);
    payload.iter().filter(|(name, _)| is_shown(name)).map(|(n, v)| (n.clone(), redacted(v))).collect()
}

/// The value, with an excerpt in the place of each text that may be a token or a secret.
fn redacted(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let excerpt = Excerpt::of_claim(text);
            if excerpt.is_redacted() { excerpt.to_plain().into() } else { text.as_str().into() }
        }
        Value::Array(values) => values.iter().map(redacted).collect(),
        Value::Object(members) => members.iter().map(|(n, v)| (n.clone(), redacted(v))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}
