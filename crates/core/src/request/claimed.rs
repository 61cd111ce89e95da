//! Reads what the tokens of a refused request claim, for the log and the audit, and never the tokens themselves; conformance SE-01 and
//! SE-06.

use super::form::{Form, LARGEST_PRESENTATION, Parameter};
use crate::types::unsecured_jwt::UnsecuredJwt;
use crate::{CompactJws, Excerpt};
use serde::Serialize;
use serde_json::{Map, Value};

/// The parameters in which a token or an assertion is sent. A Bearer that counts is one of them.
const PARAMETERS: [Parameter; 5] = [
    Parameter::ClientAssertion,
    Parameter::Assertion,
    Parameter::SubjectToken,
    Parameter::ActorToken,
    Parameter::Token,
];

/// The claims of a token or an assertion. They are not verified, and each value is an [`Excerpt`]: at most 128 bytes.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ClaimedToken {
    /// The parameter in which it was sent.
    pub parameter: &'static str,
    /// Its `iss`, whatever type that has.
    #[serde(rename = "iss", skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Excerpt>,
    /// Its `sub`, whatever type that has.
    #[serde(rename = "sub", skip_serializing_if = "Option::is_none")]
    pub subject: Option<Excerpt>,
    /// Its `aud`, whatever type that has.
    #[serde(rename = "aud", skip_serializing_if = "Option::is_none")]
    pub audience: Option<Excerpt>,
    #[serde(skip)]
    id: Option<Excerpt>,
    #[serde(skip)]
    client: Option<Excerpt>,
}

impl ClaimedToken {
    /// Reads what the tokens and assertions of a form claim. A text that is no JWT is left out; a form that cannot be read has no claims.
    #[must_use]
    pub fn all_of(body: &[u8]) -> Vec<Self> {
        let Ok(form) = Form::parse_up_to(body, LARGEST_PRESENTATION) else { return Vec::new() };
        let claimed = |parameter: Parameter| {
            let text = form.value(parameter)?;
            if UnsecuredJwt::is_one(text) {
                let token = UnsecuredJwt::parse(text).ok()?;
                return Some(Self::of(parameter, token.unverified_payload()));
            }
            let token = CompactJws::parse(text).ok()?;
            Some(Self::of(parameter, token.unverified_payload()))
        };
        PARAMETERS.into_iter().filter_map(claimed).collect()
    }

    pub(crate) fn of(parameter: Parameter, payload: &Map<String, Value>) -> Self {
        let claim = |name: &str| payload.get(name).map(|value| Excerpt::of_value(Some(value)));
        Self {
            parameter: parameter.name(),
            issuer: claim("iss"),
            subject: claim("sub"),
            audience: claim("aud"),
            id: claim("jti"),
            client: claim("client_id"),
        }
    }

    /// Its `jti`, and its `client_id` or else its `iss`: tokens of ours name a client, foreign tokens their issuer.
    #[must_use]
    pub fn name(&self) -> String {
        let plain = |excerpt: &Option<Excerpt>| excerpt.as_ref().map(Excerpt::to_plain).unwrap_or_default();
        let of = if self.client.is_some() { &self.client } else { &self.issuer };
        format!("{} of {}", plain(&self.id), plain(of))
    }
}

/// For a line of the log: `subject_token(iss "https://idp.example", sub "alice", aud ["a", "b"])`.
impl std::fmt::Debug for ClaimedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let claims = [("iss", &self.issuer), ("sub", &self.subject), ("aud", &self.audience)];
        let present = claims.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        write!(f, "{}(", self.parameter)?;
        for (position, (name, value)) in present.enumerate() {
            write!(f, "{}{name} {value}", if position == 0 { "" } else { ", " })?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    fn jwt(claims: &Value, signature: &str) -> String {
        let alg = if signature.is_empty() { "none" } else { "ES256" };
        let encoded = |json: String| URL_SAFE_NO_PAD.encode(json);
        format!("{}.{}.{signature}", encoded(json!({"alg": alg}).to_string()), encoded(claims.to_string()))
    }

    #[test]
    fn se_06_each_token_of_a_form_is_described_by_its_claims() {
        let (github, user) = (
            json!({"iss": "https://token.actions.test", "sub": "repo:a/b:ref:refs/heads/main", "aud": ["x", "y"], "jti": "1"}),
            json!({"sub": "bob", "iat": 1}),
        );
        let own = json!({"iss": "https://as.test", "client_id": "c1", "jti": "2", "aud": 7, "sub": null});
        let body = format!(
            "actor_token={}&client_assertion={}&token=no-jwt&subject_token={}&assertion=a.b.c",
            jwt(&own, "AAAA"),
            jwt(&github, "AAAA"),
            jwt(&user, "")
        );
        let claimed = ClaimedToken::all_of(body.as_bytes());
        assert_eq!(
            serde_json::to_value(&claimed).unwrap(),
            json!([
                {
                    "parameter": "client_assertion", "iss": "https://token.actions.test",
                    "sub": "repo:a/b:ref:refs/heads/main", "aud": r#"["x", "y"]"#
                },
                {"parameter": "subject_token", "sub": "bob"},
                {"parameter": "actor_token", "iss": "https://as.test", "sub": "null", "aud": "7"},
            ])
        );
        assert_eq!(format!("{:?}", claimed[1]), r#"subject_token(sub "bob")"#);
        let names: Vec<String> = claimed.iter().map(ClaimedToken::name).collect();
        assert_eq!(names, ["1 of https://token.actions.test", " of ", "2 of c1"]);
        for none in [&b"subject_token=a.b.c"[..], b"subject_token=%", b"", b"subject_token=eyJ.eyJ."] {
            assert_eq!(ClaimedToken::all_of(none), []);
        }
    }

    #[test]
    fn se_01_cwe_117_cwe_779_claims_are_cut_escaped_and_redacted() {
        let inner = jwt(&json!({"sub": "alice"}), "c2lnbmF0dXJlLW9mLWEtdG9rZW4");
        let secret = format!("tkb{}", "0aB".repeat(17));
        for hostile in [
            inner.as_str(),
            &secret,
            &"\u{202e}".repeat(300),
            &"\"".repeat(300),
            &"\\".repeat(300),
            "a\nb\u{1b}[2J",
        ] {
            let claims = json!({"iss": hostile, "sub": [hostile, hostile], "aud": hostile, "jti": hostile, "client_id": hostile});
            let claimed = ClaimedToken::all_of(format!("assertion={}", jwt(&claims, "AAAA")).as_bytes());
            let [claimed] = &claimed[..] else { panic!("{claimed:?}") };
            for written in [format!("{claimed:?}"), claimed.name(), serde_json::to_string(claimed).unwrap()] {
                assert!(written.len() < 1200, "{}", written.len());
                assert!(!written.chars().any(crate::text::is_unsafe_to_display), "{written}");
                for part in inner.split('.').chain([secret.as_str()]) {
                    assert!(!written.contains(part), "{part} is in {written}");
                }
            }
        }
    }
}
