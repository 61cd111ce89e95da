//! What an operator watches in the store: how large and how old the audit is, and when secrets end. Each is read without reading the
//! records.

use crate::database::{StoreConnections, TransactionTimes, time, values};
use crate::error::StoreError;
use crate::store::Store;
use tokenberg_core::Timestamp;

/// The records of all chains: a chain has all numbers from its first record to its last.
const COUNT: &str = "SELECT CAST(COALESCE(SUM(number - first + 1), 0) AS BIGINT) FROM audit_heads";

/// The first row of each chain is found by the primary key.
const OLDEST: &str = "SELECT MIN((SELECT r.at FROM audit_records r WHERE r.chain = h.chain ORDER BY r.number LIMIT 1)) \
                      FROM audit_heads h";

/// SQLite knows the size of a table only by reading it.
const SQLITE_BYTES: &str = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
const POSTGRES_BYTES: &str = "SELECT pg_total_relation_size('audit_records')";

/// Clients without a secret that never expires, and with an end of the last one. Few secrets have an end.
const FIRST_END: &str = "SELECT MIN(ends_at) FROM (SELECT client_id, MAX(expires_at) AS ends_at FROM client_secrets \
    WHERE expires_at > $1 GROUP BY client_id) AS ending \
    WHERE NOT EXISTS (SELECT 1 FROM client_secrets s WHERE s.client_id = ending.client_id AND s.expires_at IS NULL) \
    AND EXISTS (SELECT 1 FROM clients c WHERE c.id = ending.client_id AND c.enabled = 1)";

/// The content of a store as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreMeasures {
    /// The number of audit records.
    pub audit_records: u64,
    /// When the oldest audit record was made, to the second; of several in one row, the youngest counts.
    pub audit_since: Option<Timestamp>,
    /// The bytes that the audit takes with its indexes. On SQLite those of the whole file, without its `-wal` file; `None` if the
    /// database does not report them.
    pub audit_bytes: Option<u64>,
    /// When the first enabled client is left without a live secret, if none is added; `None` if none has an end.
    pub first_secret_end: Option<Timestamp>,
}

impl Store {
    /// Measures the store at `now`.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub async fn measures(&self, now: Timestamp) -> Result<StoreMeasures, StoreError> {
        let db = &self.0.db;
        let records: i64 = db.value(COUNT, &[]).await?;
        let since: Option<i64> = db.value(OLDEST, &[]).await?;
        let bytes = db.value::<i64>(if db.has_server() { POSTGRES_BYTES } else { SQLITE_BYTES }, &[]).await;
        let bytes = match bytes {
            Ok(bytes) => u64::try_from(bytes).ok(),
            Err(error) if error.is_unavailable() => return Err(error),
            // Other databases with PostgreSQL's protocol have no such function.
            Err(_) => None,
        };
        let end: Option<i64> = db.value(FIRST_END, values![now]).await?;
        Ok(StoreMeasures {
            audit_records: u64::try_from(records).unwrap_or(0),
            audit_since: since.map(|at| time(at / 1000)).transpose()?,
            audit_bytes: bytes,
            first_secret_end: end.map(time).transpose()?,
        })
    }

    /// How long the transactions of this process have taken.
    #[must_use]
    pub fn transaction_times(&self) -> Vec<TransactionTimes> {
        self.0.db.activity().times()
    }

    /// The connections of this process to the database.
    #[must_use]
    pub fn connections(&self) -> StoreConnections {
        self.0.db.connections()
    }
}
