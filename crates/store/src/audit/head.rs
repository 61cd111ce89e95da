//! The ends of chains as rows of the database.

use crate::audit::{Head, Links};

/// Chain, number, hash, time, beginning, end, seal.
pub(crate) type HeadRow = (String, i64, Vec<u8>, i64, i64, i64, Vec<u8>);
pub(crate) const SELECT_HEADS: &str =
    "SELECT chain, number, hash, at, begun, ended, seal FROM audit_heads ORDER BY begun, chain";

pub(crate) const SELECT_HEAD: &str =
    "SELECT chain, number, hash, at, begun, ended, seal FROM audit_heads WHERE chain = $1";

/// The head, if its seal is right.
pub(crate) fn read_head(links: &Links, row: HeadRow) -> Option<Head> {
    let (chain, number, hash, at, begun, ended, seal) = row;
    let head = Head { chain, number, hash: hash.try_into().ok()?, at, begun, ended: ended != 0 };
    (ended == i64::from(head.ended) && links.seal(&head).as_slice() == seal).then_some(head)
}
