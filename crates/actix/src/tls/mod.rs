//! Loads and reloads the certificate of the server: TLS 1.3 (RFC 8446) and 1.2 (RFC 5246), nothing older.

pub(crate) mod fault;
pub(crate) mod provider;

use crate::connection::authorities::ClientAuthorities;
pub use fault::TlsFault;
use provider::provider;
use rustls::crypto::ring::Ticketer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoClientAuth, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// A certificate chain and its key, as last read.
#[derive(Clone)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: Arc<Current>,
    tickets: Arc<dyn ProducesTickets>,
    clients: Option<ClientAuthorities>,
}

/// Reads PEM files: the chain, the server's certificate first, and its key in PKCS#8, PKCS#1 or SEC1.
///
/// Sessions are resumed by tickets that clients keep (RFC 8446 §2.2, RFC 5077), under a key that changes every six hours and is
/// of this process alone. So the server remembers no client, and any number of them resume.
///
/// # Errors
/// [`TlsFault`].
pub fn load(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Tls, TlsFault> {
    let (certificate, key) = (certificate.into(), key.into());
    let current = Arc::new(Current(RwLock::new(read(&certificate, &key)?)));
    Ok(Tls { certificate, key, current, tickets: Ticketer::new()?, clients: None })
}

impl Tls {
    /// Requests client certificates, and trusts those that chain to an authority in this PEM file. A certificate stays optional.
    ///
    /// # Errors
    /// [`TlsFault`].
    pub fn with_client_authorities(self, file: impl Into<PathBuf>) -> Result<Self, TlsFault> {
        Ok(Self { clients: Some(ClientAuthorities::load(file.into())?), ..self })
    }

    /// The trusted authorities for client certificates, for
    /// [`ServerBuilder::client_authorities`](crate::ServerBuilder::client_authorities).
    #[must_use]
    pub fn client_authorities(&self) -> Option<ClientAuthorities> {
        self.clients.clone()
    }

    /// Reads all files again. New connections get the new certificate; open ones continue.
    ///
    /// # Errors
    /// [`TlsFault`]; then all that was read before stays in use.
    pub fn reload(&self) -> Result<(), TlsFault> {
        let fresh = read(&self.certificate, &self.key)?;
        if let Some(exchange) = self.clients.as_ref().map(ClientAuthorities::read_again).transpose()? {
            exchange();
        }
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// The configuration of a server with these certificates: TLS 1.2 and 1.3, by ring.
    ///
    /// # Errors
    /// If rustls refuses its own defaults.
    pub fn config(&self) -> Result<rustls::ServerConfig, TlsFault> {
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&self.current) as _;
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_client_cert_verifier(match &self.clients {
                Some(authorities) => authorities.verifier(),
                None => Arc::new(NoClientAuth),
            })
            .with_cert_resolver(resolver);
        config.ticketer = Arc::clone(&self.tickets);
        Ok(config)
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsFault> {
    let unreadable = |source| TlsFault::Certificate { path: certificate.to_owned(), source };
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect).map_err(unreadable)?;
    if chain.is_empty() {
        return Err(TlsFault::NoCertificate(certificate.to_owned()));
    }
    let key =
        PrivateKeyDer::from_pem_file(key).map_err(|source| TlsFault::Key { path: key.to_owned(), source })?;
    Ok(Arc::new(CertifiedKey::from_der(chain, key, &provider())?))
}

struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}
