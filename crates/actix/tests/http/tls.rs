//! TLS with a real client: HT-20 and HT-18 of the conformance list.

use crate::check::*;
use crate::wire::{TIMEOUT, Wire, parse, read_answers, read_until_closed};
use crate::world::*;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokenberg_actix::tls::{self, TlsFault};

/// Writes a new certificate and its key, and returns the certificate.
pub(crate) fn certify(directory: &Path) -> CertificateDer<'static> {
    let certified = rcgen::generate_simple_self_signed(["as.test".to_owned()]).unwrap();
    std::fs::write(directory.join("cert.pem"), certified.cert.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
    certified.cert.der().clone()
}

pub(crate) type Client = StreamOwned<ClientConnection, TcpStream>;

/// Connects, trusting this certificate only.
pub(crate) fn connect(
    wire: &Wire,
    trusted: &CertificateDer<'static>,
    alpn: &[&str],
) -> std::io::Result<Client> {
    connect_by(wire.address, std::slice::from_ref(trusted), alpn, rustls::DEFAULT_VERSIONS)
}

fn connect_by(
    address: SocketAddr,
    trusted: &[CertificateDer<'static>],
    alpn: &[&str],
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<Client> {
    let socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    over_by(socket, trusted, alpn, versions)
}

/// Speaks TLS over a connection that is open, trusting this certificate only.
pub(crate) fn over(socket: TcpStream, trusted: &CertificateDer<'static>) -> std::io::Result<Client> {
    over_by(socket, std::slice::from_ref(trusted), &[], rustls::DEFAULT_VERSIONS)
}

fn over_by(
    mut socket: TcpStream,
    trusted: &[CertificateDer<'static>],
    alpn: &[&str],
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<Client> {
    let mut roots = RootCertStore::empty();
    trusted.iter().for_each(|certificate| roots.add(certificate.clone()).unwrap());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("as.test").unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    connection.complete_io(&mut socket)?;
    Ok(StreamOwned::new(connection, socket))
}

#[test]
fn ht_20_a_certificate_is_exchanged_without_dropping_a_connection() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let first = certify(directory.path());
    let tls = tls::load(path("cert.pem"), path("key.pem")).unwrap();
    let wire = Wire::with(service(), |builder| builder.tls(tls.config().unwrap()));
    let request = form(CC).basic(C1).to_wire();

    let mut old = connect(&wire, &first, &[]).unwrap();
    old.write_all(&request).unwrap();
    let answer = read_answers(&mut old, 1).remove(0);
    check_answer(&answer, Expected::Ok, "over TLS");
    assert_eq!(answer.header("Strict-Transport-Security"), Some("max-age=31536000"));

    let second = certify(directory.path());
    // Nothing is read before a reload.
    assert!(connect(&wire, &first, &[]).is_ok());
    tls.reload().unwrap();
    assert!(connect(&wire, &first, &[]).is_err());
    let mut new = connect(&wire, &second, &[]).unwrap();
    for client in [&mut old, &mut new] {
        client.write_all(&request).unwrap();
        check_answer(&read_answers(client, 1)[0], Expected::Ok, "after the exchange");
    }

    // Invalid files change nothing.
    std::fs::write(path("cert.pem"), "no certificate").unwrap();
    assert!(matches!(tls.reload(), Err(TlsFault::NoCertificate(_))));
    certify(directory.path());
    std::fs::write(path("key.pem"), rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(matches!(tls.reload(), Err(TlsFault::Unusable(_))));
    std::fs::remove_file(path("key.pem")).unwrap();
    assert!(matches!(tls.reload(), Err(TlsFault::Key { .. })));
    assert!(connect(&wire, &second, &[]).is_ok());
}

#[test]
fn ht_20_files_are_followed_and_what_does_not_match_is_reported_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let first = certify(directory.path());
    let tls = tls::load(path("cert.pem"), path("key.pem")).unwrap();
    let wire = Wire::with(service(), |builder| builder.tls(tls.config().unwrap()));
    let serves = |certificate: &CertificateDer<'static>| connect(&wire, certificate, &[]).is_ok();
    assert!(matches!(tls.follow(), Ok(false)) && serves(&first));
    let second = certify(directory.path());
    assert!(matches!(tls.follow(), Ok(true)) && serves(&second) && !serves(&first));
    assert!(matches!(tls.follow(), Ok(false)));

    // Between two writes nothing is reported; a pair that stays like this is, once.
    let read = |name: &str| std::fs::read(path(name)).unwrap();
    let good = ["cert.pem", "key.pem"].map(|name| (name, read(name)));
    std::fs::write(path("key.pem"), rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(matches!(tls.follow(), Ok(false)));
    assert_eq!(tls.refused(), None);
    assert!(matches!(tls.follow(), Err(TlsFault::Unusable(_))));
    assert!(matches!(tls.follow(), Ok(false)) && serves(&second));
    assert!(tls.refused().unwrap().contains("not usable"));
    std::fs::remove_file(path("cert.pem")).unwrap();
    assert!(matches!([tls.follow(), tls.follow()], [Ok(false), Err(TlsFault::Certificate { .. })]));
    // A reload reports it itself.
    std::fs::write(path("cert.pem"), "half a").unwrap();
    assert!(matches!(tls.reload(), Err(TlsFault::NoCertificate(_))));
    assert!(matches!([tls.follow(), tls.follow()], [Ok(false), Ok(false)]) && tls.refused().is_some());
    // The pair in use comes back.
    good.iter().for_each(|(name, content)| std::fs::write(path(name), content).unwrap());
    assert!(matches!(tls.follow(), Ok(false)) && serves(&second));
    assert_eq!(tls.refused(), None);

    assert!(tls.names("as.test") && !tls.names("other.test") && !tls.names("127.0.0.1") && !tls.names("a b"));
    let [own] = &*tls.certificates() else { panic!() };
    assert_eq!(
        (&*own.subject, own.not_after.to_string().as_str()),
        ("CN=rcgen self signed cert", "4096-01-01T00:00:00Z")
    );
}

#[test]
fn ht_20_clients_that_know_only_tls_1_2_or_only_1_3_are_served() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = [certify(directory.path())];
    let tls = tls::load(directory.path().join("cert.pem"), directory.path().join("key.pem")).unwrap();
    let wire = Wire::with(service(), |builder| builder.tls(tls.config().unwrap()));
    for (version, name) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let mut client = connect_by(wire.address, &certificate, &[], &[version]).unwrap();
        assert_eq!(client.conn.protocol_version(), Some(name));
        client.write_all(&form(CC).basic(C1).to_wire()).unwrap();
        check_answer(&read_answers(&mut client, 1)[0], Expected::Ok, "over TLS");
    }
}

#[test]
fn ht_20_openssl_is_served_from_tls_1_2_on_and_refused_before() {
    let directory = tempfile::tempdir().unwrap();
    certify(directory.path());
    let tls = tls::load(directory.path().join("cert.pem"), directory.path().join("key.pem")).unwrap();
    let wire = Wire::with(service(), |builder| builder.tls(tls.config().unwrap()));
    let address = wire.address.to_string();
    // Level 0, or OpenSSL itself would not offer what is refused.
    let shake_hands = |flags: &[&str]| {
        let all = ["s_client", "-connect", &address, "-servername", "as.test", "-cipher", "ALL:@SECLEVEL=0"];
        Command::new("openssl").args(all).args(flags).stdin(Stdio::null()).output()
    };
    for (flag, served) in [("-tls1_3", true), ("-tls1_2", true), ("-tls1_1", false), ("-tls1", false)] {
        let Ok(output) = shake_hands(&[flag]) else {
            println!("skipped: openssl is not installed");
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if said.contains("ption") && said.contains(&flag[1..]) {
            println!("skipped: this openssl has no {flag}");
            continue;
        }
        assert_eq!(output.status.success(), served, "{flag} {said}");
        assert!(served || said.contains("alert"), "refused by us: {flag} {said}");
    }
}

#[test]
fn ht_20_certificates_change_under_load_and_no_request_fails() {
    let [live, first, second] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let both = [certify(first.path()), certify(second.path())];
    let put = |from: &Path| {
        for name in ["cert.pem", "key.pem"] {
            std::fs::copy(from.join(name), live.path().join(name)).unwrap();
        }
    };
    put(first.path());
    let tls = tls::load(live.path().join("cert.pem"), live.path().join("key.pem")).unwrap();
    let wire = Wire::with(service(), |builder| builder.tls(tls.config().unwrap()));
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (address, request) = (wire.address, form(CC).basic(C1).to_wire());
    std::thread::scope(|scope| {
        for keeps_open in [true, false] {
            let (both, stop, answered, request) = (&both, &stop, &answered, &request);
            scope.spawn(move || {
                let new = || connect_by(address, both, &[], rustls::DEFAULT_VERSIONS).unwrap();
                let mut client = new();
                while !stop.load(Ordering::SeqCst) {
                    client.write_all(request).unwrap();
                    check_answer(&read_answers(&mut client, 1)[0], Expected::Ok, "while certificates change");
                    answered.fetch_add(1, Ordering::SeqCst);
                    if !keeps_open {
                        client = new();
                    }
                }
            });
        }
        for round in 0..20 {
            let before = answered.load(Ordering::SeqCst);
            let begun = std::time::Instant::now();
            while answered.load(Ordering::SeqCst) < before + 4 && begun.elapsed() < TIMEOUT {
                std::thread::yield_now();
            }
            put(if round % 2 == 0 { second.path() } else { first.path() });
            tls.reload().unwrap();
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert!(answered.load(Ordering::SeqCst) >= 80);
}

#[test]
fn ht_20_tls_1_1_is_refused_and_http_2_not_offered() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = certify(directory.path());
    let path = |name: &str| directory.path().join(name);
    let tls = tls::load(path("cert.pem"), path("key.pem")).unwrap();
    let wire = Wire::with(service(), |builder| builder.tls(tls.config().unwrap()));
    let client = connect(&wire, &certificate, &["h2", "http/1.1"]).unwrap();
    assert_eq!(client.conn.alpn_protocol(), Some(b"http/1.1".as_slice()));
    assert!(connect(&wire, &certificate, &["h2"]).is_err());
    for (minor, suite) in [(2_u8, 0xC02F_u16), (1, 0xC02F), (3, 0x0005), (3, 0x000A), (3, 0x0001)] {
        let alert = wire.until_closed(client_hello(minor, suite));
        // An alert, content type 21, level fatal; RFC 8446 §6.
        assert!(alert.len() >= 7 && alert[0] == 21 && alert[5] == 2, "{minor} {suite:04x}: {alert:02x?}");
    }
    let plain = wire.until_closed(ask("GET", "/openapi.json").to_wire());
    assert!(plain.is_empty() || plain[0] == 21, "HTTP is not spoken where TLS is");
}

/// A minimal `ClientHello` of TLS 1.0 and later, RFC 5246 §7.4.1.2, with one cipher suite.
fn client_hello(minor: u8, suite: u16) -> Vec<u8> {
    let [high, low] = suite.to_be_bytes();
    let mut hello = vec![3, minor];
    hello.extend_from_slice(&[7; 32]);
    hello.extend_from_slice(&[0, 0, 2, high, low, 1, 0]);
    let extensions: &[u8] = &[
        0, 10, 0, 4, 0, 2, 0, 23, // supported_groups: secp256r1
        0, 11, 0, 2, 1, 0, // ec_point_formats: uncompressed
        0, 13, 0, 4, 0, 2, 4, 3, // signature_algorithms: ecdsa_secp256r1_sha256
    ];
    hello.extend_from_slice(&u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend_from_slice(extensions);
    let length = |n: usize| u16::try_from(n).unwrap().to_be_bytes();
    let mut record = vec![22, 3, 1];
    record.extend_from_slice(&length(hello.len() + 4));
    record.extend_from_slice(&[1, 0]);
    record.extend_from_slice(&length(hello.len()));
    record.extend_from_slice(&hello);
    record
}

#[test]
fn ht_21_https_is_not_redirected_to() {
    let wire = Wire::of(service());
    let ask = form(CC).basic(C1).header("Upgrade-Insecure-Requests", "1");
    let answer = wire.ask(&ask);
    assert!(!(300..400).contains(&answer.status));
    let mut stream = wire.connect();
    stream.write_all(&client_hello(3, 0xC02F)).unwrap();
    let got = read_until_closed(&mut stream);
    assert!(parse(&got, &[]).iter().all(|answer| answer.status == 400));
}
