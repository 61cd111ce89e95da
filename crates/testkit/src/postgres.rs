//! Runs a real PostgreSQL for tests, in its own folder and on its own port.

use crate::free_port::free_port;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The password of the user `tokenberg`. Tests search for leaks of it.
pub const POSTGRES_PASSWORD: &str = "hush-hush-9Qz";

/// A running cluster. It is stopped and removed however the test program ends.
pub struct Postgres {
    port: u16,
    certificate: String,
    talk: Mutex<Talk>,
    databases: AtomicU32,
}

struct Talk {
    // Its standard input is a pipe from us: when this process ends, it ends.
    _child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Postgres {
    /// The cluster that the tests of this program share; `None`, and a line that says so, if the machine has no PostgreSQL.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        let shared = SHARED.get_or_init(Self::start).as_ref();
        if shared.is_none() {
            println!("skipped: there is no PostgreSQL below /usr/lib/postgresql, or no user who may run it");
        }
        shared
    }

    /// A separate cluster, for a test that stops it; `None`, and a line that says so, if the machine has no PostgreSQL.
    pub fn separate() -> Option<Self> {
        let started = Self::start();
        if started.is_none() {
            println!("skipped: there is no PostgreSQL below /usr/lib/postgresql, or no user who may run it");
        }
        started
    }

    /// A separate cluster, for a test that stops it.
    pub fn start() -> Option<Self> {
        Self::run_by(as_postgres())
    }

    /// A separate cluster for which this empty folder is a disk of a few megabytes, on which tablespaces may be made; `None`, and a
    /// line that says so, if this process may mount nothing.
    pub fn with_disk(folder: &Path, megabytes: u32) -> Option<Self> {
        let mount = format!(
            "mount -t tmpfs -o size={megabytes}m,mode=0700 none \"$0\" && chown postgres \"$0\" && exec \"$@\""
        );
        // The disk is gone with the last process that sees it.
        let mounted = || {
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh", "-c", &mount]).arg(folder);
            command
        };
        if !mounted().arg("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            println!("skipped: no disk can be mounted here");
            return None;
        }
        let user = as_postgres();
        let mut command = mounted();
        command.arg(user.get_program()).args(user.get_args());
        Self::run_by(command)
    }

    /// `command` is a shell that may run PostgreSQL.
    fn run_by(mut command: Command) -> Option<Self> {
        let (programs, clients) = (programs()?, newest()?);
        let port = free_port();
        command.args(["-c", include_str!("postgres.sh"), "postgres.sh"]);
        command.arg(&programs).arg(port.to_string()).arg(POSTGRES_PASSWORD).arg(&clients);
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = certified.cert.pem();
        command.env("CERTIFICATE", &certificate).env("PRIVATE_KEY", certified.signing_key.serialize_pem());
        command.env_remove("TMPDIR").stdin(Stdio::piped()).stdout(Stdio::piped());
        // Signals for the test program must not reach the database.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().ok()?;
        let (commands, answers) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        let mut talk = Talk { _child: child, commands, answers };
        talk.wait();
        Some(Self { port, certificate, talk: Mutex::new(talk), databases: AtomicU32::new(0) })
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of the server, which is for `localhost`.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A new database; returns its name.
    pub fn database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.control(&format!("create {name}"));
        name
    }

    /// The URL of a database, including the password.
    pub fn url(&self, database: &str) -> String {
        url_at(self.port, database)
    }

    /// Ends the server: `fast`, or `immediate` as in a crash.
    pub fn stop(&self, mode: &str) {
        self.control(&format!("stop {mode}"));
    }

    /// Starts the server again, on the same port and with the committed data.
    pub fn start_again(&self) {
        self.control("start");
    }

    /// Freezes the server and all of its processes: locks stay held, and nothing answers.
    pub fn freeze(&self) {
        self.control("STOP");
    }

    /// Resumes it.
    pub fn thaw(&self) {
        self.control("CONT");
    }

    /// Starts a standby with the present state, which receives no change from now on. Returns its port. The primary restarts.
    pub fn standby(&self) -> u16 {
        let port = free_port();
        self.control(&format!("standby {port}"));
        port
    }

    /// Starts a standby that receives every change from the server at this port, which leads to the primary, under the name
    /// `standby`. Returns its port. The primary restarts.
    pub fn replica(&self, from: u16) -> u16 {
        let port = free_port();
        self.control(&format!("standby {port} {from}"));
        port
    }

    /// Makes the standby a primary, on a new timeline. The old primary still runs.
    pub fn promote(&self) {
        self.control("promote");
    }

    fn control(&self, command: &str) {
        let mut talk = self.talk.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(talk.commands, "{command}").unwrap();
        talk.wait();
    }
}

/// The URL of a database that is reached through another port, such as that of a [`Wire`](crate::Wire).
pub fn url_at(port: u16, database: &str) -> String {
    format!("postgres://tokenberg:{POSTGRES_PASSWORD}@127.0.0.1:{port}/{database}")
}

impl Talk {
    fn wait(&mut self) {
        let mut output = String::new();
        loop {
            let before = output.len();
            let length = self.answers.read_line(&mut output).unwrap();
            if output[before..].trim_end() == "done" {
                return;
            }
            assert!(length > 0 && output[before..].trim_end() != "failed", "PostgreSQL: {output}");
        }
    }
}

/// A shell, as the user `postgres` if we are root: PostgreSQL and PgBouncer refuse to be run by root.
pub(crate) fn as_postgres() -> Command {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|about| {
        use std::os::unix::fs::MetadataExt;
        about.uid() == 0
    });
    if !is_root {
        return Command::new("sh");
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh"]);
    command
}

/// A program of PostgreSQL, such as `pg_dump`, if the machine has it. `psql` may be of another version than the server.
pub fn postgres_program(name: &str) -> Option<PathBuf> {
    let program = programs()?.join(name);
    if program.exists() {
        return Some(program);
    }
    let other = newest()?.join(name);
    (name == "psql" && other.exists()).then_some(other)
}

/// The version of PostgreSQL that tests use, such as `PostgreSQL 15.13`.
pub fn postgres_version() -> Option<String> {
    let said = Command::new(programs()?.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(said.stdout).ok()?;
    // `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)`
    Some(format!("PostgreSQL {}", text.split_whitespace().nth(2)?))
}

/// The folder that `TOKENBERG_TEST_POSTGRES` names, or that of the newest PostgreSQL of the machine.
fn programs() -> Option<PathBuf> {
    match std::env::var_os("TOKENBERG_TEST_POSTGRES") {
        Some(folder) => {
            let folder = PathBuf::from(folder);
            assert!(folder.join("initdb").exists(), "TOKENBERG_TEST_POSTGRES has no initdb");
            Some(folder)
        }
        None => newest(),
    }
}

/// The newest PostgreSQL of the machine.
fn newest() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let numbered = versions.filter_map(|entry| {
        let path = entry.ok()?.path();
        let number: u32 = path.file_name()?.to_str()?.parse().ok()?;
        Path::new(&path).join("bin/initdb").exists().then(|| (number, path.join("bin")))
    });
    numbered.max().map(|(_, path)| path)
}
