//! Reads what kind of token a JWT says that it is, by `typ` and by claims that only that kind has: RFC 8725 §3.11 and §3.12.
//!
//! All kinds are signed with the same keys, so a good signature does not tell a logout token from an ID token.

use crate::refusal::TokenFault;
use crate::{ACCESS_TOKEN_TYPE, AcceptedAs, CompactJws};
use serde_json::{Map, Value};

/// `typ` of a client assertion (draft-ietf-oauth-rfc7523bis).
const CLIENT_ASSERTION_TYPE: &str = "client-authentication+jwt";

/// Claims that make a token one of another kind, all of a line together, and what it is then.
const OTHER_KINDS: [(&[&str], &str); 33] = [
    (&["events"], SECURITY_EVENT),
    (&["toe"], SECURITY_EVENT),
    (&["token_introspection"], "a token introspection response (RFC 9701)"),
    (&["status_list"], "a token status list"),
    (&["jwks"], FEDERATION),
    (&["authority_hints"], FEDERATION),
    (&["metadata_policy"], FEDERATION),
    (&["trust_chain"], FEDERATION),
    (&["trust_mark_type"], FEDERATION),
    (&["vc"], CREDENTIAL),
    (&["vp"], CREDENTIAL),
    (&["vct"], CREDENTIAL),
    (&["credentialSubject"], CREDENTIAL),
    (&["verifiableCredential"], CREDENTIAL),
    (&["_sd_alg"], CREDENTIAL),
    (&["_sd"], CREDENTIAL),
    (&["sd_hash"], CREDENTIAL),
    (&["htm"], DPOP_PROOF),
    (&["htu"], DPOP_PROOF),
    (&["ath"], DPOP_PROOF),
    (&["tctx"], TRANSACTION),
    (&["rctx"], TRANSACTION),
    (&["req_wl"], TRANSACTION),
    (&["response_type"], "an authorization request (RFC 9101)"),
    (&["redirect_uri"], "an authorization request (RFC 9101)"),
    (&["orig", "dest"], "a PASSporT (RFC 8225)"),
    (&["code", "state"], RESPONSE),
    (&["access_token"], RESPONSE),
    (&["id_token"], RESPONSE),
    (&["redirect_uris"], METADATA),
    (&["jwks_uri"], METADATA),
    (&["token_endpoint"], METADATA),
    (&["authorization_servers"], METADATA),
];

const SECURITY_EVENT: &str = "a security event (RFC 8417), such as a logout token";
const FEDERATION: &str = "a statement of OpenID Federation";
const CREDENTIAL: &str = "a verifiable credential or presentation";
const DPOP_PROOF: &str = "a DPoP proof (RFC 9449)";
const TRANSACTION: &str = "a transaction token";
const RESPONSE: &str = "an authorization response";
const METADATA: &str = "metadata of a client or server";
const ID_TOKEN: &str = "an ID token";
const ACCESS_TOKEN: &str = "an access token";
const CLIENT_ASSERTION: &str = "a client assertion (RFC 7523)";

/// Claims in which providers write the kind of a token: Keycloak, Amazon Cognito, and PingAM (ForgeRock).
const SAYING_CLAIMS: [&str; 4] = ["typ", "token_use", "tokenName", "token_type"];

