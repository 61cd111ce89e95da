//! The key that a token is bound to: `cnf`, RFC 7800 §3.1; `jkt` of RFC 9449 §6.1, `x5t#S256` of RFC 8705 §3.1.

use super::claim_fault::{ClaimFault, Defect};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// A SHA-256 thumbprint of a key or a certificate, in base64url: 43 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Thumbprint(Box<str>);

impl Thumbprint {
    /// The thumbprint that is this hash.
    #[must_use]
    pub fn of(hash: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(hash).into())
    }

    /// The thumbprint that is written so, in its one spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == 32).then(|| Self(text.into()))
    }

    /// The thumbprint as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The keys that a caller has to hold to present the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// `jkt`: the RFC 7638 thumbprint of the key of DPoP proofs.
    pub key: Option<Thumbprint>,
    /// `x5t#S256`: the thumbprint of the certificate of the TLS connection.
    pub certificate: Option<Thumbprint>,
}

const KEY: &str = "jkt";
const CERTIFICATE: &str = "x5t#S256";

impl Confirmation {
    /// The confirmation of these keys; `None` if there are none.
    #[must_use]
    pub fn of(key: Option<Thumbprint>, certificate: Option<Thumbprint>) -> Option<Self> {
        (key.is_some() || certificate.is_some()).then_some(Self { key, certificate })
    }

    /// Reads `cnf`. A way of confirming that we do not know is a rule that we could not keep, so it is refused.
    ///
    /// # Errors
    /// If it is no object with one or both of the members.
    pub fn read(cnf: &Value) -> Result<Self, ClaimFault> {
        let fault = |rule| ClaimFault::new("cnf", Defect::of(Some(cnf), Value::is_object, rule));
        let members = cnf.as_object().ok_or_else(|| fault("an object"))?;
        if let Some(other) = members.keys().find(|name| *name != KEY && *name != CERTIFICATE) {
            return Err(ClaimFault::unknown_member("cnf", other));
        }
        let thumbprint = |name: &'static str| {
            let read = |value: &Value| {
                value.as_str().and_then(Thumbprint::parse).ok_or_else(|| {
                    let rule = "a thumbprint is 43 characters of base64url";
                    ClaimFault::new(name, Defect::of_text(Some(value), rule)).within("cnf")
                })
            };
            members.get(name).map(read).transpose()
        };
        Self::of(thumbprint(KEY)?, thumbprint(CERTIFICATE)?)
            .ok_or_else(|| fault("it has jkt, x5t#S256 or both"))
    }
}

impl Serialize for Confirmation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut cnf = serializer.serialize_map(None)?;
        for (name, thumbprint) in [(KEY, &self.key), (CERTIFICATE, &self.certificate)] {
            if let Some(thumbprint) = thumbprint {
                cnf.serialize_entry(name, thumbprint.as_str())?;
            }
        }
        cnf.end()
    }
}

/// The keys whose possession the caller has proven with this very request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Possession {
    /// The thumbprint of the key of a good DPoP proof.
    pub key: Option<Thumbprint>,
    /// The thumbprint of the certificate of the connection.
    pub certificate: Option<Thumbprint>,
}

impl Possession {
    /// Whether possession of all keys of the confirmation is proven.
    #[must_use]
    pub fn fulfils(&self, confirmation: &Confirmation) -> bool {
        let has =
            |needed: &Option<Thumbprint>, proven: &Option<Thumbprint>| needed.is_none() || needed == proven;
        has(&confirmation.key, &self.key) && has(&confirmation.certificate, &self.certificate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tx_27_possession_of_every_named_key_is_required() {
        let (a, b) = (Some(Thumbprint::of([1; 32])), Some(Thumbprint::of([2; 32])));
        let held = |key: &Option<Thumbprint>, certificate: &Option<Thumbprint>| Possession {
            key: key.clone(),
            certificate: certificate.clone(),
        };
        let key = Confirmation::of(a.clone(), None).unwrap();
        let both = Confirmation::of(a.clone(), b.clone()).unwrap();
        assert!(held(&a, &None).fulfils(&key) && held(&a, &b).fulfils(&key));
        assert!(held(&a, &b).fulfils(&both));
        for lacking in [held(&None, &None), held(&None, &a), held(&b, &a)] {
            assert!(!lacking.fulfils(&key) && !lacking.fulfils(&both));
        }
        assert!(!held(&a, &None).fulfils(&both) && !held(&None, &b).fulfils(&both));
        assert_eq!(Confirmation::read(&serde_json::to_value(&both).unwrap()), Ok(both));
        assert_eq!(Confirmation::of(None, None), None);
    }
}
