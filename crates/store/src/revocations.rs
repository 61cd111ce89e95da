//! Revocations of tokens and sessions (RFC 7009 §2), and of all tokens of a client, subject or issuer from before a time; conformance
//! RV-06, RV-08, TX-38.

use crate::audit::{Appended, Change, Head, append_and_revoke, append_with};
use crate::database::{Part, TIMEOUT, Tx, time, values, within};
use crate::error::StoreError;
use crate::revoked_family::RevokedFamily;
use crate::shards::Shards;
use crate::store::Store;
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};
use tokenberg_core::text::ShortText;
use tokenberg_core::token::Origin;
use tokenberg_core::{AccessTokenClaims, ClientId, Issuer, Revocation, Subject, Timestamp, TokenId};

/// What to revoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewRevocation {
    /// One token.
    Token {
        /// Its `jti`.
        id: TokenId,
        /// Until when the revocation is stored: the token's expiry.
        until: Timestamp,
    },
    /// All tokens of one session, that is, of one authentication.
    Session {
        /// The session.
        id: TokenId,
        /// Until when the revocation is stored: the session's end.
        until: Timestamp,
    },
    /// One token together with all tokens of its session, or with those that one client holds of the session; both or neither.
    Family {
        /// The `jti` of the token.
        token: TokenId,
        /// The session.
        session: TokenId,
        /// The client, if only its tokens of the session are revoked.
        client: Option<ClientId>,
        /// Until when the revocations are stored: the end of the last token of the session.
        until: Timestamp,
    },
    /// All tokens of the client from before a time; [`Revocation::reaches`] says which these are.
    Client {
        /// The client.
        id: ClientId,
        /// The time.
        before: Timestamp,
    },
    /// All tokens for the subject from before a time; [`Revocation::reaches`] says which these are.
    Subject {
        /// Whose name the subject is; `None` matches every issuer.
        issuer: Option<Issuer>,
        /// The subject.
        subject: Subject,
        /// The time.
        before: Timestamp,
    },
    /// All tokens for the subjects of the issuer from before a time, and those of clients that authenticated as one of them.
    Issuer {
        /// The issuer.
        issuer: Issuer,
        /// The time.
        before: Timestamp,
    },
}

impl Store {
    /// Revokes tokens. What was revoked already stays revoked: the later time counts.
    ///
    /// # Errors
    /// If the store fails; then the caller must not report success.
    pub async fn revoke(&self, revocation: &NewRevocation) -> Result<(), StoreError> {
        let (kind, issuer, name, before) = match revocation {
            NewRevocation::Token { id, until } => {
                return self.revoke_ids(&[(TOKEN, id.as_str())], *until).await;
            }
            NewRevocation::Session { id, until } => {
                return self.revoke_ids(&[(SESSION, id.as_str())], *until).await;
            }
            NewRevocation::Family { token, session, client, until } => {
                let family =
                    client.as_ref().map_or_else(|| session.as_str().to_owned(), |c| delegation(session, c));
                return self.revoke_ids(&[(TOKEN, token.as_str()), (SESSION, &family)], *until).await;
            }
            NewRevocation::Client { id, before } => (CLIENT, "", id.as_str(), before),
            NewRevocation::Subject { issuer, subject, before } => {
                (SUBJECT, issuer.as_ref().map_or("", Issuer::as_str), subject.as_str(), before)
            }
            NewRevocation::Issuer { issuer, before } => (SUBJECT, issuer.as_str(), ALL_SUBJECTS, before),
        };
        self.revoke_all_before(kind, issuer, name, *before).await
    }

    /// Revokes the tokens of a client or a subject from before a time.
    pub(crate) async fn revoke_all_before(
        &self,
        kind: &str,
        issuer: &str,
        name: &str,
        before: Timestamp,
    ) -> Result<(), StoreError> {
        let revoke = self.0.db.change(&[Part::RevokedBefore], |tx| {
            Box::pin(async move {
                revoke_before(tx, kind, issuer, name, before).await?;
                let change = Change::new("revoked").with("issuer", Some(issuer).filter(|i| !i.is_empty()));
                let change = if name == ALL_SUBJECTS { change } else { change.with(kind, name) };
                self.record_change(tx, change.with("before", before.as_seconds())).await
            })
        });
        revoke.await.map(drop)
    }

