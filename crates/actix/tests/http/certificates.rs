//! Helpers for client certificates: an authority, its certificates, and a client that presents them in the handshake.

use crate::check::{Answer, Ask};
use crate::wire::{TIMEOUT, parse, read_until_closed};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use tokenberg_actix::tls::{self, Tls};

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate and its key.
pub(crate) struct Certified {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = named(&[(DnType::CommonName, name)]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(crate) fn certify(&self, params: &CertificateParams) -> Certified {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Certified { chain: vec![certificate.der().clone()], key: key.serialize_der() }
    }
}

/// A self-signed certificate.
pub(crate) fn self_signed(params: &CertificateParams) -> Certified {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Certified { chain: vec![certificate.der().clone()], key: key.serialize_der() }
}

/// A subject of these parts, in the order of the certificate: the least specific first.
pub(crate) fn named(parts: &[(DnType, &str)]) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    for (kind, value) in parts {
        params.distinguished_name.push(kind.clone(), *value);
    }
    params
}

/// The certificate of the client `cm`.
pub(crate) fn cm() -> CertificateParams {
    named(&[(DnType::OrganizationName, "Test"), (DnType::CommonName, "cm")])
}

/// A server's own certificate in the folder, with this authority for clients.
pub(crate) fn server(folder: &Path, authority: &Authority) -> (Tls, CertificateDer<'static>) {
    let certified = rcgen::generate_simple_self_signed(["as.test".to_owned()]).unwrap();
    let path = |name: &str| folder.join(name);
    std::fs::write(path("cert.pem"), certified.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), certified.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("ca.pem"), &authority.pem).unwrap();
    let tls = tls::load(path("cert.pem"), path("key.pem")).unwrap();
    (tls.with_client_authorities(path("ca.pem")).unwrap(), certified.cert.der().clone())
}

/// The address of a server, and its certificate.
pub(crate) struct TlsServer {
    pub(crate) address: SocketAddr,
    pub(crate) certificate: CertificateDer<'static>,
}

impl TlsServer {
    /// Sends a request over a new connection.
    pub(crate) fn ask(&self, certificate: Option<&Certified>, ask: &Ask) -> Answer {
        self.ask_by(rustls::ALL_VERSIONS, certificate, ask)
    }

    pub(crate) fn ask_by(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        certificate: Option<&Certified>,
        ask: &Ask,
    ) -> Answer {
        self.ask_as(&self.client(versions, certificate), ask).0
    }

    /// A client with this certificate, which resumes its connections.
    pub(crate) fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        certificate: Option<&Certified>,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let config = config.with_root_certificates(roots);
        Arc::new(match certificate {
            None => config.with_no_client_auth(),
            Some(Certified { chain, key }) => {
                let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.clone()));
                config.with_client_auth_cert(chain.clone(), key).unwrap()
            }
        })
    }

    /// Both answers on one connection, with something done in between.
    pub(crate) fn ask_twice(
        &self,
        client: &Arc<ClientConfig>,
        ask: &Ask,
        between: impl FnOnce(),
    ) -> Vec<Answer> {
        let name = ServerName::try_from("as.test").unwrap();
        let connection = ClientConnection::new(Arc::clone(client), name).unwrap();
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        stream.write_all(&ask.to_wire()).unwrap();
        let (mut read, mut byte) = (Vec::new(), [0]);
        // Each of these answers is one JSON object, and the only braces are around it.
        while !read.ends_with(b"}") {
            stream.read_exact(&mut byte).unwrap();
            read.extend(byte);
        }
        between();
        stream.write_all(&ask.clone().header("Connection", "close").to_wire()).unwrap();
        read.extend(read_until_closed(&mut stream));
        parse(&read, &[false, false])
    }

    /// The answer, and whether the connection was resumed.
    pub(crate) fn ask_as(&self, client: &Arc<ClientConfig>, ask: &Ask) -> (Answer, bool) {
        let name = ServerName::try_from("as.test").unwrap();
        let connection = ClientConnection::new(Arc::clone(client), name).unwrap();
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        stream.write_all(&ask.clone().header("Connection", "close").to_wire()).unwrap();
        let answers = parse(&read_until_closed(&mut stream), &[ask.method == "HEAD"]);
        assert_eq!(answers.len(), 1, "{answers:?}");
        let resumed = stream.conn.handshake_kind() == Some(HandshakeKind::Resumed);
        (answers.into_iter().next().unwrap(), resumed)
    }
}
