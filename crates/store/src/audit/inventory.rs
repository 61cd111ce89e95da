//! Reads what is configured according to the tables of the store, as of one moment.

use crate::audit::Links;
use crate::audit::facts::{Fact, FactName, Facts, Kind, Name, tag_of, tag_of_text};
use crate::database::Tx;
use crate::error::StoreError;
use crate::hex::to_hex;
use std::collections::HashMap;

/// Everything that is configured.
pub(crate) type Inventory = HashMap<Name, Facts>;

/// Reads everything that is configured.
pub(crate) async fn inventory(tx: &mut Tx<'_>, links: &Links) -> Result<Inventory, StoreError> {
    let mut inventory = Inventory::new();
    let add_client = |row| {
        inventory.extend([client(links, row)]);
        Ok(())
    };
    tx.each(SELECT_CLIENTS, &[], add_client).await?;
    let add_secret = |row| {
        secret(links, &mut inventory, row);
        Ok(())
    };
    tx.each(SELECT_SECRETS, &[], add_secret).await?;
    let add_revoked_id = |row| {
        inventory.extend([revoked_id(row)]);
        Ok(())
    };
    tx.each(SELECT_REVOKED_IDS, &[], add_revoked_id).await?;
    inventory.extend(tx.all(SELECT_REVOKED_BEFORE, &[]).await?.into_iter().map(revoked_before));
    inventory.extend(tx.all(SELECT_ISSUERS, &[]).await?.into_iter().map(|row| issuer(links, row)));
    inventory.extend(tx.all(SELECT_KEYS, &[]).await?.into_iter().map(|row| key(links, row)));
    inventory.extend(tx.all(SELECT_DISABLED_SUBJECTS, &[]).await?.into_iter().map(disabled_subject));
    Ok(inventory)
}

const SELECT_CLIENTS: &str = "SELECT id, enabled, rights FROM clients";
const SELECT_SECRETS: &str = "SELECT client_id, id, digest, expires_at FROM client_secrets";
const SELECT_ISSUERS: &str = "SELECT issuer, enabled, trust FROM issuers";
const SELECT_KEYS: &str = "SELECT id, algorithm, created_at, signs_from, verifies_until FROM signing_keys";
const SELECT_DISABLED_SUBJECTS: &str = "SELECT issuer, name, since FROM disabled_subjects";
const SELECT_REVOKED_IDS: &str = "SELECT kind, id, until FROM revoked_ids";
const SELECT_REVOKED_BEFORE: &str = "SELECT kind, issuer, name, before FROM revoked_before";

type Thing = (Name, Facts);

fn client(links: &Links, (id, enabled, rights): (String, i64, String)) -> Thing {
    let facts = [
        // Any other number than 0 enables it.
        (FactName::Enabled, Fact::Number(i64::from(enabled != 0))),
        (FactName::Rights, tag_of_text(links, &rights)),
    ];
    (Name::new(Kind::Client, &[&id]), facts.into())
}

fn secret(
    links: &Links,
    inventory: &mut Inventory,
    (client, id, digest, expires_at): (String, String, Vec<u8>, Option<i64>),
) {
    if let Some(facts) = inventory.get_mut(&Name::new(Kind::Client, &[&client])) {
        facts.set(FactName::SecretEnd(id.as_str().into()), Fact::of(expires_at));
        facts.set(FactName::SecretDigest(id.into()), tag_of_digest(links, &digest));
    }
}

/// The fact that represents the digest of a secret.
pub(crate) fn tag_of_digest(links: &Links, digest: &[u8]) -> Fact {
    tag_of(links, to_hex(digest))
}

fn issuer(links: &Links, (issuer, enabled, trust): (String, i64, String)) -> Thing {
    let facts = [
        (FactName::Enabled, Fact::Number(i64::from(enabled != 0))),
        (FactName::Trust, tag_of_text(links, &trust)),
    ];
    (Name::new(Kind::Issuer, &[&issuer]), facts.into())
}

fn key(links: &Links, row: (String, String, i64, i64, Option<i64>)) -> Thing {
    let (id, algorithm, created_at, signs_from, verifies_until) = row;
    let facts = [
        (FactName::Algorithm, tag_of(links, algorithm)),
        // Of keys that begin to sign at once, it says which one does.
        (FactName::CreatedAt, Fact::Number(created_at)),
        (FactName::SignsFrom, Fact::Number(signs_from)),
        (FactName::VerifiesUntil, Fact::of(verifies_until)),
    ];
    (Name::new(Kind::Key, &[&id]), facts.into())
}

fn disabled_subject((issuer, name, since): (String, String, i64)) -> Thing {
    let facts = [(FactName::Since, Fact::Number(since))];
    (Name::new(Kind::DisabledSubject, &[&issuer, &name]), facts.into())
}

fn revoked_id((kind, id, until): (String, String, i64)) -> Thing {
    (Name::new(Kind::RevokedId, &[&kind, &id]), [(FactName::Until, Fact::Number(until))].into())
}

fn revoked_before((kind, issuer, name, before): (String, String, String, i64)) -> Thing {
    let name = Name::new(Kind::RevokedBefore, &[&kind, &issuer, &name]);
    (name, [(FactName::Before, Fact::Number(before))].into())
}
