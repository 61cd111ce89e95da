//! Which keys sign tokens, and how do they change without a pause? `tokenberg key …`; conformance KS-04.

use crate::arguments::Common;
use crate::failure::{note, warn};
use crate::output::{Output, table};
use crate::store_access::{StoreLocation, wait_for};
use crate::{clock, input, moment_text};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use tokenberg_core::{Algorithm, KeyMaterial, LONGEST_TOKEN_LIFETIME, Lifetime, Timestamp};
use tokenberg_store::Store;

/// A new key is published this long before it signs: catalogs may keep the key set for `max-age=300`, and as long again.
const PUBLICATION_DELAY: Lifetime = Lifetime::from_seconds(600);
/// An old key verifies this much longer than the last token that it can have signed.
const MARGIN: Lifetime = Lifetime::from_hours(1);

/// `tokenberg key …`
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// List the keys: which one signs, which will, and until when the others verify
    List,
    /// Make a new key; it is published at once and signs after ten minutes, when every catalog has seen it
    Rotate(Rotate),
    /// Take a private key from a PKCS#8 file, PEM or DER; it is published at once and signs after ten minutes
    Import(Import),
}

/// `tokenberg key rotate`
#[derive(Debug, Args)]
#[command(after_help = "\
The old key goes on verifying until the last token that it signed is over.
A running server follows within one second.")]
pub(crate) struct Rotate {
    /// ES256, ES384 or EdDSA; RSA keys are made with openssl and imported
    #[arg(long, value_name = "ALG", default_value = "ES256")]
    alg: Algorithm,

    /// Sign with it at once: catalogs that keep an old key set refuse its tokens for some minutes
    #[arg(long)]
    now: bool,
}

/// `tokenberg key import`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out key.pem
  tokenberg key import key.pem                for RS256
  tokenberg key import key.pem --alg PS256")]
pub(crate) struct Import {
    /// The file, or `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// RS256 or PS256 for an RSA key, which is for RS256 unless said otherwise; other keys have one algorithm each
    #[arg(long, value_name = "ALG")]
    alg: Option<Algorithm>,

    /// Sign with it at once: catalogs that keep an old key set refuse its tokens for some minutes
    #[arg(long)]
    now: bool,
}

/// Does it.
///
/// # Errors
/// Why it could not be done.
pub(crate) fn run(common: &Common, asked: Key, output: Output) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    let now = clock::now()?;
    wait_for(async {
        match asked {
            Key::List => {
                let store = location.open_existing().await?;
                let keys = store.keys().await?;
                store.close().await;
                list(&keys, now, output)
            }
            Key::Rotate(asked) => {
                let store = location.open_existing().await?;
                let signs_from = signs_from(&store, now, asked.now).await?;
                let key = tokenberg_jose::generate(asked.alg, now, signs_from)?;
                introduce(&store, &key, asked.now, now).await?;
                store.close().await;
                tell(&key, now, output)
            }
            Key::Import(asked) => {
                let bytes = input::bytes(&asked.file)?;
                warn_if_open_to_others(&asked.file);
                // Read twice, so that a file without a key makes no store.
                tokenberg_jose::import(&bytes, asked.alg, now, now)?;
                let store = location.open_or_make().await?;
                let signs_from = signs_from(&store, now, asked.now).await?;
                let key = tokenberg_jose::import(&bytes, asked.alg, now, signs_from)?;
                introduce(&store, &key, asked.now, now).await?;
                store.close().await;
                tell(&key, now, output)
            }
        }
    })
}

/// From when on the new key signs.
async fn signs_from(store: &Store, now: Timestamp, at_once: bool) -> anyhow::Result<Timestamp> {
    let keys = store.keys().await?;
    // Where none signs, waiting would help nobody.
    if !at_once && signing(&keys, now).is_some() {
        return Ok(now.plus(PUBLICATION_DELAY));
    }
    // Of two keys that begin in the same second, the other could be the one that signs.
    let has_begun_now = keys.iter().any(|key| key.signs_from == now);
    Ok(if has_begun_now { now.plus(Lifetime::from_seconds(1)) } else { now })
}

/// Adds the key, and settles until when the others verify. If this stops halfway, the next rotation completes it.
async fn introduce(store: &Store, key: &KeyMaterial, at_once: bool, now: Timestamp) -> anyhow::Result<()> {
    let others = store.keys().await?;
    let waiting: Vec<&KeyMaterial> = others.iter().filter(|other| other.signs_from > now).collect();
    if let Some(other) = waiting.first().filter(|_| !at_once) {
        anyhow::bail!(
            "the key {} is published already and signs from {}; wait until then, or use --now, which drops it",
            other.id,
            moment_text::with_distance(other.signs_from, now)
        );
    }
    store.add_key(key).await?;
    for other in waiting {
        // It has signed nothing yet, and would take over from the new key when its time comes.
        store.remove_key(&other.id).await?;
        note(&format!("the key {}, which had not signed yet, was dropped", other.id));
    }
    // No token lives longer, whatever is registered.
    let end = key.signs_from.plus(LONGEST_TOKEN_LIFETIME).plus(MARGIN);
    for other in others.iter().filter(|o| o.signs_from <= now && o.verifies_until.is_none()) {
        store.set_key_end(&other.id, Some(end)).await?;
    }
    Ok(())
}

