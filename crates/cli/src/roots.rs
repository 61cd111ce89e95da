//! The trusted root certificates: the public roots, or only those of a file, for the authority of a company or a cluster.

use crate::input;
use anyhow::Context;
use std::path::Path;
use std::sync::Arc;
use ureq::tls::{Certificate, PemItem, RootCerts};

/// The public roots, or only the certificates of the file `ca`.
///
/// # Errors
/// If the file holds no certificate.
pub(crate) fn of(ca: Option<&Path>) -> anyhow::Result<RootCerts> {
    match ca {
        None => Ok(RootCerts::WebPki),
        Some(path) => Ok(RootCerts::Specific(Arc::new(certificates(path)?))),
    }
}

fn certificates(path: &Path) -> anyhow::Result<Vec<Certificate<'static>>> {
    let pem = input::bytes(path)?;
    let mut certificates = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        let item = item.with_context(|| format!("{} is not a PEM file", path.display()))?;
        if let PemItem::Certificate(certificate) = item {
            certificates.push(certificate);
        }
    }
    anyhow::ensure!(!certificates.is_empty(), "{} contains no certificate", path.display());
    Ok(certificates)
}
