//! How do the core's questions and answers travel over HTTP? RFC 6749 §3.2 on actix-web, for a server of its own or
//! mounted in anybody's.
//!
//! - [`TokenService`] answers token requests from a [`World`]; [`TokenService::configure`] mounts it in any actix app.
//!   Introspection comes with it, and revocation where [`TokenServiceBuilder::revocations`] says who writes them down.
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
//! What a host application has to know: its own middleware and its actix features apply to us as well. With the
//! `compress-*` features and `middleware::Compress`, token responses would be compressed (BREACH); with `http2`, the
//! limits of this crate for HTTP/1.1 do not hold. Neither is switched on here. A server of ours accepts header lines
//! that end with a bare line feed, as RFC 9112 §2.2 permits; proxies in front of it should be strict.
#![forbid(unsafe_code)]

mod answered;
mod answering;
mod audit;
mod bearer;
mod bearer_config;
mod bearer_error;
mod body;
mod client_address;
mod client_authorities;
mod client_certificate;
mod client_stream;
mod connection;
mod connection_figures;
mod connections;
mod costly;
mod endpoint;
mod exposition;
mod failures;
mod fault;
mod framing;
mod guard;
mod handshakes;
mod metadata;
mod metrics;
mod observer;
mod one_method;
mod openapi;
mod operations;
mod protected_resource;
mod random_bits;
mod reply;
mod routes;
mod server;
mod service;
mod sources;
mod throttle;
pub mod tls;
mod transport;
mod world;

pub use audit::{AUDIT, SPANS};
pub use bearer::Bearer;
pub use bearer_config::BearerConfig;
pub use bearer_error::{BearerError, BearerRefusal};
pub use client_address::{Network, NetworkFault, TrustedProxies};
pub use client_authorities::ClientAuthorities;
pub use exposition::Exposition;
pub use guard::RequestId;
pub use one_method::one_method_only;
pub use operations::Operations;
pub use protected_resource::ProtectedResource;
pub use server::{
    BasePathFault, Handle, LONGEST_KEEP_ALIVE, MOST_CONNECTIONS, OPERATIONS_CONNECTIONS, Running,
    ServerBuilder, check_base_path,
};
pub use service::{TokenService, TokenServiceBuilder};
pub use world::{Fixed, World};
