//! The answer to a request, in the notation of the conformance page.

use serde_json::Value;
use tokenberg_core::error::Challenge;
use tokenberg_core::{AccessTokenClaims, ErrorCode, Granted, NotGranted, OAuthError, Refusal};

/// The answer to one [`Ask`](crate::Ask).
pub enum Answer {
    /// A token.
    Ok(Box<Granted>),
    /// A refusal: the exact reason, and the client's response.
    Refused(Refusal, OAuthError),
    /// No answer, because a service that it needs failed.
    Outage(NotGranted),
}

impl Answer {
    /// The token.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn token(&self) -> String {
        self.granted().response.access_token.expose().to_owned()
    }

    /// The claims of the token.
    ///
    /// # Panics
    /// If there is no token.
    #[must_use]
    pub fn claims(&self) -> &AccessTokenClaims {
        &self.granted().claims
    }

    /// The body of a success.
    ///
    /// # Panics
    /// If it was refused.
    #[must_use]
    pub fn body(&self) -> Value {
        serde_json::from_str(self.granted().response.to_json().expose()).unwrap()
    }

    fn granted(&self) -> &Granted {
        match self {
            Self::Ok(granted) => granted,
            Self::Refused(refusal, _) => panic!("refused: {refusal}"),
            Self::Outage(outage) => panic!("{outage}"),
        }
    }

    /// The exact reason of a refusal.
    ///
    /// # Panics
    /// If it was granted.
    #[must_use]
    pub fn refusal(&self) -> &Refusal {
        match self {
            Self::Ok(granted) => panic!("granted: {:?}", granted.claims),
            Self::Outage(outage) => panic!("{outage}"),
            Self::Refused(refusal, _) => refusal,
        }
    }

    /// `200`, or the notation of the conformance page: `400 invalid_scope`, `401 invalid_client Basic`.
    #[must_use]
    pub fn code(&self) -> String {
        match self {
            Self::Ok(_) => "200".to_owned(),
            Self::Outage(_) => "503".to_owned(),
            Self::Refused(_, error) => {
                let challenge = match error.challenge {
                    None => "",
                    Some(Challenge::Basic) => " Basic",
                    Some(Challenge::BearerInvalidToken) => " Bearer",
                };
                format!("{} {}{challenge}", error.status(), error.code.as_str())
            }
        }
    }

    /// Checks what holds for every answer (conformance E400, E401, OK).
    pub(crate) fn check_shape(&self, sent: &[u8]) {
        match self {
            Self::Ok(granted) => check_success(granted, &self.body()),
            Self::Refused(_, error) => check_error(error, sent),
            Self::Outage(_) => {}
        }
    }
}

fn check_success(granted: &Granted, body: &Value) {
    let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["access_token", "expires_in", "issued_token_type", "scope", "token_type"]);
    let is_bound = granted.claims.confirmation.as_ref().is_some_and(|cnf| cnf.key.is_some());
    assert_eq!(body["token_type"], if is_bound { "DPoP" } else { "bearer" });
    assert!((1..=i64::from(i32::MAX)).contains(&body["expires_in"].as_i64().unwrap()));
    assert_eq!(body["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    let scope = body["scope"].as_str().unwrap();
    assert!(!scope.is_empty() && scope.split(' ').all(|token| !token.is_empty()), "{scope:?}");
    assert_eq!(scope, granted.claims.scope.as_str());
    let lifetime = granted.claims.expires_at.as_seconds() - granted.claims.issued_at.as_seconds();
    assert_eq!(body["expires_in"], lifetime, "IC-03: consistent with exp");
    assert!(granted.claims.expires_at <= granted.claims.session.end);
}

fn check_error(error: &OAuthError, sent: &[u8]) {
    let description = error.description.as_deref().unwrap_or_default();
    assert!(!description.is_empty(), "Java prints null without a description");
    for text in [description, error.code.as_str()] {
        assert!(text.bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5B | 0x5D..=0x7E)), "{text:?}");
    }
    assert_eq!(error.status() == 401, error.challenge.is_some(), "every 401 has a challenge, nothing else");
    assert!(matches!(error.status(), 400 | 401), "D27: never 403 here");
    let six_and_target = [
        ErrorCode::InvalidRequest,
        ErrorCode::InvalidClient,
        ErrorCode::InvalidGrant,
        ErrorCode::UnauthorizedClient,
        ErrorCode::UnsupportedGrantType,
        ErrorCode::InvalidScope,
        ErrorCode::InvalidTarget,
        ErrorCode::InvalidDpopProof,
        ErrorCode::UseDpopNonce,
    ];
    assert!(six_and_target.contains(&error.code), "IC-04");
    let body: Value = serde_json::from_str(&error.to_json()).unwrap();
    assert!(body.as_object().unwrap().keys().all(|k| matches!(k.as_str(), "error" | "error_description")));
    for secret in sent.split(|b| b"&=: .".contains(b)).filter(|part| part.len() >= 12) {
        let secret = String::from_utf8_lossy(secret);
        let is_name = ["grant_type", "client_", "subject_", "actor_", "requested_", "urn", "token"];
        if !is_name.iter().any(|name| secret.contains(name)) {
            assert!(!error.to_json().contains(&*secret), "echoes {secret:?}");
        }
    }
}
