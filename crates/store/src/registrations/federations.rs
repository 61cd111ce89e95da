//! Foreign identities that authenticate clients, each at most one client: workload identities, conformance WL-10 and WL-14.

use crate::database::{Tx, values};
use crate::error::StoreError;
use crate::store::Store;
use tokenberg_core::registration::Federation;
use tokenberg_core::{ClientId, Issuer};

impl Store {
    /// Lets a foreign identity authenticate the client. Replaces one of the same issuer and subject.
    ///
    /// # Errors
    /// If there is no such client, the issuer is not trusted, the identity belongs to another client, or the store fails.
    pub async fn federate(&self, id: &ClientId, federation: &Federation) -> Result<(), StoreError> {
        self.change_rights(id, |rights| {
            let federations = &mut rights.federations;
            let same = |other: &&mut Federation| is(other, &federation.issuer, &federation.subject);
            match federations.iter_mut().find(same) {
                Some(other) => *other = federation.clone(),
                None => federations.push(federation.clone()),
            }
            Ok(true)
        })
        .await
        .map(drop)
    }

    /// Removes a foreign identity from the client.
    ///
    /// # Errors
    /// If there is no such client, the identity is not registered for it, or the store fails.
    pub async fn unfederate(&self, id: &ClientId, issuer: &Issuer, subject: &str) -> Result<(), StoreError> {
        self.change_rights(id, |rights| {
            let federations = &mut rights.federations;
            let before = federations.len();
            federations.retain(|federation| !is(federation, issuer, subject));
            if federations.len() < before {
                return Ok(true);
            }
            let (client, issuer) = (id.clone(), issuer.clone());
            Err(StoreError::NoSuchFederation { client, issuer, subject: subject.into() })
        })
        .await
        .map(drop)
    }

    /// The clients that have an identity of this issuer.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub async fn federated_with(&self, issuer: &Issuer) -> Result<Vec<ClientId>, StoreError> {
        let read = "SELECT DISTINCT client_id FROM federations WHERE issuer = $1 ORDER BY client_id";
        let ids: Vec<(String,)> = self.0.db.all(read, values![issuer.as_str()]).await?;
        let read =
            |(id,): (String,)| id.parse().map_err(|_| StoreError::damaged(format!("the client {id:?}")));
        ids.into_iter().map(read).collect()
    }
}

fn is(federation: &Federation, issuer: &Issuer, subject: &str) -> bool {
    federation.issuer == *issuer && *federation.subject == *subject
}

/// Replaces the identities of the client in the table that keeps two clients from having the same one.
pub(crate) async fn record_federations(
    tx: &mut Tx<'_>,
    client: &ClientId,
    federations: &[Federation],
) -> Result<(), StoreError> {
    let read = "SELECT issuer, subject FROM federations WHERE client_id = $1";
    let before: Vec<(String, String)> = tx.all(read, values![client.as_str()]).await?;
    if !before.is_empty() {
        tx.execute("DELETE FROM federations WHERE client_id = $1", values![client.as_str()]).await?;
    }
    for federation in federations {
        let (issuer, subject) = (federation.issuer.as_str(), &*federation.subject);
        // An issuer that was removed since is no reason to refuse other changes.
        if !before.iter().any(|(i, s)| i == issuer && s == subject) {
            let read = "SELECT issuer FROM issuers WHERE issuer = $1";
            let known: Option<String> = tx.find_value(read, values![issuer]).await?;
            known.ok_or_else(|| StoreError::NoSuchIssuer { issuer: federation.issuer.clone() })?;
        }
        let others: Vec<(String, String)> = if federation.issuer.is_spiffe() {
            let read = "SELECT subject, client_id FROM federations WHERE issuer = $1";
            tx.all(read, values![issuer]).await?
        } else {
            let read = "SELECT subject, client_id FROM federations WHERE issuer = $1 AND subject = $2";
            tx.all(read, values![issuer, subject]).await?
        };
        check_free(federation, client, others.iter().map(|(subject, owner)| (&**subject, &**owner)))?;
        let insert = "INSERT INTO federations (issuer, subject, client_id) VALUES ($1, $2, $3)";
        tx.execute(insert, values![issuer, subject, client.as_str()]).await?;
    }
    Ok(())
}

/// Fails if another client has the identity or overlaps with it. `others` are subjects of the same issuer, with their clients.
pub(super) fn check_free<'a>(
    federation: &Federation,
    client: &ClientId,
    mut others: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), StoreError> {
    let mine = &*federation.subject;
    let clash = |(subject, owner): &(&str, &str)| {
        *owner != client.as_str()
            && (*subject == mine
                || (federation.issuer.is_spiffe() && (covers(mine, subject) || covers(subject, mine))))
    };
    match others.find(clash) {
        None => Ok(()),
        Some((subject, owner)) => Err(StoreError::FederatedAlready {
            issuer: federation.issuer.clone(),
            subject: subject.into(),
            client: owner.into(),
        }),
    }
}

/// Whether identities that `other` matches are below the prefix, which ends in `/*`.
fn covers(prefix: &str, other: &str) -> bool {
    prefix.strip_suffix('*').is_some_and(|above| above.ends_with('/') && other.starts_with(above))
}
