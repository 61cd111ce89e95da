//! Tests of the command with the real binary, real files and real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "the modules of a test share what they need")]

mod administration;
mod advising;
mod asking;
mod auditing;
mod backing_up;
mod being_a_client;
mod believing;
mod changing_issuers;
mod configuring;
mod crowding;
mod declaring;
mod deliberate;
mod demonstrating;
mod deploying;
mod equipping;
mod explaining;
mod figures;
mod filtering;
mod flooding;
mod foreign;
mod furniture;
mod hostile;
mod issuers;
mod misplaced;
mod namesakes;
mod naming;
mod nodes;
mod pages;
mod parity;
mod prefixes;
mod proving;
mod proxying;
mod publishing;
mod recording;
mod registering;
mod restoring;
mod revoking;
mod rotating;
mod running;
mod secrecy;
mod secret_sources;
mod showing_keys;
mod starting;
mod strangers;
mod straying;
mod support;
#[cfg(feature = "otlp")]
mod tracing;
mod trust;
mod unrecorded;
mod usage;
mod viewing;
mod wallet;
mod web_identities;
