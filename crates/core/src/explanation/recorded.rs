//! Explains a decision from its record in the audit: what was found out, in order, and what would be decided about such a request now.

use super::record::{Record, whole};
use super::recorded_client;
use super::verdict::{Explanation, Verdict};
use super::what_if::{SupposedUser, WhatIf, explain_what_if};
use crate::issuer::AcceptedAs;
use crate::{Answers, Blocking, ErrorCode, GrantType, Issuer, Outcome, Timestamp, TokenEndpoint};
use serde_json::{Map, Value};

/// The explanation of a recorded decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedDecision {
    /// What the record says, in the order in which it was found out: what it is about in one word, and a sentence.
    pub findings: Vec<(&'static str, String)>,
    /// Whether it was refused, or failed.
    pub is_refused: bool,
    /// Such a request, with a valid credential and genuine tokens. `None` if the record does not say enough of it.
    pub supposed: Option<WhatIf>,
    /// What would be decided about it now.
    pub now: Option<Explanation>,
    /// What would have to change so that such a request is granted, as a sentence. `None` if it was granted.
    pub remedy: Option<String>,
}

/// Explains a decision from the members of its record, without the request. `None` if it is no record of a decision.
pub fn explain_recorded(
    endpoint: &TokenEndpoint,
    record: &Map<String, Value>,
    now: Timestamp,
    answers: &(impl Answers + ?Sized),
    blocking: &(impl Blocking + ?Sized),
) -> Option<RecordedDecision> {
    let record = Record(record);
    let outcome = record.text("outcome")?;
    let is_refused = Outcome::is_error(outcome);
    let supposed = record.what_if(&endpoint.policy().issuer, answers);
    let explain = |what_if: &WhatIf| explain_what_if(endpoint, what_if, now, answers, blocking);
    let now = supposed.as_ref().map(explain);
    let remedy = is_refused.then(|| record.remedy(outcome, now.as_ref(), &endpoint.policy().issuer, answers));
    Some(RecordedDecision {
        findings: record.findings(outcome, is_refused),
        is_refused,
        supposed,
        now,
        remedy,
    })
}

impl<'a> Record<'a> {
    fn findings(self, outcome: &str, is_refused: bool) -> Vec<(&'static str, String)> {
        let mut findings = vec![("request", self.request())];
        findings.extend(self.client().map(|sentence| ("client", sentence)));
        findings.extend(self.list("presented").map(|token| ("token", claimed(token))));
        findings.extend(self.subject().map(|sentence| ("subject", sentence)));
        if let [present, before @ ..] = &self.texts("actors")[..] {
            let before = if before.is_empty() {
                String::new()
            } else {
                format!(", and before that {}", before.join(", "))
            };
            findings.push(("actors", format!("{present} acted for it{before}")));
        }
        if let Some(sentence) = self.token().filter(|_| !is_refused) {
            findings.push(("token", sentence));
        }
        let reason = self.text("reason").map_or_else(String::new, |reason| format!(": {reason}"));
        findings.push(("decision", format!("{outcome}{reason}")));
        findings
    }

    fn request(self) -> String {
        let mut parts = Vec::new();
        if let Some(grant) = self.text("grant") {
            let known = GrantType::ALL.into_iter().find(|known| known.as_parameter() == grant);
            parts.push(format!("requested {}", known.map_or(grant, |known| known.as_str())));
        }
        if let Some(scope) = self.text("scope_in") {
            parts.push(format!("with the scope {scope:?}"));
        }
        for (name, before) in [
            ("endpoint", "at "),
            ("method", "authenticating by "),
            ("source", "from "),
            ("request_id", "request "),
        ] {
            parts.extend(self.text(name).map(|text| format!("{before}{text}")));
        }
        parts.join(", ")
    }

    fn client(self) -> Option<String> {
        let client = self.text("client")?;
        if self.0.get("unverified") == Some(&Value::Bool(true)) {
            return Some(format!("it named the client {client}, and was not authenticated"));
        }
        let secret =
            self.text("secret").map_or_else(String::new, |secret| format!(" with the secret {secret}"));
        let owner = self.text("owner").filter(|owner| *owner != client);
        let owner = owner.map_or_else(String::new, |owner| format!("; the token belongs to {owner}"));
        Some(format!("it was the client {client}{secret}{owner}"))
    }

