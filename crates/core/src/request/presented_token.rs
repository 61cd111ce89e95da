//! Reads the token to be introspected or revoked: RFC 7662 §2.1 and RFC 7009 §2.1, which have the same parameters.

use super::Request;
use super::client_authentication::Credential;
use super::form::{self, Form, LARGEST_PRESENTATION, Parameter};
use crate::Secret;
use crate::refusal::Refusal;

/// A request for introspection or revocation as it arrived: with readable credentials, not yet checked against anything.
///
/// `token_type_hint` is ignored: there is one kind of token here, and "an invalid hint" changes nothing (RFC 7009 §2.1).
pub struct PresentedToken {
    pub(crate) credential: Credential,
    // A missing token is reported to authenticated clients only.
    pub(crate) token: Result<Secret, Refusal>,
}

impl PresentedToken {
    /// Reads a request: the values of all its `Authorization` header fields, the query of its address, and its body.
    ///
    /// # Errors
    /// A [`Refusal`] if the form is malformed, if a parameter stands in the query, or if there are no readable
    /// credentials; a Bearer is none.
    pub fn read(authorization: &[&[u8]], query: Option<&str>, body: &[u8]) -> Result<Self, Refusal> {
        Self::of(&Request { authorization, query, body, ..Request::default() })
    }

    /// The same, with all that may belong to a request; a DPoP proof has no part in this.
    ///
    /// # Errors
    /// As [`PresentedToken::read`].
    pub fn of(request: &Request<'_>) -> Result<Self, Refusal> {
        form::check_query(request.query.unwrap_or_default()).map_err(Refusal::MalformedForm)?;
        let form = Form::parse_up_to(request.body, LARGEST_PRESENTATION).map_err(Refusal::MalformedForm)?;
        let token = form.value(Parameter::Token).map(|text| Secret::new(text.to_owned()));
        Ok(Self {
            credential: Credential::read(request.authorization, request.certificate, &form)?,
            token: token.ok_or(Refusal::MissingParameter(Parameter::Token)),
        })
    }

    /// How the request claims to come from a client.
    #[must_use]
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// How the client authenticates, for the log.
    #[must_use]
    pub fn method(&self) -> &'static str {
        self.credential.method()
    }
}
