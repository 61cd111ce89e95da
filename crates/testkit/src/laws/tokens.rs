//! The origin of each token, and what ends it: laws 8 and 10.

use super::parties::{Bound, MayAct, Principal, Realm};
use super::register::{Change, Registration};
use super::{LEEWAY, Model};
use std::collections::{BTreeMap, BTreeSet};
use tokenberg_core::{AccessTokenClaims, CompactJws};

/// An issued token and its origin.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token.
    pub text: String,
    /// The name of the key that signed it.
    pub key: String,
    /// The subject.
    pub principal: Principal,
    /// `sub`.
    pub sub: String,
    /// The client that it was issued to.
    pub client: &'static str,
    /// The actors, the present one first.
    pub chain: Vec<Principal>,
    /// The session.
    pub session: String,
    /// The first token that the client obtained of the session, if another client passed it on.
    pub branch: Option<String>,
    /// When the session began.
    pub start: i64,
    /// When it ends.
    pub end: i64,
    /// When the client obtained its first token of the session.
    pub joined: i64,
    /// Its scope.
    pub scope: BTreeSet<String>,
    /// Its audiences.
    pub audience: BTreeSet<String>,
    /// `iat`.
    pub issued: i64,
    /// `exp`.
    pub expires: i64,
    /// Its binding.
    pub bound: Bound,
    /// The only party that may become the actor.
    pub may_act: Option<MayAct>,
    /// The audience as whose resource server the client obtained it.
    pub served: Option<&'static str>,
    /// The tokens that it was obtained with.
    pub with: BTreeSet<Origin>,
    /// The actor of the last renewal with one.
    pub renewed_with: BTreeSet<Origin>,
    /// What a hook added.
    pub extra: BTreeMap<String, usize>,
}

/// The claims that the result of a request has to have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are those of `Token`")]
pub struct Expected {
    pub principal: Principal,
    pub sub: String,
    pub client: &'static str,
    pub chain: Vec<Principal>,
    /// `None` for a session that begins with this token.
    pub session: Option<String>,
    /// What the client has of the session already, if another client passed it on.
    pub branch: Option<String>,
    /// Whether another client passes the session on now.
    pub is_passed_on: bool,
    pub start: i64,
    pub end: i64,
    pub joined: i64,
    pub scope: BTreeSet<String>,
    pub audience: BTreeSet<String>,
    pub expires: i64,
    pub bound: Bound,
    pub may_act: Option<MayAct>,
    pub served: Option<&'static str>,
    pub with: BTreeSet<Origin>,
    pub renewed_with: BTreeSet<Origin>,
    pub extra: BTreeMap<String, usize>,
}

/// A token that another one was obtained with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A token of ours: its session or branch, its client, and when that client obtained its first token of the session.
    Session(String, &'static str, i64),
    /// A token of another issuer, and when it was presented.
    Foreign(Principal, i64),
    /// The foreign identity by which this client authenticated, and when.
    Identity(Principal, &'static str, i64),
}

impl Origin {
    /// The session or branch, if it is a token of ours.
    #[must_use]
    pub fn family(&self) -> Option<&str> {
        match self {
            Self::Session(family, _, _) => Some(family),
            Self::Foreign(..) | Self::Identity(..) => None,
        }
    }

    /// Whether both are the same identity of the same client, at whatever times.
    pub(super) fn is_same_identity(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Identity(one, by_one, _), Self::Identity(other, by_other, _)) => {
                (one, by_one) == (other, by_other)
            }
            _ => false,
        }
    }

    /// The party of the token, and since when it has taken part.
    #[must_use]
    pub fn party(&self) -> (Principal, i64) {
        match self {
            Self::Session(_, client, since) => (Principal::client(client), *since),
            Self::Foreign(principal, since) | Self::Identity(principal, _, since) => {
                (principal.clone(), *since)
            }
        }
    }
}

impl Token {
    /// Whether it is the token of a client for itself.
    #[must_use]
    pub fn is_clients_own(&self) -> bool {
        self.chain.is_empty() && self.principal == Principal::client(self.client)
    }

    /// The client's part of the session: all of it, or the branch that was passed on to it.
    #[must_use]
    pub fn family(&self) -> &str {
        self.branch.as_deref().unwrap_or(&self.session)
    }

    /// What a token obtained with this one was obtained with.
    #[must_use]
    pub fn origins(&self) -> BTreeSet<Origin> {
        let itself = Origin::Session(self.family().to_owned(), self.client, self.joined);
        self.with.iter().chain(&self.renewed_with).cloned().chain([itself]).collect()
    }
}

