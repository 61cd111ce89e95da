# SPDX-License-Identifier: Apache-2.0
"""The snippets of README.md and docs/engines, taken from the pages as they are, but for addresses and secrets."""

import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import engines
import tools
from report import Failure, expect
from talk import client_environment

from .examples import place_duckdb_extensions
from .expectations import opens_and_lists

PYICEBERG, DUCKDB = "docs/engines/pyiceberg.md", "docs/engines/duckdb.md"
KUBERNETES, FROM_POLARIS = "docs/kubernetes.md", "docs/catalogs/polaris-migration.md"
SPARK, CLICKHOUSE = "docs/engines/spark.md", "docs/engines/clickhouse.md"
GO, RUST = "docs/engines/iceberg-go.md", "docs/engines/iceberg-rust.md"
JAVA = {  # how the name of a property in the page leads to the one of Iceberg's Java library
    "docs/engines/spark.md": r"^spark\.sql\.catalog\.lake\.(\S+)\s+(.+)$",
    "docs/engines/flink.md": r"^ *'([^']+)' = '([^']+)'",
    "docs/engines/kafka-connect.md": r"^iceberg\.catalog\.([^=]+)=(.+)$",
    "docs/engines/trino.md": r"^iceberg\.rest-catalog\.([^=]+)=(.+)$",
}
OF_TRINO = {"oauth2.server-uri": "oauth2-server-uri", "oauth2.credential": "credential", "oauth2.scope": "scope"}
JAVA_VERSION = tools.JAVA_VERSIONS[0]
_CLIENTS = {}  # by world and page


