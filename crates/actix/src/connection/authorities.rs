//! Verifies client certificates against the trusted authorities: optional in the handshake, checked after it. RFC 8705 §2.1, RFC
//! 5280 §6.

use crate::client_certificate;
use crate::tls::fault::TlsFault;
use crate::tls::provider::provider;
use crate::tls::summary::CertificateSummary;
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConnection, SignatureScheme,
};
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokenberg_core::PeerCertificate;

/// The authorities whose certificates authenticate clients, as last read.
#[derive(Clone)]
pub struct ClientAuthorities {
    file: PathBuf,
    current: Arc<RwLock<Authorities>>,
}

/// The content of the file.
pub(crate) struct Authorities {
    judge: Judge,
    certificates: Vec<CertificateSummary>,
}

/// Verifies chains: signatures, times, constraints, and the purpose of client authentication.
type Judge = Arc<dyn ClientCertVerifier>;

/// The client certificate of a connection, in actix's data of the connection.
pub(crate) struct ConnectionCertificate {
    certificate: PeerCertificate,
    chain: Vec<CertificateDer<'static>>,
    judged_by: Judge,
    authorities: ClientAuthorities,
}

impl ConnectionCertificate {
    /// Its content, verified by the present authorities: the connection may be older than they are.
    pub(crate) fn certificate(&self) -> Cow<'_, PeerCertificate> {
        let judge = self.authorities.judge();
        if Arc::ptr_eq(&judge, &self.judged_by) {
            return Cow::Borrowed(&self.certificate);
        }
        let fault = fault(&judge, &self.chain);
        let read = self.chain.first().and_then(|own| client_certificate::read(own, fault));
        let unreadable =
            || PeerCertificate { fault: Some("it cannot be read".into()), ..self.certificate.clone() };
        Cow::Owned(read.unwrap_or_else(unreadable))
    }

    /// The thumbprint that a token can be bound to, whether the certificate is trusted or not.
    pub(crate) fn thumbprint(&self) -> [u8; 32] {
        self.certificate.thumbprint
    }
}

/// Why the chain, the client's own certificate first, is not valid now; `None` if it is.
fn fault(judge: &Judge, chain: &[CertificateDer<'_>]) -> Option<Box<str>> {
    let [own, others @ ..] = chain else { return Some("there is no certificate".into()) };
    let fault = judge.verify_client_cert(own, others, UnixTime::now()).err()?;
    tracing::debug!(reason = %fault, "a client certificate is not trusted");
    // Without the prefix that names only the kind of the error.
    let text =
        if let Error::InvalidCertificate(fault) = &fault { fault.to_string() } else { fault.to_string() };
    Some(text.into())
}

impl ClientAuthorities {
    pub(crate) fn new(file: PathBuf, authorities: Authorities) -> Self {
        Self { file, current: Arc::new(RwLock::new(authorities)) }
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn replace(&self, authorities: Authorities) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = authorities;
    }

    /// The certificates of the authorities, in the order of the file.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateSummary> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).certificates.clone()
    }

    /// For the handshake of any [`rustls::ServerConfig`]: requests a certificate and accepts a client without one, and any
    /// certificate whose key is proven.
    ///
    /// Whether it is trusted is checked after the handshake: a client may have a certificate for other purposes, and a secret
    /// besides (conformance MT-07).
    #[must_use]
    pub fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::new(AnyCertificate(provider()))
    }

    /// For [`HttpServer::on_connect`](actix_web::HttpServer::on_connect) of another server: passes the certificate of a
    /// connection to the token endpoint and to [`Bearer`](crate::Bearer).
    pub fn on_connect(&self) -> impl Fn(&dyn Any, &mut Extensions) + Clone + Send + Sync + 'static {
        let authorities = self.clone();
        move |connection, data| {
            if let Some(tls) = connection.downcast_ref::<TlsStream<TcpStream>>() {
                authorities.look_at(tls.get_ref().1, data);
            }
        }
    }

    /// Verifies the certificate of a connection, if there is one, by the present authorities.
    pub(crate) fn look_at(&self, connection: &ServerConnection, data: &mut Extensions) {
        let Some(chain @ [own, ..]) = connection.peer_certificates() else { return };
        let judged_by = self.judge();
        if let Some(certificate) = client_certificate::read(own, fault(&judged_by, chain)) {
            let (chain, authorities) = (chain.to_vec(), self.clone());
            data.insert(ConnectionCertificate { certificate, chain, judged_by, authorities });
        }
    }

    fn judge(&self) -> Judge {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).judge)
    }
}

impl Authorities {
    /// Reads the PEM text of a file.
    pub(crate) fn parse(pem: &[u8], file: &Path) -> Result<Self, TlsFault> {
        let unreadable = |source| TlsFault::Authorities { path: file.to_owned(), source };
        let certificates: Vec<_> =
            CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(unreadable)?;
        if certificates.is_empty() {
            return Err(TlsFault::NoCertificate(file.to_owned()));
        }
        let summaries = CertificateSummary::of_all(&certificates);
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate)?;
        }
        let judge = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        let judge = judge.map_err(|fault| TlsFault::Unusable(Error::General(fault.to_string())))?;
        Ok(Self { judge, certificates: summaries })
    }
}

/// Accepts every certificate whose key is proven in the handshake.
struct AnyCertificate(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// No names: they could change while the server runs, and clients with one certificate need none to choose it.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for AnyCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyCertificate")
    }
}
