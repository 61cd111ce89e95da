//! What the inspector says of a token of another issuer: whether its signature verifies, and for what it would be taken.
//!
//! The keys are those that requests are answered with: keys of registered issuers only, fetched within the same limits.

use crate::parts::Parts;
use serde_json::{Map, Value};
use tokenberg_core::backends::{KeysUnavailable, NotWritten};
use tokenberg_core::explanation::{PresentedToken, TokenRole, Verdict, explain_presented};
use tokenberg_core::issuer::AcceptedAs;
use tokenberg_core::token::SingleUseId;
use tokenberg_core::{
    Answers, Blocking, ClientId, CompactJws, SignatureFault, Timestamp, TrustedIssuer, Verified,
};

/// A sentence, and whether it is good news.
pub(super) type Sentence = (bool, String);

/// Sentences about the token of an issuer. `client` is the one that would present it, if the operator has named one.
pub(super) async fn verdict(
    parts: &Parts,
    token: &str,
    iss: &str,
    claims: &Map<String, Value>,
    client: &str,
) -> Vec<Sentence> {
    let answers = (parts.answers)();
    let Some(trusted) = answers.issuer(iss) else {
        let sentence = "Its issuer is not trusted here, so it is accepted as nothing, except as an unsecured JWT where a client may name users.";
        return vec![(false, sentence.to_owned())];
    };
    if !trusted.enabled {
        return vec![(false, "Its issuer is registered, but disabled.".to_owned())];
    }
    let jws = match CompactJws::parse(token) {
        Ok(jws) => jws,
        Err(fault) => return vec![(false, format!("It is not read as a token: {fault}."))],
    };
    let now = Parts::now();
    let checked = Checked(parts.issuer_keys.verify(&trusted, &jws, now).await);
    let kinds = trusted.trust.accept.as_slice();
    let mut sentences = vec![(true, accepted(kinds)), checked.sentence()];
    let client = match presenting(&*answers, claims, client) {
        Ok(client) => client,
        Err(sentence) => {
            sentences.push((false, sentence));
            return sentences;
        }
    };
    for role in [TokenRole::Subject, TokenRole::Actor] {
        for kind in kinds.iter().filter(|kind| role == TokenRole::Subject || **kind != AcceptedAs::JwtBearer)
        {
            let presented = PresentedToken { client: &client, token: &jws, presented_as: *kind, role };
            let explanation = explain_presented(&parts.endpoint, &presented, now, &*answers, &checked);
            sentences.push(outcome(&presented, explanation.verdict));
        }
    }
    let bearer = "As Bearer: refused. Resource servers accept access tokens of this service only; a client exchanges this token for one.";
    sentences.push((false, bearer.to_owned()));
    sentences
}

fn accepted(kinds: &[AcceptedAs]) -> String {
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    let accepted = if kinds.is_empty() {
        "to authenticate clients only".to_owned()
    } else {
        format!("as {}", kinds.join(", "))
    };
    format!("Its issuer is trusted; its tokens are accepted {accepted}.")
}

/// The client that would present it: the one that is named, or else the one that the token is for.
fn presenting(answers: &dyn Answers, claims: &Map<String, Value>, named: &str) -> Result<ClientId, String> {
    let registered = |id: &str| id.parse::<ClientId>().ok().filter(|id| answers.client(id).is_some());
    if !named.is_empty() {
        return registered(named).ok_or_else(|| format!("The client {named} is not registered."));
    }
    let audience: Vec<&str> = match claims.get("aud") {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        Some(aud) => aud.as_str().into_iter().collect(),
        None => Vec::new(),
    };
    let parties =
        ["azp", "client_id"].into_iter().filter_map(|name| claims.get(name).and_then(Value::as_str));
    parties.chain(audience).find_map(registered).ok_or_else(|| {
        "Whether it would be taken as subject or actor depends on the client that presents it: name one below. Its azp, client_id and aud \
         name none."
            .to_owned()
    })
}

fn outcome(presented: &PresentedToken<'_>, verdict: Verdict) -> Sentence {
    let role = match presented.role {
        TokenRole::Subject => "subject",
        TokenRole::Actor => "actor",
    };
    let (client, kind) = (presented.client, presented.presented_as.as_str());
    let begin = format!("As {role}, presented by {client} as {kind}");
    match verdict {
        Verdict::Granted(granting) => {
            let claims = granting.claims;
            (
                true,
                format!(
                    "{begin}: granted, for the subject {} with the scope {}.",
                    claims.subject, claims.scope
                ),
            )
        }
        Verdict::Refused(refusing) => {
            (false, format!("{begin}: refused, {}. To allow it: {}", refusing.refusal, refusing.remedy))
        }
        Verdict::Undecided(outage) => (false, format!("{begin}: undecided, {outage}.")),
    }
}

/// The signature, as it was checked.
struct Checked(Result<Result<Verified, SignatureFault>, KeysUnavailable>);

impl Checked {
    fn sentence(&self) -> Sentence {
        match &self.0 {
            Ok(Ok(verified)) => {
                let (kid, alg) = (verified.key().as_str(), verified.algorithm().as_str());
                (true, format!("Its signature verifies with the key {kid} ({alg}) of the issuer."))
            }
            Ok(Err(fault)) => {
                (false, format!("Its signature does not verify with the keys of the issuer: {fault}."))
            }
            Err(outage) => (false, format!("Its signature was not checked: {outage}.")),
        }
    }
}

impl Blocking for Checked {
    fn use_once(&self, _: &SingleUseId) -> Result<bool, NotWritten> {
        Err(NotWritten { reason: "the inspector writes nothing".to_owned() })
    }

    fn verify(
        &self,
        _: &TrustedIssuer,
        _: &CompactJws,
        _: Timestamp,
    ) -> Result<Result<Verified, SignatureFault>, KeysUnavailable> {
        self.0.clone()
    }
}
