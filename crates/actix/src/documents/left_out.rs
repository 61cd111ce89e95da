//! The metadata documents that a host may serve itself.

/// A metadata document that [`TokenServiceBuilder::leave_out`](crate::TokenServiceBuilder::leave_out) leaves to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataDocument {
    /// `/.well-known/oauth-authorization-server` (RFC 8414).
    AuthorizationServer,
    /// `/.well-known/openid-configuration`, with the same facts for catalogs that know only OIDC discovery.
    OpenIdConfiguration,
}
