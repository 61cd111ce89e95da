//! Clients and their rights: registration, RFC 6749 §2.

use crate::audit::{Change, tag_of_text};
use crate::database::{Part, Tx, values};
use crate::digest::NewSecret;
use crate::error::StoreError;
use crate::registrations::client_rows::{
    ClientRecord, ClientRow, Gathering, SELECT_CLIENT, SELECT_CLIENTS, insert_client, insert_secret,
    mark_client_changed,
};
use crate::registrations::federations::record_federations;
use crate::registrations::known_rights::{from_json, new_to_json, to_json};
use crate::registrations::secrets::AddedSecret;
use crate::revocations::{CLIENT, OUR_CLIENTS, SUBJECT, revoke_before};
use crate::store::Store;
use tokenberg_core::registration::Federation;
use tokenberg_core::{ClientId, Rights, Timestamp};

impl Store {
    /// Adds a client, with a secret or without one. Returns the secret if there is one.
    ///
    /// # Errors
    /// If the identifier is taken, the secret or a federation is refused, or the store fails.
    pub async fn add_client(
        &self,
        now: Timestamp,
        id: &ClientId,
        rights: &Rights,
        secret: Option<NewSecret>,
    ) -> Result<Option<AddedSecret>, StoreError> {
        let federations = &rights.federations;
        let rights = new_to_json(rights)?;
        let prepared = match secret {
            Some(secret) => Some(self.prepare(id, secret).await?),
            None => None,
        };
        let mut change = Change::client("client added", id).with_json("rights", &rights);
        if let Some(prepared) = &prepared {
            change = change.with_secret(&self.0.links, &prepared.stored);
        }
        let (rights, secret, change) = (&rights, &prepared, &change);
        let add = self.0.db.change(&[Part::Clients], |tx| {
            Box::pin(async move {
                insert_new(tx, id, (rights.as_str(), federations.as_slice()), now).await?;
                if let Some(secret) = secret {
                    insert_secret(tx, id, &secret.stored, now).await?;
                }
                self.record_change(tx, change.clone()).await
            })
        });
        add.await?;
        Ok(prepared.map(|p| p.added))
    }

    /// Adds a client without a secret, as a part of a transaction that has no such client.
    pub(super) async fn add_client_in(
        &self,
        tx: &mut Tx<'_>,
        now: Timestamp,
        id: &ClientId,
        rights: &Rights,
    ) -> Result<(), StoreError> {
        let text = new_to_json(rights)?;
        insert_new(tx, id, (text.as_str(), rights.federations.as_slice()), now).await?;
        self.record_change(tx, Change::client("client added", id).with_json("rights", &text)).await.map(drop)
    }

