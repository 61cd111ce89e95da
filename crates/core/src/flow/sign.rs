//! Asks for the signature of a new token, and composes the response: RFC 9068 §2 and RFC 6749 §5.1.

use crate::answers::SigningFault;
use crate::jws::{Algorithm, KeyId};
use crate::policy::limits::Limits;
use crate::policy::party::{ProvenActor, ProvenSubject};
use crate::policy::proof::Authenticated;
use crate::response::{AccessTokenType, TokenResponse};
use crate::text::ShortText;
use crate::token::ACCESS_TOKEN_TYPE;
use crate::{AccessTokenClaims, GrantType, Issuer, Scope, Secret, Timestamp, TokenType};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

/// Sign this: the last question.
#[derive(Debug)]
pub struct Sign {
    claims: AccessTokenClaims,
    decision: Decision,
    limits: Option<Box<Limits>>,
    now: Timestamp,
}

/// A request that was granted.
pub struct Granted {
    /// What the client receives.
    pub response: TokenResponse,
    /// What was signed.
    pub claims: AccessTokenClaims,
    /// The facts of the decision.
    pub decision: Decision,
}

/// What was decided and on what, for log and audit; without any token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The grant.
    pub grant: GrantType,
    /// How the client authenticated: `client_secret_basic`, `private_key_jwt`, `bearer`, ….
    pub method: &'static str,
    /// The name of the client secret that authenticated the client, if one did.
    pub secret: Option<ShortText>,
    /// The requested scope; empty if none was requested.
    pub scope_asked: Scope,
    /// How the subject was authenticated.
    pub subject_proof: SubjectProof,
    /// `jti` of the subject token; of a foreign one any text of up to 256 bytes.
    pub subject_token: Option<Box<str>>,
    /// `jti` of the actor token.
    pub actor_token: Option<Box<str>>,
}

/// How the subject of a token was established.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectProof {
    /// The subject is the client that made the request.
    Client,
    /// By a token of ours.
    Own,
    /// By a token of this issuer.
    Issuer(Issuer),
    /// Only the client's statement (conformance TX-69).
    Unsecured,
}

impl SubjectProof {
    /// The value of `subject_auth` in the audit record.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Client => "client",
            Self::Own => "own_token",
            Self::Issuer(issuer) => issuer.as_str(),
            Self::Unsecured => crate::token::UNSECURED,
        }
    }
}

impl Decision {
    pub(super) fn client_credentials(method: &'static str, scope_asked: Scope) -> Self {
        Self {
            grant: GrantType::ClientCredentials,
            method,
            secret: None,
            scope_asked,
            subject_proof: SubjectProof::Client,
            subject_token: None,
            actor_token: None,
        }
    }

    pub(super) fn token_exchange(
        method: &'static str,
        scope_asked: Scope,
        subject: &ProvenSubject,
        actor: Option<&ProvenActor>,
    ) -> Self {
        let actor_token = actor.and_then(ProvenActor::token_id);
        let grant = GrantType::TokenExchange;
        Self { grant, actor_token, ..Self::jwt_bearer(method, scope_asked, subject) }
    }

    pub(super) fn jwt_bearer(method: &'static str, scope_asked: Scope, subject: &ProvenSubject) -> Self {
        Self {
            grant: GrantType::JwtBearer,
            method,
            secret: None,
            scope_asked,
            subject_proof: match subject {
                ProvenSubject::Own(_) => SubjectProof::Own,
                ProvenSubject::Foreign(token) => SubjectProof::Issuer(token.claims().issuer.issuer.clone()),
                ProvenSubject::Unsecured(_) => SubjectProof::Unsecured,
            },
            subject_token: subject.token_id(),
            actor_token: None,
        }
    }

    /// Adds by which secret the client authenticated.
    pub(super) fn of_client(self, client: &Authenticated) -> Self {
        Self { secret: client.secret().cloned(), ..self }
    }
}

impl Sign {
    pub(super) fn new(
        claims: AccessTokenClaims,
        decision: Decision,
        limits: Option<Box<Limits>>,
        now: Timestamp,
    ) -> Self {
        Self { claims, decision, limits, now }
    }

    /// The claims to be signed.
    #[must_use]
    pub fn claims(&self) -> &AccessTokenClaims {
        &self.claims
    }

    /// On what it was decided.
    #[must_use]
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Which party allowed what, if an explanation was requested.
    pub(crate) fn limits(&self) -> Option<&Limits> {
        self.limits.as_deref()
    }

    /// When it was decided.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The text that a [`Signer`](crate::Signer) signs with this key: the next step, whose answer is the signature.
    ///
    /// # Errors
    /// None is known.
    pub fn signing_input(self, key: &KeyId, algorithm: Algorithm) -> Result<SignInput, SigningFault> {
        let failed = |_| SigningFault::Key { key: key.clone() };
        let header = json!({"typ": ACCESS_TOKEN_TYPE, "alg": algorithm.as_str(), "kid": key.as_str()});
        let payload = serde_json::to_vec(&self.claims).map_err(failed)?;
        let mut input = URL_SAFE_NO_PAD.encode(header.to_string());
        // Room for the signature as well: growing would leave a copy of the token in freed memory.
        input.reserve_exact(payload.len().div_ceil(3) * 4 + LONGEST_SIGNATURE.div_ceil(3) * 4 + 2);
        input.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut input);
        Ok(SignInput { question: self, input })
    }

    /// Answers with the signed token, for a caller that also reports the decision.
    #[must_use]
    pub fn granted(self, access_token: Secret) -> Granted {
        let response = TokenResponse {
            access_token,
            token_type: AccessTokenType::of(&self.claims),
            expires_in: Some(self.claims.remaining(self.now)),
            issued_token_type: Some(TokenType::AccessToken),
            scope: Some(self.claims.scope.clone()),
        };
        Granted { response, claims: self.claims, decision: self.decision }
    }

    /// Answers with the signed token: the end.
    #[must_use]
    pub fn signed(self, access_token: Secret) -> TokenResponse {
        self.granted(access_token).response
    }
}

/// The longest signature, in bytes: that of an RSA key of 4096 bits.
const LONGEST_SIGNATURE: usize = 512;

/// Sign this text: the last question, for a key that is elsewhere.
pub struct SignInput {
    question: Sign,
    input: String,
}

impl SignInput {
    /// The JWS Signing Input (RFC 7515 §5.1). It is no token yet.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.input.as_bytes()
    }

    /// Answers with the signature of the text, in the form of JWS: the end.
    #[must_use]
    pub fn signed_by(self, signature: &[u8]) -> Granted {
        let Self { question, mut input } = self;
        input.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut input);
        question.granted(Secret::new(input))
    }
}