def snippets(page, *words):
    """The text of each fenced block of the page with these words after its fence."""
    text = (tools.ROOT / page).read_text()
    return [body for fence, body in re.findall(r"^```([^\n]+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) if fence.split() == list(words)]


class Page:
    """A page, and the client that it registers first, in the store of the matrix and by another name, which no other case has."""

    def __init__(self, world, page):
        self._page = page
        lines = "\n".join(snippets(page, "sh")).splitlines()
        _, _, _, self._name, *options = shlex.split(next(line for line in lines if line.startswith("tokenberg client add ")))
        if (world, page) not in _CLIENTS:
            _CLIENTS[world, page] = world.add_client(f"page-{self._name}", *options)
            time.sleep(1)  # what running servers are promised to follow within
        self.client = _CLIENTS[world, page]

    def matrix(self, language, wire):
        """The snippets in that language, for the servers of this run and with the secret."""
        found = snippets(self._page, language, "matrix")
        expect(found, f"{self._page} has no snippet in {language}")
        return [self._filled(text, wire) for text in found]

    def _filled(self, text, wire):
        for of_page, of_run in (
            ("https://tokens.example/v1/oauth/tokens", wire.token_url), ("https://tokens.example", wire.token_server),
            ("https://catalog.example", wire.catalog),
        ):
            text = text.replace(of_page, of_run)
        text = re.sub(rf"""(CLIENT_ID |"client_id": )(["']){self._name}\2""", rf"\1\2{self.client.id}\2", text)
        text = text.replace(f"{self._name}:SECRET", self.client.credential)
        return re.sub(r"""(?<=['"])SECRET(?=['"])""", self.client.secret, text)


def _run(world, wire, argv, text="", **environment):
    done = subprocess.run(
        list(map(str, argv)), input=text, env=client_environment(HOME=str(world.directory), **environment), capture_output=True,
        text=True, timeout=300, cwd=world.directory,
    )
    expect(done.returncode == 0, f"it ended with {done.returncode}: {done.stderr.strip()[-900:]}; {wire.story()}")
    expect([call.status for call in wire.token_calls()][:1] == [200], f"it requested no token: {wire.story()}")
    return done.stdout


def _lists(world, page, language, argv, says="demo", **environment):
    """Each snippet in that language lists the catalog's namespaces."""
    of_page = Page(world, page)
    with world.watched() as wire:
        for text in of_page.matrix(language, wire):
            given = argv(text) if callable(argv) else argv
            said = _run(world, wire, given, text, **environment, TOKENBERG_CLIENT_ID=of_page.client.id,
                        TOKENBERG_CLIENT_SECRET=of_page.client.secret)
            expect(says in said, f"it printed {said[-300:]!r}; {wire.story()}")


class Python:
    missing = staticmethod(tools.python_missing)

    @staticmethod
    def cases(world, clients):
        yield "page_readme", lambda: Readme(world).follow()
        yield "page_pyiceberg", lambda: _lists(
            world, PYICEBERG, "python", lambda text: [tools.PYTHON, "-c", text],
            PATH=f"{world.tokenberg.parent}:{os.environ['PATH']}")
        yield "page_duckdb", lambda: _duckdb(world)
        yield "page_kubernetes", lambda: _kubernetes(world)
        yield "page_polaris_migration", lambda: _from_polaris(world)


def _kubernetes(world):
    """The job's program, in `tokenberg exec` as in the manifest, but with a secret: a cluster's token is tried by cargo test."""
    client = world.add_client("page-kubernetes")
    time.sleep(1)  # what running servers are promised to follow within
    program = snippets(KUBERNETES, "python", "matrix")[0]
    with world.watched() as wire:
        said = _run(
            world, wire,
            [world.tokenberg, "exec", "--no-cache", "--server", wire.token_server, "--env", "PYICEBERG_CATALOG__LAKE__TOKEN", "--",
             tools.PYTHON, "-c", program.replace("https://catalog.example", wire.catalog)],
            TOKENBERG_CLIENT_ID=client.id, TOKENBERG_CLIENT_SECRET=client.secret)
        expect("demo" in said, f"it printed {said[-300:]!r}; {wire.story()}")


def _from_polaris(world):
    """PyIceberg with an address and a credential only, through the proxy of the page; the catalog is in the place of Polaris."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    expect(nginx, "there is no nginx here")
    # As Polaris makes them.
    client = world.add_client(secrets.token_hex(8), "--audience", world.token_server, secret=secrets.token_hex(16))
    time.sleep(1)  # what running servers are promised to follow within
    proxy = f"127.0.0.1:{_free_port()}"
    with world.watched() as wire:
        text = snippets(FROM_POLARIS, "nginx", "matrix")[0].replace("/api/catalog/v1/oauth", "/v1/oauth")
        for of_page, of_run in (
            ("http://127.0.0.1:8183", wire.token_server), ("http://127.0.0.1:8181", wire.catalog), ("127.0.0.1:8080", proxy),
        ):
            text = text.replace(of_page, of_run)
        place = Path(tempfile.mkdtemp(dir=world.directory))
        paths = "".join(f"{name}_temp_path {place / name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (place / "nginx.conf").write_text(
            f"daemon off;\nerror_log stderr;\npid {place / 'pid'};\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{text}}}\n")
        running = subprocess.Popen([nginx, "-c", place / "nginx.conf"], stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 30
            while socket.socket().connect_ex(("127.0.0.1", int(proxy.partition(":")[2]))):
                expect(time.monotonic() < end and running.poll() is None, "nginx does not listen")
                time.sleep(0.1)
            settings = {"type": "rest", "uri": f"http://{proxy}", "credential": client.credential, "scope": "PRINCIPAL_ROLE:ALL"}
            program = f"from pyiceberg.catalog import load_catalog; print(load_catalog('lake', **{settings!r}).list_namespaces())"
            said = _run(world, wire, [tools.PYTHON, "-"], program)
            expect("demo" in said, f"it printed {said[-300:]!r}; {wire.story()}")
        finally:
            running.terminate()
            running.wait(timeout=30)


def _duckdb(world):
    place_duckdb_extensions(world.directory)
    _lists(world, DUCKDB, "sql", [tools.PYTHON, tools.HERE / "programs" / "run_duckdb.py"])


class Java:
    """Spark, Flink, Trino and Kafka Connect hand these properties to Iceberg's Java library, which is what runs here."""

    @staticmethod
    def missing():
        return tools.java_missing(JAVA_VERSION)

    @staticmethod
    def cases(world, clients):
        for page, pattern in JAVA.items():
            yield f"page_{Path(page).stem}_java_{JAVA_VERSION}", lambda page=page, pattern=pattern: _java(world, page, pattern)


def _java(world, page, pattern):
    of_page = Page(world, page)
    with world.watched() as wire:
        text = of_page.matrix("sql" if "flink" in page else "properties", wire)[0]
        settings = {OF_TRINO.get(name, name): value for name, value in re.findall(pattern, text, re.MULTILINE)}
        expect({"uri", "oauth2-server-uri", "credential"} <= settings.keys(), f"the properties are {sorted(settings)}")
        with world.talk(tools.java_command(JAVA_VERSION), settings) as talk:
            opens_and_lists(talk, wire)


class Engine:
    """An engine that only the long form fetches."""

    MAY_BE_SKIPPED = True

    def __init__(self, place, name, case):
        self._place, self._name, self._case = place, name, case

    def missing(self):
        return engines.missing(self._place)

    def cases(self, world, clients):
        yield self._name, lambda: self._case(world)


def _spark(world):
    jar = next((engines.SPARK / "jars").glob("*.jar"))
    program = [engines.SPARK / "bin" / "python", tools.HERE / "programs" / "run_spark.py", jar]
    _lists(world, SPARK, "properties", program, SPARK_LOCAL_IP="127.0.0.1")


def _chdb(world):
    # The catalog has no tables: that they can be listed is what the statement shows.
    _lists(world, CLICKHOUSE, "sql", [engines.CHDB / "bin" / "python", tools.HERE / "programs" / "run_chdb.py"], says="")


FAMILIES = (
    Python, Java,
    Engine(engines.SPARK, f"page_spark_{engines.SPARK_VERSION}", _spark),
    Engine(engines.CHDB, f"page_clickhouse_chdb_{engines.CHDB_VERSION}", _chdb),
    Engine(engines.GO, f"page_iceberg_go_{engines.GO_VERSION}", lambda world: _lists(world, GO, "go", engines.run_go)),
    Engine(engines.RUST, f"page_iceberg_rust_{engines.RUST_VERSION}", lambda world: _lists(world, RUST, "rust", engines.run_rust)),
)


class Readme:
    """README.md from top to bottom, in a directory of its own; `cargo` is one that has built everything already."""

    PAGE = "README.md"

    def __init__(self, world):
        self._world = world
        self._ports = {name: _free_port() for name in ("8183", "8181")}
        self._servers = []
        self._secrets = {}

    def follow(self):
        self._directory = Path(tempfile.mkdtemp(dir=self._world.directory))
        self._shims()
        done = 0
        try:
            text = (tools.ROOT / self.PAGE).read_text()
            for fence, body in re.findall(r"^```([^\n]+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
                step = {"sh server": self._serve, "sh": self._shell, "sh matrix": self._shell, "python matrix": self._python}.get(fence)
                if step:
                    step(self._filled(body))
                    done += 1
        finally:
            for server in self._servers:
                os.killpg(server.pid, signal.SIGTERM)
                server.wait(timeout=30)
            shutil.rmtree(self._directory)
        expect(done >= 6, f"only {done} steps were found in {self.PAGE}")

    def _shims(self):
        bin = self._directory / "bin"
        bin.mkdir()
        fetches = '''case "$1 $2" in 'issuer add' | 'issuer change') set -- "$@" --no-fetch ;; esac'''
        for name, script in (
            ("tokenberg", f'{fetches}\nexec {shlex.quote(str(self._world.tokenberg))} "$@"'),
            ("cargo", 'case "$1" in install) exit 0 ;; esac\nwhile [ "$1" != -- ]; do shift; done\nshift\n'
                      f'exec {shlex.quote(str(self._world.catalog_binary))} "$@" --listen 127.0.0.1:{self._ports["8181"]}'),
        ):
            (bin / name).write_text(f"#!/bin/sh\n{script}\n")
            (bin / name).chmod(0o755)
        self._environment = client_environment(
            HOME=str(self._directory), PATH=f"{bin}:{os.environ['PATH']}", TOKENBERG_LISTEN=f"127.0.0.1:{self._ports['8183']}")

    def _filled(self, text):
        for of_page, of_run in self._ports.items():
            text = text.replace(f"127.0.0.1:{of_page}", f"127.0.0.1:{of_run}")
        for name, secret in self._secrets.items():
            text = text.replace(f"{name}:SECRET", f"{name}:{secret}").replace("=SECRET", f"={secret}")
        return text

    def _serve(self, text):
        log = self._directory / f"server-{len(self._servers)}.log"
        with open(log, "wb") as output:
            self._servers.append(subprocess.Popen(
                ["sh", "-euc", text], env=self._environment, cwd=self._directory, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True))
        end = time.monotonic() + 30
        while "listening on " not in log.read_text() or (len(self._servers) == 1 and "curl " not in log.read_text()):
            expect(time.monotonic() < end and self._servers[-1].poll() is None, f"it does not serve: {log.read_text()[-600:]}")
            time.sleep(0.1)
        if pasted := re.search(r"^\s*(curl .*(?:\\\n.*)*)$", log.read_text(), re.MULTILINE):
            expect("access_token" in self._shell(pasted[1]), "the command that it prints requests no token")

    def _shell(self, text):
        said = self._call(["sh", "-euc", text])
        if added := re.search(r"^client secret +(\S+)", said, re.MULTILINE):
            self._secrets[re.search(r"client add (\S+)", text)[1]] = added[1]
            self._world.seen.add(added[1])
            time.sleep(1)  # what running servers are promised to follow within
        return said

    def _python(self, text):
        said = self._call([str(tools.PYTHON), "-c", text])
        expect("[('demo',)]" in said, f"it printed {said!r}")

    def _call(self, argv):
        done = subprocess.run(argv, env=self._environment, cwd=self._directory, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise Failure(f"{argv[-1]!r} ended with {done.returncode}: {done.stderr.strip()[-600:]}")
        return done.stdout


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
