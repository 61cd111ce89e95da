//! The chain of the installation, as the writers of other chains need it.

use crate::audit::head::{HeadRow, SELECT_HEAD, read_head};
use crate::audit::witness::{HEADS, Witness, heads};
use crate::audit::{Change, Head, INSTALLATION};
use crate::database::values;
use crate::error::StoreError;
use crate::store::Store;

impl Store {
    /// Writes witnesses of other chains into the installation's chain. Returns the number of the record.
    pub(super) async fn witness_in_installation(
        &self,
        event: &str,
        witnesses: &[&Witness],
    ) -> Result<i64, StoreError> {
        let event = &Change::event(event).with(HEADS, heads(witnesses.iter().copied()));
        self.0.db.change(&[], |tx| Box::pin(self.record_change(tx, event.clone()))).await
    }

    /// The head of the installation's chain, if its seal is right.
    pub(super) async fn installation_head(&self) -> Result<Option<Head>, StoreError> {
        let row: Option<HeadRow> = self.0.db.find(SELECT_HEAD, values![INSTALLATION]).await?;
        Ok(row.and_then(|row| read_head(&self.0.links, row)))
    }
}
