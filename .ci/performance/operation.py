# SPDX-License-Identifier: Apache-2.0
"""What operation adds: a rotation of the key under load, a chosen secret, idle connections, a second core."""

import base64
import os
import resource
import socket
import ssl
import subprocess
import threading
from statistics import median

from servers import BINARY, LOAD_CORE, Tokenberg, pinned

HELD_CONNECTIONS = 10_000
# Each sends one request at a time. So many do not wait for each other if the server answers within some seconds.
OVERLOADING_CONNECTIONS = 8192


def half_loaded(server, options):
    """At half of the capacity, while another process follows the audit, and the signing key is rotated in the middle."""
    capacity = median([server.load(seconds=options.seconds)["per_second"] for _ in range(3)])
    # A percentile needs many requests.
    seconds = max(options.seconds, 3.0)
    loads = []
    for _ in range(options.rounds):
        follower = pinned(LOAD_CORE, [server.binary, "audit", "--follow", "--store", server.store], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rotation = threading.Timer(0.5 + seconds / 2, server.command, ["key", "rotate", "--now"])
        rotation.start()
        try:
            loads.append(server.load("--rate", f"{capacity / 2:.0f}", seconds=seconds))
        finally:
            rotation.join()
            follower.terminate()
            follower.wait()
    return {"capacity": capacity, "loads": loads}


def overloaded(server, options):
    """At twice the capacity of RSA signatures, and at half of it in the second after that."""
    seconds = max(options.seconds, 3.0)
    runs = []
    for _ in range(options.rounds):
        capacity = server.load("--connections", "64", seconds=options.seconds)["per_second"]
        many = ["--connections", OVERLOADING_CONNECTIONS, "--warm-up", "3"]
        during = server.load(*many, "--rate", f"{2 * capacity:.0f}", seconds=seconds, sheds=True)
        after = server.load("--rate", f"{capacity / 2:.0f}", "--warm-up", "0", seconds=1.0)
        runs.append({"capacity": capacity, "during": during, "after": after})
    return runs


def chosen_secret(server, options):
    """A start with a client whose secret a person chose."""
    seconds, kib = [], []
    for _ in range(options.rounds):
        seconds.append(server.start())
        kib.append(server.load("--rate", "100", seconds=0.3)["rss_kib"])
        server.stop()
    return {"start_seconds": seconds, "rss_kib": kib}


def held_connections(server, memory):
    """Memory for each idle connection on which a token was issued, and what a token costs beside them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(HELD_CONNECTIONS, hard - 500)
    without = server.load(seconds=1.0)
    before, held = memory(server), []
    context = ssl.create_default_context(cafile=server.ca) if server.tls else None
    credentials = base64.b64encode(f"{server.client}:{server.secret_file.read_text()}".encode()).decode()
    body = "grant_type=client_credentials&scope=catalog"
    request = (
        f"POST /v1/oauth/tokens HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Basic {credentials}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
    try:
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            if context:
                one = context.wrap_socket(one, server_hostname="127.0.0.1")
            held.append(one)
            one.sendall(request)
            if not one.recv(4096).startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{server.name}: no token on connection {len(held)}")
        bytes_each = (memory(server) - before) / count
        beside = server.load(seconds=1.0)
    finally:
        for one in held:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    of = lambda load: {"cpu_us": load["cpu_us_per_request"], "p99": load["latency_us"]["p99"]}
    return {"count": count, "bytes_each": bytes_each, "without": of(without), "beside": of(beside)}


def two_cores(server, options):
    """With a worker on one core, and with one on each of two. The load has a third core, or shares the second one if there is no third."""
    is_apart = (os.cpu_count() or 1) > 2
    loads = {"one": [], "two": []}
    for _ in range(options.rounds):
        for name, cores in (("one", "0"), ("two", "0,2" if is_apart else "0,1")):
            server.cores = cores
            server.start()
            loads[name].append(server.load("--connections", "64", seconds=options.seconds))
            server.stop()
    return {"is_apart": is_apart, **loads}


def measure(folder, options, memory):
    server = Tokenberg("Tokenberg in operation", folder / "operation")
    server.prepare()
    chosen = Tokenberg("Tokenberg with a chosen secret", folder / "chosen")
    chosen.prepare()
    chosen.secret_file.write_text("a secret that a person chose")
    chosen.command("client", "add", "chosen", "--secret-file", chosen.secret_file)
    chosen.client = "chosen"
    secure = Tokenberg("Tokenberg with idle connections over TLS", folder / "held-tls", tls=True)
    secure.prepare()
    signing = Tokenberg("Tokenberg with more load than it can bear", folder / "overloaded", "RS256")
    signing.prepare()
    try:
        server.start()
        measured = {"half": half_loaded(server, options), "held": held_connections(server, memory)}
        server.stop()
        secure.start()
        measured["held_tls"] = held_connections(secure, memory)
        secure.stop()
        signing.start()
        measured["overloaded"] = overloaded(signing, options)
        signing.stop()
        return {**measured, "two_cores": two_cores(server, options), "chosen": chosen_secret(chosen, options), "binary": BINARY.stat().st_size}
    finally:
        for one in (server, chosen, secure, signing):
            one.stop()

