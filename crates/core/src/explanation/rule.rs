//! The findings that decided about a request: each with its facts, and as a sentence for the operator.

use super::facts::{KeysFound, Named, Registration, SecretFound, listed};
use crate::answers::SubjectStatus;
use crate::issuer::{AcceptedAs, Namesake, SubjectNames};
use crate::text::floor_char_boundary;
use crate::token::SingleUseId;
use crate::types::compact_jws::Header;
use crate::{
    AuthMethod, ClientId, Excerpt, GrantType, Issuer, KeySource, Refusal, Revocation, SignatureFault,
    Subject, Timestamp, TokenId, TrustedIssuer, Verified,
};
use serde_json::{Map, Value};

/// One thing that was found out on the way to the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is what the sentence of its rule says of it")]
pub enum Rule {
    /// The grant and the scope that were requested.
    Request { grant: Option<GrantType>, method: &'static str, scope: String, targets: Vec<Box<str>> },
    /// The subject token is an unsecured JWT.
    Unsecured { claims: Map<String, Value> },
    /// Whether the name of an unsecured user is also that of a registered client.
    UnsecuredName { name: Box<str>, is_client: bool },
    /// The client registered under an identifier, if there is one.
    Client { named: Named, found: Option<Registration> },
    /// Whether the secret is one of the client's.
    Secret { client: ClientId, secrets: Vec<SecretFound> },
    /// The client is supposed to authenticate; `live_secrets` is how many it could do that with, if it has a secret for it.
    Supposed { client: ClientId, method: AuthMethod, live_secrets: Option<usize> },
    /// Whether the issuer is trusted, and for what; `near` is one that is written nearly so.
    Issuer {
        claimed: Box<str>,
        found: Option<Box<TrustedIssuer>>,
        near: Option<Box<TrustedIssuer>>,
        presented_as: Option<AcceptedAs>,
    },
    /// For which client a foreign identity stands.
    Identity { issuer: Issuer, subject: Box<str>, stands_for: Option<ClientId> },
    /// Whether a signature is valid; unknown if the keys could not be obtained.
    Signature {
        place: String,
        keys: KeysFound,
        header: Header,
        verified: Option<Result<Verified, SignatureFault>>,
        claims: Map<String, Value>,
    },
    /// Whether the DPoP proof is made with its key; `nonce` says whether it is one of ours, if there is one.
    Proof { verified: Result<Verified, SignatureFault>, nonce: Option<bool>, claims: Map<String, Value> },
    /// What is known now about a token of ours.
    Recalled {
        token: TokenId,
        client: Option<Box<Registration>>,
        named: ClientId,
        subject: Subject,
        subject_issuer: Option<Issuer>,
        principal: Option<Box<Registration>>,
        trusted: Option<Box<TrustedIssuer>>,
        status: SubjectStatus,
        revocation: Option<Revocation>,
    },
    /// The operator's decision about a subject of another issuer.
    Subject { issuer: Option<Issuer>, subject: Subject, status: SubjectStatus },
    /// What a real request would use up.
    FirstUse { once: SingleUseId, otherwise: Refusal },
}

impl Rule {
    /// What the rule is about, in one word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Request { .. } => "request",
            Self::Unsecured { .. } => "unsigned",
            Self::UnsecuredName { .. } => "name",
            Self::Client { .. } => "client",
            Self::Secret { .. } => "secret",
            Self::Supposed { .. } => "supposed",
            Self::Issuer { .. } => "issuer",
            Self::Identity { .. } => "identity",
            Self::Signature { .. } => "signature",
            Self::Proof { .. } => "proof",
            Self::Recalled { .. } => "recalled",
            Self::Subject { .. } => "subject",
            Self::FirstUse { .. } => "first_use",
        }
    }

    /// The claims that were compared, of a rule about a token.
    #[must_use]
    pub fn claims(&self) -> Option<&Map<String, Value>> {
        if let Self::Unsecured { claims } | Self::Signature { claims, .. } | Self::Proof { claims, .. } = self
        {
            return Some(claims);
        }
        None
    }

    /// The clients that were found, of a rule about some.
    pub(super) fn registrations(&self) -> impl Iterator<Item = &Registration> {
        let found = match self {
            Self::Client { found, .. } => [found.as_ref(), None],
            Self::Recalled { client, principal, .. } => [client.as_deref(), principal.as_deref()],
            Self::Request { .. }
            | Self::Unsecured { .. }
            | Self::UnsecuredName { .. }
            | Self::Secret { .. }
            | Self::Supposed { .. }
            | Self::Issuer { .. }
            | Self::Identity { .. }
            | Self::Signature { .. }
            | Self::Proof { .. }
            | Self::Subject { .. }
            | Self::FirstUse { .. } => [None, None],
        };
        found.into_iter().flatten()
    }

    /// The secrets of a client, of a rule about these.
    pub(super) fn secrets(&self) -> &[SecretFound] {
        if let Self::Secret { secrets, .. } = self { secrets } else { &[] }
    }

    /// The trusted issuer that was found, of a rule about one.
    pub(super) fn trusted_issuer(&self) -> Option<&TrustedIssuer> {
        if let Self::Issuer { found: trusted, .. } | Self::Recalled { trusted, .. } = self {
            return trusted.as_deref();
        }
        None
    }

    /// The issuer of the subject that has the name of another principal, of a rule about such a subject.
    pub(super) fn issuer_of_namesake(&self, by: &Namesake) -> Option<&Issuer> {
        if let Self::Recalled { subject_issuer: issuer, status, .. } | Self::Subject { issuer, status, .. } =
            self
        {
            return issuer.as_ref().filter(|_| status.namesake.as_ref() == Some(by));
        }
        None
    }

    /// The finding in one sentence; `at` writes times.
    #[must_use]
    pub fn sentence(&self, at: &dyn Fn(Timestamp) -> String) -> String {
        match self {
            Self::Request { grant, method, scope, targets } => {
                let grant = grant.map_or("an unsupported grant type", GrantType::as_str);
                let scope = if scope.is_empty() {
                    "no scope".to_owned()
                } else {
                    format!("the scope {}", Excerpt::of_claim(scope))
                };
                let targets: Vec<String> =
                    targets.iter().map(|target| Excerpt::of_parameter(target).to_plain()).collect();
                let place =
                    if targets.is_empty() { String::new() } else { format!(" for {}", targets.join(", ")) };
                format!("requests {grant} with {scope}{place}, and authenticates by {method}")
            }
            Self::Unsecured { claims } => {
                format!("the subject_token is unsecured; its claims are {}", claims_text(claims, at))
            }
            Self::UnsecuredName { name, is_client: false } => {
                format!(
                    "no client is registered as {}, so a client with --may-assert-users for this name may assert it",
                    Excerpt::of_claim(name)
                )
            }
            Self::UnsecuredName { name, is_client: true } => {
                format!(
                    "{} is the name of a client, which an unsecured JWT must not have as its sub",
                    Excerpt::of_claim(name)
                )
            }
            Self::Client { named, found } => client(named, found.as_ref()),
            Self::Secret { client, secrets } => secret(client, secrets, at),
            Self::Supposed { client, method, live_secrets } => {
                let secrets = match live_secrets {
                    None => "",
                    Some(0) => ", but it has NO live secret",
                    Some(_) => ", and it has a live secret",
                };
                format!("client {client} is supposed to authenticate by {}{secrets}", method.as_str())
            }
            Self::Issuer { claimed, found: None, near, .. } => {
                let near = near.as_ref().map_or_else(String::new, |near| format!("; {} is", near.issuer));
                format!("{} is NOT a trusted issuer{near}", Excerpt::of_claim(claimed))
            }
            Self::Issuer { found: Some(found), .. } => issuer(found),
            Self::Identity { issuer, subject, stands_for } => {
                let subject = Excerpt::of_claim(subject);
                match stands_for {
                    Some(client) => format!("{subject} of {issuer} stands for client {client}"),
                    None => format!("{subject} of {issuer} is mapped to NO client"),
                }
            }
            Self::Signature { place, keys, header, verified, claims } => {
                let kid = header.kid.as_ref().map(|kid| Excerpt::of_claim(kid.as_str()).to_plain());
                let alg = Excerpt::of_claim(&header.alg).to_plain();
                let named = format!("the {place} ({alg}, {})", kid.as_deref().unwrap_or("no kid"));
                let text = claims_text(claims, at);
                match verified {
                    Some(Ok(by)) => format!(
                        "{named} was verified by {keys}, with key {} and {}; its claims are {text}",
                        by.key().as_str(),
                        by.algorithm()
                    ),
                    Some(Err(fault)) => {
                        format!(
                            "{named} was NOT verified by {keys}: {fault}; its unverified claims are {text}"
                        )
                    }
                    None => format!(
                        "{named} cannot be verified: {keys} are not available; its unverified claims are {text}"
                    ),
                }
            }
            Self::Proof { verified, nonce, claims } => {
                let key = match verified {
                    Ok(by) => format!("was verified with the key {} in its header", by.key().as_str()),
                    Err(fault) => format!("was NOT verified: {fault}"),
                };
                let nonce = match nonce {
                    None => "no nonce",
                    Some(true) => "a nonce of this server",
                    Some(false) => "a nonce that this server did NOT issue, or that has expired",
                };
                format!("the DPoP proof {key}; it has {nonce}; its claims are {}", claims_text(claims, at))
            }
            Self::Recalled {
                token,
                client,
                named,
                subject,
                subject_issuer,
                principal,
                trusted: _,
                status,
                revocation,
            } => {
                let whose = subject_issuer.as_ref().map(|of| format!(" of {of}")).unwrap_or_default();
                let state = |enabled: Option<bool>| match enabled {
                    Some(true) => "enabled",
                    Some(false) => "DISABLED",
                    None => "NOT REGISTERED",
                };
                let of_subject = match principal {
                    Some(client) => state(Some(client.enabled)).to_owned(),
                    None => status_text(status, at),
                };
                let taken = revocation.as_ref().map_or_else(
                    || "it is not revoked".to_owned(),
                    |revocation| format!("it is REVOKED: {revocation}"),
                );
                format!(
                    "our token {} was issued to client {named}, which is {}, for {}{whose}, which is {of_subject}; {taken}",
                    token.as_str(),
                    state(client.as_ref().map(|client| client.enabled)),
                    Excerpt::of_claim(subject.as_str()).to_plain(),
                )
            }
            Self::Subject { issuer, subject, status } => {
                let whose = issuer
                    .as_ref()
                    .map_or_else(|| "an unsecured user".to_owned(), |issuer| format!("of {issuer}"));
                let subject = Excerpt::of_claim(subject.as_str()).to_plain();
                format!("{subject}, {whose}, is {}", status_text(status, at))
            }
            Self::FirstUse { once, otherwise } => format!(
                "the single-use identifier {} ({}) would be used up by this request, and stored until {}; if it was used before, {otherwise}",
                Excerpt::of_claim(&once.id),
                once.namespace,
                at(once.until)
            ),
        }
    }
}

