//! Reads the kind of a JWT from `typ` and from claims that only that kind has: RFC 8725 §3.11 and §3.12.
//!
//! All kinds are signed with the same keys, so a valid signature does not distinguish a logout token from an ID token.

use crate::issuer::AcceptedAs;
use crate::refusal::facts::{ACCESS_TOKEN, ID_TOKEN};
use crate::refusal::{Cue, OfAnotherKind, TokenFault};
use crate::token::{ACCESS_TOKEN_TYPE, ClaimFault, Defect};
use crate::{CompactJws, Excerpt};
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
const CLIENT_ASSERTION: &str = "a client assertion (RFC 7523)";
const OF_ANOTHER_KIND: &str = "of another kind";

/// Claims in which providers write the kind of a token: Keycloak, Amazon Cognito, and PingAM (ForgeRock).
const KIND_CLAIMS: [&str; 4] = ["typ", "token_use", "tokenName", "token_type"];

/// Refuses a token of another kind than what it is presented as.
pub(crate) fn check(token: &CompactJws, used_as: AcceptedAs) -> Result<(), TokenFault> {
    checked(token, used_as).map_err(|other| other.presented_as(used_as_words(used_as)))
}

/// The kind that a token states, which differs from the one it was presented as.
struct Other<'a> {
    stated: Statement<'a>,
    what: &'static str,
}

/// The header member or claim that states it; its value is read for a refusal only.
#[derive(Clone, Copy)]
enum Statement<'a> {
    Header(&'a str),
    Value(&'static str, &'a Value),
    Claims(&'static [&'static str]),
    SelfIssued(&'a Value),
    /// The claim has a type that is not allowed for it.
    Malformed(&'static str, &'a Value, &'static str),
}

fn used_as_words(used_as: AcceptedAs) -> &'static str {
    match used_as {
        AcceptedAs::IdToken => "an id_token",
        AcceptedAs::Jwt => "a jwt",
        AcceptedAs::AccessToken => "an access_token",
        AcceptedAs::JwtBearer => "the assertion of the jwt-bearer grant",
    }
}

fn checked(token: &CompactJws, used_as: AcceptedAs) -> Result<(), Other<'_>> {
    let (header, payload) = (token.header(), token.unverified_payload());
    let is_access_token = header.is_type(ACCESS_TOKEN_TYPE);
    let typ = Statement::Header(header.typ.as_deref().unwrap_or_default());
    // An access token of RFC 9068 has its own `typ`; older access tokens have `JWT` or none, as ID tokens do.
    if header.typ.is_some() && !header.is_type("JWT") && !is_access_token {
        let what = if header.is_type(CLIENT_ASSERTION_TYPE) { CLIENT_ASSERTION } else { OF_ANOTHER_KIND };
        return Err(Other { stated: typ, what });
    }
    check_claims(payload)?;
    // RFC 7523 §3: an assertion that its own subject makes authenticates a client.
    if let Some(sub) = non_null(payload, "sub").filter(|sub| non_null(payload, "iss") == Some(*sub)) {
        return Err(Other { stated: Statement::SelfIssued(sub), what: CLIENT_ASSERTION });
    }
    let kind = KindClaims::of(payload)?;
    let access_token = if is_access_token { Some(typ) } else { kind.access_token };
    let id_token = kind.id_token.or_else(|| {
        // OpenID Connect Core 1.0 §3.1.3.6 and §3.3.2.11: hashes of what was issued with an ID token. Up to version 24, Keycloak
        // copies `nonce` into access tokens, and says that they are some.
        const HASHES_AND_NONCE: [&[&str]; 3] = [&["at_hash"], &["c_hash"], &["nonce"]];
        let decisive = if access_token.is_none() { &HASHES_AND_NONCE[..] } else { &HASHES_AND_NONCE[..2] };
        decisive
            .iter()
            .find(|names| non_null(payload, names[0]).is_some())
            .map(|names| Statement::Claims(names))
    });
    let other = match used_as {
        AcceptedAs::IdToken => access_token.map(|stated| (stated, ACCESS_TOKEN)),
        AcceptedAs::AccessToken => id_token.map(|stated| (stated, ID_TOKEN)),
        AcceptedAs::Jwt | AcceptedAs::JwtBearer => {
            let of_rfc_9068 = is_access_token.then_some((typ, ACCESS_TOKEN));
            of_rfc_9068.or_else(|| id_token.map(|stated| (stated, ID_TOKEN)))
        }
    };
    other.map_or(Ok(()), |(stated, what)| Err(Other { stated, what }))
}

