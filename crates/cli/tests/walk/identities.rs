//! Certificates of the server and of clients, for mutual TLS.

use crate::support::Place;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokenberg_testkit::history::CERTIFICATES;

/// The configurations of clients that trust the server: one for each certificate, and one without.
#[derive(Clone)]
pub struct Identities {
    clients: Vec<Arc<ClientConfig>>,
    thumbprints: Vec<[u8; 32]>,
}

/// The options of a server that speaks TLS with these identities.
pub const TLS: [&str; 6] = ["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--tls-client-ca", "ca.pem"];

impl Identities {
    /// Makes them, and writes the files of the server.
    pub fn new(place: &Place) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        place.file("key.pem", &made.signing_key.serialize_pem());
        place.file("cert.pem", &made.cert.pem());
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        place.file("ca.pem", &params.self_signed(&key).unwrap().pem());
        let authority = Issuer::new(params, key);
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = || {
            let builder = ClientConfig::builder_with_provider(provider.clone());
            builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots.clone())
        };
        let (mut clients, mut thumbprints) = (Vec::new(), Vec::new());
        for subject in CERTIFICATES {
            let (certificate, key) = certified(subject.trim_start_matches("CN="), &authority);
            let hash = ring::digest::digest(&ring::digest::SHA256, &certificate);
            thumbprints.push(hash.as_ref().try_into().unwrap());
            clients.push(Arc::new(builder().with_client_auth_cert(vec![certificate], key).unwrap()));
        }
        clients.push(Arc::new(builder().with_no_client_auth()));
        Self { clients, thumbprints }
    }

    /// The configuration of a client that shows this certificate, or none.
    pub fn client(&self, shown: Option<usize>) -> Arc<ClientConfig> {
        self.clients[shown.unwrap_or(self.clients.len() - 1)].clone()
    }

    /// SHA-256 of this certificate.
    pub fn thumbprint(&self, number: usize) -> [u8; 32] {
        self.thumbprints[number]
    }
}

fn certified(
    name: &str,
    authority: &Issuer<'static, KeyPair>,
) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap().der().clone();
    (certificate, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
}
