# SPDX-License-Identifier: Apache-2.0
"""Writes docs/performance.md from the measured figures. Every figure in it was measured, or is computed from these here."""

import os
import platform
import re
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

from figures import LIMITS, RING, compared, cpu_of, ratio, spread
from goals import goals, goals_line, unmet

HALF_A_DAY = 43_200
BUILDS = "## Profiles of Cargo"
WARM_UP = 6


def text(figures, before=""):
    """The page. The section about builds, which another command measures, stays as it was before."""
    loads = figures["loads"]
    cpu = {name: cpu_of(runs) for name, runs in loads.items()}
    table, reached, missed = goals(figures, cpu)
    parts = ["# What a token costs", "", "![CPU time of a token, here and with other servers](pictures/performance.svg)", "", *opening(figures), ""]
    parts += ["## Compared with other servers", "", *comparison(figures), ""]
    parts += [HOW.format(**figures), machine_line(figures["machine"])]
    parts += ["## A connection for each token", "", *connections(figures["connections"]), ""]
    parts += ["## CPU time of a request", "", *requests(loads, cpu), ""]
    parts += ["## In operation", "", *in_operation(figures), ""]
    parts += ["## Many clients", "", *many(figures["many"]), ""]
    parts += ["## After years", "", *after_years(figures["years"]), ""]
    parts += ["## In one process", "", *in_process(figures), ""]
    parts += ["## What a core does for a token", "", *profile(figures["profile"], cpu), ""]
    parts += ["## Scale on paper", "", *paper(figures, cpu), ""]
    parts += re.findall(rf"^{BUILDS}\n.*?(?=^## |\Z)", before, re.MULTILINE | re.DOTALL)
    parts += ["## Goals", "", goals_line(reached, missed), "", *table, "", *unmet(figures, cpu, missed)]
    return "\n".join(parts).rstrip() + "\n"


HOW = """## How it was measured

`.ci/performance/run --peers` measures and writes this page; do not edit it. A figure of a load is the median of {rounds} rounds of {seconds:g} s,
with the smallest and the largest in parentheses. Each round measures each case once, with the server on one core and the
load, which never sleeps, on another. A ratio is the median of the ratios of the rounds. CPU time is what the kernel counts for all threads
of the server's processes. Other figures: starts are the median of one to three (two of Keycloak), what one process takes that of {rounds} times 0.2 s,
loads of half and twice the capacity and beside changes last 3 s at least, and memory and the profile are measured once.

On a shared machine, times vary by a third and more. Compare ratios within one run, not times of different runs.
"""


def opening(figures):
    """What most readers want to know, in three sentences."""
    of = compared(figures)
    ours = of["Tokenberg"]
    peers = [name for name in ("Keycloak", "Hydra", "oidc-provider", "Authlib") if name in of][:2]

    def beside(what):
        """How much more the peers take."""
        others = [f"{name} {median(ratio(of[name][what], ours[what])):,.0f} times" for name in peers if of[name].get(what)]
        return f"; {' and '.join(others).replace(' ', ' takes ', 1)} that" if others else ""

    def have(what):
        others = [f"{median(of[name][what]):,.0f} for {name}" for name in peers if of[name].get(what)]
        return f" ({', '.join(others)})" if others else ""

    token, new = median(ours["token"]), median(ours["new_connection"])
    per_second = lambda runs: median([one["per_second"] for one in runs])
    issued = per_second(figures["loads"]["client credentials ES256"])
    connected = per_second(figures["connections"]["client credentials ES256, TLS, full handshake"])
    return [
        f"One core issues {issued:,.0f} tokens a second (ES256), {token:,.0f} µs of CPU time each{beside('token')}.",
        f"With a new TLS connection for each token, as PyIceberg, Trino and Spark make them, it is {connected:,.0f} a second, {new:,.0f} µs each{beside('new_connection')}.",
        f"The server takes {median(ours['mib']):,.0f} MiB of memory under load{have('mib')}, and issues its first token {median(ours['milliseconds']):,.0f} ms "
        f"after its start{have('milliseconds')}.",
    ]


