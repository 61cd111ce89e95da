# SPDX-License-Identifier: Apache-2.0
"""The servers that Tokenberg is compared with: how each is fetched and configured, and why one cannot be had on this machine."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
import zipfile

from servers import HERE, PEERS, SECRET, SERVER_CORE, Server, free_port, make_certificate, make_key, pinned, run

OIDC_PROVIDER, AUTHLIB, FLASK, GUNICORN = "9.13.3", "1.9.10", "3.1.3", "27.0.1"
KEYCLOAK, OLDEST_JAVA = "26.7.3", 17
HYDRA = "v2.3.0"
# Which Hydra itself is built with: only the main module's replacements count.
POP = "github.com/gobuffalo/pop/v6=github.com/ory/pop/v6@v6.2.1-0.20241121111754-e5dfc0f3344b"


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise RuntimeError(f"`{tool}` is not installed")


class Peer(Server):
    """A server by others. What `install` raises is why it is skipped."""

    tls = False

    @classmethod
    def install(cls):
        """Fetches what is not there yet into target/peers, and returns the version."""
        raise NotImplementedError

    def prepare(self):
        if self.tls:
            self.ca = make_certificate(self.folder)

    def origin(self, secure):
        return f"http{'s' if secure else ''}://127.0.0.1:{self.port}"

    def log(self):
        return open(self.folder / "log", "ab")


class OidcProvider(Peer):
    title = "oidc-provider"

    @classmethod
    def install(cls):
        need("node", "npm")
        PEERS.mkdir(parents=True, exist_ok=True)
        if not (PEERS / "node_modules" / "oidc-provider").is_dir():
            run(["npm", "install", "--no-fund", "--no-audit", f"oidc-provider@{OIDC_PROVIDER}"], cwd=PEERS)
        return f"{OIDC_PROVIDER}, node {run(['node', '--version']).strip().lstrip('v')}"

    def __init__(self, name, folder, alg, tls=False):
        super().__init__(name, folder)
        self.alg, self.tls, self.port = alg, tls, free_port()
        self.url = f"{self.origin(tls)}/token"

    def launch(self):
        shutil.copy(HERE / "peers" / "oidc_provider.mjs", PEERS)
        files = [self.folder / "cert.pem", self.folder / "key.pem"] if self.tls else []
        command = ["node", "oidc_provider.mjs", self.port, self.alg, self.client, SECRET, *files]
        self.process = pinned(SERVER_CORE, command, cwd=PEERS, stdout=self.output(), stderr=subprocess.DEVNULL)


class Authlib(Peer):
    title = "Authlib"
    # A thread of gunicorn's serves one connection for as long as that is open.
    connections = ("--connections", "4")

    @classmethod
    def install(cls):
        need("python3")
        python = PEERS / "venv" / "bin" / "python"
        if not python.exists():
            run(["python3", "-m", "venv", PEERS / "venv"])
            packages = [f"authlib=={AUTHLIB}", f"flask=={FLASK}", f"gunicorn=={GUNICORN}"]
            run([python, "-m", "pip", "install", "--quiet", *packages])
        return f"{AUTHLIB} on Flask and gunicorn, {run([python, '--version']).strip()}"

    def __init__(self, name, folder, alg, tls=False):
        super().__init__(name, folder)
        self.alg, self.tls, self.port = alg, tls, free_port()
        self.url = f"{self.origin(tls)}/token"

    def launch(self):
        shutil.copy(HERE / "peers" / "authlib_server.py", PEERS)
        environment = {**os.environ, "ALG": self.alg, "CLIENT_ID": self.client, "CLIENT_SECRET": SECRET}
        command = [PEERS / "venv" / "bin" / "gunicorn", "--log-level", "error", "-b", f"127.0.0.1:{self.port}"]
        if self.tls:
            command += ["--certfile", self.folder / "cert.pem", "--keyfile", self.folder / "key.pem"]
        command += ["-k", "gthread", "--threads", "4", "-w", "1", "--keep-alive", "60", "authlib_server:app"]
        self.process = pinned(SERVER_CORE, command, cwd=PEERS, env=environment, stderr=self.output())


class Keycloak(Peer):
    """One process for all cases: two realms, and HTTP beside HTTPS. Its database is H2 in a file."""

    title = "Keycloak"
    patience = 240
    # The compiler of the JVM needs some ten thousand requests.
    warm_up = 15.0
    home = PEERS / f"keycloak-{KEYCLOAK}"

    @classmethod
    def install(cls):
        need("java", "mvn")
        version = subprocess.run(["java", "-version"], stderr=subprocess.PIPE, text=True).stderr
        java = re.search(r'version "([\d.]+)', version)
        if not java or int(java[1].split(".")[0]) < OLDEST_JAVA:
            raise RuntimeError(f"Keycloak {KEYCLOAK} needs Java {OLDEST_JAVA} or newer, and `java` is {java[1] if java else 'unknown'}")
        PEERS.mkdir(parents=True, exist_ok=True)
        if not (cls.home / "bin" / "kc.sh").exists():
            artifact = f"org.keycloak:keycloak-quarkus-dist:{KEYCLOAK}:zip"
            run(["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={PEERS}"], cwd=PEERS)
            archive = PEERS / f"keycloak-quarkus-dist-{KEYCLOAK}.zip"
            with zipfile.ZipFile(archive) as files:
                files.extractall(PEERS)
            archive.unlink()
        if not (cls.home / "built").exists():
            run(["sh", cls.home / "bin" / "kc.sh", "build", "--db=dev-file"])
            (cls.home / "built").touch()
        return f"{KEYCLOAK}, Java {java[1]}"

    def __init__(self, name, folder):
        super().__init__(name, folder)
        self.port, self.secure_port, self.management_port = free_port(), free_port(), free_port()
        self.client = "es256"
        self.url = self.endpoint("lean")

    def endpoint(self, realm, tls=False):
        port = self.secure_port if tls else self.port
        return f"http{'s' if tls else ''}://127.0.0.1:{port}/realms/{realm}/protocol/openid-connect/token"

    def lean(self, alg="ES256", tls=False):
        """A client without scopes by default and without mappers."""
        return self.view(url=self.endpoint("lean", tls), client=alg.lower(), ca=self.certificate if tls else None)

    def usual(self, alg="ES256"):
        """A client with the scopes and mappers that a new realm gives it."""
        return self.view(url=self.endpoint("usual"), client=alg.lower(), scope="")

    def prepare(self):
        self.certificate = make_certificate(self.folder)
        realms = self.folder / "realms"
        realms.mkdir()
        for realm in (lean_realm(), usual_realm()):
            (realms / f"{realm['realm']}-realm.json").write_text(json.dumps(realm))
        run([*self.command("import"), f"--dir={realms}"])

    def command(self, what):
        # Keycloak's own URL has this property, too: one of its tables has a column named VALUE.
        url = f"jdbc:h2:file:{self.folder}/db;NON_KEYWORDS=VALUE"
        return ["env", f"KC_DB_URL={url}", "sh", self.home / "bin" / "kc.sh", what, "--optimized"]

    def launch(self):
        command = [*self.command("start"), "--cache=local", "--log-level=error", "--hostname-strict=false", "--http-enabled=true"]
        command += ["--http-host=127.0.0.1", f"--http-port={self.port}", f"--https-port={self.secure_port}"]
        command += [f"--http-management-port={self.management_port}", f"--https-certificate-file={self.folder / 'cert.pem'}"]
        command += [f"--https-certificate-key-file={self.folder / 'key.pem'}"]
        self.process = pinned(SERVER_CORE, command, stdout=self.output(), stderr=self.log())

    def exchange(self, subjects, seconds):
        """The standard exchange: tokens of another client, which name this one in their audience."""
        options = ["--grant", "exchange", "--subject", "user", "--subject-secret-file", self.secret_file]
        return self.lean().load(*options, "--subjects", subjects, seconds=seconds)

    def warm(self):
        for ask in (self.lean().load, self.usual().load, self.lean("RS256").load):
            ask("--warm-up", self.warm_up, seconds=0.2)
        self.lean(tls=True).load("--new-connections", "--tls-clients", "0", "--warm-up", self.warm_up / 2, seconds=0.2)
        self.exchange(50, self.warm_up / 2)


def keycloak_client(name, alg, **more):
    return {
        "clientId": name, "secret": SECRET, "clientAuthenticatorType": "client-secret", "serviceAccountsEnabled": True,
        "standardFlowEnabled": False, "attributes": {"access.token.signed.response.alg": alg, "standard.token.exchange.enabled": "true"}, **more,
    }


def keycloak_realm(name, clients, **more):
    keys = {
        "ecdsa-generated": {"ecdsaEllipticCurveKey": ["P-256"]},
        "rsa-generated": {"keySize": ["2048"]},
        "hmac-generated": {"algorithm": ["HS512"]},
        "aes-generated": {},
    }
    providers = [{"name": kind, "providerId": kind, "config": {"priority": ["100"], **config}} for kind, config in keys.items()]
    return {
        "realm": name, "enabled": True, "sslRequired": "none", "accessTokenLifespan": 3600,
        "components": {"org.keycloak.keys.KeyProvider": providers}, "clients": clients, **more,
    }


def lean_realm():
    bare = {"fullScopeAllowed": False, "defaultClientScopes": [], "optionalClientScopes": ["catalog"]}
    audience = {
        "name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
        "config": {"included.client.audience": "es256", "access.token.claim": "true"},
    }
    clients = [keycloak_client(alg.lower(), alg, protocolMappers=[], **bare) for alg in ("ES256", "RS256")]
    clients.append(keycloak_client("user", "ES256", protocolMappers=[audience], **bare))
    scope = {"name": "catalog", "protocol": "openid-connect", "attributes": {"include.in.token.scope": "true"}}
    return keycloak_realm("lean", clients, clientScopes=[scope])


def usual_realm():
    return keycloak_realm("usual", [keycloak_client(alg.lower(), alg) for alg in ("ES256", "RS256")])


class Hydra(Peer):
    """With JWT access tokens. Its database is a SQLite file that is never synced; the secret's hash is the cheapest that it has."""

    title = "Hydra"
    binary = PEERS / "hydra"

    @classmethod
    def install(cls):
        need("go", "cc")
        module = PEERS / "hydra-module"
        if not cls.binary.exists():
            module.mkdir(parents=True, exist_ok=True)
            (module / "go.mod").write_text("module peers\n\ngo 1.24\n")
            run(["go", "mod", "edit", f"-replace={POP}"], cwd=module)
            run(["go", "get", "-tool", f"github.com/ory/hydra/v2@{HYDRA}"], cwd=module)
            tags = "sqlite,sqlite_omit_load_extension"
            run(["go", "build", "-tags", tags, "-o", cls.binary, "github.com/ory/hydra/v2"], cwd=module)
        return f"{HYDRA.lstrip('v')}, {run(['go', 'version', cls.binary]).split()[-1]}"

    def __init__(self, name, folder, alg, tls=False):
        super().__init__(name, folder)
        self.alg, self.tls, self.port, self.admin_port = alg, tls, free_port(), free_port()
        self.url = f"{self.origin(tls)}/oauth2/token"

    def prepare(self):
        super().prepare()
        public = {"host": "127.0.0.1", "port": self.port}
        if self.tls:
            public["tls"] = {"enabled": True, "cert": {"path": str(self.folder / "cert.pem")}, "key": {"path": str(self.folder / "key.pem")}}
        self.config = self.folder / "hydra.json"
        self.config.write_text(json.dumps({
            "dsn": f"sqlite://{self.folder}/hydra.db?_fk=true&mode=rwc&_journal_mode=WAL&_synchronous=OFF",
            "serve": {"public": public, "admin": {"host": "127.0.0.1", "port": self.admin_port}},
            "urls": {"self": {"issuer": f"{self.origin(self.tls)}/"}},
            "secrets": {"system": ["the-system-secret-of-a-measurement"]},
            "strategies": {"access_token": "jwt", "jwt": {"scope_claim": "string"}},
            "oauth2": {"hashers": {"algorithm": "pbkdf2", "pbkdf2": {"iterations": 1}}},
            "log": {"level": "error"},
            "sqa": {"opt_out": True},
        }))
        run([self.binary, "migrate", "sql", "-e", "--yes", "-c", self.config])
        self.launch()
        # Its own RSA keys have 4,096 bits; those of all others here have 2,048.
        keys, file = "hydra.jwt.access-token", self.folder / "signing.pem"
        make_key(self.alg, file)
        self.administer("DELETE", f"/keys/{keys}")
        run([self.binary, "import", "jwk", keys, file, "--alg", self.alg, "--use", "sig", "-e", f"http://127.0.0.1:{self.admin_port}"])
        client = {"client_id": self.client, "client_secret": SECRET, "grant_types": ["client_credentials"], "scope": "catalog"}
        self.administer("POST", "/clients", {**client, "response_types": [], "token_endpoint_auth_method": "client_secret_basic"})
        self.stop()

    def administer(self, method, path, body=None):
        url = f"http://127.0.0.1:{self.admin_port}/admin{path}"
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        for _ in range(600):
            try:
                return urllib.request.urlopen(request, timeout=10).read()
            except ConnectionError as refused:
                fault = refused
            except urllib.error.HTTPError as refused:
                raise RuntimeError(f"Hydra's {path}: {refused.code} {refused.read()[:300]}") from None
            except urllib.error.URLError as refused:
                fault = refused
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} does not start: {fault}")

    def launch(self):
        command = [self.binary, "serve", "all", "--dev", "-c", self.config]
        self.process = pinned(SERVER_CORE, command, stdout=self.output(), stderr=self.log())


TITLES = tuple(kind.title for kind in (OidcProvider, Authlib, Keycloak, Hydra))


def install(kinds):
    """Which of them can be had, with their versions; and why the others cannot."""
    versions, skipped = {}, {}
    for kind in kinds:
        try:
            versions[kind.title] = kind.install()
        except (RuntimeError, OSError) as fault:
            skipped[kind.title] = str(fault).splitlines()[0]
    return versions, skipped
