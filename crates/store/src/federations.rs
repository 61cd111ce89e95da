//! Which foreign identity stands for which client? Each for one at most; workload identities, conformance WL-10 and WL-14.

use crate::error::StoreError;
use crate::store::Store;
use tokenberg_core::{ClientId, Federation, Issuer};

/// Notes the identities of the client besides its rights, where the database can see that no two clients have the same.
macro_rules! note_federations {
    ($connection:expr, $client:expr, $federations:expr) => {{
        let federations: &[tokenberg_core::Federation] = $federations;
        let before: Vec<(String, String)> =
            sqlx::query_as("SELECT issuer, subject FROM federations WHERE client_id = $1")
                .bind($client.as_str())
                .fetch_all(&mut *$connection)
                .await?;
        if !before.is_empty() {
            sqlx::query("DELETE FROM federations WHERE client_id = $1")
                .bind($client.as_str())
                .execute(&mut *$connection)
                .await?;
        }
        for federation in federations {
            let (issuer, subject) = (federation.issuer.as_str(), &*federation.subject);
            // An issuer that was taken off the list since is no reason to refuse other changes.
            if !before.iter().any(|(i, s)| i == issuer && s == subject) {
                let known: Option<String> =
                    sqlx::query_scalar("SELECT issuer FROM issuers WHERE issuer = $1")
                        .bind(issuer)
                        .fetch_optional(&mut *$connection)
                        .await?;
                if known.is_none() {
                    return Err($crate::error::StoreError::NoSuchIssuer {
                        issuer: federation.issuer.clone(),
                    });
                }
            }
            let others = if federation.issuer.is_spiffe() {
                sqlx::query_as("SELECT subject, client_id FROM federations WHERE issuer = $1").bind(issuer)
            } else {
                let same = "SELECT subject, client_id FROM federations WHERE issuer = $1 AND subject = $2";
                sqlx::query_as(same).bind(issuer).bind(subject)
            };
            let others: Vec<(String, String)> = others.fetch_all(&mut *$connection).await?;
            $crate::federations::check_free(federation, $client, &others)?;
            sqlx::query("INSERT INTO federations (issuer, subject, client_id) VALUES ($1, $2, $3)")
                .bind(issuer)
                .bind(subject)
                .bind($client.as_str())
                .execute(&mut *$connection)
                .await?;
        }
    }};
}

impl Store {
    /// Lets a foreign identity stand for the client, in place of one of the same issuer and subject.
    ///
    /// # Errors
    /// If there is no such client, the issuer is not on the list, the identity stands for another client, or the store fails.
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

    /// Takes back what [`Store::federate`] did.
    ///
    /// # Errors
    /// If there is no such client, the identity does not stand for it, or the store fails.
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

    /// The clients for which the issuer vouches.
    ///
    /// # Errors
    /// If the store fails or is damaged.
    pub async fn federated_with(&self, issuer: &Issuer) -> Result<Vec<ClientId>, StoreError> {
        let read = "SELECT DISTINCT client_id FROM federations WHERE issuer = $1 ORDER BY client_id";
        let ids: Vec<String> = read!(&self.0.db, pool => {
            sqlx::query_scalar(read).bind(issuer.as_str()).fetch_all(pool).await
        })?;
        let read = |id: String| id.parse().map_err(|_| StoreError::damaged(format!("the client {id:?}")));
        ids.into_iter().map(read).collect()
    }
}

fn is(federation: &Federation, issuer: &Issuer, subject: &str) -> bool {
    federation.issuer == *issuer && *federation.subject == *subject
}

/// Whether nobody else claims what the federation claims; `others` are subjects of the same issuer, and whose they are.
pub(crate) fn check_free(
    federation: &Federation,
    client: &ClientId,
    others: &[(String, String)],
) -> Result<(), StoreError> {
    let mine = &*federation.subject;
    let clash = |(subject, owner): &&(String, String)| {
        owner != client.as_str()
            && (subject == mine
                || (federation.issuer.is_spiffe() && (covers(mine, subject) || covers(subject, mine))))
    };
    match others.iter().find(clash) {
        None => Ok(()),
        Some((subject, owner)) => Err(StoreError::FederatedAlready {
            issuer: federation.issuer.clone(),
            subject: subject.as_str().into(),
            client: owner.as_str().into(),
        }),
    }
}

/// Whether all or some of what is registered as `other` is below the prefix that ends in `/*`.
fn covers(prefix: &str, other: &str) -> bool {
    prefix.strip_suffix('*').is_some_and(|above| above.ends_with('/') && other.starts_with(above))
}
