//! Single-use identifiers (`jti`, RFC 7523 §3, conformance CJ-07), and the deletion of expired rows.

use crate::database::{Part, values};
use crate::error::StoreError;
use crate::hex::to_hex;
use crate::store::Store;
use std::borrow::Cow;
use tokenberg_core::Timestamp;
use tokenberg_core::registration::LONGEST_ASSERTION_LIFETIME;
use tokenberg_core::token::SingleUseId;

/// How many seconds expired rows are kept, so that a clock that jumps ahead and back frees no identifier (conformance OP-02).
const GRACE: i64 = 2 * 3600;
/// How many seconds an expired secret is kept, listed, and named as the reason of a refusal.
pub(crate) const DEAD_SECRETS: i64 = 30 * 24 * 3600;
/// How many rows one transaction deletes, so that other writers wait a few milliseconds at most.
const BATCH: i64 = 1000;

/// The row of `meta` with the time before which identifiers count as used.
pub(crate) const ISSUED_FROM: &str = "issued_from";

/// A time in the form of [`ISSUED_FROM`], whose bytes are in the order of the times.
pub(crate) fn issued_from(seconds: i64) -> [u8; 8] {
    seconds.max(0).to_be_bytes()
}

impl Store {
    /// Uses the identifier up. Returns `true` exactly once, to the first caller of all processes; the use is on disk then.
    ///
    /// `namespace` says what the identifier is and who issued it, so that two issuers may use the same one. `until` is the
    /// expiry of what carries the identifier; the use is stored at least until then.
    ///
    /// # Errors
    /// If the store fails; then the caller must treat the identifier as used.
    pub async fn use_once(&self, namespace: &str, id: &str, until: Timestamp) -> Result<bool, StoreError> {
        let (namespace, id) = (namespace.into(), id.into());
        self.use_id_once(&SingleUseId { namespace, id, issued_at: None, until }).await
    }

    /// The same for an identifier that may say when it was issued. After a restore, one from before counts as used: whether it was is
    /// lost. Without a time, it counts as issued the longest lifetime of an assertion before its end.
    ///
    /// # Errors
    /// As [`Store::use_once`].
    pub async fn use_id_once(&self, once: &SingleUseId) -> Result<bool, StoreError> {
        let insert = "INSERT INTO used_ids (namespace, id, until) SELECT $1, $2, $3 \
                      WHERE NOT EXISTS (SELECT 1 FROM meta WHERE name = 'issued_from' AND value > $4) \
                      ON CONFLICT (namespace, id) DO NOTHING";
        let (namespace, id) = (&*written(&once.namespace), &*written(&once.id));
        let until = once.until;
        let longest = i64::from(LONGEST_ASSERTION_LIFETIME.as_seconds());
        let issued = once.issued_at.map_or(until.as_seconds() - longest, Timestamp::as_seconds);
        let issued = &issued_from(issued);
        let insert = self.0.db.change(&[], |tx| {
            Box::pin(async move { tx.execute(insert, values![namespace, id, until, issued]).await })
        });
        Ok(insert.await? == 1)
    }

    /// Whether the identifier is stored as used.
    pub(crate) async fn is_used(&self, namespace: &str, id: &str) -> Result<bool, StoreError> {
        let find = "SELECT until FROM used_ids WHERE namespace = $1 AND id = $2";
        let found: Option<i64> =
            self.0.db.find_value(find, values![&*written(namespace), &*written(id)]).await?;
        Ok(found.is_some())
    }

