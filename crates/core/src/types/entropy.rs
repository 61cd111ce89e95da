//! The random bits that make a token unique, as a value; conformance SE-08.

/// 128 bits from the random source of the operating system, for one request and never for another.
pub struct Entropy([u8; 16]);

impl Entropy {
    /// Takes the bits, which have to be unpredictable and used for one token only.
    #[must_use]
    pub fn from_bits(bits: [u8; 16]) -> Self {
        Self(bits)
    }

    /// The identifier that these bits make.
    #[must_use]
    pub fn into_token_id(self) -> super::token_id::TokenId {
        super::token_id::TokenId::from_bits(self.0)
    }
}
