//! Tokenberg in your own program: what `tokenberg serve` does around the routes, with one entry.
//!
//! ```text
//! Options ── open ──> Tokens ── service(policy) ──> TokenService, to be mounted in an actix app
//!                       ├─ ensure_client, ensure_issuer: what your code or configuration states
//!                       ├─ in the background: follows the store, records that it does, rotates keys, deletes what has expired
//!                       ├─ ready, expose: for probes and metrics
//!                       └─ end: writes what is left, and closes the store
//! ```
//!
//! The README of the repository has a whole program, which is a doctest of this crate; `docs/embedding.md` has more.
//!
//! Features: `actix` is a `TokenService` for actix-web; `testing` is for tests, see `testing::MemoryTokens`; `sqlite` and `postgres` are the kinds of databases, of which at least one
//! has to be on. All are on by default. `postgres` adds ring as a provider of rustls: a program whose rustls has another provider
//! by default must then name one, as with `ServerConfig::builder_with_provider`.
#![forbid(unsafe_code)]
#![warn(clippy::exhaustive_structs)]
#![cfg_attr(doctest, doc = include_str!("../../../README.md"))]

mod clock;
mod debug;
#[cfg(feature = "actix")]
mod device_signer;
pub mod devices;
mod error;
#[cfg(feature = "actix")]
mod figures;
mod following;
mod housekeeping;
mod keeping;
pub mod key_state;
#[cfg(feature = "actix")]
mod measured;
mod options;
mod rotation;
#[cfg(feature = "testing")]
pub mod testing;
mod tokens;

pub use clock::{CLOCK_LEEWAY, now};
pub use error::{ClockError, ServiceError};
pub use following::Following;
pub use options::{Options, host};
pub use rotation::Rotation;
pub use tokens::Tokens;
