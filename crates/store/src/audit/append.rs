//! Writes records and heads of chains: a prepared statement for each row, which copies no more than that row.

use crate::audit::head::{HeadRow, SELECT_HEAD, read_head};
use crate::audit::{Block, Change, FOREIGN_HEAD, Head, INSTALLATION, Links, NOTHING, Row, now};
use crate::database::{Tx, values};
use crate::error::StoreError;
use std::slice;

/// Appends a record to the installation's chain, as the last statement of a transaction. Returns the new head.
///
/// Locks the head until the end, so that the writers of this chain queue up.
pub(crate) async fn append_to_installation(
    tx: &mut Tx<'_>,
    links: &Links,
    change: Change,
) -> Result<Head, StoreError> {
    let lock = "UPDATE audit_heads SET chain = chain WHERE chain = $1";
    if tx.execute(lock, values![INSTALLATION]).await? == 0 {
        insert_head(tx, links, &Head::new(INSTALLATION, 0, now())).await?;
        tx.execute(lock, values![INSTALLATION]).await?;
    }
    let damaged = || StoreError::damaged("the head of the audit");
    let row: HeadRow = tx.find(SELECT_HEAD, values![INSTALLATION]).await?.ok_or_else(damaged)?;
    let (number, hash) = (row.1, row.2.clone().try_into().map_err(|_| damaged())?);
    let at = now();
    let from = Head { number, hash, ..Head::new(INSTALLATION, 0, at) };
    let mut head = from.clone();
    // The change is made in any case, but it must not seal a forged head unnoticed.
    let change = if read_head(links, row).is_some() { change } else { change.with(FOREIGN_HEAD, true) };
    let row = head.extend(links, Block::of_one(at, change.into_text()));
    insert_rows(tx, INSTALLATION, slice::from_ref(&row)).await?;
    move_head(tx, links, &from, &head).await?;
    Ok(head)
}

/// Inserts the rows of a chain.
pub(crate) async fn insert_rows(tx: &mut Tx<'_>, chain: &str, rows: &[Row]) -> Result<(), StoreError> {
    let insert = "INSERT INTO audit_records (chain, number, at, record, hash) VALUES ($1, $2, $3, $4, $5)";
    for (number, at, text, hash) in rows {
        tx.execute(insert, values![chain, *number, *at, text, hash]).await?;
    }
    Ok(())
}

/// Inserts the head of a chain without records, unless it exists.
pub(crate) async fn insert_head(tx: &mut Tx<'_>, links: &Links, head: &Head) -> Result<(), StoreError> {
    let insert = "INSERT INTO audit_heads (chain, number, hash, at, begun, ended, seal, first, before, anchor) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9) ON CONFLICT (chain) DO NOTHING";
    let (seal, anchor) = (links.seal(head), links.anchor(&head.chain, 1, &NOTHING));
    let Head { chain, number, hash, at, begun, ended } = head;
    let values = values![chain, *number, hash, *at, *begun, *ended, &seal, &NOTHING, &anchor];
    tx.execute(insert, values).await.map(drop)
}

/// Advances the head of a chain, if it is as it was left. Returns whether it was.
pub(crate) async fn move_head(
    tx: &mut Tx<'_>,
    links: &Links,
    from: &Head,
    to: &Head,
) -> Result<bool, StoreError> {
    let update = "UPDATE audit_heads SET number = $4, hash = $5, at = $6, ended = $7, seal = $8 \
                  WHERE chain = $1 AND number = $2 AND hash = $3";
    let seal = links.seal(to);
    let left = values![&from.chain, from.number, &from.hash, to.number, &to.hash, to.at, to.ended, &seal];
    Ok(tx.execute(update, left).await? == 1)
}
