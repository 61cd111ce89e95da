//! Makes many changes of clients and issuers in one transaction, as one file describes them.

use crate::database::{Part, Tx};
use crate::error::StoreError;
use crate::store::Store;
use tokenberg_core::{ClientId, Issuer, Rights, Timestamp, Trust};

/// One change of a registration. What is changed has to be still as it was `before`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationChange {
    /// Adds a client without a secret.
    AddClient {
        /// The client.
        id: ClientId,
        /// What it may do.
        rights: Box<Rights>,
    },
    /// Replaces the rights of a client.
    ChangeClient {
        /// The client.
        id: ClientId,
        /// What it may do now.
        before: Box<Rights>,
        /// What it may do then.
        after: Box<Rights>,
    },
    /// Enables or disables a client.
    EnableClient {
        /// The client.
        id: ClientId,
        /// Whether it is enabled then.
        enabled: bool,
    },
    /// Removes a client, as [`Store::remove_client`] does.
    RemoveClient {
        /// The client.
        id: ClientId,
    },
    /// Trusts an issuer.
    AddIssuer {
        /// The issuer.
        issuer: Issuer,
        /// How far it is trusted.
        trust: Box<Trust>,
    },
    /// Replaces how far an issuer is trusted.
    ChangeIssuer {
        /// The issuer.
        issuer: Issuer,
        /// How far it is trusted now.
        before: Box<Trust>,
        /// How far it is trusted then.
        after: Box<Trust>,
    },
    /// Enables or disables an issuer.
    EnableIssuer {
        /// The issuer.
        issuer: Issuer,
        /// Whether it is enabled then.
        enabled: bool,
    },
    /// Removes an issuer, as [`Store::remove_issuer`] does.
    RemoveIssuer {
        /// The issuer.
        issuer: Issuer,
    },
}

impl RegistrationChange {
    /// The parts of the store that it changes; it has one record.
    fn parts(&self) -> &'static [Part] {
        match self {
            Self::AddClient { .. } | Self::ChangeClient { .. } | Self::EnableClient { .. } => {
                &[Part::Clients]
            }
            Self::RemoveClient { .. } => &[Part::Clients, Part::RevokedBefore],
            Self::AddIssuer { .. } | Self::ChangeIssuer { .. } | Self::EnableIssuer { .. } => {
                &[Part::Issuers]
            }
            Self::RemoveIssuer { .. } => &[Part::Issuers, Part::RevokedBefore],
        }
    }
}

impl Store {
    /// Makes all changes in one transaction and in this order, or none. Each is recorded. Tokens of what is removed are revoked if
    /// they are from before `revoked`, which should be a second that began after the last of them was issued.
    ///
    /// # Errors
    /// If a client or an issuer is not as the change presupposes, the changes contradict each other, or the store fails.
    pub async fn apply(
        &self,
        now: Timestamp,
        revoked: Timestamp,
        changes: &[RegistrationChange],
    ) -> Result<(), StoreError> {
        let parts: Vec<Part> = changes.iter().flat_map(RegistrationChange::parts).copied().collect();
        let apply = self.0.db.change(&parts, |tx| {
            Box::pin(async move {
                for change in changes {
                    self.apply_in(tx, (now, revoked), change).await?;
                }
                Ok(())
            })
        });
        apply.await
    }

    async fn apply_in(
        &self,
        tx: &mut Tx<'_>,
        (now, revoked): (Timestamp, Timestamp),
        change: &RegistrationChange,
    ) -> Result<(), StoreError> {
        let (is_still, what) = match change {
            RegistrationChange::AddClient { id, rights } => {
                return self.add_client_in(tx, now, id, rights).await;
            }
            RegistrationChange::EnableClient { id, enabled } => {
                return self.set_enabled_in(tx, id, *enabled).await;
            }
            RegistrationChange::RemoveClient { id } => return self.remove_client_in(tx, revoked, id).await,
            RegistrationChange::AddIssuer { issuer, trust } => {
                return self.add_issuer_in(tx, now, issuer, trust).await;
            }
            RegistrationChange::EnableIssuer { issuer, enabled } => {
                return self.set_issuer_enabled_in(tx, issuer, *enabled).await;
            }
            RegistrationChange::RemoveIssuer { issuer } => {
                return self.remove_issuer_in(tx, revoked, issuer).await;
            }
            RegistrationChange::ChangeClient { id, before, after } => {
                let replace = |rights: &mut Rights| {
                    let is_still = *rights == **before;
                    rights.clone_from(after);
                    Ok(is_still)
                };
                (self.change_rights_in(tx, id, &replace).await?, format!("client {id}"))
            }
            RegistrationChange::ChangeIssuer { issuer, before, after } => {
                (self.replace_trust_in(tx, issuer, before, after).await?, format!("issuer {issuer}"))
            }
        };
        if is_still { Ok(()) } else { Err(StoreError::ChangedMeanwhile { what }) }
    }
}
