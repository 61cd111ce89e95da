//! Is this text a JWS in compact form, and what does its header claim? RFC 7515 §3.1, §4 and §7.1.

use super::algorithm::KeyId;
use super::json::{JsonFault, strict_object};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The longest token that is looked at, in bytes.
pub const LONGEST_TOKEN: usize = 16 * 1024;

/// The longest encoded header, in bytes.
const LONGEST_HEADER: usize = 4096;

/// The longest `kid`, in bytes.
const LONGEST_KEY_ID: usize = 256;

/// A token of three canonical base64url segments, whose header and payload are strict JSON objects.
///
/// Nothing is verified: that it has this form says only that everybody reads the same in it.
#[derive(Clone)]
pub struct CompactJws {
    text: super::secret::Secret,
    payload_start: usize,
    signature_start: usize,
    header: Header,
    payload: Map<String, Value>,
    signature: Vec<u8>,
}

/// The members of a header that matter. `jwk`, `jku`, `x5u` and `x5c` are never looked at: no token brings its own key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `alg`, as it was written; never `none`. Compared with the key's algorithm, never a choice of one.
    pub alg: Box<str>,
    /// `kid`, if there is one.
    pub kid: Option<KeyId>,
    /// `typ`, if there is one.
    pub typ: Option<Box<str>>,
}

/// Why a text is no token that we read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingFault {
    /// Longer than 16 KiB, or its header longer than 4 KiB.
    #[error("the token or its header is too long")]
    TooLong,
    /// Not exactly three segments; five would be an encrypted token, which we never read.
    #[error("the token does not have three segments")]
    Segments,
    /// A segment is not base64url without padding, in its one canonical spelling (RFC 7515 §2,
    /// RFC 4648 §3.5).
    #[error("a segment of the token is not canonical base64url")]
    Base64,
    /// Header or payload is not one strict JSON object.
    #[error("the {part} of the token is {fault}")]
    Json {
        /// `header` or `payload`.
        part: &'static str,
        /// What is wrong with it.
        fault: JsonFault,
    },
    /// A header member that is absent, of the wrong type, or that we must not accept.
    #[error("the header member {0} is missing or not acceptable")]
    Header(&'static str),
    /// `alg` is `none` in whatever case, or there is no signature: this token was never signed.
    #[error("the token is not signed")]
    Unsecured,
}

impl CompactJws {
    /// Reads the framing of a token.
    ///
    /// # Errors
    /// See [`FramingFault`]; none of them says anything about the signature.
    pub fn parse(text: &str) -> Result<Self, FramingFault> {
        if text.len() > LONGEST_TOKEN {
            return Err(FramingFault::TooLong);
        }
        let mut segments = text.splitn(4, '.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(FramingFault::Segments);
        };
        if header.len() > LONGEST_HEADER {
            return Err(FramingFault::TooLong);
        }
        let header_json = object("header", header)?;
        let payload_json = object("payload", payload)?;
        let signature_bytes = decode(signature)?;
        let header_read = read_header(&header_json)?;
        if signature_bytes.is_empty() {
            return Err(FramingFault::Unsecured);
        }
        Ok(Self {
            text: super::secret::Secret::new(text.to_owned()),
            payload_start: header.len() + 1,
            signature_start: header.len() + payload.len() + 2,
            header: header_read,
            payload: payload_json,
            signature: signature_bytes,
        })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What was signed: the first two segments and the dot between them, ASCII.
    #[must_use]
    pub fn signing_input(&self) -> &[u8] {
        &self.text.expose().as_bytes()[..self.signature_start - 1]
    }

    /// The signature, decoded; never empty.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The whole token, for forwarding or hashing.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// The payload in its encoded form.
    #[must_use]
    pub fn encoded_payload(&self) -> &str {
        &self.text.expose()[self.payload_start..self.signature_start - 1]
    }

    /// The claims, by a loud name: whoever reads them before the signature was verified reads what anybody may have written.
    #[must_use]
    pub fn unverified_payload(&self) -> &Map<String, Value> {
        &self.payload
    }
}

fn decode(segment: &str) -> Result<Vec<u8>, FramingFault> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| FramingFault::Base64)
}

fn object(part: &'static str, segment: &str) -> Result<Map<String, Value>, FramingFault> {
    strict_object(&decode(segment)?).map_err(|fault| FramingFault::Json { part, fault })
}

fn read_header(header: &Map<String, Value>) -> Result<Header, FramingFault> {
    // RFC 7515 §4.1.11: "If any of the listed extension Header Parameters are not understood and supported by the
    // recipient, then the JWS is invalid." We understand none, so its mere presence is enough.
    // `b64` is an extension that must be listed in it (RFC 7797 §6), `zip` and `enc` are JWE's (RFC 7516 §4.1).
    for refused in ["crit", "b64", "zip", "enc"] {
        if header.contains_key(refused) {
            return Err(FramingFault::Header(refused));
        }
    }
    let alg = match header.get("alg").and_then(Value::as_str) {
        Some(alg) if alg.eq_ignore_ascii_case("none") => return Err(FramingFault::Unsecured),
        Some(alg) if !alg.is_empty() => alg.into(),
        Some(_) | None => return Err(FramingFault::Header("alg")),
    };
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) if !kid.is_empty() && kid.len() <= LONGEST_KEY_ID => Some(KeyId::new(kid)),
        Some(_) => return Err(FramingFault::Header("kid")),
    };
    let typ = match header.get("typ") {
        None => None,
        Some(Value::String(typ)) => Some(typ.as_str().into()),
        Some(_) => return Err(FramingFault::Header("typ")),
    };
    // RFC 7519 §5.2: "JWT" marks a nested token; ours are not nested.
    if header.contains_key("cty") {
        return Err(FramingFault::Header("cty"));
    }
    Ok(Header { alg, kid, typ })
}