    /// Deletes expired rows: used identifiers and revocations two hours after their time, secrets 30 days after their expiry.
    /// Returns their number. Call it every few minutes; other writers get their turn between batches.
    ///
    /// # Errors
    /// If the store fails; rows deleted until then stay deleted.
    pub async fn expire(&self, now: Timestamp) -> Result<u64, StoreError> {
        let over = now.as_seconds() - GRACE;
        let past: [(&str, &str, i64, &[Part]); 3] = [
            (
                "SELECT until FROM used_ids WHERE until <= $1 LIMIT 1",
                "DELETE FROM used_ids WHERE (namespace, id) IN \
                 (SELECT namespace, id FROM used_ids WHERE until <= $1 LIMIT $2)",
                over,
                &[],
            ),
            (
                "SELECT until FROM revoked_ids WHERE until <= $1 LIMIT 1",
                "DELETE FROM revoked_ids WHERE (kind, id) IN \
                 (SELECT kind, id FROM revoked_ids WHERE until <= $1 LIMIT $2)",
                over,
                &[Part::ExpiredIds],
            ),
            (
                "SELECT expires_at FROM client_secrets WHERE expires_at <= $1 LIMIT 1",
                "DELETE FROM client_secrets WHERE (client_id, id) IN \
                 (SELECT client_id, id FROM client_secrets WHERE expires_at <= $1 LIMIT $2)",
                now.as_seconds() - DEAD_SECRETS,
                // They are expired in memory as well, so watchers need not reload.
                &[],
            ),
        ];
        let mut deleted = 0;
        for (any, delete, over, parts) in past {
            deleted += self.delete(any, delete, over, parts).await?;
        }
        Ok(deleted)
    }

    /// Deletes in batches, and only if there is something to delete: a read blocks no writer, and watchers reload only after a
    /// change.
    async fn delete(
        &self,
        any: &'static str,
        delete: &'static str,
        over: i64,
        parts: &[Part],
    ) -> Result<u64, StoreError> {
        let mut deleted = 0;
        loop {
            let left: Option<i64> = self.0.db.find_value(any, values![over]).await?;
            if left.is_none() {
                return Ok(deleted);
            }
            let delete = self
                .0
                .db
                .change(parts, |tx| Box::pin(async move { tx.execute(delete, values![over, BATCH]).await }));
            deleted += delete.await?;
        }
    }
}

/// The text, or its hash if an index cannot contain it: PostgreSQL allows no NUL and some 2,700 bytes.
///
/// Other versions look for the same form: a change needs a migration (conformance OP-31).
fn written(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 512;
    const HASHED: &str = "sha256:";
    if text.len() <= LONGEST && !text.starts_with(HASHED) && !text.contains('\0') {
        return text.into();
    }
    let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    format!("{HASHED}{}", to_hex(hash.as_ref())).into()
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use crate::{KekSource, Store, StoreError, StoreUrl};
    use tokenberg_core::Timestamp;

    #[tokio::test]
    async fn op_21_a_full_disk_is_a_temporary_outage() {
        let directory = tempfile::tempdir().unwrap();
        let url = StoreUrl::sqlite(&directory.path().join("db"));
        let store = Store::open(&url, KekSource::File(url.key_file().unwrap()))
            .await
            .unwrap_or_else(|e| panic!("{e}"));
        let write = store.0.db.sqlite_writer().unwrap();
        let limit = |sql| sqlx::query_scalar::<_, i64>(sql).fetch_one(write);
        limit("PRAGMA max_page_count = 1").await.unwrap();
        let until = Timestamp::from_seconds(60).unwrap();
        let mut n = 0;
        let full = loop {
            n += 1;
            match store.use_once("jti", &format!("{n} {}", "x".repeat(500)), until).await {
                Ok(first) => assert!(first && n < 1000),
                Err(full) => break full,
            }
        };
        assert_eq!(full, StoreError::Unavailable { reason: "the disk is full".to_owned() });
        limit("PRAGMA max_page_count = 1000000").await.unwrap();
        // The state that the outage left the connection in must not prolong it.
        assert!(store.use_once("jti", &format!("{n} {}", "x".repeat(500)), until).await.unwrap());
    }

    #[test]
    fn op_31_the_stored_form_of_an_identifier_is_the_same_in_every_version() {
        use super::written;
        let long = "a".repeat(513);
        for (text, kept) in [
            ("jti-1", "jti-1"),
            (&long[1..], &long[1..]),
            (&long, "sha256:02425c0f5b0dabf3d2b9115f3f7723a02ad8bcfb1534a0d231614fd42b8188f6"),
            ("a\0b", "sha256:59b271ae1bbcb1d31d41929817f4b16fb439eb4f31520b5ad1d5ce98920a7138"),
            ("sha256:x", "sha256:fe8eb9ab9836bcf963c044b6f84eb71c089db399876f45e72a6c21b488da26c4"),
        ] {
            assert_eq!(written(text), kept);
        }
    }
}
