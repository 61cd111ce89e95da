//! Many connections that consume resources and send nothing: HT-05, HT-10 and HT-20 against the real server.

use crate::support::{Place, Server, get};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest time that a test waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// The limit for the growth of the server's memory by any such flood, in KiB.
const ROOM: usize = 32 * 1024;

const FORM: &str = "grant_type=client_credentials&client_id=root&client_secret=first-secret-of-root";

/// A connection from this address, with the smallest receive buffer that the system allows.
fn connect(source: &str, address: SocketAddr) -> std::io::Result<TcpStream> {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    }
    let connecting = async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(1024)?;
        socket.bind(SocketAddr::new(source.parse().unwrap(), 0))?;
        socket.connect(address).await?.into_std()
    };
    let stream = RUNTIME.with(|runtime| runtime.block_on(connecting))?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Speaks TLS, trusting the certificate of the place.
struct Tls(Arc<ClientConfig>);

impl Tls {
    fn of(place: &Place) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        place.file("key.pem", &made.signing_key.serialize_pem());
        place.file("cert.pem", &made.cert.pem());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Self(Arc::new(config.unwrap().with_root_certificates(roots).with_no_client_auth()))
    }

    fn over(&self, mut stream: TcpStream) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut connection = ClientConnection::new(Arc::clone(&self.0), name).unwrap();
        connection.complete_io(&mut stream)?;
        Ok(StreamOwned::new(connection, stream))
    }
}

/// Requests a token on a connection; returns the status.
fn token_on(mut stream: impl Read + Write) -> std::io::Result<String> {
    write!(
        stream,
        "POST /v1/oauth/tokens HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{FORM}",
        FORM.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap_or_default().to_owned())
}

