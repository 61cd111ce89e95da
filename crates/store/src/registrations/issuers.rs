//! The list of trusted issuers; conformance KS-06.

use crate::audit::Change;
use crate::database::{Part, Tx, time, values};
use crate::error::StoreError;
use crate::revocations::{ALL_SUBJECTS, SUBJECT, revoke_before};
use crate::store::Store;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokenberg_core::issuer::prefixes_overlap;
use tokenberg_core::{Issuer, Timestamp, Trust, TrustedIssuer};

/// An issuer as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IssuerRecord {
    /// Its identifier, whether it is enabled, and how far it is trusted.
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
    /// If it is trusted already, another issuer has an overlapping prefix, or the store fails.
    pub async fn add_issuer(&self, now: Timestamp, issuer: &Issuer, trust: &Trust) -> Result<(), StoreError> {
        let add = self.0.db.change(&[Part::Issuers], |tx| {
            Box::pin(async move { self.add_issuer_in(tx, now, issuer, trust).await })
        });
        add.await
    }

    /// [`Store::add_issuer`] as a part of a transaction.
    pub(super) async fn add_issuer_in(
        &self,
        tx: &mut Tx<'_>,
        now: Timestamp,
        issuer: &Issuer,
        trust: &Trust,
    ) -> Result<(), StoreError> {
        trust.check()?;
        let text = to_json(trust)?;
        let insert = "INSERT INTO issuers (issuer, enabled, trust, created_at) VALUES ($1, 1, $2, $3) \
                      ON CONFLICT (issuer) DO NOTHING";
        if tx.execute(insert, values![issuer.as_str(), &text, now]).await? == 0 {
            return Err(StoreError::IssuerExists { issuer: issuer.clone() });
        }
        check_prefix(tx, issuer, None, trust.subject_prefix.as_deref()).await?;
        let change = Change::issuer("issuer added", issuer).with_json("trust", &text);
        self.record_change(tx, change).await.map(drop)
    }

    /// Replaces how far the issuer is trusted, with which keys. A disabled issuer stays disabled.
    ///
    /// # Errors
    /// If it is not on the list, another issuer has an overlapping prefix that is new for this one, or the store fails.
    pub async fn set_trust(&self, issuer: &Issuer, trust: &Trust) -> Result<(), StoreError> {
        let text = to_json(trust)?;
        let text = &text;
        let set = self.0.db.change(&[Part::Issuers], |tx| {
            Box::pin(async move {
                let present = present_trust(tx, issuer).await?;
                check_change(tx, issuer, &present, trust).await?;
                self.update_trust(tx, issuer, text).await
            })
        });
        set.await
    }

    /// Replaces how far the issuer is trusted if that is still `before`. Returns whether it was. If `after` is the same,
    /// nothing is changed or recorded.
    ///
    /// # Errors
    /// If it is not on the list, another issuer has an overlapping prefix that is new for this one, or the store fails or is
    /// damaged.
    pub async fn replace_trust(
        &self,
        issuer: &Issuer,
        before: &Trust,
        after: &Trust,
    ) -> Result<bool, StoreError> {
        if before == after {
            return Ok(self.issuer(issuer).await?.trusted.trust == *before);
        }
        let replace = self.0.db.change(&[Part::Issuers], |tx| {
            Box::pin(async move { self.replace_trust_in(tx, issuer, before, after).await })
        });
        replace.await
    }

    /// [`Store::replace_trust`] as a part of a transaction.
    pub(super) async fn replace_trust_in(
        &self,
        tx: &mut Tx<'_>,
        issuer: &Issuer,
        before: &Trust,
        after: &Trust,
    ) -> Result<bool, StoreError> {
        if present_trust(tx, issuer).await? != *before {
            return Ok(false);
        }
        check_change(tx, issuer, before, after).await?;
        self.update_trust(tx, issuer, &to_json(after)?).await?;
        Ok(true)
    }

    async fn update_trust(&self, tx: &mut Tx<'_>, issuer: &Issuer, trust: &str) -> Result<(), StoreError> {
        let update = "UPDATE issuers SET trust = $2 WHERE issuer = $1";
        found(tx.execute(update, values![issuer.as_str(), trust]).await?, issuer)?;
        let change = Change::issuer("issuer changed", issuer).with_json("trust", trust);
        self.record_change(tx, change).await.map(drop)
    }

    /// Enables or disables the issuer. While it is disabled, its tokens, and ours that were obtained with them, are refused.
    ///
    /// # Errors
    /// If it is not on the list, or the store fails.
    pub async fn set_issuer_enabled(&self, issuer: &Issuer, enabled: bool) -> Result<(), StoreError> {
        let set = self.0.db.change(&[Part::Issuers], |tx| {
            Box::pin(async move { self.set_issuer_enabled_in(tx, issuer, enabled).await })
        });
        set.await
    }

    /// [`Store::set_issuer_enabled`] as a part of a transaction.
    pub(super) async fn set_issuer_enabled_in(
        &self,
        tx: &mut Tx<'_>,
        issuer: &Issuer,
        enabled: bool,
    ) -> Result<(), StoreError> {
        let update = "UPDATE issuers SET enabled = $2 WHERE issuer = $1";
        found(tx.execute(update, values![issuer.as_str(), enabled]).await?, issuer)?;
        let change = if enabled { "issuer enabled" } else { "issuer disabled" };
        self.record_change(tx, Change::issuer(change, issuer)).await.map(drop)
    }

    /// Removes the issuer, and revokes our tokens for its subjects issued before a time, so that they stay revoked if the
    /// issuer is trusted again. Federated identities of the issuer stay registered, and authenticate no client meanwhile.
    ///
    /// # Errors
    /// If it is not on the list, or the store fails.
    pub async fn remove_issuer(&self, before: Timestamp, issuer: &Issuer) -> Result<(), StoreError> {
        let remove = self.0.db.change(&[Part::Issuers, Part::RevokedBefore], |tx| {
            Box::pin(async move { self.remove_issuer_in(tx, before, issuer).await })
        });
        remove.await
    }

    /// [`Store::remove_issuer`] as a part of a transaction.
    pub(super) async fn remove_issuer_in(
        &self,
        tx: &mut Tx<'_>,
        before: Timestamp,
        issuer: &Issuer,
    ) -> Result<(), StoreError> {
        let delete = "DELETE FROM issuers WHERE issuer = $1";
        found(tx.execute(delete, values![issuer.as_str()]).await?, issuer)?;
        revoke_before(tx, SUBJECT, issuer.as_str(), ALL_SUBJECTS, before).await?;
        let change = Change::issuer("issuer removed", issuer);
        self.record_change(tx, change.with("revoked_before", before.as_seconds())).await.map(drop)
    }

    /// Whether the issuer was removed, which revoked the tokens for all its subjects, since this store exists.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn was_issuer_removed(&self, issuer: &Issuer) -> Result<bool, StoreError> {
        let read = "SELECT COUNT(*) FROM revoked_before WHERE kind = $1 AND issuer = $2 AND name = $3";
        let rows: i64 = self.0.db.value(read, values![SUBJECT, issuer.as_str(), ALL_SUBJECTS]).await?;
        Ok(rows > 0)
    }

    /// All issuers, sorted by identifier.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub async fn issuers(&self) -> Result<Vec<IssuerRecord>, StoreError> {
        let rows: Vec<Row> = self.0.db.all(SELECT_ISSUERS, &[]).await?;
        rows.into_iter().map(read_issuer).collect()
    }

    /// One issuer.
    ///
    /// # Errors
    /// If it is not on the list, or the store fails or is damaged.
    pub async fn issuer(&self, issuer: &Issuer) -> Result<IssuerRecord, StoreError> {
        let read = "SELECT issuer, enabled, trust, created_at FROM issuers WHERE issuer = $1";
        let row: Option<Row> = self.0.db.find(read, values![issuer.as_str()]).await?;
        row.map(read_issuer).unwrap_or_else(|| Err(StoreError::NoSuchIssuer { issuer: issuer.clone() }))
    }
}

