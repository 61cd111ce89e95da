//! Removes expired records from the beginning of each chain. The rest still verifies and says where it begins; before records of
//! the installation's chain are removed, it repeats everything that is configured.

use crate::audit::read::SELECT_RECORDS;
use crate::audit::row::count;
use crate::audit::verify::node_begun;
use crate::audit::{Break, Change, INSTALLATION, Row};
use crate::database::{Tx, values};
use crate::error::StoreError;
use crate::store::Store;
use tokenberg_core::Timestamp;

/// How many records one transaction removes, or one row of more, so that others wait for milliseconds at most.
const BATCH: i64 = 1000;

/// The first record of the installation's chain that names a chain of which something is kept.
const SELECT_NEEDED: &str =
    "SELECT MIN(begun) FROM audit_heads WHERE chain <> $1 AND (number >= first OR at >= $2)";

impl Store {
    /// Removes records from before a time, and returns how many. It lets others in between.
    ///
    /// They are verified first: what was tampered with stays, and everything after it in its chain.
    ///
    /// # Errors
    /// If the store fails, or a chain does not verify; what was removed until then stays removed.
    pub async fn expire_audit(&self, before: Timestamp) -> Result<u64, StoreError> {
        let before = before.as_seconds() * 1000;
        let mut removed = 0;
        let mut broken = None;
        // Nodes first: the installation keeps naming those of which something is kept.
        let mut chains = self.audit_chains().await?;
        chains.sort_by_key(|chain| chain == INSTALLATION);
        for chain in chains {
            match self.remove_beginning(&chain, before, &mut removed).await {
                Ok(()) => {}
                Err(error @ StoreError::AuditBroken { .. }) => broken = Some(error),
                Err(error) => return Err(error),
            }
        }
        broken.map_or(Ok(removed), Err)
    }

    async fn remove_beginning(&self, chain: &str, before: i64, removed: &mut u64) -> Result<(), StoreError> {
        let limit = if chain == INSTALLATION { self.stated_until(before).await? } else { i64::MAX };
        loop {
            match self.remove_first(chain, before, limit).await? {
                0 => return Ok(()),
                some => *removed += some,
            }
        }
    }

    /// The first record of the installation's chain that has to stay so that the chain is complete. Repeats everything that is
    /// configured if that keeps expired records.
    async fn stated_until(&self, before: i64) -> Result<i64, StoreError> {
        let kept_from = self.kept_from(INSTALLATION, before).await?;
        let needed: Option<i64> = self.0.db.value(SELECT_NEEDED, values![INSTALLATION, before]).await?;
        let end = kept_from.min(needed.unwrap_or(i64::MAX));
        let known = self.audit_complete_as_of().await?;
        let stays = known.map_or(0, |as_of| as_of + 1);
        if end <= stays || !self.begins_before(INSTALLATION, end).await? {
            return Ok(stays);
        }
        Ok(self.state_everything(known).await? + 1)
    }

    /// The number of the first record that is younger than a time; if there is none, the number behind the last.
    async fn kept_from(&self, chain: &str, before: i64) -> Result<i64, StoreError> {
        // Expired records are at the beginning, so the search starts there: `+at` uses no index of times.
        let read = "SELECT number FROM audit_records WHERE chain = $1 AND +at >= $2 ORDER BY number LIMIT 1";
        let young: Option<i64> = self.0.db.find_value(read, values![chain, before]).await?;
        Ok(self.number_before(chain, young).await? + 1)
    }

    /// Removes some of the first records of a chain, none from `limit` on.
    async fn remove_first(&self, chain: &str, before: i64, limit: i64) -> Result<u64, StoreError> {
        let kept_from = self.kept_from(chain, before).await?.min(limit);
        if !self.begins_before(chain, kept_from).await? {
            return Ok(0);
        }
        let remove = self.0.db.change(&[], |tx| Box::pin(self.remove_rows(tx, chain, before, kept_from)));
        remove.await
    }

    /// Verifies and removes some of the first rows of a chain, none from `kept_from` on.
    async fn remove_rows(
        &self,
        tx: &mut Tx<'_>,
        chain: &str,
        before: i64,
        kept_from: i64,
    ) -> Result<u64, StoreError> {
        let broken = |number: i64, what: Break| StoreError::AuditBroken {
            chain: chain.to_owned(),
            number,
            what: what.to_string(),
        };
        tx.execute("UPDATE audit_heads SET chain = chain WHERE chain = $1", values![chain]).await?;
        let read = "SELECT first, before, anchor, number FROM audit_heads WHERE chain = $1";
        let found: Option<(i64, Vec<u8>, Vec<u8>, i64)> = tx.find(read, values![chain]).await?;
        let Some((first, mut hash, anchor, last)) = found else { return Err(broken(1, Break::Head)) };
        if self.0.links.anchor(chain, first, &hash).as_slice() != anchor {
            return Err(broken(first, Break::Anchor));
        }
        let mut end = kept_from.min(last + 1);
        if chain == INSTALLATION {
            let needed: Option<i64> = tx.value(SELECT_NEEDED, values![chain, before]).await?;
            end = end.min(needed.unwrap_or(i64::MAX));
        }
        if end <= first {
            return Ok(0);
        }
        let to = end.min(first + BATCH) - 1;
        let rows: Vec<Row> = tx.all(SELECT_RECORDS, values![chain, first - 1, to]).await?;
        // The first record that is not known to be right.
        let mut number = first;
        let mut begun = Vec::new();
        for (found, at, text, stored) in rows {
            hash = self.0.links.link(chain, found, at, &text, &hash).to_vec();
            if found != number + count(&text) - 1 || hash != stored {
                return Err(broken(number, Break::Changed));
            }
            number = found + 1;
            begun.extend(node_begun(&text).filter(|_| chain == INSTALLATION));
        }
        // A head expires together with the record that names it. If it is missing before, the chain was removed, and this
        // record is the evidence.
        for node in begun {
            let there: i64 =
                tx.value("SELECT COUNT(*) FROM audit_heads WHERE chain = $1", values![&node]).await?;
            if there == 0 {
                let what = Break::Gone.to_string();
                return Err(StoreError::AuditBroken { chain: node, number: 1, what });
            }
        }
        if number == first || number > end {
            return Err(broken(number.min(end), Break::Removed));
        }
        let end = number;
        for remove in [
            "DELETE FROM audit_records WHERE chain = $1 AND number < $2",
            "DELETE FROM audit_segments WHERE chain = $1 AND number < $2",
        ] {
            tx.execute(remove, values![chain, end]).await?;
        }
        let anchor = self.0.links.anchor(chain, end, &hash);
        let update = "UPDATE audit_heads SET first = $2, before = $3, anchor = $4 WHERE chain = $1";
        tx.execute(update, values![chain, end, &hash, &anchor]).await?;
        if chain == INSTALLATION {
            let delete = "DELETE FROM audit_heads WHERE chain <> $1 AND begun < $2";
            tx.execute(delete, values![chain, end]).await?;
        }
        Ok(u64::try_from(end - first).unwrap_or(0))
    }

