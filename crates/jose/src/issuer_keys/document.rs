//! Fetches what an issuer publishes: its metadata (RFC 8414 §3.2), its JWK Set or bundle, each bounded; conformance KS-06 and
//! WL-06.

use super::Fetch;
use super::address::{Address, By};
use super::fault::FetchFault;
use super::limits::freshness;
use crate::json_parts::Part;
use crate::jwks_reading::LARGEST_JWKS;
use crate::public_keys::PublicKeys;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokenberg_core::{KeySource, Lifetime, TrustedIssuer};

/// The maximum size of metadata, in bytes.
pub const LARGEST_METADATA: usize = 256 * 1024;

/// A response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a `Fetch` makes it")]
pub struct Document {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// The field `Cache-Control`, if present.
    pub cache_control: Option<String>,
}

/// A key set as published.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) keys: PublicKeys,
    pub(super) fresh_for: Lifetime,
    /// `spiffe_sequence`.
    pub(super) sequence: Option<u64>,
}

/// Fetches the keys of the issuer from the source that the operator configured.
pub(super) fn published(
    fetch: &dyn Fetch,
    issuer: &TrustedIssuer,
    within: Duration,
) -> Result<Published, FetchFault> {
    let fetching = Fetching { fetch, issuer, begun: Instant::now(), within };
    match &issuer.trust.keys {
        KeySource::Jwks(text) => {
            let keys = PublicKeys::from_jwks(text).map_err(FetchFault::Given)?;
            Ok(Published { keys, fresh_for: freshness(None), sequence: None })
        }
        KeySource::JwksUri(url) => fetching.key_set(&address(url, issuer, By::Operator)?),
        KeySource::Discovery => fetching.key_set(&fetching.discovered()?),
    }
}

struct Fetching<'a> {
    fetch: &'a dyn Fetch,
    issuer: &'a TrustedIssuer,
    begun: Instant,
    within: Duration,
}

impl Fetching<'_> {
    fn key_set(&self, address: &Address) -> Result<Published, FetchFault> {
        let document = self.get(address, LARGEST_JWKS)?;
        let fault = |fault| FetchFault::Jwks { address: address.clone(), fault };
        let keys = PublicKeys::from_bytes(&document.body).map_err(fault)?;
        let cached = document.cache_control.as_deref().and_then(max_age);
        // Only a bundle has these two members.
        let is_bundle = self.issuer.issuer.is_spiffe();
        let number =
            |name| member(&document.body, name).filter(|_| is_bundle).as_ref().and_then(Value::as_u64);
        let (hint, sequence) = (number("spiffe_refresh_hint"), number("spiffe_sequence"));
        Ok(Published { keys, fresh_for: freshness(hint.or(cached)), sequence })
    }

    fn discovered(&self) -> Result<Address, FetchFault> {
        let places = Address::of_metadata(self.issuer)
            .map_err(|fault| FetchFault::Address { url: self.issuer.issuer.as_str().into(), fault })?;
        let mut missing = None;
        for place in &places {
            match self.get(place, LARGEST_METADATA) {
                Ok(document) => return self.jwks_uri(place, &document),
                Err(FetchFault::Status { address, status }) if (400..500).contains(&status) => {
                    // The first place is the usual one, so its status is reported.
                    missing.get_or_insert(FetchFault::Status { address, status });
                }
                Err(other) => return Err(other),
            }
        }
        Err(missing.unwrap_or(FetchFault::BrokeOff))
    }

    fn jwks_uri(&self, place: &Address, document: &Document) -> Result<Address, FetchFault> {
        let part = Part::whole(&document.body).ok().filter(|part| part.members().is_some());
        let part = part.ok_or_else(|| FetchFault::Metadata { address: place.clone() })?;
        let text = |name| match part.member(name) {
            Ok(value) => Ok(value.and_then(Part::string)),
            Err(_) => Err(FetchFault::Metadata { address: place.clone() }),
        };
        if text("issuer")?.as_deref() != Some(self.issuer.issuer.as_str()) {
            return Err(FetchFault::Issuer { address: place.clone() });
        }
        let uri = text("jwks_uri")?.ok_or_else(|| FetchFault::NoJwksUri { address: place.clone() })?;
        address(&uri, self.issuer, By::Metadata)
    }

    fn get(&self, address: &Address, largest: usize) -> Result<Document, FetchFault> {
        let left = self.within.checked_sub(self.begun.elapsed()).filter(|left| !left.is_zero());
        let requested = address.clone();
        let document = match self.fetch.fetch(address, largest, left.ok_or(FetchFault::TooLong)?) {
            Ok(document) => document,
            Err(reason) => return Err(FetchFault::Unreachable { address: requested, reason }),
        };
        match document.status {
            200 if document.body.len() > largest => Err(FetchFault::TooLarge { address: requested, largest }),
            200 => Ok(document),
            status @ 300..400 => Err(FetchFault::Redirect { address: requested, status }),
            status => Err(FetchFault::Status { address: requested, status }),
        }
    }
}

fn address(url: &str, issuer: &TrustedIssuer, by: By) -> Result<Address, FetchFault> {
    let start = || url.chars().take(200).collect::<String>().into();
    Address::for_issuer(url, issuer, by).map_err(|fault| FetchFault::Address { url: start(), fault })
}

/// How long a response may be kept (RFC 9111 §5.2.2): `max-age`, or 0 if it forbids to keep it.
fn max_age(cache_control: &str) -> Option<u64> {
    let mut directives = cache_control.split(',').map(str::trim);
    if directives.clone().any(|d| d.eq_ignore_ascii_case("no-store") || d.eq_ignore_ascii_case("no-cache")) {
        return Some(0);
    }
    directives.find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        // RFC 9111 §1.2.2: a number that is too large counts as a very long time.
        let digits = value.trim_matches('"');
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        (name.eq_ignore_ascii_case("max-age") && is_number).then(|| digits.parse().unwrap_or(u64::MAX))
    })
}

/// The value of a member of a document, whatever is in the other members.
fn member(document: &[u8], name: &str) -> Option<Value> {
    Part::whole(document).ok()?.member(name).ok()??.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ks_06_cache_control_sets_the_freshness() {
        for (field, seconds) in [
            ("max-age=300", Some(300)),
            ("public, max-age=300, must-revalidate", Some(300)),
            ("Max-Age=\"7\"", Some(7)),
            ("s-maxage=1, max-age=2", Some(2)),
            ("max-age=99999999999999999999999", Some(u64::MAX)),
            ("max-age=300, no-store", Some(0)),
            ("no-cache", Some(0)),
            ("max-age=-1", None),
            ("max-age=", None),
            ("max-age", None),
            ("", None),
        ] {
            assert_eq!(max_age(field), seconds, "{field}");
        }
    }
}
