//! The measured parts, for `cargo bench`, for the instruction counts, and for the comparison.
#![allow(missing_debug_implementations, reason = "only measurements use it")]
#![allow(clippy::expect_used, reason = "a benchmark whose world cannot be made stops")]

mod answers;
mod extractor;
mod parts;
mod raw;

pub use answers::{ASKING, FixedAnswers, ISSUER, SECRET};
pub use extractor::Extractor;
pub use parts::Parts;
pub use raw::{Raw, keyring, material};