    fn subject(self) -> Option<String> {
        let subject = self.text("subject")?;
        let issuer = self.text("subject_issuer").map_or_else(String::new, |issuer| format!(" of {issuer}"));
        let called =
            self.text("issuer_subject").map_or_else(String::new, |name| format!(", which calls it {name}"));
        let known = self.text("subject_auth").map_or_else(String::new, |how| format!(", known by {how}"));
        Some(format!("{subject}{issuer}{called}{known}"))
    }

    fn token(self) -> Option<String> {
        let id = self.text("jti")?;
        let scope =
            self.text("scope_out").map_or_else(String::new, |scope| format!(" with the scope {scope:?}"));
        let audience = self.texts("aud");
        let audience =
            if audience.is_empty() { String::new() } else { format!(" for {}", audience.join(", ")) };
        Some(format!("{id}{scope}{audience}"))
    }

    /// The request, as far as the record says it. `None` if it was about a token of our own, which cannot be supposed.
    fn what_if(self, ours: &Issuer, answers: &(impl Answers + ?Sized)) -> Option<WhatIf> {
        let client: crate::ClientId = self.text("client")?.parse().ok()?;
        let grant =
            GrantType::ALL.into_iter().find(|grant| Some(grant.as_parameter()) == self.text("grant"))?;
        let user = match grant {
            GrantType::ClientCredentials => None,
            GrantType::TokenExchange | GrantType::JwtBearer => {
                let (issuer, subject, audience) = self.user()?;
                if issuer == *ours {
                    return None;
                }
                let accept = answers.issuer(issuer.as_str()).map(|known| known.trust.accept.clone());
                let accept = accept.unwrap_or_default();
                let kinds = [AcceptedAs::IdToken, AcceptedAs::Jwt, AcceptedAs::AccessToken];
                let mut is_accepted = kinds.into_iter().filter(|kind| accept.contains(kind));
                let presented_as = if grant == GrantType::JwtBearer {
                    AcceptedAs::JwtBearer
                } else if audience.contains(&client.as_str()) {
                    AcceptedAs::IdToken
                } else {
                    is_accepted.next().unwrap_or(AcceptedAs::IdToken)
                };
                let claims = if audience.is_empty() {
                    Map::new()
                } else {
                    Map::from_iter([("aud".to_owned(), Value::from(audience))])
                };
                Some(SupposedUser { issuer, subject: subject.into(), presented_as, claims })
            }
        };
        Some(WhatIf { client, scope: self.text("scope_in").map(Box::from), audience: None, user })
    }

    /// The user, and the audiences of its token if they are recorded.
    fn user(self) -> Option<(Issuer, &'a str, Vec<&'a str>)> {
        if let (Some(issuer), Some(subject)) = (self.text("subject_issuer"), self.text("subject")) {
            let subject = self.text("issuer_subject").unwrap_or(subject);
            return Some((issuer.parse().ok()?, subject, Vec::new()));
        }
        let is_users = |token: &&Value| {
            ["subject_token", "assertion"].iter().any(|parameter| token["parameter"] == *parameter)
        };
        let token = self.list("presented").find(is_users)?;
        let claim = |name: &str| token.get(name).and_then(Value::as_str).and_then(whole);
        let audience = claim("aud").filter(|audience| !audience.starts_with('['));
        Some((claim("iss")?.parse().ok()?, claim("sub")?, audience.into_iter().collect()))
    }

    fn remedy(
        self,
        outcome: &str,
        decided: Option<&Explanation>,
        ours: &Issuer,
        answers: &(impl Answers + ?Sized),
    ) -> String {
        let is_of_client = outcome == ErrorCode::InvalidClient.as_str();
        match decided.map(|decided| &decided.verdict) {
            Some(Verdict::Refused(refusing)) => refusing.remedy.clone(),
            Some(Verdict::Undecided(_)) => "make the issuer reachable from this machine".to_owned(),
            Some(Verdict::Granted(_)) if is_of_client => recorded_client::remedy(self, ours, answers),
            Some(Verdict::Granted(_)) => "nothing to change here: with valid parameters and genuine tokens \
                                          that have not expired, such a request would be granted now"
                .to_owned(),
            None if is_of_client => recorded_client::remedy(self, ours, answers),
            None if outcome == ErrorCode::UnsupportedGrantType.as_str() => {
                "the client has to request another grant_type; no registration would change this".to_owned()
            }
            None => "the record does not say enough of the request; send it to `tokenberg explain` again, from a file".to_owned(),
        }
    }
}

