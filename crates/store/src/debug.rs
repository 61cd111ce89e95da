//! `Debug` of types that consist of shared state or may contain secrets: prints what identifies them.

use crate::audit::AuditTrail;
use crate::keys::KeyEncryptionKey;
use crate::snapshot::{Moment, Snapshot, Watched};
use crate::store::Store;
use std::fmt::{Debug, Formatter, Result};

impl Debug for Store {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("KeyEncryptionKey").finish_non_exhaustive()
    }
}

impl Debug for AuditTrail {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("AuditTrail").finish_non_exhaustive()
    }
}

impl Debug for Snapshot {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Snapshot").field("clients", &self.clients()).finish_non_exhaustive()
    }
}

impl<K> Debug for Moment<K> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Moment").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}

impl<K> Debug for Watched<K> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}
