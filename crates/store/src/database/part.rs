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

/// How far the store has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) numbers: Numbers,
    /// The number of the last record in the installation's chain, which has a record of each change; 0 without a chain.
    pub(crate) recorded: i64,
}

/// Part or chain, number, and whether it is a chain.
pub(crate) type ProgressRow = (String, i64, i64);

pub(crate) const SELECT_PROGRESS: &str = "SELECT part, number, CAST(0 AS BIGINT) FROM revisions UNION ALL \
    SELECT chain, number, CAST(1 AS BIGINT) FROM audit_heads WHERE chain = 'installation'";

impl Progress {
    pub(crate) fn of(rows: &[ProgressRow]) -> Result<Self, StoreError> {
        let mut numbers = [0; Part::ALL.len()];
        for part in Part::ALL {
            let row = rows.iter().find(|(name, _, is_chain)| *is_chain == 0 && name == part.name());
            numbers[part as usize] = row.ok_or_else(|| StoreError::damaged("the table of revisions"))?.1;
        }
        let recorded = rows.iter().find(|(_, _, is_chain)| *is_chain == 1).map_or(0, |row| row.1);
        Ok(Self { numbers, recorded })
    }

    /// Whether a number is smaller than it was.
    pub(crate) fn went_back_since(&self, before: &Numbers) -> bool {
        self.numbers.iter().zip(before).any(|(now, before)| now < before)
    }

    /// How often numbers were raised. Each change raises one at least.
    pub(crate) fn raised_since(&self, before: &Numbers) -> i64 {
        self.numbers.iter().zip(before).map(|(now, before)| now.saturating_sub(*before)).sum()
    }
}
