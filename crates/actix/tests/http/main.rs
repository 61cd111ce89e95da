//! What do clients see? The service over HTTP, in memory and over sockets; names are ids of the conformance list.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on stops")]

mod abuse;
mod audit;
mod bearer;
mod check;
mod companions;
mod documents;
mod framing;
mod issuer_keys;
mod server;
mod timeouts;
mod tls;
mod token_endpoint;
mod transport;
mod wire;
mod world;
