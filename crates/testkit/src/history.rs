//! What may never happen, whatever is asked in whatever order? Histories, and the laws that each answer is held to.

use crate::foreign::{ForeignKey, trusted};
use crate::laws::{self, Before};
use crate::{Answer, Ask, ISSUER, World, client};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use std::collections::BTreeSet;
use tokenberg_core::{AccessTokenClaims, Lifetime, Revocation, SubjectStanding, Timestamp, TokenType};

/// The clients of a history, each with its secret.
pub const HISTORY_CLIENTS: [(&str, &str); 3] = [("c1", "s1-Z7"), ("c2", "s2-Q4"), ("c3", "s3")];
/// The scopes that are asked for in a history.
pub const HISTORY_SCOPES: [&str; 4] = ["", "catalog", "ns:read", "catalog ns:read ns:write"];

/// The users of a history: of an issuer that is trusted, or asserted by a client. One of them is called like a client.
pub const HISTORY_USERS: [&str; 3] = ["alice", "bob", "c1"];
const IDP: &str = "https://idp.test";

/// One event of a history. Indices are taken modulo what there is.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each is what it says")]
pub enum Event {
    Credentials {
        client: usize,
        scope: usize,
    },
    Renew {
        token: usize,
        scope: usize,
    },
    Exchange {
        client: usize,
        subject: usize,
        actor: Option<usize>,
        scope: usize,
    },
    BearerExchange {
        subject: usize,
        actor: usize,
        scope: usize,
    },
    Pass {
        seconds: u32,
    },
    Revoke {
        token: usize,
    },
    Disable {
        client: usize,
        enabled: bool,
    },
    Shorten {
        client: usize,
        seconds: u32,
    },
    /// A user comes with a token of his issuer, for so long.
    Foreign {
        client: usize,
        user: usize,
        actor: Option<usize>,
        scope: usize,
        seconds: u32,
    },
    /// A client names a user without a proof.
    Assert {
        user: usize,
        actor: usize,
        scope: usize,
    },
    /// From now on, requests prove that they hold this key, or none.
    Hold {
        key: Option<usize>,
    },
    /// The operator shuts a user out, or lets him in again.
    ShutOut {
        user: usize,
        asserted: bool,
        disabled: bool,
    },
    /// The operator disables the issuer, or enables it again.
    Trust {
        enabled: bool,
    },
}

/// A token that was issued, and what its history entitles it to at most.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) text: String,
    pub(crate) claims: AccessTokenClaims,
    pub(crate) scope: BTreeSet<String>,
    pub(crate) audience: BTreeSet<String>,
    pub(crate) session_end: Timestamp,
}

