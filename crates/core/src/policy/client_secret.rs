//! Checks a secret against the client's live secrets: RFC 6749 §2.3.1; conformance CA-18 and AB-06.

use super::proof::Authenticated;
use crate::refusal::{CopyFault, ExpiredSecret, Redacted, Refusal};
use crate::{AuthMethod, Client, ClientId, Secret, SecretDigest, Timestamp};
use std::sync::Arc;

/// How many secrets a client may have live at a time; as many are compared at least for each client, whether it has them or not.
pub(crate) const LIVE_SECRETS: usize = 2;

/// Compares the digest of the presented secret with those of the client. Of the secret itself, only a refusal describes the form.
///
/// The same work is done for a client that does not exist, is disabled, or has no live secret.
pub(crate) fn check(
    id: Option<ClientId>,
    client: Option<Arc<Client>>,
    (secret, digest): (&Secret, &SecretDigest),
    now: Timestamp,
) -> Result<Authenticated, Refusal> {
    // An adapter whose look-up folds case must not turn one client into another.
    let client = client.filter(|found| Some(&found.id) == id.as_ref());
    let nothing = SecretDigest([0; 32]);
    let stored = client.as_deref().map_or(&[][..], |client| &client.secrets);
    let (mut right, mut expired) = (None, None);
    for (position, known) in stored.iter().enumerate() {
        // Expired secrets are compared too, so that the operator can see which one was used.
        let matches = known.digest.matches(digest);
        let is_live = known.is_live(now);
        right = if matches && is_live { Some(position) } else { right };
        expired = if matches && !is_live { Some(position) } else { expired };
    }
    for _ in stored.len()..LIVE_SECRETS {
        let _ = std::hint::black_box(nothing.matches(digest));
    }
    let live = stored.iter().filter(|secret| secret.is_live(now)).count();
    let Some(client) = client else {
        return Err(Refusal::UnknownClient(Redacted::of(id.as_ref().map_or("", ClientId::as_str))));
    };
    if client.rights.auth_method != AuthMethod::ClientSecret {
        let (registered, presented) = (client.rights.auth_method, "a client secret");
        return Err(Refusal::OtherMethod { client: client.id.clone(), registered, presented });
    }
    if !client.enabled {
        return Err(Refusal::DisabledClient(client.id.clone()));
    }
    if let Some(secret) = right.and_then(|position| client.secrets.get(position)) {
        let name = secret.id.clone();
        return Ok(Authenticated::by_secret(client, name));
    }
    let expired = expired.and_then(|position| client.secrets.get(position));
    Err(match expired.and_then(|secret| Some((secret, secret.expires_at?))) {
        Some((secret, expired)) => {
            let (client, secret) = (client.id.clone(), secret.id.clone());
            Refusal::ExpiredSecret(Box::new(ExpiredSecret { client, secret, expired, now, live }))
        }
        None => {
            let copied = CopyFault::of(secret.expose(), &client.id);
            Refusal::WrongSecret { client: client.id.clone(), live, copied }
        }
    })
}