    /// Revokes identifiers, together with those that others revoke at the same time.
    pub(crate) async fn revoke_ids(
        &self,
        ids: &[(&'static str, &str)],
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let write = |group| -> BoxFuture<'_, _> { Box::pin(self.write_revoked_ids(group)) };
        within(TIMEOUT, self.0.revoking.write(RevokedFamily::new(ids, until), &write)).await
    }

    async fn write_revoked_ids(&self, families: Vec<RevokedFamily>) -> Result<(), StoreError> {
        let (rows, families) = (&RevokedFamily::rows(&families), &families);
        let records = || families.iter().map(|family| family.record(self.source())).collect();
        // Another process may have written since this one knows the head. Then the database returns the present one.
        for _ in 0..2 {
            let Some(from) = self.known_head().clone() else { break };
            match append_and_revoke(&self.0.db, &self.0.links, &from, records(), rows).await {
                Ok(Appended::Here(head)) => {
                    *self.known_head() = Some(head);
                    return Ok(());
                }
                Ok(Appended::NotAfter(head)) => *self.known_head() = head,
                // It was rolled back because of another transaction.
                Err(error) if error.is_conflict() => break,
                Err(error) => return Err(error),
            }
        }
        let revoke = self.0.db.changes(&[Part::RevokedIds], families.len(), |tx| {
            Box::pin(async move {
                let revoke = (tx.dialect().revoke_ids, values![rows] as &[_]);
                append_with(tx, &self.0.links, records(), &[revoke]).await
            })
        });
        let head = revoke.await?;
        *self.known_head() = Some(head).filter(|_| self.0.db.has_server());
        Ok(())
    }

    fn known_head(&self) -> MutexGuard<'_, Option<Head>> {
        // It is set as a whole, so a panic elsewhere leaves it consistent.
        self.0.known_head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Revokes the tokens of a client or a subject from before a time. Of several times the latest counts, in whichever order they
/// are set.
pub(crate) async fn revoke_before(
    tx: &mut Tx<'_>,
    kind: &str,
    issuer: &str,
    name: &str,
    before: Timestamp,
) -> Result<(), StoreError> {
    let insert = "INSERT INTO revoked_before (kind, issuer, name, before) VALUES ($1, $2, $3, $4) \
                  ON CONFLICT (kind, issuer, name) DO UPDATE SET before = excluded.before \
                  WHERE excluded.before > revoked_before.before";
    tx.execute(insert, values![kind, issuer, name, before]).await.map(drop)
}

/// The name of another client's session as held by this client. No session has such a name, because a `jti` contains no bar.
fn delegation(session: &TokenId, client: &ClientId) -> String {
    format!("{}|{client}", session.as_str())
}

pub(crate) const TOKEN: &str = "token";
pub(crate) const SESSION: &str = "session";
pub(crate) const CLIENT: &str = "client";
pub(crate) const SUBJECT: &str = "subject";

/// In place of a subject's issuer: the subject is a client of ours. No issuer has such a name, and an earlier version of the store
/// finds no subject under it. It revoked the names of removed clients without an issuer, which still is every issuer.
pub(crate) const OUR_CLIENTS: &str = "our clients";

/// In place of a subject's name: all subjects of the issuer. No subject has an empty name.
pub(crate) const ALL_SUBJECTS: &str = "";

pub(crate) const SELECT_IDS: &str = "SELECT kind, id FROM revoked_ids WHERE revision > $1";
pub(crate) const SELECT_BEFORE: &str = "SELECT kind, issuer, name, before FROM revoked_before";

/// The revoked tokens and sessions, in memory. Only the database knows until when they are stored.
#[derive(Clone)]
pub(crate) struct RevokedIds {
    tokens: Shards<ShortText>,
    sessions: Shards<ShortText>,
}

impl RevokedIds {
    pub(crate) fn new() -> Self {
        Self { tokens: Shards::new(), sessions: Shards::new() }
    }

    pub(crate) fn add(&mut self, kind: &str, id: &str) -> Result<(), StoreError> {
        let of_kind = match kind {
            TOKEN => &mut self.tokens,
            SESSION => &mut self.sessions,
            _ => return Err(StoreError::damaged(format!("the revocation of {kind} {id:?}"))),
        };
        of_kind.put(id.into());
        Ok(())
    }

    /// Returns the wider reason first: a revoked token alone would suggest that its renewals are valid.
    pub(crate) fn find(&self, token: &AccessTokenClaims) -> Option<Revocation> {
        let (session, client) = (&token.session.id, &token.client_id);
        let ids = [Some(session), token.session.branch()];
        if let Some(id) = ids.into_iter().flatten().find(|id| self.sessions.find(id.as_str()).is_some()) {
            return Some(Revocation::Session(id.clone()));
        }
        let has_branch = token.session.branch().is_some();
        if !has_branch
            && !token.is_of_clients_session()
            && self.sessions.find(delegation(session, client).as_str()).is_some()
        {
            return Some(Revocation::Delegation { session: session.clone(), client: client.clone() });
        }
        if let Some(revocation) = token.origins().find_map(|origin| self.of_origin(origin)) {
            return Some(Revocation::Origin(Box::new(revocation)));
        }
        let is_revoked = self.tokens.find(token.token_id.as_str()).is_some();
        is_revoked.then(|| Revocation::Token(token.token_id.clone()))
    }

    fn of_origin(&self, origin: &Origin) -> Option<Revocation> {
        match origin {
            Origin::Session { session, .. } if self.sessions.find(session.as_str()).is_some() => {
                Some(Revocation::Session(session.clone()))
            }
            Origin::Session { session, client, .. } => {
                self.sessions.find(delegation(session, client).as_str())?;
                Some(Revocation::Delegation { session: session.clone(), client: client.clone() })
            }
            Origin::Foreign { .. } | Origin::Identity { .. } => None,
        }
    }

    /// Kind and identifier of those that the other set lacks.
    pub(crate) fn missing_in<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let tokens = self.tokens.iter().filter(|id| other.tokens.find(id.as_str()).is_none());
        let sessions = self.sessions.iter().filter(|id| other.sessions.find(id.as_str()).is_none());
        let kind = |kind: &'static str| move |id: &'a ShortText| (kind, id.as_str());
        tokens.map(kind(TOKEN)).chain(sessions.map(kind(SESSION)))
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len() + self.sessions.len()
    }

    /// Whether this set may stay in use although the database, which has `left` rows now, has deleted expired ones. Expired
    /// entries do no harm, and to drop them everything has to be read. So they stay until they are a fifth of the set, unless
    /// the set is small.
    pub(crate) fn may_stay(&self, left: i64) -> bool {
        const FEW: usize = 10_000;
        let left = usize::try_from(left).unwrap_or(0);
        left >= FEW && self.len() <= left + left / 4
    }
}

/// The times before which tokens are revoked, in memory.
#[derive(Clone, Default)]
pub(crate) struct RevokedBefore {
    clients: HashMap<Box<str>, Timestamp>,
    subjects: HashMap<Box<str>, Vec<OfSubject>>,
}

#[derive(Clone)]
struct OfSubject {
    /// `None` matches every issuer.
    issuer: Option<Box<str>>,
    before: Timestamp,
}

impl RevokedBefore {
    pub(crate) fn add(&mut self, row: (String, String, String, i64)) -> Result<(), StoreError> {
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

    /// Kind, issuer or an empty text, name and time of those that are missing or earlier in the other set.
    pub(crate) fn missing_in<'a>(
        &'a self,
        other: &'a Self,
    ) -> impl Iterator<Item = (&'static str, &'a str, &'a str, Timestamp)> {
        let clients = self.clients.iter().map(|(name, before)| (CLIENT, "", &**name, *before));
        let subjects = self.subjects.iter().flat_map(|(name, times)| {
            times
                .iter()
                .map(move |of| (SUBJECT, of.issuer.as_deref().unwrap_or_default(), &**name, of.before))
        });
        clients.chain(subjects).filter(|(kind, issuer, name, before)| {
            let there = match *kind {
                CLIENT => other.clients.get(*name).copied(),
                _ => other.exactly(issuer, name),
            };
            there.is_none_or(|there| there < *before)
        })
    }

    /// The time of the subject that is stored for this issuer, or for every issuer if the text is empty.
    pub(crate) fn exactly(&self, issuer: &str, subject: &str) -> Option<Timestamp> {
        let times = self.subjects.get(subject)?.iter();
        times.filter(|of| of.issuer.as_deref().unwrap_or_default() == issuer).map(|of| of.before).max()
    }

    /// The latest time for the subject of the issuer; without an issuer, only the times that apply to every issuer.
    pub(crate) fn of_name(&self, issuer: Option<&Issuer>, subject: &str) -> Option<Timestamp> {
        let applies =
            |r: &&OfSubject| r.issuer.as_deref().is_none_or(|i| issuer.is_some_and(|it| it.as_str() == i));
        self.subjects.get(subject)?.iter().filter(applies).map(|r| r.before).max()
    }

    pub(crate) fn len(&self) -> usize {
        self.clients.len() + self.subjects.values().map(Vec::len).sum::<usize>()
    }
}

impl tokenberg_core::revocation::RevokedBefore for RevokedBefore {
    fn of_client(&self, client: &str) -> Option<Timestamp> {
        self.clients.get(client).copied()
    }

    fn of_subject(&self, issuer: &Issuer, subject: &str) -> Option<Timestamp> {
        self.of_name(Some(issuer), subject)
    }

    fn of_removed_client(&self, client: &str) -> Option<Timestamp> {
        self.exactly(OUR_CLIENTS, client)
    }

    fn of_issuer(&self, issuer: &Issuer) -> Option<Timestamp> {
        self.of_name(Some(issuer), ALL_SUBJECTS)
    }
}