fn tell(key: &KeyMaterial, now: Timestamp, output: Output) -> anyhow::Result<()> {
    let state = if key.signs_from <= now { "signing" } else { "published" };
    output.show(
        || value(key, state),
        || {
            let when = moment_text::with_distance(key.signs_from, now);
            format!("key {} ({}) is published and signs from {when}", key.id, key.algorithm)
        },
    )?;
    Ok(())
}

fn list(keys: &[KeyMaterial], now: Timestamp, output: Output) -> anyhow::Result<()> {
    output.show(
        || keys.iter().map(|key| value(key, state(key, keys, now))).collect(),
        || {
            let heading = ["KID", "ALG", "STATE", "SIGNS FROM", "VERIFIES UNTIL"].map(str::to_owned).to_vec();
            let row = |key: &KeyMaterial| {
                let until =
                    key.verifies_until.map_or_else(String::new, |t| moment_text::with_distance(t, now));
                vec![
                    key.id.to_string(),
                    key.algorithm.to_string(),
                    state(key, keys, now).to_owned(),
                    moment_text::with_distance(key.signs_from, now),
                    until,
                ]
            };
            table(&std::iter::once(heading).chain(keys.iter().map(row)).collect::<Vec<_>>())
        },
    )?;
    Ok(())
}

/// `published` before it signs, `signing`, `retired` while it only verifies, and `over` when it does nothing any more.
pub(crate) fn state(key: &KeyMaterial, keys: &[KeyMaterial], now: Timestamp) -> &'static str {
    if key.verifies_until.is_some_and(|until| until <= now) {
        "over"
    } else if key.signs_from > now {
        "published"
    } else if signing(keys, now).is_some_and(|signer| signer.id == key.id) {
        "signing"
    } else {
        "retired"
    }
}

/// The key that signs now: of those whose time has come the latest, as in `tokenberg_jose::Keyring`.
pub(crate) fn signing(keys: &[KeyMaterial], now: Timestamp) -> Option<&KeyMaterial> {
    keys.iter()
        .filter(|key| key.signs_from <= now && key.verifies_until.is_none_or(|until| now < until))
        .max_by_key(|key| (key.signs_from, key.created_at, &key.id))
}

fn value(key: &KeyMaterial, state: &str) -> Value {
    json!({
        "kid": key.id,
        "alg": key.algorithm,
        "state": state,
        "created_at": moment_text::written(key.created_at),
        "signs_from": moment_text::written(key.signs_from),
        "verifies_until": key.verifies_until.map(moment_text::written),
    })
}

/// KS-07: whoever could read the file can sign tokens.
#[cfg(unix)]
fn warn_if_open_to_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map_or(0, |about| about.permissions().mode());
    if path.as_os_str() != OsStr::new("-") && mode & 0o077 != 0 {
        warn(&format!(
            "{} is open to others (mode {:04o}); whoever has read it can sign tokens",
            path.display(),
            mode & 0o7777
        ));
    }
}

#[cfg(not(unix))]
fn warn_if_open_to_others(_: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, signs_from: i64, verifies_until: Option<i64>) -> KeyMaterial {
        let at = |seconds| Timestamp::from_seconds(seconds).unwrap();
        KeyMaterial {
            id: tokenberg_core::KeyId::new(id),
            algorithm: Algorithm::ES256,
            pkcs8: Vec::new().into(),
            created_at: at(0),
            signs_from: at(signs_from),
            verifies_until: verifies_until.map(at),
        }
    }

    #[test]
    fn ks_04_states_follow_from_the_times() {
        let keys = [
            key("old", 0, Some(50)),
            key("older", 0, Some(10)),
            key("present", 20, None),
            key("next", 40, None),
        ];
        let states = |now| {
            let now = Timestamp::from_seconds(now).unwrap();
            keys.iter().map(|k| state(k, &keys, now)).collect::<Vec<_>>()
        };
        assert_eq!(states(30), ["retired", "over", "signing", "published"]);
        assert_eq!(states(40), ["retired", "over", "retired", "signing"]);
        assert_eq!(states(50), ["over", "over", "retired", "signing"]);
    }
}
