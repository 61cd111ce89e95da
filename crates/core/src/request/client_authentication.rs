//! Reads how the client authenticates: RFC 6749 §2.3, and the Bearer of Iceberg's specification.

use super::form::{Form, Parameter, decode_strictly};
use crate::refusal::{BasicFault, ClientIdsDiffer, Refusal};
use crate::types::secret::LONGEST_CLIENT_SECRET;
use crate::{ClientId, Excerpt, PeerCertificate, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// How a request claims to come from a client; it is not checked yet.
#[derive(Debug)]
pub enum Authentication {
    /// A credential of the client's own.
    Credential(Credential),
    /// An access token of ours that is also the subject or the actor of the exchange.
    Bearer(BearerAuthentication),
}

/// A credential of a client's own, which a token is not.
#[derive(Debug)]
pub enum Credential {
    /// An identifier and a secret, in Basic or in the body.
    Secret(SecretAuthentication),
    /// A JWT (RFC 7521 §4.2).
    Assertion(AssertionAuthentication),
    /// The certificate of the connection (RFC 8705 §2).
    Certificate(CertificateAuthentication),
    /// The ID token that is exchanged, of a client without a credential (RFC 6749 §2.1).
    IdToken(IdTokenAuthentication),
}

impl Credential {
    /// The name of the method, for the log: as in RFC 7591 §2 where it has one.
    #[must_use]
    pub fn method(&self) -> &'static str {
        match self {
            Self::Secret(secret) => secret.place.method(),
            Self::Assertion(assertion) => assertion.kind.method(),
            Self::Certificate(_) => "tls_client_auth",
            Self::IdToken(_) => "none",
        }
    }

    /// The client that is claimed, if that is a possible identifier; it is not authenticated.
    #[must_use]
    pub fn claimed_client_id(&self) -> Option<ClientId> {
        match self {
            Self::Secret(secret) => secret.readings.iter().find_map(|r| r.client_id.parse().ok()),
            Self::Assertion(assertion) => assertion.client_id.as_ref().and_then(|id| id.parse().ok()),
            Self::Certificate(certificate) => certificate.client_id.parse().ok(),
            Self::IdToken(id_token) => id_token.client_id.parse().ok(),
        }
    }
}

/// A client assertion, not yet parsed.
#[derive(Debug)]
pub struct AssertionAuthentication {
    /// What kind it is declared as.
    pub kind: AssertionKind,
    /// `client_assertion`.
    pub assertion: Secret,
    /// `client_id` of the form, which is optional, and has to be that of the client (RFC 7521 §4.2).
    pub client_id: Option<Box<str>>,
}

/// `client_assertion_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssertionKind {
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer` (RFC 7523 §2.2).
    JwtBearer,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-spiffe` (draft-ietf-oauth-spiffe-client-auth §3.1).
    JwtSpiffe,
}

impl AssertionKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::JwtBearer, Self::JwtSpiffe];

    /// The value of the parameter.
    #[must_use]
    pub fn as_parameter(self) -> &'static str {
        match self {
            Self::JwtBearer => "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            Self::JwtSpiffe => "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe",
        }
    }

    fn method(self) -> &'static str {
        match self {
            Self::JwtBearer => "private_key_jwt",
            Self::JwtSpiffe => "spiffe_jwt",
        }
    }
}

/// A certificate, and the client that it is claimed to belong to. RFC 8705 §2 requires `client_id`, so that the server need not search
/// for the client.
#[derive(Debug)]
pub struct CertificateAuthentication {
    /// `client_id` of the form.
    pub client_id: Box<str>,
    /// The certificate of the connection.
    pub certificate: PeerCertificate,
    /// The ID token by which the client authenticates if it is registered for that: then the certificate does not count.
    pub id_token: Option<Secret>,
}

/// An ID token that is the subject of an exchange, and the client that it is claimed to be issued to.
#[derive(Debug)]
pub struct IdTokenAuthentication {
    /// `client_id` of the form.
    pub client_id: Box<str>,
    /// `subject_token`.
    pub id_token: Secret,
}

