//! Names a kept token by all that decides what the token is, so that no other request gets it.

use super::options::TokenOptions;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tokenberg_core::client::ClientAuthentication;
use tokenberg_core::{CompactJws, TokenRequest};
use tokenberg_jose::ClientKey;
use url::Url;

/// The name: a hash of the address, the request, the client and the keys that the token is bound to. A client's secret is not part
/// of it, because a hash of a weak one could be guessed.
///
/// # Errors
/// If the certificate cannot be read.
pub(super) fn of(
    options: &TokenOptions,
    endpoint: &Url,
    request: &TokenRequest,
    authentication: &ClientAuthentication,
    dpop: Option<&ClientKey>,
) -> anyhow::Result<String> {
    let certificate = options.cert.as_ref().map(|file| crate::input::bytes(file)).transpose()?;
    let form = request.to_http(&ClientAuthentication::None).form;
    let parts = json!([
        endpoint.as_str(),
        form.expose(),
        client(authentication),
        dpop.map(|key| key.thumbprint().as_str()),
        certificate.map(|bytes| hash(&bytes)),
    ]);
    Ok(hash(parts.to_string().as_bytes()))
}

/// Whom the authentication names. A token as its own credential is part of the request already.
fn client(authentication: &ClientAuthentication) -> Value {
    match authentication {
        ClientAuthentication::Basic { client_id, .. }
        | ClientAuthentication::Body { client_id: Some(client_id), .. }
        | ClientAuthentication::Id { client_id } => json!([client_id]),
        ClientAuthentication::Assertion { client_id, assertion, .. } => {
            // A pod gets a new token every hour, for the same account.
            let framed = CompactJws::parse(assertion.expose()).ok();
            let claims = framed.as_ref().map(CompactJws::unverified_payload);
            let named = claims.map(|claims| [claims.get("iss"), claims.get("sub")]);
            match named {
                Some(named @ [_, Some(_)]) => json!([client_id, named]),
                Some(_) | None => json!([client_id, hash(assertion.expose().as_bytes())]),
            }
        }
        ClientAuthentication::Body { client_id: None, .. }
        | ClientAuthentication::Bearer(_)
        | ClientAuthentication::None => Value::Null,
    }
}

/// The hash of these bytes, as part of a file name.
pub(super) fn hash(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes))
}
