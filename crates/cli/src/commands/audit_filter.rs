//! Selects records of the audit by what they name; conformance SE-06.

use crate::configuration::nearest;
use clap::Args;
use serde_json::Value;
use tokenberg_core::Outcome;

/// Which records are selected: those that match every given option.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Filter {
    /// Only records of this client: its requests, requests about its tokens, and changes of it
    #[arg(long, value_name = "ID")]
    pub(super) client: Option<String>,

    /// Only records of this subject, by its name in tokens or by its issuer's name for it; also as an actor
    #[arg(long, value_name = "SUB")]
    pub(super) subject: Option<String>,

    /// Only records of this issuer: of its users, of tokens that claim to be from it, and changes of it
    #[arg(long, value_name = "URL")]
    pub(super) issuer: Option<String>,

    /// Only decisions with this outcome: granted, active, inactive, revoked, an error code such as invalid_client, or `refused`
    /// for every error code
    #[arg(long, value_name = "OUTCOME", value_parser = outcome)]
    pub(super) outcome: Option<String>,

    /// Only records of this request: its ID, or the beginning of it
    #[arg(long, value_name = "ID")]
    pub(super) request: Option<String>,
}

/// The outcomes of every error code.
const REFUSED: &str = "refused";

fn outcome(text: &str) -> Result<String, String> {
    let known = || Outcome::all().map(Outcome::as_str).chain([REFUSED]);
    if known().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    let meant = nearest(text, known()).map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
    Err(format!("expected {}{meant}", known().collect::<Vec<_>>().join(", ")))
}

impl Filter {
    /// The granted requests of everything that the options name.
    pub(super) fn granted(self) -> Self {
        Self { outcome: Some(Outcome::Granted.as_str().to_owned()), ..self }
    }

    /// Whether no option is given.
    fn is_empty(&self) -> bool {
        let Self { client, subject, issuer, outcome, request } = self;
        [client, subject, issuer, outcome, request].into_iter().all(Option::is_none)
    }

    /// Whether the record is selected. One that is not a JSON object may have been anything, so it always is.
    pub(super) fn selects(&self, record: &str) -> bool {
        if self.is_empty() {
            return true;
        }
        let is_object = record.starts_with('{') && record.ends_with('}');
        if is_object && !self.may_select(record) {
            return false;
        }
        let parsed: Option<Value> = serde_json::from_str(record).ok();
        parsed.filter(Value::is_object).is_none_or(|record| self.matches(&record))
    }

    /// A quick check before the record is parsed: the texts that it has to contain.
    fn may_select(&self, record: &str) -> bool {
        let contains = |text: &Option<String>| {
            text.as_ref().is_none_or(|text| {
                let escaped = Value::from(text.as_str()).to_string();
                record.contains(escaped.trim_matches('"'))
            })
        };
        let outcome = self.outcome.as_deref().filter(|outcome| *outcome != REFUSED);
        [&self.client, &self.subject, &self.request].into_iter().all(contains)
            && outcome.is_none_or(|outcome| record.contains(outcome))
    }

    fn matches(&self, record: &Value) -> bool {
        let text = |name: &str| record.get(name).and_then(Value::as_str);
        let has = |wanted: &Option<String>, names: &[&str]| {
            wanted.as_deref().is_none_or(|wanted| names.iter().any(|name| text(name) == Some(wanted)))
        };
        let is_in = |wanted: &Option<String>, list: &str| {
            let items = record.get(list).and_then(Value::as_array);
            wanted
                .as_deref()
                .is_some_and(|wanted| items.is_some_and(|items| items.iter().any(|one| one == wanted)))
        };
        let has_claimed = |wanted: &Option<String>, claim: &str| {
            let presented = record.get("presented").and_then(Value::as_array);
            wanted.as_deref().is_some_and(|wanted| {
                presented.is_some_and(|tokens| {
                    // A claim is recorded as a quoted excerpt.
                    tokens.iter().filter_map(|token| token.get(claim)?.as_str()).any(|shown| {
                        shown == wanted
                            || shown.strip_prefix('"').and_then(|s| s.strip_suffix('"')) == Some(wanted)
                    })
                })
            })
        };
        let has_outcome = self.outcome.as_deref().is_none_or(|wanted| match text("outcome") {
            Some(outcome) if wanted == REFUSED => is_error(outcome),
            outcome => outcome == Some(wanted),
        });
        let is_request = self
            .request
            .as_deref()
            .is_none_or(|wanted| text("request_id").is_some_and(|id| id.starts_with(wanted)));
        has(&self.client, &["client", "owner"])
            && (has(&self.subject, &["subject", "issuer_subject"])
                || is_in(&self.subject, "actors")
                || has_claimed(&self.subject, "sub"))
            && (has(&self.issuer, &["issuer", "subject_issuer"]) || has_claimed(&self.issuer, "iss"))
            && has_outcome
            && is_request
    }
}

/// Whether the outcome is the code of an error.
pub(super) fn is_error(outcome: &str) -> bool {
    Outcome::all().any(|known| match known {
        Outcome::Refused(code) | Outcome::Failed(code) => code.as_str() == outcome,
        Outcome::Granted
        | Outcome::Active
        | Outcome::Inactive
        | Outcome::Revoked
        | Outcome::NothingToRevoke => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_06_a_record_is_selected_by_everything_that_it_names() {
        let granted = r#"{"client":"trino","outcome":"granted","subject":"okta:alice","issuer_subject":"alice",
            "subject_issuer":"https://idp.example","actors":["trino"],"request_id":"0f02ab"}"#;
        let refused = r#"{"client":"etl","outcome":"invalid_client","request_id":"0f03",
            "presented":[{"parameter":"client_assertion","iss":"\"https://idp.example\"","sub":"\"bob\""}]}"#;
        let changed =
            r#"{"change":"issuer added","issuer":"https://idp.example","source":"command line of uid 0"}"#;
        let all = [granted, refused, changed];
        let given = |option: &str, value: &str| {
            let mut filter = Filter::default();
            let to = match option {
                "client" => &mut filter.client,
                "subject" => &mut filter.subject,
                "issuer" => &mut filter.issuer,
                "outcome" => &mut filter.outcome,
                _ => &mut filter.request,
            };
            *to = Some(value.to_owned());
            filter
        };
        for (option, value, selected) in [
            ("client", "trino", [true, false, false]),
            ("client", "tri", [false; 3]),
            ("subject", "okta:alice", [true, false, false]),
            ("subject", "alice", [true, false, false]),
            ("subject", "trino", [true, false, false]),
            ("subject", "bob", [false, true, false]),
            ("issuer", "https://idp.example", [true; 3]),
            ("issuer", "https://idp.example/", [false; 3]),
            ("outcome", "granted", [true, false, false]),
            ("outcome", "refused", [false, true, false]),
            ("request", "0f02", [true, false, false]),
            ("request", "0f", [true, true, false]),
        ] {
            let filter = given(option, value);
            assert_eq!(all.map(|record| filter.selects(record)), selected, "{option} {value}");
        }
        let both = Filter { issuer: Some("https://idp.example".to_owned()), ..given("client", "etl") };
        assert_eq!(all.map(|record| both.selects(record)), [false, true, false]);
        // What such a row said is unknown, so no filter hides it.
        for damaged in ["", "no object", "{\"client\":\"trino\"", "[1]"] {
            assert!(given("client", "trino").selects(damaged), "{damaged}");
        }
        assert!(outcome("grantd").unwrap_err().contains("did you mean `granted`?"));
    }
}
