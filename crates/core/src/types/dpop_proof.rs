//! Is this text a DPoP proof, and what does it claim? RFC 9449 §4.2 and §4.3.

use super::compact_jws::{CompactJws, FramingFault};
use super::json::strict_object;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The longest proof, in bytes: one public key and a few claims.
const LONGEST: usize = 4096;

/// A proof of the form that RFC 9449 §4.2 has, with the public key that it carries. Nothing is verified.
#[derive(Clone)]
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
            return Err(FramingFault::TooLong);
        }
        let token = CompactJws::parse(text)?;
        if !token.header().is_type("dpop+jwt") {
            return Err(FramingFault::Header("typ"));
        }
        let encoded = text.split('.').next().unwrap_or_default();
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| FramingFault::Base64)?;
        let header = strict_object(&bytes).map_err(|fault| FramingFault::Json { part: "header", fault })?;
        match header.get("jwk") {
            Some(Value::Object(jwk)) => Ok(Self { token, jwk: jwk.clone() }),
            Some(_) | None => Err(FramingFault::Header("jwk")),
        }
    }

    /// The proof as a token.
    #[must_use]
    pub fn token(&self) -> &CompactJws {
        &self.token
    }

    /// The public key that it carries: whoever holds the private half made the proof, whoever that is.
    #[must_use]
    pub fn jwk(&self) -> &Map<String, Value> {
        &self.jwk
    }
}
