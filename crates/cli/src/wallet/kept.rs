//! A token in a file: used until it has to be renewed, then replaced.

use super::obtained::Obtained;
use super::service::NotObtained;
use super::state_files::{Entry, StateFiles};
use crate::clock;
use crate::failure::warn;
use anyhow::Context;
use tokenberg_core::{Lifetime, Timestamp};

/// The token in the file, if it does not have to be renewed yet and is valid for this long; else the one that `renew` obtains with
/// it, which replaces it.
///
/// # Errors
/// Those of `renew`. A server that cannot be reached is only warned of while the kept token is valid.
pub(super) fn or_renewed(
    entry: &Entry,
    valid_for: Lifetime,
    renew: impl FnOnce(Option<&Obtained>, Timestamp) -> Result<Obtained, NotObtained>,
) -> anyhow::Result<Obtained> {
    let now = clock::now()?;
    let mut file = entry.read().unwrap_or_default();
    let kept = Obtained::from_file(&file, now);
    if let Some(kept) = kept.as_ref().filter(|kept| kept.is_good_for(valid_for, now)) {
        return Ok(kept.clone().at(now));
    }
    match renew(kept.as_ref(), now) {
        Ok(obtained) => {
            file.extend(obtained.to_file());
            if let Err(fault) = entry.write(&file) {
                warn(&format!("the token is not kept: {fault:#}"));
            }
            let expires_in = obtained.expires_in();
            if let Some(expires_in) = expires_in.filter(|expires_in| *expires_in < valid_for) {
                warn(&format!(
                    "the new token is valid for {expires_in} only, less than --valid-for {valid_for}"
                ));
            }
            Ok(obtained)
        }
        Err(NotObtained::Unreachable(fault)) if kept.is_some() => {
            warn(&format!("the token cannot be renewed now: {fault:#}; the kept one is still valid"));
            kept.map(|kept| kept.at(now)).context("no token")
        }
        Err(fault) => Err(fault.into_error()),
    }
}

/// Removes the files whose tokens have expired.
pub(super) fn remove_expired(files: &StateFiles, now: Timestamp) {
    for (path, file) in files.all() {
        // A token that is gone when another process wants it is requested again.
        if Obtained::from_file(&file, now).is_none() {
            let _ = std::fs::remove_file(path);
        }
    }
}
