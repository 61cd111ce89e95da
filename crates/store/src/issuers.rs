//! Whose tokens do we take besides our own? The list of trusted issuers; conformance KS-06.

use crate::audit::Change;
use crate::clients::time;
use crate::db::Part;
use crate::error::StoreError;
use crate::revocations::SUBJECT;
use crate::store::Store;
use std::collections::HashMap;
use std::sync::Arc;
use tokenberg_core::{Issuer, Timestamp, Trust, TrustedIssuer};

/// An issuer as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerRecord {
    /// Who it is, whether it is enabled, and what its tokens are worth.
    pub trusted: TrustedIssuer,
    /// When it was added.
    pub created_at: Timestamp,
}

pub(crate) const SELECT_ISSUERS: &str =
    "SELECT issuer, enabled, trust, created_at FROM issuers ORDER BY issuer";

/// Identifier, enabled, trust, creation.
pub(crate) type Row = (String, i64, String, i64);

impl Store {
    /// Trusts an issuer.
    ///
    /// # Errors
    /// If it is on the list already, or the store fails.
    pub async fn add_issuer(&self, now: Timestamp, issuer: &Issuer, trust: &Trust) -> Result<(), StoreError> {
        let trust = to_json(trust)?;
        change!(&self.0.db, [Part::Issuers], connection => {
            let done = sqlx::query(
                "INSERT INTO issuers (issuer, enabled, trust, created_at) VALUES ($1, 1, $2, $3) \
                 ON CONFLICT (issuer) DO NOTHING",
            )
            .bind(issuer.as_str())
            .bind(&trust)
            .bind(now.as_seconds())
            .execute(&mut *connection)
            .await?;
            if done.rows_affected() == 1 {
                note!(self, connection, Change::issuer("issuer added", issuer).with_json("trust", &trust));
                Ok(())
            } else {
                Err(StoreError::IssuerExists { issuer: issuer.clone() })
            }
        })
    }

    /// Replaces what the tokens of the issuer are worth, keys and all. Disabled, it stays so.
    ///
    /// # Errors
    /// If it is not on the list, or the store fails.
    pub async fn set_trust(&self, issuer: &Issuer, trust: &Trust) -> Result<(), StoreError> {
        let trust = to_json(trust)?;
        change!(&self.0.db, [Part::Issuers], connection => {
            let done = sqlx::query("UPDATE issuers SET trust = $2 WHERE issuer = $1")
                .bind(issuer.as_str())
                .bind(&trust)
                .execute(&mut *connection)
                .await?;
            found(done.rows_affected(), issuer)?;
            note!(self, connection, Change::issuer("issuer changed", issuer).with_json("trust", &trust));
            Ok(())
        })
    }

    /// Enables or disables the issuer. While it is disabled, its tokens and what was got with them are good for nothing.
    ///
    /// # Errors
    /// If it is not on the list, or the store fails.
    pub async fn set_issuer_enabled(&self, issuer: &Issuer, enabled: bool) -> Result<(), StoreError> {
        change!(&self.0.db, [Part::Issuers], connection => {
            let done = sqlx::query("UPDATE issuers SET enabled = $2 WHERE issuer = $1")
                .bind(issuer.as_str())
                .bind(i64::from(enabled))
                .execute(&mut *connection)
                .await?;
            found(done.rows_affected(), issuer)?;
            let change = if enabled { "issuer enabled" } else { "issuer disabled" };
            note!(self, connection, Change::issuer(change, issuer));
            Ok(())
        })
    }

    /// Takes the issuer off the list, and revokes what its subjects have of us from before a time, so that it stays dead if
    /// the issuer is trusted again. Identities that are federated with it stay registered, and stand for nobody meanwhile.
    ///
    /// # Errors
    /// If it is not on the list, or the store fails.
    pub async fn remove_issuer(&self, before: Timestamp, issuer: &Issuer) -> Result<(), StoreError> {
        change!(&self.0.db, [Part::Issuers, Part::RevokedBefore], connection => {
            let done = sqlx::query("DELETE FROM issuers WHERE issuer = $1")
                .bind(issuer.as_str())
                .execute(&mut *connection)
                .await?;
            found(done.rows_affected(), issuer)?;
            revoke_before!(connection, SUBJECT, issuer.as_str(), EVERYBODY, before);
            let change = Change::issuer("issuer removed", issuer);
            note!(self, connection, change.with("revoked_before", before.as_seconds()));
            Ok(())
        })
    }

    /// All issuers, by identifier.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub async fn issuers(&self) -> Result<Vec<IssuerRecord>, StoreError> {
        let rows: Vec<Row> = read!(&self.0.db, pool => sqlx::query_as(SELECT_ISSUERS).fetch_all(pool).await)?;
        rows.into_iter().map(read_issuer).collect()
    }

    /// One issuer.
    ///
    /// # Errors
    /// If it is not on the list, or the store fails or is damaged.
    pub async fn issuer(&self, issuer: &Issuer) -> Result<IssuerRecord, StoreError> {
        let read = "SELECT issuer, enabled, trust, created_at FROM issuers WHERE issuer = $1";
        let row: Option<Row> = read!(&self.0.db, pool => {
            sqlx::query_as(read).bind(issuer.as_str()).fetch_optional(pool).await
        })?;
        row.map(read_issuer).unwrap_or_else(|| Err(StoreError::NoSuchIssuer { issuer: issuer.clone() }))
    }
}

/// Where a subject is named: all subjects of the issuer. None is called so.
pub(crate) const EVERYBODY: &str = "";

fn found(rows: u64, issuer: &Issuer) -> Result<(), StoreError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::NoSuchIssuer { issuer: issuer.clone() }) }
}

fn to_json(trust: &Trust) -> Result<String, StoreError> {
    serde_json::to_string(trust).map_err(|_| StoreError::damaged("the trust to be written"))
}

fn read_issuer((issuer, enabled, trust, created_at): Row) -> Result<IssuerRecord, StoreError> {
    let damaged = |_| StoreError::damaged(format!("the issuer {issuer:?}"));
    let trusted = TrustedIssuer {
        issuer: Issuer::foreign(&issuer)
            .map_err(|_| StoreError::damaged(format!("the issuer {issuer:?}")))?,
        enabled: enabled != 0,
        trust: serde_json::from_str(&trust).map_err(damaged)?,
    };
    Ok(IssuerRecord { trusted, created_at: time(created_at)? })
}

/// The issuers in memory, each by its exact text.
#[derive(Default)]
pub(crate) struct TrustedIssuers(HashMap<Box<str>, Arc<TrustedIssuer>>);

impl TrustedIssuers {
    pub(crate) fn add(&mut self, row: Row) -> Result<(), StoreError> {
        let trusted = read_issuer(row)?.trusted;
        self.0.insert(trusted.issuer.as_str().into(), Arc::new(trusted));
        Ok(())
    }

    pub(crate) fn find(&self, issuer: &str) -> Option<&Arc<TrustedIssuer>> {
        self.0.get(issuer)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<TrustedIssuer>> {
        self.0.values()
    }
}
