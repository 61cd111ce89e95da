//! Parses a JWS in compact form and reads its header: RFC 7515 §3.1, §4 and §7.1.

use super::algorithm::KeyId;
use super::claim_fault::{Defect, HeaderFault};
use super::excerpt::Excerpt;
use super::json::{JsonFault, strict_object};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The length of the longest token that is parsed, in bytes.
pub const LONGEST_TOKEN: usize = 16 * 1024;

/// The longest encoded header, in bytes.
const LONGEST_HEADER: usize = 4096;

/// The longest `kid`, in bytes.
const LONGEST_KEY_ID: usize = 256;

/// A token of three canonical base64url segments, whose header and payload are strict JSON objects.
///
/// It is not verified: its form only ensures that every parser reads the same contents.
#[derive(Clone)]
pub struct CompactJws {
    text: super::secret::Secret,
    payload_start: usize,
    signature_start: usize,
    header: Header,
    payload: Map<String, Value>,
    signature: Vec<u8>,
}

/// The members of a header that matter. `jwk`, `jku`, `x5u` and `x5c` are ignored: a token cannot supply its own key.
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
    /// It is longer than 16 KiB, its header longer than 4 KiB, or a DPoP proof or an unsecured JWT longer than 4 KiB.
    #[error("the {part} is {bytes} bytes long, more than {most}")]
    TooLong {
        /// The part that is too long: the token or a segment of it.
        part: Part,
        /// Its length.
        bytes: usize,
        /// The greatest length.
        most: usize,
    },
    /// Not exactly three segments.
    #[error("it has {0} {segments} between dots, and a signed JWT has 3{encrypted}",
        segments = if *.0 == 1 { "segment" } else { "segments" }, encrypted = if *.0 == 5 { "; an encrypted one is not read" } else { "" })]
    Segments(usize),
    /// A segment is not base64url without padding, in its one canonical spelling (RFC 7515 §2,
    /// RFC 4648 §3.5).
    #[error("the {0} is not canonical base64url without padding")]
    Base64(Part),
    /// Header or payload is not one strict JSON object.
    #[error("the {part} is {fault}")]
    Json {
        /// The header or the payload.
        part: Part,
        /// What is wrong with it.
        fault: JsonFault,
    },
    /// A header member that is absent, of the wrong type, or that we must not accept.
    #[error("{0}")]
    Header(#[from] HeaderFault),
    /// `alg` is `none`, in whatever case: this token was never signed.
    #[error("its alg is none, so it is not signed")]
    Unsecured,
    /// The third segment is empty.
    #[error("its signature is empty, so it is not signed")]
    NoSignature,
}

/// A token, or a segment of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of a token.
    Token,
    /// All of a DPoP proof.
    Proof,
    /// The first segment.
    Header,
    /// The second segment.
    Payload,
    /// The third segment.
    Signature,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token => "token",
            Self::Proof => "proof",
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

