//! The first key and the first client of a store.

use crate::audit::{Change, INSTALLATION};
use crate::database::{Part, values};
use crate::digest::NewSecret;
use crate::error::StoreError;
use crate::opening::OpeningError;
use crate::registrations::client_rows::{insert_client, insert_secret};
use crate::registrations::known_rights::to_json;
use crate::registrations::secrets::AddedSecret;
use crate::store::Store;
use tokenberg_core::jws::KeyMaterial;
use tokenberg_core::{ClientId, Rights, Timestamp};

/// What [`Store::bootstrap`] did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Bootstrap {
    /// Whether the key was added: the store had none.
    pub key_added: bool,
    /// The secret of the client, if the client was added: the store had neither a client nor a key.
    pub root: Option<AddedSecret>,
}

impl Store {
    /// Adds the first key if the store has none, and the first client if it has neither a client nor a key, in one transaction.
    ///
    /// Of several processes that start on one store, exactly one does it.
    ///
    /// # Errors
    /// If the secret cannot be registered, the store had a key before, or the store fails.
    pub async fn bootstrap(
        &self,
        now: Timestamp,
        key: &KeyMaterial,
        root: &ClientId,
        rights: &Rights,
        secret: NewSecret,
    ) -> Result<Bootstrap, StoreError> {
        let root_secret = self.prepare(root, secret).await?;
        let rights = to_json(rights)?;
        let (rights, new_secret) = (&rights, &root_secret.stored);
        let add = self.0.db.change(&[Part::Clients, Part::Keys], |tx| {
            Box::pin(async move {
                let keys: i64 = tx.value("SELECT COUNT(*) FROM signing_keys", &[]).await?;
                let clients: i64 = tx.value("SELECT COUNT(*) FROM clients", &[]).await?;
                if keys > 0 {
                    return Ok((false, false));
                }
                // Quotation marks inside of texts are escaped, so no other record contains it.
                let had = "SELECT COUNT(*) FROM audit_records WHERE chain = $1 AND record LIKE '%\"key\"%'";
                let had: i64 = tx.value(had, values![INSTALLATION]).await?;
                if had > 0 {
                    return Err(OpeningError::KeysLost.into());
                }
                self.insert_key(tx, key).await?;
                self.record_change(tx, Change::key("key added", key)).await?;
                if clients > 0 {
                    return Ok((true, false));
                }
                insert_client(tx, root, rights, now).await?;
                insert_secret(tx, root, new_secret, now).await?;
                let change = Change::client("client added", root).with_json("rights", rights);
                self.record_change(tx, change.with_secret(&self.0.links, new_secret)).await?;
                Ok((true, true))
            })
        });
        let (key_added, root_added) = add.await?;
        Ok(Bootstrap { key_added, root: root_added.then_some(root_secret.added) })
    }
}
