//! Reads the parameters of an `application/x-www-form-urlencoded` body strictly: RFC 6749 §3.2 and Appendix B.

use memchr::{memchr, memchr_iter, memchr2};
use std::borrow::Cow;
use zeroize::Zeroize;

/// The largest body, in bytes: two large tokens and room to spare.
pub const LARGEST_BODY: usize = 64 * 1024;

/// The largest body in which a token is presented to be introspected or revoked: a token of a whole megabyte is invalid like any other
/// garbage, and is reported as such (conformance IN-04).
pub const LARGEST_PRESENTATION: usize = 1024 * 1024 + LARGEST_BODY;

/// The limit of parameters, known or not; as many `resource` and `audience` parameters are allowed in addition.
const MOST_PARAMETERS: usize = 64;

/// The longest parameter name, in bytes as sent.
const LONGEST_NAME: usize = 64;

/// A parameter of the token endpoint or of its companions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named exactly as its parameter")]
pub enum Parameter {
    GrantType,
    Scope,
    ClientId,
    ClientSecret,
    SubjectToken,
    SubjectTokenType,
    ActorToken,
    ActorTokenType,
    RequestedTokenType,
    Assertion,
    ClientAssertion,
    ClientAssertionType,
    Token,
    TokenTypeHint,
    Resource,
    Audience,
}

impl Parameter {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::GrantType,
        Self::Scope,
        Self::ClientId,
        Self::ClientSecret,
        Self::SubjectToken,
        Self::SubjectTokenType,
        Self::ActorToken,
        Self::ActorTokenType,
        Self::RequestedTokenType,
        Self::Assertion,
        Self::ClientAssertion,
        Self::ClientAssertionType,
        Self::Token,
        Self::TokenTypeHint,
        Self::Resource,
        Self::Audience,
    ];

    /// The name as it is sent.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GrantType => "grant_type",
            Self::Scope => "scope",
            Self::ClientId => "client_id",
            Self::ClientSecret => "client_secret",
            Self::SubjectToken => "subject_token",
            Self::SubjectTokenType => "subject_token_type",
            Self::ActorToken => "actor_token",
            Self::ActorTokenType => "actor_token_type",
            Self::RequestedTokenType => "requested_token_type",
            Self::Assertion => "assertion",
            Self::ClientAssertion => "client_assertion",
            Self::ClientAssertionType => "client_assertion_type",
            Self::Token => "token",
            Self::TokenTypeHint => "token_type_hint",
            Self::Resource => "resource",
            Self::Audience => "audience",
        }
    }

    /// The parameter of this name, in a form or a query.
    fn from_name(name: &[u8]) -> Option<Self> {
        let named = |name: &[u8]| Self::ALL.iter().copied().find(|p| p.name().as_bytes() == name);
        // Nearly every name is written as it is.
        named(name).or_else(|| named(decode(name).ok()?.as_bytes()))
    }

    /// RFC 8693 §2.1 allows several of these two parameters only.
    fn may_repeat(self) -> bool {
        matches!(self, Self::Resource | Self::Audience)
    }
}

/// Why a body is not a form that we read. Contains nothing of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormFault {
    /// More bytes than are read.
    #[error("the form is too long")]
    TooLong,
    /// More than 64 parameters other than `resource` and `audience`, or more than 64 of these.
    #[error("the form has more than {MOST_PARAMETERS} parameters, or more than {MOST_PARAMETERS} targets")]
    TooMany,
    /// A name of more than 64 bytes.
    #[error("the form has a parameter name of more than {LONGEST_NAME} bytes")]
    LongName,
    /// RFC 6749 §3.2: "Request and response parameters MUST NOT be included more than once."
    #[error("the parameter {} is repeated", .0.name())]
    Repeated(Parameter),
    /// A `%` that is not followed by two hexadecimal digits.
    #[error("the parameter {} has a % without two hexadecimal digits", .0.name())]
    Percent(Parameter),
    /// Bytes that are not UTF-8.
    #[error("the parameter {} is not UTF-8", .0.name())]
    Utf8(Parameter),
    /// A control character.
    #[error("the parameter {} has a control character", .0.name())]
    Control(Parameter),
    /// A parameter of ours in the query of the address (OAuth 2.1 §2.4.1 forbids it for credentials).
    #[error("the parameter {} is in the query; parameters belong in the body", .0.name())]
    InQuery(Parameter),
}

