//! Remembers the head of each chain, so that a node notices when a chain goes back while it runs.

use crate::audit::witness::Witness;
use crate::audit::{Head, INSTALLATION};
use std::collections::HashMap;

/// The head of each chain when it was last read.
#[derive(Default)]
pub(crate) struct Observed(HashMap<String, Witness>);

/// A chain as it is stored now.
#[derive(Clone, Debug)]
pub(crate) struct Present {
    /// `None` if the head is not one of ours.
    pub(crate) head: Option<Head>,
    /// The number of the first record that is kept, if its anchor is ours.
    pub(crate) first: Option<i64>,
}

/// A chain that has gone back: it ends earlier, or with another record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WentBack {
    /// Its head as it was before.
    pub(crate) was: Witness,
    /// The number of its last record now; 0 if it is gone.
    pub(crate) now: i64,
}

/// A chain that has grown. Whether the row that was its last is still the same has to be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grown {
    pub(crate) was: Witness,
    pub(crate) now: i64,
}

impl Observed {
    /// Compares the chains with their last known heads, and stores the present ones. One that has grown may have gone back
    /// before.
    pub(crate) fn look(&mut self, present: &HashMap<String, Present>) -> (Vec<WentBack>, Vec<Grown>) {
        let begins = present.get(INSTALLATION).and_then(|installation| installation.first);
        let (mut back, mut grown) = (Vec::new(), Vec::new());
        for was in self.0.values().filter(|was| was.number > 0) {
            let now = present.get(&was.chain);
            let Some(head) = now.and_then(|now| now.head.as_ref()) else {
                if now.is_some() || !is_expired(was.begun, begins) {
                    back.push(WentBack { was: was.clone(), now: 0 });
                }
                continue;
            };
            let is_other = head.number == was.number && Some(head.hash) != was.hash;
            if head.number < was.number || is_other {
                back.push(WentBack { was: was.clone(), now: head.number });
            } else if head.number > was.number && now.and_then(|n| n.first).is_none_or(|f| f <= was.number) {
                grown.push(Grown { was: was.clone(), now: head.number });
            }
        }
        let heads = present.values().filter_map(|present| present.head.as_ref());
        self.0 = heads.map(|head| (head.chain.clone(), Witness::from(head))).collect();
        back.sort_by(|one, other| one.was.chain.cmp(&other.was.chain));
        (back, grown)
    }

    /// The head of a chain.
    pub(crate) fn of(&self, chain: &str) -> Option<&Witness> {
        self.0.get(chain)
    }

    /// The chains of nodes.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Witness> {
        self.0.values().filter(|witness| witness.chain != INSTALLATION)
    }
}

/// Whether a node's chain that is missing has expired: it began before the first record that the installation's chain keeps.
pub(crate) fn is_expired(begun: Option<i64>, installation_begins: Option<i64>) -> bool {
    matches!((begun, installation_begins), (Some(begun), Some(first)) if begun > 0 && begun < first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(chain: &str, number: i64, hash: u8, begun: i64) -> Head {
        Head { number, hash: [hash; 32], ..Head::new(chain, begun, 0) }
    }

    fn present(heads: &[Head], first: i64) -> HashMap<String, Present> {
        let present = |head: &Head| {
            let first = Some(if head.chain == INSTALLATION { first } else { 1 });
            (head.chain.clone(), Present { head: Some(head.clone()), first })
        };
        heads.iter().map(present).collect()
    }

    #[test]
    fn se_06_a_chain_that_went_back_is_detected_and_an_expired_one_is_not_reported() {
        let (i, a) = (head(INSTALLATION, 9, 1, 0), head("a", 5, 2, 4));
        let grown = [head(INSTALLATION, 10, 3, 0), head("a", 6, 4, 4)];
        for (now, first, back, to_look_up) in [
            (vec![i.clone(), a.clone()], 1, vec![], vec![]),
            (grown.to_vec(), 1, vec![], vec!["a", INSTALLATION]),
            (vec![head(INSTALLATION, 8, 1, 0), a.clone()], 1, vec![(INSTALLATION, 8)], vec![]),
            (vec![i.clone(), head("a", 4, 2, 4)], 1, vec![("a", 4)], vec![]),
            (vec![i.clone(), head("a", 5, 9, 4)], 1, vec![("a", 5)], vec![]),
            (vec![a.clone()], 1, vec![(INSTALLATION, 0)], vec![]),
            (vec![i.clone()], 4, vec![("a", 0)], vec![]),
            (vec![i.clone()], 5, vec![], vec![]),
            (vec![], 5, vec![("a", 0), (INSTALLATION, 0)], vec![]),
        ] {
            let mut observed = Observed::default();
            assert_eq!(observed.look(&present(&[i.clone(), a.clone()], 1)), (vec![], vec![]));
            let (found, mut grown) = observed.look(&present(&now, first));
            let found: Vec<_> = found.iter().map(|back| (back.was.chain.as_str(), back.now)).collect();
            assert_eq!(found, back, "{now:?}");
            grown.sort_by(|one, other| one.was.chain.cmp(&other.was.chain));
            assert_eq!(grown.iter().map(|grown| grown.was.chain.as_str()).collect::<Vec<_>>(), to_look_up);
            // Each is returned once.
            assert_eq!(observed.look(&present(&now, first)).0, vec![], "{now:?}");
        }
        let mut observed = Observed::default();
        observed.look(&present(&[i.clone(), a.clone()], 1));
        let mut changed = present(&[i, a], 1);
        changed.insert("a".to_owned(), Present { head: None, first: Some(1) });
        assert_eq!(observed.look(&changed).0.len(), 1, "a head that is not ours");
    }
}
