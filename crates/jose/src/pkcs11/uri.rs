//! The name of a key in a device: a URI of the scheme `pkcs11`, RFC 7512 §2.3, of which `token`, `object`, `id` and `type` are used.

use super::error::Pkcs11Error;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The name of a key in a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyUri {
    /// The label of the token.
    pub(super) token: Option<String>,
    /// CKA_LABEL.
    pub(super) object: Option<String>,
    /// CKA_ID.
    pub(super) id: Option<Vec<u8>>,
}

/// RFC 7512 §2.3, `pk11-path-res-avail` without what a shell treats specially.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

impl KeyUri {
    /// Parses the path attributes. Others, and query attributes such as `pin-source`, are refused: an ignored one could make it the
    /// name of another key.
    pub(super) fn parse(text: &str) -> Result<Self, Pkcs11Error> {
        let malformed = || Pkcs11Error::Uri(text.into());
        let mut uri = Self { token: None, object: None, id: None };
        // A query begins with a question mark, which no path has.
        let path = text.strip_prefix("pkcs11:").filter(|path| !path.contains('?')).ok_or_else(malformed)?;
        for attribute in path.split(';') {
            let (name, value) = attribute.split_once('=').ok_or_else(malformed)?;
            let value: Vec<u8> = percent_decode_str(value).collect();
            let text = || String::from_utf8(value.clone()).map_err(|_| malformed());
            // RFC 7512 §2.3: "an attribute [...] MUST NOT be present more than once".
            let is_first = match name {
                "token" => uri.token.replace(text()?).is_none(),
                "object" => uri.object.replace(text()?).is_none(),
                "id" => uri.id.replace(value).is_none(),
                "type" => value == b"private",
                _ => false,
            };
            if !is_first {
                return Err(malformed());
            }
        }
        if uri.object.is_none() && uri.id.is_none() { Err(malformed()) } else { Ok(uri) }
    }
}

impl std::fmt::Display for KeyUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("pkcs11:")?;
        let mut separator = "";
        for (name, value) in [("token", &self.token), ("object", &self.object)] {
            if let Some(value) = value {
                write!(f, "{separator}{name}={}", utf8_percent_encode(value, ESCAPED))?;
                separator = ";";
            }
        }
        if let Some(id) = &self.id {
            write!(f, "{separator}id=")?;
            // RFC 7512 §2.3: "it is RECOMMENDED to percent-encode the whole value of the 'id' attribute".
            id.iter().try_for_each(|byte| write!(f, "%{byte:02x}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_keys_are_read_as_they_are_written() {
        for text in ["pkcs11:object=k1", "pkcs11:token=a%20b;object=k%3B1;id=%01%ff", "pkcs11:id=%00"] {
            assert_eq!(KeyUri::parse(text).unwrap().to_string(), text);
        }
        let spelled = KeyUri::parse("pkcs11:id=A;type=private;object=%6b1").unwrap();
        assert_eq!(spelled.to_string(), "pkcs11:object=k1;id=%41");
        for bad in [
            "",
            "pkcs11:",
            "pkcs11:token=t",
            "pkcs11:object",
            "pkcs11:object=a;object=b",
            "pkcs11:object=a;type=public",
            "pkcs11:object=a;serial=1",
            "pkcs11:object=a?pin-value=1234",
            "pkcs11:object=%ff",
            "object=a",
        ] {
            assert!(KeyUri::parse(bad).is_err(), "{bad}");
        }
    }
}
