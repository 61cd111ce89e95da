//! Records up to which number the installation's chain is known to be complete, in a sealed row outside of the chain.

use crate::audit::{Head, Links};
use crate::database::{Tx, values};
use crate::error::StoreError;

/// The row of `meta` that says up to which record the chain is complete, and by which record. It is sealed. It saves reading the
/// chain, and it witnesses the record.
pub(crate) const COMPLETE: &str = "audit_complete_as_of";
pub(crate) const SELECT_COMPLETE: &str = "SELECT value FROM meta WHERE name = $1";

/// Writes up to which record the installation's chain is complete.
pub(crate) async fn put_complete(
    tx: &mut Tx<'_>,
    links: &Links,
    as_of: i64,
    head: &Head,
) -> Result<(), StoreError> {
    let put = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    let value = sealed(links, as_of, head.number, &head.hash);
    tx.execute(put, values![COMPLETE, &value]).await.map(drop)
}

/// The content of the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Complete {
    /// The chain is complete up to this record.
    pub(crate) as_of: i64,
    /// The record that makes it complete.
    pub(crate) number: i64,
    pub(crate) hash: [u8; 32],
}

/// `as_of`, number, hash, seal.
pub(crate) fn sealed(links: &Links, as_of: i64, number: i64, hash: &[u8]) -> Vec<u8> {
    let mut value = [&as_of.to_be_bytes()[..], &number.to_be_bytes(), hash].concat();
    value.extend(links.complete(&value));
    value
}

pub(crate) fn opened(links: &Links, value: &[u8]) -> Option<Complete> {
    let (as_of, rest) = value.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let hash = *rest.first_chunk()?;
    let complete = Complete { as_of: i64::from_be_bytes(*as_of), number: i64::from_be_bytes(*number), hash };
    (sealed(links, complete.as_of, complete.number, &hash) == value).then_some(complete)
}
