# SPDX-License-Identifier: Apache-2.0
"""Where the real clients are: a Python environment, node packages, and class paths of Iceberg's Java library."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from report import Failure

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VENV = ROOT / "target" / "clients-venv"
JAVA = ROOT / "target" / "clients-java"
NODE = ROOT / "target" / "clients-node"
TRINO = ROOT / "target" / "clients-trino"
REQUIREMENTS = HERE / "requirements.txt"
JAVA_VERSIONS = ("1.12.0", "1.11.0", "1.5.2")  # the newest two, and the oldest that is still widely deployed
JAVA_OF_USERS = "1.10.1"  # its users' sessions take over the expiry of the catalog's
TRINO_VERSION = "483"
TRINO_NEEDS_JAVA = 25

PYTHON = VENV / "bin" / "python"
NODE_AT_LEAST = 20  # what the packages ask for
NODE_PACKAGES = (HERE / "node" / "package.json", HERE / "node" / "package-lock.json")


def install(long):
    """Fetches the clients; `long` fetches what only the long form runs as well."""
    _install_python()
    _install_node()
    for version in (*JAVA_VERSIONS, JAVA_OF_USERS):
        _install_java(version)
    if long:
        _install_trino()


def python_missing():
    """Why the Python clients cannot run, or None."""
    if not is_current(VENV, REQUIREMENTS):
        return "the Python clients are not installed; run with --install"
    return None


def node_missing():
    """Why the programs for node cannot run, or None."""
    if _node_version() < NODE_AT_LEAST:
        return f"there is no node of version {NODE_AT_LEAST} or newer"
    if not is_current(NODE, *NODE_PACKAGES):
        return "the packages for node are not installed; run with --install (it needs npm)"
    return None


def node_command(program):
    """The programs are copied to their packages, because that is where node looks for these."""
    for source in (HERE / "node").glob("*.mjs"):
        shutil.copy(source, NODE)
    return ["node", "--disable-warning=ExperimentalWarning", NODE / f"{program}.mjs"]


def java_missing(version):
    """Why Iceberg's Java client cannot run, or None."""
    if not shutil.which("java"):
        return "there is no java"
    if not _java_is_current(version):
        return "Iceberg's Java client is not installed; run with --install (it needs mvn)"
    return None


def java_command(version, program="Main"):
    # One processor and a small heap: the renewals are what is tested, not the JVM.
    return ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx192m", "-cp",
            ":".join([str(JAVA / version / "classes"), *_class_path(version)]), program]


def trino_missing():
    """Why Trino cannot run, or None."""
    if not _java_home(TRINO_NEEDS_JAVA):
        return f"there is no JDK {TRINO_NEEDS_JAVA} or newer, neither in JAVA_HOME nor below /usr/lib/jvm"
    if not is_current(TRINO, *_TRINO_SOURCES) or not all(Path(jar).exists() for jar in _trino_class_path()):
        why = TRINO / "why-not.txt"
        return why.read_text() if why.exists() else "Trino is not installed; run with --install --long (it needs mvn)"
    return None


def trino_command():
    return [_java_home(TRINO_NEEDS_JAVA) / "bin" / "java", "-Xmx1g", "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED", "-cp", ":".join(_trino_class_path()), _TRINO_SOURCES[0]]


def _install_python():
    if is_current(VENV, REQUIREMENTS):
        return
    shutil.rmtree(VENV, ignore_errors=True)
    call(sys.executable, "-m", "venv", VENV)
    call(PYTHON, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "-r", REQUIREMENTS)
    mark_current(VENV, REQUIREMENTS)


def _install_node():
    if not shutil.which("npm") or is_current(NODE, *NODE_PACKAGES):
        return
    shutil.rmtree(NODE, ignore_errors=True)
    NODE.mkdir(parents=True)
    for source in NODE_PACKAGES:
        shutil.copy(source, NODE)
    call("npm", "ci", "--prefix", NODE, "--no-audit", "--no-fund", "--ignore-scripts")
    mark_current(NODE, *NODE_PACKAGES)


def _node_version():
    if not shutil.which("node"):
        return 0
    said = subprocess.run(["node", "--version"], stdout=subprocess.PIPE, text=True, check=True, timeout=30).stdout
    return int(said.lstrip("v").partition(".")[0])


def _install_java(version):
    if not shutil.which("mvn") or _java_is_current(version):
        return
    built = JAVA / version
    shutil.rmtree(built, ignore_errors=True)
    call(
        "mvn", "--quiet", "--batch-mode", "--file", HERE / "java" / "pom.xml",
        f"-Diceberg.version={version}", f"-Doutput.directory={built}", f"-Dmdep.outputFile={built / 'class-path.txt'}",
        "compile", "dependency:build-classpath",
    )
    mark_current(built, *_java_sources())


def _install_trino():
    """Where it cannot be fetched, its case is skipped and says why."""
    if not shutil.which("mvn") or not _java_home(TRINO_NEEDS_JAVA) or not trino_missing():
        return
    shutil.rmtree(TRINO, ignore_errors=True)
    TRINO.mkdir(parents=True)
    try:
        call(
            "mvn", "--quiet", "--batch-mode", "--file", HERE / "trino" / "pom.xml", f"-Dtrino.version={TRINO_VERSION}",
            f"-Dmdep.outputFile={TRINO / 'class-path.txt'}", "dependency:build-classpath",
            env={**os.environ, "JAVA_HOME": str(_java_home(TRINO_NEEDS_JAVA))},
        )
    except Failure as failure:
        (TRINO / "why-not.txt").write_text(" ".join(str(failure).split()))
        return
    mark_current(TRINO, *_TRINO_SOURCES)


_TRINO_SOURCES = HERE / "trino" / "Trino.java", HERE / "trino" / "pom.xml"


def _trino_class_path():
    return (TRINO / "class-path.txt").read_text().strip().split(":")


def _java_home(at_least):
    """A JDK of that version or a newer one, or None."""
    homes = [Path(os.environ["JAVA_HOME"])] if "JAVA_HOME" in os.environ else []
    for home in homes + sorted(Path("/usr/lib/jvm").glob("*")):
        release = home / "release"
        version = re.search(r'^JAVA_VERSION="(\d+)', release.read_text(), re.MULTILINE) if release.exists() else None
        if version and int(version[1]) >= at_least and (home / "bin" / "javac").exists():
            return home
    return None


def call(*argv, env=None, cwd=None):
    """Says nothing, unless it fails."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=cwd)
    if done.returncode:
        raise Failure(f"{' '.join(map(str, argv[:4]))} … ended with {done.returncode}: {done.stdout[-2000:]}")


def _java_is_current(version):
    """The libraries stay in Maven's own cache, which may have been emptied since."""
    return is_current(JAVA / version, *_java_sources()) and all(Path(jar).exists() for jar in _class_path(version))


def _class_path(version):
    return (JAVA / version / "class-path.txt").read_text().strip().split(":")


def _java_sources():
    return HERE / "java" / "pom.xml", *sorted((HERE / "java").glob("*.java"))


def is_current(place, *sources):
    mark = place / ".made-from"
    return mark.exists() and mark.read_text() == _fingerprint(sources)


def mark_current(place, *sources):
    (place / ".made-from").write_text(_fingerprint(sources))


def _fingerprint(sources):
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()
