//! Finds client secrets that should be replaced: those that are old, and the last ones of clients that end soon.

use crate::moment_text;
use tokenberg_core::{Lifetime, Timestamp};
use tokenberg_store::ClientRecord;

/// The age from which on a secret is reported.
const OLD: Lifetime = Lifetime::from_hours(365 * 24);

/// How long before the end of its last live secret a client is reported.
const NOTICE: Lifetime = Lifetime::from_hours(14 * 24);

/// A sentence about each enabled client whose last live secret ends within 14 days.
pub(super) fn of_ending(clients: &[ClientRecord], now: Timestamp) -> Vec<String> {
    let enabled = clients.iter().filter(|client| client.enabled);
    let ending = enabled.filter_map(|client| {
        let is_endless = client.secrets.iter().any(|secret| secret.expires_at.is_none());
        let live = client.secrets.iter().filter_map(|secret| secret.expires_at).filter(|end| now < *end);
        let last = live.max().filter(|last| !is_endless && *last <= now.plus(NOTICE))?;
        Some(format!(
            "the last live secret of {0} ends at {last}; give it another one with `tokenberg client secret add {0}`",
            client.id
        ))
    });
    ending.collect()
}

/// A sentence about each live secret of an enabled client that is older than a year.
pub(super) fn of_old(clients: &[ClientRecord], now: Timestamp) -> Vec<String> {
    let latest = moment_text::ago(OLD, now);
    let mut sentences = Vec::new();
    for client in clients.iter().filter(|client| client.enabled) {
        for secret in &client.secrets {
            if secret.created_at < latest && secret.expires_at.is_none_or(|end| now < end) {
                sentences.push(format!(
                    "the secret {} of {} was created at {}, more than {OLD} ago; replace it with `tokenberg client secret add {}`",
                    secret.id, client.id, secret.created_at, client.id
                ));
            }
        }
    }
    sentences
}
