//! Verifies the audit: every chain from its first record that is kept to its head, what the chains say of each other, and whether
//! the store is configured as it was recorded.

use crate::audit::claims::{Claims, ClaimsOfOne, check, greatest};
use crate::audit::differences::{add_unreadable, differences};
use crate::audit::ledger::Ledger;
use crate::audit::report::{AuditReport, Break, ChainReport};
use crate::audit::restores::{Acknowledged, Lost};
use crate::audit::row::records;
use crate::audit::walk::{AuditMoment, Extent};
use crate::audit::{Head, INSTALLATION, Row, StoreLoss, now};
use crate::error::StoreError;
use crate::hex::to_hex;
use crate::store::Store;
use std::collections::{HashMap, HashSet};

/// How many records are read at once.
const PAGE: i64 = 1000;

/// What a record contains that follows a head with a wrong seal. Quotation marks inside of texts are escaped.
const AFTER_FOREIGN_HEAD: &str = "\"foreign_head\":true";

/// The chains that the installation's chain names, with the numbers of the records that name them.
type Named = HashMap<String, i64>;

impl Store {
    /// Verifies every record, what the chains say of each other, and what is configured. Writes nothing. Records that are written
    /// meanwhile are not checked.
    ///
    /// # Errors
    /// If the store fails. What was tampered with is no error but in the report.
    pub async fn verify_audit(&self) -> Result<AuditReport, StoreError> {
        let mut report = self.verify_once().await?;
        // Records may have expired while the chains were read.
        for _ in 0..2 {
            if report.is_whole() {
                break;
            }
            report = self.verify_once().await?;
        }
        Ok(report)
    }

