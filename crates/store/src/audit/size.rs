//! How much the audit holds.

use crate::error::StoreError;
use crate::store::Store;

/// The extent of the audit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditSize {
    /// The number of its records.
    pub records: i64,
    /// The number of chains.
    pub chains: i64,
    /// The rows of the database that hold the records.
    pub rows: i64,
    /// The length of the records, in bytes, without what the database needs for rows and indexes.
    pub bytes: i64,
    /// When the oldest row was made, in milliseconds since 1970.
    pub oldest: Option<i64>,
    /// When the youngest was made.
    pub youngest: Option<i64>,
}

impl Store {
    /// Counts the records. It reads every row, but not its text.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn audit_size(&self) -> Result<AuditSize, StoreError> {
        let read = self.0.db.moment(|tx| {
            Box::pin(async {
                let heads = "SELECT CAST(COALESCE(SUM(number - first + 1), 0) AS BIGINT), COUNT(*) FROM audit_heads";
                let heads: Option<(i64, i64)> = tx.find(heads, &[]).await?;
                let rows = "SELECT COUNT(*), CAST(COALESCE(SUM(octet_length(record)), 0) AS BIGINT), MIN(at), MAX(at) FROM audit_records";
                let rows: Option<(i64, i64, Option<i64>, Option<i64>)> = tx.find(rows, &[]).await?;
                Ok((heads.unwrap_or_default(), rows.unwrap_or_default()))
            })
        });
        let ((records, chains), (rows, bytes, oldest, youngest)) = read.await?;
        Ok(AuditSize { records, chains, rows, bytes, oldest, youngest })
    }
}