fn client(named: &Named, found: Option<&Registration>) -> String {
    match (named, found) {
        (Named::Id(_), Some(client)) => {
            format!("client {} is registered: {}", client.id, client.description())
        }
        (Named::Id(hint), None) => format!("NO client is registered as {hint}"),
        (Named::Identity(issuer, subject), Some(client)) => {
            let subject = Excerpt::of_claim(subject);
            format!("{subject} of {issuer} stands for client {}: {}", client.id, client.description())
        }
        (Named::Identity(issuer, subject), None) => {
            format!("{} of {issuer} is mapped to NO client", Excerpt::of_claim(subject))
        }
    }
}

fn secret(client: &ClientId, secrets: &[SecretFound], at: &dyn Fn(Timestamp) -> String) -> String {
    if let Some(presented) = secrets.iter().find(|secret| secret.is_presented) {
        let verdict = if presented.is_live { "right" } else { "NOT live" };
        return format!("the secret of client {client} is {verdict}: it is {}", presented.description(at));
    }
    let known: Vec<String> = secrets.iter().map(|secret| secret.description(at)).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    format!("the secret is WRONG: client {client} has {}", listed(&known))
}

fn issuer(found: &TrustedIssuer) -> String {
    let trust = &found.trust;
    let accept: Vec<&str> = trust.accept.iter().map(|used_as| AcceptedAs::as_str(*used_as)).collect();
    let algorithms: Vec<String> = trust.algorithms.iter().map(ToString::to_string).collect();
    let audiences: Vec<&str> = trust.audiences.iter().map(|audience| &**audience).collect();
    let map: Vec<String> = trust.map.iter().map(ToString::to_string).collect();
    let mut facts = vec![
        if found.enabled { "it is enabled".to_owned() } else { "it is DISABLED".to_owned() },
        match &trust.keys {
            KeySource::Jwks(_) => "its keys are registered".to_owned(),
            KeySource::JwksUri(address) => format!("its keys come from {address}"),
            KeySource::Discovery => "its keys come from discovery".to_owned(),
        },
        format!("its tokens are accepted as {}", listed(&accept)),
    ];
    if !audiences.is_empty() {
        facts.push(format!("for {}", listed(&audiences)));
    }
    if !algorithms.is_empty() {
        facts.push(format!("with {}", algorithms.join(", ")));
    }
    facts.push(format!("--max-age {}, --leeway {}", trust.max_age, trust.leeway));
    facts.push(format!(
        "the claim {} is the subject; every subject may have {:?}",
        trust.subject_claim,
        trust.scope.as_str()
    ));
    if !map.is_empty() {
        facts.push(format!("further scope by claim: {}", map.join(", ")));
    }
    match (&trust.subject_prefix, trust.subject_names) {
        (Some(prefix), _) => facts.push(format!("its users have the prefix {prefix:?} in catalogs")),
        (None, SubjectNames::Separate) => {}
        (None, SubjectNames::Shared) => {
            facts.push("a user and a client of the same name are one principal".to_owned());
        }
        (None, SubjectNames::Undecided) => {
            facts.push("its users have no prefix, so a user may have the name of a client".to_owned());
        }
    }
    format!("issuer {} is trusted: {}", found.issuer, facts.join("; "))
}

