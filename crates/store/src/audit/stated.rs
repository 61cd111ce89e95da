//! Repeats the recorded state of everything that is configured, so that older records of the installation's chain can expire and
//! `audit verify` still knows how each thing should be.
//!
//! The chain is repeated, not the tables: what was changed there by SQL stays a difference. Only what the chain does not say,
//! because an older version wrote or removed its records, is taken over from the tables, once.

use crate::audit::complete::{COMPLETE, Complete, SELECT_COMPLETE, opened, put_complete};
use crate::audit::facts::{Fact, FactName, Facts, Kind, Name};
use crate::audit::inventory::Inventory;
use crate::audit::ledger::{Ledger, STATED};
use crate::audit::walk::AuditMoment;
use crate::audit::witness::{HEADS, Witness, heads};
use crate::audit::{Change, INSTALLATION, append_to_installation, now};
use crate::database::values;
use crate::error::StoreError;
use crate::hex::to_hex;
use crate::single_use::DEAD_SECRETS;
use crate::store::Store;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};

/// The most things in one record, so that it has some tens of kilobytes at most.
const THINGS: usize = 100;

impl Store {
    /// The content of the row, if its seal is right.
    pub(crate) async fn audit_complete(&self) -> Result<Option<Complete>, StoreError> {
        let value: Option<Vec<u8>> = self.0.db.find_value(SELECT_COMPLETE, values![COMPLETE]).await?;
        Ok(value.and_then(|value| opened(&self.0.links, &value)))
    }

    /// The record up to which the installation's chain is known to be complete, if this is still the chain of which that was known.
    pub(crate) async fn audit_complete_as_of(&self) -> Result<Option<i64>, StoreError> {
        let Some(Complete { as_of, number, hash }) = self.audit_complete().await? else { return Ok(None) };
        let found = self.audit_hash(INSTALLATION, number).await?;
        Ok(found.is_some_and(|found| found == hash).then_some(as_of))
    }

    /// Completes the installation's chain, if an older version began it or removed records from it.
    pub(crate) async fn complete_audit(&self) -> Result<(), StoreError> {
        let first = self.audit_first(INSTALLATION).await?;
        let known = self.audit_complete_as_of().await?;
        match (known, first) {
            (_, None) => Ok(()),
            (Some(as_of), Some(first)) if as_of >= first - 1 => Ok(()),
            (Some(_) | None, Some(_)) => self.state_everything(known).await.map(drop),
        }
    }

    /// Writes what the chain says of everything, unless another process has done so since `known` was read. Returns the record up
    /// to which the chain is complete then.
    ///
    /// # Errors
    /// If the chain does not verify, or the store fails.
    pub(crate) async fn state_everything(&self, known: Option<i64>) -> Result<i64, StoreError> {
        let moment = self.audit_moment().await?;
        let Some(extent) = moment.installation() else { return Ok(0) };
        let as_of = extent.head.as_ref().map_or(0, |head| head.number);
        let mut ledger = Ledger::new(&self.0.links, extent.first);
        let broken = self.walk(extent, |(number, _, text, _)| ledger.read(*number, text)).await?;
        if let Some((number, what)) = broken {
            return Err(StoreError::AuditBroken {
                chain: INSTALLATION.to_owned(),
                number,
                what: what.to_string(),
            });
        }
        let replaced = self.replaced(&moment).await?;
        let things = things(&ledger, &moment.inventory, now() / 1000);
        let mut id = [0; 8];
        SystemRandom::new().fill(&mut id)?;
        let id = to_hex(&id);
        let parts: Vec<&[Value]> =
            if things.is_empty() { vec![&[]] } else { things.chunks(THINGS).collect() };
        // Reading takes a while, in which another process may have done the same.
        if let Some(other) = self.audit_complete_as_of().await?.filter(|other| Some(*other) > known) {
            return Ok(other);
        }
        for (part, things) in (1..).zip(&parts) {
            let is_last = part == parts.len();
            let mut change = Change::event(STATED);
            if let Some(replaced) = replaced.as_ref().filter(|_| part == 1) {
                change = change.with(HEADS, heads([replaced]));
            }
            let change = &change
                .with("as_of", as_of)
                .with("id", id.as_str())
                .with("part", part)
                .with("of", parts.len())
                .with("things", *things)
                .with("source", self.source());
            let write = self.0.db.change(&[], |tx| {
                Box::pin(async move {
                    let head = append_to_installation(tx, &self.0.links, change.clone()).await?;
                    if is_last {
                        put_complete(tx, &self.0.links, as_of, &head).await?;
                    }
                    Ok(())
                })
            });
            write.await?;
        }
        Ok(as_of)
    }

