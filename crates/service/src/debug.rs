//! `Debug` of types that consist of shared state: prints what identifies them.

use crate::following::Following;
use crate::options::Options;
use crate::tokens::Tokens;
use std::fmt::{Debug, Formatter, Result};

impl Debug for Tokens {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Debug for Options {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Options").finish_non_exhaustive()
    }
}

impl Debug for Following {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Following").finish_non_exhaustive()
    }
}

#[cfg(feature = "testing")]
impl Debug for crate::testing::MemoryTokens {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("MemoryTokens").finish_non_exhaustive()
    }
}

#[cfg(feature = "testing")]
impl Debug for crate::testing::Memory {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}
