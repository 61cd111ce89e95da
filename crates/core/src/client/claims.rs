//! Writes the claims with which a client proves itself: assertions (RFC 7523 §3) and DPoP proofs (RFC 9449 §4.2).

use crate::token::Thumbprint;
use crate::{Lifetime, Timestamp, TokenId};
use serde_json::{Map, Value, json};

/// The lifetime of an assertion. It is used immediately, and clocks differ.
const ASSERTION_LIFETIME: Lifetime = Lifetime::from_seconds(60);

/// The claims of an assertion with which a client authenticates at the server with this issuer identifier, valid for 60 s.
///
/// draft-ietf-oauth-rfc7523bis: the audience is "the issuer identifier [...] as its sole value".
#[must_use]
pub fn assertion_claims(client_id: &str, audience: &str, id: &TokenId, now: Timestamp) -> Map<String, Value> {
    let expires_at = now.plus(ASSERTION_LIFETIME).as_seconds();
    object(json!({
        "iss": client_id, "sub": client_id, "aud": audience, "jti": id.as_str(), "iat": now.as_seconds(), "exp": expires_at,
    }))
}

/// The claims of a proof for one request: its method and its address, which is sent without query and fragment.
///
/// `nonce` is one that the server demanded (RFC 9449 §8); `token_hash` is the SHA-256 of the access token that is presented with the
/// proof, and absent at the token endpoint.
#[must_use]
pub fn proof_claims(
    method: &str,
    address: &str,
    nonce: Option<&str>,
    token_hash: Option<&Thumbprint>,
    id: &TokenId,
    now: Timestamp,
) -> Map<String, Value> {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let mut claims =
        object(json!({"htm": method, "htu": address, "jti": id.as_str(), "iat": now.as_seconds()}));
    if let Some(nonce) = nonce {
        claims.insert("nonce".to_owned(), nonce.into());
    }
    if let Some(hash) = token_hash {
        claims.insert("ath".to_owned(), hash.as_str().into());
    }
    claims
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(members) = value { members } else { Map::new() }
}
