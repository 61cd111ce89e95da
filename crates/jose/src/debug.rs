//! `Debug` of types that consist of shared state or may contain secrets: prints what identifies them.

use crate::{ClientKey, IssuerKeySets, Keyring, PublicKeyring};
use std::fmt::{Debug, Formatter, Result};

impl Debug for ClientKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("ClientKey").field("thumbprint", self.thumbprint()).finish_non_exhaustive()
    }
}

impl Debug for IssuerKeySets {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("IssuerKeySets").finish_non_exhaustive()
    }
}

impl Debug for Keyring {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Keyring").finish_non_exhaustive()
    }
}

impl Debug for PublicKeyring {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("PublicKeyring").finish_non_exhaustive()
    }
}
