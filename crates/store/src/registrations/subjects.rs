//! Disabled subjects: of other issuers, or of unsecured JWTs; conformance TX-37.

use crate::audit::Change;
use crate::database::{Part, time, values};
use crate::error::StoreError;
use crate::store::Store;
use std::collections::{HashMap, HashSet};
use tokenberg_core::{Issuer, Subject, Timestamp};

/// A disabled subject.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DisabledSubject {
    /// The issuer of the subject; `None` for the user of an unsecured JWT.
    pub issuer: Option<Issuer>,
    /// The subject.
    pub subject: Subject,
    /// Since when.
    pub since: Timestamp,
}

pub(crate) const SELECT_DISABLED: &str =
    "SELECT issuer, name, since FROM disabled_subjects ORDER BY issuer, name";

/// Issuer or an empty text, name, since when.
pub(crate) type Row = (String, String, i64);

impl Store {
    /// Disables the subject: its tokens, and ours that were obtained with them, are refused. A disabled subject stays disabled.
    ///
    /// # Errors
    /// If the issuer is not trusted, or the store fails.
    pub async fn disable_subject(
        &self,
        now: Timestamp,
        issuer: Option<&Issuer>,
        subject: &Subject,
    ) -> Result<(), StoreError> {
        if let Some(issuer) = issuer {
            self.issuer(issuer).await?;
        }
        let insert = "INSERT INTO disabled_subjects (issuer, name, since) VALUES ($1, $2, $3) \
                      ON CONFLICT (issuer, name) DO NOTHING";
        let disable = self.0.db.change(&[Part::DisabledSubjects], |tx| {
            Box::pin(async move {
                if tx.execute(insert, values![text(issuer), subject.as_str(), now]).await? == 1 {
                    let change = of("subject disabled", issuer, subject).with("since", now.as_seconds());
                    self.record_change(tx, change).await?;
                }
                Ok(())
            })
        });
        disable.await
    }

    /// Enables a disabled subject.
    ///
    /// # Errors
    /// If the subject is not disabled, or the store fails.
    pub async fn enable_subject(&self, issuer: Option<&Issuer>, subject: &Subject) -> Result<(), StoreError> {
        let delete = "DELETE FROM disabled_subjects WHERE issuer = $1 AND name = $2";
        let enable = self.0.db.change(&[Part::DisabledSubjects], |tx| {
            Box::pin(async move {
                if tx.execute(delete, values![text(issuer), subject.as_str()]).await? == 0 {
                    let (issuer, subject) = (issuer.cloned(), subject.clone());
                    return Err(StoreError::NotDisabled { issuer, subject });
                }
                self.record_change(tx, of("subject enabled", issuer, subject)).await
            })
        });
        enable.await.map(drop)
    }

    /// All disabled subjects, sorted by issuer and name.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub async fn disabled_subjects(&self) -> Result<Vec<DisabledSubject>, StoreError> {
        let rows: Vec<Row> = self.0.db.all(SELECT_DISABLED, &[]).await?;
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

/// The disabled subjects, in memory.
#[derive(Clone, Default)]
pub(crate) struct DisabledSubjects(HashMap<Box<str>, HashSet<Box<str>>>);

impl DisabledSubjects {
    pub(crate) fn add(&mut self, (issuer, name, _): Row) {
        self.0.entry(issuer.into()).or_default().insert(name.into());
    }

    /// Issuer or an empty text, and name, of those that the other set lacks.
    pub(crate) fn missing_in<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let all =
            self.0.iter().flat_map(|(issuer, names)| names.iter().map(move |name| (&**issuer, &**name)));
        all.filter(|(issuer, name)| !other.0.get(*issuer).is_some_and(|names| names.contains(*name)))
    }

    pub(crate) fn has(&self, issuer: Option<&Issuer>, subject: &str) -> bool {
        self.0.get(text(issuer)).is_some_and(|names| names.contains(subject))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.values().map(HashSet::len).sum()
    }
}
