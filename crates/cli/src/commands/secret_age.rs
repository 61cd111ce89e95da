//! Finds client secrets that have been in use for so long that they should be replaced.

use crate::moment_text;
use tokenberg_core::{Lifetime, Timestamp};
use tokenberg_store::ClientRecord;

/// The age from which on a secret is reported.
const OLD: Lifetime = Lifetime::from_hours(365 * 24);

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