/// The parameters that we know, each decoded, at most one of each and not empty; all others are ignored.
#[derive(Default)]
pub struct Form<'a> {
    single: [Option<Cow<'a, str>>; Parameter::ALL.len()],
    repeated: Vec<(Parameter, Cow<'a, str>)>,
}

impl<'a> Form<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// See [`FormFault`]. Unknown parameters may be repeated or malformed (RFC 6749 §3.2: they MUST be ignored).
    pub fn parse(body: &'a [u8]) -> Result<Self, FormFault> {
        Self::parse_up_to(body, LARGEST_BODY)
    }

    /// The same with another limit than [`LARGEST_BODY`].
    pub(crate) fn parse_up_to(body: &'a [u8], largest: usize) -> Result<Self, FormFault> {
        if body.len() > largest {
            return Err(FormFault::TooLong);
        }
        if memchr_iter(b'&', body).count() >= 2 * MOST_PARAMETERS {
            return Err(FormFault::TooMany);
        }
        let (mut others, mut targets, mut seen) = (0, 0, 0_u32);
        let mut form = Self::default();
        for (name, value) in pairs(body) {
            if name.len() > LONGEST_NAME {
                return Err(FormFault::LongName);
            }
            let parameter = Parameter::from_name(name);
            *(if parameter.is_some_and(Parameter::may_repeat) { &mut targets } else { &mut others }) += 1;
            if others > MOST_PARAMETERS || targets > MOST_PARAMETERS {
                return Err(FormFault::TooMany);
            }
            let Some(parameter) = parameter else { continue };
            let value = read_value(parameter, value)?;
            let bit = 1_u32 << parameter as u32;
            if seen & bit != 0 && !parameter.may_repeat() {
                return Err(FormFault::Repeated(parameter));
            }
            seen |= bit;
            // RFC 6749 §3.2: "Parameters sent without a value MUST be treated as if they were omitted".
            if value.is_empty() {
                continue;
            }
            if parameter.may_repeat() {
                form.repeated.push((parameter, value));
            } else {
                form.single[parameter as usize] = Some(value);
            }
        }
        Ok(form)
    }

    /// The value, if there is one.
    #[must_use]
    pub fn value(&self, parameter: Parameter) -> Option<&str> {
        self.single[parameter as usize].as_deref().or_else(|| self.values(parameter).next())
    }

    /// All values, in order.
    pub fn values(&self, parameter: Parameter) -> impl Iterator<Item = &str> {
        let repeated = self.repeated.iter().filter(move |(p, _)| *p == parameter).map(|(_, value)| value);
        self.single[parameter as usize].iter().chain(repeated).map(AsRef::as_ref)
    }
}

impl Drop for Form<'_> {
    fn drop(&mut self) {
        let repeated = self.repeated.iter_mut().map(|(_, value)| value);
        for value in self.single.iter_mut().flatten().chain(repeated) {
            if let Cow::Owned(text) = value {
                text.zeroize();
            }
        }
    }
}

/// Refuses parameters of ours in the query of the address; other parameters there are ignored.
///
/// # Errors
/// [`FormFault::InQuery`].
pub(crate) fn check_query(query: &str) -> Result<(), FormFault> {
    match pairs(query.as_bytes()).find_map(|(name, _)| Parameter::from_name(name)) {
        Some(parameter) => Err(FormFault::InQuery(parameter)),
        None => Ok(()),
    }
}

/// The names and values of a form or a query, as they are written.
fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = text;
    let pair = move || {
        let (pair, after) = (!rest.is_empty()).then(|| split_at(rest, b'&'))?;
        rest = after;
        Some(pair)
    };
    std::iter::from_fn(pair).filter(|pair| !pair.is_empty()).map(|pair| split_at(pair, b'='))
}

/// Decodes form-encoded text strictly: `None` if a `%` does not encode a byte or the result is not UTF-8.
#[must_use]
pub fn decode_strictly(raw: &str) -> Option<Cow<'_, str>> {
    decode(raw.as_bytes()).ok()
}

/// Why a name or a value cannot be decoded.
enum Undecodable {
    Percent,
    Utf8,
}

/// What is written as it is, as nearly every value, is not copied.
fn decode(raw: &[u8]) -> Result<Cow<'_, str>, Undecodable> {
    if memchr2(b'%', b'+', raw).is_none() {
        return std::str::from_utf8(raw).map(Cow::Borrowed).map_err(|_| Undecodable::Utf8);
    }
    let decoded = unescaped(raw).ok_or(Undecodable::Percent)?;
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| Undecodable::Utf8)
}

// pct-encoded = "%" HEXDIG HEXDIG
fn unescaped(raw: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    // Never grown, because that would leave a copy of a secret behind.
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => (digit(bytes.next()?)? << 4) | digit(bytes.next()?)?,
            other => *other,
        });
    }
    Some(decoded)
}

/// What is before and after the first `separator`; nothing is after it if there is none.
fn split_at(text: &[u8], separator: u8) -> (&[u8], &[u8]) {
    match memchr(separator, text) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[]),
    }
}