    /// Whether the record that has this number in the chain has this hash, in hexadecimal digits; or has been removed for its age.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn has_audit_record(&self, chain: &str, number: i64, hash: &str) -> Result<bool, StoreError> {
        if let Some(found) = self.audit_hash(chain, number).await? {
            return Ok(to_hex(&found) == hash);
        }
        Ok(self.audit_first(chain).await?.is_some_and(|first| first > number))
    }

    /// Statements about records that do not exist, and that no acknowledged restore explains, of chains that are intact otherwise.
    pub(crate) async fn lost_records(&self) -> Result<Vec<Lost>, StoreError> {
        Ok(self.verified().await?.1)
    }

    async fn verify_once(&self) -> Result<AuditReport, StoreError> {
        Ok(self.verified().await?.0)
    }

    async fn verified(&self) -> Result<(AuditReport, Vec<Lost>), StoreError> {
        let moment = self.audit_moment().await?;
        let mut claims = Claims::default();
        if let Some(complete) = moment.complete {
            claims.add(INSTALLATION, complete.number, complete.hash);
        }
        if let Some(installation) = moment.installation() {
            self.read_claims(installation, &mut claims).await?;
        }
        let mut chains = Vec::new();
        for extent in moment.chains.iter().filter(|extent| extent.chain != INSTALLATION) {
            chains.push(self.verify_chain(extent, &mut claims, |_| {}).await?);
        }
        let first = moment.installation().map_or(1, |extent| extent.first);
        let mut ledger = Ledger::new(&self.0.links, first);
        let mut named = Named::new();
        let mut foreign = None;
        let mut acknowledged = Acknowledged::default();
        let mut losses = Vec::new();
        if let Some(installation) = moment.installation() {
            let read = |(number, at, text, _): &Row| {
                ledger.read(*number, text);
                acknowledged.read(*number, *at, text);
                losses.extend(StoreLoss::read(*at, text));
                named.extend(node_begun(text).map(|node| (node, *number)));
                if foreign.is_none() && text.contains(AFTER_FOREIGN_HEAD) {
                    foreign = Some((*number, Break::Head));
                }
            };
            let report = self.verify_chain(installation, &mut claims, read).await?;
            chains.insert(0, ChainReport { broken: report.broken.or(foreign), ..report });
        }
        if let Some((number, what)) =
            chains.first().filter(|c| c.chain == INSTALLATION).and_then(|c| c.broken)
        {
            // Without a valid head and anchor, no row was verified.
            let is_read = !matches!(what, Break::Head | Break::Anchor);
            claims.distrust_installation_from(if is_read { number } else { 0 });
        }
        acknowledged.settle(&mut claims);
        let mut lost = Vec::new();
        for report in &mut chains {
            let claims = claims.take(&report.chain);
            self.judge(report, claims, &mut lost).await?;
        }
        let left: Vec<Lost> = claims.all().collect();
        self.add_missing(&moment, &claims_left(claims), &named, &mut chains);
        lost.extend(left.into_iter().filter(|(gone, ..)| chains.iter().any(|report| report.chain == *gone)));
        let is_whole = chains.first().is_some_and(|c| c.chain == INSTALLATION && c.broken.is_none());
        if is_whole {
            for (extent, report) in reported(&moment, &mut chains) {
                if report.broken.is_none() {
                    report.broken = extent.head.as_ref().and_then(|head| check_name(head, &named));
                }
            }
        }
        let (mut differences, uncompared) =
            if is_whole { differences(&ledger, &moment.inventory, now() / 1000) } else { (Vec::new(), 0) };
        add_unreadable(&mut differences, &moment.unreadable);
        let schema = self.schema_differences().await?;
        let restores = acknowledged.restores;
        Ok((AuditReport { chains, differences, schema, restores, uncompared, losses }, lost))
    }

    /// Reads the claims of the installation's chain about those of nodes, before its rows are verified.
    async fn read_claims(&self, installation: &Extent, claims: &mut Claims) -> Result<(), StoreError> {
        let mut number = installation.first.saturating_sub(1);
        // No further than the heads of the moment, which the claims are checked against.
        let end = installation.head.as_ref().map_or(0, |head| head.number);
        while number < end {
            let page = self.audit_page(INSTALLATION, number, PAGE.min(end.saturating_sub(number))).await?;
            let Some((last, ..)) = page.last() else { break };
            number = *last;
            page.iter().for_each(|(number, _, text, _)| claims.read(INSTALLATION, *number, text));
        }
        Ok(())
    }

    async fn verify_chain(
        &self,
        extent: &Extent,
        claims: &mut Claims,
        mut read: impl FnMut(&Row),
    ) -> Result<ChainReport, StoreError> {
        let chain = extent.chain.as_str();
        let mut report = ChainReport::broken(chain, None);
        if let Some(head) = &extent.head {
            report = ChainReport { last: head.number, hash: head.hash, ended: head.ended, ..report };
            report.first = extent.first;
        } else {
            report.last = extent.last_row().max(0);
        }
        let mut of_this = claims.take(chain);
        let broken = self.walk(extent, |row| {
            let (number, at, text, hash) = row;
            check(&mut of_this, *number, hash);
            if chain != INSTALLATION {
                claims.read(chain, *number, text);
            }
            if report.since.is_none() {
                report.since = records(*at, text).next().map(|(at, _)| at);
            }
            read(row);
        });
        report.broken = broken.await?;
        if extent.anchored_first().is_some() {
            // Expired records existed.
            report.witnessed = report.witnessed.max(extent.first - 1);
        }
        claims.put(chain, of_this);
        Ok(report)
    }

    /// Checks the claims about a chain that the walk has not settled.
    async fn judge(
        &self,
        report: &mut ChainReport,
        claims: ClaimsOfOne,
        lost: &mut Vec<Lost>,
    ) -> Result<(), StoreError> {
        report.witnessed = report.witnessed.max(greatest(&claims));
        if report.broken.is_some() {
            return Ok(());
        }
        if report.witnessed > report.last {
            report.broken = Some((report.last.saturating_add(1), Break::TurnedBack));
        }
        for ((number, hash), claim) in claims {
            let holds = match (claim.holds, hash) {
                _ if number > report.last => false,
                (Some(holds), _) => holds,
                // Expired, or written by an older version without a hash.
                (None, _) if number < report.first => true,
                (None, None) => true,
                (None, Some(hash)) => {
                    let found = self.audit_hash(&report.chain, number).await?;
                    found.is_some_and(|found| found == hash)
                }
            };
            if !holds {
                report.broken = report.broken.or(Some((number, Break::Rewritten)));
                lost.push((report.chain.clone(), number, hash));
            }
        }
        Ok(())
    }

    /// Adds chains that have no head, or that are missing altogether.
    fn add_missing(
        &self,
        moment: &AuditMoment,
        claimed: &HashMap<String, (i64, Option<i64>)>,
        named: &Named,
        chains: &mut Vec<ChainReport>,
    ) {
        let there: HashSet<&str> = moment.chains.iter().map(|extent| extent.chain.as_str()).collect();
        let is_missing = |chain: &&String| !there.contains(chain.as_str());
        let first = moment.installation().and_then(Extent::anchored_first);
        // A chain that began before the first record of the installation's chain has expired.
        let is_missed = |begun: Option<i64>| match (begun, first) {
            (Some(begun), Some(first)) => begun >= first,
            (Some(_) | None, _) => false,
        };
        let said = claimed.iter().filter(|(_, (_, begun))| is_missed(*begun)).map(|(chain, _)| chain);
        let all = named.keys().chain(said).chain(&moment.headless).filter(is_missing);
        let mut missing: Vec<&String> = all.filter(|chain| *chain != INSTALLATION).collect();
        missing.sort();
        missing.dedup();
        let report = |chain: &str| {
            let has_records = moment.headless.iter().any(|other| other == chain);
            let what = if has_records { Break::Head } else { Break::Gone };
            let witnessed = claimed.get(chain).map_or(0, |(number, _)| *number);
            ChainReport { witnessed, ..ChainReport::broken(chain, Some((1, what))) }
        };
        chains.extend(missing.into_iter().map(|chain| report(chain)));
        let has_any = !chains.is_empty() || !moment.headless.is_empty() || claimed.contains_key(INSTALLATION);
        if has_any && !there.contains(INSTALLATION) {
            chains.insert(0, report(INSTALLATION));
        }
    }
}

