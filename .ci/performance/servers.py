# SPDX-License-Identifier: Apache-2.0
"""The servers that are compared, each pinned to one core, and what is asked of them."""

import base64
import contextlib
import copy
import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARY = TARGET / "dist" / "tokenberg"
BENCH = TARGET / "dist" / "tokenberg-bench"
BENCH_AWS_LC = TARGET / "dist" / "tokenberg-bench-aws-lc"
PEERS = TARGET / "peers"
SERVER_CORE, LOAD_CORE = "0", "1"
SECRET = "measured-secret-0123456789-abcdefghijklmnop"  # of the peers


def pinned(core, command, **options):
    return subprocess.Popen(["taskset", "-c", core, *map(str, command)], **options)


def run(command, **options):
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        said = done.stderr.strip() or done.stdout.strip() or f"it ended with {done.returncode}"
        name = " ".join(map(str, command[:2])).replace(f"{ROOT}/", "")
        raise RuntimeError(f"{name}: {said[:600]}")
    return done.stdout


def build():
    # The same with signatures by aws-lc-rs, put aside before it is built as usual.
    run(["cargo", "build", "--profile", "dist", "--locked", "-p", "tokenberg-bench", "--features", "aws-lc"], cwd=ROOT)
    shutil.copy2(BENCH, BENCH_AWS_LC)
    run(["cargo", "build", "--profile", "dist", "--locked", "-p", "tokenberg-cli", "-p", "tokenberg-bench"], cwd=ROOT)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A process that was started, and how it is asked."""

    # How many seconds a start may take.
    patience = 60
    # More options of its load.
    connections = ()

    def __init__(self, name, folder):
        self.name, self.folder = name, Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process, self.url, self.ca = None, None, None
        self.cores = SERVER_CORE
        self.secret_file = self.folder / "secret"
        self.secret_file.write_text(SECRET)
        self.client, self.scope = "measured", "catalog"

    def view(self, **changes):
        """The same process, asked in another way."""
        other = copy.copy(self)
        vars(other).update(changes)
        return other

    def start(self):
        """Starts it, waits for its first token, and returns how many seconds that took."""
        began = time.perf_counter()
        self.launch()
        while True:
            try:
                status, answer = self.token()
                if status == 200:
                    return time.perf_counter() - began
                raise RuntimeError(f"{self.name}: {status} {answer[:300]}")
            except OSError:
                if self.process.poll() is not None or time.perf_counter() - began > self.patience:
                    raise RuntimeError(f"{self.name} does not start; see {self.folder}") from None
                time.sleep(0.002)

    def token(self):
        secure, rest = self.url.startswith("https"), self.url.split("://")[1]
        authority, path = rest.split("/", 1)
        context = ssl.create_default_context(cafile=self.ca) if secure else None
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(authority, timeout=10, **({"context": context} if secure else {}))
        credentials = base64.b64encode(f"{self.client}:{self.secret_file.read_text()}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"}
        scope = f"&scope={self.scope}" if self.scope else ""
        connection.request("POST", f"/{path}", f"grant_type=client_credentials{scope}", headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body

    def pids(self):
        """The process and its children."""
        found, pid = [], self.process.pid
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(status.parent.name))
        return [pid, *found]

    def load(self, *options, seconds, sheds=False):
        """Puts load on it; it may answer 503 only if `sheds`."""
        command = ["taskset", "-c", LOAD_CORE, BENCH, "load", self.url, "--json", "--seconds", seconds]
        command += ["--awake", "--client", self.client, "--secret-file", self.secret_file, "--scope", self.scope]
        command += [*self.connections, *options]
        for pid in self.pids():
            command += ["--pid", pid]
        if self.ca:
            command += ["--ca", self.ca]
        answer = json.loads(run(command))
        if answer["failed"] or ("first_failure" in answer and not sheds):
            raise RuntimeError(f"{self.name}: {answer['failed']} failed and {answer['shed']} were shed, the first with {answer['first_failure']}")
        # To the nanosecond, unless threads have ended meanwhile; ticks are hundredths of a second.
        exact, ticks = answer["scheduled_us_per_request"], answer["cpu_us_per_request"]
        if exact and (ticks - exact) * answer["answered"] < 20_000:
            answer["cpu_us_per_request"] = exact
        return answer

    def stop(self):
        if self.process and self.process.poll() is None:
            pids = self.pids()
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                self.process.wait()

    def output(self):
        return open(self.folder / "output", "wb")


class Tokenberg(Server):
    def __init__(self, name, folder, alg="ES256", tls=False, log=None, binary=BINARY):
        super().__init__(name, folder)
        self.binary = binary
        self.alg, self.tls, self.log = alg, tls, log
        self.port = free_port()
        self.origin = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.url = f"{self.origin}/v1/oauth/tokens"
        self.user_secret_file = self.folder / "user-secret"
        self.store = f"sqlite:{self.folder / 'tokenberg.db'}"

    def prepare(self):
        """A store with one key of the algorithm, a client that may act for everybody, and a user."""
        if self.tls:
            self.ca = make_certificate(self.folder)
        self.launch(first=True)
        while b"listening on" not in (self.folder / "output").read_bytes():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} does not start")
            time.sleep(0.01)
        self.stop()
        if self.alg in ("RS256", "PS256"):
            key = self.folder / "rsa.pem"
            make_key(self.alg, key)
            self.command("key", "import", key, "--alg", self.alg, "--now")
        # Generated secrets: one that a person chose costs Argon2id, and its 19 MiB, at the first request.
        for client, rights, file in (
            (self.client, ["--may-act-for", f"{self.origin}|*"], self.secret_file),
            ("user", [], self.user_secret_file),
        ):
            answer = json.loads(self.command("client", "add", client, "--json", *rights))
            file.write_text(answer["client_secret"])

    def command(self, *arguments):
        return run([self.binary, *arguments, "--store", self.store])

    def launch(self, first=False):
        command = [self.binary, "serve", "--store", self.store, "--listen", f"127.0.0.1:{self.port}"]
        if first and self.alg not in ("RS256", "PS256"):
            command += ["--alg", self.alg]
        if self.tls:
            command += ["--tls-cert", self.folder / "cert.pem", "--tls-key", self.folder / "key.pem"]
        if self.log:
            command += ["--log", self.log]
        self.process = pinned(self.cores, command, stdout=self.output(), stderr=subprocess.DEVNULL)

    def exchange(self, grant, subjects, seconds, *more):
        """Subjects of another issuer, more than the cache holds, or one."""
        options = ["--grant", grant, "--subject", "user", "--subject-secret-file", self.user_secret_file]
        return self.load(*options, *more, "--subjects", subjects, seconds=seconds)

    def fill(self, clients, revocations=0, used_ids=0):
        """Copies the user's registration; the digests are of no secret. What was revoked and used is remembered for a day more."""
        database = sqlite3.connect(self.folder / "tokenberg.db")
        columns = [row[1] for row in database.execute("PRAGMA table_info(clients)") if row[1] != "id"]
        of_secret = [row[1] for row in database.execute("PRAGMA table_info(client_secrets)")]
        copied = [{"client_id": "'client-' || n", "digest": "randomblob(32)"}.get(c, c) for c in of_secret]

        def numbers(count):
            return f"WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count - 1})"

        until = int(time.time()) + 86_400
        token_id = "substr(hex(randomblob(11)), 1, 22)"  # As long as ours.
        with database:
            database.execute(
                f"INSERT INTO clients (id, {', '.join(columns)}) {numbers(clients)} "
                f"SELECT 'client-' || n, {', '.join(columns)} FROM numbers, clients WHERE id = 'user'"
            )
            database.execute(
                f"INSERT INTO client_secrets ({', '.join(of_secret)}) {numbers(clients)} "
                f"SELECT {', '.join(copied)} FROM numbers, client_secrets WHERE client_id = 'user'"
            )
            database.execute("UPDATE revisions SET number = number + 1 WHERE part IN ('clients', 'revoked_ids')")
            # Half tokens, half sessions, as a revocation by HTTP writes both.
            if revocations:
                database.execute(
                    f"INSERT INTO revoked_ids (kind, id, until, revision) {numbers(revocations)} SELECT CASE n % 2 WHEN 0 THEN 'token' "
                    f"ELSE 'session' END, {token_id}, {until}, number FROM numbers, revisions WHERE part = 'revoked_ids'"
                )
            if used_ids:
                database.execute(
                    f"INSERT INTO used_ids (namespace, id, until) {numbers(used_ids)} "
                    f"SELECT 'dpop ' || n % 1000, {token_id}, {until} FROM numbers"
                )
        database.close()


class Ceiling(Server):
    def __init__(self, name, folder, tls=False):
        super().__init__(name, folder)
        self.tls = tls
        if tls:
            self.ca = make_certificate(self.folder)

    def launch(self):
        self.port = free_port()
        self.url = f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/"
        command = [BENCH, "ceiling", "--listen", f"127.0.0.1:{self.port}"]
        if self.tls:
            command += ["--tls-cert", self.folder / "cert.pem", "--tls-key", self.folder / "key.pem"]
        self.process = pinned(SERVER_CORE, command, stdout=self.output())


def make_key(alg, file):
    kind = ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"] if alg == "ES256" else ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    run(["openssl", "genpkey", "-algorithm", *kind, "-out", file])
    file.chmod(0o600)


def make_certificate(folder):
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    extensions = ["-subj", "/CN=measured", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    run([*command, "-keyout", key, "-out", certificate, *extensions])
    key.chmod(0o600)
    return certificate
