//! What do the tokens of a request claim to be? Named where a request comes to nothing; never the tokens themselves, conformance SE-01.

use std::borrow::Cow;
use std::sync::Arc;
use tokenberg_core::{CompactJws, Secret, SignedToken, TokenReading};

/// The tokens and assertions that were presented so far.
#[derive(Default)]
pub(crate) struct PresentedTokens(Vec<Presented>);

enum Presented {
    /// One of ours.
    Ours(Arc<SignedToken>),
    /// Anything else: what it claims to be.
    Claimed(String),
}

impl PresentedTokens {
    /// Notes what a token claims to be; whether it is good is not known yet.
    pub(crate) fn claims(&mut self, token: &CompactJws) {
        let claim = |name: &str| {
            let text = token.unverified_payload().get(name).and_then(|value| value.as_str());
            text.unwrap_or_default().chars().take(64).collect::<String>()
        };
        // Tokens of others and assertions have an issuer where ours have a client.
        let of = Some(claim("client_id")).filter(|id| !id.is_empty()).unwrap_or_else(|| claim("iss"));
        self.0.push(Presented::Claimed(format!("{} of {of}", claim("jti"))));
    }

    /// Notes a token that may be ours, with what was found out about it.
    pub(crate) fn read(&mut self, token: &Secret, reading: &TokenReading) {
        match reading {
            TokenReading::Ours(token) => self.0.push(Presented::Ours(Arc::clone(token))),
            // It is verified as another issuer's, or not at all.
            TokenReading::Foreign(_) => {}
            TokenReading::Bad(_) => {
                if let Ok(token) = CompactJws::parse(token.expose()) {
                    self.claims(&token);
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Of each, its identifier and whose it is.
    pub(crate) fn texts(&self) -> Vec<Cow<'_, str>> {
        self.0.iter().map(Presented::text).collect()
    }
}

impl Presented {
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Ours(token) => {
                let (id, client) = token.name();
                format!("{} of {}", id.as_str(), client.as_str()).into()
            }
            Self::Claimed(text) => text.as_str().into(),
        }
    }
}
