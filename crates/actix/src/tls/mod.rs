//! Loads the certificate of the server and follows its files: TLS 1.3 (RFC 8446) and 1.2 (RFC 5246), nothing older.

pub(crate) mod fault;
mod files;
pub(crate) mod provider;
pub(crate) mod summary;

use crate::connection::authorities::{Authorities, ClientAuthorities};
pub use fault::TlsFault;
use files::{Contents, Files, content, is_regular};
use provider::provider;
use rustls::client::verify_server_name;
use rustls::crypto::ring::Ticketer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, NoClientAuth, ParsedCertificate, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
pub use summary::CertificateSummary;

/// A certificate chain and its key, as last read.
#[derive(Clone)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    /// Whether the files were regular ones when they were read first.
    is_followed: bool,
    current: Arc<Current>,
    tickets: Arc<dyn ProducesTickets>,
    clients: Option<ClientAuthorities>,
    followed: Arc<Mutex<Followed>>,
}

/// What was read from the files.
#[derive(Default)]
struct Followed {
    used: Contents,
    refused: Option<Refused>,
}

/// Contents that are not usable.
struct Refused {
    contents: Contents,
    reason: String,
    is_reported: bool,
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
    let files = Files::read(&certificate, &key, None);
    let followed = Followed { used: files.contents(), refused: None };
    let current = Arc::new(Current(RwLock::new(certified(files, &certificate, &key)?)));
    let (tickets, followed) = (Ticketer::new()?, Arc::new(Mutex::new(followed)));
    let is_followed = is_regular(&certificate) && is_regular(&key);
    Ok(Tls { certificate, key, is_followed, current, tickets, clients: None, followed })
}

impl Tls {
    /// Requests client certificates, and trusts those that chain to an authority in this PEM file. A certificate stays optional.
    ///
    /// # Errors
    /// [`TlsFault`].
    pub fn with_client_authorities(self, file: impl Into<PathBuf>) -> Result<Self, TlsFault> {
        let file = file.into();
        let read = std::fs::read(&file);
        let pem = content(read, &file, |path, source| TlsFault::Authorities { path, source })?;
        let authorities = Authorities::parse(&pem, &file)?;
        self.followed().used[2] = Some(files::digest_of(&pem));
        let is_followed = self.is_followed && is_regular(&file);
        Ok(Self { is_followed, clients: Some(ClientAuthorities::new(file, authorities)), ..self })
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
        let files = self.files();
        let contents = files.contents();
        let outcome = self.take(files, &contents);
        if let Err(fault) = &outcome {
            let reason = fault.to_string();
            self.followed().refused = Some(Refused { contents, reason, is_reported: true });
        }
        outcome
    }

    /// Compares the files with what was read last, and reads them again if they differ; for a call every few seconds. Returns
    /// whether new ones are in use. It blocks for as long as reading the files takes. If a file was not a regular one when it was
    /// read first, such as a pipe, none is followed.
    ///
    /// # Errors
    /// [`TlsFault`] if the files are not usable in two calls in a row, once for the same contents: between two writes,
    /// certificate and key do not match for a moment. All that was read before stays in use.
    pub fn follow(&self) -> Result<bool, TlsFault> {
        if !self.is_followed {
            return Ok(false);
        }
        let files = self.files();
        let contents = files.contents();
        let known = {
            let mut followed = self.followed();
            if followed.used == contents {
                followed.refused = None;
                return Ok(false);
            }
            let refused = followed.refused.as_ref().filter(|refused| refused.contents == contents);
            refused.map(|refused| refused.is_reported)
        };
        if known == Some(true) {
            return Ok(false);
        }
        let Err(fault) = self.take(files, &contents) else { return Ok(true) };
        let (reason, is_reported) = (fault.to_string(), known.is_some());
        self.followed().refused = Some(Refused { contents, reason, is_reported });
        if is_reported { Err(fault) } else { Ok(false) }
    }

    /// Why the present files are not in use; `None` while they are.
    #[must_use]
    pub fn refused(&self) -> Option<String> {
        let followed = self.followed();
        followed.refused.as_ref().filter(|refused| refused.is_reported).map(|refused| refused.reason.clone())
    }

    /// The certificates of the chain in use, the server's own first.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateSummary> {
        CertificateSummary::of_all(&self.current.certified().cert)
    }

    /// Whether the server's certificate names this host: a name of DNS or an IP address (RFC 9525 §6). Only the subject alternative
    /// names count.
    #[must_use]
    pub fn names(&self, host: &str) -> bool {
        let (certified, name) = (self.current.certified(), ServerName::try_from(host));
        let own = certified.cert.first().and_then(|own| ParsedCertificate::try_from(own).ok());
        own.zip(name.ok()).is_some_and(|(own, name)| verify_server_name(&own, &name).is_ok())
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

    fn files(&self) -> Files {
        let authorities = self.clients.as_ref().map(ClientAuthorities::file);
        let read = if self.is_followed { Files::read_again } else { Files::read };
        read(&self.certificate, &self.key, authorities)
    }

    /// Uses the files, all or none of them.
    fn take(&self, mut files: Files, contents: &Contents) -> Result<(), TlsFault> {
        let authorities = match self.clients.as_ref().zip(files.authorities.take()) {
            Some((clients, read)) => {
                let unreadable = |path, source| TlsFault::Authorities { path, source };
                let pem = content(read, clients.file(), unreadable)?;
                Some((clients, Authorities::parse(&pem, clients.file())?))
            }
            None => None,
        };
        let fresh = certified(files, &self.certificate, &self.key)?;
        if let Some((clients, authorities)) = authorities {
            clients.replace(authorities);
        }
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        *self.followed() = Followed { used: contents.clone(), refused: None };
        Ok(())
    }

    fn followed(&self) -> MutexGuard<'_, Followed> {
        // It is set as a whole, so a panic elsewhere leaves it consistent.
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn certified(files: Files, certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsFault> {
    let unreadable = |path, source| TlsFault::Certificate { path, source };
    let pem = content(files.certificate, certificate, unreadable)?;
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|source| unreadable(certificate.to_owned(), source))?;
    if chain.is_empty() {
        return Err(TlsFault::NoCertificate(certificate.to_owned()));
    }
    let unreadable = |path, source| TlsFault::Key { path, source };
    let pem = content(files.key, key, unreadable)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|source| unreadable(key.to_owned(), source))?;
    Ok(Arc::new(CertifiedKey::from_der(chain, key, &provider())?))
}

struct Current(RwLock<Arc<CertifiedKey>>);

impl Current {
    fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certified())
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}