    /// How many records [`Store::expire_audit`] would remove now, if no chain is damaged, and of how many chains.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn expired_audit(&self, before: Timestamp) -> Result<(u64, usize), StoreError> {
        let before = before.as_seconds() * 1000;
        let (mut records, mut chains, mut needed) = (0, 0, i64::MAX);
        let mut all = self.audit_chains().await?;
        // As when they are removed: the installation keeps naming the chains of which something is kept then.
        all.sort_by_key(|chain| chain == INSTALLATION);
        for chain in all {
            let mut end = self.kept_from(&chain, before).await?;
            if chain == INSTALLATION {
                end = end.min(needed);
            } else {
                let read = "SELECT begun FROM audit_heads WHERE chain = $1 AND (number >= $2 OR at >= $3)";
                let begun = self.0.db.find_value::<i64>(read, values![&chain, end, before]).await?;
                needed = begun.map_or(needed, |begun| needed.min(begun));
            }
            let first = self.audit_first(&chain).await?.unwrap_or(end);
            if let Some(expired) = u64::try_from(end - first).ok().filter(|expired| *expired > 0) {
                records += expired;
                chains += 1;
            }
        }
        Ok((records, chains))
    }

    /// Removes records from before a time as [`Store::expire_audit`] does, after a record that says so. Returns how many.
    ///
    /// # Errors
    /// As [`Store::expire_audit`].
    pub async fn prune_audit(&self, before: Timestamp) -> Result<u64, StoreError> {
        let (records, chains) = self.expired_audit(before).await?;
        if records == 0 {
            return Ok(0);
        }
        let change = Change::new("audit pruned")
            .with("before", before.as_seconds())
            .with("records", records)
            .with("chains", chains);
        let record = self.0.db.change(&[], |tx| Box::pin(self.record_change(tx, change.clone())));
        record.await?;
        self.expire_audit(before).await
    }

    async fn begins_before(&self, chain: &str, number: i64) -> Result<bool, StoreError> {
        Ok(self.audit_first(chain).await?.is_some_and(|first| first < number))
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use crate::audit::{INSTALLATION, now};
    use crate::{Discrepancy, KekSource, Store, StoreUrl};
    use tokenberg_core::registration::AllowedScope;
    use tokenberg_core::{Rights, Timestamp};

    #[tokio::test]
    async fn op_20_se_06_removals_by_a_node_of_the_previous_version_are_repaired_without_a_false_alarm() {
        let directory = tempfile::tempdir().unwrap();
        let url = StoreUrl::sqlite(&directory.path().join("db"));
        let store = Store::open(&url, KekSource::File(url.key_file().unwrap())).await.unwrap();
        let rights = Rights::new(AllowedScope::Every);
        let at = Timestamp::from_seconds(1_800_000_000).unwrap();
        store.add_client(at, &"c1".parse().unwrap(), &rights, None).await.map(drop).unwrap();
        // As that version does: it removes all old records, and repeats nothing before.
        let in_an_hour = now() + 3_600_000;
        assert_eq!(store.remove_first(INSTALLATION, in_an_hour, i64::MAX).await, Ok(2));
        let report = store.verify_audit().await.unwrap();
        assert!(report.is_whole() && report.uncompared == 1, "{report:?}");
        store.complete_audit().await.unwrap();
        let report = store.verify_audit().await.unwrap();
        assert!(report.is_whole() && report.uncompared == 0, "{report:?}");
        let write = store.0.db.sqlite_writer().unwrap();
        sqlx::query("UPDATE clients SET enabled = 0").execute(write).await.unwrap();
        let differences = store.verify_audit().await.unwrap().differences;
        assert_eq!(differences[0].what, Discrepancy::Changed("enabled".to_owned()));
        // Nothing is repeated while it is not needed.
        let last = report.chains[0].last;
        store.complete_audit().await.unwrap();
        assert_eq!(store.verify_audit().await.unwrap().chains[0].last, last);
    }
}
