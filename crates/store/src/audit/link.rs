//! Links a row to the one before it: HMAC-SHA256 (RFC 2104) over its content, its place, and the hash before it.

use crate::audit::{Block, Row};
use crate::digest::derived_key;
use ring::hmac;

/// The key of the chains, without which no row and no head can be forged.
pub(crate) struct Links(hmac::Key);

/// The hash before the first row of a chain.
pub(crate) const NOTHING: [u8; 32] = [0; 32];

/// The end of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) chain: String,
    /// The number of the last record; 0 if there was none yet.
    pub(crate) number: i64,
    pub(crate) hash: [u8; 32],
    /// When the last record was made.
    pub(crate) at: i64,
    /// The record of the installation that names the chain; 0 of that chain itself.
    pub(crate) begun: i64,
    /// Whether the process that wrote it has ended in order.
    pub(crate) ended: bool,
}

impl Links {
    pub(crate) fn new(pepper: &[u8]) -> Self {
        Self(derived_key(pepper, b"audit"))
    }

    /// The hash of a row after `before`.
    pub(crate) fn link(&self, chain: &str, number: i64, at: i64, text: &str, before: &[u8]) -> [u8; 32] {
        self.sign(
            b"record",
            &[chain.as_bytes(), &number.to_be_bytes(), &at.to_be_bytes(), before, text.as_bytes()],
        )
    }

    /// The seal of a head.
    pub(crate) fn seal(&self, head: &Head) -> [u8; 32] {
        let Head { chain, number, hash, at, begun, ended } = head;
        let numbers = [number, at, begun, &i64::from(*ended)].map(|number| number.to_be_bytes()).concat();
        self.sign(b"head", &[chain.as_bytes(), &numbers, hash])
    }

    /// The seal of where a chain begins: the number of the first record that is kept, and the hash before it.
    pub(crate) fn anchor(&self, chain: &str, first: i64, before: &[u8]) -> [u8; 32] {
        self.sign(b"anchor", &[chain.as_bytes(), &first.to_be_bytes(), before])
    }

    /// The seal of a summary of records, the last of which are in a row of this time. After a restore, other records get the same
    /// numbers, but not the same time.
    pub(crate) fn segment(
        &self,
        chain: &str,
        first: i64,
        (number, at): (i64, i64),
        names: &[u8],
    ) -> [u8; 32] {
        let numbers = [first, number, at].map(i64::to_be_bytes).concat();
        self.sign(b"segment", &[chain.as_bytes(), &numbers, names])
    }

    /// A keyed hash that stands for a longer text in comparisons.
    pub(crate) fn tag(&self, text: &[u8]) -> [u8; 16] {
        let mut tag = [0; 16];
        tag.copy_from_slice(&self.sign(b"tag", &[text])[..16]);
        tag
    }

    /// The seal of the row about the installation's chain that is stored outside of it.
    pub(crate) fn complete(&self, value: &[u8]) -> [u8; 32] {
        self.sign(b"complete", &[value])
    }

    fn sign(&self, what: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(what);
        for part in parts {
            // With its length, so that no two lists of parts are the same bytes.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }
}

impl Head {
    /// The head of a chain without records.
    pub(crate) fn new(chain: &str, begun: i64, at: i64) -> Self {
        Self { chain: chain.to_owned(), number: 0, hash: NOTHING, at, begun, ended: false }
    }

    /// Adds records and returns them as they are to be stored.
    pub(crate) fn extend(&mut self, links: &Links, block: Block) -> Row {
        let Block { records, at, text } = block;
        self.number += records;
        self.hash = links.link(&self.chain, self.number, at, &text, &self.hash);
        self.at = at;
        (self.number, at, text, self.hash.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_06_a_link_needs_the_key_and_depends_on_every_part() {
        let links = Links::new(&[7; 32]);
        let link = links.link("c", 1, 2, "{}", &NOTHING);
        for other in [
            Links::new(&[8; 32]).link("c", 1, 2, "{}", &NOTHING),
            links.link("d", 1, 2, "{}", &NOTHING),
            links.link("c", 2, 2, "{}", &NOTHING),
            links.link("c", 1, 1, "{}", &NOTHING),
            links.link("c", 1, 2, "{ }", &NOTHING),
            links.link("c", 1, 2, "{}", &[1; 32]),
            links.link("c", 1, 2, "", &[]),
        ] {
            assert_ne!(link, other);
        }
    }

    #[test]
    fn op_31_hash_seal_and_anchor_are_the_same_in_every_version() {
        let links = Links::new(&[7; 32]);
        let mut head = Head::new("c", 1, 2);
        head.extend(&links, Block::of_one(3, "{}".to_owned()));
        let of = |tag: [u8; 32]| [tag[0], tag[1], tag[2], tag[3]];
        let found = [of(head.hash), of(links.seal(&head)), of(links.anchor("c", 1, &NOTHING))];
        assert_eq!(found, [[243, 35, 29, 245], [132, 233, 11, 253], [3, 242, 163, 95]]);
    }
}
