//! Explains a request that a client could make, without its credential and without the token of a user: both are supposed to be
//! genuine.

use super::as_if::{KEY, SECRET, has_credential, supposing};
use super::facts::Registration;
use super::rule::Rule;
use super::verdict::{Explanation, Verdict};
use super::{decide, explain};
use crate::issuer::AcceptedAs;
use crate::jws::Algorithm;
use crate::request::Request;
use crate::{
    Answers, AuthMethod, Blocking, Client, ClientId, Entropy, GrantType, Issuer, Lifetime, Timestamp,
    TokenEndpoint, TokenType, TrustedIssuer,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

/// A request that a client could make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhatIf {
    /// The client. It is supposed to authenticate successfully, and to hold a token of its own.
    pub client: ClientId,
    /// The scope that it requests; without one, the default of its registration.
    pub scope: Option<Box<str>>,
    /// The audience that it requests (RFC 8693 §2.1); without one, the default of its registration.
    pub audience: Option<Box<str>>,
    /// The user for whom it requests a token; without one, it requests one for itself.
    pub user: Option<SupposedUser>,
}

/// A user who is supposed to have a token of another issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupposedUser {
    /// The issuer.
    pub issuer: Issuer,
    /// The subject, as the issuer names it.
    pub subject: Box<str>,
    /// As what the token is presented.
    pub presented_as: AcceptedAs,
    /// More claims of the token, such as groups; they replace those that are supposed.
    pub claims: Map<String, Value>,
}

/// How long supposed tokens last.
const LASTS: Lifetime = Lifetime::from_seconds(300);

/// Decides about a request that was not made, as [`explain`](super::explain) does about one that was.
///
/// Only credentials and signatures are supposed. Registrations, rights, disabled users and revocations are those of `answers`.
pub fn explain_what_if(
    endpoint: &TokenEndpoint,
    what_if: &WhatIf,
    now: Timestamp,
    answers: &(impl Answers + ?Sized),
    blocking: &(impl Blocking + ?Sized),
) -> Explanation {
    let client = &what_if.client;
    let mut form = authenticated(client, answers);
    if let Some(scope) = &what_if.scope {
        form.push(("scope", scope.to_string()));
    }
    if let Some(audience) = &what_if.audience {
        form.push(("audience", audience.to_string()));
    }
    let Some(user) = &what_if.user else {
        form.push(grant(GrantType::ClientCredentials));
        return explained(endpoint, client, &form, &[], now, answers, blocking);
    };
    let token = user.token(client, answers.issuer(user.issuer.as_str()).as_deref(), now);
    let mut tokens = vec![token.clone()];
    tokens.extend(put_subject(&mut form, token, user.presented_as, || {
        own_token(endpoint, what_if, now, answers, blocking)
    }));
    explained(endpoint, client, &form, &tokens, now, answers, blocking)
}

