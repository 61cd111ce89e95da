//! Writes records and heads of chains.

use crate::audit::head::{HeadRow, SELECT_HEAD, read_head};
use crate::audit::segment::Segment;
use crate::audit::{Block, Change, FOREIGN_HEAD, Head, INSTALLATION, Links, NOTHING, Row, now};
use crate::database::{self, Db, Part, Statement, Tx, values};
use crate::error::StoreError;
use crate::hex::to_hex;
use serde_json::{Value, json};

const MOVE_HEAD: &str = "UPDATE audit_heads SET number = $4, hash = $5, at = $6, ended = $7, seal = $8 \
                         WHERE chain = $1 AND number = $2 AND hash = $3";

/// [`MOVE_HEAD`], and everything else only if it has moved the head. Of PostgreSQL only.
const APPEND_AND_REVOKE: &str = "WITH moved AS (UPDATE audit_heads SET number = $4, hash = $5, at = $6, ended = $7, seal = $8 \
     WHERE chain = $1 AND number = $2 AND hash = $3 AND seal = $9 RETURNING number), \
     raised AS (UPDATE revisions SET number = revisions.number + $10 FROM moved WHERE part = 'revoked_ids' \
     RETURNING revisions.number), \
     revoked AS (INSERT INTO revoked_ids (kind, id, until, revision) \
     SELECT entry ->> 0, entry ->> 1, CAST(entry ->> 2 AS BIGINT), raised.number \
     FROM raised, json_array_elements(CAST($11 AS JSON)) AS entries (entry) \
     ON CONFLICT (kind, id) DO UPDATE SET until = excluded.until WHERE excluded.until > revoked_ids.until) \
     INSERT INTO audit_records (chain, number, at, record, hash) \
     SELECT $1, CAST(entry ->> 0 AS BIGINT), CAST(entry ->> 1 AS BIGINT), entry ->> 2, decode(entry ->> 3, 'hex') \
     FROM moved, json_array_elements(CAST($12 AS JSON)) AS entries (entry)";

/// Appends a record to the installation's chain, as the last statement of a transaction. Returns the new head.
///
/// Locks the head until the end, so that the writers of this chain queue up.
pub(crate) async fn append_to_installation(
    tx: &mut Tx<'_>,
    links: &Links,
    change: Change,
) -> Result<Head, StoreError> {
    append_with(tx, links, vec![change], &[]).await
}

/// Appends records to the installation's chain in this order, and runs the statements together with that.
pub(crate) async fn append_with(
    tx: &mut Tx<'_>,
    links: &Links,
    mut changes: Vec<Change>,
    others: &[Statement<'_>],
) -> Result<Head, StoreError> {
    let lock = "UPDATE audit_heads SET chain = chain WHERE chain = $1 \
                RETURNING chain, number, hash, at, begun, ended, seal";
    let mut row: Option<HeadRow> = tx.find(lock, values![INSTALLATION]).await?;
    if row.is_none() {
        insert_head(tx, links, &Head::new(INSTALLATION, 0, now())).await?;
        row = tx.find(lock, values![INSTALLATION]).await?;
    }
    let damaged = || StoreError::damaged("the head of the audit");
    let row = row.ok_or_else(damaged)?;
    let (number, hash) = (row.1, row.2.clone().try_into().map_err(|_| damaged())?);
    let from = Head { number, hash, ..Head::new(INSTALLATION, 0, now()) };
    // The change is made in any case, but it must not seal a forged head unnoticed.
    if read_head(links, row).is_none()
        && let Some(first) = changes.first_mut()
    {
        *first = first.clone().with(FOREIGN_HEAD, true);
    }
    let (head, rows) = extended(links, &from, changes);
    let (row_values, seal) = (values![&rows] as &[_], links.seal(&head));
    let head_values = moved(&from, &head, &seal);
    let insert = tx.dialect().insert_records;
    let statements = [others, &[(insert, row_values), (MOVE_HEAD, &head_values)]].concat();
    tx.execute_together(&statements).await?;
    Ok(head)
}

/// Appends records to the installation's chain after this head, if it is the present one, and revokes the identifiers of the rows;
/// in one round trip. Returns the head that the chain has then.
pub(crate) async fn append_and_revoke(
    db: &Db,
    links: &Links,
    from: &Head,
    changes: Vec<Change>,
    revoked: &str,
) -> Result<Appended, StoreError> {
    let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    let (head, rows) = extended(links, from, changes);
    let (before, after) = (links.seal(from), links.seal(&head));
    let more: [database::Value<'_>; 4] = [(&before).into(), count.into(), revoked.into(), (&rows).into()];
    let values = [moved(from, &head, &after).as_slice(), &more].concat();
    let read = (SELECT_HEAD, values![INSTALLATION] as &[_]);
    let found = db.change_at_once::<HeadRow>(Part::RevokedIds, (APPEND_AND_REVOKE, &values), read).await?;
    let found = found.and_then(|row| read_head(links, row));
    Ok(if found.as_ref() == Some(&head) { Appended::Here(head) } else { Appended::NotAfter(found) })
}

/// The outcome of [`append_and_revoke`].
pub(crate) enum Appended {
    /// The new head.
    Here(Head),
    /// Nothing was written, because the chain has another head, which is this one if it could be read and its seal is right.
    NotAfter(Option<Head>),
}

/// The head after these records, and the rows as JSON.
fn extended(links: &Links, from: &Head, changes: Vec<Change>) -> (Head, String) {
    let (mut head, at) = (from.clone(), now());
    let rows = changes.into_iter().map(|change| {
        let (number, at, text, hash) = head.extend(links, Block::of_one(at, change.into_text()));
        json!([number, at, text, to_hex(&hash)])
    });
    let rows = Value::from(rows.collect::<Vec<_>>()).to_string();
    (head, rows)
}

fn moved<'v>(from: &'v Head, to: &'v Head, seal: &'v [u8; 32]) -> [database::Value<'v>; 8] {
    let (before, after) = ((&from.hash).into(), (&to.hash).into());
    let chain = (&from.chain).into();
    [chain, from.number.into(), before, to.number.into(), after, to.at.into(), to.ended.into(), seal.into()]
}

/// Inserts the rows of a chain, and summaries.
pub(crate) async fn insert_rows(
    tx: &mut Tx<'_>,
    chain: &str,
    rows: &[Row],
    segments: &[Segment],
) -> Result<(), StoreError> {
    let insert = "INSERT INTO audit_records (chain, number, at, record, hash) VALUES ($1, $2, $3, $4, $5)";
    for (number, at, text, hash) in rows {
        tx.execute(insert, values![chain, *number, *at, text, hash]).await?;
    }
    let insert = "INSERT INTO audit_segments (chain, number, first, names, seal) VALUES ($1, $2, $3, $4, $5)";
    for Segment { number, first, names, seal } in segments {
        tx.execute(insert, values![chain, *number, *first, names, seal]).await?;
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
    Ok(tx.execute(MOVE_HEAD, &moved(from, to, &links.seal(to))).await? == 1)
}