def comparison(figures):
    of = compared(figures)
    ours = of["Tokenberg"]
    columns = [("token", "a token"), ("new_connection", "with a new TLS connection"), ("rs256", "a token with RS256"), ("exchange", "an exchange")]
    rows = ["| server | " + " | ".join(f"{title}, µs CPU" for _, title in columns) + " | memory, MiB | start to first token, ms |", "|---" * 7 + "|"]

    def cell(costs, what):
        if not costs:
            return ""
        if costs is ours[what]:
            return f"{median(costs):,.0f}"
        return f"{median(costs):,.0f}, × {median(ratio(costs, ours[what])):.1f}"

    for server, costs in of.items():
        cells = [cell(costs[what], what) for what, _ in columns]
        cells += [f"{median(costs['mib']):,.0f}", f"{median(costs['milliseconds']):,.0f}"]
        version = f" {figures['peers'][server]}" if server in figures["peers"] else ""
        rows.append(f"| {server}{version} | {' | '.join(cells)} |")
    usual = figures["loads"].get("client credentials Keycloak ES256, usual client")
    if usual:
        rows.append(f"| Keycloak, a client as a new realm makes it | {cell(cpu_of(usual), 'token')} | | | | | |")
    rows += [f"| {name} | skipped: {why.replace('|', '/')} | | | | | |" for name, why in figures["skipped"].items()]
    rows += ["", "A token is one of client credentials with ES256, as a JWT. × is the ratio to Tokenberg's. What is not equal:", ""]
    return rows + [f"- {words}" for server, words in UNEQUAL if server == "Tokenberg" or server in of]


UNEQUAL = (
    ("Tokenberg", "**Audit.** Tokenberg writes a line of log and an audit record in its store for each token. No other server here writes either."),
    ("Hydra", "**Hydra** writes each token to its database: a SQLite file without syncs. It hashes a secret with PBKDF2 for each request, here with one "
     "iteration, its cheapest setting; by default it is 25,000. Tokenberg keeps a digest of a generated secret."),
    ("Keycloak", "**Keycloak** runs in production mode with H2 in a file, a local cache, its own settings of the JVM, and no events. It is measured after the "
     "JVM has compiled what it runs, and its client has no scopes and no mappers by default. It keeps secrets as text. Its exchange is the standard one, "
     "of 50 tokens in turn that it issued to another client; Tokenberg's is of 6,000, which its cache does not hold, and names the actor besides."),
    ("oidc-provider", "**oidc-provider** keeps everything in the memory of its process, secrets as text. It has no exchange. It signs by OpenSSL, whose RSA takes less "
     "time here than ring's; a build with the feature `aws-lc` signs faster, too (see In one process)."),
    ("Authlib", "**Authlib** has one client in its code and no store, behind gunicorn with four threads and connections. It has no exchange."),
)


def commit():
    """What is measured, if it is built now."""
    ask = lambda *what: subprocess.run(["git", *what], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent).stdout.strip()
    changed = " with changes" if ask("status", "--porcelain", "--untracked-files=no") else ""
    return f"commit {ask('rev-parse', '--short=7', 'HEAD')}{changed}"


def machine(is_built):
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", info)
    memory = int(re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())[1])
    return {
        "cpu": model[1].strip() if model else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**20),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "rustc": subprocess.run(["rustc", "--version"], stdout=subprocess.PIPE, text=True).stdout.strip(),
        "load_average": os.getloadavg()[0],
        "commit": commit() if is_built else "an earlier build",
    }


def machine_line(machine):
    return (
        f"Measured: {machine['commit']}, on {machine['cores']} cores of {machine['cpu']} with {machine['memory_gib']} GiB, {machine['system']}, {machine['rustc']}; "
        f"the load average was {machine['load_average']:.1f} at the beginning.\n" + crowded(machine)
    )