fn resident(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn descriptors(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap().count()
}

fn operations(server: &Server) -> String {
    server.line().unwrap().strip_prefix("operations on ").unwrap().to_owned()
}

/// The value of a series.
fn figure(operations: &str, series: &str) -> f64 {
    let figures = get(&format!("{operations}/metrics")).body.as_str().unwrap().to_owned();
    let line = figures.lines().find_map(|line| line.strip_prefix(&format!("{series} ")));
    line.unwrap_or_else(|| panic!("no {series} in {figures}")).parse().unwrap()
}

/// The command under these limits of file descriptors.
fn limited(place: &Place, soft: u32, hard: u32) -> Command {
    let mut command = place.command();
    let program = command.get_program().to_owned();
    let script = format!("ulimit -S -n {soft} && ulimit -H -n {hard} && exec \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, "sh"]).arg(program).env_clear();
    for (name, value) in command.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        shell.env(name, value);
    }
    shell.current_dir(command.current_dir(place.path("")).get_current_dir().unwrap());
    shell
}

const BOOTSTRAP: [(&str, &str); 1] = [("TOKENBERG_BOOTSTRAP_CREDENTIAL", "root:first-secret-of-root")];

/// 128 KiB of each kind of request that can be sent without reading the answer.
fn floods() -> Vec<Vec<u8>> {
    const HALF: usize = 64 * 1024;
    let form = |lines: &str, body: &str| {
        format!(
            "POST /v1/oauth/tokens HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             {lines}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let chunked = format!(
        "POST /v1/oauth/introspect HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{FORM}\r\n0\r\n\r\n",
        FORM.len()
    );
    let large = form("", &"a".repeat(HALF - 1));
    let mut floods: Vec<Vec<u8>> = [
        "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /.well-known/jwks.json HTTP/1.1\r\nHost:\r\n\r\n",
        "GET /.well-known/oauth-authorization-server HTTP/1.1\nHost:\n\n",
        "HEAD /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nHost:\r\n\r\n",
        "GET /openapi.json HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "OPTIONS /v1/oauth/tokens HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        &form("", FORM),
        &form("Expect: 100-continue\r\n", FORM),
        &chunked,
        &large,
    ]
    .iter()
    .map(|unit| unit.repeat(2 * HALF / unit.len() + 1).into_bytes())
    .collect();
    // Parts of a request that is never complete.
    floods.push(large.as_bytes()[..large.len() - 1].to_vec());
    floods.push(format!("GET / HTTP/1.1\r\nHost: x\r\nx: {}", "y".repeat(2 * HALF)).into_bytes());
    floods.push("\r\n".repeat(HALF).into_bytes());
    floods
}

/// Sends until the server accepts no more bytes.
fn send(stream: &mut impl Write, bytes: &[u8]) {
    let mut rest = bytes;
    while let [_, ..] = rest {
        match stream.write(rest) {
            Ok(n) => rest = &rest[n..],
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn ht_05_ht_10_a_client_that_reads_no_response_fills_no_memory() {
    let place = Place::new();
    let tls = Tls::of(&place);
    let floods = floods();
    for (name, with) in [
        ("plain", vec![]),
        ("TLS", vec!["--tls-cert", "cert.pem", "--tls-key", "key.pem"]),
        ("operations", vec![]),
    ] {
        let server = place.serve(&[&with[..], &["--ops-listen", "127.0.0.1:0"]].concat());
        let operations = operations(&server).strip_prefix("http://").unwrap().parse().unwrap();
        let address: SocketAddr = server.address().parse().unwrap();
        let target = if name == "operations" { operations } else { address };
        let honest = || {
            let stream = connect("127.0.0.1", address).unwrap();
            if name == "TLS" { token_on(tls.over(stream).unwrap()) } else { token_on(stream) }.unwrap()
        };
        (0..20).for_each(|_| assert_eq!(honest(), "200"));
        let before = resident(&server);
        let check = |count: usize| {
            let grown = resident(&server).saturating_sub(before);
            assert!(grown < ROOM, "{name}: {grown} KiB more by {count} connections");
        };
        let mut held: Vec<Box<dyn Write>> = Vec::new();
        for (count, flood) in floods.iter().cycle().take(200).enumerate() {
            let stream = connect(&format!("127.0.0.{}", 2 + count % 7), target).unwrap();
            // A short timeout, so that a connection that the server stops reading costs the test little.
            stream.set_write_timeout(Some(Duration::from_millis(30))).unwrap();
            let mut stream: Box<dyn Write> = if name == "TLS" {
                match tls.over(stream) {
                    Ok(stream) => Box::new(stream),
                    // The server took longer to answer than the test waits to write.
                    Err(_) => continue,
                }
            } else {
                Box::new(stream)
            };
            send(&mut stream, flood);
            held.push(stream);
            check(count + 1);
        }
        for _ in 0..10 {
            assert_eq!(honest(), "200", "{name}");
            check(200);
        }
        drop(held);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn ht_10_ht_20_silent_connections_delay_no_tls_client() {
    let place = Place::new();
    let tls = Tls::of(&place);
    // With 400 descriptors there are places for 232 connections, for 116 handshakes, and for 29 of a source.
    // Where sources are known, one has 38 connections.
    for (limits, silent_at_once, more) in [
        (None, 700, &[][..]),
        (Some((400, 400)), 150, &[]),
        (Some((400, 400)), 150, &["--trusted-proxy", "192.0.2.1"]),
    ] {
        let tls_files = ["--tls-cert", "cert.pem", "--tls-key", "key.pem"];
        let with = [&tls_files[..], &["--ops-listen", "127.0.0.1:0", "--workers", "1"], more].concat();
        let command = limits.map_or_else(|| place.command(), |(soft, hard)| limited(&place, soft, hard));
        let server = place.start_by(command, &with, &BOOTSTRAP).unwrap_or_else(|said| panic!("{}", said.err));
        let operations = operations(&server);
        let address: SocketAddr = server.address().parse().unwrap();
        let are_counted = |most| {
            let under_way = figure(&operations, "tokenberg_tls_handshakes");
            under_way >= most && figure(&operations, "tokenberg_connections") >= most
        };
        // More than the share of a source, or than actix would have in total.
        let most = limits.map_or(512.0, |_| 29.0);
        let (begun, mut served, mut failed) = (Instant::now(), 0, Vec::new());
        let mut silent = Vec::new();
        while served < 10 {
            assert!(begun.elapsed() < PATIENCE, "{served} served beside a flood, {failed:?}");
            let flood = |count| (0..count).map(|_| connect("127.0.0.2", address).unwrap());
            silent = flood(silent_at_once).collect();
            let is_flooded = are_counted(most);
            for source in ["127.0.0.2", "127.0.0.3"] {
                let stream = connect(source, address).unwrap();
                // Other connections are accepted between its connection and its handshake, but no more than a share.
                silent.extend(flood(10));
                match tls.over(stream).and_then(token_on) {
                    Ok(status) => {
                        assert_eq!(status, "200", "from {source}");
                        served += u32::from(is_flooded && are_counted(most));
                    }
                    // The test took longer than the 3 s that a handshake may take.
                    Err(fault) => failed.push((source, fault)),
                }
            }
            assert!(failed.len() < 5, "{failed:?}");
        }
        drop(silent);
        if limits.is_some() {
            assert_eq!(figure(&operations, "tokenberg_tls_handshakes_limit"), 116.0);
            assert!(figure(&operations, "tokenberg_tls_handshakes_total{outcome=\"displaced\"}") > 0.0);
            assert_eq!(figure(&operations, "tokenberg_connections_refused_total"), 0.0);
        }
    }
}

/// A connection that has been used once and is kept open.
fn kept(address: SocketAddr) -> TcpStream {
    let mut stream = connect("127.0.0.1", address).unwrap();
    write!(stream, "HEAD /.well-known/jwks.json HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    stream
}

#[cfg(target_os = "linux")]
#[test]
fn ht_10_few_descriptors_are_enough_for_any_number_of_idle_connections() {
    let place = Place::new();
    let with = ["--ops-listen", "127.0.0.1:0", "--workers", "2"];
    let server = place.start_by(limited(&place, 1024, 1024), &with, &BOOTSTRAP);
    let server = server.unwrap_or_else(|said| panic!("{}", said.err));
    let operations = operations(&server);
    let address = server.address().parse().unwrap();
    let before = descriptors(&server);
    let mut crowd: Vec<TcpStream> = (0..600).map(|_| kept(address)).collect();
    let took = descriptors(&server) - before;
    assert!((600..650).contains(&took), "one for each, not {took}");
    assert_eq!(server.ask("root", "first-secret-of-root").status, 200);
    // As many again: those that have been idle for longest make room.
    for number in 0..800 {
        crowd.push(kept(address));
        if crowd.len() > 700 {
            crowd.remove(0);
        }
        if number % 100 == 0 {
            assert_eq!(server.ask("root", "first-secret-of-root").status, 200);
        }
    }
    let (places, open) =
        (figure(&operations, "tokenberg_connections_limit"), figure(&operations, "process_open_fds"));
    assert_eq!((places, figure(&operations, "process_max_fds")), (848.0, 1024.0));
    assert!(open < 1000.0, "{open} are open");
    assert!(!server.log().contains("Too many open files"), "{}", server.log());
    // Dropped here, so that the client keeps all of them until now.
    drop(crowd);
    let crowd: Vec<TcpStream> = (0..1000).map(|_| kept(address)).collect();
    assert!(figure(&operations, "tokenberg_connections_ended_total{reason=\"crowded\"}") > 100.0);
    assert_eq!(server.ask("root", "first-secret-of-root").status, 200);
    drop(crowd);
}

#[cfg(target_os = "linux")]
#[test]
fn ht_10_the_limit_of_descriptors_is_raised_and_reported() {
    let place = Place::new();
    let start = |soft, hard| {
        let with = ["--ops-listen", "127.0.0.1:0", "--workers", "2"];
        let server = place.start_by(limited(&place, soft, hard), &with, &BOOTSTRAP);
        server.unwrap_or_else(|said| panic!("{}", said.err))
    };
    let check = |soft, hard| {
        let said = limited(&place, soft, hard).args(["check", "--json", "--workers", "2"]).output().unwrap();
        let value: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
        let finding = |f: &&serde_json::Value| f["about"] == "descriptors";
        value["findings"].as_array().unwrap().iter().find(finding).unwrap().clone()
    };
    for (soft, hard, state, text) in [
        (256, 4096, "ok", "4096 file descriptors, for 3920 connections at a time"),
        (
            256,
            1024,
            "note",
            "1024 file descriptors, for 848 connections at a time; to allow more, raise the hard limit",
        ),
    ] {
        let server = start(soft, hard);
        let operations = operations(&server);
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        let (now, most) = (hard.to_string(), hard.to_string());
        assert_eq!(line.split_whitespace().take(2).collect::<Vec<_>>(), [&now, &most]);
        assert!(server.log().contains(text), "{}", server.log());
        assert_eq!(figure(&operations, "process_max_fds"), f64::from(hard));
        let finding = check(soft, hard);
        assert_eq!(finding["state"], state);
        assert!(finding["text"].as_str().unwrap().starts_with(text), "{finding}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn ab_02_the_memory_of_argon2_is_returned_to_the_system() {
    let place = Place::new();
    let generated = place.add("etl", &[]);
    let server = place.serve(&["--workers", "1"]);
    (0..20).for_each(|_| assert_eq!(server.ask("etl", &generated).status, 200));
    let before = resident(&server);
    for secret in ["wrong", "wrong-as-well", "wrong-again"] {
        assert_eq!(server.ask("root", secret).status, 401, "{secret}");
    }
    // Each computation takes 19 MiB.
    let kept = resident(&server).saturating_sub(before);
    assert!(kept < 12 * 1024, "{kept} KiB");
}
