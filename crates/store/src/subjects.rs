//! Which users has the operator shut out? Subjects of other issuers, and users whom a client asserts; conformance TX-37.

use crate::audit::Change;
use crate::clients::time;
use crate::db::Part;
use crate::error::StoreError;
use crate::store::Store;
use std::collections::{HashMap, HashSet};
use tokenberg_core::{Issuer, Subject, Timestamp};

/// Somebody who was shut out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisabledSubject {
    /// Whose name it is; `None` for a user whom a client asserts without a signature.
    pub issuer: Option<Issuer>,
    /// The subject.
    pub subject: Subject,
    /// Since when.
    pub since: Timestamp,
}

pub(crate) const SELECT_DISABLED: &str =
    "SELECT issuer, name, since FROM disabled_subjects ORDER BY issuer, name";

/// Issuer or nothing, name, since when.
pub(crate) type Row = (String, String, i64);

impl Store {
    /// Shuts the subject out: its tokens and what was got with them are good for nothing. Who is shut out already stays so.
    ///
    /// # Errors
    /// If the issuer is not on the list, or the store fails.
    pub async fn disable_subject(
        &self,
        now: Timestamp,
        issuer: Option<&Issuer>,
        subject: &Subject,
    ) -> Result<(), StoreError> {
        if let Some(issuer) = issuer {
            self.issuer(issuer).await?;
        }
        change!(&self.0.db, [Part::DisabledSubjects], connection => {
            let done = sqlx::query(
                "INSERT INTO disabled_subjects (issuer, name, since) VALUES ($1, $2, $3) \
                 ON CONFLICT (issuer, name) DO NOTHING",
            )
            .bind(text(issuer))
            .bind(subject.as_str())
            .bind(now.as_seconds())
            .execute(&mut *connection)
            .await?;
            if done.rows_affected() == 1 {
                let change = of("subject disabled", issuer, subject).with("since", now.as_seconds());
                note!(self, connection, change);
            }
            Ok(())
        })
    }

    /// Takes back what [`Store::disable_subject`] did.
    ///
    /// # Errors
    /// If the subject is not disabled, or the store fails.
    pub async fn enable_subject(&self, issuer: Option<&Issuer>, subject: &Subject) -> Result<(), StoreError> {
        change!(&self.0.db, [Part::DisabledSubjects], connection => {
            let done = sqlx::query("DELETE FROM disabled_subjects WHERE issuer = $1 AND name = $2")
                .bind(text(issuer))
                .bind(subject.as_str())
                .execute(&mut *connection)
                .await?;
            if done.rows_affected() == 1 {
                note!(self, connection, of("subject enabled", issuer, subject));
                Ok(())
            } else {
                Err(StoreError::NotDisabled { issuer: issuer.cloned(), subject: subject.clone() })
            }
        })
    }

    /// Everybody who is shut out, by issuer and name.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub async fn disabled_subjects(&self) -> Result<Vec<DisabledSubject>, StoreError> {
        let rows: Vec<Row> =
            read!(&self.0.db, pool => sqlx::query_as(SELECT_DISABLED).fetch_all(pool).await)?;
        let read = |(issuer, name, since): Row| {
            let damaged = || StoreError::damaged(format!("the disabled subject {name:?}"));
            let issuer =
                if issuer.is_empty() { None } else { Some(Issuer::foreign(&issuer).map_err(|_| damaged())?) };
            Ok(DisabledSubject { issuer, subject: name.parse().map_err(|_| damaged())?, since: time(since)? })
        };
        rows.into_iter().map(read).collect()
    }
}

fn of(what: &str, issuer: Option<&Issuer>, subject: &Subject) -> Change {
    Change::new(what).with("issuer", issuer.map(Issuer::as_str)).with("subject", subject.as_str())
}

fn text(issuer: Option<&Issuer>) -> &str {
    issuer.map_or("", Issuer::as_str)
}

/// Who is shut out, in memory.
#[derive(Default)]
pub(crate) struct DisabledSubjects(HashMap<Box<str>, HashSet<Box<str>>>);

impl DisabledSubjects {
    pub(crate) fn add(&mut self, (issuer, name, _): Row) {
        self.0.entry(issuer.into()).or_default().insert(name.into());
    }

    pub(crate) fn has(&self, issuer: Option<&Issuer>, subject: &str) -> bool {
        self.0.get(text(issuer)).is_some_and(|names| names.contains(subject))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.values().map(HashSet::len).sum()
    }
}
