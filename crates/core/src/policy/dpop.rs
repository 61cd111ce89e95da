//! Is this a proof for this very request? DPoP, RFC 9449 §4.3.

use super::Policy;
use super::foreign_times::numeric_date;
use super::foreign_token::text;
use crate::refusal::{ProofFault, Refusal};
use crate::{DpopProof, Lifetime, Once, SignatureFault, Thumbprint, Timestamp, Verified};

/// How old a proof may be (RFC 9449 §11.1: "within a relatively brief period").
const OLDEST: Lifetime = Lifetime::from_seconds(60);

/// How far ahead the clock of whoever made it may be.
const AHEAD: Lifetime = Lifetime::from_seconds(5);

/// What a good proof proves; its `jti` is still to be used up.
#[derive(Clone)]
pub(crate) struct Proven {
    pub(crate) key: Thumbprint,
    pub(crate) once: Once,
}

/// Checks all of RFC 9449 §4.3 but whether the proof was seen before.
pub(crate) fn check(
    policy: &Policy,
    proof: &DpopProof,
    verified: Result<Verified, SignatureFault>,
    nonce_is_ours: bool,
    now: Timestamp,
) -> Result<Proven, Refusal> {
    let address = policy.token_endpoint();
    let (key, id, issued) = made_for(proof, verified, "POST", &address, now).map_err(Refusal::Proof)?;
    let has_nonce = proof.token().unverified_payload().contains_key("nonce");
    if (has_nonce || policy.require_dpop_nonce) && !nonce_is_ours {
        return Err(Refusal::ProofNonce);
    }
    let namespace = format!("dpop {}", key.as_str()).into();
    Ok(Proven { key, once: Once { namespace, id, until: remembered_until(issued) } })
}

/// From when on a proof of that time is too old for whichever node (conformance DP-08).
pub(crate) fn remembered_until(issued: Timestamp) -> Timestamp {
    issued.plus(OLDEST).plus(AHEAD)
}

/// The key, `jti` and `iat` of a proof for this method and address.
pub(crate) fn made_for(
    proof: &DpopProof,
    verified: Result<Verified, SignatureFault>,
    method: &str,
    address: &str,
    now: Timestamp,
) -> Result<(Thumbprint, Box<str>, Timestamp), ProofFault> {
    let verified = verified.map_err(ProofFault::Signature)?;
    let key = Thumbprint::parse(verified.key().as_str()).ok_or(ProofFault::Claim("jwk"))?;
    let claims = proof.token().unverified_payload();
    let id =
        text(claims, "jti").filter(|id| (1..=256).contains(&id.len())).ok_or(ProofFault::Claim("jti"))?;
    // RFC 9449 §4.3(8): compared to the byte.
    if text(claims, "htm").ok_or(ProofFault::Claim("htm"))? != method {
        return Err(ProofFault::Method);
    }
    let sent = text(claims, "htu").ok_or(ProofFault::Claim("htu"))?;
    if normal(sent).is_none() || normal(sent) != normal(address) {
        return Err(ProofFault::Address);
    }
    let issued = numeric_date(claims, "iat").ok().flatten().ok_or(ProofFault::Claim("iat"))?;
    if issued > now.plus(AHEAD) || now > issued.plus(OLDEST) {
        return Err(ProofFault::Time { issued, now });
    }
    Ok((key, id.into(), issued))
}

/// RFC 9449 §4.3(9): "ignoring any query and fragment parts", with the syntax- and scheme-based normalisation of RFC 3986 §6.2.2
/// and §6.2.3 as far as our addresses need it.
fn normal(address: &str) -> Option<(String, String, String)> {
    let end = address.find(['?', '#']).unwrap_or(address.len());
    let (scheme, rest) = address[..end].split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = authority.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let authority = authority.strip_suffix(default_port).unwrap_or(&authority);
    if authority.is_empty() || authority.contains('@') || !path.is_ascii() {
        return None;
    }
    let path = if path.is_empty() { "/" } else { path };
    Some((scheme, authority.to_owned(), unescaped(path)))
}

/// RFC 3986 §6.2.2.2: escapes of unreserved characters are decoded; others in capitals, §6.2.2.1.
fn unescaped(path: &str) -> String {
    let mut written = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        written.push_str(&rest[..at]);
        let byte = rest.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                written.push(char::from(byte));
            }
            Some(_) => written.push_str(&rest[at..at + 3].to_ascii_uppercase()),
            None => {
                written.push('%');
                rest = &rest[at + 1..];
                continue;
            }
        }
        rest = &rest[at + 3..];
    }
    written.push_str(rest);
    written
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn dp_05_addresses_are_compared_without_query_and_with_the_normalisation_of_rfc_3986() {
        let ours = normal("https://as.test/v1/oauth/tokens").unwrap();
        for same in [
            "HTTPS://AS.TEST:443/v1/oauth/tokens?x#y",
            "https://as.test/v1/oauth/tokens#y",
            "https://as.test/v1/oauth/token%73",
        ] {
            assert_eq!(normal(same).as_ref(), Some(&ours), "{same}");
        }
        for other in [
            "https://as.test/v1/oauth/tokens/",
            "https://as.test/v1/oauth/Tokens",
            "https://as.test.evil/v1/oauth/tokens",
            "https://as.test:8443/v1/oauth/tokens",
            "https://u@as.test/v1/oauth/tokens",
            "http://as.test/v1/oauth/tokens",
            "http://as.test:443/v1/oauth/tokens",
            "as.test/v1/oauth/tokens",
            "/v1/oauth/tokens",
            "",
            "https:///v1/oauth/tokens",
            "https://as.test/v1%2foauth/tokens",
            "https://as.test/v1/oauth/tokens%",
            "https://as.test/v1/oauth/tokens%é",
        ] {
            assert_ne!(normal(other).as_ref(), Some(&ours), "{other}");
        }
    }
}
