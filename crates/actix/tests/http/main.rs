//! The service over HTTP, in memory and over sockets; test names begin with ids of the conformance list.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on stops")]

mod abuse;
mod assertions;
mod audit;
mod audit_of_others;
mod bearer;
mod bearer_guards;
mod bearer_proofs;
mod certificates;
mod check;
mod client_certificates;
mod companions;
mod crowded;
mod documents;
mod framing;
mod hosted;
mod issuer_keys;
mod own_tls;
mod pipelining;
mod proofs;
mod server;
mod signer;
mod signing_elsewhere;
mod timeouts;
mod tls;
mod token_endpoint;
mod transport;
mod truthful;
mod unverified;
mod verifying;
mod wire;
mod world;