def crowded(machine):
    if machine["load_average"] < machine["cores"] / 2:
        return ""
    return (
        "\n**The machine was not quiet.** CPU times include the effect of shared caches. Elapsed times (starts, reading a store, a lookup, latencies,\n"
        "requests a second) include waiting for a core.\n"
    )


def requests(loads, cpu):
    rows = ["| case | µs CPU a request | requests a second | p50, ms | p99, ms |", "|---|---|---|---|---|"]
    for name, runs in loads.items():
        per_second = [one["per_second"] for one in runs]
        p50, p99 = ([one["latency_us"][q] / 1000 for one in runs] for q in ("p50", "p99"))
        rows.append(f"| {name} | {spread(cpu[name])} | {median(per_second):,.0f} | {median(p50):.1f} | {median(p99):.1f} |")
    return rows + [
        "",
        "The load keeps 16 connections busy (4 with Authlib), so the latencies are those of a full queue. The log goes to the null device. Exchanges",
        "use 6,000 subject tokens in turn, more than the cache holds; \"seen before\" means that the token is in the cache.",
    ]


def connections(cases):
    rows = ["| case | µs CPU a request | of the connections resumed | p50, ms | p99, ms |", "|---|---|---|---|---|"]
    for name, runs in cases.items():
        resumed = sum(one["resumed"] for one in runs) / sum(one["connects"] for one in runs)
        p50, p99 = ([one["latency_us"][q] / 1000 for one in runs] for q in ("p50", "p99"))
        cpu = spread([one["cpu_us_per_request"] for one in runs])
        rows.append(f"| {name} | {cpu} | {resumed:.0%} | {median(p50):.1f} | {median(p99):.1f} |")
    return rows + [
        "",
        "PyIceberg, Trino and Spark open a connection for each token. TLS is version 1.3 with an ECDSA certificate (P-256); the static answer is",
        "served with the same settings of TLS. Clients keep the tickets, so the server remembers none of them. 1 client has one connection at a",
        "time, the others have 16.",
    ]


def in_process(figures):
    runs = figures["in_process"]
    rows = ["| algorithm | raw signature, µs | ours, whole token | raw verification | extractor, first time | of that reading it | seen before |", "|---|---|---|---|---|---|---|"]
    for alg in ("ES256", "EdDSA", "RS256", "PS256", "ES384"):
        values = [[one[alg][n] / 1000 for one in runs] for n in ("raw_sign", "sign", "raw_verify", "extract_fresh", "read", "extract")]
        rows.append(f"| {alg} | " + " | ".join(spread(v) for v in values) + " |")
    aws_lc = figures["in_process_aws_lc"]
    rows += ["", "A build with the feature `aws-lc` signs by aws-lc-rs instead of ring. In one process:", ""]
    rows += ["| algorithm | raw signature by ring, µs | a whole token by aws-lc-rs, µs | ratio |", "|---|---|---|---|"]
    for alg in ("ES256", "EdDSA", "RS256", "PS256", "ES384"):
        by_ring, ours = ([one[alg][n] / 1000 for one in aws_lc] for n in ("raw_sign", "sign"))
        rows.append(f"| {alg} | {spread(by_ring)} | {spread(ours)} | {spread(ratio(ours, by_ring), 2)} |")
    rows += [
        "",
        f"Of what the extractor takes for a new ES256 token besides the verification, {100 * of_reading(runs):.0f} % is splitting and decoding the token; the rest is its",
        "claims, its hash, and the entry in the cache.",
    ]
    rows += ["", "| part of the core, without signatures | µs | allocations |", "|---|---|---|"]
    for name in runs[0]["core"]:
        allocations = figures["allocations"].get(name, "")
        rows.append(f"| {name.replace('_', ' ')} | {spread([one['core'][name] / 1000 for one in runs], 2)} | {allocations} |")
    return rows


def of_reading(runs):
    """The part of splitting and decoding in what the extractor adds to the verification."""
    return median([one["ES256"]["read"] / (one["ES256"]["extract_fresh"] - one["ES256"]["raw_verify"]) for one in runs])


