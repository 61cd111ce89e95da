//! Claims that an embedding program adds to our tokens, in a claim of their own: RFC 7519 §4.3.

use super::claim_fault::{ClaimFault, Defect};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The claim that contains them. No name in it can be that of a registered claim (RFC 7519 §10.1).
pub(crate) const EXTRA_CLAIMS: &str = "tokenberg_claims";

/// The most bytes of all claims together, as JSON.
const MOST_BYTES: usize = 1024;

/// Claims of an embedding program, in the claim `tokenberg_claims`; mostly none. A clone is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtraClaims(Option<Arc<Map<String, Value>>>);

/// More than 1024 bytes of claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the claims have {bytes} bytes as JSON, and may have {MOST_BYTES}, because a token travels in a header"
)]
pub struct TooManyClaims {
    /// Their length as JSON.
    pub bytes: usize,
}

impl ExtraClaims {
    /// Claims of these names and values.
    ///
    /// # Errors
    /// If they are longer than 1024 bytes as JSON.
    pub fn new(claims: Map<String, Value>) -> Result<Self, TooManyClaims> {
        if claims.is_empty() {
            return Ok(Self::default());
        }
        let bytes = serde_json::to_vec(&claims).map_or(usize::MAX, |json| json.len());
        if bytes > MOST_BYTES { Err(TooManyClaims { bytes }) } else { Ok(Self(Some(Arc::new(claims)))) }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The claim of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.as_ref()?.get(name)
    }

    /// All claims, if there are any.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map<String, Value>> {
        self.0.as_deref()
    }

    /// Adds these claims; one that is there already gets the new value.
    pub(crate) fn with(self, added: &Self) -> Result<Self, TooManyClaims> {
        match (&self.0, &added.0) {
            (_, None) => Ok(self),
            (None, Some(_)) => Ok(added.clone()),
            (Some(own), Some(added)) => {
                let mut all = Map::clone(own);
                all.extend(added.iter().map(|(name, value)| (name.clone(), value.clone())));
                Self::new(all)
            }
        }
    }

    /// Reads the claim of a payload.
    pub(crate) fn read(payload: &Map<String, Value>) -> Result<Self, ClaimFault> {
        let fault = |value| {
            ClaimFault::new(
                EXTRA_CLAIMS,
                Defect::of(Some(value), Value::is_object, "an object of at most 1024 bytes"),
            )
        };
        match payload.get(EXTRA_CLAIMS) {
            None => Ok(Self::default()),
            Some(value @ Value::Object(claims)) => Self::new(claims.clone()).map_err(|_| fault(value)),
            Some(value) => Err(fault(value)),
        }
    }
}
