//! Finds out without a transaction whether changes can be made, for commands that only read.

use super::apply::RegistrationChange;
use super::client_rows::ClientRecord;
use super::federations::check_free;
use super::issuers::{IssuerRecord, check_prefix_among, check_values};
use crate::error::StoreError;
use std::collections::HashMap;
use tokenberg_core::registration::Federation;
use tokenberg_core::{ClientId, Issuer, Trust};

/// What a change may contradict.
struct Registered<'a> {
    issuers: HashMap<&'a Issuer, &'a Trust>,
    identities: HashMap<&'a ClientId, &'a [Federation]>,
}

impl RegistrationChange {
    /// Checks that these changes can be made in this order, while these are the clients and issuers of the store.
    ///
    /// # Errors
    /// The error that [`Store::apply`] would return, because a value cannot be registered, or an identity or a prefix belongs to
    /// another client or issuer.
    ///
    /// [`Store::apply`]: crate::Store::apply
    pub fn rehearse(
        changes: &[Self],
        clients: &[ClientRecord],
        issuers: &[IssuerRecord],
    ) -> Result<(), StoreError> {
        let trusted = issuers.iter().map(|record| (&record.trusted.issuer, &record.trusted.trust));
        let identities = clients.iter().map(|client| (&client.id, &*client.rights.federations));
        let mut registered = Registered { issuers: trusted.collect(), identities: identities.collect() };
        changes.iter().try_for_each(|change| registered.make(change))
    }
}

impl<'a> Registered<'a> {
    fn make(&mut self, change: &'a RegistrationChange) -> Result<(), StoreError> {
        match change {
            RegistrationChange::AddClient { id, rights } => {
                rights.check()?;
                self.identify(id, &rights.federations)?;
            }
            RegistrationChange::ChangeClient { id, before, after } => match after.check() {
                Err(fault) if before.check().as_ref() != Err(&fault) => return Err(fault.into()),
                Ok(()) | Err(_) => self.identify(id, &after.federations)?,
            },
            RegistrationChange::RemoveClient { id } => {
                self.identities.remove(id);
            }
            RegistrationChange::AddIssuer { issuer, trust } => {
                trust.check()?;
                self.trust(issuer, None, trust)?;
            }
            RegistrationChange::ChangeIssuer { issuer, before, after } => {
                check_values(before, after)?;
                self.trust(issuer, before.subject_prefix.as_deref(), after)?;
            }
            RegistrationChange::RemoveIssuer { issuer } => {
                self.issuers.remove(issuer);
            }
            RegistrationChange::EnableClient { .. } | RegistrationChange::EnableIssuer { .. } => {}
        }
        Ok(())
    }

    fn trust(
        &mut self,
        issuer: &'a Issuer,
        before: Option<&str>,
        trust: &'a Trust,
    ) -> Result<(), StoreError> {
        if let Some(prefix) = trust.subject_prefix.as_deref().filter(|prefix| before != Some(*prefix)) {
            check_prefix_among(issuer, prefix, self.issuers.iter().map(|(issuer, trust)| (*issuer, *trust)))?;
        }
        self.issuers.insert(issuer, trust);
        Ok(())
    }

    fn identify(&mut self, client: &'a ClientId, wanted: &'a [Federation]) -> Result<(), StoreError> {
        let before = self.identities.remove(client).unwrap_or_default();
        for federation in wanted {
            let is_same =
                |other: &Federation| other.issuer == federation.issuer && other.subject == federation.subject;
            if !before.iter().any(is_same) && !self.issuers.contains_key(&federation.issuer) {
                return Err(StoreError::NoSuchIssuer { issuer: federation.issuer.clone() });
            }
            let others = self.identities.iter().flat_map(|(owner, federations)| {
                let of_issuer = federations.iter().filter(|other| other.issuer == federation.issuer);
                of_issuer.map(|other| (&*other.subject, owner.as_str()))
            });
            check_free(federation, client, others)?;
        }
        self.identities.insert(client, wanted);
        Ok(())
    }
}