async fn present_trust(tx: &mut Tx<'_>, issuer: &Issuer) -> Result<Trust, StoreError> {
    let read = "SELECT trust FROM issuers WHERE issuer = $1";
    let present: Option<String> = tx.find_value(read, values![issuer.as_str()]).await?;
    let present = present.ok_or_else(|| StoreError::NoSuchIssuer { issuer: issuer.clone() })?;
    read_trust(&present, issuer.as_str())
}

/// Checks new trust in a registered issuer.
async fn check_change(
    tx: &mut Tx<'_>,
    issuer: &Issuer,
    before: &Trust,
    after: &Trust,
) -> Result<(), StoreError> {
    check_values(before, after)?;
    check_prefix(tx, issuer, before.subject_prefix.as_deref(), after.subject_prefix.as_deref()).await
}

/// Checks the values, except for a fault that an earlier version registered.
pub(super) fn check_values(before: &Trust, after: &Trust) -> Result<(), StoreError> {
    match after.check() {
        Err(fault) if before.check().as_ref() != Err(&fault) => Err(fault.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Refuses a prefix that is new for the issuer and by which its users could have names of another issuer's users. An overlap that an
/// earlier version registered stays until one of the two is changed.
async fn check_prefix(
    tx: &mut Tx<'_>,
    issuer: &Issuer,
    before: Option<&str>,
    after: Option<&str>,
) -> Result<(), StoreError> {
    let Some(prefix) = after.filter(|prefix| before != Some(*prefix)) else { return Ok(()) };
    let rows: Vec<Row> = tx.all(SELECT_ISSUERS, &[]).await?;
    let others: Vec<IssuerRecord> = rows.into_iter().map(read_issuer).collect::<Result<_, _>>()?;
    let others = others.iter().map(|record| (&record.trusted.issuer, &record.trusted.trust));
    check_prefix_among(issuer, prefix, others)
}

/// Refuses a prefix that overlaps with that of another issuer.
pub(super) fn check_prefix_among<'a>(
    issuer: &Issuer,
    prefix: &str,
    mut others: impl Iterator<Item = (&'a Issuer, &'a Trust)>,
) -> Result<(), StoreError> {
    let overlapping = |(other, trust): (&'a Issuer, &'a Trust)| {
        let taken = trust.subject_prefix.as_ref().filter(|taken| prefixes_overlap(prefix, taken));
        taken.filter(|_| other != issuer).map(|taken| (other, taken))
    };
    match others.find_map(overlapping) {
        None => Ok(()),
        Some((by, taken)) => {
            Err(StoreError::PrefixTaken { prefix: prefix.into(), taken: taken.clone(), by: by.clone() })
        }
    }
}

fn found(rows: u64, issuer: &Issuer) -> Result<(), StoreError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::NoSuchIssuer { issuer: issuer.clone() }) }
}

