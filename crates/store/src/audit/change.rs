//! What did the operator change? A record in the transaction of the change itself, so that there is not one without the other.

use serde_json::{Map, Value};
use tokenberg_core::{ClientId, Issuer, KeyId, KeyMaterial, Timestamp};

/// What is written of a change.
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
        Self::key_named(what, &key.id)
            .with("alg", key.algorithm.as_str())
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

    pub(crate) fn into_text(self) -> String {
        Value::Object(self.0).to_string()
    }
}

/// Adds a record to the chain of the installation, as the last thing that a transaction does. Its number.
///
/// Locks the head until the end, so that the writers of this chain queue up.
macro_rules! note {
    ($store:expr, $connection:expr, $change:expr) => {{
        use $crate::audit::{Block, Head, INSTALLATION};
        let links = &$store.0.links;
        let lock = "UPDATE audit_heads SET chain = chain WHERE chain = $1";
        let locked = sqlx::query(lock).bind(INSTALLATION).execute(&mut *$connection).await?.rows_affected();
        if locked == 0 {
            let head = Head::new(INSTALLATION, 0, $crate::audit::now());
            insert_head!($connection, links, &head);
            sqlx::query(lock).bind(INSTALLATION).execute(&mut *$connection).await?;
        }
        let read = "SELECT number, hash FROM audit_heads WHERE chain = $1";
        let (number, hash): (i64, Vec<u8>) =
            sqlx::query_as(read).bind(INSTALLATION).fetch_one(&mut *$connection).await?;
        let hash =
            hash.try_into().map_err(|_| $crate::error::StoreError::damaged("the head of the audit"))?;
        let at = $crate::audit::now();
        let from = Head { number, hash, ..Head::new(INSTALLATION, 0, at) };
        let mut head = from.clone();
        let text = $change.with("source", $store.source()).into_text();
        let row = head.extend(links, Block::of_one(at, text));
        insert_records!($connection, INSTALLATION, std::slice::from_ref(&row));
        move_head!($connection, links, &from, &head);
        head.number
    }};
}
