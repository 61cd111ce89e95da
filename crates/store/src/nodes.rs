//! The running servers of a store, as they record themselves in it; conformance OP-20.

use crate::database::{Numbers, Part, Progress, SELECT_PROGRESS, Tx, values};
use crate::error::StoreError;
use crate::store::Store;
use serde_json::{Map, Value};
use std::time::Duration;
use tokenberg_core::Timestamp;

/// A server that was seen longer ago than this has ended without a word, or cannot write to the store. It is three intervals of
/// heartbeats.
pub(crate) const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// How long the row of such a server is kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// Identifier, host, version, address, beginning, last seen, clock, fault, followed.
type Row = (String, String, String, String, i64, i64, Option<i64>, String, String);

const SELECT_NODES: &str = "SELECT id, host, version, address, began_at, seen_at, clock, fault, followed FROM nodes \
    ORDER BY host, address, began_at, id";

/// How far the store has come, or how far a server has followed it: a number for each part, which every change of the part raises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position([Option<i64>; Part::ALL.len()]);

impl Position {
    pub(crate) fn of(numbers: &Numbers) -> Self {
        Self(numbers.map(Some))
    }

    /// The sum of the numbers, which every change of the store raises; the metric `tokenberg_snapshot_revision`.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.0.iter().flatten().sum()
    }

    /// How many changes up to `other` are missing here. Parts that only one of two versions knows do not count; of a position without any
    /// part nothing is known, so all are missing.
    #[must_use]
    pub fn behind(&self, other: &Self) -> i64 {
        if self.0.iter().all(Option::is_none) {
            return other.revision();
        }
        let both = self.0.iter().zip(&other.0).filter_map(|(own, other)| own.zip(*other));
        both.map(|(own, other)| other.saturating_sub(own).max(0)).sum()
    }

    pub(crate) fn to_json(&self) -> String {
        let number = |part: Part| Some((part.name().to_owned(), self.0[part as usize]?.into()));
        Value::Object(Part::ALL.into_iter().filter_map(number).collect()).to_string()
    }

    fn from_json(text: &str) -> Self {
        let numbers: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
        Self(Part::ALL.map(|part| numbers.get(part.name())?.as_i64()))
    }
}

/// A server that has recorded itself in the store and has not ended in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// Its random identifier; each start has a new one.
    pub id: String,
    /// The name of its machine; empty if it is not known.
    pub host: String,
    /// Its version.
    pub version: String,
    /// The URL at which it listens; empty if it is not known.
    pub address: String,
    /// When it began.
    pub since: Timestamp,
    /// When it was last seen, by the clock of the database.
    pub seen_at: Timestamp,
    /// How long ago that was.
    pub seen: Duration,
    /// How many milliseconds its clock is ahead of that of the database; `None` for SQLite, and while it is unknown.
    pub clock: Option<i64>,
    /// Why it cannot follow the store, if it cannot.
    pub fault: Option<String>,
    /// How far it has followed the store.
    pub followed: Position,
}

impl Node {
    /// Whether it was seen within the last 30 s.
    #[must_use]
    pub fn is_seen(&self) -> bool {
        self.seen <= SEEN_WITHIN
    }

    /// A row that no server writes is shown as far as it can be read: it must not hide the others.
    fn of(row: Row, now: i64) -> Self {
        let (id, host, version, address, began_at, seen_at, clock, fault, followed) = row;
        let time = |at: i64| Timestamp::from_seconds(at.div_euclid(1000)).unwrap_or(Timestamp::EPOCH);
        // After a step of the database's clock, it is not known when it was.
        let is_ahead = seen_at.saturating_sub(now) > milliseconds(SEEN_WITHIN);
        let seen = Duration::from_millis(u64::try_from(now.saturating_sub(seen_at)).unwrap_or(0));
        Self {
            since: time(began_at),
            seen_at: time(seen_at),
            id,
            host,
            version,
            address,
            seen: if is_ahead { KEPT_FOR + SEEN_WITHIN } else { seen },
            clock,
            fault: Some(fault).filter(|fault| !fault.is_empty()),
            followed: Position::from_json(&followed),
        }
    }
}

/// What a server records of itself.
pub(crate) struct Report<'a> {
    pub(crate) id: &'a str,
    pub(crate) runs_for: Duration,
    pub(crate) clock: Option<i64>,
    pub(crate) fault: &'a str,
    pub(crate) followed: &'a Position,
}

