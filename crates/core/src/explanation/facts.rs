//! Facts about registrations, secrets and keys that a decision used, without any secret value.

use crate::registration::{AllowedScope, SubjectPattern, UserPattern};
use crate::text::ShortText;
use crate::{Client, ClientId, Rights, Timestamp};

/// A client as it is registered, without its secrets' digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Its identifier.
    pub id: ClientId,
    /// Whether it is enabled.
    pub enabled: bool,
    /// What it may do.
    pub rights: Rights,
}

impl Registration {
    pub(super) fn of(client: &Client) -> Self {
        Self { id: client.id.clone(), enabled: client.enabled, rights: (*client.rights).clone() }
    }

    /// The facts that matter to a decision, as the middle of a sentence.
    pub(super) fn description(&self) -> String {
        let rights = &self.rights;
        let grants: Vec<&str> = rights.grants.iter().map(|grant| grant.as_str()).collect();
        let scope = match &rights.scope {
            AllowedScope::Every => "every scope".to_owned(),
            AllowedScope::Only(scope) => format!("the scope {:?}", scope.as_str()),
        };
        let mut facts = vec![
            if self.enabled { "it is enabled".to_owned() } else { "it is DISABLED".to_owned() },
            format!("it authenticates by {}", rights.auth_method.as_str()),
            format!("it may use {}", listed(&grants)),
            format!("it may have {scope}, by default {:?}", rights.default_scope.as_str()),
        ];
        let texts = |texts: &[Box<str>]| listed(&texts.iter().map(|text| &**text).collect::<Vec<_>>());
        if !rights.audiences.is_empty() {
            facts.push(format!("it may request tokens for {}", texts(&rights.audiences)));
        }
        facts.push(format!(
            "its tokens live {}, its sessions {}",
            rights.token_lifetime, rights.session_lifetime
        ));
        let patterns = |patterns: &[SubjectPattern]| {
            listed(&patterns.iter().map(SubjectPattern::as_str).collect::<Vec<_>>())
        };
        for (what, which) in [
            ("it may act for", patterns(&rights.may_act_for)),
            ("it may impersonate", patterns(&rights.may_impersonate)),
            (
                "it may assert the users",
                listed(&rights.may_assert_users.iter().map(UserPattern::as_str).collect::<Vec<_>>()),
            ),
            ("it is the resource server of", texts(&rights.serves)),
            (
                "its federated identities are",
                listed(&rights.federations.iter().map(|known| &*known.subject).collect::<Vec<_>>()),
            ),
        ] {
            if which != NOTHING {
                facts.push(format!("{what} {which}"));
            }
        }
        if rights.dpop_bound {
            facts.push("it has to send a DPoP proof".to_owned());
        }
        facts.join("; ")
    }
}

/// How a client was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// By an identifier. What is registered nowhere may be a secret in the wrong place, so only its beginning is kept.
    Id(crate::refusal::Redacted),
    /// By a foreign identity that stands for it.
    Identity(crate::Issuer, Box<str>),
}

const NOTHING: &str = "nothing";

/// Texts between commas, or a word for none.
pub(super) fn listed(texts: &[&str]) -> String {
    if texts.is_empty() { NOTHING.to_owned() } else { texts.join(", ") }
}

/// A secret of the client, by the name under which the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFound {
    /// Its name.
    pub id: ShortText,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// Whether it is live.
    pub is_live: bool,
    /// Whether it is the one that was presented.
    pub is_presented: bool,
}

impl SecretFound {
    pub(super) fn description(&self, at: &dyn Fn(Timestamp) -> String) -> String {
        match (self.expires_at, self.is_live) {
            (None, _) => format!("secret {}, which never expires", self.id),
            (Some(end), true) => format!("secret {}, which is live until {}", self.id, at(end)),
            (Some(end), false) => format!("secret {}, which EXPIRED at {}", self.id, at(end)),
        }
    }
}

/// Whose keys a token was checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysFound {
    /// Our own.
    Ourselves,
    /// Those of an issuer.
    Issuer(crate::Issuer),
    /// Those that the client is registered with.
    Client(ClientId),
    /// A decoy: the token is refused whatever the result.
    Decoy,
}

impl std::fmt::Display for KeysFound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ourselves => f.write_str("our own keys"),
            Self::Issuer(issuer) => write!(f, "the keys of {issuer}"),
            Self::Client(id) => write!(f, "the keys of client {id}"),
            Self::Decoy => f.write_str("a decoy key, because the client or its issuer has no usable key"),
        }
    }
}
