//! What did the operator change? A record in the transaction of the change itself, so that there is not one without the other.

use crate::audit::{Links, tag_of_digest};
use crate::secrets::Prepared;
use serde_json::{Map, Value};
use tokenberg_core::{ClientId, Issuer, KeyId, KeyMaterial, Timestamp};

/// The field of a record that follows a head with a wrong seal.
pub(crate) const FOREIGN_HEAD: &str = "foreign_head";

/// What is written of a change.
#[derive(Clone)]
pub(crate) struct Change(Map<String, Value>);

impl Change {
    /// Of what kind it is.
    pub(crate) fn new(what: &str) -> Self {
        Self(Map::new()).with("change", what)
    }

    /// What happened to a process, and not to what is configured.
    pub(crate) fn event(what: &str) -> Self {
        Self(Map::new()).with("event", what)
    }

    pub(crate) fn client(what: &str, client: &ClientId) -> Self {
        Self::new(what).with("client", client.as_str())
    }

    pub(crate) fn issuer(what: &str, issuer: &Issuer) -> Self {
        Self::new(what).with("issuer", issuer.as_str())
    }

    pub(crate) fn key_named(what: &str, id: &KeyId) -> Self {
        Self::new(what).with("key", id.as_str())
    }

    pub(crate) fn key(what: &str, key: &KeyMaterial) -> Self {
        Self::key_named(what, &key.id).with_key(key)
    }

    /// With the algorithm and the times of a key.
    pub(crate) fn with_key(self, key: &KeyMaterial) -> Self {
        self.with("alg", key.algorithm.as_str())
            .with("created_at", key.created_at.as_seconds())
            .with("signs_from", key.signs_from.as_seconds())
            .with("verifies_until", key.verifies_until.map(Timestamp::as_seconds))
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// With what was written as JSON.
    pub(crate) fn with_json(self, name: &str, json: &str) -> Self {
        self.with(name, serde_json::from_str::<Value>(json).unwrap_or_else(|_| json.into()))
    }

    /// With the name of a secret, and a keyed hash of its digest.
    pub(crate) fn with_secret(self, links: &Links, secret: &Prepared) -> Self {
        self.with("secret", &*secret.added.secret_id)
            .with("secret_tag", tag_of_digest(links, &secret.digest.0).to_json())
    }

    pub(crate) fn into_text(self) -> String {
        Value::Object(self.0).to_string()
    }
}

/// Adds a record to the chain of the installation, as the last thing that a transaction does. Its number.
///
/// Locks the head until the end, so that the writers of this chain queue up.
macro_rules! note {
    ($store:expr, $connection:expr, $change:expr) => {{
        let change = $change.with("source", $store.source());
        append_to_installation!(&$store.0.links, $connection, change).number
    }};
}

/// The same for a store that is being opened. Returns the new head.
macro_rules! append_to_installation {
    ($links:expr, $connection:expr, $change:expr) => {{
        use $crate::audit::{Block, FOREIGN_HEAD, Head, HeadRow, INSTALLATION, SELECT_HEAD, read_head};
        let links: &$crate::audit::Links = $links;
        let lock = "UPDATE audit_heads SET chain = chain WHERE chain = $1";
        let locked = sqlx::query(lock).bind(INSTALLATION).execute(&mut *$connection).await?.rows_affected();
        if locked == 0 {
            let head = Head::new(INSTALLATION, 0, $crate::audit::now());
            insert_head!($connection, links, &head);
            sqlx::query(lock).bind(INSTALLATION).execute(&mut *$connection).await?;
        }
        let row: HeadRow =
            sqlx::query_as(SELECT_HEAD).bind(INSTALLATION).fetch_one(&mut *$connection).await?;
        let (number, hash) = (row.1, row.2.clone());
        let hash =
            hash.try_into().map_err(|_| $crate::error::StoreError::damaged("the head of the audit"))?;
        let at = $crate::audit::now();
        let from = Head { number, hash, ..Head::new(INSTALLATION, 0, at) };
        let mut head = from.clone();
        let change: $crate::audit::Change = $change;
        // The change is made all the same, but it must not turn a forged head into a sealed one unnoticed.
        let change = if read_head(links, row).is_some() { change } else { change.with(FOREIGN_HEAD, true) };
        let row = head.extend(links, Block::of_one(at, change.into_text()));
        insert_records!($connection, INSTALLATION, std::slice::from_ref(&row));
        move_head!($connection, links, &from, &head);
        head
    }};
}
