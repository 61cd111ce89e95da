//! Text that was copied together with a secret by mistake: quotation marks, spaces, a label.

use crate::ClientId;
use std::fmt::{Display, Formatter, Result};

/// The part of a wrong secret that was probably not part of the right one. It contains nothing of the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFault {
    /// It begins or ends with a line feed or carriage return, as the content of a file.
    LineEnd,
    /// It begins or ends with a space or tab.
    Space,
    /// It begins and ends with a backtick, as in Markdown.
    Backticks,
    /// It begins and ends with a quotation mark, or with angle brackets.
    Quotes,
    /// It begins with `secret:`, `client_secret=` and the like.
    Label,
    /// It begins with the identifier of the client and a colon, which together are a credential.
    ClientId,
    /// It has a character that is not printable ASCII, as no secret has (RFC 6749, appendix A.2).
    NotAscii,
}

/// Labels of a secret in settings and web pages, followed by `:` or `=`.
const LABELS: [&str; 6] =
    ["secret", "client_secret", "client-secret", "client secret", "password", "credential"];

impl CopyFault {
    /// The first that there is in a wrong secret of the client.
    pub(crate) fn of(secret: &str, client: &ClientId) -> Option<Self> {
        let is_around = |is: fn(char) -> bool| secret.starts_with(is) || secret.ends_with(is);
        let is_between =
            |first: char, last: char| secret.strip_prefix(first).is_some_and(|rest| rest.ends_with(last));
        let is_quoted = [('"', '"'), ('\'', '\''), ('“', '”'), ('‘', '’'), ('<', '>')]
            .into_iter()
            .any(|(first, last)| is_between(first, last));
        let is_labeled = LABELS.iter().any(|label| {
            let start = secret.get(..label.len()).filter(|start| start.eq_ignore_ascii_case(label));
            start.is_some_and(|start| secret[start.len()..].trim_start().starts_with([':', '=']))
        });
        let follows_id = secret.strip_prefix(client.as_str()).is_some_and(|rest| rest.starts_with(':'));
        let found = [
            (is_around(|c| matches!(c, '\n' | '\r')), Self::LineEnd),
            (is_around(|c| matches!(c, ' ' | '\t')), Self::Space),
            (is_between('`', '`'), Self::Backticks),
            (is_quoted, Self::Quotes),
            (follows_id, Self::ClientId),
            (is_labeled, Self::Label),
            (!secret.bytes().all(|b| matches!(b, 0x20..=0x7E)), Self::NotAscii),
        ];
        found.into_iter().find(|(is_it, _)| *is_it).map(|(_, fault)| fault)
    }

    /// What the client has to do, as the rest of a sentence about it.
    #[must_use]
    pub fn correction(self) -> &'static str {
        match self {
            Self::LineEnd => "send the secret without the line end before or after it",
            Self::Space => "send the secret without the spaces before or after it",
            Self::Backticks => "send the secret without the backticks around it",
            Self::Quotes => "send the secret without the quotation marks or brackets around it",
            Self::Label => "send the secret alone, without its label",
            Self::ClientId => "send the secret alone, without its client_id and the colon",
            Self::NotAscii => "send the secret as it was generated or chosen, which is printable ASCII",
        }
    }
}

impl Display for CopyFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::LineEnd => "the secret that was sent begins or ends with a line end",
            Self::Space => "the secret that was sent begins or ends with a space",
            Self::Backticks => "the secret that was sent is in backticks",
            Self::Quotes => "the secret that was sent is in quotation marks or angle brackets",
            Self::Label => "the secret that was sent begins with a label, such as secret:",
            Self::ClientId => "the secret that was sent begins with the client_id and a colon",
            Self::NotAscii => "the secret that was sent has a character that is not printable ASCII",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::CopyFault::{self, Backticks, ClientId, Label, LineEnd, NotAscii, Quotes, Space};

    #[test]
    fn characters_copied_along_with_a_secret_are_recognized_and_no_others() {
        for (sent, found) in [
            ("`s1-Z7`", Some(Backticks)),
            ("\"s1-Z7\"", Some(Quotes)),
            ("'s1-Z7'", Some(Quotes)),
            ("“s1-Z7”", Some(Quotes)),
            ("<s1-Z7>", Some(Quotes)),
            (" s1-Z7", Some(Space)),
            ("s1-Z7\t", Some(Space)),
            ("s1-Z7\n", Some(LineEnd)),
            ("s1-Z7\r\n", Some(LineEnd)),
            ("secret: s1-Z7", Some(Label)),
            ("CLIENT_SECRET=s1-Z7", Some(Label)),
            ("password : s1-Z7", Some(Label)),
            ("c1:s1-Z7", Some(ClientId)),
            ("s1\u{a0}Z7", Some(NotAscii)),
            ("s1\u{2011}Z7", Some(NotAscii)),
            ("s1-Z7", None),
            ("`s1-Z7", None),
            ("`", None),
            ("c1", None),
            ("secrets-of-c1:x", None),
            ("secret", None),
            ("sécret:x", Some(NotAscii)),
            ("", None),
        ] {
            assert_eq!(CopyFault::of(sent, &"c1".parse().unwrap()), found, "{sent:?}");
        }
    }
}
