//! Why certificates are not usable.

use rustls::pki_types::pem;
use std::path::PathBuf;

/// Why there is no certificate to serve with. Contains nothing of the files.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// The certificates cannot be read.
    #[error("cannot read certificates from {}: {source}", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: pem::Error,
    },
    /// The key cannot be read.
    #[error("cannot read a private key from {}: {source}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: pem::Error,
    },
    /// The certificates of the authorities for clients cannot be read.
    #[error("cannot read authorities for client certificates from {}: {source}", .path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: pem::Error,
    },
    /// The file has no certificate in it.
    #[error("{} contains no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// The certificate and the key do not match, or are of a kind that is not supported.
    #[error("the certificate and its key are not usable: {0}")]
    Unusable(#[from] rustls::Error),
}
