//! Certificates of TLS clients: the trusted roots, which are the public ones or those of a file, and the client's own.

use crate::input;
use anyhow::Context;
use std::path::Path;
use std::sync::Arc;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts};

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

/// The certificate of a client with its chain, and its private key.
///
/// # Errors
/// If a file cannot be read, or the key is not that of the certificate.
pub(crate) fn client_certificate(certificate: &Path, key: &Path) -> anyhow::Result<ClientCert> {
    // ureq does not check them.
    tokenberg_actix::tls::load(certificate, key)?;
    let read = PrivateKey::from_pem(&input::bytes(key)?);
    let key = read.with_context(|| format!("cannot use the key in {}", key.display()))?;
    Ok(ClientCert::new_with_certs(&certificates(certificate)?, key))
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
