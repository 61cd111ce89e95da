//! The facts that decided about a request, other than those about its tokens.

use super::Redacted;
use crate::registration::CertificateName;
use crate::text::ShortText;
use crate::{ClientId, Excerpt, GrantType, Scope, Subject, Timestamp};
use std::fmt::{Display, Formatter, Result};

/// Why an `Authorization: Basic` header cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BasicFault {
    /// Not base64 with padding (RFC 4648 §4).
    #[error("not base64")]
    Base64,
    /// The bytes are not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// RFC 7617 §2: id and password are separated by a colon.
    #[error("no colon between id and secret")]
    NoColon,
    /// The id or the secret is empty.
    #[error("an empty id or secret")]
    Empty,
}

/// A secret that expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredSecret {
    /// The client.
    pub client: ClientId,
    /// The name under which the operator sees the secret.
    pub secret: ShortText,
    /// When it expired.
    pub expired: Timestamp,
    /// The present.
    pub now: Timestamp,
    /// How many live secrets the client has.
    pub live: usize,
}

impl Display for ExpiredSecret {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { client, secret, expired, now, live } = self;
        let secrets = if *live == 1 { "secret" } else { "secrets" };
        write!(
            f,
            "the secret {secret} of the client {client} expired at {expired}; it is {now} now, and the client has {live} live {secrets}"
        )
    }
}

/// A `client_id` of the form that is not the client of the credentials. A secret may stand in the place of either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdsDiffer {
    /// `client_id` of the form.
    pub form: Redacted,
    /// The client of the credentials.
    pub other: Redacted,
    /// Where that one stands.
    pub place: &'static str,
}

impl ClientIdsDiffer {
    pub(crate) fn boxed(form: &str, other: &str, place: &'static str) -> Box<Self> {
        Box::new(Self { form: Redacted::of(form), other: Redacted::of(other), place })
    }
}

impl Display for ClientIdsDiffer {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { form, other, place } = self;
        write!(f, "client_id is {form}, and the client of {place} is {other}")
    }
}

/// A certificate that does not authenticate the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFault {
    /// The client.
    pub client: ClientId,
    /// The subject of the certificate (RFC 4514).
    pub subject: Excerpt,
    /// What is wrong with it.
    pub rule: CertificateRule,
}

/// Why a certificate does not authenticate the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateRule {
    /// It is not one of an authority of `--tls-client-ca` for client authentication, for this reason.
    Untrusted(Excerpt),
    /// It expired while the connection lasted.
    Expired {
        /// Its end.
        not_after: Timestamp,
        /// The present.
        now: Timestamp,
    },
    /// It does not have the name that the client is registered with.
    Name {
        /// What is registered.
        registered: Option<CertificateName>,
        /// The subject alternative names that it has.
        found: Vec<CertificateName>,
    },
}

impl Display for CertificateFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { client, subject, rule } = self;
        write!(f, "the certificate with the subject {subject} ")?;
        match rule {
            CertificateRule::Untrusted(fault) => write!(
                f,
                "does not authenticate the client {client}, because it is no valid certificate of an authority of --tls-client-ca for client \
                 authentication: {fault}"
            ),
            CertificateRule::Expired { not_after, now } => {
                write!(f, "of the client {client} expired at {not_after}; it is {now} now")
            }
            CertificateRule::Name { registered, found } => {
                let names: Vec<String> = found.iter().map(name).collect();
                let names = Excerpt::of_list(names.iter().map(String::as_str));
                match registered {
                    Some(registered) => write!(
                        f,
                        "is not that of the client {client}, which is registered with {}; its other names are {names}",
                        Excerpt::of_claim(&name(registered))
                    ),
                    None => write!(f, "is not that of the client {client}, which is registered with no name"),
                }
            }
        }
    }
}

/// A name with its field, as RFC 8705 §2.1.2 distinguishes them.
fn name(name: &CertificateName) -> String {
    match name {
        CertificateName::Subject(subject) => format!("subject={subject}"),
        CertificateName::Dns(dns) => format!("dns={dns}"),
        CertificateName::Uri(uri) => format!("uri={uri}"),
        CertificateName::Ip(ip) => format!("ip={ip}"),
        CertificateName::Email(email) => format!("email={email}"),
    }
}

/// What is wrong with the nonce of a DPoP proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceFault {
    /// It has none, and has to have one.
    Missing,
    /// The nonce is not one of ours, or is more than a few minutes old.
    NotOurs,
}

impl Display for NonceFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Missing => "the DPoP proof has no nonce, and --require-dpop-nonce is set",
            Self::NotOurs => "the nonce of the DPoP proof was not issued by this server, or has expired",
        })
    }
}

/// Why the subject of an actor token is no actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DelegatedActor {
    /// The token of another issuer has `act`: its subject has an actor.
    HasAct,
    /// The token of ours is about this subject, which the client acts for or impersonates.
    About(Subject),
}

impl Display for DelegatedActor {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::HasAct => f.write_str("it has the claim act, so its subject is not the actor"),
            Self::About(subject) => {
                write!(f, "its subject is {}, not the client", Excerpt::of_claim(subject.as_str()))
            }
        }
    }
}

/// What ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionLimit {
    /// The end of the session that the subject token belongs to.
    Subject,
    /// `--session-lifetime` of the client.
    Client,
    /// `--session-lifetime` of the subject, which is a client.
    Principal,
    /// The end of the actor's session or, of an actor of another issuer, of its token.
    Actor,
    /// The end of the subject token, which its issuer's users do not outlive.
    SubjectToken,
}

impl Display for SessionLimit {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Subject => "as set in the subject token",
            Self::Client => "by --session-lifetime of the client",
            Self::Principal => "by --session-lifetime of the subject, which is a client",
            Self::Actor => "with the session or the token of the actor",
            Self::SubjectToken => {
                "with the subject token, whose issuer is registered without --outlives-subject"
            }
        })
    }
}

/// The grants of a client between commas.
pub(super) struct Grants<'a>(pub(super) &'a [GrantType]);

impl Display for Grants<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let names: Vec<&str> = self.0.iter().map(|grant| grant.as_str()).collect();
        f.write_str(if names.is_empty() { "(none)" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

/// The requested scope-tokens that are not allowed; empty if none was requested and none is left.
pub(super) fn refused_scope(refused: &Scope) -> String {
    if refused.is_empty() {
        return "the parties have no scope in common".to_owned();
    }
    format!("the scope {} is not allowed", Excerpt::of_claim(refused.as_str()))
}

/// The requested target that is not allowed; `None` if none was requested and none is left.
pub(super) fn refused_target(refused: Option<&str>) -> String {
    match refused {
        Some(target) => format!("the target {} is not allowed", Excerpt::of_parameter(target)),
        None => "the parties have no audience in common".to_owned(),
    }
}

/// Names that are registered, so that they are listed as they are.
pub(super) fn listed(names: &[Box<str>]) -> Excerpt {
    Excerpt::of_list(names.iter().map(AsRef::as_ref))
}
