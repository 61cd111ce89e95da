//! The record of a change by the operator. It is written in the transaction of the change, so that neither exists without the
//! other.

use crate::audit::{Links, tag_of_digest};
use serde_json::{Map, Value};
use tokenberg_core::jws::{KeyId, KeyMaterial};
use tokenberg_core::registration::StoredSecret;
use tokenberg_core::{ClientId, Issuer, Timestamp};

/// The field of a record that follows a head with a wrong seal.
pub(crate) const FOREIGN_HEAD: &str = "foreign_head";

/// The event of the first record of a new store, in which nothing is configured.
pub(crate) const STORE_MADE: &str = "store made";

/// The record of a change or of an event.
#[derive(Clone)]
pub(crate) struct Change(Map<String, Value>);

impl Change {
    /// The record of a change of this kind.
    pub(crate) fn new(what: &str) -> Self {
        Self(Map::new()).with("change", what)
    }

    /// The record of an event of a process, which changes no configuration.
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

    /// Adds the algorithm and the times of a key, and the device that holds it.
    pub(crate) fn with_key(self, key: &KeyMaterial) -> Self {
        let change = self
            .with("alg", key.algorithm.as_str())
            .with("created_at", key.created_at.as_seconds())
            .with("signs_from", key.signs_from.as_seconds())
            .with("verifies_until", key.verifies_until.map(Timestamp::as_seconds));
        match key.private.device() {
            Some(device) => change.with("device", &*device.uri),
            None => change,
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a column that holds JSON.
    pub(crate) fn with_json(self, name: &str, json: &str) -> Self {
        self.with(name, serde_json::from_str::<Value>(json).unwrap_or_else(|_| json.into()))
    }

    /// Adds the name of a secret, and a keyed hash of its digest.
    pub(crate) fn with_secret(self, links: &Links, secret: &StoredSecret) -> Self {
        let tag = tag_of_digest(links, &secret.digest.0).to_json();
        self.with("secret", secret.id.as_str()).with("secret_tag", tag)
    }

    /// Whether the change takes rights away and gives none.
    pub(crate) fn only_restricts(&self) -> bool {
        const RESTRICTING: [&str; 4] = ["revoked", "client disabled", "issuer disabled", "subject disabled"];
        self.0.get("change").and_then(Value::as_str).is_some_and(|what| RESTRICTING.contains(&what))
    }

    pub(crate) fn into_text(self) -> String {
        Value::Object(self.0).to_string()
    }
}
