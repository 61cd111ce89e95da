//! The site of a fault: a store of either kind, and the command and servers on it.

use crate::support::{Place, Said, Server};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokenberg_testkit::{ForeignKey, Postgres};

pub const ISSUER: &str = "http://localhost";
pub const ROOT: (&str, &str) = ("root", "first-secret-of-root");
const BOOTSTRAP: &str = "root:first-secret-of-root";
const SERVE: [&str; 8] = [
    "--issuer",
    ISSUER,
    "--failures-per-client",
    "1000000",
    "--failures-per-source",
    "1000000",
    "--workers",
    "2",
];

pub struct Site {
    pub place: Place,
    store: String,
    key_file: String,
    /// The key of the client `signer`.
    key: ForeignKey,
    /// How far the clock of the server is ahead of ours.
    pub ahead: AtomicU64,
}

impl Site {
    /// A site with a client `root`, which has a secret, and `signer`, whose assertions may be used once each.
    pub fn on(store: Option<String>) -> Self {
        Self::made_by(env!("CARGO_BIN_EXE_tokenberg").as_ref(), store)
    }

    /// The same with a store that another build has made.
    pub fn made_by(binary: &Path, store: Option<String>) -> Self {
        let place = Place::new();
        let store = store.unwrap_or_else(|| format!("sqlite:{}", place.path("tokenberg.db").display()));
        let key_file = place.path("tokenberg.db.key").display().to_string();
        let site =
            Self { place, store, key_file, key: ForeignKey::new(Some("own")), ahead: AtomicU64::new(0) };
        drop(site.serve_by(binary, &[], &[]));
        site.place.file("signer.json", &site.key.jwks());
        let method = ["--auth-method", "private_key_jwt", "--jwks", "signer.json"];
        let mut add = site.command_of(binary);
        let added =
            add.args(["client", "add", "signer"]).args(method).envs(site.variables()).output().unwrap();
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        site
    }

    pub fn on_postgres(postgres: &Postgres) -> Self {
        Self::on(Some(postgres.url(&postgres.database())))
    }

    pub fn variables(&self) -> [(&str, &str); 3] {
        [
            ("TOKENBERG_STORE", &self.store),
            ("TOKENBERG_KEY_FILE", &self.key_file),
            ("TOKENBERG_BOOTSTRAP_CREDENTIAL", BOOTSTRAP),
        ]
    }

    pub fn serve(&self) -> Server {
        self.serve_with(&[], &[])
    }

    /// A server that ignores SIGXFSZ: a write beyond the limit of a file returns an error, as on a full disk.
    pub fn serve_where_files_may_not_grow(&self) -> Server {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_tokenberg")]);
        command.current_dir(self.place.path(""));
        let started = self.place.start_by(command, &SERVE, &self.variables());
        started.unwrap_or_else(|said| panic!("did not start: {}", said.err))
    }

    pub fn serve_with(&self, more: &[&str], variables: &[(&str, &str)]) -> Server {
        self.start_with(more, variables)
            .unwrap_or_else(|said| panic!("did not start: {} {}", said.out, said.err))
    }

    pub fn start_with(&self, more: &[&str], variables: &[(&str, &str)]) -> Result<Server, Said> {
        self.start_by(env!("CARGO_BIN_EXE_tokenberg").as_ref(), more, variables)
    }

    /// A server of another build.
    pub fn serve_by(&self, binary: &Path, more: &[&str], variables: &[(&str, &str)]) -> Server {
        let started = self.start_by(binary, more, variables);
        started.unwrap_or_else(|said| panic!("did not start: {} {}", said.out, said.err))
    }

    fn start_by(&self, binary: &Path, more: &[&str], variables: &[(&str, &str)]) -> Result<Server, Said> {
        // An option may be given once.
        let usual = SERVE.chunks(2).filter(|pair| !more.contains(&pair[0])).flatten().copied();
        let arguments: Vec<&str> = usual.chain(more.iter().copied()).collect();
        let variables = [&self.variables()[..], variables].concat();
        self.place.start_by(self.command_of(binary), &arguments, &variables)
    }

    fn command_of(&self, binary: &Path) -> Command {
        let mut command = Command::new(binary);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.current_dir(self.place.path(""));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, &[])
    }

    pub fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Said {
        self.place.run_with(arguments, "", &[&self.variables()[..], variables].concat())
    }

    /// Runs the command and kills it after a while; returns its output, if it ended before.
    pub fn run_and_kill(&self, arguments: &[&str], after: Duration) -> Option<Value> {
        let mut child = self
            .place
            .command()
            .args(arguments)
            .arg("--json")
            .envs(self.variables())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(after);
        // The process may have ended.
        let _ = child.kill();
        let output = child.wait_with_output().unwrap();
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    /// A request of the client `signer`; each `id` may be used once.
    pub fn assertion(&self, id: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let now = now + self.ahead.load(Ordering::Relaxed);
        let claims =
            json!({"iss": "signer", "sub": "signer", "aud": ISSUER, "iat": now, "exp": now + 290, "jti": id});
        let assertion = self.key.sign(&claims);
        format!(
            "grant_type=client_credentials&client_assertion={assertion}\
             &client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        )
    }

    /// Asserts that the store is intact, as far as commands and its own check can determine.
    pub fn assert_whole(&self) {
        let keys = self.run(&["key", "list", "--json"]).done().json();
        let signing = keys.as_array().unwrap().iter().filter(|key| key["state"] == "signing").count();
        assert_eq!(signing, 1, "{keys}");
        self.run(&["client", "list", "--json"]).done();
        self.run(&["audit", "verify"]).done();
        if let Some(path) = self.store.strip_prefix("sqlite:") {
            match Command::new("sqlite3")
                .args(["-cmd", ".timeout 60000", path, "PRAGMA integrity_check"])
                .output()
            {
                Ok(said) => assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "ok"),
                Err(_) => println!("skipped: there is no sqlite3 to look at the file with"),
            }
        }
    }
}
