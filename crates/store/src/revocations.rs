//! What did the operator take back? RFC 7009 §2, and "revoke all before"; conformance RV-06, RV-08, TX-38.

use crate::clients::time;
use crate::db::Part;
use crate::error::StoreError;
use crate::store::Store;
use std::collections::HashMap;
use tokenberg_core::{AccessTokenClaims, ClientId, Issuer, Revocation, Subject, Timestamp, TokenId};

/// Something to be taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewRevocation {
    /// One token.
    Token {
        /// Its `jti`.
        id: TokenId,
        /// Until when it has to be remembered: the token's end.
        until: Timestamp,
    },
    /// All tokens that go back to one authentication.
    Session {
        /// The session.
        id: TokenId,
        /// Until when it has to be remembered: the session's end.
        until: Timestamp,
    },
    /// All tokens that were issued to the client before a time.
    Client {
        /// The client.
        id: ClientId,
        /// The time; what was issued in that second still lives.
        before: Timestamp,
    },
    /// All tokens for the subject that were issued before a time.
    Subject {
        /// Whose name the subject is; `None` is anybody's.
        issuer: Option<Issuer>,
        /// The subject.
        subject: Subject,
        /// The time; what was issued in that second still lives.
        before: Timestamp,
    },
}

/// The later time wins, in whichever order they come.
macro_rules! revoke_before {
    ($connection:expr, $kind:expr, $issuer:expr, $name:expr, $before:expr) => {
        sqlx::query(
            "INSERT INTO revoked_before (kind, issuer, name, before) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (kind, issuer, name) DO UPDATE SET before = excluded.before \
             WHERE excluded.before > revoked_before.before",
        )
        .bind($kind)
        .bind($issuer)
        .bind($name)
        .bind($before.as_seconds())
        .execute(&mut *$connection)
        .await?
    };
}

impl Store {
    /// Takes something back. What was already taken back stays so: a later time wins, an earlier one changes nothing.
    ///
    /// # Errors
    /// If the store fails; then it must not be said to be revoked.
    pub async fn revoke(&self, revocation: &NewRevocation) -> Result<(), StoreError> {
        change!(&self.0.db, [Part::Revocations], connection => {
            let (kind, id, until) = match revocation {
                NewRevocation::Token { id, until } => (TOKEN, id, until),
                NewRevocation::Session { id, until } => (SESSION, id, until),
                NewRevocation::Client { id, before } => {
                    revoke_before!(connection, CLIENT, "", id.as_str(), before);
                    return Ok(());
                }
                NewRevocation::Subject { issuer, subject, before } => {
                    let issuer = issuer.as_ref().map_or("", Issuer::as_str);
                    revoke_before!(connection, SUBJECT, issuer, subject.as_str(), before);
                    return Ok(());
                }
            };
            sqlx::query(
                "INSERT INTO revoked_ids (kind, id, until) VALUES ($1, $2, $3) \
                 ON CONFLICT (kind, id) DO UPDATE SET until = excluded.until WHERE excluded.until > revoked_ids.until",
            )
            .bind(kind)
            .bind(id.as_str())
            .bind(until.as_seconds())
            .execute(&mut *connection)
            .await?;
            Ok(())
        })
    }
}

const TOKEN: &str = "token";
const SESSION: &str = "session";
pub(crate) const CLIENT: &str = "client";
const SUBJECT: &str = "subject";

pub(crate) const SELECT_IDS: &str = "SELECT kind, id, until FROM revoked_ids";
pub(crate) const SELECT_BEFORE: &str = "SELECT kind, issuer, name, before FROM revoked_before";

/// All that was taken back, in memory.
#[derive(Default)]
pub(crate) struct Revocations {
    tokens: HashMap<TokenId, Timestamp>,
    sessions: HashMap<TokenId, Timestamp>,
    clients: HashMap<Box<str>, Timestamp>,
    subjects: HashMap<Box<str>, Vec<OfSubject>>,
}

struct OfSubject {
    issuer: Option<Box<str>>,
    before: Timestamp,
}

impl Revocations {
    pub(crate) fn add_id(&mut self, row: (String, String, i64)) -> Result<(), StoreError> {
        let (kind, id, until) = row;
        let unknown = || StoreError::damaged(format!("the revocation of {kind} {id:?}"));
        let ids = match kind.as_str() {
            TOKEN => &mut self.tokens,
            SESSION => &mut self.sessions,
            _ => return Err(unknown()),
        };
        ids.insert(TokenId::parse(&id).ok_or_else(unknown)?, time(until)?);
        Ok(())
    }

    pub(crate) fn add_before(&mut self, row: (String, String, String, i64)) -> Result<(), StoreError> {
        let (kind, issuer, name, before) = row;
        let before = time(before)?;
        match kind.as_str() {
            CLIENT => {
                self.clients.insert(name.into(), before);
            }
            SUBJECT => {
                let issuer = Some(issuer).filter(|i| !i.is_empty()).map(String::into_boxed_str);
                self.subjects.entry(name.into()).or_default().push(OfSubject { issuer, before });
            }
            _ => return Err(StoreError::damaged(format!("the revocation of {kind} {name:?}"))),
        }
        Ok(())
    }

    /// The first reason why the token is revoked, from the narrowest to the widest.
    pub(crate) fn find(&self, token: &AccessTokenClaims) -> Option<Revocation> {
        if self.tokens.contains_key(&token.token_id) {
            return Some(Revocation::Token(token.token_id.clone()));
        }
        if self.sessions.contains_key(&token.session.id) {
            return Some(Revocation::Session(token.session.id.clone()));
        }
        let is_old = |before: &&Timestamp| token.issued_at < **before;
        if let Some(before) = self.clients.get(token.client_id.as_str()).filter(is_old) {
            return Some(Revocation::Client { before: *before });
        }
        let of_subject = self.subjects.get(token.subject.as_str())?;
        let applies = |r: &&OfSubject| {
            r.issuer.as_deref().is_none_or(|issuer| issuer == token.subject_issuer().as_str())
        };
        let latest = of_subject.iter().filter(applies).map(|r| &r.before).max();
        latest.filter(is_old).map(|before| Revocation::Subject { before: *before })
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len() + self.sessions.len() + self.clients.len() + self.subjects.len()
    }
}
