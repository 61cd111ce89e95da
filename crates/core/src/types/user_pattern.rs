//! The users that a client may assert without a signature, as a glob over the bare name of a user; conformance TX-66.

use super::subject_pattern::glob;
use serde::{Deserialize, Serialize};

/// A pattern over user names: `*` stands for any run of characters, everything else for itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserPattern(Box<str>);

/// The error for a pattern that matches no user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pattern of users is not empty: alice, team-*, or * for every user")]
pub struct UserPatternError;

impl std::str::FromStr for UserPattern {
    type Err = UserPatternError;
    fn from_str(text: &str) -> Result<Self, UserPatternError> {
        if text.is_empty() { Err(UserPatternError) } else { Ok(Self(text.into())) }
    }
}

impl UserPattern {
    /// Whether the pattern stands for this user.
    #[must_use]
    pub fn matches(&self, user: &str) -> bool {
        glob(&self.0, user)
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UserPattern {
    type Error = UserPatternError;
    fn try_from(text: String) -> Result<Self, UserPatternError> {
        text.parse()
    }
}

impl From<UserPattern> for String {
    fn from(pattern: UserPattern) -> Self {
        pattern.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tx_66_a_pattern_matches_the_whole_name() {
        for (pattern, user, is) in [
            ("*", "alice", true),
            ("alice", "alice", true),
            ("alice", "alice2", false),
            ("team-*", "team-a", true),
            ("team-*", "x-team-a", false),
        ] {
            assert_eq!(pattern.parse::<UserPattern>().unwrap().matches(user), is, "{pattern} {user}");
        }
        assert_eq!("".parse::<UserPattern>(), Err(UserPatternError));
    }
}
