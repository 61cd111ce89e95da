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

    /// Each of these parts with the number of times it is named, always in the same order, so that no two transactions that raise
    /// numbers wait for each other.
    pub(crate) fn counted(parts: &[Self]) -> impl Iterator<Item = (Self, i64)> {
        let count = |part: Self| {
            i64::try_from(parts.iter().filter(|named| **named == part).count()).unwrap_or(i64::MAX)
        };
        Self::ALL.into_iter().map(move |part| (part, count(part))).filter(|(_, times)| *times > 0)
    }

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) numbers: Numbers,
    pub(crate) recorded: Recorded,
}

/// The last record of the installation's chain, which has a record of each change.
///
/// The hash covers all records before it, so it differs between two histories whose numbers are equal: that of a primary that was
/// lost, and that of the standby that replaced it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// Its number; 0 without a chain.
    pub(crate) number: i64,
    pub(crate) hash: Vec<u8>,
}

/// Part or chain, number, and the hash of a chain.
pub(crate) type ProgressRow = (String, i64, Option<Vec<u8>>);

pub(crate) const SELECT_PROGRESS: &str = "SELECT chain, number, hash FROM audit_heads WHERE chain = 'installation' UNION ALL \
    SELECT part, number, NULL FROM revisions";

impl Progress {
    pub(crate) fn of(rows: Vec<ProgressRow>) -> Result<Self, StoreError> {
        let mut numbers = [None; Part::ALL.len()];
        let mut recorded = Recorded::default();
        for (name, number, hash) in rows {
            match (hash, Part::ALL.into_iter().find(|part| part.name() == name)) {
                (Some(hash), _) => recorded = Recorded { number, hash },
                (None, Some(part)) => numbers[part as usize] = Some(number),
                // A part of a newer version.
                (None, None) => {}
            }
        }
        if numbers.contains(&None) {
            return Err(StoreError::damaged("the table of revisions"));
        }
        Ok(Self { numbers: numbers.map(Option::unwrap_or_default), recorded })
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