impl Header {
    /// Whether `typ` is this media type, with or without `application/`, in any case (RFC 7515 §4.1.9, RFC 9068 §4).
    #[must_use]
    pub fn is_type(&self, media_type: &str) -> bool {
        let Some(typ) = self.typ.as_deref() else { return false };
        let prefix = "application/";
        let bare = match typ.get(..prefix.len()) {
            Some(start) if start.eq_ignore_ascii_case(prefix) => &typ[prefix.len()..],
            Some(_) | None => typ,
        };
        bare.eq_ignore_ascii_case(media_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, payload: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
    }

    fn fault(text: &str) -> FramingFault {
        match CompactJws::parse(text) {
            Ok(_) => panic!("accepted {text}"),
            Err(fault) => fault,
        }
    }

    #[test]
    fn jw_01_exactly_three_segments() {
        let good = token(r#"{"alg":"ES256"}"#, "{}");
        let jws = CompactJws::parse(&good).map_err(|f| f.to_string()).unwrap();
        assert_eq!(jws.signing_input(), good.rsplit_once('.').unwrap().0.as_bytes());
        assert_eq!(format!("x.{}", jws.encoded_payload()), "x.e30");
        for bad in ["", "a", "a.b", "....", "a.b.c.d", "a.b.c.d.e"] {
            assert_eq!(fault(bad), FramingFault::Segments, "{bad}");
        }
        assert_eq!(fault("..."), FramingFault::Segments);
        assert!(matches!(fault(".."), FramingFault::Json { .. }));
        for around in [" {}", "{} ", "{}\n", "{}%20", "\u{feff}{}"] {
            assert!(CompactJws::parse(&around.replace("{}", &good)).is_err());
        }
        let json_form = format!(r#"{{"{good}":"x"}}"#);
        assert!(CompactJws::parse(&json_form).is_err());
    }

    #[test]
    fn jw_02_base64url_is_canonical() {
        let good = token(r#"{"alg":"ES256"}"#, r#"{"a":1}"#);
        let (rest, signature) = good.rsplit_once('.').unwrap();
        for bad in ["c2ln=", "c2l+", "c2l/", "c2 ln", "c2l", "c2ln\n", "c2l?", "c"] {
            let text = format!("{rest}.{bad}");
            // `c2l` decodes, but its unused bits are not zero.
            assert_eq!(fault(&text), FramingFault::Base64, "{bad}");
        }
        assert_eq!(signature, "c2ln");
    }

    #[test]
    fn jw_03_size_is_looked_at_first() {
        assert_eq!(fault(&".".repeat(1_000_000)), FramingFault::TooLong);
        assert_eq!(fault(&"a".repeat(LONGEST_TOKEN + 1)), FramingFault::TooLong);
        let long = token(&format!(r#"{{"alg":"ES256","x":"{}"}}"#, "y".repeat(4096)), "{}");
        assert_eq!(fault(&long), FramingFault::TooLong);
    }

    #[test]
    fn jw_10_jw_17_jw_18_jw_19_headers_that_are_refused() {
        for alg in [r#""none""#, r#""None""#, r#""nOnE""#] {
            assert_eq!(fault(&token(&format!(r#"{{"alg":{alg}}}"#), "{}")), FramingFault::Unsecured);
        }
        for alg in [r#""""#, "null", "1", "[]", r#"["ES256"]"#] {
            assert_eq!(fault(&token(&format!(r#"{{"alg":{alg}}}"#), "{}")), FramingFault::Header("alg"));
        }
        assert_eq!(fault(&token("{}", "{}")), FramingFault::Header("alg"));
        for crit in [r#"["bork"]"#, r#"["exp"]"#, "[]", r#""exp""#, r#"["b64"]"#, "null"] {
            assert_eq!(
                fault(&token(&format!(r#"{{"alg":"ES256","crit":{crit}}}"#), "{}")),
                FramingFault::Header("crit")
            );
        }
        assert_eq!(fault(&token(r#"{"alg":"ES256","b64":false}"#, "{}")), FramingFault::Header("b64"));
        assert_eq!(fault(&token(r#"{"alg":"ES256","zip":"DEF"}"#, "{}")), FramingFault::Header("zip"));
        assert_eq!(fault(&token(r#"{"alg":"ES256","cty":"JWT"}"#, "{}")), FramingFault::Header("cty"));
        for kid in ["{}", "1", r#""""#] {
            assert_eq!(
                fault(&token(&format!(r#"{{"alg":"ES256","kid":{kid}}}"#), "{}")),
                FramingFault::Header("kid")
            );
        }
        let unsigned = format!("{}.e30.", URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#));
        assert_eq!(fault(&unsigned), FramingFault::Unsecured);
    }

    #[test]
    fn jw_38_typ_is_a_media_type() {
        for (typ, is) in [
            ("at+jwt", true),
            ("AT+JWT", true),
            ("application/at+jwt", true),
            ("Application/AT+jwt", true),
            ("JWT", false),
            ("at+jwt ", false),
        ] {
            let text = token(&format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#), "{}");
            assert_eq!(
                CompactJws::parse(&text).map(|j| j.header().is_type("at+jwt")).ok(),
                Some(is),
                "{typ}"
            );
        }
    }
}
