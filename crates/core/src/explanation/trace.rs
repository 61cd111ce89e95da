//! Records a rule for each answer of a request.

use super::facts::{KeysFound, Named, Registration, SecretFound};
use super::remedy;
use super::rule::Rule;
use super::verdict::{Explanation, Refusing, Verdict};
use crate::answers::SubjectStatus;
use crate::flow::{KeysOf, Listener, Step, UseOnce, Who};
use crate::issuer::AcceptedAs;
use crate::jws::DpopProof;
use crate::policy::framing::{Framed, framed};
use crate::policy::signed_token::TokenReading;
use crate::policy::token_status::TokenStatus;
use crate::refusal::Redacted;
use crate::request::client_authentication::{Authentication, Credential};
use crate::request::token_request::TokenRequest;
use crate::token::TypedToken;
use crate::types::unsecured_jwt::UnsecuredJwt;
use crate::{
    AccessTokenClaims, Answers, Client, ClientId, CompactJws, Excerpt, Issuer, Policy, Presented, Refusal,
    Secret, SecretDigest, SignatureFault, Subject, Timestamp, TokenFault, TokenType, TrustedIssuer, Verified,
};
use serde_json::{Map, Value};

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

    /// A claim of the token, whether or not the token is valid.
    fn claim(&self, name: &str) -> Option<Box<str>> {
        let token = CompactJws::parse(self.token.expose()).ok()?;
        token.unverified_payload().get(name).and_then(Value::as_str).map(Into::into)
    }
}

/// What was found out so far.
pub(super) struct Trace<'a, A: ?Sized> {
    answers: &'a A,
    issuer: &'a Issuer,
    now: Timestamp,
    pub(super) rules: Vec<Rule>,
    /// The tokens of the request, each with the place where it stood.
    places: Vec<Place>,
    /// The user named by an unsecured JWT.
    unsecured_name: Option<Box<str>>,
}

impl<'a, A: Answers + ?Sized> Trace<'a, A> {
    pub(super) fn new(answers: &'a A, issuer: &'a Issuer, now: Timestamp) -> Self {
        Self { answers, issuer, now, rules: Vec::new(), places: Vec::new(), unsecured_name: None }
    }

    pub(super) fn presented(&mut self, presented: &Presented) {
        match presented.authentication() {
            Authentication::Bearer(bearer) => self.places.push(Place::of("Bearer", &bearer.token, None)),
            Authentication::Credential(Credential::Assertion(assertion)) => {
                self.places.push(Place::of("client_assertion", &assertion.assertion, None));
            }
            // An ID token is the subject_token, which is among the places below.
            Authentication::Credential(
                Credential::Secret(_) | Credential::Certificate(_) | Credential::IdToken(_),
            ) => {}
        }
        let (mut scope, mut targets) = (String::new(), Vec::new());
        if let Ok(request) = presented.request() {
            request.scope().as_str().clone_into(&mut scope);
            let requested = match request {
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
            targets = requested.iter().map(|target| target.as_str().into()).collect();
        }
        let (grant, method) = (presented.grant_type(), presented.method());
        self.rules.push(Rule::Request { grant, method, scope, targets });
        let unsecured = self
            .places
            .iter()
            .find(|place| place.name == "subject_token" && UnsecuredJwt::is_one(place.token.expose()));
        if let Some(token) = unsecured.and_then(|place| UnsecuredJwt::parse(place.token.expose()).ok()) {
            let claims = decisive_claims(token.unverified_payload(), &[]);
            self.unsecured_name = claims.get("sub").and_then(Value::as_str).map(Into::into);
            self.rules.push(Rule::Unsecured { claims });
        }
    }

    /// Where the token stood in the request.
    fn place(&self, token: &str) -> String {
        let at = self.places.iter().filter(|place| place.token.expose() == token);
        at.map(|place| place.name).collect::<Vec<_>>().join(" and ")
    }

    /// For which client the identity stands that the request presents for the client that it names.
    fn identity(&self, who: &Who) -> Option<Rule> {
        let (Who::Id(_), Some(Rule::Issuer { found: Some(trusted), presented_as: None, .. })) =
            (who, self.rules.last())
        else {
            return None;
        };
        let assertion = self.places.iter().find(|place| place.name == "client_assertion")?;
        let (issuer, subject) = (trusted.issuer.clone(), assertion.claim("sub")?);
        let stands_for = self.answers.federated(&issuer, &subject).map(|client| client.id.clone());
        Some(Rule::Identity { issuer, subject, stands_for })
    }

    /// Records a single-use identifier. It is not used up: if it is unused, the request continues.
    pub(super) fn single_use(&mut self, question: &UseOnce<Step>) {
        self.rules.push(Rule::FirstUse { once: question.once().clone(), otherwise: question.replayed() });
    }

    /// The refusal that remains once the client has the right, or the actor token, that this refusal demands: an unsecured user has the
    /// name of another principal. That is checked last, so that no client can find out which names are registered.
    fn lasting(&self, refusal: &Refusal) -> Option<Refusal> {
        let Refusal::SubjectToken(TokenFault::NoActor | TokenFault::MayNotAssert(_)) = refusal else {
            return None;
        };
        let name: Subject = self.unsecured_name.as_deref()?.parse().ok()?;
        let is_client = name.as_str().parse().is_ok_and(|id| self.answers.client(&id).is_some());
        let namesake = self.answers.subject(None, name.as_str(), name.as_str()).namesake;
        Some(Refusal::SubjectToken(match namesake {
            _ if is_client => TokenFault::AssertsClient(name),
            by => TokenFault::NameTaken { sub: name, by: by? },
        }))
    }

    /// The end of a request that is refused.
    pub(super) fn refused(self, policy: &Policy, refusal: Refusal) -> Explanation {
        let lasting = self.lasting(&refusal);
        let response = policy.error_for(&refusal);
        let remedy = remedy::of(lasting.as_ref().unwrap_or(&refusal), &self.rules, policy);
        let verdict = Verdict::Refused(Box::new(Refusing { refusal, response, remedy }));
        Explanation { rules: self.rules, verdict }
    }
}

impl<A: Answers + ?Sized> Listener for Trace<'_, A> {
    fn client_found(&mut self, who: &Who, client: Option<&Client>) {
        let found = client.map(Registration::of);
        self.rules.extend(self.identity(who));
        let unsecured_name = self.unsecured_name.as_deref().filter(|name| match who {
            Who::Id(id) => id.as_str() == *name,
            Who::Federated(..) => false,
        });
        self.rules.push(match (unsecured_name, who) {
            (Some(name), _) => Rule::UnsecuredName { name: name.into(), is_client: found.is_some() },
            (None, Who::Id(id)) => Rule::Client { named: Named::Id(Redacted::of(id.as_str())), found },
            (None, Who::Federated(issuer, subject)) => {
                Rule::Client { named: Named::Identity(issuer.clone(), subject.clone()), found }
            }
        });
    }

