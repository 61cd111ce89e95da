//! Looks through the clients a screen at a time, however many there are.

use crate::database::{time, values};
use crate::error::StoreError;
use crate::registrations::client_rows::{ClientRecord, ClientRow, Gathering, SELECT_CLIENTS_AFTER};
use crate::store::Store;
use tokenberg_core::{ClientId, Lifetime, Timestamp};

/// A live secret with an end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndingSecret {
    /// The client.
    pub client: ClientId,
    /// The name of the secret.
    pub secret_id: Box<str>,
    /// Its end.
    pub expires_at: Timestamp,
}

impl Store {
    /// At most `most` clients whose identifiers contain `part` and follow `after`, in the order of the database.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub async fn clients_after(
        &self,
        part: &str,
        after: &str,
        most: u32,
    ) -> Result<Vec<ClientRecord>, StoreError> {
        let rows = self.0.db.all(SELECT_CLIENTS_AFTER, values![after, part, i64::from(most)]).await?;
        let (mut clients, mut gathering) = (Vec::new(), Gathering::default());
        for row in rows {
            clients.extend(gathering.add(row)?);
        }
        clients.extend(gathering.finish());
        Ok(clients.into_iter().map(ClientRow::into_record).collect())
    }

    /// At most `most` live secrets that end within this time from `now`, the next one first.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub async fn ending_secrets(
        &self,
        now: Timestamp,
        within: Lifetime,
        most: u32,
    ) -> Result<Vec<EndingSecret>, StoreError> {
        let read = "SELECT client_id, id, expires_at FROM client_secrets \
                    WHERE expires_at > $1 AND expires_at <= $2 ORDER BY expires_at, client_id, id LIMIT $3";
        let values = values![now, now.plus(within), i64::from(most)];
        let rows: Vec<(String, String, i64)> = self.0.db.all(read, values).await?;
        rows.into_iter()
            .map(|(client, secret_id, end)| {
                let (client, expires_at) = (client_id(&client)?, time(end)?);
                Ok(EndingSecret { client, secret_id: secret_id.into(), expires_at })
            })
            .collect()
    }
}

fn client_id(id: &str) -> Result<ClientId, StoreError> {
    id.parse().map_err(|_| StoreError::damaged(format!("the client {id:?}")))
}
