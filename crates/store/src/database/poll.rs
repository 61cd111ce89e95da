//! The statement that a watch runs several times a second: how far the store has come, and in which state the database server is.

use crate::clock::{ClockOffset, now};
use crate::database::db::Db;
use crate::database::part::{Progress, ProgressRow, SELECT_PROGRESS};
use crate::error::StoreError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What a poll has found.
pub(crate) struct Poll {
    pub(crate) progress: Progress,
    /// `None` for SQLite, and for a database that lacks the functions of PostgreSQL.
    pub(crate) server: Option<ServerState>,
}

/// The state of the server that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerState {
    pub(crate) instance: Instance,
    /// Why changes cannot be written there; `None` if they can be.
    pub(crate) not_writable: Option<&'static str>,
    pub(crate) clock: ClockOffset,
}

/// Which server it is. Another one may have another history of the same store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    /// The timeline, which a promoted standby and a point-in-time restore raise; `None` while the server is a standby.
    pub(crate) timeline: Option<String>,
    /// When the server process was started, in microseconds since 1970.
    started_at: i64,
    /// The OID of the database: a database that was dropped and made again has another one.
    database: i64,
}

impl Instance {
    /// The timelines, if both are known and differ.
    pub(crate) fn new_timeline<'a>(&'a self, before: &'a Self) -> Option<[&'a str; 2]> {
        let (before, now) = (before.timeline.as_deref()?, self.timeline.as_deref()?);
        (before != now).then_some([before, now])
    }
}

/// Columns of [`ProgressRow`], then: timeline, start of the server, OID of the database, whether it is a standby, whether it is
/// read-only, whether the role may write, time.
type PollRow = (String, i64, Option<Vec<u8>>, Option<String>, i64, i64, i64, i64, i64, i64);

/// Any role may call these functions, in PostgreSQL 13 to 18. A standby cannot compute the timeline. The default of transactions is
/// asked for, because the one that asks is always read-only.
const SELECT_POLL: &str = "SELECT progress.*, server.* FROM (\
    SELECT chain, number, hash FROM audit_heads WHERE chain = 'installation' UNION ALL \
    SELECT part, number, NULL FROM revisions) AS progress, (SELECT \
    CASE WHEN pg_is_in_recovery() THEN NULL ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END, \
    CAST(extract(epoch FROM pg_postmaster_start_time()) * 1000000 AS BIGINT), \
    (SELECT CAST(oid AS BIGINT) FROM pg_database WHERE datname = current_database()), \
    CAST(CASE WHEN pg_is_in_recovery() THEN 1 ELSE 0 END AS BIGINT), \
    CAST(CASE WHEN current_setting('default_transaction_read_only') = 'on' THEN 1 ELSE 0 END AS BIGINT), \
    CAST(CASE WHEN has_table_privilege('revisions', 'UPDATE') AND has_table_privilege('used_ids', 'INSERT') \
    AND has_table_privilege('revoked_ids', 'INSERT') AND has_table_privilege('audit_records', 'INSERT') THEN 1 ELSE 0 END AS BIGINT), \
    CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)) AS server";

/// Polls a database, and remembers whether it knows the functions of PostgreSQL.
#[derive(Debug, Default)]
pub(crate) struct Poller {
    is_plain: AtomicBool,
}

impl Poller {
    pub(crate) async fn poll(&self, db: &Db) -> Result<Poll, StoreError> {
        if db.has_server() && !self.is_plain.load(Ordering::Relaxed) {
            match poll_server(db).await {
                Ok(poll) => return Ok(poll),
                // Undefined function or setting, not supported, not permitted: another database with PostgreSQL's protocol.
                Err(StoreError::Database { code, .. })
                    if ["42883", "42704", "0A000", "42501"].contains(&code.as_str()) =>
                {
                    let plain = plain(db).await?;
                    if !self.is_plain.swap(true, Ordering::Relaxed) {
                        tracing::warn!(
                            code,
                            "the database does not report its timeline, state and time; a failover is noticed by the audit's hashes only"
                        );
                    }
                    return Ok(plain);
                }
                Err(error) => return Err(error),
            }
        }
        plain(db).await
    }
}

async fn plain(db: &Db) -> Result<Poll, StoreError> {
    Ok(Poll { progress: Progress::of(db.all(SELECT_PROGRESS, &[]).await?)?, server: None })
}

async fn poll_server(db: &Db) -> Result<Poll, StoreError> {
    let (sent, begun) = (now(), Instant::now());
    let rows: Vec<PollRow> = db.all(SELECT_POLL, &[]).await?;
    let took = begun.elapsed();
    let server = rows.first().map(|row| {
        let (_, _, _, timeline, started_at, database, is_standby, is_read_only, may_write, time) = row;
        let not_writable = match (*is_standby, *is_read_only, *may_write) {
            (1, ..) => Some("the database is a read-only standby"),
            (_, 1, _) => Some("the database is read-only"),
            (_, _, 0) => Some("the role of the store may not write its tables"),
            _ => None,
        };
        let instance = Instance { timeline: timeline.clone(), started_at: *started_at, database: *database };
        ServerState { instance, not_writable, clock: ClockOffset::of(*time, sent, took) }
    });
    let progress = rows.into_iter().map(|(name, number, hash, ..)| -> ProgressRow { (name, number, hash) });
    Ok(Poll { progress: Progress::of(progress.collect())?, server })
}
