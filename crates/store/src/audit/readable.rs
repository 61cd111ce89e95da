//! Which rows of a chain a search has to read, by the summaries of its records.

use crate::audit::segment::{MOST, hash, may_contain};
use crate::audit::selection::AuditSelection;
use crate::database::values;
use crate::error::StoreError;
use crate::store::Store;

/// The schema from which the summaries exist.
const SCHEMA: i64 = 7;

/// Last number, first number, time of the row with the last one, names, seal.
type SummaryRow = (i64, i64, i64, Vec<u8>, Vec<u8>);

impl Store {
    /// The parts of a chain after one number and up to another that may have selected records, in order: each as the number before
    /// its first record, and its last.
    pub(super) async fn readable(
        &self,
        chain: &str,
        (after, to): (i64, i64),
        selection: &AuditSelection,
    ) -> Result<Vec<(i64, i64)>, StoreError> {
        let wanted: Vec<u64> = selection.names().into_iter().map(|(role, name)| hash(role, name)).collect();
        if wanted.is_empty() || self.schema().from < SCHEMA {
            return Ok(vec![(after, to)]);
        }
        // The time of the row and not its hash, which SQLite finds behind all records of the row only.
        let read = "SELECT s.number, s.first, r.at, s.names, s.seal FROM audit_segments s \
                    JOIN audit_records r ON r.chain = s.chain AND r.number = s.number \
                    WHERE s.chain = $1 AND s.number > $2 AND s.number < $3 ORDER BY s.number";
        let rows: Vec<SummaryRow> =
            self.0.db.all(read, values![chain, after, to.saturating_add(MOST)]).await?;
        let (mut readable, mut begin) = (Vec::new(), after);
        for (number, first, at, names, seal) in rows {
            let may_have = wanted.iter().all(|hash| may_contain(&names, *hash));
            let is_ours = || self.0.links.segment(chain, first, (number, at), &names).as_slice() == seal;
            if may_have || first > to || !is_ours() {
                continue;
            }
            if first - 1 > begin {
                readable.push((begin, first - 1));
            }
            begin = begin.max(number);
        }
        if begin < to {
            readable.push((begin, to));
        }
        Ok(readable)
    }
}
