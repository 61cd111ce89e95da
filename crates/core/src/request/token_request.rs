//! The token request of RFC 6749 §4.4.2 and RFC 8693 §2.1.

use super::form::{Form, Parameter};
use crate::refusal::Refusal;
use crate::token::TypedToken;
use crate::{Excerpt, GrantType, Scope, Secret, Target, TokenType};

/// A request that is well-formed: what its grant demands is there, and what belongs together stands together.
#[derive(Clone)]
pub enum TokenRequest {
    /// A token for the client itself.
    ClientCredentials(ClientCredentialsRequest),
    /// A token for a token: renewal, or delegation.
    TokenExchange(TokenExchangeRequest),
    /// A token for what an assertion grants.
    JwtBearer(JwtBearerRequest),
}

/// RFC 7523 §2.1, with the targets of RFC 8707 §2.
#[derive(Clone, Debug)]
pub struct JwtBearerRequest {
    /// `assertion`: a JWT of an issuer that is trusted for this.
    pub assertion: Secret,
    /// The requested scope; empty if the client leaves it to us.
    pub scope: Scope,
    /// Where it will be used; empty if the client leaves it to us.
    pub targets: Vec<Target>,
}

/// RFC 6749 §4.4.2, with the targets of RFC 8707 §2.
#[derive(Clone, Debug, Default)]
pub struct ClientCredentialsRequest {
    /// The requested scope; empty if the client leaves it to us.
    pub scope: Scope,
    /// Where it will be used; empty if the client leaves it to us.
    pub targets: Vec<Target>,
}

/// RFC 8693 §2.1.
#[derive(Clone, Debug)]
pub struct TokenExchangeRequest {
    /// On whose behalf.
    pub subject: TypedToken,
    /// The actor token, if there is one.
    pub actor: Option<TypedToken>,
    /// The requested scope; empty if the client leaves it to us.
    pub scope: Scope,
    /// Where it will be used; empty if the client leaves it to us.
    pub targets: Vec<Target>,
    /// The requested type of token, if there is one.
    pub requested_token_type: Option<TokenType>,
}

impl TokenRequest {
    /// The grant that it uses.
    #[must_use]
    pub fn grant_type(&self) -> GrantType {
        match self {
            Self::ClientCredentials(_) => GrantType::ClientCredentials,
            Self::TokenExchange(_) => GrantType::TokenExchange,
            Self::JwtBearer(_) => GrantType::JwtBearer,
        }
    }

    /// The requested scope; empty if the client leaves it to us.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        match self {
            Self::ClientCredentials(request) => &request.scope,
            Self::TokenExchange(request) => &request.scope,
            Self::JwtBearer(request) => &request.scope,
        }
    }

    /// Reads the parameters of the grant.
    ///
    /// # Errors
    /// A [`Refusal`] that names the parameter, never its value.
    pub fn from_form(form: &Form<'_>) -> Result<Self, Refusal> {
        match grant_type(form)? {
            GrantType::ClientCredentials => Ok(Self::ClientCredentials(ClientCredentialsRequest {
                scope: scope(form)?,
                targets: targets(form)?,
            })),
            GrantType::TokenExchange => Ok(Self::TokenExchange(TokenExchangeRequest {
                subject: typed_token(form, Parameter::SubjectToken, Parameter::SubjectTokenType)?
                    .ok_or(Refusal::MissingParameter(Parameter::SubjectToken))?,
                actor: typed_token(form, Parameter::ActorToken, Parameter::ActorTokenType)?,
                scope: scope(form)?,
                targets: targets(form)?,
                requested_token_type: token_type(form, Parameter::RequestedTokenType)?,
            })),
            GrantType::JwtBearer => Ok(Self::JwtBearer(JwtBearerRequest {
                assertion: form
                    .value(Parameter::Assertion)
                    .map(|text| Secret::new(text.to_owned()))
                    .ok_or(Refusal::MissingParameter(Parameter::Assertion))?,
                scope: scope(form)?,
                targets: targets(form)?,
            })),
        }
    }
}

/// The grant that is named: exactly, and in this case only.
pub(super) fn grant_type(form: &Form<'_>) -> Result<GrantType, Refusal> {
    let name = form.value(Parameter::GrantType).ok_or(Refusal::MissingParameter(Parameter::GrantType))?;
    let grant = GrantType::ALL.into_iter().find(|grant| grant.as_parameter() == name);
    grant.ok_or_else(|| Refusal::UnsupportedGrantType(Excerpt::of_keyword(name)))
}

fn scope(form: &Form<'_>) -> Result<Scope, Refusal> {
    form.value(Parameter::Scope).unwrap_or_default().parse().map_err(Refusal::MalformedScope)
}

fn targets(form: &Form<'_>) -> Result<Vec<Target>, Refusal> {
    let resources = form.values(Parameter::Resource).map(Target::resource);
    let audiences = form.values(Parameter::Audience).map(Target::audience);
    resources.chain(audiences).collect::<Result<_, _>>().map_err(Refusal::MalformedTarget)
}

/// RFC 8693 §2.1: both are REQUIRED of the subject; of the actor, the type is REQUIRED with the token and "MUST NOT be
/// included otherwise".
fn typed_token(form: &Form<'_>, token: Parameter, kind: Parameter) -> Result<Option<TypedToken>, Refusal> {
    match (form.value(token), token_type(form, kind)?) {
        (Some(text), Some(token_type)) => {
            Ok(Some(TypedToken { token: Secret::new(text.to_owned()), token_type }))
        }
        (Some(_), None) => Err(Refusal::MissingParameter(kind)),
        (None, Some(_)) => Err(Refusal::MissingParameter(token)),
        (None, None) => Ok(None),
    }
}

fn token_type(form: &Form<'_>, parameter: Parameter) -> Result<Option<TokenType>, Refusal> {
    let read = |urn| {
        let found = || Excerpt::of_keyword(urn);
        TokenType::from_urn(urn).ok_or_else(|| Refusal::UnknownTokenType { parameter, found: found() })
    };
    form.value(parameter).map(read).transpose()
}