fn read_value(parameter: Parameter, raw: &[u8]) -> Result<Cow<'_, str>, FormFault> {
    let value = decode(raw).map_err(|undecodable| match undecodable {
        Undecodable::Percent => FormFault::Percent(parameter),
        Undecodable::Utf8 => FormFault::Utf8(parameter),
    })?;
    // Scope has its own grammar, and its own error code for values outside it.
    let is_bad = if parameter == Parameter::Scope {
        value.as_bytes().contains(&0)
    } else {
        // Tokens are long; without an early return, several bytes are compared at a time.
        value.bytes().fold(false, |found, b| found | b.is_ascii_control())
    };
    if is_bad { Err(FormFault::Control(parameter)) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(body: &[u8]) -> Option<FormFault> {
        Form::parse(body).err()
    }

    #[test]
    fn te_10_parameters_without_a_value_are_omitted() {
        for body in ["scope=", "scope", "scope=&actor_token", ""] {
            assert_eq!(Form::parse(body.as_bytes()).unwrap().value(Parameter::Scope), None);
        }
    }

    #[test]
    fn te_11_te_12_a_known_parameter_does_not_repeat() {
        for parameter in Parameter::ALL {
            for (first, second) in [("a", "a"), ("a", "b"), ("", "a"), ("a", ""), ("", "")] {
                let body = format!("{0}={first}&x=1&{0}={second}", parameter.name());
                let expected = (!parameter.may_repeat()).then_some(FormFault::Repeated(parameter));
                assert_eq!(fault(body.as_bytes()), expected, "{body}");
            }
        }
        assert_eq!(fault(b"scope=a&sc%6fpe=b"), Some(FormFault::Repeated(Parameter::Scope)));
    }

    #[test]
    fn te_13_unknown_parameters_are_ignored() {
        let body = b"foo=1&foo=2&__proto__=x&%00=y&bar=%zz&baz=%ff&scope=a";
        assert_eq!(Form::parse(body).unwrap().value(Parameter::Scope), Some("a"));
    }

    #[test]
    fn te_14_te_15_plus_and_hexadecimal_digits_in_any_case() {
        for (sent, read) in [
            ("scope=catalog+ns:read", "catalog ns:read"),
            ("scope=catalog%20ns:read", "catalog ns:read"),
            ("scope=catalog%2Bns", "catalog+ns"),
            ("scope=PRINCIPAL_ROLE%3aALL", "PRINCIPAL_ROLE:ALL"),
            ("scope=PRINCIPAL_ROLE%3AALL", "PRINCIPAL_ROLE:ALL"),
            ("scope=a=b", "a=b"),
            ("scope=+%25%26%2B%C2%A3%E2%82%AC", " %&+£€"),
            ("scope=%ef%bf%bd", "\u{fffd}"),
        ] {
            assert_eq!(Form::parse(sent.as_bytes()).unwrap().value(Parameter::Scope), Some(read));
        }
    }

    #[test]
    fn te_16_te_17_te_18_input_of_lenient_decoders_is_refused() {
        for bad in ["a%zz", "a%4", "a%", "%%41"] {
            assert_eq!(fault(format!("scope={bad}").as_bytes()), Some(FormFault::Percent(Parameter::Scope)));
        }
        for bad in ["%ff", "%c0%80", "%c0%af", "%ed%a0%80", "a%f0%9f"] {
            assert_eq!(fault(format!("scope={bad}").as_bytes()), Some(FormFault::Utf8(Parameter::Scope)));
        }
        assert_eq!(fault(b"client_secret=\xff"), Some(FormFault::Utf8(Parameter::ClientSecret)));
        assert_eq!(fault(b"client_id=c1%00x"), Some(FormFault::Control(Parameter::ClientId)));
        assert_eq!(fault(b"client_secret=s1-Z7%00"), Some(FormFault::Control(Parameter::ClientSecret)));
        assert_eq!(fault(b"client_id=a%0d%0aX:1"), Some(FormFault::Control(Parameter::ClientId)));
        assert_eq!(fault(b"scope=%00"), Some(FormFault::Control(Parameter::Scope)));
    }

    #[test]
    fn te_19_a_semicolon_is_no_separator() {
        let form = Form::parse(b"grant_type=client_credentials;scope=catalog").unwrap();
        assert_eq!(form.value(Parameter::GrantType), Some("client_credentials;scope=catalog"));
        assert_eq!(form.value(Parameter::Scope), None);
    }

    #[test]
    fn te_20_te_21_parameters_in_the_query_are_refused() {
        assert_eq!(check_query("x=1&foo"), Ok(()));
        for bad in ["client_secret=x", "a=b&scope=x", "gr%61nt_type=x", "client_id"] {
            assert!(matches!(check_query(bad), Err(FormFault::InQuery(_))), "{bad}");
        }
    }

    #[test]
    fn ht_14_parameters_are_counted_before_they_are_read() {
        assert_eq!(fault(vec!["a=1"; 65].join("&").as_bytes()), Some(FormFault::TooMany));
        assert_eq!(fault(vec!["resource=a"; 65].join("&").as_bytes()), Some(FormFault::TooMany));
        assert_eq!(fault(vec!["resource=a"; 64].join("&").as_bytes()), None);
        assert_eq!(fault("a&".repeat(32_000).as_bytes()), Some(FormFault::TooMany));
        assert_eq!(fault(vec![b'a'; LARGEST_BODY + 1].as_slice()), Some(FormFault::TooLong));
        assert_eq!(fault(format!("{}=1", "a".repeat(65)).as_bytes()), Some(FormFault::LongName));
        assert_eq!(fault(vec!["a=1"; 64].join("&").as_bytes()), None);
    }
}