    /// The record that is known from outside of the chain, if the chain does not have it: it has to become part of the chain that
    /// replaced its own before the row is overwritten.
    async fn replaced(&self, moment: &AuditMoment) -> Result<Option<Witness>, StoreError> {
        let Some(Complete { number, hash, .. }) = moment.complete else { return Ok(None) };
        let is_kept = moment.installation().is_none_or(|extent| extent.first <= number);
        let found = self.audit_hash(INSTALLATION, number).await?;
        if !is_kept || found.is_some_and(|found| found == hash) {
            return Ok(None);
        }
        tracing::error!(
            number,
            "the audit chain of the installation was replaced; run: tokenberg audit verify"
        );
        Ok(Some(Witness { chain: INSTALLATION.to_owned(), number, hash: Some(hash), begun: Some(0) }))
    }
}

/// Everything that is to be stated, in a fixed order: kind, key, facts, and the record that said so.
fn things(ledger: &Ledger<'_>, inventory: &Inventory, now: i64) -> Vec<Value> {
    let is_complete = ledger.complete_as_of().is_some();
    let mut things: Vec<(&Name, Facts, Option<i64>)> = Vec::new();
    for (name, entry) in ledger.things() {
        // A thing that no record has added stays unrecorded, even if it was changed.
        let is_stated = !(is_complete && entry.is_partial);
        let Some(facts) = entry.facts.as_ref().filter(|_| is_stated) else { continue };
        let facts = filled(facts, inventory.get(name), entry.is_partial, now);
        let is_over = name.kind == Kind::RevokedId
            && matches!(facts.get(&FactName::Until), Some(Fact::Number(until)) if until <= now);
        if !is_over {
            things.push((name, facts, Some(entry.number)));
        }
    }
    if !is_complete {
        let unsaid = inventory.iter().filter(|(name, _)| !ledger.things().contains_key(name));
        things.extend(unsaid.map(|(name, facts)| (name, facts.clone(), None)));
    }
    things.sort_by_key(|(name, ..)| *name);
    let thing = |(name, facts, number): (&Name, Facts, Option<i64>)| {
        json!([name.kind.as_str(), &*name.key, facts.to_json(), number])
    };
    things.into_iter().map(thing).collect()
}

/// The facts, with unknown ones taken from the tables, and without secrets that expired long ago.
fn filled(stated: &Facts, present: Option<&Facts>, is_partial: bool, now: i64) -> Facts {
    let is_dead = |id: &str| {
        let end = stated.get(&FactName::SecretEnd(id.into()));
        matches!(end, Some(Fact::Number(end)) if end <= now - DEAD_SECRETS)
            && present.is_none_or(|present| present.get(&FactName::SecretEnd(id.into())).is_none())
    };
    let mut facts = Facts::default();
    for (name, fact) in stated.iter() {
        if let FactName::SecretEnd(id) | FactName::SecretDigest(id) = name
            && is_dead(id)
        {
            continue;
        }
        let fact = match (fact, present) {
            (Fact::Unknown, Some(present)) => present.get(name).unwrap_or(Fact::Unknown),
            (fact, _) => fact,
        };
        facts.set(name.clone(), fact);
    }
    if let (true, Some(present)) = (is_partial, present) {
        for (name, fact) in present.iter().filter(|(name, _)| stated.get(name).is_none()) {
            facts.set(name.clone(), fact);
        }
    }
    facts
}
