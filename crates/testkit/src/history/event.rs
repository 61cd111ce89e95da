//! The events of a history, and their decoding from bytes.

use super::cast::{AUDIENCES, CERTIFICATES, CLIENTS, ISSUERS, SCOPES, USERS};
use super::decision::Decision;
use crate::laws::Bound;

/// One event of a history. Numbers of tokens are taken modulo their count, the latest first.
///
/// `fits` is whether a request proves the required keys, and `choice` by which client and about which token it is sent.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each is what it says")]
pub enum Event {
    /// A client requests a token for itself.
    Begin { client: usize, scope: usize, audience: Option<usize>, fits: bool },
    /// A token is exchanged for another one.
    Exchange {
        subject: usize,
        by: Asker,
        actor: Acting,
        scope: usize,
        audience: Option<usize>,
        choice: Choice,
        fits: bool,
    },
    /// A recent token is passed on to another client, which may obtain it.
    PassOn { number: usize, scope: usize },
    /// A token of an issuer is exchanged, or is an assertion that is a grant.
    User { user: User, by: usize, actor: Acting, scope: usize, choice: Choice, fits: bool, is_grant: bool },
    /// A client names a user in an unsecured JWT.
    Name { user: usize, by: usize, actor: Acting, scope: usize, choice: Choice, fits: bool },
    /// Time passes: so many sixteenths of the lifetime of a token.
    Pass { sixteenths: u32 },
    /// Time passes until just before, at or just after an end of the token.
    PassTo { token: usize, end: End, after: i64 },
    /// The clock is set back by so many seconds.
    StepBack { seconds: u32 },
    /// From now on, requests prove this key and present this certificate unless they have to fit.
    Hold { key: Option<usize>, certificate: Option<usize> },
    /// A client introspects a token.
    Look { token: usize, by: usize },
    /// A client revokes a token by RFC 7009: its own client, or another one.
    RevokeByClient { token: usize, by: Option<usize> },
    /// The operator decides something.
    Decide(Decision),
    /// The server ends and starts again; `killed` without a warning.
    Restart { killed: bool },
}

/// Which of several requests is sent.
#[derive(Clone, Copy, Debug)]
pub enum Choice {
    /// The first.
    Any,
    /// One that should be granted.
    Granted,
    /// One that should be refused, for the rarest reason so far.
    Refused,
}

/// The caller of an exchange.
#[derive(Clone, Copy, Debug)]
pub enum Asker {
    /// The client of the subject token, by its credential.
    ItsClient,
    /// This client, by its credential.
    Client(usize),
    /// The subject token itself, as the Bearer.
    Itself,
    /// The actor token, as the Bearer; this client's.
    Actor(usize),
}

/// Which token is the actor.
#[derive(Clone, Copy, Debug)]
pub enum Acting {
    /// No actor token.
    NoOne,
    /// The latest token that the calling client obtained for itself.
    Own,
    /// Any token.
    Token(usize),
    /// A user of an issuer.
    User(User),
}

/// A token of an issuer.
#[derive(Clone, Copy, Debug)]
pub struct User {
    /// The issuer.
    pub issuer: usize,
    /// The user; beyond those, the issuer's robot.
    pub name: usize,
    /// Which end it has; see [`User::seconds`].
    pub end: u8,
    /// Which `may_act` it has.
    pub may_act: u8,
    /// The key or the certificate that it is bound to.
    pub bound: Bound,
}

impl User {
    /// How long the token lives from now on: over for longer than the leeway or not as long, about to end, or for a while.
    #[must_use]
    pub fn seconds(&self, token_lifetime: i64) -> i64 {
        match self.end % 16 {
            0 => -40,
            1 => -4,
            2 => -2,
            3 | 4 => token_lifetime / 16 + 1,
            5..=7 => token_lifetime / 12,
            8..=11 => token_lifetime / 2,
            _ => token_lifetime * 3,
        }
    }
}

/// An end of a token.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// Its own.
    Token,
    /// That of its session.
    Session,
    /// The end of the time in which it can still be renewed.
    Grace,
}

/// The bytes of one event.
pub const EVENT_LENGTH: usize = 8;

impl Event {
    /// Reads events from a script of bytes: every script is some history.
    #[must_use]
    pub fn script(bytes: &[u8]) -> Vec<Self> {
        bytes.as_chunks().0.iter().map(Self::read).collect()
    }

    /// Reads one event.
    #[must_use]
    pub fn read(&[kind, a, b, c, d, e, f, g]: &[u8; EVENT_LENGTH]) -> Self {
        let at = usize::from;
        let client = at(a) % CLIENTS.len();
        let scope = if d < 128 { 0 } else { at(d) % SCOPES.len() };
        let audience = (e >= 208).then(|| at(e) % AUDIENCES.len());
        let fits = f < 224;
        let choice = match a {
            0..120 => Choice::Granted,
            120..200 => Choice::Refused,
            200..=255 => Choice::Any,
        };
        let own = if f % 8 < 6 { Acting::Own } else { Acting::NoOne };
        let user = User {
            issuer: at(g) % ISSUERS.len(),
            name: at(b) % (USERS.len() + 1),
            end: c,
            may_act: g / 2,
            bound: Bound {
                key: (f % 8 == 7).then(|| at(f / 8) % 2),
                certificate: (f % 8 == 6).then(|| at(f / 8) % CERTIFICATES.len()),
            },
        };
        let actor = match f % 5 {
            0 | 1 => Acting::NoOne,
            2 => Acting::Own,
            3 => Acting::Token(at(c)),
            _ => Acting::User(User {
                issuer: at(d) % ISSUERS.len(),
                name: if b < 200 { USERS.len() } else { user.name },
                ..user
            }),
        };
        let by = match e % 8 {
            0 | 1 => Asker::ItsClient,
            2 => Asker::Itself,
            3 => Asker::Actor(client),
            _ => Asker::Client(client),
        };
        match kind {
            0..16 => Self::Begin { client, scope, audience, fits },
            16..86 => Self::Exchange { subject: at(b) / 4, by, actor, scope, audience, choice, fits },
            86..96 => Self::PassOn { number: at(b), scope },
            96..136 => Self::User { user, by: client, actor, scope, choice, fits, is_grant: e % 8 == 0 },
            136..160 => Self::Name { user: at(b) % USERS.len(), by: client, actor: own, scope, choice, fits },
            160..166 => Self::Pass { sixteenths: u32::from(b) % 20 },
            166..174 => Self::PassTo {
                token: at(b),
                end: [End::Token, End::Session, End::Grace][at(c) % 3],
                after: i64::from(d) % 3 - 1,
            },
            174..176 => Self::StepBack { seconds: 1 + u32::from(b) % 12 },
            176..182 => Self::Hold {
                key: (b % 3 != 0).then(|| at(b) % 2),
                certificate: (c % 2 == 0).then(|| at(c / 2) % CERTIFICATES.len()),
            },
            182..188 => Self::Look { token: at(b), by: client },
            188..198 => Self::RevokeByClient { token: at(b), by: (c % 4 == 0).then_some(client) },
            198..254 => Self::Decide(Decision::read(&[kind, a, b, c, d, e])),
            254..=255 => Self::Restart { killed: a % 2 == 0 },
        }
    }
}
