//! Clients and their secrets as rows of the database.

use crate::database::{Tx, time, values};
use crate::error::StoreError;
use crate::registrations::known_rights::{KnownRights, from_json};
use tokenberg_core::registration::StoredSecret;
use tokenberg_core::{Client, ClientId, Rights, SecretDigest, Timestamp};

/// A client as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientRecord {
    /// The identifier that it presents.
    pub id: ClientId,
    /// Whether it is enabled. A disabled client and its tokens are refused.
    pub enabled: bool,
    /// What it may do.
    pub rights: Rights,
    /// When it was added.
    pub created_at: Timestamp,
    /// Its secrets, the oldest first, expired ones included.
    pub secrets: Vec<SecretRecord>,
}

/// A secret as the operator sees it: everything but its text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretRecord {
    /// Its name.
    pub id: Box<str>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it expires; `None` means never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to about a minute; `None` means never.
    pub last_used_at: Option<Timestamp>,
}

// Clients with their secrets; the rows of a client follow each other.
pub(crate) const SELECT_CLIENTS: &str = "SELECT c.id, c.enabled, c.rights, c.created_at, s.id, s.digest, s.created_at, s.expires_at, s.last_used_at \
     FROM clients c LEFT JOIN client_secrets s ON s.client_id = c.id \
     ORDER BY c.id, s.created_at, s.id";
pub(crate) const SELECT_CLIENT: &str = "SELECT c.id, c.enabled, c.rights, c.created_at, s.id, s.digest, s.created_at, s.expires_at, s.last_used_at \
     FROM clients c LEFT JOIN client_secrets s ON s.client_id = c.id \
     WHERE c.id = $1 ORDER BY c.id, s.created_at, s.id";
// Both databases have `replace`; each has a function of its own that finds a text.
pub(crate) const SELECT_CLIENTS_AFTER: &str = "SELECT c.id, c.enabled, c.rights, c.created_at, s.id, s.digest, s.created_at, s.expires_at, s.last_used_at \
     FROM clients c LEFT JOIN client_secrets s ON s.client_id = c.id \
     WHERE c.id IN (SELECT id FROM clients WHERE id > $1 AND ($2 = '' OR replace(id, $2, '') <> id) ORDER BY id LIMIT $3) \
     ORDER BY c.id, s.created_at, s.id";
pub(crate) const SELECT_CHANGED_CLIENTS: &str = "SELECT c.id, c.enabled, c.rights, c.created_at, s.id, s.digest, s.created_at, s.expires_at, s.last_used_at \
     FROM clients c LEFT JOIN client_secrets s ON s.client_id = c.id \
     JOIN changed_clients h ON h.id = c.id WHERE h.revision > $1 ORDER BY c.id, s.created_at, s.id";
pub(crate) const SELECT_CHANGED_IDS: &str = "SELECT id FROM changed_clients WHERE revision > $1";

/// Adds a client, and marks it as changed. Returns `false` if the identifier is taken.
pub(crate) async fn insert_client(
    tx: &mut Tx<'_>,
    id: &ClientId,
    rights: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let insert = "INSERT INTO clients (id, enabled, rights, created_at) VALUES ($1, 1, $2, $3) ON CONFLICT (id) DO NOTHING";
    let is_added = tx.execute(insert, values![id.as_str(), rights, now]).await? == 1;
    mark_client_changed(tx, id).await?;
    Ok(is_added)
}

/// Adds a secret to a client.
pub(crate) async fn insert_secret(
    tx: &mut Tx<'_>,
    client: &ClientId,
    secret: &StoredSecret,
    now: Timestamp,
) -> Result<(), StoreError> {
    let insert = "INSERT INTO client_secrets (client_id, id, digest, created_at) VALUES ($1, $2, $3, $4)";
    let values = values![client.as_str(), secret.id.as_str(), &secret.digest.0, now];
    tx.execute(insert, values).await.map(drop)
}

/// Marks the client as changed or removed, so that watchers read it again.
pub(crate) async fn mark_client_changed(tx: &mut Tx<'_>, id: &ClientId) -> Result<(), StoreError> {
    let mark = "INSERT INTO changed_clients (id, revision) SELECT $1, number FROM revisions WHERE part = 'clients' \
                ON CONFLICT (id) DO UPDATE SET revision = excluded.revision";
    tx.execute(mark, values![id.as_str()]).await.map(drop)
}

/// Client: identifier, enabled, rights, creation. Secret: name, digest, creation, end, last use.
pub(crate) type Row =
    (String, i64, String, i64, Option<String>, Option<Vec<u8>>, Option<i64>, Option<i64>, Option<i64>);

/// A client as it is stored.
pub(crate) struct ClientRow {
    id: ClientId,
    enabled: bool,
    rights: Rights,
    created_at: Timestamp,
    secrets: Vec<SecretRow>,
}

struct SecretRow {
    secret: StoredSecret,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
}

/// Collects the rows of a client.
#[derive(Default)]
pub(crate) struct Gathering(Option<ClientRow>);

impl Gathering {
    /// Adds a row. Returns the previous client when the row belongs to the next one.
    pub(crate) fn add(&mut self, row: Row) -> Result<Option<ClientRow>, StoreError> {
        let (id, enabled, rights, created_at, secret, digest, secret_created_at, expires_at, last_used_at) =
            row;
        let mut complete = None;
        if self.0.as_ref().is_none_or(|c| c.id.as_str() != id) {
            let next = ClientRow {
                id: id.parse().map_err(|_| StoreError::damaged(format!("the client {id:?}")))?,
                enabled: enabled != 0,
                rights: from_json(&rights, &id)?,
                created_at: time(created_at)?,
                secrets: Vec::new(),
            };
            complete = self.0.replace(next);
        }
        if let (Some(row), Some(secret), Some(digest), Some(created_at)) =
            (&mut self.0, secret, digest, secret_created_at)
        {
            let digest = digest
                .try_into()
                .map_err(|_| StoreError::damaged(format!("a secret of the client {:?}", row.id.as_str())))?;
            let expires_at = expires_at.map(time).transpose()?;
            row.secrets.push(SecretRow {
                secret: StoredSecret { id: secret.into(), digest: SecretDigest(digest), expires_at },
                created_at: time(created_at)?,
                last_used_at: last_used_at.map(time).transpose()?,
            });
        }
        Ok(complete)
    }

    /// Returns the last client.
    pub(crate) fn finish(self) -> Option<ClientRow> {
        self.0
    }
}

impl ClientRow {
    pub(crate) fn into_client(self, known: &KnownRights) -> Client {
        let secrets: Vec<_> = self.secrets.into_iter().map(|row| row.secret).collect();
        let rights = known.share(self.rights);
        let mut client = Client::new(self.id, secrets, rights);
        client.enabled = self.enabled;
        client
    }

    pub(crate) fn into_record(self) -> ClientRecord {
        let record = |row: SecretRow| SecretRecord {
            id: row.secret.id.as_str().into(),
            created_at: row.created_at,
            expires_at: row.secret.expires_at,
            last_used_at: row.last_used_at,
        };
        ClientRecord {
            id: self.id,
            enabled: self.enabled,
            rights: self.rights,
            created_at: self.created_at,
            secrets: self.secrets.into_iter().map(record).collect(),
        }
    }
}
