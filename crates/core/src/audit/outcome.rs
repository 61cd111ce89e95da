//! How a request ended, in the terms of the audit, the log and the metrics.

use crate::ErrorCode;
use serde::{Serialize, Serializer};

/// How a request to the token endpoint or one of its companions ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A token was issued.
    Granted,
    /// An introspected token is active.
    Active,
    /// An introspected token is not active, or the client may not see it.
    Inactive,
    /// A token was revoked, with its session.
    Revoked,
    /// A token that should be revoked was already invalid.
    NothingToRevoke,
    /// The client received this error.
    Refused(ErrorCode),
    /// The server could not answer; the client received this error with a status of 500 or 503.
    Failed(ErrorCode),
}

impl Outcome {
    /// How many values [`Outcome::index`] has.
    pub const COUNT: usize = Self::ENDS.len() + ErrorCode::ALL.len();

    const ENDS: [Self; 5] =
        [Self::Granted, Self::Active, Self::Inactive, Self::Revoked, Self::NothingToRevoke];

    /// One outcome for each [`Outcome::as_str`], in the order of [`Outcome::index`].
    pub fn all() -> impl Iterator<Item = Self> {
        Self::ENDS.into_iter().chain(ErrorCode::ALL.into_iter().map(Self::Refused))
    }

    /// Its place among [`Outcome::all`]. An error that is a refusal and the same error of a failure have one place.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Granted => 0,
            Self::Active => 1,
            Self::Inactive => 2,
            Self::Revoked => 3,
            Self::NothingToRevoke => 4,
            Self::Refused(code) | Self::Failed(code) => Self::ENDS.len() + code as usize,
        }
    }

    /// The name in records and logs: `granted`, `active`, `inactive`, `revoked`, `nothing to revoke`, or the code of the error.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Revoked => "revoked",
            Self::NothingToRevoke => "nothing to revoke",
            Self::Refused(code) | Self::Failed(code) => code.as_str(),
        }
    }

    /// Whether this is the [`Outcome::as_str`] of an error.
    #[must_use]
    pub fn is_error(name: &str) -> bool {
        ErrorCode::ALL.iter().any(|code| code.as_str() == name)
    }

    /// Whether the request succeeded. An unauthenticated caller can cause any number of the other outcomes.
    #[must_use]
    pub const fn is_effective(self) -> bool {
        match self {
            Self::Granted | Self::Active | Self::Revoked => true,
            Self::Inactive | Self::NothingToRevoke | Self::Refused(_) | Self::Failed(_) => false,
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_07_each_outcome_has_its_own_index() {
        assert_eq!(Outcome::all().count(), Outcome::COUNT);
        for (at, outcome) in Outcome::all().enumerate() {
            assert_eq!(outcome.index(), at, "{outcome:?}");
        }
        for code in ErrorCode::ALL {
            assert_eq!(Outcome::Failed(code).index(), Outcome::Refused(code).index());
        }
    }
}
