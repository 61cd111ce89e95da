//! Runs the command and its servers. Each test has its own directory; processes are ended by their own id.

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A directory with a store in it, or one that will be created there.
pub struct Place(TempDir);

/// The output and exit code of a command.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {:?} {:?}", self.out, self.err))
    }

    /// Fails unless the command succeeded.
    pub fn done(self) -> Self {
        assert_eq!(self.code, 0, "{} {}", self.out, self.err);
        self
    }

    /// Fails unless the command was refused with one sentence.
    pub fn refused(self) -> Self {
        assert_eq!(self.code, 1, "{} {}", self.out, self.err);
        assert!(
            self.err.starts_with("error: ") && self.err.trim_end().lines().count() == 1,
            "{:?}",
            self.err
        );
        self
    }
}

impl Place {
    /// Changes the SQLite file without the knowledge of any server; `false`, with a note, if the machine has no sqlite3.
    pub fn sql(&self, statements: &str) -> bool {
        // A server may hold the file locked; on a busy machine that can take a while.
        let done = Command::new("sqlite3")
            .args(["-cmd", ".timeout 60000"])
            .arg(self.path("tokenberg.db"))
            .arg(statements)
            .output();
        match done {
            Ok(done) => {
                assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
                true
            }
            Err(error) => {
                println!("skipped: no sqlite3 here: {error}");
                false
            }
        }
    }

    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenberg"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(self.0.path());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, "", &[])
    }

    pub fn run_with(&self, arguments: &[&str], input: &str, variables: &[(&str, &str)]) -> Said {
        let mut child = self
            .command()
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The command may have refused without reading.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a command whose input, output and errors are a terminal, on which this is typed. `out` has all that it shows.
    pub fn on_terminal(&self, arguments: &[&str], typed: &str) -> Said {
        let (mut ours, theirs) = terminal();
        let end = || Stdio::from(theirs.try_clone().unwrap());
        let mut command = self.command();
        command.args(arguments).env("TERM", "dumb").stdin(end()).stdout(end()).stderr(end());
        let mut child = command.spawn().unwrap();
        drop((command, theirs));
        ours.write_all(typed.as_bytes()).unwrap();
        let mut shown = Vec::new();
        // Linux reports an error at the end of a terminal.
        let _ = ours.read_to_end(&mut shown);
        let code = child.wait().unwrap().code().unwrap_or(-1);
        Said { code, out: String::from_utf8(shown).unwrap().replace("\r\n", "\n"), err: String::new() }
    }

    /// Registers a client and returns its generated secret.
    pub fn add(&self, id: &str, more: &[&str]) -> String {
        let said = self.run(&[&["client", "add", id, "--json"], more].concat()).done();
        said.json()["client_secret"].as_str().unwrap().to_owned()
    }

    /// A server on a free port, ready; its first client is `root` with the secret `first-secret-of-root`.
    pub fn serve(&self, more: &[&str]) -> Server {
        self.serve_with(more, &[("TOKENBERG_BOOTSTRAP_CREDENTIAL", "root:first-secret-of-root")])
    }

    pub fn serve_with(&self, more: &[&str], variables: &[(&str, &str)]) -> Server {
        self.start(more, variables).unwrap_or_else(|said| panic!("did not start: {} {}", said.out, said.err))
    }

    /// A server that may fail to start; then its output.
    pub fn start(&self, more: &[&str], variables: &[(&str, &str)]) -> Result<Server, Said> {
        self.start_by(self.command(), more, variables)
    }

    /// The same for a command that becomes the server in the end.
    pub fn start_by(
        &self,
        mut command: Command,
        more: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Server, Said> {
        command
            .arg("serve")
            .args(if more.contains(&"--listen") { &[][..] } else { &["--listen", "127.0.0.1:0"] })
            .args(if decides_delay(more) { &[][..] } else { &["--drain-delay", "0s"] })
            .args(more)
            .envs(variables.iter().copied());
        self.started(command, Stdio::null())
    }

    /// Starts a server with a complete command.
    pub fn started(&self, mut command: Command, input: Stdio) -> Result<Server, Said> {
        let log = self.path(&format!("log-{}", fs::read_dir(self.0.path()).unwrap().count()));
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let (send, lines) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|line| send.send(line).ok())
        });
        match lines.recv_timeout(Duration::from_secs(30)) {
            Ok(line) => {
                let url = line.strip_prefix("listening on ").expect("the first line says where").to_owned();
                Ok(Server { child, lines, log, url })
            }
            Err(_) => {
                let code = child.wait().unwrap().code().unwrap_or(-1);
                Err(Said { code, out: String::new(), err: fs::read_to_string(log).unwrap() })
            }
        }
    }
}

