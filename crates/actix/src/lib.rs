//! The HTTP transport of the token service on actix-web (RFC 6749 §3.2): a server, or routes to mount in another.
//!
//! - [`TokenService`] answers token requests from a [`World`]; [`TokenService::configure`] mounts it in any actix app.
//!   Introspection comes with it, and revocation if [`TokenServiceBuilder::revocations`] says where they are stored.
//! - [`ServerBuilder`] makes a whole server of it: timeouts, limits, TLS, a graceful end, a listener for operations.
//! - [`Bearer`] is an extractor for catalogs that are written with actix.
//!
//! ```no_run
//! use actix_web::App;
//! use tokenberg_actix::{Fixed, TokenService};
//! # fn f(answers: impl tokenberg_core::Answers + 'static) -> Result<(), Box<dyn std::error::Error>> {
//! let policy = tokenberg_core::Policy::new("https://catalog.example/auth".parse()?);
//! let service = TokenService::builder(policy, Fixed::new(answers)).build();
//! let app = App::new().service(actix_web::web::scope("/auth").configure(service.configure()));
//! # Ok(()) }
//! ```
//!
//! ```no_run
//! use std::net::TcpListener;
//! use tokenberg_actix::{ServerBuilder, TokenService};
//! # fn f(service: TokenService) -> Result<(), Box<dyn std::error::Error>> {
//! // A whole server. It runs until `Handle::drain`, which the program calls on SIGTERM.
//! let server = ServerBuilder::new(service).listen(TcpListener::bind("127.0.0.1:8183")?).run()?;
//! # drop(server);
//! # Ok(()) }
//! ```
//!
//! For host applications: their own middleware and actix features apply to these routes as well, except `middleware::Compress`,
//! which leaves token responses as they are. With `http2`, the limits of this crate for HTTP/1.1 do not hold; it is not enabled here. Our own server accepts header lines that end with a bare line feed, as RFC 9112 §2.2
//! permits; proxies in front of it should be strict.
#![forbid(unsafe_code)]
#![warn(clippy::exhaustive_structs)]

mod answering;
mod bearer;
#[cfg(feature = "mtls")]
mod client_certificate;
#[cfg(feature = "server")]
mod connection;
mod debug;
mod documents;
mod endpoint;
mod head_limits;
mod observe;
mod operations;
mod origin;
mod paths;
mod peer;
mod proxy_auth;
mod routes;
#[cfg(feature = "server")]
mod server;
mod service;
mod service_builder;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "server")]
pub mod tls;

pub use answering::world::{Fixed, World};
pub use bearer::Bearer;
pub use bearer::config::BearerConfig;
pub use bearer::error::{BearerError, BearerRefusal};
pub use bearer::one_method::one_method_only;
pub use bearer::require::{Require, Requiring};
#[cfg(feature = "mtls")]
pub use client_certificate::read_certificate;
#[cfg(feature = "server")]
pub use connection::authorities::ClientAuthorities;
pub use documents::left_out::MetadataDocument;
pub use documents::protected_resource::ProtectedResource;
pub use endpoint::request_id::RequestId;
pub use observe::AUDIT;
pub use observe::audit::SPANS;
pub use observe::exposition::{Exposition, Figure};
pub use operations::Operations;
pub use origin::{Network, NetworkFault, TrustedProxies};
#[cfg(feature = "server")]
pub use server::{
    BasePathFault, DRAIN_DELAY, Handle, LONGEST_KEEP_ALIVE, MOST_CONNECTIONS, OPERATIONS_CONNECTIONS,
    Running, ServerBuilder, check_base_path,
};
pub use service::TokenService;
pub use service_builder::TokenServiceBuilder;
