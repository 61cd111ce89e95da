//! Waits until the running servers have followed a change, and reports which have not; conformance OP-20.

use super::confirming::Confirming;
use super::nodes::{NOT_SEEN, named, seen, short, value};
use crate::failure::warn;
use crate::moment_text;
use crate::output::Output;
use clap::Args;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokenberg_store::{Node, Position, Store, StoreError};

/// How long to wait. A server follows within a second, and records that at once.
const PATIENCE: Duration = Duration::from_secs(3);
/// The interval between two reads.
const INTERVAL: Duration = Duration::from_millis(50);

/// Whether the command waits for the running servers.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Waiting {
    /// Do not wait up to 3s for the running servers, and do not report which of them have followed the change
    #[arg(long)]
    no_wait: bool,
}

/// How a command that ends something asks, waits and prints.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    pub(super) confirming: Confirming,
    pub(super) waiting: Waiting,
    pub(super) output: Output,
}

/// The servers after a change.
pub(super) struct Followers {
    position: Position,
    followed: Vec<Node>,
    behind: Vec<Node>,
}

impl Waiting {
    /// Waits for the servers, and warns of each that has not followed. To be called after the change, which succeeded whatever is found
    /// here. `None` if the command does not wait, or the servers cannot be read.
    pub(super) async fn followers(self, store: &Store) -> Option<Followers> {
        if self.no_wait {
            return None;
        }
        match Followers::wait(store).await {
            Ok(followers) => {
                followers.behind.iter().for_each(|node| warn(&sentence(node)));
                Some(followers)
            }
            Err(error) => {
                warn(&format!(
                    "the change was made, but which servers have followed it is not known: {error}"
                ));
                None
            }
        }
    }
}

impl Followers {
    async fn wait(store: &Store) -> Result<Self, StoreError> {
        let position = store.position().await?;
        let begun = Instant::now();
        loop {
            let nodes = store.nodes().await?;
            let has_followed = |node: &Node| node.followed.behind(&position) == 0;
            let (followed, behind): (Vec<_>, Vec<_>) = nodes.into_iter().partition(has_followed);
            // There is no point in waiting for a server that has not been seen for a while.
            if begun.elapsed() >= PATIENCE || !behind.iter().any(Node::is_seen) {
                return Ok(Self { position, followed, behind });
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// The end of the sentence about a change.
pub(super) fn ending(followers: Option<&Followers>) -> String {
    let Some(Followers { followed, behind, .. }) = followers else { return String::new() };
    match (followed.len(), behind.len()) {
        (0, 0) => "; no running server is recorded in the store".to_owned(),
        (1, 0) => "; the running server applies it".to_owned(),
        (all, 0) => format!("; all {all} running servers apply it"),
        (some, others) => format!("; {some} of {} servers apply it", some + others),
    }
}

/// The servers as JSON; `null` if the command did not wait.
pub(super) fn as_json(followers: Option<&Followers>) -> Value {
    followers.map_or(Value::Null, |Followers { position, followed, behind }| {
        let values = |nodes: &[Node]| nodes.iter().map(|node| value(node, position)).collect::<Value>();
        json!({"followed": values(followed), "behind": values(behind)})
    })
}

fn sentence(node: &Node) -> String {
    let since = moment_text::written(node.since);
    let (server, last) = (named(node), short(seen(node)));
    if !node.is_seen() {
        return format!(
            "{server}, running since {since}, has not followed the change: last seen {last} ago, it {NOT_SEEN}"
        );
    }
    match &node.fault {
        Some(fault) => {
            format!("{server}, running since {since}, has not followed the change: it cannot follow: {fault}")
        }
        None => format!(
            "{server}, running since {since}, has not followed the change within {}s; it was last seen {last} ago",
            PATIENCE.as_secs()
        ),
    }
}
