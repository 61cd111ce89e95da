//! Opens the page of a server with a code that works once.

use crate::audit::Change;
use crate::database::values;
use crate::error::StoreError;
use crate::store::Store;
use ring::rand::{SecureRandom, SystemRandom};
use tokenberg_core::{Secret, Timestamp};

impl Store {
    /// A code that [`Store::use_page_code`] accepts once, within five minutes, on any node of this store. Nothing is written.
    ///
    /// # Errors
    /// If the operating system provides no random numbers.
    pub fn page_code(&self, now: Timestamp) -> Result<Secret, StoreError> {
        let mut id = [0; 16];
        SystemRandom::new().fill(&mut id)?;
        Ok(Secret::new(self.0.page_codes.code(now, id)))
    }

    /// Uses a code up, and records that the page was opened from this address. Returns whether the code was good: of this store, not
    /// ended, not used before.
    ///
    /// # Errors
    /// If the store fails; then the code must be treated as used.
    pub async fn use_page_code(&self, code: &str, now: Timestamp, from: &str) -> Result<bool, StoreError> {
        let Some((end, id)) = self.0.page_codes.read(code, now) else { return Ok(false) };
        let id = &id;
        let used = self.0.db.change(&[], |tx| {
            Box::pin(async move {
                let insert = "INSERT INTO used_ids (namespace, id, until) VALUES ('page code', $1, $2) \
                              ON CONFLICT (namespace, id) DO NOTHING";
                if tx.execute(insert, values![id.as_str(), end]).await? == 0 {
                    return Ok(false);
                }
                let change = Change::event("page opened").with("from", from);
                self.record_change(tx, change).await.map(|_| true)
            })
        });
        used.await
    }
}
