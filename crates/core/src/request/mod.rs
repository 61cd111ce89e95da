//! Reads bytes into a request that is valid by construction: RFC 6749 §3.2.

pub(crate) mod claimed;
pub(crate) mod client_authentication;
pub(crate) mod form;
pub(crate) mod presented_token;
pub(crate) mod token_request;

pub use claimed::ClaimedToken;
pub use client_authentication::{
    AssertionAuthentication, AssertionKind, Authentication, BearerAuthentication, CertificateAuthentication,
    Credential, CredentialReading, IdTokenAuthentication, Role, SecretAuthentication, SecretPlace,
};
pub use form::{Form, FormFault, LARGEST_BODY, LARGEST_PRESENTATION, Parameter, decode_strictly};
pub use presented_token::PresentedToken;
pub use token_request::{ClientCredentialsRequest, JwtBearerRequest, TokenExchangeRequest, TokenRequest};

use crate::jws::DpopProof;
use crate::refusal::Refusal;
use crate::{ClientId, GrantType, PeerCertificate};

/// All that belongs to a request to one of the endpoints; whatever is not there is left as by default.
#[derive(Clone, Copy, Default)]
pub struct Request<'a> {
    /// The values of all `Authorization` header fields.
    pub authorization: &'a [&'a [u8]],
    /// The values of all `DPoP` header fields (RFC 9449 §4.1).
    pub dpop: &'a [&'a [u8]],
    /// The certificate that the client showed in the TLS handshake of this very connection.
    pub certificate: Option<&'a PeerCertificate>,
    /// The query of the address.
    pub query: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// Reads how the request claims to come from a client, by anything but a token; nothing is checked.
    ///
    /// # Errors
    /// A [`Refusal`] if the form is malformed, a parameter is in the query, or there are no readable credentials.
    pub fn credential(&self) -> Result<Credential, Refusal> {
        form::check_query(self.query.unwrap_or_default()).map_err(Refusal::MalformedForm)?;
        let form = Form::parse(self.body).map_err(Refusal::MalformedForm)?;
        Credential::read(self.authorization, self.certificate, &form)
    }
}

/// A token request as it arrived: well-formed, with readable credentials, not yet checked against anything.
pub struct Presented {
    pub(crate) authentication: Authentication,
    pub(crate) grant_type: Result<GrantType, Refusal>,
    // Faults of the grant's parameters are reported to authenticated clients only.
    pub(crate) request: Result<TokenRequest, Refusal>,
    pub(crate) proof: Option<Result<DpopProof, Refusal>>,
    pub(crate) certificate: Option<PeerCertificate>,
}

impl Presented {
    /// Reads a request: the values of all its `Authorization` header fields, the query of its address, and its body.
    ///
    /// # Errors
    /// A [`Refusal`] if the form is malformed, if a parameter is in the query, or if there are no readable credentials. Other faults are
    /// reported after the client has authenticated.
    pub fn read(authorization: &[&[u8]], query: Option<&str>, body: &[u8]) -> Result<Self, Refusal> {
        Self::of(&Request { authorization, query, body, ..Request::default() })
    }

    /// The same, with all that may belong to a request.
    ///
    /// # Errors
    /// As [`Presented::read`].
    pub fn of(request: &Request<'_>) -> Result<Self, Refusal> {
        form::check_query(request.query.unwrap_or_default()).map_err(Refusal::MalformedForm)?;
        let form = Form::parse(request.body).map_err(Refusal::MalformedForm)?;
        Ok(Self {
            authentication: Authentication::read(request.authorization, request.certificate, &form)?,
            grant_type: token_request::grant_type(&form),
            request: TokenRequest::from_form(&form),
            proof: proof(request.dpop),
            certificate: request.certificate.cloned(),
        })
    }

    /// How the request claims to come from a client.
    #[must_use]
    pub fn authentication(&self) -> &Authentication {
        &self.authentication
    }

    /// The client that the request claims to come from, for the log; it is not authenticated, and a Bearer does not name one.
    #[must_use]
    pub fn claimed_client_id(&self) -> Option<ClientId> {
        match &self.authentication {
            Authentication::Credential(credential) => credential.claimed_client_id(),
            Authentication::Bearer(bearer) => bearer.client_id.as_ref().and_then(|id| id.parse().ok()),
        }
    }

    /// How the client authenticates, for the log: `client_secret_basic`, `private_key_jwt`, `bearer`, ….
    #[must_use]
    pub fn method(&self) -> &'static str {
        match &self.authentication {
            Authentication::Credential(credential) => credential.method(),
            Authentication::Bearer(_) => "bearer",
        }
    }

    /// The requested grant, for the log, if it is one that we know.
    #[must_use]
    pub fn grant_type(&self) -> Option<GrantType> {
        self.grant_type.as_ref().ok().copied()
    }

    /// The token request, whichever client made it.
    ///
    /// # Errors
    /// The [`Refusal`] that an authenticated client would get for the grant's parameters.
    pub fn request(&self) -> Result<&TokenRequest, &Refusal> {
        self.request.as_ref()
    }
}

/// RFC 9449 §4.3(1): "There is not more than one DPoP HTTP request header field". Its faults are reported to authenticated clients only.
fn proof(headers: &[&[u8]]) -> Option<Result<DpopProof, Refusal>> {
    let one = match headers {
        [] => return None,
        [one] => one,
        _ => return Some(Err(Refusal::SeveralProofs)),
    };
    if one.contains(&b',') {
        return Some(Err(Refusal::SeveralProofs));
    }
    let text = std::str::from_utf8(one)
        .map_err(|_| Refusal::MalformedProof(crate::jws::FramingFault::Base64(crate::jws::Part::Proof)));
    Some(text.and_then(|text| DpopProof::parse(text).map_err(Refusal::MalformedProof)))
}
