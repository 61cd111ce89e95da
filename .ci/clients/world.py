# SPDX-License-Identifier: Apache-2.0
"""What the clients talk to: a token server and a catalog on one store, the clients registered in it, and tees to watch."""

import json
import os
import queue
import re
import secrets
import shutil
import string
import subprocess
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import tools
from report import Failure
from talk import Talk
from wire import Tee

PATIENCE = 30  # seconds for a server to say where it listens


@dataclass(frozen=True)
class Client:
    id: str
    secret: str = field(repr=False)

    @property
    def credential(self):
        return f"{self.id}:{self.secret}"

    def mistyped(self):
        return Client(self.id, self.secret[::-1] + "x")


class World:
    def __init__(self, tokenberg, catalog, long=False):
        """`long`: whether cases that have a long form run in it."""
        self.tokenberg = tokenberg
        self._binary = {"tokenberg": tokenberg, "catalog": catalog}
        self.tokenberg, self.catalog_binary = tokenberg, catalog
        self.directory = Path(tempfile.mkdtemp(prefix="tokenberg-clients-"))
        self._store = f"sqlite:{self.directory / 't.db'}"
        self.long = long
        self._servers = []
        self._providers = ExitStack()
        self.logs = []
        self.seen = set()  # every secret that was submitted and every token that was minted
        self.tokens = set()  # tokens that were minted by the thousand
        self.token_server = self.catalog = None

    def __enter__(self):
        try:
            self.root = Client("root", "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(40)))
            self.token_server = self.serve("tokenberg", "serve")
            self.catalog = self.serve("catalog", "--issuer", self.token_server)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._providers.close()
        for server in self._servers:
            server.terminate()
        for server in self._servers:
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def serve(self, name, *arguments, store=None):
        """Starts a server on a free port and returns the URL that it prints once it is ready."""
        log = self.directory / f"{name}-{len(self._servers)}.log"
        self.logs.append(log)
        with open(log, "ab") as errors:
            server = subprocess.Popen(
                [self._binary[name], *arguments, "--store", store or self._store, "--listen", "127.0.0.1:0"],
                env={**self._environment(), "TOKENBERG_BOOTSTRAP_CREDENTIAL": self.root.credential},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=self.directory,
            )
        self._servers.append(server)
        lines = queue.Queue()
        threading.Thread(target=_copy_lines, args=(server.stdout, log, lines), daemon=True).start()
        while (line := _next(lines)) is not None:
            if listening := re.fullmatch(r"listening on (https?://127\.0\.0\.1:\d+)\s*", line):
                return listening[1]
        raise Failure(f"{name} ended, or did not say within {PATIENCE} s where it listens\n{self.log_tails()}")

    def add_client(self, id, *arguments, secret=None):
        if secret:
            file = self.directory / f"{id}.secret"
            file.write_text(secret + "\n")
            arguments = (*arguments, "--secret-file", file)
        added = self.administer("client", "add", id, *arguments)
        client = Client(id, secret or added.get("client_secret", ""))  # a client with a key has no secret
        self.seen |= {client.secret} - {""}
        return client

    def administer(self, *arguments):
        """What a `tokenberg` command on our store says in JSON."""
        return json.loads(self._administer(*arguments) or "null")

    def audit(self, since):
        """The records of the audit since that time, such as `2026-11-21T21:58:00Z`."""
        return [json.loads(line) for line in self._administer("audit", "--since", since).splitlines()]

    def _administer(self, *arguments):
        done = subprocess.run(
            [self._binary["tokenberg"], *arguments, "--store", self._store, "--json"],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=30,
        )
        if done.returncode:
            said = " ".join(done.stderr.split())
            raise Failure(f"{' '.join(map(str, arguments[:3]))} ended with {done.returncode}: {said}")
        return done.stdout

    def provider(self):
        """A foreign OpenID provider, which lives as long as this world; its address is `opened["issuer"]`."""
        log = self.directory / f"provider-{secrets.token_hex(4)}.stderr"
        return self._providers.enter_context(Talk(tools.node_command("provider"), {}, log))

    @contextmanager
    def watched(self, token_server=None):
        """New tees before both servers, for one case; what they saw stays in `seen`."""
        wire = Wire(token_server or self.token_server, self.catalog)
        try:
            yield wire
        finally:
            wire.close()
            self.seen |= wire.secrets()

    def talk(self, argv, settings):
        errors = self.directory / f"client-{secrets.token_hex(4)}.stderr"
        return Talk([str(word) for word in argv], settings, errors)

    def log_tails(self, lines=25):
        tails = []
        for log in self.logs:
            last = log.read_text(errors="replace").splitlines()[-lines:]
            tails += [f"--- the end of {log.name}", *last]
        return "\n".join(tails)

    def _environment(self):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TOKENBERG_")}
        # Talkative on purpose: what a debug log does not hold, no log holds.
        return {"RUST_LOG": "debug", **clean}


class Wire:
    """Both servers as one case sees them."""

    def __init__(self, token_server, catalog):
        self._tokens, self._catalog = Tee(token_server), Tee(catalog)
        self.token_url = self._tokens.url + "/v1/oauth/tokens"
        self.token_server = self._tokens.url
        self.catalog = self._catalog.url

    def calls(self):
        return sorted(self._tokens.calls() + self._catalog.calls(), key=lambda call: call.at)

    def token_calls(self):
        return [call for call in self.calls() if call.path.rstrip("/").endswith("/v1/oauth/tokens")]

    def minted(self):
        return [call.answer["access_token"] for call in self.token_calls() if call.status == 200]

    def quiet_for(self):
        """Seconds since the last byte passed between the clients and the token server."""
        return self._tokens.quiet_for()

    def ports(self):
        """The ports from which the token server was called, as it sees them."""
        return self._tokens.ports()

    def secrets(self):
        submitted = set(self.minted())
        for call in self.token_calls():
            submitted |= {call.credentials, *(call.form.get(name, "") for name in _SECRET_PARAMETERS)}
        return submitted - {""}

    def story(self):
        return "; ".join(str(call) for call in self.calls())

    def close(self):
        self._tokens.close()
        self._catalog.close()


_SECRET_PARAMETERS = ("client_secret", "subject_token", "actor_token", "client_assertion", "assertion", "token")


def _copy_lines(stream, log, lines):
    """Standard output is looked through for secrets like the log, so it goes to the same place."""
    for line in stream:
        with open(log, "a") as copy:
            copy.write(line)
        lines.put(line)
    lines.put(None)


def _next(lines):
    try:
        return lines.get(timeout=PATIENCE)
    except queue.Empty:
        return None
