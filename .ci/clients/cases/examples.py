# SPDX-License-Identifier: Apache-2.0
"""The scripts that teach users, run as a user would."""

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


def _run_duckdb(world, clients, by):
    _place_duckdb_extensions(world.directory)
    _run(world, clients, "duckdb_client.py", by)


def _place_duckdb_extensions(home):
    """Where INSTALL would download them to: nothing is downloaded that is there already."""
    version, platform = subprocess.run(
        [tools.PYTHON, "-c", EXTENSIONS], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    place = home / ".duckdb" / "extensions" / f"v{version.lstrip('v')}" / platform
    place.mkdir(parents=True, exist_ok=True)
    for extension in tools.VENV.glob("lib/python*/site-packages/duckdb_extension_*/**/*.duckdb_extension"):
        shutil.copy(extension, place)
