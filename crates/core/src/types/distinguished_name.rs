//! The subject of a certificate as text: RFC 4514 in one canonical form, so that two texts can be compared byte for byte.

/// A distinguished name in its canonical form: `CN=spark,O=Example`.
///
/// Attribute types are in upper case, by their short names where RFC 4514 §3 has one; there are no spaces around commas, plus and equals
/// signs; several attributes of one part are sorted; only characters that have to be escaped are, with a backslash. Values are unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistinguishedName(Box<str>);

/// A text that is no distinguished name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a distinguished name is written as RFC 4514 has it, the most specific part first: CN=spark,OU=data,O=Example; a comma in a \
     value is written \\,"
)]
pub struct DistinguishedNameError;

/// RFC 4514 §3, and `SERIALNUMBER`, which certificates have and it does not.
const TYPES: [(&str, &str); 10] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("2.5.4.5", "SERIALNUMBER"),
];

impl DistinguishedName {
    /// The name that has these parts, the most specific first: the reverse of their order in the certificate (RFC 4514 §2.1). Each part
    /// is one attribute or several, a type (short, or an OID in dotted decimals) and a value.
    #[must_use]
    pub fn of(parts: &[Vec<(&str, &str)>]) -> Self {
        let part = |attributes: &Vec<(&str, &str)>| {
            let mut written: Vec<String> = attributes
                .iter()
                .map(|(kind, value)| format!("{}={}", type_name(kind), escaped(value)))
                .collect();
            written.sort();
            written.join("+")
        };
        Self(parts.iter().map(part).collect::<Vec<_>>().join(",").into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for DistinguishedName {
    type Err = DistinguishedNameError;

    // distinguishedName = [ relativeDistinguishedName *( COMMA relativeDistinguishedName ) ]
    // relativeDistinguishedName = attributeTypeAndValue *( PLUS attributeTypeAndValue ), RFC 4514 §3
    fn from_str(text: &str) -> Result<Self, DistinguishedNameError> {
        let mut parts: Vec<Vec<(String, String)>> = vec![Vec::new()];
        let mut rest = text;
        loop {
            let (kind, after) = rest.split_once('=').ok_or(DistinguishedNameError)?;
            let kind = kind.trim_matches(' ');
            let (value, end, after) = value(after)?;
            if !is_type(kind) || value.is_empty() {
                return Err(DistinguishedNameError);
            }
            if let Some(part) = parts.last_mut() {
                part.push((kind.to_owned(), value));
            }
            rest = after;
            match end {
                None => break,
                Some(',') => parts.push(Vec::new()),
                Some(_) => {}
            }
        }
        let parts: Vec<Vec<(&str, &str)>> = parts
            .iter()
            .map(|part| part.iter().map(|(kind, value)| (kind.as_str(), value.as_str())).collect())
            .collect();
        Ok(Self::of(&parts))
    }
}

impl std::fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn type_name(kind: &str) -> String {
    let short = TYPES.iter().find(|(oid, _)| *oid == kind).map(|(_, short)| *short);
    short.map_or_else(|| kind.to_ascii_uppercase(), str::to_owned)
}

/// `descr` or `numericoid` (RFC 4512 §1.4).
fn is_type(kind: &str) -> bool {
    let is_short = kind.starts_with(|c: char| c.is_ascii_alphabetic())
        && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_oid =
        kind.contains('.') && kind.split('.').all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    is_short || is_oid
}

/// Reads a value, the sign that ends it, and what is left.
fn value(text: &str) -> Result<(String, Option<char>, &str), DistinguishedNameError> {
    let mut bytes = Vec::new();
    // Up to here spaces count: whatever was escaped does.
    let mut solid = 0;
    let mut left = text.trim_start_matches(' ').chars();
    let end = loop {
        match left.next() {
            None => break None,
            Some(end @ (',' | '+')) => break Some(end),
            Some('\\') => {
                match left.next().ok_or(DistinguishedNameError)? {
                    c @ (' ' | '#' | '=' | '"' | '+' | ',' | ';' | '<' | '>' | '\\') => bytes.push(c as u8),
                    high => {
                        let low = left.next().and_then(|c| c.to_digit(16)).ok_or(DistinguishedNameError)?;
                        let byte = high.to_digit(16).ok_or(DistinguishedNameError)? * 16 + low;
                        bytes.push(u8::try_from(byte).map_err(|_| DistinguishedNameError)?);
                    }
                }
                solid = bytes.len();
            }
            // A value as bytes of BER is none that people write; the rest has to be escaped.
            Some('#') if bytes.is_empty() => return Err(DistinguishedNameError),
            Some('"' | ';' | '<' | '>' | '\0') => return Err(DistinguishedNameError),
            Some(c) => {
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                if c != ' ' {
                    solid = bytes.len();
                }
            }
        }
    };
    bytes.truncate(solid);
    let value = String::from_utf8(bytes).map_err(|_| DistinguishedNameError)?;
    Ok((value, end, left.as_str()))
}

/// RFC 4514 §2.4: what has to be escaped, and no more.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.char_indices().next_back().map(|(at, _)| at);
    for (at, c) in value.char_indices() {
        let is_special = matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\')
            || (at == 0 && matches!(c, ' ' | '#'))
            || (Some(at) == last && c == ' ');
        if c == '\0' {
            text.push_str("\\00");
        } else {
            if is_special {
                text.push('\\');
            }
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mt_01_a_subject_has_one_spelling() {
        for (text, spelling) in [
            ("CN=cm,O=Test", "CN=cm,O=Test"),
            (" cn = cm , o = Test ", "CN=cm,O=Test"),
            ("2.5.4.3=cm,0.9.2342.19200300.100.1.25=test", "CN=cm,DC=test"),
            ("1.2.3.4=x", "1.2.3.4=x"),
            ("CN=A  b,O=C d", "CN=A  b,O=C d"),
            ("UID=u+CN=cm,O=Test", "CN=cm+UID=u,O=Test"),
            ("CN=Smith\\, J\\+n,O=a=b", "CN=Smith\\, J\\+n,O=a=b"),
            ("CN=Smith\\2c J", "CN=Smith\\, J"),
            ("CN=Lu\\C4\\8Di\\C4\\87", "CN=Lučić"),
            ("CN=Lučić", "CN=Lučić"),
            ("CN=\\ x\\ ,O=\\#1", "CN=\\ x\\ ,O=\\#1"),
            ("CN=x\\ ", "CN=x\\ "),
            ("CN=a\\00b", "CN=a\\00b"),
            ("CN=a\\=b", "CN=a=b"),
        ] {
            let name: DistinguishedName = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(name.as_str(), spelling, "{text}");
            assert_eq!(spelling.parse(), Ok(name), "its one spelling is read as itself");
        }
        for bad in [
            "",
            "cm",
            "/CN=cm/O=Test",
            "CN=",
            "CN=cm,",
            "=cm",
            "CN=cm;O=x",
            "CN=\"a,b\"",
            "CN=#0403",
            "CN=a\\",
            "CN=a\\g",
            "CN=a\\ff",
            "CN=<x>",
            "C N=x",
            "CN=x,,O=y",
            "2..3=x",
        ] {
            assert_eq!(bad.parse::<DistinguishedName>(), Err(DistinguishedNameError), "{bad}");
        }
    }

    #[test]
    fn mt_01_the_subject_of_a_certificate_is_written_as_a_registered_one() {
        let parts = vec![vec![("uid", "u"), ("2.5.4.3", "Smith, J ")], vec![("O", "#Test")]];
        let written = DistinguishedName::of(&parts);
        assert_eq!(written.as_str(), "CN=Smith\\, J\\ +UID=u,O=\\#Test");
        assert_eq!("cn=Smith\\, J\\20+UID=u, o=\\#Test".parse(), Ok(written));
        // No value can pretend to be another part.
        let one = DistinguishedName::of(&[vec![("CN", "a,O=b")]]);
        assert_ne!(one, DistinguishedName::of(&[vec![("CN", "a")], vec![("O", "b")]]));
        assert_eq!(DistinguishedName::of(&[]).as_str(), "");
    }
}
