//! The cryptography provider of TLS.

use rustls::crypto::{CryptoProvider, ring};
use std::sync::Arc;

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
