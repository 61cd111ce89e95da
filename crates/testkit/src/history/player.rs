//! Plays events on a site, and compares each answer with the model.

use super::cast::{AUDIENCES, CLIENTS, ISSUERS, SCOPES, Tempo, USERS, WATCH, registration, terms};
use super::event::{Acting, Asker, End, Event};
use super::site::{Outcome, Site};
use crate::ForeignKey;
use crate::laws::{Asks, Bound, Change, Model, Presented, Request};
use std::collections::BTreeMap;

/// How many requests a player sent, and with which outcome.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Granted.
    pub granted: usize,
    /// Refused.
    pub refused: usize,
    /// Introspections and uses at a catalog.
    pub looks: usize,
    /// Changes by the operator.
    pub changes: usize,
}

/// Plays events on a site.
pub struct Player<S> {
    /// The site.
    pub site: S,
    /// The expected state.
    pub model: Model,
    /// The counted requests.
    pub tally: Tally,
    /// The reasons of required refusals, by which right the client could have obtained the token otherwise, and how often.
    pub(super) reasons: BTreeMap<(&'static str, &'static str), usize>,
    /// Other counted situations.
    pub(super) noted: BTreeMap<String, usize>,
    pub(super) tempo: Tempo,
    pub(super) keys: Keys,
    /// Distinguishes identifiers of this player from those of others.
    pub(super) name: String,
    pub(super) made: u32,
    pub(super) held: Bound,
    /// The number of played events, and after how many something is restored to its initial state.
    played: usize,
    heals_after: usize,
    /// The latest time at which the clock was set back.
    latest: i64,
}

/// The keys of all parties but the server.
pub struct Keys {
    /// Those of the issuers, in their order.
    pub issuers: [ForeignKey; 2],
    /// Those of DPoP proofs.
    pub proofs: [ForeignKey; 2],
    /// That of the client `signer`.
    pub signer: ForeignKey,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            issuers: [ForeignKey::new(Some("p1")), ForeignKey::new(Some("q1"))],
            proofs: [ForeignKey::new(None), ForeignKey::new(None)],
            signer: ForeignKey::new(Some("own")),
        }
    }
}

impl<S: Site> Player<S> {
    /// A player on this site, where nothing is registered yet; `name` distinguishes its single-use identifiers from others.
    ///
    /// After each `heals_after` events something that was changed is restored, so that a long history does not end with nothing
    /// that could be granted.
    pub fn new(site: S, keys: Keys, tempo: Tempo, name: &str, heals_after: usize) -> Self {
        let (model, tally) = (Model::default(), Tally::default());
        let mut player = Self {
            latest: 0,
            site,
            model,
            tally,
            reasons: BTreeMap::new(),
            noted: BTreeMap::new(),
            tempo,
            keys,
            name: name.to_owned(),
            made: 0,
            held: Bound::default(),
            played: 0,
            heals_after,
        };
        for issuer in ISSUERS {
            player.change(&Change::Issuer { issuer, terms: terms(issuer) });
        }
        for id in CLIENTS.into_iter().chain([WATCH]) {
            player.change(&Change::Client { id, registration: Box::new(registration(id, tempo)) });
        }
        player
    }

