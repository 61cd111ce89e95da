//! Which records are old enough to go? The first ones of each chain; what is left still verifies, and says where it begins.

use crate::audit::read::SELECT_RECORDS;
use crate::audit::row::count;
use crate::audit::{Break, INSTALLATION, Row};
use crate::error::StoreError;
use crate::store::Store;
use tokenberg_core::Timestamp;

/// How many records one transaction removes, or one row of more, so that others wait for milliseconds at most.
const BATCH: i64 = 1000;

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
            loop {
                match self.remove_first(&chain, before).await {
                    Ok(0) => break,
                    Ok(some) => removed += some,
                    Err(error @ StoreError::AuditBroken { .. }) => {
                        broken = Some(error);
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        broken.map_or(Ok(removed), Err)
    }

    /// Removes some of the first records of a chain.
    async fn remove_first(&self, chain: &str, before: i64) -> Result<u64, StoreError> {
        // Those that go are at the beginning, so that is where it is looked for: `+at` uses no index of times.
        let read = "SELECT number FROM audit_records WHERE chain = $1 AND +at >= $2 ORDER BY number LIMIT 1";
        let young: Option<i64> = read!(&self.0.db, connection => {
            sqlx::query_scalar(read).bind(chain).bind(before).fetch_optional(connection).await
        })?;
        let kept_from = self.number_before(chain, young).await? + 1;
        if !self.begins_before(chain, kept_from).await? {
            return Ok(0);
        }
        let broken = |number: i64, what: Break| StoreError::AuditBroken {
            chain: chain.to_owned(),
            number,
            what: what.to_string(),
        };
        change!(&self.0.db, [], connection => {
            sqlx::query("UPDATE audit_heads SET chain = chain WHERE chain = $1")
                .bind(chain)
                .execute(&mut *connection)
                .await?;
            let read = "SELECT first, before, anchor, number FROM audit_heads WHERE chain = $1";
            let found: Option<(i64, Vec<u8>, Vec<u8>, i64)> =
                sqlx::query_as(read).bind(chain).fetch_optional(&mut *connection).await?;
            let Some((first, mut hash, anchor, last)) = found else { return Err(broken(1, Break::Head)) };
            if self.0.links.anchor(chain, first, &hash).as_slice() != anchor {
                return Err(broken(first, Break::Anchor));
            }
            let mut end = kept_from.min(last + 1);
            if chain == INSTALLATION {
                let read = "SELECT MIN(begun) FROM audit_heads WHERE chain <> $1 AND (number >= first OR at >= $2)";
                let needed: Option<i64> = sqlx::query_scalar(read)
                    .bind(chain)
                    .bind(before)
                    .fetch_one(&mut *connection)
                    .await?;
                end = end.min(needed.unwrap_or(i64::MAX));
            }
            if end <= first {
                return Ok(0);
            }
            let rows: Vec<Row> = sqlx::query_as(SELECT_RECORDS)
                .bind(chain)
                .bind(first - 1)
                .bind(end.min(first + BATCH) - 1)
                .fetch_all(&mut *connection)
                .await?;
            // The first record that is not known to be right.
            let mut number = first;
            for (found, at, text, stored) in rows {
                hash = self.0.links.link(chain, found, at, &text, &hash).to_vec();
                if found != number + count(&text) - 1 || hash != stored {
                    return Err(broken(number, Break::Changed));
                }
                number = found + 1;
            }
            if number == first || number > end {
                return Err(broken(number.min(end), Break::Removed));
            }
            let end = number;
            sqlx::query("DELETE FROM audit_records WHERE chain = $1 AND number < $2")
                .bind(chain)
                .bind(end)
                .execute(&mut *connection)
                .await?;
            sqlx::query("UPDATE audit_heads SET first = $2, before = $3, anchor = $4 WHERE chain = $1")
                .bind(chain)
                .bind(end)
                .bind(hash.as_slice())
                .bind(self.0.links.anchor(chain, end, &hash).as_slice())
                .execute(&mut *connection)
                .await?;
            if chain == INSTALLATION {
                sqlx::query("DELETE FROM audit_heads WHERE chain <> $1 AND begun < $2")
                    .bind(chain)
                    .bind(end)
                    .execute(&mut *connection)
                    .await?;
            }
            Ok(u64::try_from(end - first).unwrap_or(0))
        })
    }

    async fn begins_before(&self, chain: &str, number: i64) -> Result<bool, StoreError> {
        let read = "SELECT first FROM audit_heads WHERE chain = $1";
        let first: Option<i64> = read!(&self.0.db, connection => {
            sqlx::query_scalar(read).bind(chain).fetch_optional(connection).await
        })?;
        Ok(first.is_some_and(|first| first < number))
    }
}
