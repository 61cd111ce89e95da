//! Compares the tables with what the installation's chain says: rights that were granted, and restrictions that were lifted, by a
//! statement of SQL.

use crate::audit::facts::{Fact, FactName, Facts, Kind, Name};
use crate::audit::inventory::Inventory;
use crate::audit::ledger::{Entry, Ledger};
use crate::single_use::DEAD_SECRETS;
use std::collections::BTreeSet;
use std::fmt;

/// Something that is configured otherwise than the installation's chain says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// What it is about, with its name: `client etl`.
    pub thing: String,
    /// How it differs.
    pub what: Discrepancy,
    /// The last record of the installation's chain about it, if there is one.
    pub record: Option<i64>,
}

/// How the store differs from the installation's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discrepancy {
    /// It is in the store, and no record says that it was added.
    Unrecorded,
    /// It was removed, and is in the store.
    PutBack,
    /// It is not in the store any more, and no record says that it was removed.
    Gone,
    /// A part of it, which is named here, is not as it was recorded.
    Changed(String),
    /// No server of this version can read it.
    Unreadable,
    /// A part of it, which is named here, was not as recorded when a command changed it.
    ChangedBefore(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { thing, what, record } = self;
        let record = |f: &mut fmt::Formatter<'_>| match record {
            Some(number) => write!(f, "record {number} of the chain installation"),
            None => f.write_str("the chain installation"),
        };
        match what {
            Discrepancy::Unrecorded => write!(f, "{thing} is in the store without a record"),
            Discrepancy::PutBack => {
                write!(f, "{thing} is in the store, although it was removed by ")?;
                record(f)
            }
            Discrepancy::Gone => {
                write!(f, "{thing} was removed from the store without a record; it was there by ")?;
                record(f)
            }
            Discrepancy::Unreadable => write!(
                f,
                "{thing} cannot be read by a server: none starts with it, and those that run do not follow its changes"
            ),
            Discrepancy::Changed(part) => {
                write!(f, "{thing} has another value of {part:?} than in ")?;
                record(f)
            }
            Discrepancy::ChangedBefore(part) => {
                write!(f, "{thing} had another value of {part:?} than recorded when it was changed by ")?;
                record(f)
            }
        }
    }
}

/// An expired secret that is removed this much too early may have been removed by a server whose clock was ahead.
const TOLERANCE: i64 = 24 * 3600;

/// All differences, and how many things could not be compared because the chain has no record of them.
pub(crate) fn differences(ledger: &Ledger<'_>, inventory: &Inventory, now: i64) -> (Vec<Difference>, u64) {
    let is_complete = ledger.complete_as_of().is_some();
    let mut found = Vec::new();
    let mut unstated = 0;
    for (name, facts) in inventory {
        match ledger.things().get(name) {
            Some(Entry { facts: Some(stated), is_partial, number }) if !(is_complete && *is_partial) => {
                unstated += u64::from(*is_partial);
                let parts = changed(stated, facts, *is_partial, now);
                found.extend(parts.map(|part| {
                    let what = Discrepancy::Changed(part.to_string());
                    (name, Difference { thing: name.to_string(), what, record: Some(*number) })
                }));
            }
            Some(Entry { facts: None, number, .. }) => {
                let (what, record) = (Discrepancy::PutBack, Some(*number));
                found.push((name, Difference { thing: name.to_string(), what, record }));
            }
            Some(_) | None if is_complete => {
                let what = Discrepancy::Unrecorded;
                found.push((name, Difference { thing: name.to_string(), what, record: None }));
            }
            Some(_) | None => unstated += 1,
        }
    }
    for (name, entry) in ledger.things() {
        let Some(stated) = &entry.facts else { continue };
        if !inventory.contains_key(name) && !may_be_gone(name, stated, now) {
            let (what, record) = (Discrepancy::Gone, Some(entry.number));
            found.push((name, Difference { thing: name.to_string(), what, record }));
        }
    }
    found.extend(ledger.gaps().iter().map(|gap| {
        let what = Discrepancy::ChangedBefore(gap.fact.to_string());
        (&gap.name, Difference { thing: gap.name.to_string(), what, record: Some(gap.number) })
    }));
    found.sort_by_key(|(name, _)| *name);
    (found.into_iter().map(|(_, difference)| difference).collect(), unstated)
}

/// Adds rows that no server can read, unless another difference of the same thing is known.
pub(crate) fn add_unreadable(found: &mut Vec<Difference>, unreadable: &BTreeSet<Name>) {
    for thing in unreadable.iter().map(ToString::to_string) {
        if found.iter().all(|difference| difference.thing != thing) {
            found.push(Difference { thing, what: Discrepancy::Unreadable, record: None });
        }
    }
}

/// Whether it is a revocation that has expired.
fn may_be_gone(name: &Name, stated: &Facts, now: i64) -> bool {
    name.kind == Kind::RevokedId
        && matches!(stated.get(&FactName::Until), Some(Fact::Number(until)) if until <= now)
}

/// The parts that are not as they were stated.
fn changed<'a>(
    stated: &'a Facts,
    present: &'a Facts,
    is_partial: bool,
    now: i64,
) -> impl Iterator<Item = &'a FactName> {
    let differs = move |(name, fact): &(&FactName, Fact)| match (present.get(name), fact) {
        (_, Fact::Unknown) => false,
        (Some(present), stated) => present != *stated,
        (None, Fact::Number(end)) if matches!(name, FactName::SecretEnd(_)) => {
            *end > now - DEAD_SECRETS + TOLERANCE
        }
        // The end of the secret is reported instead.
        (None, _) => !matches!(name, FactName::SecretDigest(_)),
    };
    let is_new =
        move |(name, _): &(&FactName, Fact)| !is_partial && stated.get(name).is_none() && names_part(name);
    stated.iter().filter(differs).chain(present.iter().filter(is_new)).map(|(name, _)| name)
}

/// A secret is reported by its end, not by its digest as well.
fn names_part(name: &FactName) -> bool {
    !matches!(name, FactName::SecretDigest(_))
}