/// For each missing chain: the greatest number at which it was witnessed, and the record that names it.
fn claims_left(mut claims: Claims) -> HashMap<String, (i64, Option<i64>)> {
    let chains: Vec<String> = claims.chains().cloned().collect();
    let left = |chain: String| {
        let claims = claims.take(&chain);
        let begun = claims.values().filter_map(|claim| claim.begun).max();
        (chain, (greatest(&claims), begun))
    };
    chains.into_iter().map(left).collect()
}

/// The chains of nodes, with their reports.
fn reported<'a>(
    moment: &'a AuditMoment,
    chains: &'a mut [ChainReport],
) -> impl Iterator<Item = (&'a Extent, &'a mut ChainReport)> {
    let extents: HashMap<&str, &Extent> =
        moment.chains.iter().map(|extent| (extent.chain.as_str(), extent)).collect();
    chains.iter_mut().filter(|report| report.chain != INSTALLATION).filter_map(move |report| {
        let extent = *extents.get(report.chain.as_str())?;
        Some((extent, report))
    })
}

fn check_name(head: &Head, named: &Named) -> Option<(i64, Break)> {
    (named.get(&head.chain) != Some(&head.begun)).then_some((1, Break::Unnamed))
}

/// The chain that this record of the installation's chain names, if it is the begin of a node.
pub(super) fn node_begun(text: &str) -> Option<String> {
    // Rows of the installation's chain hold one record each.
    if !text.contains("\"node began\"") {
        return None;
    }
    let record = serde_json::from_str::<serde_json::Value>(text).ok()?;
    (record["event"] == "node began").then(|| record["node"].as_str().map(str::to_owned))?
}
