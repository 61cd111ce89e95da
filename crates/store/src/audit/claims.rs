//! Checks the statements of chains about each other against the stored rows.

use crate::audit::INSTALLATION;
use crate::audit::witness::{Witness, witnesses};
use std::collections::{BTreeMap, HashMap};

/// A statement about a chain, and the record that makes it.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) begun: Option<i64>,
    by: String,
    by_number: i64,
    /// Whether the row that ends with this number has this hash; `None` until such a row is read.
    pub(crate) holds: Option<bool>,
}

/// Claims about one chain by number and hash; equal claims are checked once.
pub(crate) type ClaimsOfOne = BTreeMap<(i64, Option<[u8; 32]>), Claim>;

/// Claims about each chain.
#[derive(Default)]
pub(crate) struct Claims(HashMap<String, ClaimsOfOne>);

impl Claims {
    /// Adds what a row says of other chains.
    pub(crate) fn read(&mut self, by: &str, by_number: i64, text: &str) {
        for Witness { chain, number, hash, begun } in witnesses(text) {
            if number <= 0 {
                continue;
            }
            let claim = Claim { begun, by: by.to_owned(), by_number, holds: None };
            let same = self.0.entry(chain).or_default().entry((number, hash));
            // Rows of nodes are verified when they are read here; those of the installation later.
            same.and_modify(|known| {
                if known.by == INSTALLATION && by != INSTALLATION {
                    *known = claim.clone();
                }
            })
            .or_insert(claim);
        }
    }

    /// Adds a claim about a record of a chain from elsewhere in the store.
    pub(crate) fn add(&mut self, chain: &str, number: i64, hash: [u8; 32]) {
        let claim = Claim { begun: None, by: String::new(), by_number: 0, holds: None };
        self.0.entry(chain.to_owned()).or_default().insert((number, Some(hash)), claim);
    }

    /// Removes and returns the claims about a chain.
    pub(crate) fn take(&mut self, chain: &str) -> ClaimsOfOne {
        self.0.remove(chain).unwrap_or_default()
    }

    /// Puts claims back, beside those added meanwhile.
    pub(crate) fn put(&mut self, chain: &str, claims: ClaimsOfOne) {
        self.0.entry(chain.to_owned()).or_default().extend(claims);
    }

    /// Removes the claims for which `is_settled` holds.
    pub(crate) fn remove(&mut self, is_settled: impl Fn(&str, i64, Option<[u8; 32]>) -> bool) {
        for (chain, claims) in &mut self.0 {
            claims.retain(|(number, hash), _| !is_settled(chain, *number, *hash));
        }
        self.0.retain(|_, claims| !claims.is_empty());
    }

    /// Drops the claims that the installation makes from this record on, which is broken.
    pub(crate) fn distrust_installation_from(&mut self, number: i64) {
        for claims in self.0.values_mut() {
            claims.retain(|_, claim| claim.by != INSTALLATION || claim.by_number < number);
        }
        self.0.retain(|_, claims| !claims.is_empty());
    }

    /// All claims: chain, number, hash.
    pub(crate) fn all(&self) -> impl Iterator<Item = (String, i64, Option<[u8; 32]>)> {
        let of_one = |(chain, claims): (&String, &ClaimsOfOne)| {
            claims.keys().map(|(number, hash)| (chain.clone(), *number, *hash)).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of_one)
    }

    /// The chains that claims are about.
    pub(crate) fn chains(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }
}

/// The greatest number at which the chain was seen; 0 if there is no claim.
pub(crate) fn greatest(claims: &ClaimsOfOne) -> i64 {
    claims.last_key_value().map_or(0, |((number, _), _)| *number)
}

/// Checks the claims about the row that ends with this number.
pub(crate) fn check(claims: &mut ClaimsOfOne, number: i64, hash: &[u8]) {
    for ((_, claimed), claim) in claims.range_mut((number, None)..=(number, Some([0xff; 32]))) {
        claim.holds = Some(claimed.is_none_or(|claimed| claimed.as_slice() == hash));
    }
}
