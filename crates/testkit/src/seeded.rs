//! Pseudo-random bytes from a seed.

/// Bytes from a seed: xorshift64*, which is good enough to choose events and not to choose keys.
#[derive(Clone, Debug)]
pub struct SeededBytes(u64);

impl SeededBytes {
    /// The bytes of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Zero would stay zero, and small seeds would begin alike.
        Self((seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, which is not zero.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() >> 33) as usize % end
    }

    /// The next bytes.
    pub fn take<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| (self.number() >> 56) as u8)
    }
}
