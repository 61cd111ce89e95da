//! Runs a real PgBouncer for tests, in front of a cluster.

use crate::free_port::free_port;
use crate::postgres::{POSTGRES_PASSWORD, as_postgres, url_at};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running PgBouncer. It is stopped and removed however the test program ends.
pub struct PgBouncer {
    port: u16,
    certificate: String,
    // Its standard input is a pipe from us: when this process or this value ends, it ends.
    _child: Child,
}

impl PgBouncer {
    /// A pooler in the mode `session` or `transaction` with this many connections to the server at this port, which are encrypted;
    /// `None`, and a line that says so, if the machine has no PgBouncer. Clients may encrypt theirs.
    pub fn before(server: u16, mode: &str, connections: u32) -> Option<Self> {
        let program = program()?;
        let port = free_port();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\npool_mode = {mode}\ndefault_pool_size = {connections}\n\
             client_tls_sslmode = allow\nserver_tls_sslmode = require\nserver_login_retry = 1"
        );
        let user = format!("\"tokenberg\" \"{POSTGRES_PASSWORD}\"");
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = certified.cert.pem();
        let mut command = as_postgres();
        command.args(["-c", include_str!("pgbouncer.sh"), "pgbouncer.sh"]);
        command.arg(&program).args([&settings, &user]);
        command.env("CERTIFICATE", &certificate).env("PRIVATE_KEY", certified.signing_key.serialize_pem());
        command.env_remove("TMPDIR").stdin(Stdio::piped()).stderr(Stdio::null());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().ok()?;
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "PgBouncer does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { port, certificate, _child: child })
    }

    /// The URL of a database behind it, including the password.
    pub fn url(&self, database: &str) -> String {
        url_at(self.port, database)
    }

    /// Its certificate, which is for `localhost`.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The version that tests use, such as `PgBouncer 1.18.0`.
    pub fn version() -> Option<String> {
        let said = Command::new(program()?).arg("--version").output().ok()?;
        Some(String::from_utf8(said.stdout).ok()?.lines().next()?.to_owned())
    }
}

/// The program that `TOKENBERG_TEST_PGBOUNCER` names, or that of the machine.
fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("TOKENBERG_TEST_PGBOUNCER") {
        assert!(Path::new(&named).exists(), "TOKENBERG_TEST_PGBOUNCER names no file");
        return Some(named.into());
    }
    let found =
        ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| Path::new(path).exists());
    if found.is_none() {
        println!("skipped: there is no pgbouncer");
    }
    found.map(PathBuf::from)
}
