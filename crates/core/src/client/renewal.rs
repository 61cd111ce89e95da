//! Decides when a new token is needed and with which request: Iceberg's three ways, in the order of its Java client.

use super::outgoing::ClientAuthentication;
use crate::request::{ClientCredentialsRequest, TokenExchangeRequest};
use crate::token::TypedToken;
use crate::{Lifetime, Scope, Secret, Target, Timestamp, TokenRequest, TokenResponse, TokenType};

/// A token that a client holds.
#[derive(Clone, Debug)]
pub struct Held {
    /// The token.
    pub token: TypedToken,
    /// When it was received.
    pub received_at: Timestamp,
    /// When it ends, if the server said so.
    pub expires_at: Option<Timestamp>,
}

impl Held {
    /// The token of a response that was received at `now`.
    ///
    /// A server that leaves out `issued_token_type` issued an access token.
    #[must_use]
    pub fn new(response: &TokenResponse, now: Timestamp) -> Self {
        Self {
            token: TypedToken {
                token: response.access_token.clone(),
                token_type: response.issued_token_type.unwrap_or(TokenType::AccessToken),
            },
            received_at: now,
            expires_at: response.expires_in.map(|lifetime| now.plus(lifetime)),
        }
    }

    /// When to request the next token: a tenth of the lifetime before expiry, at most five minutes, as Iceberg's Java client does.
    #[must_use]
    pub fn renew_at(&self) -> Option<Timestamp> {
        const EARLIEST: u32 = 300;
        let end = self.expires_at?;
        let lifetime = end.since(self.received_at).as_seconds();
        let early = (lifetime / 10).min(EARLIEST);
        Some(self.received_at.plus(Lifetime::from_seconds(lifetime - early)))
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }
}

/// The values with which a client renews its tokens.
#[derive(Clone, Debug, Default)]
pub struct Renewal {
    /// Its identifier and secret, if it has them.
    pub credential: Option<(Box<str>, Secret)>,
    /// The scope to request; empty to leave it to the server.
    pub scope: Scope,
    /// The targets to request.
    pub targets: Vec<Target>,
    /// Whether the server exchanges tokens; without, the first grant is used again.
    pub exchange: bool,
}

/// A request to be sent, and how to authenticate it.
#[derive(Clone, Debug)]
pub struct NextRequest {
    /// The request.
    pub request: TokenRequest,
    /// How the client authenticates.
    pub authentication: ClientAuthentication,
}

impl Renewal {
    /// The request that gets the next token at `now`: exchange with the token itself as Bearer while it lives, exchange
    /// with the credential when it has expired, the first grant again where there is no exchange or no token.
    ///
    /// `None` if there is neither a live token nor a credential to authenticate with.
    #[must_use]
    pub fn next(&self, held: Option<&Held>, now: Timestamp) -> Option<NextRequest> {
        let basic = self
            .credential
            .clone()
            .map(|(client_id, client_secret)| ClientAuthentication::Basic { client_id, client_secret });
        match held.filter(|_| self.exchange) {
            Some(held) if !held.is_expired(now) => Some(NextRequest {
                request: self.exchange_of(held),
                authentication: ClientAuthentication::Bearer(held.token.token.clone()),
            }),
            Some(held) => Some(NextRequest { request: self.exchange_of(held), authentication: basic? }),
            None => self.first(),
        }
    }

    /// Client credentials, authenticated in the body as every server of this API expects.
    #[must_use]
    pub fn first(&self) -> Option<NextRequest> {
        let (client_id, client_secret) = self.credential.clone()?;
        Some(NextRequest {
            request: TokenRequest::ClientCredentials(ClientCredentialsRequest {
                scope: self.scope.clone(),
                targets: self.targets.clone(),
            }),
            authentication: ClientAuthentication::Body { client_id: Some(client_id), client_secret },
        })
    }

    fn exchange_of(&self, held: &Held) -> TokenRequest {
        TokenRequest::TokenExchange(TokenExchangeRequest {
            subject: held.token.clone(),
            actor: None,
            scope: self.scope.clone(),
            targets: self.targets.clone(),
            requested_token_type: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GrantType;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds).unwrap()
    }

    fn held(expires_in: Option<u32>) -> Held {
        let token = TypedToken { token: Secret::new("t".to_owned()), token_type: TokenType::AccessToken };
        let expires_at = expires_in.map(|s| at(1000).plus(Lifetime::from_seconds(s)));
        Held { token, received_at: at(1000), expires_at }
    }

    #[test]
    fn renewal_is_a_tenth_before_the_end_and_five_minutes_at_most() {
        for (lifetime, renew_at) in [(3600, 4300), (600, 1540), (7200, 7900), (5, 1005), (0, 1000)] {
            assert_eq!(held(Some(lifetime)).renew_at(), Some(at(renew_at)));
        }
        assert_eq!(held(None).renew_at(), None);
    }

    #[test]
    fn ic_10_bearer_while_it_lives_basic_when_it_expired_and_else_the_first_grant() {
        let credential = Some(("c1".into(), Secret::new("s".to_owned())));
        let full = Renewal { credential, exchange: true, ..Renewal::default() };
        let without_exchange = Renewal { exchange: false, ..full.clone() };
        let without_credential = Renewal { credential: None, ..full.clone() };
        let held = held(Some(100));
        let kind = |next: Option<NextRequest>| {
            next.map(|n| {
                let how = match n.authentication {
                    ClientAuthentication::Basic { .. } => "basic",
                    ClientAuthentication::Body { .. } => "body",
                    ClientAuthentication::Bearer(_) => "bearer",
                    ClientAuthentication::Assertion { .. } => "assertion",
                    ClientAuthentication::Id { .. } => "id",
                    ClientAuthentication::None => "none",
                };
                (n.request.grant_type(), how)
            })
        };
        use GrantType::{ClientCredentials, TokenExchange};
        for (renewal, held, now, expected) in [
            (&full, Some(&held), 1099, Some((TokenExchange, "bearer"))),
            (&full, Some(&held), 1100, Some((TokenExchange, "basic"))),
            (&full, None, 1100, Some((ClientCredentials, "body"))),
            (&without_exchange, Some(&held), 1099, Some((ClientCredentials, "body"))),
            (&without_credential, Some(&held), 1099, Some((TokenExchange, "bearer"))),
            (&without_credential, Some(&held), 1100, None),
            (&without_credential, None, 1000, None),
        ] {
            assert_eq!(kind(renewal.next(held, at(now))), expected);
        }
    }
}
