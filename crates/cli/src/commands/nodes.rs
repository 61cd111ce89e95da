//! `tokenberg nodes`: lists the running servers of the store; conformance OP-20.

use crate::common::Common;
use crate::output::{Output, on_one_line, table};
use crate::store_access::{StoreLocation, wait_for};
use crate::{clock, moment_text};
use clap::Args;
use serde_json::{Value, json};
use tokenberg_core::{Lifetime, Timestamp};
use tokenberg_store::{Node, Position};

/// `tokenberg nodes`
#[derive(Debug, Args)]
#[command(after_help = "\
A server records itself in the store every 10s, and after each change that it has followed. The
table shows when it started, how far its clock is ahead of that of the database (not on SQLite), how
many changes it has not followed yet, and when it was last seen.

A server that was not seen for 30s has ended without notice (kill -9, a power cut), hangs, or cannot
reach or write the store; it is listed for a day. Servers of versions before schema 6 of the store
are not listed, and neither are servers whose database role may not write the table nodes, or that
started from a snapshot and have not reached the database.

The command only reads.")]
pub(crate) struct Nodes {}

/// Lists the servers.
///
/// # Errors
/// If the store fails.
pub(crate) fn run(common: &Common, output: Output) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    let (position, nodes) = wait_for(async {
        let store = location.open_to_read().await?;
        let found = (store.position().await?, store.nodes().await?);
        store.close().await;
        Ok(found)
    })?;
    let now = clock::now()?;
    output.show(
        || nodes.iter().map(|node| value(node, &position)).collect(),
        || text(&nodes, &position, now, output.table_width()),
    )?;
    Ok(())
}

/// The facts about a server.
pub(super) fn value(node: &Node, position: &Position) -> Value {
    json!({
        "id": node.id,
        "host": node.host,
        "version": node.version,
        "address": node.address,
        "since": moment_text::written(node.since),
        "last_seen": moment_text::written(node.seen_at),
        "seen_seconds_ago": node.seen.as_secs(),
        "seen": node.is_seen(),
        "clock_offset_milliseconds": node.clock,
        "revision": node.followed.revision(),
        "behind": node.followed.behind(position),
        "fault": node.fault,
    })
}

fn text(nodes: &[Node], position: &Position, now: Timestamp, width: Option<usize>) -> String {
    if nodes.is_empty() {
        return "no server is recorded in the store".to_owned();
    }
    let row = |node: &Node, longest: usize| {
        [
            end_of(&on_one_line(&node.host), longest),
            on_one_line(&node.version),
            on_one_line(&node.address),
            short(now.since(node.since)),
            node.clock.map_or_else(|| "-".to_owned(), clock),
            node.followed.behind(position).to_string(),
            short(seen(node)),
        ]
    };
    let heading = ["HOST", "VERSION", "ADDRESS", "UP", "CLOCK", "BEHIND", "SEEN"];
    let of_host = |longest: usize| table(heading, nodes.iter().map(|node| row(node, longest)));
    let whole = of_host(usize::MAX);
    let longest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    let hosts = nodes.iter().map(|node| on_one_line(&node.host).chars().count()).max().unwrap_or_default();
    // The name of a machine may be cut, and the rest not.
    let excess = width.map_or(0, |width| longest(&whole).saturating_sub(width));
    let mut text =
        if excess == 0 { whole } else { of_host(hosts.saturating_sub(excess).max(heading[0].len())) };
    for node in nodes {
        if let Some(fault) = &node.fault {
            text.push_str(&format!("{} cannot follow: {}\n", named(node), on_one_line(fault)));
        }
        if !node.is_seen() {
            let seen = short(seen(node));
            text.push_str(&format!("{} {NOT_SEEN} (last seen {seen} ago)\n", named(node)));
        }
    }
    text
}

/// What it means that a server was not seen for a while.
pub(super) const NOT_SEEN: &str = "has ended without notice, hangs, or cannot write to the store";

/// Which server it is, in a sentence.
pub(super) fn named(node: &Node) -> String {
    let host = if node.host.is_empty() { "an unknown host" } else { &node.host };
    let at = if node.address.is_empty() { String::new() } else { format!(" at {}", node.address) };
    on_one_line(&format!("the server on {host}{at}"))
}

/// How long ago the server was seen.
pub(super) fn seen(node: &Node) -> Lifetime {
    Lifetime::from_seconds(u32::try_from(node.seen.as_secs()).unwrap_or(u32::MAX))
}

/// The duration in two units at most.
pub(super) fn short(lifetime: Lifetime) -> String {
    let seconds = lifetime.as_seconds();
    let grain = match seconds {
        86_400.. => 3600,
        3600.. => 60,
        _ => 1,
    };
    Lifetime::from_seconds(seconds / grain * grain).to_string()
}

fn clock(milliseconds: i64) -> String {
    let tenths = (milliseconds.unsigned_abs() + 50) / 100;
    let sign = if tenths == 0 || milliseconds > 0 { "+" } else { "-" };
    format!("{sign}{}.{}s", tenths / 10, tenths % 10)
}

/// The end of a name that is too long: names of pods differ there.
fn end_of(name: &str, longest: usize) -> String {
    let length = name.chars().count();
    if length <= longest {
        return name.to_owned();
    }
    let end: String = name.chars().skip(length + 1 - longest).collect();
    format!("…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_short() {
        assert_eq!(
            [0, 49, 50, -49, -50, 1449, -30_000].map(clock),
            ["+0.0s", "+0.0s", "+0.1s", "+0.0s", "-0.1s", "+1.4s", "-30.0s"]
        );
        let of = |seconds| short(Lifetime::from_seconds(seconds));
        assert_eq!([7, 3599, 3661, 90_061].map(of), ["7s", "59m59s", "1h1m", "1d1h"]);
        assert_eq!((end_of("abcdef", 6), end_of("abcdef", 4)), ("abcdef".to_owned(), "…def".to_owned()));
    }
}