/// Where id and secret stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    /// `Authorization: Basic`: `client_secret_basic`.
    Basic,
    /// `client_id` and `client_secret` in the form: `client_secret_post`.
    Body,
}

impl SecretPlace {
    /// The name of the method in RFC 7591 §2.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Body => "client_secret_post",
        }
    }
}

/// Id and secret, in one or two readings.
#[derive(Debug)]
pub struct SecretAuthentication {
    /// Where they stood.
    pub place: SecretPlace,
    /// RFC 6749 §2.3.1 has id and secret form-encoded before base64, but DuckDB, PyIceberg and Iceberg's Java client send
    /// them as they are. So a Basic header whose two readings differ has both, and how many there are depends on what
    /// was sent alone. At least one.
    pub readings: Vec<CredentialReading>,
}

/// One reading of what was sent.
#[derive(Debug)]
pub struct CredentialReading {
    /// The identifier; perhaps not one that could be registered.
    pub client_id: Box<str>,
    /// The secret, 1 to 1024 bytes.
    pub secret: Secret,
}

/// A Bearer that equals a token of the form byte for byte (conformance D3).
#[derive(Debug)]
pub struct BearerAuthentication {
    /// Which token it equals.
    pub is: Role,
    /// The token itself.
    pub token: Secret,
    /// `client_id` of the form, which must then be that of the token.
    pub client_id: Option<Box<str>>,
}

/// What a token of the form is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `subject_token`: on whose behalf.
    Subject,
    /// `actor_token`: the token of the actor.
    Actor,
}

impl Authentication {
    /// Reads the values of all `Authorization` header fields, the credentials of the form, and the certificate of the connection.
    ///
    /// # Errors
    /// A [`Refusal`]: no credentials, unreadable ones, or more than one way of authenticating (RFC 6749 §2.3: "The client MUST NOT use
    /// more than one authentication method in each request"). A certificate together with another way does not count, because connections
    /// may have one for their own reasons.
    pub fn read(
        authorization: &[&[u8]],
        certificate: Option<&PeerCertificate>,
        form: &Form<'_>,
    ) -> Result<Self, Refusal> {
        let header = match authorization {
            [] => Header::Absent,
            [one] => Header::read(one),
            _ => return Err(Refusal::SeveralAuthorizationHeaders),
        };
        let id = form.value(Parameter::ClientId);
        let secret = form.value(Parameter::ClientSecret);
        let assertion = form.value(Parameter::ClientAssertion);
        if assertion.is_some() != form.value(Parameter::ClientAssertionType).is_some() {
            let missing = match assertion {
                None => Parameter::ClientAssertion,
                Some(_) => Parameter::ClientAssertionType,
            };
            return Err(Refusal::IncompleteClientAssertion(missing));
        }
        match (header, secret, assertion) {
            (Header::Basic(_), Some(_), _) => {
                Err(Refusal::SeveralAuthenticationMethods(BASIC, Parameter::ClientSecret.name()))
            }
            (Header::Basic(_), None, Some(_)) => {
                Err(Refusal::SeveralAuthenticationMethods(BASIC, Parameter::ClientAssertion.name()))
            }
            (Header::Bearer(_) | Header::Other | Header::Absent, Some(_), Some(_)) => {
                let (secret, assertion) = (Parameter::ClientSecret.name(), Parameter::ClientAssertion.name());
                Err(Refusal::SeveralAuthenticationMethods(secret, assertion))
            }
            (_, None, Some(assertion)) => self::assertion(assertion, id, form),
            (Header::Basic(credentials), None, None) => basic(credentials, id),
            // Java and PyIceberg send a Bearer together with a secret in the body: the secret counts, the Bearer does not.
            (Header::Bearer(_) | Header::Other | Header::Absent, Some(secret), None) => body(id, secret),
            (Header::Bearer(token), None, None) => bearer(token, id, form)
                .or_else(|refusal| by_certificate(certificate, id, None).ok_or(refusal)),
            (Header::Other, None, None) => {
                by_certificate(certificate, id, None).ok_or(Refusal::UnknownScheme)
            }
            (Header::Absent, None, None) => {
                let id_token = id_token_alone(id, form);
                by_certificate(certificate, id, id_token.as_ref())
                    .or_else(|| id_token.map(Credential::IdToken).map(Self::Credential))
                    .ok_or(Refusal::NoCredentials)
            }
        }
    }
}