def in_operation(figures):
    measured = figures["operation"]
    half, held, chosen = measured["half"]["loads"], measured["held"], measured["chosen"]
    token = figures["loads"]["client credentials ES256"]
    mib = lambda runs: spread([one / 1024 for one in runs])
    rows = ["| | |", "|---|---|"]
    rows.append(f"| start to first token, ms | {spread([s * 1000 for s in figures['cold_start']['ES256']], 0)} |")
    rows.append(f"| the same with a secret that a person chose, ms | {spread([s * 1000 for s in chosen['start_seconds']], 0)} |")
    rows.append(f"| memory after the load, MiB | {mib([one['rss_kib'] for one in token])} |")
    rows.append(f"| memory with a secret that a person chose, MiB | {mib(chosen['rss_kib'])} |")
    rows.append(f"| the binary, MB | {measured['binary'] / 1e6:.1f} |")
    for q in ("p50", "p99", "p99.9"):
        rows.append(f"| {q} at half of the capacity, µs | {spread([one['latency_us'][q] for one in half], 0)} |")
    for run, what in ((held, ""), (measured["held_tls"], " with TLS")):
        rows.append(f"| memory of each of {run['count']:,} idle connections{what}, bytes | {run['bytes_each']:,.0f} |")
    rows.append(f"| µs CPU a token beside them, and without | {held['beside']['cpu_us']:.1f}, {held['without']['cpu_us']:.1f} |")
    overloaded = measured["overloaded"]
    of = lambda part, q: spread([one[part]["latency_us"][q] / 1000 for one in overloaded], 0)
    rows.append(f"| RS256 at twice the capacity: answered ÷ the capacity | {spread([one['during']['per_second'] / one['capacity'] for one in overloaded], 2)} |")
    rows.append(f"| of the requests shed with 503 | {spread([100 * shed_share(one['during']) for one in overloaded], 0)} % |")
    rows.append(f"| p50, p99 of what is answered, ms | {of('during', 'p50')}, {of('during', 'p99')} |")
    rows.append(f"| p99 at half of the capacity in the second after that, ms | {of('after', 'p99')} |")
    cores = measured["two_cores"]
    if cores["is_apart"]:
        rows.append(f"| tokens a second on two cores ÷ on one | {spread(of_cores(cores, 'per_second'), 2)} |")
    rows.append(f"| CPU time of a token with a worker on each of two cores ÷ with one | {spread(of_cores(cores, 'cpu_us_per_request'), 2)} |")
    return rows + [
        "",
        "At half of the capacity, another process follows the audit, and the signing key is rotated in the middle. A secret that a person chose is",
        "verified with Argon2id once after each start; a generated one needs no such hash. On each idle connection, a token was issued. Twice the",
        "capacity is sent on a schedule, on 8,192 connections, of which each waits for its own answer only.",
    ]


def of_cores(cores, figure):
    """The ratios of two cores to one."""
    return ratio(*([one[figure] for one in cores[name]] for name in ("two", "one")))


def shed_share(run):
    return run["shed"] / (run["shed"] + run["answered"])


