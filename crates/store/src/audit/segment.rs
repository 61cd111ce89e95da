//! Summaries of records that follow each other in a chain: which names are in them, so that a search skips the others.
//!
//! ```text
//! audit_records    ▭▭▭▭▭▭▭▭▭▭▭▭▭▭▭▭▭▭▭▭▭
//! audit_segments   └──────┘└──────┘       some hundred records each, whole rows; what follows the last one is read
//! ```
//!
//! A summary is a Bloom filter with ten bits for each name, sealed with the key of the chains and the time of its last row. One whose
//! seal is wrong is ignored, so a changed or removed summary hides no record, and neither does one from before a restore. Nodes of the version before write none.

use crate::audit::selection::{Role, names_in};
use crate::audit::{Links, Row};
use std::collections::HashSet;

/// A summary is written when at least so many records have gathered.
const LEAST: i64 = 256;
/// The most records of a summary: a row may bring 256 when one is missing.
pub(crate) const MOST: i64 = 2 * LEAST;
/// Bits for each name, and how many of them it sets: of names that are not there, 1 % seem to be.
const BITS: usize = 10;
const PROBES: u64 = 6;

/// A summary as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The number of its last record.
    pub(crate) number: i64,
    /// The number of its first record.
    pub(crate) first: i64,
    pub(crate) names: Vec<u8>,
    pub(crate) seal: [u8; 32],
}

/// The names of records that have no summary yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gathering {
    /// The number of the last record that was summarized.
    before: i64,
    hashes: HashSet<u64>,
}

impl Gathering {
    /// Adds the next row of the chain. Returns the summary that it completes; the last row completes one in any case.
    pub(crate) fn add(&mut self, links: &Links, chain: &str, row: &Row, is_last: bool) -> Option<Segment> {
        let (number, at, text, _) = row;
        names_in(text, |role, name| {
            self.hashes.insert(hash(role, name));
        });
        (is_last || number - self.before >= LEAST).then(|| {
            let names = bloom(&self.hashes);
            let first = self.before + 1;
            let seal = links.segment(chain, first, (*number, *at), &names);
            *self = Self { before: *number, hashes: HashSet::new() };
            Segment { number: *number, first, names, seal }
        })
    }
}

/// A hash that is the same in every version: FNV-1a with the finalizer of SplitMix64.
pub(super) fn hash(role: Role, name: &str) -> u64 {
    let role = match role {
        Role::Client => b'c',
        Role::Subject => b's',
        Role::Issuer => b'i',
        Role::Outcome => b'o',
        Role::Request => b'r',
        Role::Kind => b'k',
    };
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in std::iter::once(role).chain(name.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

fn bloom(hashes: &HashSet<u64>) -> Vec<u8> {
    let mut names = vec![0_u8; (hashes.len() * BITS).div_ceil(8).max(1)];
    for hash in hashes {
        for (byte, bit) in places(*hash, names.len()) {
            if let Some(byte) = names.get_mut(byte) {
                *byte |= bit;
            }
        }
    }
    names
}

/// The byte and the bit of each probe.
fn places(hash: u64, bytes: usize) -> impl Iterator<Item = (usize, u8)> {
    let (begin, step) = (hash, (hash >> 32) | 1);
    let bits = (bytes as u64 * 8).max(1);
    (0..PROBES).map(move |probe| {
        let bit = begin.wrapping_add(probe.wrapping_mul(step)) % bits;
        (usize::try_from(bit / 8).unwrap_or(0), 1 << (bit % 8))
    })
}

pub(super) fn may_contain(names: &[u8], hash: u64) -> bool {
    places(hash, names.len()).all(|(byte, bit)| names.get(byte).is_some_and(|byte| byte & bit != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_06_a_summary_has_every_name_and_hardly_any_other() {
        let names: Vec<String> = (0..900).map(|n| format!("client-{n}")).collect();
        let hashes: HashSet<u64> = names.iter().map(|name| hash(Role::Client, name)).collect();
        let bloom = bloom(&hashes);
        assert_eq!(bloom.len(), 1125);
        assert!(names.iter().all(|name| may_contain(&bloom, hash(Role::Client, name))));
        let others = (0..10_000).filter(|n| may_contain(&bloom, hash(Role::Client, &format!("other-{n}"))));
        let others = others.count();
        assert!(others < 250, "{others} of 10000");
        assert!(!names.iter().all(|name| may_contain(&bloom, hash(Role::Subject, name))));
        assert!(!may_contain(&super::bloom(&HashSet::new()), 7));
    }

    #[test]
    fn op_31_hashes_and_seals_of_summaries_are_the_same_in_every_version() {
        assert_eq!(hash(Role::Client, "etl"), 0x942f_950d_2722_1ec6);
        let links = Links::new(&[7; 32]);
        let row: Row = (1, 5, r#"{"client":"etl"}"#.to_owned(), Vec::new());
        let segment = Gathering::default().add(&links, "c", &row, true).unwrap();
        assert_eq!((segment.first, segment.number, segment.names), (1, 1, vec![201, 36]));
        assert_eq!(segment.seal[..4], [149, 188, 135, 21]);
    }
}
