//! `Debug` of types that consist of shared state or may contain secrets: prints what identifies them.

use crate::answering::world::Fixed;
use crate::bearer::config::BearerConfig;
use crate::operations::Operations;
use crate::service::TokenService;
use crate::service_builder::TokenServiceBuilder;
use std::fmt::{Debug, Formatter, Result};

impl Debug for TokenService {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("TokenService").finish_non_exhaustive()
    }
}

impl Debug for TokenServiceBuilder {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("TokenServiceBuilder").finish_non_exhaustive()
    }
}

impl Debug for Operations {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Operations").finish_non_exhaustive()
    }
}

impl Debug for BearerConfig {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("BearerConfig").finish_non_exhaustive()
    }
}

impl<A> Debug for Fixed<A> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Fixed").finish_non_exhaustive()
    }
}