def many(figures):
    lookup = figures["lookup"]
    still, changing = ([one["latency_us"] for one in figures[name]] for name in ("still", "changing"))
    rows = ["| | |", "|---|---|", f"| clients | {figures['clients']:,} |"]
    rows.append(f"| start to first token on two cores, s | {spread(figures['start_seconds_two_cores'], 2)} |")
    rows.append(f"| the same on one core, s | {spread(figures['start_seconds'], 2)} |")
    rows.append(f"| reading all of them, s | {spread([one['read_seconds'] for one in lookup], 2)} |")
    rows.append(f"| the same, s CPU | {spread([one['read_cpu_seconds'] for one in lookup], 2)} |")
    rows.append(f"| memory of the server for each, bytes | {figures['bytes_per_client']:,.0f} |")
    rows.append(f"| a lookup of a random client, ns | {spread([one['lookup_ns'] for one in lookup], 0)} |")
    rows.append(f"| the same, ns CPU | {spread([one['lookup_cpu_ns'] for one in lookup], 0)} |")
    rows.append(f"| the same on huge pages (`GLIBC_TUNABLES=glibc.malloc.hugetlb=1`) | {spread([one['lookup_cpu_ns'] for one in figures['lookup_huge']], 0)} |")
    rows.append(f"| one read at a random location in the same amount of memory, ns CPU | {spread([one['memory_read_cpu_ns'] for one in lookup], 0)} |")
    rows.append(f"| client credentials, µs CPU | {spread([one['cpu_us_per_request'] for one in figures['loads']])} |")
    for q in ("p50", "p99"):
        rows.append(f"| {q} at 1,000 requests a second, µs | {spread([one[q] for one in still], 0)} |")
        rows.append(f"| the same while a client changes five times a second | {spread([one[q] for one in changing], 0)} |")
    return rows


def after_years(figures):
    held, much, nothing = figures["held"], figures["much"], figures["nothing"]
    what = f"{held['clients']:,} clients, {held['revocations']:,} revocations, {held['used_ids']:,} used identifiers"
    rows = [f"A store with {what}, compared with one that has only what the load needs. Of single-use identifiers, the last 100,000 are in memory, too.", ""]
    rows += ["| | with them | without |", "|---|---|---|"]

    def row(name, of, digits):
        rows.append(f"| {name} | {spread(of(much), digits)} | {spread(of(nothing), digits)} |")

    row("start to first token, s", lambda one: one["start_seconds"], 2)
    row("memory, MiB", lambda one: [one["memory"] / 2**20], 1)
    for case in (name for name in much if isinstance(much[name], list) and name != "start_seconds"):
        for q in ("p50", "p99"):
            row(f"{case}: {q}, µs", lambda one: [load["latency_us"][q] for load in one[case]], 0)
        row(f"{case}: µs CPU", lambda one: [load["cpu_us_per_request"] for load in one[case]], 1)
    read = figures["read"]
    times = f"{spread([one['read_seconds'] for one in read], 2)} s, of CPU {spread([one['read_cpu_seconds'] for one in read], 2)} s"
    return rows + ["", f"Reading clients and revocations takes {times}. A request with a DPoP proof waits until its identifier is on disk."]


def rough(number):
    """Two digits of it."""
    return f"{float(f'{number:.2g}'):,.0f}"


def paper(figures, cpu):
    """From the measured CPU time of a token alone."""
    es256, rs256 = (1e6 / median(cpu[f"client credentials {alg}"]) for alg in ("ES256", "RS256"))
    # A client that renews an hourly token after half its lifetime sends 48 requests a day.
    clients = lambda per_second: per_second * HALF_A_DAY / 48
    return [
        f"A client that renews an hourly token after half its lifetime sends 48 requests a day, so one core that is half busy serves {rough(clients(es256))} clients",
        f"with ES256, or {rough(clients(rs256))} with RS256. Four nodes of 8 cores issue up to {rough(32 * es256)} tokens a second with ES256, or {rough(32 * rs256)} with RS256,",
        "if each core adds as much as the first.",
        "",
        "This is computed from the CPU times above; several cores and several nodes over one database were not measured. A token waits for no database and for nothing else that",
        "nodes share. Two things reach the database: changes of clients, keys and revocations, which every node reads, and the audit's records, in batches.",
    ]


def allocations():
    """Of the parts of the core, as `cargo bench` counts them."""
    command = ["cargo", "bench", "--locked", "--quiet", "-p", "tokenberg-bench", "--bench", "parts", "--", "core", "--max-time", "0.1"]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parent).stdout
    found = counted(output)
    assert {"client_credentials", "exchange"} <= found.keys(), f"cargo bench printed no allocations:\n{output}"
    return found