fn status_text(status: &SubjectStatus, at: &dyn Fn(Timestamp) -> String) -> String {
    let mut state = if status.disabled { "DISABLED" } else { "not disabled" }.to_owned();
    if let Some(before) = status.revoked_before {
        state += &format!(", and its tokens issued before {} are revoked", at(before));
    }
    if let Some(before) = status.issuer_revoked_before {
        state += &format!(", and tokens of all users of its issuer issued before {} are revoked", at(before));
    }
    if let Some(namesake) = &status.namesake {
        state += &format!("; in catalogs it has the same name as {namesake}");
    }
    state
}

/// The claims in one line; times as times.
fn claims_text(claims: &Map<String, Value>, at: &dyn Fn(Timestamp) -> String) -> String {
    let listed = claims.iter().map(|(name, value)| {
        let time = match name.as_str() {
            "exp" | "iat" | "nbf" => value.as_i64().and_then(|seconds| Timestamp::from_seconds(seconds).ok()),
            _ => None,
        };
        format!("{name} {}", time.map_or_else(|| claim_text(value), at))
    });
    let listed: Vec<String> = listed.collect();
    if listed.is_empty() { "nothing".to_owned() } else { listed.join(", ") }
}

/// The longest object of a token that is written whole, in bytes.
const LONGEST_OBJECT: usize = 512;

/// A claim in a sentence. Texts in it that may be a token or a secret were redacted before.
fn claim_text(value: &Value) -> String {
    if !value.is_object() {
        return Excerpt::of_value(Some(value)).to_string();
    }
    let text = value.to_string();
    if text.len() <= LONGEST_OBJECT {
        return text;
    }
    format!("{}… ({} bytes)", &text[..floor_char_boundary(&text, LONGEST_OBJECT)], text.len())
}
