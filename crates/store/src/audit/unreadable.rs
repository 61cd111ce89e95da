//! Finds rows that no server could read, with the functions by which servers read them.

use crate::audit::facts::{Kind, Name};
use crate::database::Tx;
use crate::error::StoreError;
use crate::keys::{SELECT_KEYS, read_key};
use crate::registrations::{
    ClientRecordRow, Gathering, IssuerRow, SELECT_CLIENTS, SELECT_ISSUERS, TrustedIssuers,
};
use crate::revocations::{RevokedBefore, RevokedIds, SELECT_BEFORE, SELECT_IDS};
use crate::store::Store;
use std::collections::BTreeSet;

impl Store {
    /// The names of everything that is configured and that no server of this version could read.
    ///
    /// # Errors
    /// If the database fails. An unreadable row is not an error.
    pub(crate) async fn unreadable(&self, tx: &mut Tx<'_>) -> Result<BTreeSet<Name>, StoreError> {
        let mut found = BTreeSet::new();
        let mut note = |kind: Kind, key: &[&str], read: Result<(), StoreError>| {
            if read.is_err() {
                found.insert(Name::new(kind, key));
            }
            Ok(())
        };
        let mut clients = Gathering::default();
        let client = |row: ClientRecordRow| {
            let id = row.0.clone();
            note(Kind::Client, &[&id], clients.add(row).map(drop))
        };
        tx.each(SELECT_CLIENTS, &[], client).await?;
        let mut issuers = TrustedIssuers::default();
        let issuer = |row: IssuerRow| {
            let name = row.0.clone();
            note(Kind::Issuer, &[&name], issuers.add(row))
        };
        tx.each(SELECT_ISSUERS, &[], issuer).await?;
        let mut ids = RevokedIds::new();
        let id = |(kind, id): (String, String)| note(Kind::RevokedId, &[&kind, &id], ids.add(&kind, &id));
        tx.each(SELECT_IDS, crate::database::values![i64::MIN], id).await?;
        let mut all = RevokedBefore::default();
        let before = |row: (String, String, String, i64)| {
            let (kind, issuer, name) = (row.0.clone(), row.1.clone(), row.2.clone());
            note(Kind::RevokedBefore, &[&kind, &issuer, &name], all.add(row))
        };
        tx.each(SELECT_BEFORE, &[], before).await?;
        let seal = self.present_seal(tx).await?;
        for row in tx.all(SELECT_KEYS, &[]).await? {
            let row: crate::keys::KeyRow = row;
            let id = row.0.clone();
            note(Kind::Key, &[&id], read_key(row, &seal.sealer).map(drop))?;
        }
        Ok(found)
    }
}
