//! Chooses requests: one that should be granted, one that should be refused for a reason that is rare, or any.

use super::cast::{CLIENTS, IDP, ISSUERS, Q, ROBOTS, USERS};
use super::event::{Acting, Asker, Choice, User};
use super::player::Player;
use super::site::Site;
use crate::ISSUER;
use crate::laws::{Asks, Bound, By, Credential, Foreign, MayAct, Presented, Request};

impl<S: Site> Player<S> {
    /// The wanted request among variations of it: by each client and about each of four tokens.
    pub(super) fn choose(&self, choice: Choice, one: impl Fn(usize) -> Option<Request>) -> Option<Request> {
        let now = self.site.now();
        let mut others = (0..4 * CLIENTS.len()).filter_map(&one);
        let chosen = match choice {
            Choice::Any => None,
            Choice::Granted => others.find(|request| self.model.judge(request, now).is_ok()),
            Choice::Refused => {
                let times = |request: &Request| {
                    let reason = self.model.judge(request, now).err()?;
                    let right = self.model.right(request, now);
                    Some(self.reasons.get(&(reason, right)).copied().unwrap_or(0))
                };
                others
                    .filter_map(|request| Some((times(&request)?, request)))
                    .min_by_key(|it| it.0)
                    .map(|it| it.1)
            }
        };
        chosen.or_else(|| one(0))
    }

    /// Lets clients obtain a token for themselves: those that may name users, or this one.
    pub(super) fn renew_own(&mut self, this: Option<usize>) {
        let now = self.site.now();
        for (number, client) in CLIENTS.into_iter().enumerate() {
            let known = self.model.register.client(client);
            let is_wanted = match this {
                Some(this) => this == number,
                None => known.is_some_and(|client| !client.may_assert_users.is_empty()),
            };
            let own = self.model.latest_own(client).map(|index| &self.model.tokens[index]);
            if is_wanted && own.is_none_or(|token| self.model.unusable(token, now).is_some()) {
                let request = self.request(self.way(client), Asks::Itself, "", None, true);
                self.send(&request);
            }
        }
    }

    /// A request that begins a session for a user.
    pub(super) fn begin_for(
        &self,
        subject: Presented,
        by: usize,
        actor: Acting,
        scope: &'static str,
        fits: bool,
    ) -> Request {
        let client = CLIENTS[by];
        let actor = self.acting(actor, client);
        // Iceberg's clients present the actor's token as the Bearer.
        let by = match actor {
            Some(Presented::Own(index)) if self.made.is_multiple_of(2) => By::Bearer(index),
            Some(_) | None => self.way(client),
        };
        self.request(by, Asks::Exchange { subject, actor }, scope, None, fits)
    }

    pub(super) fn exchange(
        &self,
        subject: usize,
        by: Asker,
        actor: Acting,
        (scope, audience): (&'static str, Option<&'static str>),
        fits: bool,
    ) -> Option<Request> {
        let subject = self.token(subject)?;
        let its_client = self.model.tokens[subject].client;
        let (by, actor) = match by {
            Asker::ItsClient => (self.way(its_client), self.acting(actor, its_client)),
            Asker::Client(client) => (self.way(CLIENTS[client]), self.acting(actor, CLIENTS[client])),
            Asker::Itself => (By::Bearer(subject), self.acting(actor, its_client)),
            Asker::Actor(client) => {
                let own = self.model.latest_own(CLIENTS[client])?;
                (By::Bearer(own), Some(Presented::Own(own)))
            }
        };
        let asks = Asks::Exchange { subject: Presented::Own(subject), actor };
        Some(self.request(by, asks, scope, audience, fits))
    }

    fn acting(&self, actor: Acting, client: &str) -> Option<Presented> {
        match actor {
            Acting::NoOne => None,
            Acting::Own => self.model.latest_own(client).map(Presented::Own),
            Acting::Token(index) => self.token(index).map(Presented::Own),
            Acting::User(user) => Some(Presented::Foreign(self.foreign(user, client))),
        }
    }

    pub(super) fn foreign(&self, user: User, client: &str) -> Foreign {
        let now = self.site.now();
        let client = CLIENTS.into_iter().find(|known| *known == client).unwrap_or(CLIENTS[0]);
        let may_act = match user.may_act % 16 {
            0 | 1 => Some(MayAct { issuer: None, name: client }),
            2 => Some(MayAct { issuer: Some(ISSUER), name: client }),
            3 => Some(MayAct { issuer: Some(IDP), name: client }),
            4 => Some(MayAct { issuer: Some(Q), name: ROBOTS[1] }),
            5 => Some(MayAct { issuer: None, name: ROBOTS[1] }),
            6 => Some(MayAct { issuer: None, name: "a stranger" }),
            _ => None,
        };
        let expires = now + user.seconds(self.tempo.token);
        Foreign {
            issuer: ISSUERS[user.issuer],
            name: USERS.get(user.name).copied().unwrap_or(ROBOTS[user.issuer]),
            issued: now.min(expires) - i64::from(user.end / 64),
            expires,
            may_act,
            bound: user.bound,
        }
    }

    pub(super) fn request(
        &self,
        by: By,
        asks: Asks,
        scope: &'static str,
        audience: Option<&'static str>,
        fits: bool,
    ) -> Request {
        let audience = audience.into_iter().collect();
        let mut request = Request { by, asks, scope, audience, proven: self.held };
        if fits {
            request.proven = self.fitting(&request);
        }
        if !self.site.shows_certificates() {
            request.proven.certificate = None;
        }
        request
    }

    /// The required proofs of the request, and other keys that are held.
    fn fitting(&self, request: &Request) -> Bound {
        let presented = |presented: &Presented| match presented {
            Presented::Own(index) => self.model.tokens[*index].bound,
            Presented::Foreign(foreign) => foreign.bound,
            Presented::Unsecured(_) => Bound::default(),
        };
        let needed = match &request.asks {
            Asks::Itself => Bound::default(),
            Asks::Grant(foreign) => foreign.bound,
            Asks::Exchange { subject, actor } => {
                presented(subject).or(actor.as_ref().map(presented).unwrap_or_default())
            }
        };
        let client = match request.by {
            By::Credential(client) | By::Identity { client, .. } => client,
            By::Bearer(index) => self.model.tokens[index].client,
        };
        let client = self.model.register.client(client);
        let is_by_certificate =
            client.is_some_and(|client| matches!(client.credential, Credential::Certificate(_)));
        let mut fitting = needed.or(self.held);
        if is_by_certificate && fitting.certificate.is_none_or(|number| number >= 2) {
            fitting.certificate = Some(0);
        }
        if client.is_some_and(|client| client.dpop_bound) {
            fitting.key = fitting.key.or(Some(0));
        }
        fitting
    }
}
