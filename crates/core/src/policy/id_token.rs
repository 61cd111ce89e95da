//! Checks an ID token for the party that received it: OpenID Connect Core 1.0 §3.1.3.7.

use super::foreign_times::{self, Bounds};
use super::foreign_token::{audience, signed_by};
use super::framing::of_another_issuer;
use super::token_kind;
use crate::issuer::{AcceptedAs, LONGEST_MAX_AGE};
use crate::refusal::{AgeLimit, AudienceFault, AudienceRule, TokenFault};
use crate::token::{ClaimFault, Defect};
use crate::{
    CompactJws, Excerpt, Issuer, KeySource, SignatureFault, Timestamp, Trust, TrustedIssuer, Verified,
};
use serde_json::{Map, Value};

/// The check of ID tokens of one issuer that are for one of these audiences, usually the ID of a client of that issuer.
#[derive(Clone, Debug)]
pub struct IdTokenVerification {
    issuer: TrustedIssuer,
}

impl IdTokenVerification {
    /// Accepts ID tokens of this issuer for any of these audiences.
    #[must_use]
    pub fn new(issuer: Issuer, audiences: Vec<Box<str>>) -> Self {
        let trust = Trust { audiences, ..Trust::new(KeySource::Discovery) };
        Self { issuer: TrustedIssuer { issuer, enabled: true, trust } }
    }

    /// Reads a token before any key is fetched.
    ///
    /// # Errors
    /// A [`TokenFault`] if it is malformed, not an ID token, or of another issuer.
    pub fn framed(&self, token: &str) -> Result<CompactJws, TokenFault> {
        let token = CompactJws::parse(token)?;
        token_kind::check(&token, AcceptedAs::IdToken)?;
        match token.unverified_payload().get("iss") {
            Some(Value::String(iss)) if iss.as_str() == self.issuer.issuer.as_str() => Ok(token),
            Some(Value::String(_)) => Err(of_another_issuer(token.into_issuer(), &self.issuer.issuer)),
            iss @ (Some(_) | None) => {
                Err(TokenFault::UnverifiedClaim(ClaimFault::new("iss", Defect::of_text(iss, ""))))
            }
        }
    }

    /// The claims of a token whose signature was checked.
    ///
    /// # Errors
    /// A [`TokenFault`] if the signature, a time, `aud`, `azp` or `sub` is not valid.
    pub fn claims<'a>(
        &self,
        token: &'a CompactJws,
        verified: Result<Verified, SignatureFault>,
        now: Timestamp,
    ) -> Result<&'a Map<String, Value>, TokenFault> {
        let payload = signed_by(token, verified, &self.issuer)?;
        let (leeway, max_age) = (self.issuer.trust.leeway, LONGEST_MAX_AGE);
        let bounds = Bounds { leeway, max_age, limit: AgeLimit::Issuer, needs_issued_at: true };
        foreign_times::check(payload, now, bounds)?;
        let accepted = &self.issuer.trust.audiences;
        let is_accepted = |name: &str| accepted.iter().any(|known| **known == *name);
        let expected = || Excerpt::of_list(accepted.iter().map(AsRef::as_ref));
        if !audience(payload)?.into_iter().any(is_accepted) {
            let rule = AudienceRule::OfIssuer { issuer: self.issuer.issuer.clone(), accepted: expected() };
            let aud = Excerpt::of_value(payload.get("aud"));
            return Err(TokenFault::Audience(Box::new(AudienceFault { aud, rule })));
        }
        // "If an azp (authorized party) Claim is present, the Client SHOULD verify that its client_id is the Claim Value."
        match payload.get("azp") {
            None => {}
            Some(Value::String(azp)) if is_accepted(azp) => {}
            azp @ Some(_) => {
                let defect = Defect::Value { found: Excerpt::of_value(azp), expected: expected() };
                return Err(ClaimFault::new("azp", defect).into());
            }
        }
        match payload.get("sub") {
            Some(Value::String(sub)) if !sub.is_empty() => Ok(payload),
            sub @ (Some(_) | None) => {
                Err(ClaimFault::new("sub", Defect::of_text(sub, "it is not empty")).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    fn fault(changes: &Value) -> Option<String> {
        let issuer: Issuer = "https://idp.example".parse().unwrap();
        let check = IdTokenVerification::new(issuer, vec!["app".into()]);
        let mut claims =
            json!({"iss": "https://idp.example", "sub": "ada", "aud": "app", "iat": 1000, "exp": 1300});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}.AAAA", part(&json!({"alg": "ES256", "kid": "k"})), part(&claims));
        let token = match check.framed(&text) {
            Ok(token) => token,
            Err(fault) => return Some(fault.to_string()),
        };
        let verified = Ok(Verified::assertion(crate::jws::KeyId::new("k"), crate::jws::Algorithm::ES256));
        let now = Timestamp::from_seconds(1100).unwrap();
        check.claims(&token, verified, now).err().map(|fault| fault.to_string())
    }

    #[test]
    fn an_id_token_is_for_its_client_and_of_its_issuer() {
        for good in [json!({}), json!({"aud": ["x", "app"], "azp": "app"}), json!({"nonce": "n"})] {
            assert_eq!(fault(&good), None, "{good}");
        }
        for (wrong, why) in [
            (json!({"iss": "https://other.example"}), "its iss is"),
            (json!({"aud": "other"}), r#"its aud is "other""#),
            (json!({"aud": []}), "aud"),
            (json!({"azp": "other"}), "azp"),
            (json!({"azp": null}), "azp"),
            (json!({"exp": 1000}), "expired"),
            (json!({"iat": null}), "iat"),
            (json!({"iat": 2000, "exp": 3000}), "its iat is"),
            (json!({"sub": ""}), "sub"),
            (json!({"events": {}}), "security event"),
        ] {
            let found = fault(&wrong).unwrap_or_default();
            assert!(found.contains(why), "{wrong}: {found}");
        }
    }
}
