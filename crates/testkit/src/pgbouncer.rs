//! Runs a real PgBouncer for tests, in front of a cluster.

use crate::free_port::free_port;
use crate::postgres::{POSTGRES_PASSWORD, Postgres, as_postgres, url_at};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A running PgBouncer. It is stopped and removed however the test program ends.
pub struct PgBouncer {
    port: u16,
    // Its standard input is a pipe from us: when this process or this value ends, it ends.
    _child: Child,
}

impl PgBouncer {
    /// A pooler in the mode `session` or `transaction` with this many connections to the server; `None`, and a line that says so,
    /// if the machine has no PgBouncer.
    pub fn before(postgres: &Postgres, mode: &str, connections: u32) -> Option<Self> {
        let programs = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];
        let Some(program) = programs.into_iter().find(|program| Path::new(program).exists()) else {
            println!("skipped: there is no pgbouncer");
            return None;
        };
        let port = free_port();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\npool_mode = {mode}\ndefault_pool_size = {connections}",
            postgres.port()
        );
        let user = format!("\"tokenberg\" \"{POSTGRES_PASSWORD}\"");
        let mut command = as_postgres();
        command.args(["-c", include_str!("pgbouncer.sh"), "pgbouncer.sh", program, &settings, &user]);
        command.env_remove("TMPDIR").stdin(Stdio::piped()).stderr(Stdio::null());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().ok()?;
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "PgBouncer does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { port, _child: child })
    }

    /// The URL of a database behind it, including the password.
    pub fn url(&self, database: &str) -> String {
        url_at(self.port, database)
    }
}
