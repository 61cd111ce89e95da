//! Classifies a token by its header and `iss`, before any key is fetched: RFC 9068 §4.

use crate::refusal::{IssuerRule, TokenFault};
use crate::token::{ACCESS_TOKEN_TYPE, ClaimFault, Defect};
use crate::{CompactJws, Excerpt, Issuer};
use serde_json::Value;

/// A token classified by its header and `iss`, before any key is fetched.
pub(crate) enum Framed {
    /// Its header and `iss` are those of an access token of ours.
    Ours(CompactJws),
    /// It is another kind of token, or another issuer's.
    Foreign(CompactJws),
}

/// Reads the framing of a token that may be ours.
pub(crate) fn framed(text: &str, issuer: &Issuer) -> Result<Framed, TokenFault> {
    let token = CompactJws::parse(text)?;
    // RFC 9068 §4: "The resource server MUST verify that the 'typ' header value is 'at+jwt' or 'application/at+jwt'".
    if !token.header().is_type(ACCESS_TOKEN_TYPE) {
        return Ok(Framed::Foreign(token));
    }
    match token.unverified_payload().get("iss") {
        Some(Value::String(iss)) if iss.as_str() == issuer.as_str() => Ok(Framed::Ours(token)),
        Some(Value::String(_)) => Ok(Framed::Foreign(token)),
        iss @ (Some(_) | None) => {
            Err(TokenFault::UnverifiedClaim(ClaimFault::new("iss", Defect::of_text(iss, ""))))
        }
    }
}

/// The fault of a foreign token where only an access token of ours is accepted.
pub(crate) fn foreign(token: CompactJws, ours: &Issuer) -> TokenFault {
    if token.header().is_type(ACCESS_TOKEN_TYPE) {
        of_another_issuer(token.into_issuer(), ours)
    } else {
        TokenFault::Type(token.into_typ())
    }
}

/// A token that has to be ours and is not.
pub(crate) fn of_another_issuer(iss: Option<Excerpt>, ours: &Issuer) -> TokenFault {
    let iss = iss.unwrap_or_else(|| Excerpt::of_value(None));
    TokenFault::Issuer { iss, rule: IssuerRule::Ours(ours.clone()) }
}
