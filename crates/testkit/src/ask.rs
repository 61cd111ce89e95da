//! Builds token requests, as briefly as a row of a table needs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokenberg_core::request::AssertionKind;
use tokenberg_core::{PeerCertificate, TokenType};

/// A request to be built up: `Ask::exchange(&token).bearer(&token).with("scope", "catalog")`.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    pub(crate) authorization: Vec<Vec<u8>>,
    pub(crate) query: Option<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) dpop: Vec<Vec<u8>>,
    pub(crate) certificate: Option<PeerCertificate>,
}

impl Ask {
    /// A body, byte for byte.
    #[must_use]
    pub fn raw(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    /// Client credentials.
    #[must_use]
    pub fn credentials() -> Self {
        Self::raw("grant_type=client_credentials")
    }

    /// Token exchange with an access token as the subject.
    #[must_use]
    pub fn exchange(subject: &str) -> Self {
        Self::raw("grant_type=urn:ietf:params:oauth:grant-type:token-exchange")
            .with("subject_token", subject)
            .with("subject_token_type", TokenType::AccessToken.as_urn())
    }

    /// A token, presented to be introspected or revoked.
    #[must_use]
    pub fn token(token: &str) -> Self {
        Self::default().with("token", token)
    }

    /// Token exchange with a subject of this type.
    #[must_use]
    pub fn exchange_of(subject: &str, kind: TokenType) -> Self {
        Self::raw("grant_type=urn:ietf:params:oauth:grant-type:token-exchange")
            .with("subject_token", subject)
            .with("subject_token_type", kind.as_urn())
    }

    /// An assertion as a grant.
    #[must_use]
    pub fn jwt_bearer(assertion: &str) -> Self {
        Self::raw("grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer").with("assertion", assertion)
    }

    /// With a client assertion of the kind of RFC 7523.
    #[must_use]
    pub fn assertion(self, assertion: &str) -> Self {
        self.with("client_assertion_type", AssertionKind::JwtBearer.as_parameter())
            .with("client_assertion", assertion)
    }

    /// With one more DPoP proof.
    #[must_use]
    pub fn dpop(mut self, proof: &str) -> Self {
        self.dpop.push(proof.as_bytes().to_vec());
        self
    }

    /// Over a connection with this certificate.
    #[must_use]
    pub fn certificate(self, certificate: PeerCertificate) -> Self {
        Self { certificate: Some(certificate), ..self }
    }

    /// With an access token as the actor.
    #[must_use]
    pub fn actor(self, token: &str) -> Self {
        self.with("actor_token", token).with("actor_token_type", TokenType::AccessToken.as_urn())
    }

    /// With one more parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if !self.body.is_empty() {
            self.body.push(b'&');
        }
        self.body.extend(serde_urlencoded::to_string([(name, value)]).unwrap().into_bytes());
        self
    }

    /// With more of the body, byte for byte.
    #[must_use]
    pub fn and(mut self, raw: &[u8]) -> Self {
        self.body.extend(raw);
        self
    }

    /// With Basic credentials, form-encoded as RFC 6749 §2.3.1 has it.
    #[must_use]
    pub fn basic(self, id: &str, secret: &str) -> Self {
        let encode = |text: &str| serde_urlencoded::to_string([("", text)]).unwrap()[1..].to_owned();
        let pair = format!("{}:{}", encode(id), encode(secret));
        self.basic_raw(pair.as_bytes())
    }

    /// With Basic credentials, unencoded.
    #[must_use]
    pub fn basic_raw(self, pair: &[u8]) -> Self {
        self.header(&format!("Basic {}", STANDARD.encode(pair)))
    }

    /// With a Bearer.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header(&format!("Bearer {token}"))
    }

    /// With one more `Authorization`.
    #[must_use]
    pub fn header(mut self, value: &str) -> Self {
        self.authorization.push(value.as_bytes().to_vec());
        self
    }

    /// With id and secret in the body.
    #[must_use]
    pub fn post(self, id: &str, secret: &str) -> Self {
        self.with("client_id", id).with("client_secret", secret)
    }

    /// The values of `Authorization`.
    pub fn authorizations(&self) -> impl Iterator<Item = &[u8]> {
        self.authorization.iter().map(Vec::as_slice)
    }

    /// The DPoP proofs.
    pub fn proofs(&self) -> impl Iterator<Item = &[u8]> {
        self.dpop.iter().map(Vec::as_slice)
    }

    /// The certificate of the connection.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<&PeerCertificate> {
        self.certificate.as_ref()
    }

    /// The body.
    #[must_use]
    pub fn form(&self) -> &[u8] {
        &self.body
    }

    /// With a query in the address.
    #[must_use]
    pub fn query(mut self, query: &str) -> Self {
        self.query = Some(query.to_owned());
        self
    }
}