    /// All clients, sorted by identifier.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub async fn clients(&self) -> Result<Vec<ClientRecord>, StoreError> {
        let read = self.0.db.moment(|tx| {
            Box::pin(async {
                let mut clients = Vec::new();
                let mut gathering = Gathering::default();
                let add = |row| {
                    clients.extend(gathering.add(row)?.map(ClientRow::into_record));
                    Ok(())
                };
                tx.each(SELECT_CLIENTS, &[], add).await?;
                clients.extend(gathering.finish().map(ClientRow::into_record));
                Ok(clients)
            })
        });
        let mut clients = read.await?;
        // The databases sort texts differently.
        clients.sort_by(|a, b| a.id.as_str().cmp(b.id.as_str()));
        Ok(clients)
    }

    /// One client.
    ///
    /// # Errors
    /// If there is no such client, or the store fails or is damaged.
    pub async fn client(&self, id: &ClientId) -> Result<ClientRecord, StoreError> {
        let mut gathering = Gathering::default();
        for row in self.0.db.all(SELECT_CLIENT, values![id.as_str()]).await? {
            gathering.add(row)?;
        }
        gathering
            .finish()
            .map(ClientRow::into_record)
            .ok_or_else(|| StoreError::NoSuchClient { id: id.clone() })
    }

    /// The identifiers of at most `most` clients that begin with the prefix and are longer, sorted.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub async fn clients_beginning_with(&self, prefix: &str, most: u32) -> Result<Vec<ClientId>, StoreError> {
        let read =
            "SELECT id FROM clients WHERE substr(id, 1, length($1)) = $1 AND id <> $1 ORDER BY id LIMIT $2";
        let ids: Vec<(String,)> = self.0.db.all(read, values![prefix, i64::from(most)]).await?;
        let read =
            |(id,): (String,)| id.parse().map_err(|_| StoreError::damaged(format!("the client {id:?}")));
        ids.into_iter().map(read).collect()
    }

    /// Enables or disables the client. A disabled client and its tokens are refused.
    ///
    /// # Errors
    /// If there is no such client, or the store fails.
    pub async fn set_enabled(&self, id: &ClientId, enabled: bool) -> Result<(), StoreError> {
        let set = self.0.db.change(&[Part::Clients], |tx| {
            Box::pin(async move { self.set_enabled_in(tx, id, enabled).await })
        });
        set.await
    }

    /// [`Store::set_enabled`] as a part of a transaction.
    pub(super) async fn set_enabled_in(
        &self,
        tx: &mut Tx<'_>,
        id: &ClientId,
        enabled: bool,
    ) -> Result<(), StoreError> {
        let update = "UPDATE clients SET enabled = $2 WHERE id = $1";
        found(tx.execute(update, values![id.as_str(), enabled]).await?, id)?;
        mark_client_changed(tx, id).await?;
        let change = if enabled { "client enabled" } else { "client disabled" };
        self.record_change(tx, Change::client(change, id)).await.map(drop)
    }

    /// Replaces the rights of the client if they are still `before`. Returns whether they were. If `after` is the same, nothing
    /// is changed or recorded.
    ///
    /// # Errors
    /// If there is no such client, a federation is refused, or the store fails.
    pub async fn replace_rights(
        &self,
        id: &ClientId,
        before: &Rights,
        after: &Rights,
    ) -> Result<bool, StoreError> {
        if before == after {
            return Ok(self.client(id).await?.rights == *before);
        }
        self.change_rights(id, |rights| {
            let is_still = *rights == *before;
            rights.clone_from(after);
            Ok(is_still)
        })
        .await
    }

    /// Replaces the public keys of the client, a JWK Set. The previous keys verify nothing any more.
    ///
    /// # Errors
    /// If there is no such client, or the store fails.
    pub async fn set_jwks(&self, id: &ClientId, jwks: &str) -> Result<(), StoreError> {
        self.change_rights(id, |rights| {
            rights.jwks = Some(jwks.into());
            Ok(true)
        })
        .await
        .map(drop)
    }

    /// Changes a part of the present rights in one transaction. Returns what `change` returns: whether there was something to
    /// change.
    pub(crate) async fn change_rights(
        &self,
        id: &ClientId,
        change: impl Fn(&mut Rights) -> Result<bool, StoreError> + Send + Sync,
    ) -> Result<bool, StoreError> {
        let change = &change;
        let change = self.0.db.change(&[Part::Clients], |tx| {
            Box::pin(async move { self.change_rights_in(tx, id, change).await })
        });
        change.await
    }

    /// [`Store::change_rights`] as a part of a transaction.
    pub(super) async fn change_rights_in(
        &self,
        tx: &mut Tx<'_>,
        id: &ClientId,
        change: &(impl Fn(&mut Rights) -> Result<bool, StoreError> + Send + Sync),
    ) -> Result<bool, StoreError> {
        let read = "SELECT rights FROM clients WHERE id = $1";
        let before: Option<String> = tx.find_value(read, values![id.as_str()]).await?;
        let before = before.ok_or_else(|| StoreError::NoSuchClient { id: id.clone() })?;
        let mut rights = from_json(&before, id.as_str())?;
        if !change(&mut rights)? {
            return Ok(false);
        }
        self.write_rights(tx, id, &before, &rights).await?;
        Ok(true)
    }

    /// Replaces the rights of a client, which were the text `before`, and records it.
    pub(super) async fn write_rights(
        &self,
        tx: &mut Tx<'_>,
        id: &ClientId,
        before: &str,
        rights: &Rights,
    ) -> Result<(), StoreError> {
        if let Err(fault) = rights.check()
            // What an earlier version registered is no reason to refuse other changes.
            && from_json(before, id.as_str())?.check().as_ref() != Err(&fault)
        {
            return Err(fault.into());
        }
        let text = to_json(rights)?;
        update_rights(tx, id, &text, &rights.federations).await?;
        // Without it, rights that were granted by SQL would become recorded ones when another part of the rights is changed.
        let before = tag_of_text(&self.0.links, before).to_json();
        let change = Change::client("client changed", id).with_json("rights", &text);
        self.record_change(tx, change.with("rights_before", before)).await.map(drop)
    }

    /// Removes the client and its secrets, and revokes its tokens and those that others hold for it, issued before a time, so
    /// that they stay revoked if another client gets the same identifier. Users who are called like it keep theirs. The time should
    /// be a second that began after the last of these was issued.
    ///
    /// # Errors
    /// If there is no such client, or the store fails.
    pub async fn remove_client(&self, before: Timestamp, id: &ClientId) -> Result<(), StoreError> {
        let remove = self.0.db.change(&[Part::Clients, Part::RevokedBefore], |tx| {
            Box::pin(async move { self.remove_client_in(tx, before, id).await })
        });
        remove.await
    }

    /// [`Store::remove_client`] as a part of a transaction.
    pub(super) async fn remove_client_in(
        &self,
        tx: &mut Tx<'_>,
        before: Timestamp,
        id: &ClientId,
    ) -> Result<(), StoreError> {
        found(tx.execute("DELETE FROM clients WHERE id = $1", values![id.as_str()]).await?, id)?;
        mark_client_changed(tx, id).await?;
        revoke_before(tx, CLIENT, "", id.as_str(), before).await?;
        revoke_before(tx, SUBJECT, OUR_CLIENTS, id.as_str(), before).await?;
        let change = Change::client("client removed", id).with("subject_issuer", OUR_CLIENTS);
        self.record_change(tx, change.with("revoked_before", before.as_seconds())).await.map(drop)
    }
}

/// Inserts a client with its rights, as JSON, and its foreign identities.
async fn insert_new(
    tx: &mut Tx<'_>,
    id: &ClientId,
    (rights, federations): (&str, &[Federation]),
    now: Timestamp,
) -> Result<(), StoreError> {
    if !insert_client(tx, id, rights, now).await? {
        return Err(StoreError::ClientExists { id: id.clone() });
    }
    record_federations(tx, id, federations).await
}

/// Replaces the rights of a client and its foreign identities, and marks it as changed.
async fn update_rights(
    tx: &mut Tx<'_>,
    id: &ClientId,
    rights: &str,
    federations: &[Federation],
) -> Result<(), StoreError> {
    let update = "UPDATE clients SET rights = $2 WHERE id = $1";
    found(tx.execute(update, values![id.as_str(), rights]).await?, id)?;
    record_federations(tx, id, federations).await?;
    mark_client_changed(tx, id).await
}

fn found(rows: u64, id: &ClientId) -> Result<(), StoreError> {
    if rows == 1 { Ok(()) } else { Err(StoreError::NoSuchClient { id: id.clone() }) }
}
