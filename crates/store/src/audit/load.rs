//! Measures how much waits to be written, separately for authenticated and other requests.

/// Some records, and how long their texts are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

impl Load {
    pub(crate) fn add(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
    }

    pub(crate) fn remove(&mut self, other: Self) {
        self.records = self.records.saturating_sub(other.records);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }

    pub(crate) fn twice(self) -> Self {
        Self { records: self.records.saturating_mul(2), bytes: self.bytes.saturating_mul(2) }
    }

    /// Whether either of them is reached.
    pub(crate) fn reaches(self, most: Self) -> bool {
        self.records >= most.records || self.bytes >= most.bytes
    }
}

/// What waits or is being written, by whether a client had been authenticated.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Loads {
    pub(crate) verified: Load,
    pub(crate) unverified: Load,
}

impl Loads {
    /// The load that a record counts to.
    pub(crate) fn of(&mut self, is_unverified: bool) -> &mut Load {
        if is_unverified { &mut self.unverified } else { &mut self.verified }
    }
}
