# SPDX-License-Identifier: Apache-2.0
"""The scripts that teach users, run as a user would."""

import re
import shutil
import subprocess

import tools
from report import expect
from talk import client_environment

EXTENSIONS = 'import duckdb; print(duckdb.__version__, duckdb.sql("PRAGMA platform").fetchone()[0])'


def missing():
    return tools.python_missing()


def cases(world, clients):
    yield "example_pyiceberg_client", lambda: _run(world, clients, "pyiceberg_client.py", by="server")
    yield "example_pyiceberg_client_by_catalog", lambda: _run(world, clients, "pyiceberg_client.py", by="catalog")
    yield "demo_as_printed", lambda: _demo_as_printed(world)
    yield "exec_gives_pyiceberg_a_token", lambda: _exec_gives_pyiceberg_a_token(world, clients)
    yield "example_duckdb_client", lambda: _run_duckdb(world, clients, by="server")
    yield "example_duckdb_client_by_catalog", lambda: _run_duckdb(world, clients, by="catalog")


def _run(world, clients, script, by):
    with world.watched() as wire:
        settings = {
            "TOKENBERG_CATALOG_URI": wire.catalog,
            "TOKENBERG_CLIENT_ID": clients.steady.id,
            "TOKENBERG_CLIENT_SECRET": clients.steady.secret,
            **({"TOKENBERG_TOKEN_URL": wire.token_url} if by == "server" else {}),
        }
        done = subprocess.run(
            [tools.PYTHON, tools.ROOT / "examples" / script],
            env=client_environment(HOME=str(world.directory), **settings),
            capture_output=True,
            text=True,
            timeout=60,
        )
        expect(done.returncode == 0, f"it ended with {done.returncode}: {done.stderr.strip()[-600:]}")
        expect("demo" in done.stdout, f"it printed {done.stdout!r}; {wire.story()}")


def _demo_as_printed(world):
    """The lines of Python that `tokenberg demo` prints."""
    demo = subprocess.Popen(
        [world.tokenberg, "demo", "--listen", "127.0.0.1:0"],
        env=client_environment(TMPDIR=str(world.directory)), stdout=subprocess.PIPE, text=True)
    try:
        printed = ""
        while "print(" not in printed:
            line = demo.stdout.readline()
            expect(line, f"the demo ended after {printed!r}")
            printed += line
        script = re.search(r"^from pyiceberg.*", printed, re.MULTILINE | re.DOTALL)[0]
        done = subprocess.run(
            [tools.PYTHON, "-c", script],
            env=client_environment(HOME=str(world.directory)), capture_output=True, text=True, timeout=60)
        expect(done.stdout.strip() == "[('demo',)]", f"it printed {done.stdout!r}: {done.stderr.strip()[-600:]}")
    finally:
        demo.terminate()
        demo.wait(timeout=30)


def _exec_gives_pyiceberg_a_token(world, clients):
    """As docs/being-a-client.md has it: the token of the catalog `lake` is in a variable that PyIceberg reads."""
    credential = world.directory / "steady.credential"
    credential.write_text(clients.steady.credential + "\n")
    with world.watched() as wire:
        script = "from pyiceberg.catalog import load_catalog; print(load_catalog('lake').list_namespaces())"
        done = subprocess.run(
            [world.tokenberg, "exec", "--server", wire.token_url, "--secret-file", credential,
             "--env", "PYICEBERG_CATALOG__LAKE__TOKEN", "--", tools.PYTHON, "-c", script],
            env=client_environment(HOME=str(world.directory), PYICEBERG_CATALOG__LAKE__URI=wire.catalog),
            capture_output=True, text=True, timeout=60)
        expect(done.stdout.strip() == "[('demo',)]", f"it printed {done.stdout!r}: {done.stderr.strip()[-600:]}")


def _run_duckdb(world, clients, by):
    place_duckdb_extensions(world.directory)
    _run(world, clients, "duckdb_client.py", by)


def place_duckdb_extensions(home):
    """Where INSTALL would download them to: nothing is downloaded that is there already."""
    version, platform = subprocess.run(
        [tools.PYTHON, "-c", EXTENSIONS], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    place = home / ".duckdb" / "extensions" / f"v{version.lstrip('v')}" / platform
    place.mkdir(parents=True, exist_ok=True)
    for extension in tools.VENV.glob("lib/python*/site-packages/duckdb_extension_*/**/*.duckdb_extension"):
        shutil.copy(extension, place)
