//! `tokenberg restored`: makes everything from before invalid after a restore, and acknowledges the restore; conformance OP-10, SE-06.

use super::replay::{self, Replayed};
use crate::common::Common;
use crate::failure::note;
use crate::output::{Output, on_one_line};
use crate::store_access::{StoreLocation, wait_for};
use crate::{clock, key_state};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;
use tokenberg_core::Timestamp;
use tokenberg_core::jws::{Algorithm, KeyMaterial};
use tokenberg_store::Store;

/// `tokenberg restored`
#[derive(Debug, Args)]
#[command(after_help = "\
Run it once after a PostgreSQL database was restored to an earlier state, and before the servers
start. (`tokenberg restore FILE` includes it.) The store may have lost revocations, disabled
clients and used assertions, and a signing key that was revoked as stolen may be back. So:
  - a new signing key signs, and all others are revoked: no token from before is accepted
  - tokens of trusted issuers from before are refused: users sign in again, workloads need new ones
  - assertions and DPoP proofs from before are refused, because they may have been used
  - a record acknowledges the restore: `audit verify` does not report what it lost
What was disabled or removed since the restored state has to be disabled or removed again; --replay
does this from exported audit records.

A server that ran during the restore may report later that the audit went back. Then check the time
in its log, and run `tokenberg restored --only-acknowledge`.")]
pub(crate) struct Restored {
    #[command(flatten)]
    replay: Replay,

    /// Only acknowledge in the audit that the database was restored; revoke nothing
    #[arg(long, conflicts_with = "replay")]
    only_acknowledge: bool,
}

/// The exported records that are applied again.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// File with lines of `tokenberg audit`, or - for standard input. Revocations, disabled clients, issuers and users, expired
    /// secrets and removals that the store has lost are made again
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
}

impl Replay {
    /// Reads the file, if one is given.
    ///
    /// # Errors
    /// If it cannot be read, or a line is no record.
    pub(crate) fn read(&self) -> anyhow::Result<Option<replay::Records>> {
        self.replay.as_deref().map(replay::read).transpose()
    }
}

/// What was done, for both formats of output.
pub(crate) struct Done {
    /// As JSON.
    pub(crate) value: Value,
    /// For people.
    pub(crate) text: String,
}

/// Runs the command.
///
/// # Errors
/// If the store fails.
pub(crate) fn run(common: &Common, arguments: &Restored, output: Output) -> anyhow::Result<()> {
    let location = StoreLocation::of(common)?;
    let replay = arguments.replay.read()?;
    let done = wait_for(async {
        let store = location.open_existing().await?;
        let done = if arguments.only_acknowledge {
            acknowledge(&store).await
        } else {
            invalidate(&store, replay).await
        };
        store.close().await;
        done
    })?;
    output.show(|| done.value, || done.text)?;
    Ok(())
}

async fn acknowledge(store: &Store) -> anyhow::Result<Done> {
    let lost = store.acknowledge_restore().await?;
    let text = match lost {
        0 => "the audit has no statement about lost records; nothing was written".to_owned(),
        lost => format!(
            "{} acknowledged; `audit verify` does not report lost records any more",
            counted(lost, "statement about lost records is", "statements about lost records are")
        ),
    };
    Ok(Done { value: json!({"acknowledged": lost}), text })
}

/// Makes everything from before invalid in a store that was restored.
///
/// # Errors
/// If the store fails.
pub(crate) async fn invalidate(store: &Store, replay: Option<replay::Records>) -> anyhow::Result<Done> {
    let now = clock::next_second().await?;
    let before = store.keys().await.unwrap_or_default();
    let key = tokenberg_jose::generate(algorithm(&before, now), now, now)?;
    if key_state::signing(&before, now).is_some_and(|key| key.private.device().is_some()) {
        note("the new key is in the store; `tokenberg key rotate --now --pkcs11` makes one in the device");
    }
    let restored = store.restored(now, &key).await?;
    let replayed = match replay {
        Some(records) => Some(replay::apply(store, records, now).await?),
        None => None,
    };
    let value = json!({
        "before": now.to_string(),
        "signing_key": key.id.as_str(),
        "revoked_keys": restored.revoked_keys.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
        "issuers": restored.issuers,
        "acknowledged": restored.lost_records,
        "record": restored.record,
        "replayed": replayed.as_ref().map(|replayed| json!({"applied": replayed.applied, "absent": replayed.absent})),
    });
    let mut text = format!(
        "the key {} signs now; {}, and with them all tokens from before {now}\n",
        key.id,
        counted(restored.revoked_keys.len(), "key from before is revoked", "keys from before are revoked")
    );
    if !restored.issuers.is_empty() {
        text.push_str(&format!(
            "tokens of {} from before are refused\n",
            counted(restored.issuers.len(), "trusted issuer", "trusted issuers")
        ));
    }
    text.push_str("assertions and DPoP proofs from before are refused\n");
    text.push_str(&format!(
        "record {} of the audit acknowledges the restore, with {} about lost records\n",
        restored.record,
        counted(restored.lost_records, "statement", "statements")
    ));
    match &replayed {
        Some(Replayed { applied, absent, .. }) => {
            applied.iter().for_each(|what| text.push_str(&format!("again: {}\n", on_one_line(what))));
            absent.iter().for_each(|what| {
                text.push_str(&format!("not in the restored store: {}\n", on_one_line(what)))
            });
            text.push_str(&counted(applied.len(), "change was made again\n", "changes were made again\n"));
        }
        None => note(
            "what was disabled, removed or expired since the restored state is as it was: do it again, or run the command with --replay",
        ),
    }
    Ok(Done { value, text })
}

/// The number with the word for one, or for several.
fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The algorithm of the new key: that of the present one, if such keys can be generated.
fn algorithm(keys: &[KeyMaterial], now: Timestamp) -> Algorithm {
    let present = key_state::signing(keys, now).map(|key| key.algorithm);
    let can_be_generated =
        |alg: &Algorithm| matches!(alg, Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA);
    match present {
        Some(alg) if !can_be_generated(&alg) => {
            note(&format!(
                "{alg} keys are not generated, so the new key is of ES256; import another with `tokenberg key import --now`"
            ));
            Algorithm::ES256
        }
        present => present.unwrap_or(Algorithm::ES256),
    }
}