fn by_certificate(
    certificate: Option<&PeerCertificate>,
    id: Option<&str>,
    id_token: Option<&IdTokenAuthentication>,
) -> Option<Authentication> {
    let (client_id, certificate) = (id?.into(), certificate?.clone());
    let id_token = id_token.map(|presented| presented.id_token.clone());
    let presented = CertificateAuthentication { client_id, certificate, id_token };
    Some(Authentication::Credential(Credential::Certificate(presented)))
}

/// An exchange of an ID token without an actor, by a client that only names itself.
fn id_token_alone(id: Option<&str>, form: &Form<'_>) -> Option<IdTokenAuthentication> {
    let is = |parameter, value| form.value(parameter) == Some(value);
    let is_exchange = is(Parameter::GrantType, crate::GrantType::TokenExchange.as_parameter())
        && is(Parameter::SubjectTokenType, crate::TokenType::IdToken.as_urn())
        && form.value(Parameter::ActorToken).is_none();
    let id_token = form.value(Parameter::SubjectToken).filter(|_| is_exchange)?;
    Some(IdTokenAuthentication { client_id: id?.into(), id_token: Secret::new(id_token.to_owned()) })
}

fn assertion(assertion: &str, id: Option<&str>, form: &Form<'_>) -> Result<Authentication, Refusal> {
    let declared = form.value(Parameter::ClientAssertionType);
    let kind = AssertionKind::ALL.into_iter().find(|kind| Some(kind.as_parameter()) == declared);
    Ok(Authentication::Credential(Credential::Assertion(AssertionAuthentication {
        kind: kind.ok_or_else(|| {
            Refusal::UnsupportedClientAssertion(Excerpt::of_keyword(declared.unwrap_or_default()))
        })?,
        assertion: Secret::new(assertion.to_owned()),
        client_id: id.map(Into::into),
    })))
}

impl Credential {
    /// The same where a client has to use its own credential: a Bearer never replaces it (conformance TX-24).
    ///
    /// # Errors
    /// As [`Authentication::read`].
    pub fn read(
        authorization: &[&[u8]],
        certificate: Option<&PeerCertificate>,
        form: &Form<'_>,
    ) -> Result<Self, Refusal> {
        match Authentication::read(authorization, certificate, form) {
            // Its ID tokens authenticate a client for their exchange only.
            Ok(Authentication::Credential(Credential::IdToken(_))) => Err(Refusal::NoCredentials),
            Ok(Authentication::Credential(credential)) => Ok(credential),
            Ok(Authentication::Bearer(_))
            | Err(Refusal::MalformedBearer | Refusal::BearerIsNeitherSubjectNorActor) => {
                Err(Refusal::BearerOutsideOfExchange)
            }
            Err(refusal) => Err(refusal),
        }
    }
}

const BASIC: &str = "Authorization: Basic";