    /// Plays one event.
    ///
    /// # Panics
    /// If an answer is not what the laws say.
    pub fn play(&mut self, event: &Event) {
        self.played += 1;
        if self.played.is_multiple_of(self.heals_after)
            && let Some(change) = self.healing()
        {
            self.change(&change);
        }
        match *event {
            Event::Begin { client, scope, audience, fits } => {
                let audience = audience.map(|audience| AUDIENCES[audience]);
                let by = self.way(CLIENTS[client]);
                let request = self.request(by, Asks::Itself, SCOPES[scope], audience, fits);
                self.send(&request);
            }
            Event::Exchange { subject, by, actor, scope, audience, choice, fits } => {
                let requested = (SCOPES[scope], audience.map(|audience| AUDIENCES[audience]));
                let try_one =
                    |n| self.exchange(subject + n / CLIENTS.len(), turned(by, n), actor, requested, fits);
                if let Some(request) = self.choose(choice, try_one) {
                    self.send(&request);
                }
            }
            Event::PassOn { number, scope } => {
                if let Some(request) = self.passing_on(number, SCOPES[scope]) {
                    self.send(&request);
                }
            }
            Event::User { user, by, actor, scope, choice, fits, is_grant } => {
                if matches!(actor, Acting::Own) {
                    self.renew_own(Some(by));
                }
                let try_one = |n| {
                    let by = (by + n) % CLIENTS.len();
                    let foreign = self.foreign(user, CLIENTS[by]);
                    if is_grant {
                        let by = self.way(CLIENTS[by]);
                        return Some(self.request(by, Asks::Grant(foreign), SCOPES[scope], None, fits));
                    }
                    Some(self.begin_for(Presented::Foreign(foreign), by, actor, SCOPES[scope], fits))
                };
                if let Some(request) = self.choose(choice, try_one) {
                    self.send(&request);
                }
            }
            Event::Name { user, by, actor, scope, choice, fits } => {
                self.renew_own(None);
                let subject = Presented::Unsecured(USERS[user]);
                let try_one = |n| {
                    let by = (by + n) % CLIENTS.len();
                    Some(self.begin_for(subject.clone(), by, actor, SCOPES[scope], fits))
                };
                if let Some(request) = self.choose(choice, try_one) {
                    self.send(&request);
                }
            }
            Event::Pass { sixteenths } => {
                self.site.pass((i64::from(sixteenths) * self.tempo.token / 16).max(1));
            }
            Event::PassTo { token, end, after } => self.pass_to(token, end, after),
            Event::StepBack { seconds } => {
                let now = self.site.now();
                if self.site.step_back(seconds) {
                    self.latest = self.latest.max(now);
                    self.note("clock set back".to_owned());
                }
            }
            Event::Hold { key, certificate } => self.held = Bound { key, certificate },
            Event::Look { token, by } => {
                if let Some(index) = self.token(token) {
                    self.look(index);
                    self.look_by(index, CLIENTS[by]);
                }
            }
            Event::RevokeByClient { token, by } => {
                if let Some(index) = self.token_to_revoke(token) {
                    self.revoke_by_client(index, by.map(|by| CLIENTS[by]));
                }
            }
            Event::Restart { killed } => {
                self.site.restart(killed);
                self.look_at_some(0);
            }
            Event::Decide(decision) => {
                if let Some(change) = self.change_of(decision) {
                    self.change(&change);
                    self.tally.changes += 1;
                }
            }
        }
    }

    /// The number of a token, if there is one.
    pub(super) fn token(&self, index: usize) -> Option<usize> {
        let tokens = self.model.tokens.len();
        // The latest are the most likely to be valid.
        (tokens > 0).then(|| tokens - 1 - index % tokens)
    }

    fn pass_to(&mut self, token: usize, end: End, after: i64) {
        let Some(token) = self.token(token).map(|index| &self.model.tokens[index]) else { return };
        let end = match end {
            End::Token => token.expires,
            End::Session => token.end,
            End::Grace => token.expires + 24 * 3600,
        };
        let seconds = end + after - self.site.now();
        if seconds > 0 {
            self.site.pass(seconds);
        }
    }

    /// Sends a request, and compares the answer with the laws.
    pub(super) fn send(&mut self, request: &Request) {
        let ask = self.ask_of(request);
        let reply = self.site.ask(&ask);
        let (first, last) = (self.model.judge(request, reply.from), self.model.judge(request, reply.to));
        match reply.outcome {
            Outcome::Granted { token, claims } => {
                self.tally.granted += 1;
                let now = claims.issued_at.as_seconds();
                assert!((reply.from..=reply.to).contains(&now), "issued at {now}: {request:?}");
                match self.model.judge(request, now) {
                    Ok(expected) => {
                        self.check(request, &expected, &claims);
                        if now < self.latest {
                            self.note("granted after the clock was set back".to_owned());
                        }
                        self.model.keep(token, &claims, expected);
                        self.look(self.model.tokens.len() - 1);
                        self.check_begun(request, now);
                        self.check_names();
                    }
                    Err(why) => panic!("granted although: {why}\n{}\n{claims:?}", self.described(request)),
                }
            }
            Outcome::Refused(why) => {
                self.tally.refused += 1;
                match first.err().or(last.err()) {
                    Some(reason) => {
                        let right = self.model.right(request, reply.from);
                        *self.reasons.entry((reason, right)).or_default() += 1;
                    }
                    None => panic!("refused: {why}\n{}", self.described(request)),
                }
            }
        }
    }

    /// A granted token is usable, unless the clock was set back to before a revocation.
    fn check_begun(&self, request: &Request, now: i64) {
        let ended = self.model.tokens.last().and_then(|token| self.model.ended(token));
        assert!(
            ended.is_none() || now <= self.latest,
            "granted, but ended: {ended:?}\n{}",
            self.described(request)
        );
    }
}

/// The same kind of caller, of another client.
fn turned(by: Asker, n: usize) -> Asker {
    match by {
        Asker::Client(client) => Asker::Client((client + n) % CLIENTS.len()),
        Asker::Actor(client) => Asker::Actor((client + n) % CLIENTS.len()),
        Asker::ItsClient => Asker::ItsClient,
        Asker::Itself => Asker::Itself,
    }
}