impl Model {
    /// Law 8: why the token has ended, whatever its times.
    #[must_use]
    pub fn ended(&self, token: &Token) -> Option<&'static str> {
        let register = &self.register;
        let client = Principal::client(token.client);
        if register.keys.contains(&token.key) {
            return Some("the key that signed it was revoked");
        }
        if register.sessions.contains(&token.session) || register.sessions.contains(token.family()) {
            return Some("8: its session was revoked");
        }
        let delegation = (token.family().to_owned(), token.client);
        if register.delegations.contains(&delegation) {
            return Some("8: the tokens of its client in the session were revoked");
        }
        if !register.stands(&client) || !register.subject_stands(&token.principal, &token.sub) {
            return Some("8: its client or its subject is disabled or removed");
        }
        if self.is_renamed(token) {
            return Some("CC-17: its issuer has another prefix now");
        }
        if self.is_name_of_another(&token.principal, &token.sub) {
            return Some("CC-17: it is the name of another principal now");
        }
        if !token.chain.iter().all(|actor| register.stands(actor)) {
            return Some("8: an actor is disabled or removed");
        }
        let is_before = |before: Option<i64>, since: i64| before.is_some_and(|before| since < before);
        if is_before(register.client_revoked_before(token.client), token.joined)
            || is_before(self.subject_revoked_before(token), token.start)
        {
            return Some("8: earlier tokens of its client or its subject were revoked");
        }
        let is_its = |audience: &&str| token.audience.contains(*audience);
        // To serve an audience is a right to tokens that were sent there.
        let may_have = |client: &Registration| {
            client.audiences.iter().any(is_its) || token.served.is_some() && client.serves.iter().any(is_its)
        };
        if !register.client(token.client).is_some_and(may_have) {
            return Some("2: its client may no longer request any of its audiences");
        }
        self.ended_by_origin(token)
    }

    /// The operator may know the subject by the name that catalogs see, too.
    fn subject_revoked_before(&self, token: &Token) -> Option<i64> {
        let as_seen = Principal { realm: token.principal.realm, name: token.sub.clone() };
        self.register.revoked_before(&token.principal).max(self.register.revoked_before(&as_seen))
    }

    fn ended_by_origin(&self, token: &Token) -> Option<&'static str> {
        let register = &self.register;
        let itself = [(Principal::client(token.client), token.joined)];
        for origin in token.with.iter().chain(&token.renewed_with) {
            if let Origin::Session(session, client, _) = origin
                && (register.sessions.contains(session)
                    || register.delegations.contains(&(session.clone(), *client)))
            {
                return Some("8: a token that it was obtained with was revoked");
            }
            if let Origin::Identity(identity, client, _) = origin {
                let Realm::Of(issuer) = identity.realm else { continue };
                if register.identity(client, issuer).as_ref() != Some(identity) {
                    return Some("8: an identity no longer stands for its client");
                }
            }
        }
        let parties = token.with.iter().chain(&token.renewed_with).map(Origin::party).chain(itself);
        for (party, since) in parties {
            if !register.stands(&party) {
                return Some("8: a party that it was obtained with is disabled or removed");
            }
            let of_client = match party.realm {
                Realm::Ours => register.client_revoked_before(&party.name),
                Realm::Of(_) | Realm::Unsecured => None,
            };
            if register.revoked_before(&party).max(of_client).is_some_and(|before| since < before) {
                return Some("8: earlier tokens of one of its parties were revoked");
            }
        }
        None
    }

    /// Why the token cannot be used now as an actor or a Bearer, nor at a catalog.
    #[must_use]
    pub fn unusable(&self, token: &Token, now: i64) -> Option<&'static str> {
        if now >= token.expires {
            return Some("it has expired");
        }
        if token.issued.max(token.start) > now + LEEWAY {
            return Some("it is not valid yet");
        }
        self.ended(token)
    }

    /// IN-10: whether introspection says that the token is active, to a client that may know, and a catalog accepts it.
    #[must_use]
    pub fn is_active(&self, token: &Token, now: i64) -> bool {
        self.unusable(token, now).is_none()
    }

    /// The last token that the client obtained for itself.
    #[must_use]
    pub fn latest_own(&self, client: &str) -> Option<usize> {
        self.tokens.iter().rposition(|token| token.client == client && token.is_clients_own())
    }
}

impl Model {
    /// Records a change; tokens issued from `before` on are not revoked by it.
    pub fn apply(&mut self, change: &Change, before: i64) {
        if let Change::RevokeToken { token } = change {
            self.register.sessions.insert(self.tokens[*token].session.clone());
        }
        if let Change::RevokeKey { token } = change {
            self.register.keys.insert(self.tokens[*token].key.clone());
        }
        self.register.apply(change, before);
    }

    /// Records that the client of the token revoked it (RFC 7009): with its own session, or with its part of the session.
    pub fn revoke_by_client(&mut self, index: usize) {
        let token = &self.tokens[index];
        if let Some(branch) = &token.branch {
            self.register.sessions.insert(branch.clone());
        } else if token.principal == Principal::client(token.client) {
            self.register.sessions.insert(token.session.clone());
        } else {
            self.register.delegations.insert((token.session.clone(), token.client));
        }
    }

    /// Records a token that was issued as expected.
    pub fn keep(&mut self, text: String, claims: &AccessTokenClaims, expected: Expected) {
        let framed = CompactJws::parse(&text).expect("it was issued");
        let key = framed.header().kid.as_ref().map_or("", |kid| kid.as_str()).to_owned();
        let session = claims.session.id.as_str().to_owned();
        let id = claims.token_id.as_str().to_owned();
        let branch = if expected.is_passed_on { Some(id) } else { expected.branch };
        self.tokens.push(Token {
            text,
            key,
            principal: expected.principal,
            sub: expected.sub,
            client: expected.client,
            chain: expected.chain,
            session,
            branch,
            start: expected.start,
            end: expected.end,
            joined: expected.joined,
            scope: expected.scope,
            audience: expected.audience,
            issued: claims.issued_at.as_seconds(),
            expires: expected.expires,
            bound: expected.bound,
            may_act: expected.may_act,
            served: expected.served,
            with: expected.with,
            renewed_with: expected.renewed_with,
            extra: expected.extra,
        });
    }
}
