//! Times and durations, in whole seconds.

pub use crate::types::entropy::Entropy;
pub use crate::types::time::{Lifetime, Timestamp, TimestampOutOfRange, UNITS_OF_TIME};
