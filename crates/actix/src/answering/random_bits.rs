//! Draws the random bits of tokens from the system, for several requests at a time.

use crate::endpoint::fault::Fault;
use ring::rand::{SecureRandom, SystemRandom};
use std::cell::RefCell;

/// The size of an identifier's random bits, in bytes.
const EACH: usize = 16;
/// The number of identifiers for which bits are fetched at once, because the system call takes longer than the bits.
const AT_ONCE: usize = 16;

struct Bits {
    fetched: [u8; EACH * AT_ONCE],
    /// How many of them are unused.
    left: usize,
}

thread_local! {
    static BITS: RefCell<Bits> = const { RefCell::new(Bits { fetched: [0; EACH * AT_ONCE], left: 0 }) };
}

/// Random bits that are used only once. They are for identifiers, which are not secret once they are in a token.
pub(crate) fn next(random: &SystemRandom) -> Result<[u8; EACH], Fault> {
    BITS.with_borrow_mut(|bits| {
        if bits.left == 0 {
            random.fill(&mut bits.fetched).map_err(|_| Fault::NoRandomness)?;
            bits.left = AT_ONCE;
        }
        bits.left -= 1;
        let mut next = [0; EACH];
        let place = &mut bits.fetched[bits.left * EACH..][..EACH];
        next.copy_from_slice(place);
        place.fill(0);
        Ok(next)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn se_08_no_random_bits_are_used_twice_in_any_thread() {
        let thread = || (0..1000).map(|_| next(&SystemRandom::new()).unwrap()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(thread)).collect();
        let all: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 4000);
        assert!(all.iter().all(|bits| bits != &[0; EACH]));
    }
}