/// The parameters of a request.
pub(super) type Form = Vec<(&'static str, String)>;

/// The parameters with which the client is supposed to authenticate.
pub(super) fn authenticated(client: &ClientId, answers: &(impl Answers + ?Sized)) -> Form {
    let mut form = vec![("client_id", client.to_string())];
    if answers.client(client).is_none_or(|known| has_credential(&known)) {
        form.push(("client_secret", SECRET.to_owned()));
    }
    form
}

pub(super) fn grant(kind: GrantType) -> (&'static str, String) {
    ("grant_type", kind.as_parameter().to_owned())
}

/// Adds the token as that of the subject, and the client's own token as that of the actor, where the request has one. Returns the
/// client's own token.
pub(super) fn put_subject(
    form: &mut Form,
    token: String,
    presented_as: AcceptedAs,
    own_token: impl FnOnce() -> Option<String>,
) -> Option<String> {
    if presented_as == AcceptedAs::JwtBearer {
        form.extend([grant(GrantType::JwtBearer), ("assertion", token)]);
        return None;
    }
    form.extend([
        grant(GrantType::TokenExchange),
        ("subject_token", token),
        ("subject_token_type", token_type(presented_as).as_urn().to_owned()),
    ]);
    let own = own_token()?;
    let own_type = TokenType::AccessToken.as_urn().to_owned();
    form.extend([("actor_token", own.clone()), ("actor_token_type", own_type)]);
    Some(own)
}

/// A token for the client itself, with the scope that it requests where it may have that, and otherwise with its default; its
/// signature is supposed.
pub(super) fn own_token(
    endpoint: &TokenEndpoint,
    what_if: &WhatIf,
    now: Timestamp,
    answers: &(impl Answers + ?Sized),
    blocking: &(impl Blocking + ?Sized),
) -> Option<String> {
    let client = &what_if.client;
    let with_scope = |scope: Option<&str>| {
        let mut form = authenticated(client, answers);
        form.push(grant(GrantType::ClientCredentials));
        form.extend(scope.map(|scope| ("scope", scope.to_owned())));
        let decided = supposing(client, &[], answers, blocking, |answers, blocking| {
            with_form(&form, |request| decide(endpoint, request, now, no_entropy(), answers, blocking))
        });
        if let Verdict::Granted(granting) = decided.verdict { Some(granting) } else { None }
    };
    let granting = with_scope(what_if.scope.as_deref()).or_else(|| with_scope(None))?;
    let header = json!({"typ": "at+jwt", "alg": Algorithm::ES256.as_str(), "kid": KEY});
    Some(compact(&header, &Value::Object(granting.claims.to_json())))
}

/// Explains a request of the client, whose authentication and whose `tokens` are supposed to be genuine.
pub(super) fn explained(
    endpoint: &TokenEndpoint,
    client: &ClientId,
    form: &[(&'static str, String)],
    tokens: &[String],
    now: Timestamp,
    answers: &(impl Answers + ?Sized),
    blocking: &(impl Blocking + ?Sized),
) -> Explanation {
    let mut explanation = supposing(client, tokens, answers, blocking, |answers, blocking| {
        with_form(form, |request| explain(endpoint, request, now, no_entropy(), answers, blocking))
    });
    if let Some(registered) = answers.client(client) {
        explanation.rules.iter_mut().for_each(|rule| as_registered(rule, &registered, now));
    }
    explanation
}

/// Replaces what was supposed of the client by what is registered.
fn as_registered(rule: &mut Rule, registered: &Client, now: Timestamp) {
    let method = registered.rights.auth_method;
    match rule {
        Rule::Request { method: stated, .. } => *stated = method.as_str(),
        Rule::Client { found: Some(found), .. } if found.id == registered.id => {
            *found = Registration::of(registered);
        }
        Rule::Secret { client, .. } if *client == registered.id => {
            let live = registered.secrets.iter().filter(|secret| secret.is_live(now)).count();
            let live_secrets = (method == AuthMethod::ClientSecret).then_some(live);
            *rule = Rule::Supposed { client: client.clone(), method, live_secrets };
        }
        Rule::Client { .. }
        | Rule::Secret { .. }
        | Rule::Supposed { .. }
        | Rule::Unsecured { .. }
        | Rule::UnsecuredName { .. }
        | Rule::Issuer { .. }
        | Rule::Identity { .. }
        | Rule::Signature { .. }
        | Rule::Proof { .. }
        | Rule::Recalled { .. }
        | Rule::Subject { .. }
        | Rule::FirstUse { .. } => {}
    }
}

/// The type of a token that is presented as this: RFC 8693 §3.
pub(super) fn token_type(presented_as: AcceptedAs) -> TokenType {
    match presented_as {
        AcceptedAs::IdToken => TokenType::IdToken,
        AcceptedAs::AccessToken => TokenType::AccessToken,
        AcceptedAs::Jwt | AcceptedAs::JwtBearer => TokenType::Jwt,
    }
}

fn no_entropy() -> Entropy {
    Entropy::from_bits([0; 16])
}

fn with_form<T>(form: &[(&str, String)], ask: impl FnOnce(&Request<'_>) -> T) -> T {
    let body = serde_urlencoded::to_string(form).unwrap_or_default();
    ask(&Request { body: body.as_bytes(), ..Request::default() })
}

impl SupposedUser {
    fn token(&self, client: &ClientId, trusted: Option<&TrustedIssuer>, now: Timestamp) -> String {
        let trust = trusted.map(|trusted| &trusted.trust);
        let algorithm = trust.and_then(|trust| trust.algorithms.first().copied()).unwrap_or(Algorithm::ES256);
        let is_access_token = self.presented_as == AcceptedAs::AccessToken;
        let header = json!({
            "typ": if is_access_token { "at+jwt" } else { "JWT" },
            "alg": algorithm.as_str(),
            "kid": KEY,
        });
        let registered = trust.and_then(|trust| trust.audiences.first()).map(ToString::to_string);
        let audience = match self.presented_as {
            AcceptedAs::IdToken => client.to_string(),
            AcceptedAs::AccessToken | AcceptedAs::Jwt | AcceptedAs::JwtBearer => {
                registered.unwrap_or_else(|| client.to_string())
            }
        };
        let mut claims = json!({
            "iss": self.issuer,
            "sub": self.subject,
            "aud": audience,
            "iat": now,
            "exp": now.plus(LASTS),
            "jti": "supposed",
        });
        if is_access_token {
            claims["client_id"] = client.as_str().into();
        }
        if let Some(claim) = trust.map(|trust| &*trust.subject_claim) {
            claims[claim] = (*self.subject).into();
        }
        if let Value::Object(members) = &mut claims {
            members.extend(self.claims.clone());
        }
        compact(&header, &claims)
    }
}

/// A token with an invalid signature.
fn compact(header: &Value, claims: &Value) -> String {
    let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode(KEY))
}
