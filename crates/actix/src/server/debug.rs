//! `Debug` of types that consist of shared state or may contain secrets: prints what identifies them.

use super::{Handle, Running, ServerBuilder};
use crate::connection::authorities::ClientAuthorities;
use crate::tls::Tls;
use std::fmt::{Debug, Formatter, Result};

impl Debug for ServerBuilder {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("ServerBuilder").finish_non_exhaustive()
    }
}

impl Debug for Running {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Running").field("addresses", &self.addresses()).finish_non_exhaustive()
    }
}

impl Debug for Handle {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Debug for Tls {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Debug for ClientAuthorities {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("ClientAuthorities").finish_non_exhaustive()
    }
}