enum Header<'a> {
    Absent,
    Basic(&'a [u8]),
    Bearer(&'a [u8]),
    Other,
}

impl<'a> Header<'a> {
    // credentials = auth-scheme [ 1*SP ( token68 / … ) ]      RFC 9110 §11.4; the scheme in any case, §11.1
    fn read(value: &'a [u8]) -> Self {
        let end = value.iter().position(|b| *b == b' ').unwrap_or(value.len());
        let (scheme, rest) = value.split_at(end);
        let first = rest.iter().position(|b| *b != b' ').unwrap_or(rest.len());
        let rest = &rest[first..];
        if scheme.eq_ignore_ascii_case(b"basic") {
            Self::Basic(rest)
        } else if scheme.eq_ignore_ascii_case(b"bearer") {
            Self::Bearer(rest)
        } else {
            Self::Other
        }
    }
}

fn basic(credentials: &[u8], id_in_form: Option<&str>) -> Result<Authentication, Refusal> {
    let bytes = STANDARD.decode(credentials).map_err(|_| Refusal::MalformedBasic(BasicFault::Base64))?;
    let mut text = Zeroizing::new(String::from_utf8(bytes).map_err(|fault| {
        drop(Zeroizing::new(fault.into_bytes()));
        Refusal::MalformedBasic(BasicFault::Utf8)
    })?);
    let (id, secret) = text.split_once(':').ok_or(Refusal::MalformedBasic(BasicFault::NoColon))?;
    if id.is_empty() || secret.is_empty() {
        return Err(Refusal::MalformedBasic(BasicFault::Empty));
    }
    let mut readings = Vec::with_capacity(2);
    let decoded = decode_strictly(id).zip(decode_strictly(secret));
    if let Some((decoded_id, decoded_secret)) = decoded.filter(|(i, s)| (&**i, &**s) != (id, secret)) {
        let secret = Secret::new(decoded_secret.into_owned());
        readings.push(CredentialReading { client_id: decoded_id.into(), secret });
    }
    // The decoded text becomes the secret, so there is one copy of it.
    let client_id: Box<str> = id.into();
    text.drain(..=client_id.len());
    readings.push(CredentialReading { client_id, secret: Secret::new(std::mem::take(&mut *text)) });
    if let Some(expected) = id_in_form {
        let last = readings.last().filter(|_| readings.iter().all(|reading| *reading.client_id != *expected));
        if let Some(other) = last {
            return Err(Refusal::ClientIdsDiffer(ClientIdsDiffer::boxed(expected, &other.client_id, BASIC)));
        }
        readings.retain(|reading| *reading.client_id == *expected);
    }
    secrets(SecretPlace::Basic, readings)
}

fn body(id: Option<&str>, secret: &str) -> Result<Authentication, Refusal> {
    let id = id.ok_or(Refusal::SecretWithoutClientId)?;
    secrets(
        SecretPlace::Body,
        vec![CredentialReading { client_id: id.into(), secret: Secret::new(secret.to_owned()) }],
    )
}

fn secrets(place: SecretPlace, readings: Vec<CredentialReading>) -> Result<Authentication, Refusal> {
    if readings.iter().any(|reading| reading.secret.expose().len() > LONGEST_CLIENT_SECRET) {
        return Err(Refusal::SecretTooLong);
    }
    Ok(Authentication::Credential(Credential::Secret(SecretAuthentication { place, readings })))
}

// b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="      RFC 6750 §2.1
fn bearer(token: &[u8], client_id: Option<&str>, form: &Form<'_>) -> Result<Authentication, Refusal> {
    let text = match std::str::from_utf8(token) {
        Ok(text) if is_b64token(text) => text,
        Ok(_) | Err(_) => return Err(Refusal::MalformedBearer),
    };
    if form.value(Parameter::GrantType) != Some(crate::GrantType::TokenExchange.as_parameter()) {
        return Err(Refusal::BearerOutsideOfExchange);
    }
    let is = if form.value(Parameter::SubjectToken) == Some(text) {
        Role::Subject
    } else if form.value(Parameter::ActorToken) == Some(text) {
        Role::Actor
    } else {
        return Err(Refusal::BearerIsNeitherSubjectNorActor);
    };
    let token = Secret::new(text.to_owned());
    Ok(Authentication::Bearer(BearerAuthentication { is, token, client_id: client_id.map(Into::into) }))
}

fn is_b64token(text: &str) -> bool {
    let start = text.trim_end_matches('=');
    !start.is_empty() && start.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

impl Role {
    /// The parameter that carries the token.
    #[must_use]
    pub fn parameter(self) -> &'static str {
        match self {
            Self::Subject => Parameter::SubjectToken.name(),
            Self::Actor => Parameter::ActorToken.name(),
        }
    }
}
