//! Parses a DPoP proof and reads its claims: RFC 9449 §4.2 and §4.3.

use super::claim_fault::{Defect, HeaderFault};
use super::compact_jws::{CompactJws, FramingFault, Part, object};
use super::excerpt::Excerpt;
use serde_json::{Map, Value};

/// The longest proof, in bytes: one public key and a few claims.
const LONGEST: usize = 4096;

/// A proof in the form of RFC 9449 §4.2, with the public key that it carries. It is not verified.
#[derive(Clone, Debug)]
pub struct DpopProof {
    token: CompactJws,
    jwk: Map<String, Value>,
}

impl DpopProof {
    /// Reads a proof.
    ///
    /// # Errors
    /// If it is no token that we read, its `typ` is not `dpop+jwt`, or it carries no `jwk`.
    pub fn parse(text: &str) -> Result<Self, FramingFault> {
        if text.len() > LONGEST {
            return Err(FramingFault::TooLong { part: Part::Proof, bytes: text.len(), most: LONGEST });
        }
        let token = CompactJws::parse(text)?;
        if !token.header().is_type("dpop+jwt") {
            let defect = match token.into_typ() {
                None => Defect::Missing,
                Some(found) => Defect::Value { found, expected: Excerpt::of_claim("dpop+jwt") },
            };
            return Err(HeaderFault::new("typ", defect).into());
        }
        let header = object(Part::Header, text.split('.').next().unwrap_or_default())?;
        match header.get("jwk") {
            Some(Value::Object(jwk)) => Ok(Self { token, jwk: jwk.clone() }),
            other @ (Some(_) | None) => {
                Err(HeaderFault::new("jwk", Defect::of(other, Value::is_object, "an object")).into())
            }
        }
    }

    /// The proof as a token.
    #[must_use]
    pub fn token(&self) -> &CompactJws {
        &self.token
    }

    /// The public key that it carries. If the signature is valid, the holder of the private key made the proof.
    #[must_use]
    pub fn jwk(&self) -> &Map<String, Value> {
        &self.jwk
    }
}