/// Refuses a token of another kind than what it is presented as.
pub(crate) fn check(token: &CompactJws, used_as: AcceptedAs) -> Result<(), TokenFault> {
    let (header, payload) = (token.header(), token.unverified_payload());
    let is_access_token = header.is_type(ACCESS_TOKEN_TYPE);
    // An access token of RFC 9068 has its own `typ`, and older ones say `JWT` or nothing, as ID tokens do.
    if header.typ.is_some() && !header.is_type("JWT") && !is_access_token {
        let what = if header.is_type(CLIENT_ASSERTION_TYPE) { CLIENT_ASSERTION } else { "of another kind" };
        return Err(TokenFault::OtherKind { by: "typ", what });
    }
    check_claims(payload)?;
    // RFC 7523 §3: an assertion that its own subject makes authenticates a client.
    if said(payload, "sub").is_some() && said(payload, "sub") == said(payload, "iss") {
        return Err(TokenFault::OtherKind { by: "sub", what: CLIENT_ASSERTION });
    }
    let says = Saying::of(payload)?;
    let access_token = if is_access_token { Some("typ") } else { says.access_token };
    let id_token = says.id_token.or_else(|| {
        // OpenID Connect Core 1.0 §3.1.3.6 and §3.3.2.11: hashes of what was issued with an ID token. Up to version 24, Keycloak
        // copies `nonce` into access tokens, and says that they are some.
        let only_without = if access_token.is_none() { Some("nonce") } else { None };
        ["at_hash", "c_hash"].into_iter().chain(only_without).find(|name| said(payload, name).is_some())
    });
    let other = match used_as {
        AcceptedAs::IdToken => access_token.map(|by| (by, ACCESS_TOKEN)),
        AcceptedAs::AccessToken => id_token.map(|by| (by, ID_TOKEN)),
        AcceptedAs::Jwt | AcceptedAs::JwtBearer => {
            let of_rfc_9068 = is_access_token.then_some(("typ", ACCESS_TOKEN));
            of_rfc_9068.or_else(|| id_token.map(|by| (by, ID_TOKEN)))
        }
    };
    other.map_or(Ok(()), |(by, what)| Err(TokenFault::OtherKind { by, what }))
}

/// Refuses a token that is neither an assertion of a client nor an identity of a workload, which are ID tokens or plain JWTs.
///
/// draft-ietf-oauth-rfc7523bis has a `typ` of its own, and does not ask servers to insist; a JWT-SVID may say `JOSE` (JWT-SVID §2).
pub(crate) fn check_client_assertion(token: &CompactJws) -> Result<(), TokenFault> {
    let (header, payload) = (token.header(), token.unverified_payload());
    let is_svid = said(payload, "sub").and_then(Value::as_str).is_some_and(|sub| sub.starts_with("spiffe:"));
    let is_good = header.typ.is_none()
        || header.is_type("JWT")
        || header.is_type(CLIENT_ASSERTION_TYPE)
        || (is_svid && header.is_type("JOSE"));
    if !is_good {
        let what = if header.is_type(ACCESS_TOKEN_TYPE) { ACCESS_TOKEN } else { "of another kind" };
        return Err(TokenFault::OtherKind { by: "typ", what });
    }
    check_claims(payload)?;
    Saying::of(payload).map(|_| ())
}

fn check_claims(payload: &Map<String, Value>) -> Result<(), TokenFault> {
    for (names, what) in OTHER_KINDS {
        if names.iter().all(|name| said(payload, name).is_some()) {
            return Err(TokenFault::OtherKind { by: names[0], what });
        }
    }
    let is_key_set = |keys: &Vec<Value>| keys.iter().any(|key| key.get("kty").is_some());
    if payload.get("keys").and_then(Value::as_array).is_some_and(is_key_set) {
        return Err(TokenFault::OtherKind { by: "keys", what: "a signed key set" });
    }
    Ok(())
}

/// The claims by which a provider says what kind of token it is.
struct Saying {
    id_token: Option<&'static str>,
    access_token: Option<&'static str>,
}

impl Saying {
    fn of(payload: &Map<String, Value>) -> Result<Self, TokenFault> {
        let mut found = Self { id_token: None, access_token: None };
        for by in SAYING_CLAIMS {
            let Some(Value::String(word)) = payload.get(by) else { continue };
            let word = word.to_ascii_lowercase();
            match word.strip_prefix("application/").unwrap_or(&word) {
                "id" | "id_token" => found.id_token = found.id_token.or(Some(by)),
                "bearer" | "dpop" | "at+jwt" | "access" | "access_token" => {
                    found.access_token = found.access_token.or(Some(by));
                }
                "jwt" => {}
                other => {
                    // What Keycloak writes into `typ` is the kind in any case: Refresh, Offline, Logout, an action by e-mail. The other
                    // names are in use for other things, too.
                    if by == "typ" || other.starts_with("refresh") || other.starts_with("logout") {
                        return Err(TokenFault::OtherKind { by, what: "of another kind" });
                    }
                }
            }
        }
        Ok(found)
    }
}

/// The claim, unless it is null.
fn said<'a>(payload: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    payload.get(name).filter(|value| !value.is_null())
}
