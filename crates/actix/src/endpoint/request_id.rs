//! The identifier of a request, in its answer and in the audit.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The identifier of a request in `X-Request-Id` of the response and in the audit: 64 bits that look random, and are never chosen
/// by a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId([u8; 16]);

/// Requests are counted, and their identifiers are keyed hashes of the count: unlike random bits, these cost no system call, and
/// they need not be unpredictable.
static REQUESTS: AtomicU64 = AtomicU64::new(0);
static NAMES: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl RequestId {
    pub(super) fn next() -> Self {
        let mut bits = NAMES.hash_one(REQUESTS.fetch_add(1, Ordering::Relaxed));
        let mut digits = [0; 16];
        for digit in digits.iter_mut().rev() {
            *digit = b"0123456789abcdef"[(bits % 16) as usize];
            bits /= 16;
        }
        Self(digits)
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // They are digits.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}
