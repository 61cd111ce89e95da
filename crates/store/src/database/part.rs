//! The parts of the store that a watcher follows, and the number of each.

use crate::error::StoreError;

/// A part that a watcher follows separately. Each has a number, which every change to it raises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Clients,
    Keys,
    /// Revoked tokens and sessions.
    RevokedIds,
    /// The deletion of expired revocations of tokens and sessions.
    ExpiredIds,
    /// Revocations of all tokens of a client or subject from before a time.
    RevokedBefore,
    /// Trusted issuers.
    Issuers,
    /// Disabled subjects.
    DisabledSubjects,
}

impl Part {
    pub(crate) const ALL: [Self; 7] = [
        Self::Clients,
        Self::Keys,
        Self::RevokedIds,
        Self::ExpiredIds,
        Self::RevokedBefore,
        Self::Issuers,
        Self::DisabledSubjects,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Keys => "keys",
            Self::RevokedIds => "revoked_ids",
            Self::ExpiredIds => "forgotten_ids",
            Self::RevokedBefore => "revoked_before",
            Self::Issuers => "issuers",
            Self::DisabledSubjects => "disabled_subjects",
        }
    }
}

/// The number of each part, in the order of [`Part::ALL`].
pub(crate) type Numbers = [i64; Part::ALL.len()];

pub(crate) const SELECT_NUMBERS: &str = "SELECT part, number FROM revisions";

pub(crate) fn numbers(rows: &[(String, i64)]) -> Result<Numbers, StoreError> {
    let mut numbers = [0; Part::ALL.len()];
    for part in Part::ALL {
        let row = rows.iter().find(|(name, _)| name == part.name());
        numbers[part as usize] = row.ok_or_else(|| StoreError::damaged("the table of revisions"))?.1;
    }
    Ok(numbers)
}
