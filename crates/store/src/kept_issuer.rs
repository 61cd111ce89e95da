//! Keeps the issuer of the servers of the store, so that a server with another one is noticed.

use crate::database::values;
use crate::error::StoreError;
use crate::nodes::{Node, SEEN_WITHIN};
use crate::opening::OpeningError;
use crate::store::Store;
use serde_json::{Value, json};
use std::net::IpAddr;
use tokenberg_core::Issuer;

/// The row of `meta` with the issuer, as JSON.
const ROW: &str = "issuer";

/// The issuer that the store keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "readers take it apart, so that they overlook no member")]
pub struct KeptIssuer {
    /// The issuer.
    pub issuer: Issuer,
    /// Whether the operator gave it. If not, it was the address of a listener.
    pub is_given: bool,
}

impl Store {
    /// The issuer that the store keeps; `None` before the first server.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn kept_issuer(&self) -> Result<Option<KeptIssuer>, StoreError> {
        Ok(self.read_issuer().await?.and_then(|row| parsed(&row)))
    }

    /// Keeps the issuer of a server that starts. Returns the kept one if it differs, which is the one of before unless only that one was
    /// given.
    ///
    /// # Errors
    /// If both were given and differ, the kept one [binds](Self::binds_issuer), and it is not `from`, which the operator wants to
    /// change, or servers with the kept one run on PostgreSQL; or the store fails.
    pub async fn keep_issuer(
        &self,
        issuer: &Issuer,
        is_given: bool,
        from: Option<&Issuer>,
    ) -> Result<Option<KeptIssuer>, StoreError> {
        let fresh = KeptIssuer { issuer: issuer.clone(), is_given };
        loop {
            let row = self.read_issuer().await?;
            let kept = row.as_ref().and_then(|row| parsed(row));
            let other = kept.as_ref().filter(|kept| kept.issuer != *issuer);
            match &kept {
                Some(kept) if *kept == fresh || kept.is_given && !is_given => return Ok(other.cloned()),
                Some(kept) if other.is_some() && self.binds_issuer(kept) && from != Some(&kept.issuer) => {
                    let (kept, issuer) = (kept.issuer.clone(), issuer.clone());
                    return Err(OpeningError::AnotherIssuer { kept, issuer }.into());
                }
                Some(_) | None => {}
            }
            if self.0.file.is_none() && other.is_some_and(|other| other.is_given) {
                let running: Vec<Node> = self.nodes().await?.into_iter().filter(Node::is_seen).collect();
                if !running.is_empty() {
                    return Err(OpeningError::OthersRun {
                        issuer: issuer.clone(),
                        running: listed(&running),
                    }
                    .into());
                }
            }
            // Unless another server was faster.
            if self.write_issuer(&fresh, row.as_deref()).await? {
                return Ok(other.cloned());
            }
        }
    }

    /// Whether a server with another issuer may start only if the operator wants to change it. The address of a listener on this machine
    /// is for trying, and has another port each time.
    #[must_use]
    pub fn binds_issuer(&self, kept: &KeptIssuer) -> bool {
        let host = kept.issuer.host();
        let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let is_on_postgresql = self.0.file.is_none();
        kept.is_given && (is_on_postgresql || !is_here)
    }

    async fn read_issuer(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.db.find_value("SELECT value FROM meta WHERE name = $1", values![ROW]).await
    }

    /// Writes the row, if it is as it was read. Returns whether it was.
    async fn write_issuer(&self, fresh: &KeptIssuer, before: Option<&[u8]>) -> Result<bool, StoreError> {
        let value =
            json!({"issuer": fresh.issuer.as_str(), "given": fresh.is_given}).to_string().into_bytes();
        let value = &value;
        let write = self.0.db.change(&[], |tx| {
            Box::pin(async move {
                match before {
                    None => {
                        let insert =
                            "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
                        tx.execute(insert, values![ROW, value]).await
                    }
                    Some(before) => {
                        let update = "UPDATE meta SET value = $2 WHERE name = $1 AND value = $3";
                        tx.execute(update, values![ROW, value, before]).await
                    }
                }
            })
        });
        Ok(write.await? == 1)
    }
}

fn parsed(row: &[u8]) -> Option<KeptIssuer> {
    let row: Value = serde_json::from_slice(row).ok()?;
    Some(KeptIssuer { issuer: row["issuer"].as_str()?.parse().ok()?, is_given: row["given"] == true })
}

/// The servers, and how long to wait for those that were killed.
fn listed(running: &[Node]) -> String {
    let one = |node: &Node| {
        let host = if node.host.is_empty() { "an unknown host" } else { &node.host };
        format!("{} on {host}, seen {} s ago", node.address, node.seen.as_secs())
    };
    let servers: Vec<String> = running.iter().map(one).collect();
    let last = running.iter().map(|node| SEEN_WITHIN.saturating_sub(node.seen).as_secs() + 1).max();
    let wait = last.unwrap_or_default();
    format!("{} (if they were killed, start this one again in {wait} s)", servers.join("; "))
}