impl CompactJws {
    /// Reads the framing of a token.
    ///
    /// # Errors
    /// See [`FramingFault`]; these errors do not concern the signature.
    pub fn parse(text: &str) -> Result<Self, FramingFault> {
        if text.len() > LONGEST_TOKEN {
            return Err(FramingFault::TooLong { part: Part::Token, bytes: text.len(), most: LONGEST_TOKEN });
        }
        let mut dots = memchr::memchr_iter(b'.', text.as_bytes());
        let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
            return Err(FramingFault::Segments(text.split('.').count()));
        };
        let (header, payload, signature) = (&text[..first], &text[first + 1..second], &text[second + 1..]);
        if header.len() > LONGEST_HEADER {
            let (part, bytes) = (Part::Header, header.len());
            return Err(FramingFault::TooLong { part, bytes, most: LONGEST_HEADER });
        }
        let header_json = object(Part::Header, header)?;
        let payload_json = object(Part::Payload, payload)?;
        let signature_bytes = decode(Part::Signature, signature)?;
        let header_read = read_header(&header_json)?;
        if signature_bytes.is_empty() {
            return Err(FramingFault::NoSignature);
        }
        Ok(Self {
            text: super::secret::Secret::new(text.to_owned()),
            payload_start: first + 1,
            signature_start: second + 1,
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

    /// An excerpt of `typ`, for the reason of a refusal.
    pub(crate) fn into_typ(self) -> Option<Excerpt> {
        self.header.typ.map(Excerpt::of_owned)
    }

    /// An excerpt of `iss`, if that is a text, for the reason of a refusal.
    pub(crate) fn into_issuer(mut self) -> Option<Excerpt> {
        match self.payload.remove("iss") {
            Some(Value::String(issuer)) => Some(Excerpt::of_owned(issuer.into())),
            Some(_) | None => None,
        }
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

    /// The claims. The name is conspicuous because before the signature is verified, anyone may have written them.
    #[must_use]
    pub fn unverified_payload(&self) -> &Map<String, Value> {
        &self.payload
    }
}

fn decode(part: Part, segment: &str) -> Result<Vec<u8>, FramingFault> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| FramingFault::Base64(part))
}

pub(super) fn object(part: Part, segment: &str) -> Result<Map<String, Value>, FramingFault> {
    strict_object(&decode(part, segment)?).map_err(|fault| FramingFault::Json { part, fault })
}

fn read_header(header: &Map<String, Value>) -> Result<Header, FramingFault> {
    // RFC 7515 §4.1.11: "If any of the listed extension Header Parameters are not understood and supported by the
    // recipient, then the JWS is invalid." We understand none, so its mere presence is enough.
    // `b64` is an extension that must be listed in it (RFC 7797 §6), `zip` and `enc` are JWE's (RFC 7516 §4.1).
    for refused in ["crit", "b64", "zip", "enc"] {
        if header.contains_key(refused) {
            return Err(HeaderFault::new(refused, Defect::NotAllowed).into());
        }
    }
    let bad_text = |name: &'static str, rule: &'static str| {
        FramingFault::from(HeaderFault::new(name, Defect::of_text(header.get(name), rule)))
    };
    let alg = match header.get("alg").and_then(Value::as_str) {
        Some(alg) if alg.eq_ignore_ascii_case("none") => return Err(FramingFault::Unsecured),
        Some(alg) if !alg.is_empty() => alg.into(),
        Some(_) | None => return Err(bad_text("alg", "it is not empty")),
    };
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) if !kid.is_empty() && kid.len() <= LONGEST_KEY_ID => Some(KeyId::new(kid)),
        Some(_) => return Err(bad_text("kid", "it has 1 to 256 bytes")),
    };
    let typ = match header.get("typ") {
        None => None,
        Some(Value::String(typ)) => Some(typ.as_str().into()),
        Some(_) => return Err(bad_text("typ", "")),
    };
    // RFC 7519 §5.2: "JWT" marks a nested token; ours are not nested.
    if header.contains_key("cty") {
        return Err(HeaderFault::new("cty", Defect::NotAllowed).into());
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

    /// The member for which such a header is refused.
    fn member(header: &str) -> String {
        let fault = fault(&token(header, "{}"));
        let FramingFault::Header(fault) = fault else { panic!("{fault}") };
        fault.member().to_owned()
    }

    #[test]
    fn each_fault_of_the_framing_states_its_place_and_value() {
        let long = "k".repeat(300);
        let of_header = |header: &str| token(header, "{}");
        for (text, says) in [
            ("a.b".to_owned(), "it has 2 segments between dots, and a signed JWT has 3"),
            ("opaque".to_owned(), "it has 1 segment between dots, and a signed JWT has 3"),
            (
                "a.b.c.d.e".to_owned(),
                "it has 5 segments between dots, and a signed JWT has 3; an encrypted one is not read",
            ),
            ("e30=.e30.x".to_owned(), "the header is not canonical base64url without padding"),
            (
                format!("{}.e 0.x", URL_SAFE_NO_PAD.encode("{}")),
                "the payload is not canonical base64url without padding",
            ),
            (token(r#"{"alg":"ES256"}"#, "[]"), "the payload is JSON, but not an object"),
            (
                token(r#"{"alg":"ES256"}"#, r#"{"aud":1,"aud":2}"#),
                "the payload is an object with the member \"aud\" twice",
            ),
            (of_header("{}"), "the header member alg is missing"),
            (of_header(r#"{"alg":1}"#), "the header member alg is 1, and has to be a text"),
            (of_header(r#"{"alg":"NONE"}"#), "its alg is none, so it is not signed"),
            (of_header(r#"{"alg":"ES256","crit":["b64"]}"#), "the header member crit is not allowed here"),
            (
                of_header(&format!(r#"{{"alg":"ES256","kid":"{long}"}}"#)),
                "(300 bytes): it has 1 to 256 bytes",
            ),
            (
                format!("{}.e30.", URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#)),
                "its signature is empty, so it is not signed",
            ),
        ] {
            let said = fault(&text).to_string();
            assert!(said.ends_with(says), "{said}");
        }
    }

    #[test]
    fn jw_01_exactly_three_segments() {
        let good = token(r#"{"alg":"ES256"}"#, "{}");
        let jws = CompactJws::parse(&good).map_err(|f| f.to_string()).unwrap();
        assert_eq!(jws.signing_input(), good.rsplit_once('.').unwrap().0.as_bytes());
        assert_eq!(format!("x.{}", jws.encoded_payload()), "x.e30");
        for bad in ["", "a", "a.b", "....", "a.b.c.d", "a.b.c.d.e"] {
            assert_eq!(fault(bad), FramingFault::Segments(bad.split('.').count()), "{bad}");
        }
        assert_eq!(fault("..."), FramingFault::Segments(4));
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
            assert_eq!(fault(&text), FramingFault::Base64(Part::Signature), "{bad}");
        }
        assert_eq!(signature, "c2ln");
    }

    #[test]
    fn jw_03_size_is_checked_first() {
        let too_long = |part, bytes, most| FramingFault::TooLong { part, bytes, most };
        assert_eq!(fault(&".".repeat(1_000_000)), too_long(Part::Token, 1_000_000, LONGEST_TOKEN));
        assert_eq!(
            fault(&"a".repeat(LONGEST_TOKEN + 1)),
            too_long(Part::Token, LONGEST_TOKEN + 1, LONGEST_TOKEN)
        );
        let long = token(&format!(r#"{{"alg":"ES256","x":"{}"}}"#, "y".repeat(4096)), "{}");
        let bytes = long.split('.').next().unwrap().len();
        assert_eq!(fault(&long), too_long(Part::Header, bytes, LONGEST_HEADER));
    }

    #[test]
    fn jw_10_jw_17_jw_18_jw_19_headers_that_are_refused() {
        for alg in [r#""none""#, r#""None""#, r#""nOnE""#] {
            assert_eq!(fault(&token(&format!(r#"{{"alg":{alg}}}"#), "{}")), FramingFault::Unsecured);
        }
        for alg in [r#""""#, "null", "1", "[]", r#"["ES256"]"#] {
            assert_eq!(member(&format!(r#"{{"alg":{alg}}}"#)), "alg");
        }
        assert_eq!(member("{}"), "alg");
        for crit in [r#"["bork"]"#, r#"["exp"]"#, "[]", r#""exp""#, r#"["b64"]"#, "null"] {
            assert_eq!(member(&format!(r#"{{"alg":"ES256","crit":{crit}}}"#)), "crit");
        }
        assert_eq!(member(r#"{"alg":"ES256","b64":false}"#), "b64");
        assert_eq!(member(r#"{"alg":"ES256","zip":"DEF"}"#), "zip");
        assert_eq!(member(r#"{"alg":"ES256","cty":"JWT"}"#), "cty");
        for kid in ["{}", "1", r#""""#] {
            assert_eq!(member(&format!(r#"{{"alg":"ES256","kid":{kid}}}"#)), "kid");
        }
        let unsigned = format!("{}.e30.", URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#));
        assert_eq!(fault(&unsigned), FramingFault::NoSignature);
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
