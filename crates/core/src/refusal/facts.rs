//! The facts that decided about a token: its contents, and what would have been accepted.

use crate::{ClientId, Excerpt, Issuer, TokenType};
use std::fmt::{Display, Formatter, Result};

/// Which issuer a token has to be of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerRule {
    /// This one, ours.
    Ours(Issuer),
    /// One that is trusted.
    Trusted,
    /// The trust domain of `sub` has to be trusted (SPIFFE).
    TrustDomain,
    /// One that is trusted although it is plain `http`.
    InsecureHttp,
}

impl IssuerRule {
    pub(super) fn of(&self, iss: &Excerpt) -> String {
        match self {
            Self::Ours(ours) => format!("its iss is {iss}; it has to be \"{ours}\""),
            Self::Trusted => format!("its iss is {iss}, which is not a trusted issuer"),
            Self::TrustDomain => {
                format!("the trust domain of its sub is {iss}, which is not a trusted issuer")
            }
            Self::InsecureHttp => {
                format!("its iss is {iss}, which is plain http and registered without --insecure-http")
            }
        }
    }
}

/// [`OfAnotherKind::what`] of an ID token.
pub(crate) const ID_TOKEN: &str = "an ID token";

/// [`OfAnotherKind::what`] of an access token.
pub(crate) const ACCESS_TOKEN: &str = "an access token";

/// A token of another kind than what it was presented as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfAnotherKind {
    /// What says so.
    pub by: Cue,
    /// What it is, with its article.
    pub what: &'static str,
    /// What it was presented as, with its article.
    pub presented_as: &'static str,
}

impl OfAnotherKind {
    /// As which type it could be declared, if it is of one.
    #[must_use]
    pub fn token_type(&self) -> Option<TokenType> {
        match self.what {
            ID_TOKEN => Some(TokenType::IdToken),
            ACCESS_TOKEN => Some(TokenType::AccessToken),
            _ => None,
        }
    }
}

/// The part of a token that states its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cue {
    /// The header member `typ`.
    Header(Excerpt),
    /// A claim with this value.
    Value(&'static str, Excerpt),
    /// That there are these claims, whatever they are.
    Claims(&'static [&'static str]),
    /// That `sub` and `iss` are the same.
    SelfIssued(Excerpt),
}

impl Cue {
    /// The header member or claim that states it, or the first of them.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Header(_) => "typ",
            Self::Value(claim, _) => claim,
            Self::Claims(claims) => claims.first().copied().unwrap_or_default(),
            Self::SelfIssued(_) => "sub",
        }
    }
}

impl Display for OfAnotherKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.by {
            Cue::Header(typ) => write!(f, "its header member typ is {typ}")?,
            Cue::Value(claim, value) => write!(f, "its claim {claim} is {value}")?,
            Cue::Claims([claim]) => write!(f, "it has the claim {claim}")?,
            Cue::Claims(claims) => write!(f, "it has the claims {}", claims.join(" and "))?,
            Cue::SelfIssued(name) => write!(f, "its iss and its sub are both {name}")?,
        }
        write!(f, ", so it is {}, but it was presented as {}", self.what, self.presented_as)
    }
}

/// The rule that limits the age and the lifetime of a foreign token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgeLimit {
    /// `--max-age` of its issuer.
    Issuer,
    /// `--assertion-lifetime` of the client.
    Client,
    /// What every assertion of the jwt-bearer grant has at most (conformance GB-06).
    Grant,
    /// What every unsecured JWT has at most (conformance TX-67).
    Unsecured,
}

impl Display for AgeLimit {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Issuer => "by --max-age of its issuer",
            Self::Client => "by --assertion-lifetime of the client",
            Self::Grant => "for every assertion of the jwt-bearer grant",
            Self::Unsecured => "for every unsecured JWT",
        })
    }
}

/// An `aud` that does not name the expected audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudienceFault {
    /// `aud`.
    pub aud: Excerpt,
    /// What is accepted, and for which rule.
    pub rule: AudienceRule,
}

/// What is accepted as `aud`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudienceRule {
    /// Of a token of a trusted issuer one of these: ours, those that are registered for the issuer, and of an ID token the client.
    OfIssuer {
        /// The issuer.
        issuer: Issuer,
        /// What is accepted.
        accepted: Excerpt,
    },
    /// Of a token of ours one of those that its client may have or serves now.
    OfClient {
        /// The client to which it was issued.
        client: ClientId,
        /// What it may have.
        accepted: Excerpt,
    },
    /// At a resource server one of these.
    OfResource {
        /// What is accepted.
        accepted: Excerpt,
    },
    /// Of an assertion of a client exactly this.
    OfAssertion {
        /// What is accepted.
        accepted: Excerpt,
    },
    /// Of an identity that stands for a client exactly this.
    OfFederation {
        /// The client.
        client: ClientId,
        /// What is accepted.
        accepted: Excerpt,
    },
}

impl Display for AudienceFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "its aud is {}; ", self.aud)?;
        match &self.rule {
            AudienceRule::OfIssuer { issuer, accepted } => {
                write!(f, "a token of {issuer} has to be for one of {accepted}")
            }
            AudienceRule::OfClient { client, accepted } => {
                write!(f, "the client {client}, to which it was issued, may have tokens for {accepted}")
            }
            AudienceRule::OfResource { accepted } => write!(f, "here it has to be for one of {accepted}"),
            AudienceRule::OfAssertion { accepted } => {
                write!(f, "the assertion of a client has to be for {accepted} and nothing else")
            }
            AudienceRule::OfFederation { client, accepted } => write!(
                f,
                "an identity that stands for the client {client} has to be for {accepted} and nothing else"
            ),
        }
    }
}

/// An `azp` that is neither the requesting client nor an audience of its issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizedParty {
    /// `azp`.
    pub azp: Excerpt,
    /// The client that made the request.
    pub client: ClientId,
    /// The issuer.
    pub issuer: Issuer,
    /// The audiences that are registered for the issuer.
    pub registered: Excerpt,
}

impl Display for AuthorizedParty {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { azp, client, issuer, registered } = self;
        write!(
            f,
            "its azp is {azp}; it has to be the client \"{client}\" or an --audience of {issuer}, {registered}"
        )
    }
}
