//! What may never happen, whatever is asked in whatever order? Histories, and the laws that each answer is held to.

use crate::{Answer, Ask, ISSUER, World, client};
use std::collections::BTreeSet;
use tokenberg_core::{AccessTokenClaims, Answers, GrantType, Lifetime, Revocation, Timestamp};

/// The clients of a history, each with its secret.
pub const HISTORY_CLIENTS: [(&str, &str); 3] = [("c1", "s1-Z7"), ("c2", "s2-Q4"), ("c3", "s3")];
/// The scopes that are asked for in a history.
pub const HISTORY_SCOPES: [&str; 4] = ["", "catalog", "ns:read", "catalog ns:read ns:write"];

/// One event of a history. Indices are taken modulo what there is.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each is what it says")]
pub enum Event {
    Credentials { client: usize, scope: usize },
    Renew { token: usize, scope: usize },
    Exchange { client: usize, subject: usize, actor: Option<usize>, scope: usize },
    BearerExchange { subject: usize, actor: usize, scope: usize },
    Pass { seconds: u32 },
    Revoke { token: usize },
    Disable { client: usize, enabled: bool },
    Shorten { client: usize, seconds: u32 },
}

/// A token that was issued, and what its history entitles it to at most.
#[derive(Clone)]
struct Issued {
    text: String,
    claims: AccessTokenClaims,
    scope: BTreeSet<String>,
    audience: BTreeSet<String>,
    session_end: Timestamp,
}

/// A world, and all tokens that were issued in it.
pub struct History {
    world: World,
    issued: Vec<Issued>,
}

impl History {
    /// A world in which everybody may act for everybody.
    ///
    /// # Panics
    /// If no key can be made.
    #[must_use]
    pub fn new() -> Self {
        let mut world = World::new();
        world.register(client("c3", "s3", "catalog ns:read"));
        let everybody = format!("{ISSUER}|*");
        for (id, _) in HISTORY_CLIENTS {
            world.change(id, |c| {
                c.rights.may_act_for = vec![everybody.parse().unwrap()];
                if id == "c3" {
                    c.rights.may_impersonate = vec![format!("{ISSUER}|c2").parse().unwrap()];
                }
                c.rights.session_lifetime = Lifetime::from_hours(if id == "c2" { 2 } else { 4 });
                c.rights.audiences = vec!["https://cat.test".into(), format!("https://{id}.test").into()];
            });
        }
        Self { world, issued: Vec::new() }
    }

    fn token(&self, index: usize) -> Option<Issued> {
        (!self.issued.is_empty()).then(|| self.issued[index % self.issued.len()].clone())
    }

    /// Plays one event.
    ///
    /// # Panics
    /// If the answer breaks a law of delegation.
    pub fn play(&mut self, event: &Event) {
        match *event {
            Event::Credentials { client, scope } => {
                let (id, secret) = HISTORY_CLIENTS[client];
                let answer = self
                    .world
                    .check(Ask::credentials().basic(id, secret).with("scope", HISTORY_SCOPES[scope]));
                self.begun(&answer);
            }
            Event::Renew { token, scope } => {
                let Some(token) = self.token(token) else { return };
                let ask = Ask::exchange(&token.text).bearer(&token.text).with("scope", HISTORY_SCOPES[scope]);
                let answer = self.world.check(ask);
                self.exchanged(&answer, &token, None, false);
            }
            Event::Exchange { client, subject, actor, scope } => {
                let Some(subject) = self.token(subject) else { return };
                let actor = actor.and_then(|actor| self.token(actor));
                let (id, secret) = HISTORY_CLIENTS[client];
                let mut ask =
                    Ask::exchange(&subject.text).basic(id, secret).with("scope", HISTORY_SCOPES[scope]);
                if let Some(actor) = &actor {
                    ask = ask.actor(&actor.text);
                }
                let answer = self.world.check(ask);
                self.exchanged(&answer, &subject, actor.as_ref(), true);
            }
            Event::BearerExchange { subject, actor, scope } => {
                let (Some(subject), Some(actor)) = (self.token(subject), self.token(actor)) else { return };
                let ask = Ask::exchange(&subject.text).actor(&actor.text).bearer(&actor.text);
                let answer = self.world.check(ask.with("scope", HISTORY_SCOPES[scope]));
                self.exchanged(&answer, &subject, Some(&actor), false);
            }
            Event::Pass { seconds } => self.world.pass(seconds),
            Event::Revoke { token } => {
                if let Some(token) = self.token(token) {
                    self.world.revoked.push(Revocation::Session(token.claims.session.id));
                }
            }
            Event::Disable { client, enabled } => {
                self.world.change(HISTORY_CLIENTS[client].0, |c| c.enabled = enabled);
            }
            Event::Shorten { client, seconds } => self.world.change(HISTORY_CLIENTS[client].0, |c| {
                c.rights.session_lifetime = Lifetime::from_seconds(seconds);
            }),
        }
    }

    fn begun(&mut self, answer: &Answer) {
        let Answer::Ok(granted) = answer else { return };
        let claims = granted.claims.clone();
        let (scope, audience) = (scope_of(&claims), audience_of(&claims));
        let session_end = claims.session.end;
        self.issued.push(Issued { text: answer.token(), claims, scope, audience, session_end });
    }

