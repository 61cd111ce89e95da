//! Writes the request of RFC 6749 §4.4.2 and RFC 8693 §2.1 as a form and header fields.

use crate::request::AssertionKind;
use crate::request::form::Parameter;
use crate::token::TypedToken;
use crate::{Secret, Target, TokenRequest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// How the client authenticates.
#[derive(Clone, Debug)]
pub enum ClientAuthentication {
    /// `Authorization: Basic`, with id and secret form-encoded (RFC 6749 §2.3.1).
    Basic {
        /// The client's identifier.
        client_id: Box<str>,
        /// Its secret.
        client_secret: Secret,
    },
    /// `client_id` and `client_secret` in the form, as Iceberg's clients do by default.
    Body {
        /// The client's identifier; some servers know a secret without one.
        client_id: Option<Box<str>>,
        /// Its secret.
        client_secret: Secret,
    },
    /// `Authorization: Bearer`, with a token that is also the subject or the actor of the exchange.
    Bearer(Secret),
    /// A JWT that stands for a secret (RFC 7523 §2.2): the client's own, or that of a workload.
    Assertion {
        /// The client's identifier, which is optional.
        client_id: Option<Box<str>>,
        /// What kind of assertion it is.
        kind: AssertionKind,
        /// The assertion.
        assertion: Secret,
    },
    /// `client_id` alone: the certificate of the connection authenticates the client (RFC 8705 §2).
    Id {
        /// The client's identifier.
        client_id: Box<str>,
    },
    /// Not at all.
    None,
}

/// A `POST` to the token endpoint.
#[derive(Debug)]
pub struct Outgoing {
    /// The value of `Authorization`, if any.
    pub authorization: Option<Secret>,
    /// The body, of type `application/x-www-form-urlencoded`.
    pub form: Secret,
}

impl Outgoing {
    /// The value of `Content-Type`.
    pub const CONTENT_TYPE: &'static str = "application/x-www-form-urlencoded";
    /// The value of `Accept`.
    pub const ACCEPT: &'static str = "application/json";
}

impl TokenRequest {
    /// Writes the request. [`crate::Presented::read`] reads the same values from it.
    ///
    /// ```
    /// use tokenberg_core::client::ClientAuthentication;
    /// use tokenberg_core::request::ClientCredentialsRequest;
    /// use tokenberg_core::{Secret, TokenRequest};
    /// let request = TokenRequest::ClientCredentials(ClientCredentialsRequest {
    ///     scope: "catalog ns:read".parse()?,
    ///     targets: vec![],
    /// });
    /// let outgoing = request.to_http(&ClientAuthentication::Basic {
    ///     client_id: "spark".into(),
    ///     client_secret: Secret::new("s3cret".to_owned()),
    /// });
    /// assert_eq!(outgoing.form.expose(), "grant_type=client_credentials&scope=catalog+ns%3Aread");
    /// assert_eq!(outgoing.authorization.unwrap().expose(), "Basic c3Bhcms6czNjcmV0");
    /// # Ok::<(), tokenberg_core::token::ScopeError>(())
    /// ```
    #[must_use]
    pub fn to_http(&self, authentication: &ClientAuthentication) -> Outgoing {
        to_form(self.pairs(), authentication)
    }

    fn pairs(&self) -> Vec<(Parameter, &str)> {
        let mut pairs = vec![(Parameter::GrantType, self.grant_type().as_parameter())];
        match self {
            Self::ClientCredentials(request) => {
                put_scope_and_targets(&mut pairs, request.scope.as_str(), &request.targets);
            }
            Self::TokenExchange(request) => {
                put_token(&mut pairs, Parameter::SubjectToken, Parameter::SubjectTokenType, &request.subject);
                if let Some(actor) = &request.actor {
                    put_token(&mut pairs, Parameter::ActorToken, Parameter::ActorTokenType, actor);
                }
                if let Some(kind) = request.requested_token_type {
                    pairs.push((Parameter::RequestedTokenType, kind.as_urn()));
                }
                put_scope_and_targets(&mut pairs, request.scope.as_str(), &request.targets);
            }
            Self::JwtBearer(request) => {
                pairs.push((Parameter::Assertion, request.assertion.expose()));
                put_scope_and_targets(&mut pairs, request.scope.as_str(), &request.targets);
            }
        }
        pairs
    }
}

fn put_token<'a>(
    pairs: &mut Vec<(Parameter, &'a str)>,
    token: Parameter,
    kind: Parameter,
    typed: &'a TypedToken,
) {
    pairs.push((token, typed.token.expose()));
    pairs.push((kind, typed.token_type.as_urn()));
}

fn put_scope_and_targets<'a>(pairs: &mut Vec<(Parameter, &'a str)>, scope: &'a str, targets: &'a [Target]) {
    if !scope.is_empty() {
        pairs.push((Parameter::Scope, scope));
    }
    for target in targets {
        let parameter = match target {
            Target::Resource(_) => Parameter::Resource,
            Target::Audience(_) => Parameter::Audience,
        };
        pairs.push((parameter, target.as_str()));
    }
}

/// Writes a form with the credentials of its client.
pub(super) fn to_form<'a>(
    mut pairs: Vec<(Parameter, &'a str)>,
    authentication: &'a ClientAuthentication,
) -> Outgoing {
    let authorization = match authentication {
        ClientAuthentication::Basic { client_id, client_secret } => Some(basic(client_id, client_secret)),
        ClientAuthentication::Bearer(token) => Some(Secret::new(format!("Bearer {}", token.expose()))),
        ClientAuthentication::Body { client_id, client_secret } => {
            if let Some(id) = client_id {
                pairs.push((Parameter::ClientId, id));
            }
            pairs.push((Parameter::ClientSecret, client_secret.expose()));
            None
        }
        ClientAuthentication::Assertion { client_id, kind, assertion } => {
            if let Some(id) = client_id {
                pairs.push((Parameter::ClientId, id));
            }
            pairs.push((Parameter::ClientAssertionType, kind.as_parameter()));
            pairs.push((Parameter::ClientAssertion, assertion.expose()));
            None
        }
        ClientAuthentication::Id { client_id } => {
            pairs.push((Parameter::ClientId, client_id));
            None
        }
        ClientAuthentication::None => None,
    };
    Outgoing { authorization, form: print(&pairs) }
}

fn print(pairs: &[(Parameter, &str)]) -> Secret {
    let named: Vec<(&str, &str)> =
        pairs.iter().map(|(parameter, value)| (parameter.name(), *value)).collect();
    // Serializing pairs of texts cannot fail; the server would refuse an empty form.
    Secret::new(serde_urlencoded::to_string(named).unwrap_or_default())
}

fn basic(client_id: &str, client_secret: &Secret) -> Secret {
    let encode = |text: &str| {
        let pair = serde_urlencoded::to_string([("", text)]).map(Zeroizing::new).unwrap_or_default();
        Zeroizing::new(pair.strip_prefix('=').unwrap_or_default().to_owned())
    };
    let pair = Zeroizing::new(format!("{}:{}", *encode(client_id), *encode(client_secret.expose())));
    Secret::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}
