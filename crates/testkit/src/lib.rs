//! Tests the core without I/O: one scripted world, one way to send requests, one way to check answers.
//!
//! Tests are data: only [`World::check`] and what it calls know the interface of the core.
#![allow(missing_debug_implementations, unnameable_types, reason = "only tests use it")]
#![forbid(unsafe_code)]
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops")]

mod answer;
mod ask;
mod clients;
mod documents;
mod explained;
mod foreign;
mod forgery;
mod free_port;
pub mod history;
mod key_reading;
pub mod laws;
mod pgbouncer;
mod postgres;
mod revoked_times;
mod scenario;
mod seeded;
mod session_claims;
mod softhsm;
mod vectors;
mod wire;
mod world;

pub use answer::Answer;
pub use ask::Ask;
pub use clients::{client, client_with, federated_client, signing_client};
pub use documents::Documents;
pub use foreign::{ForeignKey, alice, certificate, changed, sha256, trusted, unsecured};
pub use forgery::{Door, Doors};
pub use free_port::free_port;
pub use history::{Event, History};
pub use pgbouncer::PgBouncer;
pub use postgres::{POSTGRES_PASSWORD, Postgres, postgres_program, postgres_version, url_at};
pub use revoked_times::RevokedTimes;
pub use scenario::{at1, at2, by_c1, by_c2, chain, let_c2_act_for_c1};
pub use seeded::SeededBytes;
pub use session_claims::SessionClaims;
pub use softhsm::SoftHsm;
pub use vectors::vectors;
pub use wire::{Line, Wire};
pub use world::{ISSUER, NOW, World};
