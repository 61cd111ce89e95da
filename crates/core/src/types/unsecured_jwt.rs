//! Reads an unsecured JWT, as Iceberg's specification allows and Trino sends it: RFC 7519 §6.

use super::claim_fault::{Defect, HeaderFault};
use super::compact_jws::{FramingFault, Part, object};
use super::excerpt::Excerpt;
use serde_json::{Map, Value};

/// The length of the longest that is parsed, in bytes.
const LONGEST: usize = 4096;

/// An unsecured JWT: exactly `alg` `none`, and an empty signature.
///
/// It is no credential, but at most a statement of a client that is authenticated otherwise (conformance TX-60 to TX-69).
pub(crate) struct UnsecuredJwt {
    payload: Map<String, Value>,
}

impl UnsecuredJwt {
    /// Whether the text has no signature, so that it can only be an unsecured JWT. A text with a signature is never read as unsecured.
    pub(crate) fn is_one(text: &str) -> bool {
        text.ends_with('.') && text.bytes().filter(|b| *b == b'.').count() == 2
    }

    /// Reads one.
    ///
    /// # Errors
    /// If it is anything else than header, payload and an empty signature, or the header says more than `alg` and `typ`.
    pub(crate) fn parse(text: &str) -> Result<Self, FramingFault> {
        if text.len() > LONGEST {
            return Err(FramingFault::TooLong { part: Part::Token, bytes: text.len(), most: LONGEST });
        }
        let segments = || FramingFault::Segments(text.split('.').count());
        let content = text.strip_suffix('.').ok_or_else(segments)?;
        let (header, payload) = content.split_once('.').ok_or_else(segments)?;
        let header = object(Part::Header, header)?;
        if let Some(other) = header.keys().find(|name| *name != "alg" && *name != "typ") {
            return Err(HeaderFault::not_allowed(other).into());
        }
        let another = |name: &'static str, expected| {
            let (found, expected) = (Excerpt::of_value(header.get(name)), Excerpt::of_claim(expected));
            FramingFault::from(HeaderFault::new(name, Defect::Value { found, expected }))
        };
        if header.get("alg").and_then(Value::as_str) != Some("none") {
            return Err(another("alg", "none"));
        }
        match header.get("typ").map(Value::as_str) {
            None => {}
            Some(Some(typ)) if typ.eq_ignore_ascii_case("JWT") => {}
            Some(_) => return Err(another("typ", "JWT")),
        }
        Ok(Self { payload: object(Part::Payload, payload)? })
    }

    /// The claims of the JWT, as its maker states them.
    pub(crate) fn unverified_payload(&self) -> &Map<String, Value> {
        &self.payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn parse(header: &str, rest: &str) -> Result<(), FramingFault> {
        let text = format!("{}.{}{rest}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"));
        UnsecuredJwt::parse(&text).map(|_| ())
    }

    #[test]
    fn tx_63_exactly_none_and_nothing_after_the_second_dot() {
        assert_eq!(parse(r#"{"alg":"none"}"#, "."), Ok(()));
        assert_eq!(parse(r#"{"typ":"JWT","alg":"none"}"#, "."), Ok(()));
        for (header, rest) in [
            (r#"{"alg":"None"}"#, "."),
            (r#"{"alg":"NONE"}"#, "."),
            (r#"{"alg":"nOnE"}"#, "."),
            (r#"{"alg":"none"}"#, ""),
            (r#"{"alg":"none"}"#, ".c2ln"),
            (r#"{"alg":"none"}"#, ".."),
            (r#"{"alg":"none","crit":["x"],"x":1}"#, "."),
            (r#"{"alg":"none","kid":"k"}"#, "."),
            (r#"{"alg":"none","typ":"at+jwt"}"#, "."),
            (r#"{"alg":"none","typ":1}"#, "."),
            (r#"{"alg":"ES256"}"#, "."),
            (r#"{"alg":"none","alg":"none"}"#, "."),
            ("{}", "."),
        ] {
            assert!(parse(header, rest).is_err(), "{header} {rest}");
        }
        let appendix_e = "eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9VTkRFRklORUQiOnRydWUNCn0.RkFJTA.";
        assert!(UnsecuredJwt::parse(appendix_e).is_err());
    }
}