def counted(printed):
    """Allocations and reallocations that grow, from what divan prints: the most of a call. Deallocations and shrinking do not count."""
    counts = {}
    for name, lines in re.findall(r"─ (\w+) [^\n]*\n(.*?)(?=─ |\Z)", printed, re.DOTALL):
        of = [re.search(rf"[^\S\n]{{2,}}{kind}:[^\n]*\n[^\n]*?[\d.]+ +│ ([\d.]+)", lines) for kind in ("alloc", "grow")]
        if of[0]:
            counts[name] = sum(float(found[1]) for found in of if found)
    return counts


def samples(server, load, seconds=4):
    """Which shares of its CPU time a server spends on what, under a load; none if perf is not there."""
    if not shutil.which("perf"):
        return {}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "perf.data"
        loading = threading.Thread(target=load, args=(seconds + WARM_UP + 1,))
        loading.start()
        # Until the load has its tokens.
        time.sleep(WARM_UP)
        command = ["perf", "record", "-q", "-F", "2000", "-p", str(server.process.pid), "-o", str(data), "--", "sleep", str(seconds)]
        subprocess.run(command, stderr=subprocess.DEVNULL, timeout=30)
        loading.join()
        # Without --no-inline it looks up the inlined functions of each sample, for many minutes.
        command = ["perf", "report", "-i", str(data), "--stdio", "--no-inline", "--no-children", "--sort", "comm,dso,symbol", "-t", "\t"]
        output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=120).stdout
    shares = {}
    for line in output.splitlines():
        fields = [field.strip() for field in line.split("\t")]
        if line.startswith("#") or len(fields) < 4:
            continue
        # A thread may be called like a library.
        by_thread = (name for pattern, name in THREADS if re.search(pattern, fields[1]))
        kind = next(by_thread, None) or next(name for pattern, name in KINDS if re.search(pattern, " ".join(fields[2:])))
        shares[kind] = shares.get(kind, 0) + float(fields[0].rstrip("%")) / 100
    whole = sum(shares.values())
    return {kind: share / whole for kind, share in shares.items()}


THREADS = (
    (r"^tokenberg-store", "SQLite's threads: writing the audit"),
    (r"^tokenberg$", "the main thread: chaining audit records, following the store"),
)

# The first that fits.
KINDS = (
    (r"\[k\]|\[kernel|\[vdso", "the kernel: socket, waiting, random bits"),
    (r"ring_core|ecp_nistz|ring::|p256|bn_|x25519|GFp", RING),
    (r"malloc|_int_|cfree|realloc|calloc|unlink_chunk|[^a-z]free", "allocating"),
    (r"throttle|failures::|metrics|revoc|recall|remembered|sources::|shards", LIMITS),
    (r"tracing|core::fmt|alloc::fmt|nu_ansi|logging|audit|record", "the log event and the audit record"),
    (r"memmove|memset|memcpy|memcmp|strlen|libc", "copying, and other parts of the C library"),
    (r"actix|tokio|http::|bytes::|regex|mio::|httparse", "HTTP and the event loop"),
    (r"tokenberg_|serde|base64|percent|form_urlencoded|zeroize", "Tokenberg: reading, deciding, writing"),
    (r"", "the rest"),
)


def profile(shares, cpu):
    """In microseconds, so that it can be seen what is there beside the static answer and the cryptography."""
    names = [name for name in shares if shares[name]]
    if not names:
        return ["`perf` is not installed, so there is no profile."]
    rows = ["Samples of `perf` under full load, as parts of the CPU time of a request in microseconds. Inlined functions count for their callers.", ""]
    rows += ["| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    of = {name: {kind: share * median(cpu[name]) for kind, share in shares[name].items()} for name in names}
    for kind in sorted({kind for name in names for kind in of[name]}, key=lambda kind: -max(of[name].get(kind, 0) for name in names)):
        rows.append(f"| {kind} | " + " | ".join(f"{of[name].get(kind, 0):.1f}" for name in names) + " |")
    return rows
