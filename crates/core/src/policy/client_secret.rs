//! Is this one of the client's live secrets? RFC 6749 §2.3.1; conformance CA-18 and AB-06.

use super::proof::Authenticated;
use crate::refusal::{Hint, Refusal};
use crate::{AuthMethod, Client, ClientId, SecretDigest, Timestamp};
use std::sync::Arc;

/// How many secrets a client may have live at a time; as many are compared for each client, whether it has them or not.
pub(crate) const LIVE_SECRETS: usize = 2;

/// Compares the digest of the presented secret with those of the client.
///
/// The same work is done for a client that does not exist, is disabled, or has no live secret.
pub(crate) fn check(
    id: Option<ClientId>,
    client: Option<Arc<Client>>,
    digest: &SecretDigest,
    now: Timestamp,
) -> Result<Authenticated, Refusal> {
    // An adapter whose look-up folds case must not turn one client into another.
    let client = client.filter(|found| Some(&found.id) == id.as_ref());
    let nothing = SecretDigest([0; 32]);
    let live = client.iter().flat_map(|c| c.secrets.iter()).filter(|secret| secret.is_live(now));
    let mut count = 0;
    let mut is_right = false;
    for stored in live {
        is_right |= stored.digest.matches(digest);
        count += 1;
    }
    for _ in count..LIVE_SECRETS {
        let _ = std::hint::black_box(nothing.matches(digest));
    }
    let Some(client) = client else {
        return Err(Refusal::UnknownClient(Hint::of(id.as_ref().map_or("", ClientId::as_str))));
    };
    if client.rights.auth_method != AuthMethod::ClientSecret {
        Err(Refusal::OtherMethod { client: client.id.clone(), registered: client.rights.auth_method })
    } else if !client.enabled {
        Err(Refusal::DisabledClient(client.id.clone()))
    } else if !is_right {
        Err(Refusal::WrongSecret { client: client.id.clone(), live: count })
    } else {
        Ok(Authenticated::by_credential(client))
    }
}
