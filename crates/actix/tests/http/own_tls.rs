//! Client certificates that a host's own TLS server passes on, without `ClientAuthorities`: MT-01, MT-04 and MT-07.

use crate::certificates::{Authority, Certified, TlsServer, cm, self_signed};
use crate::check::*;
use crate::world::*;
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpResponse, HttpServer, web};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use std::net::TcpListener;
use std::sync::Arc;
use tokenberg_actix::{Bearer, BearerConfig, read_certificate};

/// The configuration of a host that verifies clients itself.
fn config(authority: &Authority) -> (rustls::ServerConfig, CertificateDer<'static>) {
    let own = rcgen::generate_simple_self_signed(["as.test".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = verifier.allow_unauthenticated();
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let certificate = own.cert.der().clone();
    let config = config.with_client_cert_verifier(verifier.build().unwrap());
    (config.with_single_cert(vec![certificate.clone()], key).unwrap(), certificate)
}

async fn table(_: Bearer) -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[test]
fn mt_01_mt_04_mt_07_a_certificate_that_the_hosts_server_verified_authenticates_and_binds() {
    let world = World::new();
    let service = world.builder().client_certificates().build();
    let authority = Authority::new("authority");
    let (config, certificate) = config(&authority);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = TlsServer { address: listener.local_addr().unwrap(), certificate };
    let (handles, handle) = std::sync::mpsc::channel();
    let serving = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let app = move || {
                let app = App::new().app_data(BearerConfig::of(&service));
                app.configure(service.configure()).route("/table", web::get().to(table))
            };
            let server = HttpServer::new(app).on_connect(|connection, data| {
                let Some(tls) = connection.downcast_ref::<TlsStream<TcpStream>>() else { return };
                let Some([own, ..]) = tls.get_ref().1.peer_certificates() else { return };
                if let Some(certificate) = read_certificate(own, true) {
                    data.insert(certificate);
                }
            });
            let server = server.workers(1).disable_signals().listen_rustls_0_23(listener, config);
            let server = server.unwrap().run();
            handles.send(server.handle()).unwrap();
            server.await.unwrap();
        });
    });
    let handle = handle.recv().unwrap();
    let (good, other) = (authority.certify(&cm()), authority.certify(&cm()));
    let by_cm = form(format!("{CC}&client_id=cm&scope=ns:read"));
    let token = server.ask(Some(&good), &by_cm).token();
    let thumbprint = tokenberg_core::token::Thumbprint::of(
        ring::digest::digest(&ring::digest::SHA256, &good.chain[0]).as_ref().try_into().unwrap(),
    );
    assert_eq!(claims(&token)["cnf"]["x5t#S256"], thumbprint.as_str());
    check_answer(&server.ask(None, &by_cm), E(401, "invalid_client"), "no certificate");
    let by_secret = server.ask(Some(&good), &form(CC).basic(C1));
    assert!(
        claims(&by_secret.token()).get("cnf").is_none(),
        "a certificate that is not needed binds nothing"
    );
    let at_table = |certificate: Option<&Certified>| {
        server.ask(certificate, &ask("GET", "/table").bearer(&token)).status
    };
    assert_eq!((at_table(Some(&good)), at_table(Some(&other)), at_table(None)), (200, 401, 401));
    actix_web::rt::System::new().block_on(handle.stop(false));
    serving.join().unwrap();
}

#[test]
fn mt_01_a_certificate_that_the_host_did_not_verify_authenticates_no_client() {
    let der = &self_signed(&cm()).chain[0];
    let (trusted, untrusted) = (read_certificate(der, true).unwrap(), read_certificate(der, false).unwrap());
    let registered = tokenberg_core::registration::CertificateName::Subject(CM_SUBJECT.into());
    assert!(trusted.is_of(&registered) && !untrusted.is_of(&registered));
}
