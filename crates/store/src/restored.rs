//! Acknowledges that the database was restored to an earlier state: what was valid between that state and now is valid no more;
//! conformance OP-10, SE-06.

use crate::audit::restores::{LOST, RESTORED, to_json};
use crate::audit::{Change, append_to_installation};
use crate::database::{Part, Tx, values};
use crate::error::StoreError;
use crate::keys::delete_key;
use crate::revocations::NewRevocation;
use crate::single_use::{ISSUED_FROM, issued_from};
use crate::store::Store;
use tokenberg_core::jws::{KeyId, KeyMaterial};
use tokenberg_core::{Issuer, Timestamp};

/// What [`Store::restored`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// The signing keys that were revoked.
    pub revoked_keys: Vec<KeyId>,
    /// The issuers whose tokens from before were revoked.
    pub issuers: Vec<Issuer>,
    /// How many statements of servers about records that the restore lost were acknowledged.
    pub lost_records: usize,
    /// The record of the chain `installation` that acknowledges the restore.
    pub record: i64,
}

impl Store {
    /// Makes everything from before `now` invalid, because the store may have lost what revoked it: `key` signs at once, all other signing
    /// keys are revoked, tokens of issuers and single-use identifiers that were issued before are refused. A record acknowledges the
    /// restore, as [`Store::acknowledge_restore`] does.
    ///
    /// # Errors
    /// If the store fails. The keys are replaced in one transaction, with the record; a repetition completes the rest.
    pub async fn restored(&self, now: Timestamp, key: &KeyMaterial) -> Result<Restored, StoreError> {
        let lost = self.lost_records().await?;
        let (lost, of_lost) = (lost.len(), &to_json(&lost));
        let replace = self.0.db.change(&[Part::Keys], |tx| {
            Box::pin(async move {
                let revoked_keys = self.replace_keys(tx, now, key).await?;
                // Those of the time of the backup. A server that runs now records itself again.
                tx.execute("DELETE FROM nodes", &[]).await?;
                let put = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
                tx.execute(put, values![ISSUED_FROM, &issued_from(now.as_seconds())]).await?;
                let event = Change::event(RESTORED).with("before", now.as_seconds()).with(LOST, of_lost.clone());
                Ok((revoked_keys, self.record_change(tx, event).await?))
            })
        });
        let (revoked_keys, record) = replace.await?;
        // Also of an issuer whose trust this version cannot read.
        let names: Vec<(String,)> = self.0.db.all("SELECT issuer FROM issuers ORDER BY issuer", &[]).await?;
        let issuers: Vec<Issuer> = names.iter().filter_map(|(name,)| name.parse().ok()).collect();
        for issuer in &issuers {
            self.revoke(&NewRevocation::Issuer { issuer: issuer.clone(), before: now }).await?;
        }
        Ok(Restored { revoked_keys, issuers, lost_records: lost, record })
    }

    /// Acknowledges that chains of the audit went back because the database was restored: `verify_audit` does not report any more what is
    /// lost by now. Changes nothing else. Returns how many statements about lost records there are; without any, it writes nothing.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn acknowledge_restore(&self) -> Result<usize, StoreError> {
        let lost = self.lost_records().await?;
        let event = &Change::event(RESTORED).with(LOST, to_json(&lost)).with("source", self.source());
        if !lost.is_empty() {
            let write = self
                .0
                .db
                .change(&[], |tx| Box::pin(append_to_installation(tx, &self.0.links, event.clone())));
            write.await?;
        }
        Ok(lost.len())
    }

    /// Removes all signing keys and adds the new one, with the record of a rotation, which every version can read.
    async fn replace_keys(
        &self,
        tx: &mut Tx<'_>,
        now: Timestamp,
        key: &KeyMaterial,
    ) -> Result<Vec<KeyId>, StoreError> {
        let ids: Vec<(String,)> = tx.all("SELECT id FROM signing_keys ORDER BY id", &[]).await?;
        let ids: Vec<KeyId> = ids.iter().map(|(id,)| KeyId::new(id)).collect();
        for id in &ids {
            delete_key(tx, id).await?;
        }
        self.insert_key(tx, key).await?;
        let names: Vec<&str> = ids.iter().map(KeyId::as_str).collect();
        let change =
            Change::key("key added", key).with("dropped", names).with("ending", Vec::<String>::new());
        self.record_change(tx, change.with("end", now.as_seconds())).await?;
        Ok(ids)
    }
}
