//! The subjects for whom a client may act, as a glob over `ISSUER|SUBJECT`.

use super::issuer::Issuer;
use serde::{Deserialize, Serialize};

/// A pattern over `ISSUER|SUBJECT`: `*` stands for any run of characters, everything else for itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SubjectPattern(Box<str>);

/// A pattern without the bar between issuer and subject, which would match subjects of unexpected issuers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pattern is written ISSUER|SUBJECT, for example https://idp.example|*")]
pub struct SubjectPatternError;

impl std::str::FromStr for SubjectPattern {
    type Err = SubjectPatternError;
    fn from_str(text: &str) -> Result<Self, SubjectPatternError> {
        match text.split_once('|') {
            Some((issuer, subject)) if !issuer.is_empty() && !subject.is_empty() => Ok(Self(text.into())),
            Some(_) | None => Err(SubjectPatternError),
        }
    }
}

impl SubjectPattern {
    /// Whether the pattern stands for this subject of this issuer.
    ///
    /// Issuer and subject are matched each on its own side of the bar: no `*` reaches across it.
    #[must_use]
    pub fn matches(&self, issuer: &Issuer, subject: &str) -> bool {
        self.0.split_once('|').is_some_and(|(i, s)| glob(i, issuer.as_str()) && glob(s, subject))
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Greedy matching with one point of return, so the time is at most the product of both lengths.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == text.get(t) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|b| *b == b'*'))
}

impl TryFrom<String> for SubjectPattern {
    type Error = SubjectPatternError;
    fn try_from(text: String) -> Result<Self, SubjectPatternError> {
        text.parse()
    }
}

impl From<SubjectPattern> for String {
    fn from(pattern: SubjectPattern) -> Self {
        pattern.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_does_not_match_across_the_bar() {
        let issuer: Issuer = "https://idp.test".parse().unwrap();
        for (pattern, subject, is_match) in [
            ("https://idp.test|*", "alice", true),
            ("https://idp.test|al*e", "alice", true),
            ("https://idp.test|*a*i*e", "alice", true),
            ("https://idp.test|alice", "alice2", false),
            ("https://idp.test|alice", "xalice", false),
            ("https://idp.tes|*", "alice", false),
            ("*|alice", "alice", true),
            ("*|bob", "alice|bob", false),
            ("https://idp.test|*x", "alice", false),
        ] {
            assert_eq!(
                pattern.parse::<SubjectPattern>().unwrap().matches(&issuer, subject),
                is_match,
                "{pattern} {subject}"
            );
        }
        for bad in ["*", "|x", "x|", ""] {
            assert_eq!(bad.parse::<SubjectPattern>(), Err(SubjectPatternError));
        }
    }
}