impl Store {
    /// How far the store has come.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub async fn position(&self) -> Result<Position, StoreError> {
        let progress = Progress::of(self.0.db.all(SELECT_PROGRESS, &[]).await?)?;
        Ok(Position::of(&progress.numbers))
    }

    /// The servers that have recorded themselves and have not ended in order, also those that were not seen for up to a day; sorted by
    /// host. Servers of versions before schema 6 record nothing, and a store with such a schema has none.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub async fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        let read = self.0.db.moment(|tx| {
            Box::pin(async move {
                let rows: Vec<Row> = tx.all(SELECT_NODES, &[]).await?;
                let now = now(tx).await?;
                Ok(rows.into_iter().map(|row| Node::of(row, now)).collect())
            })
        });
        match read.await {
            // The table does not exist: SQLITE_ERROR of SQLite, undefined_table of PostgreSQL.
            Err(StoreError::Database { code, .. }) if code == "1" || code == "42P01" => Ok(Vec::new()),
            nodes => nodes,
        }
    }

    /// Removes the servers that were not seen for a day.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn remove_old_nodes(&self) -> Result<u64, StoreError> {
        if self.nodes().await?.iter().all(|node| node.seen <= KEPT_FOR) {
            return Ok(0);
        }
        let remove = self.0.db.change(&[], |tx| {
            Box::pin(async move {
                let now = now(tx).await?;
                let (before, after) = (now - milliseconds(KEPT_FOR), now + milliseconds(SEEN_WITHIN));
                tx.execute("DELETE FROM nodes WHERE seen_at < $1 OR seen_at > $2", values![before, after])
                    .await
            })
        });
        remove.await
    }

    /// Records a server, and returns how many are seen, this one included. It raises no number, and does not wait for a disk or a
    /// standby: the next report repeats it.
    pub(crate) async fn put_node(&self, report: &Report<'_>) -> Result<i64, StoreError> {
        let fact = |name: &str| {
            self.node().iter().find(|(known, _)| *known == name).map_or("", |(_, fact)| fact.as_str())
        };
        let (host, version, address) = (fact("host"), fact("version"), fact("address"));
        let Report { id, runs_for, clock, fault, followed } = report;
        let (followed, runs_for) = (&followed.to_json(), milliseconds(*runs_for));
        let put = "INSERT INTO nodes (id, host, version, address, began_at, seen_at, clock, fault, followed) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, \
             clock = excluded.clock, fault = excluded.fault, followed = excluded.followed \
             RETURNING (SELECT COUNT(*) FROM nodes AS others WHERE others.id <> $1 AND others.seen_at >= $10)";
        let write = self.0.db.change(&[], |tx| {
            Box::pin(async move {
                let now = now(tx).await?;
                let seen_after = now - milliseconds(SEEN_WITHIN);
                let values = values![
                    *id,
                    host,
                    version,
                    address,
                    now - runs_for,
                    now,
                    *clock,
                    *fault,
                    followed,
                    seen_after
                ];
                Ok(1 + tx.value::<i64>(put, values).await?)
            })
        });
        write.await
    }

    /// Removes a server that ends.
    pub(crate) async fn remove_node(&self, id: &str) -> Result<(), StoreError> {
        let remove = self.0.db.change(&[], |tx| {
            Box::pin(async move {
                now(tx).await?;
                tx.execute("DELETE FROM nodes WHERE id = $1", values![id]).await.map(drop)
            })
        });
        remove.await
    }
}

/// The time of the database in milliseconds since 1970. The transaction does not wait for a disk or a standby from then on.
async fn now(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    let (now, _): (i64, Option<String>) =
        tx.find(tx.dialect().now_and_relaxed, &[]).await?.ok_or_else(|| StoreError::damaged("the time"))?;
    Ok(now)
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn op_20_a_position_is_compared_by_part_and_survives_versions_with_other_parts() {
        let numbers = |clients, keys| {
            let mut numbers = [1; Part::ALL.len()];
            (numbers[Part::Clients as usize], numbers[Part::Keys as usize]) = (clients, keys);
            Position::of(&numbers)
        };
        let (own, target) = (numbers(9, 3), numbers(4, 5));
        assert_eq!((own.behind(&target), target.behind(&own), own.behind(&own)), (2, 5, 0));
        assert_eq!(Position::from_json(&own.to_json()), own);
        let other = Position::from_json(r#"{"clients": 4, "keys": 4, "a part of a later version": 9}"#);
        assert_eq!((other.behind(&target), other.revision()), (1, 8));
        assert_eq!(Position::from_json("nothing").behind(&target), target.revision());
    }
}
