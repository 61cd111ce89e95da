//! The successful response, RFC 6749 §5.1 and RFC 8693 §2.2.1.

use crate::types::json::strict_object;
use crate::{AccessTokenClaims, Lifetime, Scope, Secret, TokenType};
use serde::Serialize;
use serde_json::Value;

/// How the token is to be used (RFC 6749 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTokenType {
    /// `bearer`, in lower case, as the Iceberg specification has it and its generated clients insist.
    Bearer,
    /// `DPoP`: with a proof each time (RFC 9449 §5).
    Dpop,
    /// `N_A`: not an access token (RFC 8693 §2.2.1).
    NotApplicable,
}

impl AccessTokenType {
    /// How a token with these claims is presented: one that is bound to the key of DPoP proofs, with such a proof.
    #[must_use]
    pub(crate) fn of(claims: &AccessTokenClaims) -> Self {
        match &claims.confirmation {
            Some(cnf) if cnf.key.is_some() => Self::Dpop,
            Some(_) | None => Self::Bearer,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Dpop => "DPoP",
            Self::NotApplicable => "N_A",
        }
    }
}

/// A successful response. Ours always has every member; another server's may lack the optional ones.
#[derive(Clone)]
pub struct TokenResponse {
    /// `access_token`.
    pub access_token: Secret,
    /// `token_type`.
    pub token_type: AccessTokenType,
    /// `expires_in`: how long it lives from now on.
    pub expires_in: Option<Lifetime>,
    /// `issued_token_type`.
    pub issued_token_type: Option<TokenType>,
    /// `scope`: what was granted, never empty.
    pub scope: Option<Scope>,
}

/// What follows the access token.
#[derive(Serialize)]
struct Rest<'a> {
    token_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
}

/// Why a body is no successful token response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenResponseFault {
    /// Not a JSON object, or one with a repeated member.
    #[error("the response is not one JSON object")]
    Json,
    /// A member that is absent, of the wrong type, or beyond what we read.
    #[error("the member {0} of the response is missing or malformed")]
    Member(&'static str),
}

impl TokenResponse {
    /// The body. Members that are not there are left out, never null: older Iceberg clients fail on null.
    #[must_use]
    pub fn to_json(&self) -> Secret {
        let token = self.access_token.expose();
        let rest = Rest {
            token_type: self.token_type.as_str(),
            expires_in: self.expires_in.map(Lifetime::as_seconds),
            issued_token_type: self.issued_token_type.map(TokenType::as_urn),
            scope: self.scope.as_ref().map(Scope::as_str),
        };
        // Capacity for the whole body: a buffer that grows would leave copies of the token behind.
        let plain = token.bytes().fold(true, |plain, b| plain & (b >= b' ') & (b != b'"') & (b != b'\\'));
        let of_token = if plain { token.len() } else { 6 * token.len() };
        let room = of_token + self.scope.as_ref().map_or(0, |s| s.as_str().len()) + 192;
        let mut json = Vec::with_capacity(room);
        json.extend_from_slice(b"{\"access_token\":");
        // Writing texts and numbers to memory cannot fail, and JSON is UTF-8.
        if plain {
            // The token needs no escapes, and it is most of the body.
            json.push(b'"');
            json.extend_from_slice(token.as_bytes());
            json.push(b'"');
        } else {
            let _ = serde_json::to_writer(&mut json, token);
        }
        let before = json.len();
        let _ = serde_json::to_writer(&mut json, &rest);
        // They are members of the same object.
        if let Some(brace) = json.get_mut(before) {
            *brace = b',';
        }
        Secret::new(String::from_utf8(json).unwrap_or_default())
    }

