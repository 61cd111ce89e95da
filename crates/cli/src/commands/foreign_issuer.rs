//! Parses the identifier of another issuer, an argument of several commands.

use tokenberg_core::Issuer;

/// Parses the identifier of another issuer: a URL or a SPIFFE trust domain.
///
/// # Errors
/// A sentence that describes both forms.
pub(super) fn foreign(text: &str) -> Result<Issuer, String> {
    Issuer::foreign(text).map_err(|error| format!("{error}; or a SPIFFE trust domain, spiffe://td.example"))
}