/// Whether the arguments may contain how long the server drains. Otherwise tests do not wait for load balancers.
fn decides_delay(arguments: &[&str]) -> bool {
    arguments.iter().any(|argument| ["--config", "--drain-delay"].contains(argument))
}

/// A running server.
pub struct Server {
    child: Child,
    lines: mpsc::Receiver<String>,
    log: PathBuf,
    pub url: String,
}

impl Server {
    /// The next line of standard output.
    pub fn line(&self) -> Option<String> {
        self.lines.recv_timeout(Duration::from_millis(500)).ok()
    }

    /// All lines on standard output that have arrived and not been read yet.
    pub fn lines(&self) -> Vec<String> {
        std::iter::from_fn(|| self.line()).collect()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub fn endpoint(&self) -> String {
        format!("{}/v1/oauth/tokens", self.url)
    }

    pub fn address(&self) -> String {
        self.url.rsplit_once("//").unwrap().1.to_owned()
    }

    pub fn tokens(&self, form: &str) -> Answer {
        post(&self.endpoint(), None, form)
    }

    /// Requests a token with the credential in the form.
    pub fn ask(&self, id: &str, secret: &str) -> Answer {
        self.tokens(&format!("grant_type=client_credentials&client_id={id}&client_secret={secret}"))
    }

    /// Exchanges the token for a fresh one, with itself as the credential.
    pub fn renew(&self, token: &str) -> Answer {
        let form = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={token}\
             &subject_token_type=urn:ietf:params:oauth:token-type:access_token"
        );
        post(&self.endpoint(), Some(&format!("Bearer {token}")), &form)
    }

    /// Limits every file of the server to so many bytes; `unlimited` removes the limit. `false`, with a message, if the machine
    /// does not support that.
    pub fn limit_files(&self, bytes: &str) -> bool {
        let limit = format!("--fsize={bytes}:unlimited");
        let done = Command::new("prlimit").args(["--pid", &self.id().to_string(), &limit]).status();
        let is_done = done.is_ok_and(|status| status.success());
        if !is_done {
            println!("skipped: there is no prlimit to take the room from a server");
        }
        is_done
    }

    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status();
        assert!(done.unwrap().success());
    }

    pub fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(40) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server does not end: {}", self.log());
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer of a server.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<String>,
    pub body: Value,
}

impl Answer {
    pub fn token(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.body["access_token"].as_str().unwrap().to_owned()
    }

    pub fn code(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None);
    config.timeout_global(Some(Duration::from_secs(30))).build().new_agent()
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> Answer {
    let text = answer.body_mut().read_to_string().unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    let retry_after = answer.headers().get("Retry-After").map(|value| value.to_str().unwrap().to_owned());
    Answer { status: answer.status().as_u16(), retry_after, body }
}

pub fn post(url: &str, authorization: Option<&str>, form: &str) -> Answer {
    let mut request = agent().post(url).header("Content-Type", "application/x-www-form-urlencoded");
    if let Some(value) = authorization {
        request = request.header("Authorization", value);
    }
    read(request.send(form).unwrap())
}

pub fn get(url: &str) -> Answer {
    read(agent().get(url).call().unwrap())
}

/// A terminal: our end, and the end of a program.
pub fn terminal() -> (File, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let path = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let theirs = OpenOptions::new().read(true).write(true).open(path).unwrap();
    (ours.into(), theirs.into())
}

/// Waits until the condition holds. A running server follows within a second; a busy test machine is given a minute.
pub fn within_a_second(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Every file below the directory, as bytes.
pub fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let mut bytes = Vec::new();
            fs::File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
            found.push((path, bytes));
        }
    }
    found
}

/// Makes a named pipe.
pub fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}
