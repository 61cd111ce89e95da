//! Adds the probable name to the error about a client or an issuer that is not registered.

use crate::common::Common;
use crate::configuration::nearest;
use crate::store_access::{StoreLocation, wait_for};
use tokenberg_core::{ClientId, Issuer};
use tokenberg_store::StoreError;

/// The most clients that are compared with a misspelled identifier.
const MOST: u32 = 10_000;

/// The error, with a suggestion if it is about an unknown name that resembles a registered one. Errors that have more context stay
/// as they are.
pub(super) fn with_suggestion(common: &Common, error: anyhow::Error) -> anyhow::Error {
    if error.chain().count() > 1 {
        return error;
    }
    let meant = match error.downcast_ref::<StoreError>() {
        Some(StoreError::NoSuchClient { id }) => similar_client(common, id),
        Some(StoreError::NoSuchIssuer { issuer }) => similar_issuer(common, issuer),
        Some(_) | None => return error,
    };
    match meant {
        // The store answered a moment ago; if it does not now, the error itself is what matters.
        Ok(None) | Err(_) => error,
        Ok(Some(meant)) => anyhow::anyhow!("{error}; did you mean {meant}?"),
    }
}

fn similar_client(common: &Common, id: &ClientId) -> anyhow::Result<Option<String>> {
    let location = StoreLocation::of(common)?;
    let clients = wait_for(async {
        let store = location.open_existing().await?;
        let clients = store.clients_beginning_with("", MOST).await?;
        store.close().await;
        Ok(clients)
    })?;
    Ok(nearest(id.as_str(), clients.iter().map(ClientId::as_str)))
}

fn similar_issuer(common: &Common, issuer: &Issuer) -> anyhow::Result<Option<String>> {
    let location = StoreLocation::of(common)?;
    let issuers = wait_for(async {
        let store = location.open_existing().await?;
        let issuers = store.issuers().await?;
        store.close().await;
        Ok(issuers)
    })?;
    let known = issuers.iter().map(|record| &record.trusted.issuer);
    // Issuers that differ by case or a slash come before those with a similar spelling.
    let similar = known.clone().find(|known| known.is_similar_to(issuer.as_str())).map(ToString::to_string);
    Ok(similar.or_else(|| nearest(issuer.as_str(), known.map(Issuer::as_str))))
}