impl Other<'_> {
    fn presented_as(self, presented_as: &'static str) -> TokenFault {
        let by = match self.stated {
            Statement::Header(typ) => Cue::Header(Excerpt::of_claim(typ)),
            Statement::Value(claim, value) => Cue::Value(claim, Excerpt::of_value(Some(value))),
            Statement::Claims(names) => Cue::Claims(names),
            Statement::SelfIssued(name) => Cue::SelfIssued(Excerpt::of_value(Some(name))),
            Statement::Malformed(claim, value, expected) => {
                let defect = Defect::Type { found: Excerpt::of_value(Some(value)), expected };
                return TokenFault::UnverifiedClaim(ClaimFault::new(claim, defect));
            }
        };
        TokenFault::OtherKind(Box::new(OfAnotherKind { by, what: self.what, presented_as }))
    }
}

/// Refuses a token that is neither an assertion of a client nor an identity of a workload, which are ID tokens or plain JWTs.
///
/// draft-ietf-oauth-rfc7523bis has its own `typ`, but does not require servers to insist on it; a JWT-SVID may have `JOSE` (JWT-SVID §2).
pub(crate) fn check_client_assertion(token: &CompactJws) -> Result<(), TokenFault> {
    checked_client_assertion(token).map_err(|other| other.presented_as("the assertion of a client"))
}

fn checked_client_assertion(token: &CompactJws) -> Result<(), Other<'_>> {
    let (header, payload) = (token.header(), token.unverified_payload());
    let is_svid =
        non_null(payload, "sub").and_then(Value::as_str).is_some_and(|sub| sub.starts_with("spiffe:"));
    let is_good = header.typ.is_none()
        || header.is_type("JWT")
        || header.is_type(CLIENT_ASSERTION_TYPE)
        || (is_svid && header.is_type("JOSE"));
    if !is_good {
        let what = if header.is_type(ACCESS_TOKEN_TYPE) { ACCESS_TOKEN } else { OF_ANOTHER_KIND };
        return Err(Other { stated: Statement::Header(header.typ.as_deref().unwrap_or_default()), what });
    }
    check_claims(payload)?;
    KindClaims::of(payload).map(|_| ())
}

fn check_claims(payload: &Map<String, Value>) -> Result<(), Other<'_>> {
    for (names, what) in OTHER_KINDS {
        // A claim that alone says what kind the token is of says so with every value but null, which no kind has.
        if let ([name], Some(null @ Value::Null)) = (names, payload.get(names[0])) {
            return Err(Other { stated: Statement::Malformed(name, null, "left out, or not null"), what });
        }
        if names.iter().all(|name| non_null(payload, name).is_some()) {
            return Err(Other { stated: Statement::Claims(names), what });
        }
    }
    let is_key_set = |keys: &Vec<Value>| keys.iter().any(|key| key.get("kty").is_some());
    if payload.get("keys").and_then(Value::as_array).is_some_and(is_key_set) {
        return Err(Other { stated: Statement::Claims(&["keys"]), what: "a signed key set" });
    }
    Ok(())
}

/// The claims by which a provider says what kind of token it is.
struct KindClaims<'a> {
    id_token: Option<Statement<'a>>,
    access_token: Option<Statement<'a>>,
}

impl<'a> KindClaims<'a> {
    fn of(payload: &'a Map<String, Value>) -> Result<Self, Other<'a>> {
        let mut found = Self { id_token: None, access_token: None };
        for by in KIND_CLAIMS {
            let (value, word) = match non_null(payload, by) {
                None => continue,
                Some(value @ Value::String(word)) => (value, word),
                Some(value) if by == "typ" => {
                    let stated = Statement::Malformed(by, value, "a text");
                    return Err(Other { stated, what: OF_ANOTHER_KIND });
                }
                // The other names are also used for other purposes.
                Some(_) => continue,
            };
            let stated = Statement::Value(by, value);
            let word = word.to_ascii_lowercase();
            match word.strip_prefix("application/").unwrap_or(&word) {
                "id" | "id_token" => found.id_token = found.id_token.or(Some(stated)),
                "bearer" | "dpop" | "at+jwt" | "access" | "access_token" => {
                    found.access_token = found.access_token.or(Some(stated));
                }
                "jwt" => {}
                other => {
                    // What Keycloak writes into `typ` is the kind in any case: Refresh, Offline, Logout, an action by e-mail.
                    if by == "typ" || other.starts_with("refresh") || other.starts_with("logout") {
                        return Err(Other { stated, what: OF_ANOTHER_KIND });
                    }
                }
            }
        }
        Ok(found)
    }
}

/// The claim, unless it is null.
fn non_null<'a>(payload: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    payload.get(name).filter(|value| !value.is_null())
}
