//! The documents that a service publishes: metadata (RFC 8414, RFC 9728) and its OpenAPI description.

pub(crate) mod left_out;
pub(crate) mod openapi;
pub(crate) mod protected_resource;
