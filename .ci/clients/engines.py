# SPDX-License-Identifier: Apache-2.0
"""Where the engines are that only the long form fetches: Spark, chDB (ClickHouse), and the libraries for Go and Rust."""

import shutil
import sys

import tools
from report import Failure
from tools import HERE, ROOT, call, is_current, mark_current

SPARK = ROOT / "target" / "clients-spark"
CHDB = ROOT / "target" / "clients-chdb"
GO = ROOT / "target" / "clients-go"
RUST = ROOT / "target" / "clients-rust"

SPARK_VERSION, SPARK_RUNTIME = "3.5.8", "iceberg-spark-runtime-3.5_2.12:1.12.0"
CHDB_VERSION = "4.4.0"
GO_VERSION = "0.7.0"
RUST_VERSION = "0.10.1"

RUST_MANIFEST = f"""[workspace]

[package]
name = "page"
version = "0.0.0"
edition = "2024"

[profile.dev]
debug = false

[dependencies]
iceberg = "={RUST_VERSION}"
iceberg-catalog-rest = "={RUST_VERSION}"
tokio = {{ version = "1", features = ["macros", "rt-multi-thread"] }}
"""


def install():
    """Fetches what is there for this machine. What cannot be fetched is skipped, and its case says why."""
    for needs, place, fetch in (
        (("java", "mvn"), SPARK, _fetch_spark), ((sys.executable,), CHDB, _fetch_chdb),
        (("go",), GO, _fetch_go), (("cargo",), RUST, _fetch_rust),
    ):
        if not all(map(shutil.which, needs)) or is_current(place, HERE / "engines.py"):
            continue
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        try:
            fetch()
        except Failure as failure:
            (place / "why-not.txt").write_text(" ".join(str(failure).split()))
        else:
            mark_current(place, HERE / "engines.py")


def missing(place):
    """Why an engine cannot run, or None."""
    if is_current(place, HERE / "engines.py"):
        return None
    why = place / "why-not.txt"
    return why.read_text() if why.exists() else f"{place.name} is not installed; run with --install --long"


def _fetch_spark():
    _venv(SPARK, f"pyspark=={SPARK_VERSION}")
    call("mvn", "--quiet", "--batch-mode", "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy",
         f"-Dartifact=org.apache.iceberg:{SPARK_RUNTIME}", f"-DoutputDirectory={SPARK / 'jars'}")


def _fetch_chdb():
    _venv(CHDB, f"chdb=={CHDB_VERSION}")


def _fetch_go():
    call("go", "mod", "init", "page", cwd=GO)
    call("go", "get", f"github.com/apache/iceberg-go@v{GO_VERSION}", cwd=GO)


def _fetch_rust():
    (RUST / "Cargo.toml").write_text(RUST_MANIFEST)
    (RUST / "src").mkdir()
    (RUST / "src" / "main.rs").write_text("fn main() {}\n")
    call("cargo", "build", "--quiet", cwd=RUST, env=_of_cargo())


def run_go(program):
    (GO / "main.go").write_text(program)
    call("go", "mod", "tidy", cwd=GO)
    call("go", "build", "-o", "page", ".", cwd=GO)
    return [GO / "page"]


def run_rust(program):
    (RUST / "src" / "main.rs").write_text(program)
    call("cargo", "build", "--quiet", cwd=RUST, env=_of_cargo())
    return [RUST / "target" / "debug" / "page"]


def _of_cargo():
    """Its own target directory, whichever the project has."""
    return {**tools.os.environ, "CARGO_TARGET_DIR": str(RUST / "target")}


def _venv(place, *packages):
    call(sys.executable, "-m", "venv", place)
    call(place / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install", *packages)