fn to_json(trust: &Trust) -> Result<String, StoreError> {
    serde_json::to_string(trust).map_err(|_| StoreError::damaged("the trust to be written"))
}

fn read_trust(trust: &str, issuer: &str) -> Result<Trust, StoreError> {
    serde_json::from_str(trust).map_err(|_| StoreError::damaged(format!("the issuer {issuer:?}")))
}

fn read_issuer((issuer, enabled, trust, created_at): Row) -> Result<IssuerRecord, StoreError> {
    let trusted = TrustedIssuer {
        issuer: Issuer::foreign(&issuer)
            .map_err(|_| StoreError::damaged(format!("the issuer {issuer:?}")))?,
        enabled: enabled != 0,
        trust: read_trust(&trust, &issuer)?,
    };
    Ok(IssuerRecord { trusted, created_at: time(created_at)? })
}

/// The issuers in memory, by exact identifier, and in the order in which they were registered.
#[derive(Clone, Default)]
pub(crate) struct TrustedIssuers {
    by_name: HashMap<Box<str>, Arc<TrustedIssuer>>,
    in_order: BTreeMap<(Timestamp, Box<str>), Arc<TrustedIssuer>>,
}

impl TrustedIssuers {
    pub(crate) fn add(&mut self, row: Row) -> Result<(), StoreError> {
        let IssuerRecord { trusted, created_at } = read_issuer(row)?;
        let (name, trusted): (Box<str>, _) = (trusted.issuer.as_str().into(), Arc::new(trusted));
        self.in_order.insert((created_at, name.clone()), Arc::clone(&trusted));
        self.by_name.insert(name, trusted);
        Ok(())
    }

    /// The rows that they were read from, in the order in which they were registered.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Result<Row, StoreError>> {
        self.in_order.iter().map(|((created_at, name), trusted)| {
            let trust = to_json(&trusted.trust)?;
            Ok((name.to_string(), trusted.enabled.into(), trust, created_at.as_seconds()))
        })
    }

    /// Disables the issuer, if there is one.
    pub(crate) fn disable(&mut self, issuer: &str) {
        let Some(trusted) = self.by_name.get_mut(issuer) else { return };
        Arc::make_mut(trusted).enabled = false;
        let disabled = Arc::clone(trusted);
        if let Some(other) = self.in_order.values_mut().find(|other| other.issuer.as_str() == issuer) {
            *other = disabled;
        }
    }

    pub(crate) fn find(&self, issuer: &str) -> Option<&Arc<TrustedIssuer>> {
        self.by_name.get(issuer)
    }

    pub(crate) fn in_order(&self) -> impl Iterator<Item = &TrustedIssuer> {
        self.in_order.values().map(AsRef::as_ref)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }
}
