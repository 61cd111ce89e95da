//! What was sent? Bytes in, a request that is valid by construction out; RFC 6749 §3.2.

pub(crate) mod client_authentication;
pub(crate) mod form;
pub(crate) mod presented_token;
pub(crate) mod token_request;

use crate::refusal::Refusal;
use crate::{ClientId, GrantType};
use client_authentication::Authentication;
use form::Form;
use token_request::TokenRequest;

/// A token request as it arrived: well-formed, with readable credentials, not yet checked against anything.
pub struct Presented {
    pub(crate) authentication: Authentication,
    pub(crate) grant_type: Result<GrantType, Refusal>,
    // What is wrong with the grant's parameters is nobody's business who has not proven who he is.
    pub(crate) request: Result<TokenRequest, Refusal>,
}

impl Presented {
    /// Reads a request: the values of all its `Authorization` header fields, the query of its address, and its body.
    ///
    /// # Errors
    /// A [`Refusal`] if the form is malformed, if a parameter stands in the query, or if there are no readable
    /// credentials. What else is wrong is told after the client has proven who it is.
    pub fn read(authorization: &[&[u8]], query: Option<&str>, body: &[u8]) -> Result<Self, Refusal> {
        form::check_query(query.unwrap_or_default()).map_err(Refusal::MalformedForm)?;
        let form = Form::parse(body).map_err(Refusal::MalformedForm)?;
        Ok(Self {
            authentication: Authentication::read(authorization, &form)?,
            grant_type: token_request::grant_type(&form),
            request: TokenRequest::from_form(&form),
        })
    }

    /// How the request claims to come from a client.
    #[must_use]
    pub fn authentication(&self) -> &Authentication {
        &self.authentication
    }

    /// The client that the request claims to come from, for the log; nothing is proven, and a Bearer does not say.
    #[must_use]
    pub fn claimed_client_id(&self) -> Option<ClientId> {
        match &self.authentication {
            Authentication::Secret(secret) => secret.readings.iter().find_map(|r| r.client_id.parse().ok()),
            Authentication::Bearer(bearer) => bearer.client_id.as_ref().and_then(|id| id.parse().ok()),
        }
    }

    /// How the client authenticates, for the log: `client_secret_basic`, `client_secret_post` or `bearer`.
    #[must_use]
    pub fn method(&self) -> &'static str {
        match &self.authentication {
            Authentication::Secret(secret) => secret.place.method(),
            Authentication::Bearer(_) => "bearer",
        }
    }

    /// The grant that is asked for, for the log, if it is one that we know.
    #[must_use]
    pub fn grant_type(&self) -> Option<GrantType> {
        self.grant_type.as_ref().ok().copied()
    }

    /// What is asked for, whoever asks.
    ///
    /// # Errors
    /// The [`Refusal`] that a client that has proven who it is would get for the grant's parameters.
    pub fn request(&self) -> Result<&TokenRequest, &Refusal> {
        self.request.as_ref()
    }
}