    fn secret_digested(&mut self, client_id: &str, digest: &SecretDigest, now: Timestamp) {
        let Ok(id) = client_id.parse::<ClientId>() else { return };
        let Some(client) = self.answers.client(&id).filter(|found| found.id == id) else { return };
        let secrets = client.secrets.iter().map(|stored| SecretFound {
            id: stored.id.clone(),
            expires_at: stored.expires_at,
            is_live: stored.is_live(now),
            is_presented: stored.digest.matches(digest),
        });
        self.rules.push(Rule::Secret { client: id, secrets: secrets.collect() });
    }

    fn issuer_found(&mut self, claimed: &str, issuer: Option<&TrustedIssuer>) {
        let near = if issuer.is_none() { self.answers.similar_issuer(claimed) } else { None };
        let place = self.places.iter().find(|place| place.claim("iss").as_deref() == Some(claimed));
        self.rules.push(Rule::Issuer {
            claimed: claimed.into(),
            found: issuer.cloned().map(Box::new),
            near: near.map(|near| Box::new((*near).clone())),
            presented_as: place.and_then(|place| place.presented_as),
        });
    }

    fn token_read(&mut self, token: &Secret, _: &TokenReading) {
        let Ok(Framed::Ours(framed)) = framed(token.expose(), self.issuer) else { return };
        self.rules.push(Rule::Signature {
            place: self.place(token.expose()),
            keys: KeysFound::Ourselves,
            header: framed.header().clone(),
            verified: Some(self.answers.keys().verify(&framed, self.now)),
            claims: decisive_claims(framed.unverified_payload(), &[]),
        });
    }

    fn signature_checked(
        &mut self,
        token: &CompactJws,
        keys: &KeysOf,
        answer: Option<&Result<Verified, SignatureFault>>,
    ) {
        let (keys, mapped) = match keys {
            KeysOf::Issuer(issuer) => {
                let mut mapped = vec![&*issuer.trust.subject_claim];
                mapped.extend(issuer.trust.map.iter().map(crate::issuer::ScopeMapping::claim));
                (KeysFound::Issuer(issuer.issuer.clone()), mapped)
            }
            KeysOf::Client(client) => (KeysFound::Client(client.id.clone()), Vec::new()),
            KeysOf::Decoy => (KeysFound::Decoy, Vec::new()),
        };
        self.rules.push(Rule::Signature {
            place: self.place(token.expose()),
            keys,
            header: token.header().clone(),
            verified: answer.cloned(),
            claims: decisive_claims(token.unverified_payload(), &mapped),
        });
    }

    fn proof_checked(
        &mut self,
        proof: &DpopProof,
        answer: &Result<Verified, SignatureFault>,
        nonce_is_ours: Option<bool>,
    ) {
        self.rules.push(Rule::Proof {
            verified: answer.clone(),
            nonce: nonce_is_ours,
            claims: picked(proof.token().unverified_payload(), &["htm", "htu", "iat", "jti"]),
        });
    }

    fn token_recalled(&mut self, claims: &AccessTokenClaims, known: &TokenStatus) {
        self.rules.push(Rule::Recalled {
            token: claims.token_id.clone(),
            client: known.client.as_deref().map(Registration::of).map(Box::new),
            named: claims.client_id.clone(),
            subject: claims.subject.clone(),
            subject_issuer: claims.session.subject_issuer.clone(),
            principal: known.principal.as_deref().map(Registration::of).map(Box::new),
            trusted: known.issuer.as_deref().cloned().map(Box::new),
            status: known.subject.clone(),
            revocation: known.revocation.clone(),
        });
    }

    fn subject_recalled(&mut self, issuer: Option<&Issuer>, subject: &Subject, status: &SubjectStatus) {
        let (issuer, subject) = (issuer.cloned(), subject.clone());
        self.rules.push(Rule::Subject { issuer, subject, status: status.clone() });
    }
}

/// The claims that decisions are based on. Other claims are not displayed.
const DECISIVE: [&str; 16] = [
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

fn decisive_claims(payload: &Map<String, Value>, mapped: &[&str]) -> Map<String, Value> {
    let mut claims = picked(payload, &DECISIVE);
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
        Value::String(text) => Excerpt::redacted(text).into(),
        Value::Array(values) => values.iter().map(redacted).collect(),
        Value::Object(members) => members.iter().map(|(n, v)| (n.clone(), redacted(v))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}
