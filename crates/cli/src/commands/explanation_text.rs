//! The output of `tokenberg explain`: a decision as lines of text, and as JSON.

use crate::output::without_controls;
use serde_json::{Map, Value, json};
use std::fmt::Write;
use tokenberg_core::explanation::{Explanation, Granting, Refusing, Verdict};
use tokenberg_core::policy::limits::{Party, ScopeCeiling};
use tokenberg_core::registration::AllowedScope;
use tokenberg_core::{AccessTokenClaims, Timestamp};

/// The decision for people.
pub(super) fn text(explanation: &Explanation, at: &dyn Fn(Timestamp) -> String) -> String {
    let mut text = String::new();
    let mut line = |sentence: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", without_controls(&sentence));
    };
    for rule in &explanation.rules {
        line(format!("{:<9}  {}", rule.name().replace('_', " "), rule.sentence(at)));
    }
    line(String::new());
    match &explanation.verdict {
        Verdict::Granted(granting) => {
            granted(granting, at).into_iter().for_each(&mut line);
            line("no token was issued, and no single-use identifier was used".to_owned());
        }
        Verdict::Refused(refusing) => {
            let Refusing { refusal, response, remedy } = &**refusing;
            let description = response.description.as_deref().unwrap_or_default();
            line(format!("refused: {refusal}"));
            line(format!(
                "the client receives: {} {}: {description}",
                response.status(),
                response.code.as_str()
            ));
            line(format!("to allow it: {remedy}"));
        }
        Verdict::Undecided(outage) => {
            line(format!("no decision is possible: {outage}"));
            line("the client receives: 503 temporarily_unavailable".to_owned());
            line("to allow it: make the issuer reachable from this machine".to_owned());
        }
    }
    text
}

fn granted(granting: &Granting, at: &dyn Fn(Timestamp) -> String) -> Vec<String> {
    let claims = &granting.claims;
    let actors: Vec<&str> =
        claims.actor.iter().flat_map(|actor| actor.chain()).map(|actor| actor.subject.as_str()).collect();
    let acting =
        if actors.is_empty() { String::new() } else { format!(", actor {}", actors.join(", before that ")) };
    let mut lines: Vec<String> = Vec::new();
    if let Some(limits) = &granting.limits {
        for ceiling in &limits.scope {
            lines.push(format!("scope: {}", allows(&ceiling.party, &scope(&ceiling.allowed))));
        }
        for ceiling in &limits.audience {
            lines.push(format!("audience: {}", allows(&ceiling.party, &ceiling.allowed.join(", "))));
        }
    }
    lines.push(format!(
        "lifetime: until {}{}",
        at(claims.expires_at),
        if claims.expires_at == claims.session.end { ", when its session ends" } else { "" }
    ));
    lines.push(format!(
        "granted: client {}, subject {}{acting}; scope {:?}, audience {}",
        claims.client_id,
        claims.subject,
        claims.scope.as_str(),
        claims.audience.join(", ")
    ));
    lines.push(format!("claims: {}", Value::Object(shown_claims(claims))));
    lines
}

fn allows(party: &Party, what: &str) -> String {
    format!("{party} allows {what}")
}

fn scope(allowed: &ScopeCeiling) -> String {
    match allowed {
        ScopeCeiling::Registered(AllowedScope::Every) => "everything".to_owned(),
        ScopeCeiling::Registered(AllowedScope::Only(scope)) => format!("{:?}, and catalog", scope.as_str()),
        ScopeCeiling::Held(scope) => format!("{:?}", scope.as_str()),
    }
}

/// The claims without those that only an issued token has, such as its identifier.
fn shown_claims(claims: &AccessTokenClaims) -> Map<String, Value> {
    let mut shown = claims.to_json();
    shown.remove("jti");
    if claims.session.id == claims.token_id
        && let Some(Value::Object(session)) = shown.get_mut("tokenberg_session")
    {
        session.remove("id");
    }
    shown
}

/// The decision as JSON.
pub(super) fn value(explanation: &Explanation, at: &dyn Fn(Timestamp) -> String) -> Value {
    let rules = explanation.rules.iter().map(|rule| {
        let mut shown = json!({"rule": rule.name(), "says": rule.sentence(at)});
        if let Some(claims) = rule.claims() {
            shown["claims"] = claims.clone().into();
        }
        shown
    });
    let rules: Vec<Value> = rules.collect();
    match &explanation.verdict {
        Verdict::Granted(granting) => {
            let mut value =
                json!({"verdict": "granted", "rules": rules, "claims": shown_claims(&granting.claims)});
            if let Some(limits) = &granting.limits {
                let of_scope = limits.scope.iter().map(|c| limit(&c.party, scope(&c.allowed).into()));
                let of_audience = limits.audience.iter().map(|c| limit(&c.party, c.allowed.join(" ").into()));
                value["limits"] = json!({
                    "scope": of_scope.collect::<Vec<_>>(),
                    "audience": of_audience.collect::<Vec<_>>(),
                });
            }
            value
        }
        Verdict::Refused(refusing) => {
            let Refusing { refusal, response, remedy } = &**refusing;
            json!({
                "verdict": "refused",
                "rules": rules,
                "reason": refusal.to_string(),
                "client_is_told": {
                    "status": response.status(),
                    "error": response.code.as_str(),
                    "error_description": response.description,
                },
                "to_allow_it": remedy,
            })
        }
        Verdict::Undecided(outage) => json!({
            "verdict": "undecided",
            "rules": rules,
            "reason": outage.to_string(),
            "client_is_told": {"status": 503, "error": "temporarily_unavailable"},
        }),
    }
}

fn limit(party: &Party, allows: Value) -> Value {
    json!({"party": party.to_string(), "allows": allows})
}