    /// Reads the body of any server's successful response, as leniently as the RFC allows and no more.
    ///
    /// An unknown `issued_token_type` and an empty or malformed `scope` count as absent; `expires_in` may be digits in a
    /// text; `token_type` is compared in any case.
    ///
    /// # Errors
    /// If it is not JSON, or has no usable `access_token` and `token_type`.
    pub fn parse(body: &[u8]) -> Result<Self, TokenResponseFault> {
        let body = strict_object(body).map_err(|_| TokenResponseFault::Json)?;
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        // access-token = 1*VSCHAR (RFC 6749 appendix A.12); it will stand in a header, so no space either.
        let token = text("access_token").filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_graphic()));
        let token_type = match text("token_type") {
            Some(t) if t.eq_ignore_ascii_case("bearer") => AccessTokenType::Bearer,
            Some(t) if t.eq_ignore_ascii_case("dpop") => AccessTokenType::Dpop,
            Some(t) if t.eq_ignore_ascii_case("n_a") => AccessTokenType::NotApplicable,
            Some(_) | None => return Err(TokenResponseFault::Member("token_type")),
        };
        let expires_in = match body.get("expires_in") {
            None | Some(Value::Null) => None,
            Some(value) => {
                let number = value.as_u64().or_else(|| value.as_str().and_then(|digits| digits.parse().ok()));
                let seconds = number.and_then(|s| u32::try_from(s).ok());
                Some(Lifetime::from_seconds(seconds.ok_or(TokenResponseFault::Member("expires_in"))?))
            }
        };
        let scope =
            text("scope").and_then(|scope| scope.parse::<Scope>().ok()).filter(|scope| !scope.is_empty());
        Ok(Self {
            access_token: Secret::new(token.ok_or(TokenResponseFault::Member("access_token"))?.to_owned()),
            token_type,
            expires_in,
            issued_token_type: text("issued_token_type").and_then(TokenType::from_urn),
            scope,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cc_01_a_written_response_reads_the_same() {
        let response = TokenResponse {
            access_token: Secret::new("t".to_owned()),
            token_type: AccessTokenType::Bearer,
            expires_in: Some(Lifetime::from_hours(1)),
            issued_token_type: Some(TokenType::AccessToken),
            scope: "catalog ns:read".parse().ok(),
        };
        let body = response.to_json();
        assert_eq!(
            serde_json::from_str::<Value>(body.expose()).unwrap(),
            serde_json::json!({"access_token":"t","token_type":"bearer","expires_in":3600,
                "issued_token_type":"urn:ietf:params:oauth:token-type:access_token","scope":"catalog ns:read"})
        );
        let read = TokenResponse::parse(body.expose().as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(read.to_json().expose(), body.expose());
    }

    #[test]
    fn cc_01_the_body_is_one_object_for_every_text_of_a_token() {
        for token in ["eyJ.e30.c2ln", "a\"b", "a\\", "\u{1}", "é", "\","] {
            let response = TokenResponse {
                access_token: Secret::new(token.to_owned()),
                token_type: AccessTokenType::Dpop,
                expires_in: None,
                issued_token_type: None,
                scope: None,
            };
            let body: Value = serde_json::from_str(response.to_json().expose()).unwrap();
            assert_eq!(body, serde_json::json!({"access_token": token, "token_type": "DPoP"}));
        }
    }

    #[test]
    fn responses_of_other_servers_are_validated() {
        for good in [
            r#"{"access_token":"t","token_type":"Bearer"}"#,
            r#"{"access_token":"t","token_type":"BEARER","expires_in":null,"scope":null}"#,
            r#"{"access_token":"t","token_type":"n_a","issued_token_type":"urn:x","scope":"","refresh_token":"r"}"#,
        ] {
            assert!(TokenResponse::parse(good.as_bytes()).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("[]", TokenResponseFault::Json),
            ("<html>", TokenResponseFault::Json),
            (r#"{"token_type":"bearer"}"#, TokenResponseFault::Member("access_token")),
            (r#"{"access_token":"t"}"#, TokenResponseFault::Member("token_type")),
            (r#"{"access_token":"t","token_type":"mac"}"#, TokenResponseFault::Member("token_type")),
            (
                r#"{"access_token":"t","token_type":"bearer","expires_in":"soon"}"#,
                TokenResponseFault::Member("expires_in"),
            ),
            (
                r#"{"access_token":"t","token_type":"bearer","expires_in":-1}"#,
                TokenResponseFault::Member("expires_in"),
            ),
        ] {
            assert_eq!(TokenResponse::parse(bad.as_bytes()).err(), Some(why), "{bad}");
        }
    }
}
