# SPDX-License-Identifier: Apache-2.0
"""An authority of our own, a server's certificate for loopback, and one for each client; openssl makes them."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from report import Failure


@dataclass(frozen=True)
class Certificate:
    certificate: Path
    key: Path

    def der(self):
        return ssl.PEM_cert_to_DER_cert(self.certificate.read_text())


def make(directory, *clients):
    """`authority`, a file; `server`, and one for each client by its name, which is also the common name of its subject."""
    authority = _self_signed(directory / "authority")
    made = {"authority": authority.certificate}
    for name, extensions in (
        ("server", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth"),
        *((client, "extendedKeyUsage=clientAuth") for client in clients),
    ):
        made[name] = _signed(directory / f"tls-{name}", name, extensions, authority)
    return SimpleNamespace(**made)


def _self_signed(path):
    own = Certificate(path.with_suffix(".pem"), path.with_suffix(".key"))
    _openssl("req", "-x509", *_new_key(own.key), "-subj", "/CN=authority", "-days", "2", "-out", own.certificate)
    return own


def _signed(path, name, extensions, authority):
    own = Certificate(path.with_suffix(".pem"), path.with_suffix(".key"))
    request, extras = path.with_suffix(".csr"), path.with_suffix(".ext")
    extras.write_text(f"basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n{extensions}\n")
    _openssl("req", *_new_key(own.key), "-subj", f"/CN={name}", "-out", request)
    _openssl("x509", "-req", "-in", request, "-CA", authority.certificate, "-CAkey", authority.key, "-CAcreateserial",
             "-days", "2", "-extfile", extras, "-out", own.certificate)
    return own


def _new_key(path):
    return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", path


def _openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Failure(f"openssl {arguments[0]}: {done.stdout[-600:]}")
