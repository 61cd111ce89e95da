//! The stored form of a client's secrets: digests and expiry times, compactly, because most clients have one secret.

use super::secret::SecretDigest;
use super::short_text::ShortText;
use super::time::Timestamp;
use std::ops::{Deref, DerefMut};

/// A secret as it is stored.
#[derive(Clone, Debug)]
pub struct StoredSecret {
    /// The name under which the operator sees the secret.
    pub id: ShortText,
    /// Derived from client id and secret by the one way that the secret's own form prescribes.
    pub digest: SecretDigest,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

impl StoredSecret {
    /// Whether it is live at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// The secrets of a client, in the order of their names. One is kept in place, without an allocation.
#[derive(Clone, Debug, Default)]
pub struct StoredSecrets(Kept);

#[derive(Clone, Debug, Default)]
enum Kept {
    #[default]
    None,
    One(StoredSecret),
    Several(Box<[StoredSecret]>),
}

impl StoredSecrets {
    /// Adds a secret.
    pub fn add(&mut self, secret: StoredSecret) {
        self.0 = match std::mem::take(&mut self.0) {
            Kept::None => Kept::One(secret),
            Kept::One(first) => Kept::Several(sorted(vec![first, secret])),
            Kept::Several(others) => Kept::Several(sorted([others.into_vec(), vec![secret]].concat())),
        };
    }
}

fn sorted(mut secrets: Vec<StoredSecret>) -> Box<[StoredSecret]> {
    secrets.sort_by(|a, b| a.id.cmp(&b.id));
    secrets.into_boxed_slice()
}

impl From<Vec<StoredSecret>> for StoredSecrets {
    fn from(secrets: Vec<StoredSecret>) -> Self {
        let mut all = Self::default();
        secrets.into_iter().for_each(|secret| all.add(secret));
        all
    }
}

impl Deref for StoredSecrets {
    type Target = [StoredSecret];

    fn deref(&self) -> &[StoredSecret] {
        match &self.0 {
            Kept::None => &[],
            Kept::One(secret) => std::slice::from_ref(secret),
            Kept::Several(secrets) => secrets,
        }
    }
}

impl DerefMut for StoredSecrets {
    fn deref_mut(&mut self) -> &mut [StoredSecret] {
        match &mut self.0 {
            Kept::None => &mut [],
            Kept::One(secret) => std::slice::from_mut(secret),
            Kept::Several(secrets) => secrets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_sorted_by_name_and_a_single_one_needs_no_allocation() {
        assert!(size_of::<StoredSecrets>() <= size_of::<StoredSecret>());
        let mut secrets = StoredSecrets::default();
        assert!(secrets.is_empty());
        for (added, names) in [("b", "b"), ("c", "bc"), ("a", "abc"), ("d", "abcd")] {
            secrets.add(StoredSecret {
                id: added.into(),
                digest: SecretDigest([added.as_bytes()[0]; 32]),
                expires_at: None,
            });
            let found: String = secrets.iter().map(|secret| secret.id.as_str()).collect();
            assert_eq!(found, names);
            assert!(secrets.iter().all(|secret| secret.digest.0 == [secret.id.as_str().as_bytes()[0]; 32]));
        }
        secrets[1].expires_at = Timestamp::from_seconds(5).ok();
        let again = StoredSecrets::from(secrets.to_vec());
        assert_eq!(again.iter().filter(|secret| secret.expires_at.is_some()).count(), 1);
        assert!(!again[1].is_live(Timestamp::from_seconds(5).unwrap()));
    }
}