/// A world, and all tokens that were issued in it.
pub struct History {
    world: World,
    issued: Vec<Issued>,
    issuer: ForeignKey,
    keys: [ForeignKey; 2],
    held: Option<usize>,
    proofs: u32,
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
        let everybody = ["*|*".parse().unwrap(), format!("{ISSUER}|*").parse().unwrap()];
        let issuer = ForeignKey::new(Some("p1"));
        world.issuers = vec![trusted(IDP, &issuer)];
        world.issuers[0].trust.audiences = vec!["everybody".into()];
        for (id, _) in HISTORY_CLIENTS {
            world.change(id, |c| {
                c.rights_mut().may_act_for = everybody.to_vec();
                if id == "c2" {
                    c.rights_mut().may_assert_users = vec!["*".parse().unwrap()];
                }
                if id == "c3" {
                    c.rights_mut().may_impersonate = vec![format!("{ISSUER}|c2").parse().unwrap()];
                }
                c.rights_mut().session_lifetime = Lifetime::from_hours(if id == "c2" { 2 } else { 4 });
                c.rights_mut().audiences =
                    vec!["https://cat.test".into(), format!("https://{id}.test").into()];
            });
        }
        let keys = [ForeignKey::new(None), ForeignKey::new(None)];
        Self { world, issued: Vec::new(), issuer, keys, held: None, proofs: 0 }
    }

    /// Asks, with a proof of the key that is held now.
    fn ask(&mut self, ask: Ask) -> Answer {
        let Some(key) = self.held else { return self.world.check(ask) };
        self.proofs += 1;
        let proof = self.keys[key].proof(self.world.now, &self.proofs.to_string(), &json!({}));
        self.world.check(ask.dpop(&proof))
    }

    fn before(&self) -> Before<'_> {
        Before { world: &self.world, held: self.held.map(|key| self.keys[key].thumbprint()), issuer: IDP }
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
                let mut ask = Ask::credentials().basic(id, secret).with("scope", HISTORY_SCOPES[scope]);
                if scope % 2 == 1 {
                    ask = ask
                        .with("audience", "https://cat.test")
                        .with("audience", &format!("https://{id}.test"));
                }
                let answer = self.ask(ask);
                laws::begun(&self.before(), &answer);
                self.keep(&answer, None);
            }
            Event::Renew { token, scope } => {
                let Some(token) = self.token(token) else { return };
                let ask = Ask::exchange(&token.text).bearer(&token.text).with("scope", HISTORY_SCOPES[scope]);
                let answer = self.ask(ask);
                let end = laws::exchanged(&self.before(), &answer, &token, None, false);
                self.keep(&answer, end);
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
                let answer = self.ask(ask);
                let end = laws::exchanged(&self.before(), &answer, &subject, actor.as_ref(), true);
                self.keep(&answer, end);
            }
            Event::BearerExchange { subject, actor, scope } => {
                let (Some(subject), Some(actor)) = (self.token(subject), self.token(actor)) else { return };
                let ask = Ask::exchange(&subject.text).actor(&actor.text).bearer(&actor.text);
                let answer = self.ask(ask.with("scope", HISTORY_SCOPES[scope]));
                let end = laws::exchanged(&self.before(), &answer, &subject, Some(&actor), false);
                self.keep(&answer, end);
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
                c.rights_mut().session_lifetime = Lifetime::from_seconds(seconds);
            }),
            Event::Foreign { client, user, actor, scope, seconds } => {
                let actor = actor.and_then(|actor| self.token(actor));
                let end = self.world.now.plus(Lifetime::from_seconds(seconds));
                let token = self.issuer.sign(&json!({"iss": IDP, "sub": HISTORY_USERS[user], "aud": "everybody",
                    "iat": self.world.now.as_seconds(), "exp": end.as_seconds(), "scope": "ns:write", "act": {"sub": "x"}}));
                let (id, secret) = HISTORY_CLIENTS[client];
                let mut ask = Ask::exchange_of(&token, TokenType::IdToken).basic(id, secret);
                if let Some(actor) = &actor {
                    ask = ask.actor(&actor.text);
                }
                let answer = self.ask(ask.with("scope", HISTORY_SCOPES[scope]));
                laws::foreign(&self.before(), &answer, HISTORY_USERS[user], actor.as_ref(), end);
                self.keep(&answer, None);
            }
            Event::Assert { user, actor, scope } => {
                let Some(actor) = self.token(actor) else { return };
                let payload = json!({"sub": HISTORY_USERS[user], "iat": self.world.now.as_seconds(), "scope": "ns:write"});
                let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
                let token = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&payload.to_string()));
                let ask = Ask::exchange_of(&token, TokenType::Jwt).actor(&actor.text).bearer(&actor.text);
                let answer = self.ask(ask.with("scope", HISTORY_SCOPES[scope]));
                laws::asserted(&self.before(), &answer, HISTORY_USERS[user], &actor);
                self.keep(&answer, None);
            }
            Event::Hold { key } => self.held = key.map(|key| key % self.keys.len()),
            Event::ShutOut { user, asserted, disabled } => {
                let issuer = (!asserted).then(|| IDP.parse().unwrap());
                let standing = SubjectStanding { disabled, ..SubjectStanding::default() };
                self.world.subjects.retain(|known| known.0 != issuer || known.1 != HISTORY_USERS[user]);
                self.world.subjects.push((issuer, HISTORY_USERS[user].to_owned(), standing));
            }
            Event::Trust { enabled } => self.world.issuers[0].enabled = enabled,
        }
    }

    /// Keeps what was granted, with what it entitles to at most.
    fn keep(&mut self, answer: &Answer, session_end: Option<Timestamp>) {
        let Answer::Ok(granted) = answer else { return };
        let claims = granted.claims.clone();
        let (scope, audience) = (laws::scope_of(&claims), laws::audience_of(&claims));
        let session_end = session_end.unwrap_or(claims.session.end);
        self.issued.push(Issued { text: answer.token(), claims, scope, audience, session_end });
    }
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
        let (user, any) = (usize::from(a) % HISTORY_USERS.len(), d & 4 == 0);
        match kind % 14 {
            0 => Self::Credentials { client, scope },
            1 | 2 => Self::Renew { token: b_index, scope },
            3 => Self::Exchange { client, subject: b_index, actor: None, scope },
            4 => Self::Exchange { client, subject: b_index, actor: Some(c_index), scope },
            5 => Self::BearerExchange { subject: b_index, actor: c_index, scope },
            6 => Self::Pass { seconds: u32::from(b) * 64 + u32::from(c) },
            7 if d % 4 == 0 => Self::Revoke { token: b_index },
            7 => Self::Disable { client, enabled: d % 2 == 0 },
            8 => Self::Foreign {
                client,
                user: b_index % 3,
                actor: None,
                scope,
                seconds: 60 * (1 + u32::from(c)),
            },
            9 => Self::Foreign {
                client,
                user: b_index % 3,
                actor: Some(c_index),
                scope,
                seconds: 60 * (1 + u32::from(d)),
            },
            10 => Self::Assert { user, actor: b_index, scope },
            11 => Self::Hold { key: any.then_some(b_index) },
            12 if d % 8 < 2 => Self::ShutOut { user, asserted: any, disabled: b % 2 == 0 },
            12 => Self::Trust { enabled: d % 8 != 2 },
            _ => Self::Shorten { client, seconds: 1 + u32::from(b) * 256 + u32::from(c) },
        }
    }
}