/// The claims of a presented token, which may not have been verified.
fn claimed(token: &Value) -> String {
    let text = |name: &str| token.get(name).and_then(Value::as_str);
    let claims = ["iss", "sub", "aud"].into_iter().filter_map(|name| Some(format!("{name} {}", text(name)?)));
    let claims: Vec<String> = claims.collect();
    let place = text("parameter").unwrap_or("token");
    if claims.is_empty() {
        return format!("the {place} claims neither iss nor sub nor aud");
    }
    format!("the {place} claims {}", claims.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn members(record: Value) -> Map<String, Value> {
        let Value::Object(members) = record else { panic!("{record}") };
        members
    }

    #[test]
    fn se_06_the_user_of_a_record_is_the_one_that_its_token_named() {
        let presented =
            |claims: Value| json!({"presented": [{"parameter": "client_assertion", "sub": "c"}, claims]});
        let issuer = "https://idp.example";
        for (record, user) in [
            (
                json!({"subject": "okta:alice", "issuer_subject": "alice", "subject_issuer": issuer}),
                Some(("alice", vec![])),
            ),
            (json!({"subject": "alice", "subject_issuer": issuer}), Some(("alice", vec![]))),
            (json!({"subject": "etl"}), None),
            (
                presented(json!({"parameter": "subject_token", "iss": issuer, "sub": "bob", "aud": "spark"})),
                Some(("bob", vec!["spark"])),
            ),
            // As earlier versions wrote it, and a list.
            (
                presented(
                    json!({"parameter": "assertion", "iss": format!("\"{issuer}\""), "sub": "\"bob\"", "aud": "[\"a\", \"b\"]"}),
                ),
                Some(("bob", vec![])),
            ),
            (presented(json!({"parameter": "actor_token", "iss": issuer, "sub": "bob"})), None),
            (presented(json!({"parameter": "subject_token", "iss": issuer, "sub": "b… (300 bytes)"})), None),
            (presented(json!({"parameter": "subject_token", "iss": "no issuer", "sub": "bob"})), None),
            (presented(json!({"parameter": "subject_token", "sub": 7})), None),
        ] {
            let members = members(record);
            let found = Record(&members).user();
            assert_eq!(found.map(|(_, subject, audience)| (subject, audience)), user, "{members:?}");
        }
    }

    #[test]
    fn se_06_findings_are_in_order_and_say_what_the_record_says() {
        let record = members(json!({
            "endpoint": "/v1/oauth/tokens", "request_id": "0f02", "source": "192.0.2.7", "client": "trino",
            "method": "client_secret_basic", "secret": "fc5584d2", "scope_in": "catalog",
            "grant": "urn:ietf:params:oauth:grant-type:token-exchange", "subject": "okta:alice", "issuer_subject": "alice",
            "subject_issuer": "https://idp.example", "subject_auth": "id_token", "actors": ["trino", "gateway"],
            "scope_out": "catalog", "jti": "t1", "aud": ["https://catalog.example"], "outcome": "granted",
        }));
        let found = Record(&record).findings("granted", false);
        let said: Vec<String> = found.iter().map(|(name, sentence)| format!("{name}: {sentence}")).collect();
        assert_eq!(
            said,
            [
                "request: requested token_exchange, with the scope \"catalog\", at /v1/oauth/tokens, authenticating by \
                 client_secret_basic, from 192.0.2.7, request 0f02",
                "client: it was the client trino with the secret fc5584d2",
                "subject: okta:alice of https://idp.example, which calls it alice, known by id_token",
                "actors: trino acted for it, and before that gateway",
                "token: t1 with the scope \"catalog\" for https://catalog.example",
                "decision: granted",
            ]
        );
        let refused = members(
            json!({"client": "etl", "unverified": true, "outcome": "invalid_client", "reason": "wrong secret",
            "presented": [{"parameter": "client_assertion", "iss": "https://x.example"}, {}]}),
        );
        let found = Record(&refused).findings("invalid_client", true);
        let said: Vec<&str> = found.iter().map(|(_, sentence)| sentence.as_str()).collect();
        assert_eq!(
            said[1..],
            [
                "it named the client etl, and was not authenticated",
                "the client_assertion claims iss https://x.example",
                "the token claims neither iss nor sub nor aud",
                "invalid_client: wrong secret",
            ]
        );
    }
}