    fn exchanged(
        &mut self,
        answer: &Answer,
        subject: &Issued,
        actor: Option<&Issued>,
        with_credential: bool,
    ) {
        let Answer::Ok(granted) = answer else { return };
        let claims = granted.claims.clone();
        let now = self.world.now;
        assert_eq!(granted.decision.grant, GrantType::TokenExchange);

        assert!(scope_of(&claims).is_subset(&subject.scope), "scope widened");
        assert!(audience_of(&claims).is_subset(&subject.audience), "audience widened");
        if let Some(actor) = actor {
            assert!(scope_of(&claims).is_subset(&actor.scope), "more than the actor");
            assert!(audience_of(&claims).is_subset(&actor.audience), "elsewhere than the actor");
            assert!(actor.claims.is_clients_own(), "an actor who is acted for, or impersonated");
            assert_eq!(actor.claims.client_id, claims.client_id, "an actor who did not ask");
        }
        assert_eq!(claims.subject, subject.claims.subject, "another subject");

        let before = chain(&subject.claims);
        let after = chain(&claims);
        assert!(after.ends_with(&before), "an actor was dropped: {before:?} became {after:?}");
        assert!(after.len() <= before.len() + 1 && after.len() <= 5, "{after:?}");
        if after.len() > before.len() {
            assert_eq!(after[0], claims.client_id.as_str(), "an actor was forged");
        }
        let impersonates = claims.client_id.as_str() == "c3" && claims.subject.as_str() == "c2";
        if claims.subject.as_str() != claims.client_id.as_str() && !impersonates {
            assert_eq!(
                after.first().map(String::as_str),
                Some(claims.client_id.as_str()),
                "acted without being named"
            );
        }

        let is_new_session = claims.session.start == now && claims.session.id == claims.token_id;
        let mut session_end = subject.session_end;
        if is_new_session && claims.session.id != subject.claims.session.id {
            assert!(
                with_credential && subject.claims.is_clients_own(),
                "a session began without a credential"
            );
            assert_eq!(subject.claims.client_id, claims.client_id);
            session_end = claims.session.end;
        } else {
            assert_eq!(claims.session.id, subject.claims.session.id, "left its family");
            assert_eq!(claims.session.start, subject.claims.session.start, "started later");
        }
        assert!(
            claims.expires_at <= session_end && claims.session.end <= session_end,
            "outlived its session"
        );
        assert!(claims.expires_at > now);
        if now >= subject.claims.expires_at {
            assert!(with_credential && subject.claims.is_clients_own(), "an expired token was renewed");
        }
        let is_revoked = |r: &Revocation| *r == Revocation::Session(subject.claims.session.id.clone());
        assert!(!self.world.revoked.iter().any(is_revoked), "a revoked token was exchanged");
        assert!(!self.is_disabled(&claims), "a disabled client took part");

        let (scope, audience) = (scope_of(&claims), audience_of(&claims));
        self.issued.push(Issued { text: answer.token(), claims, scope, audience, session_end });
    }

    fn is_disabled(&self, claims: &AccessTokenClaims) -> bool {
        [claims.client_id.as_str(), claims.subject.as_str()]
            .iter()
            .any(|id| id.parse().ok().and_then(|id| self.world.client(&id)).is_none_or(|c| !c.enabled))
    }
}

fn scope_of(claims: &AccessTokenClaims) -> BTreeSet<String> {
    claims.scope.tokens().map(str::to_owned).collect()
}

fn audience_of(claims: &AccessTokenClaims) -> BTreeSet<String> {
    claims.audience.iter().map(ToString::to_string).collect()
}

fn chain(claims: &AccessTokenClaims) -> Vec<String> {
    claims.actor.iter().flat_map(|a| a.chain()).map(|a| a.subject.to_string()).collect()
}

impl Default for History {
    fn default() -> Self {
        Self::new()
    }
}

impl Event {
    /// Reads events off a script of bytes, for a fuzzer: every script is some history.
    #[must_use]
    pub fn script(bytes: &[u8]) -> Vec<Self> {
        bytes
            .chunks_exact(5)
            .map(|chunk| Self::from_chunk([chunk[0], chunk[1], chunk[2], chunk[3], chunk[4]]))
            .collect()
    }

    fn from_chunk([kind, a, b, c, d]: [u8; 5]) -> Self {
        let client = usize::from(a) % HISTORY_CLIENTS.len();
        let scope = usize::from(d) % HISTORY_SCOPES.len();
        let (b_index, c_index) = (usize::from(b), usize::from(c));
        match kind % 9 {
            0 => Self::Credentials { client, scope },
            1 | 2 => Self::Renew { token: b_index, scope },
            3 => Self::Exchange { client, subject: b_index, actor: None, scope },
            4 => Self::Exchange { client, subject: b_index, actor: Some(c_index), scope },
            5 => Self::BearerExchange { subject: b_index, actor: c_index, scope },
            6 => Self::Pass { seconds: u32::from(b) * 64 + u32::from(c) },
            7 if d % 4 == 0 => Self::Revoke { token: b_index },
            7 => Self::Disable { client, enabled: d % 2 == 0 },
            _ => Self::Shorten { client, seconds: 1 + u32::from(b) * 256 + u32::from(c) },
        }
    }
}
