//! Ports for programs that take one from their configuration.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// A free port on 127.0.0.1. It is not of the range from which the system takes ports for connections, so that none of
/// them takes it before the program does.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let n = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id().wrapping_mul(101));
        let port = u16::try_from(20_000 + n % 12_000).unwrap_or(u16::MAX);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
