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
//! ```no_run
//! use actix_web::{App, HttpServer};
//! use tokenberg_core::registration::AllowedScope;
//! use tokenberg_core::{Policy, Rights, Scope, Secret};
//! use tokenberg_service::Tokens;
//! use tokenberg_store::KekSource;
//!
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let key = KekSource::File("tokens.db.key".into());
//!     let tokens = Tokens::open(&"sqlite:tokens.db".parse()?, key).await?;
//!     let rights = Rights::new(AllowedScope::Only(Scope::catalog()));
//!     let secret = Secret::new(std::env::var("SPARK_SECRET")?);
//!     tokens.ensure_client(&"spark".parse()?, &rights, &[secret]).await?;
//!
//!     let service = tokens.service(Policy::new("https://catalog.example".parse()?)).build();
//!     let bearer = tokens.bearer(&service);
//!     let mounted = service.clone();
//!     let app = move || App::new().configure(mounted.configure()).app_data(bearer.clone());
//!     HttpServer::new(app).bind("127.0.0.1:8181")?.run().await?;
//!     tokens.end(&service).await;
//!     Ok(())
//! }
//! ```
//!
//! Features: `actix` is a `TokenService` for actix-web; `testing` is for tests, see `testing::MemoryTokens`; `sqlite` and `postgres` are the kinds of databases, of which at least one
//! has to be on. All are on by default. `postgres` adds ring as a provider of rustls: a program whose rustls has another provider
//! by default must then name one, as with `ServerConfig::builder_with_provider`.
#![forbid(unsafe_code)]
#![warn(clippy::exhaustive_structs)]

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
