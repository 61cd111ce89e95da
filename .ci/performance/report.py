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

from figures import LIMITS, RING, ratio, spread
from goals import goals, goals_line, unmet

DAY = 86_400
BUILDS = "## Profiles of Cargo"
WARM_UP = 6


def text(figures, before=""):
    """The page. The section about builds, which another command measures, stays as it was before."""
    loads = figures["loads"]
    cpu = {name: [one["cpu_us_per_request"] for one in runs] for name, runs in loads.items()}
    table, reached, missed = goals(figures, cpu)
    parts = ["# What a token costs", "", *summary(figures, cpu), goals_line(reached, missed), ""]
    parts += ["## Goals", "", *table, "", *unmet(figures, cpu, missed)]
    parts += [HOW.format(**figures), machine_line(figures["machine"])]
    parts += ["## CPU time of a request", "", *requests(loads, cpu), ""]
    parts += ["## A connection for each token", "", *connections(figures["connections"]), ""]
    parts += ["## In one process", "", *in_process(figures), ""]
    parts += ["## From start to first token, and memory", "", *starts(figures), ""]
    parts += ["## Many clients", "", *many(figures["many"]), ""]
    parts += ["## After years", "", *after_years(figures["years"]), ""]
    parts += ["## What a core does for a token", "", *profile(figures["profile"], cpu), ""]
    parts += ["## Scale on paper", "", *paper(figures, cpu), ""]
    parts += re.findall(rf"^{BUILDS}\n.*?(?=^## |\Z)", before, re.MULTILINE | re.DOTALL)
    return "\n".join(parts)


HOW = """## How it was measured

`.ci/performance/run` measures and writes this page; do not edit it. Every figure is the median of {rounds} rounds of {seconds:g} s,
with the smallest and the largest in parentheses. Each round measures each case once, with the server on one core and the
load, which never sleeps, on another. CPU time is what the kernel counts for all threads of the server's process.

On a shared machine, times vary by a third and more. Compare ratios within one run, not times of different runs.
"""


def summary(figures, cpu):
    """What most readers want to know, before any table."""
    us = lambda name: median(cpu[name])
    es256, rs256, exchange = (us(name) for name in ("client credentials ES256", "client credentials RS256", "exchange ES256"))
    of = lambda what: median([one["ES256"][what] / 1000 for one in figures["in_process"]])
    memory = median([one["rss_kib"] / 1024 for one in figures["loads"]["client credentials ES256"]])
    crowd = figures["many"]
    lines = [
        f"- **Tokens.** One core issues up to {1e6 / es256:,.0f} tokens a second with ES256 ({es256:,.1f} µs of CPU time each), or {1e6 / rs256:,.0f} with RS256",
        f"  ({rs256:,.1f} µs). It makes up to {1e6 / exchange:,.0f} exchanges a second ({exchange:,.1f} µs each).",
        "- **Scale.** A token waits for no database, so the rate grows with the number of cores and nodes. [Scale on paper](#scale-on-paper) has an example.",
        f"- **Memory and start.** The server takes {memory:,.1f} MiB under load, and {crowd['bytes_per_client']:,.0f} bytes for each registered client. It issues the first token",
        f"  {median(figures['cold_start']['ES256']) * 1000:,.0f} ms after its start; with {crowd['clients']:,} clients, after {median(crowd['start_seconds_two_cores']):,.2f} s.",
        f"- **At a catalog.** The extractor takes {of('extract'):,.1f} µs for a token that it has verified before, and {of('extract_fresh'):,.1f} µs otherwise, of which {of('raw_verify'):,.1f}",
        "  are the verification of the signature (ES256).",
    ]
    peer = "client credentials oidc-provider ES256"
    if peer in cpu:
        of_peer = median([one["rss_kib"] / 1024 for one in figures["loads"][peer]])
        lines.append(f"- **Compared with oidc-provider** on the same machine: {es256:,.1f} instead of {us(peer):,.1f} µs for a token, {memory:,.1f} instead of {of_peer:,.1f} MiB.")
    return lines


def machine():
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
    }


def machine_line(machine):
    return (
        f"Measured on {machine['cores']} cores of {machine['cpu']} with {machine['memory_gib']} GiB, {machine['system']}, {machine['rustc']}; "
        f"the load average was {machine['load_average']:.1f} at the beginning.\n" + crowded(machine)
    )


def crowded(machine):
    if machine["load_average"] < machine["cores"] / 2:
        return ""
    return (
        "\n**The machine was not quiet.** CPU times include the effect of shared caches. Elapsed times (starts, reading a store, a lookup, latencies,\n"
        "requests a second) include waiting for a core, and are several times what they would be.\n"
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
        "Of what the extractor takes for a new token besides the verification, about a third is splitting and decoding the token; the rest is its claims, its hash, and the",
        "entry in the cache. Hardware performance counters are not available in a virtual machine like this one.",
    ]
    rows += ["", "| part of the core, without signatures | µs | allocations |", "|---|---|---|"]
    for name in runs[0]["core"]:
        allocations = figures["allocations"].get(name, "")
        rows.append(f"| {name.replace('_', ' ')} | {spread([one['core'][name] / 1000 for one in runs], 2)} | {allocations} |")
    return rows


def starts(figures):
    rows = ["| server | start to first token, ms | memory after the load, MiB |", "|---|---|---|"]
    for name, seconds in figures["cold_start"].items():
        runs = figures["loads"].get(f"client credentials {name}")
        if runs is None:
            continue
        milliseconds = [s * 1000 for s in seconds]
        rows.append(f"| {'' if ' ' in name else 'Tokenberg '}{name} | {spread(milliseconds, 0)} | {spread([one['rss_kib'] / 1024 for one in runs])} |")
    return rows


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
    rows = [f"A store with {what}, compared with one that has only what the load needs. Single-use identifiers are in the database only, not in memory.", ""]
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


def paper(figures, cpu):
    """From the measured CPU time of a token alone."""
    es256, rs256 = (median(cpu[f"client credentials {alg}"]) for alg in ("ES256", "RS256"))
    exchange = median(cpu["exchange ES256"])
    per_core = 1e6 / es256
    rows = [
        "Computed from the CPU times above. A client that renews an hourly token after half its lifetime sends 48 requests a day. Half of each core is left free for peaks.",
        "",
        "| | ES256 | RS256 |",
        "|---|---|---|",
        f"| tokens a second on one core, at most | {per_core:,.0f} | {1e6 / rs256:,.0f} |",
        f"| tokens a day on one core, half busy | {per_core / 2 * DAY:,.0f} | {1e6 / rs256 / 2 * DAY:,.0f} |",
        f"| clients of that | {per_core / 2 * DAY / 48:,.0f} | {1e6 / rs256 / 2 * DAY / 48:,.0f} |",
        f"| exchanges a second on one core, at most | {1e6 / exchange:,.0f} | |",
    ]
    for cores, name in ((8, "a node of 8 cores"), (32, "4 such nodes over one database")):
        rows.append(f"| tokens a second, {name} | {per_core * cores:,.0f} | {1e6 / rs256 * cores:,.0f} |")
    crowd = figures["many"]
    rows += [
        "",
        "A token waits for no database and for nothing else that nodes share, so the rates grow in proportion. The cores that sign saturate",
        f"first. Memory is {crowd['bytes_per_client']:,.0f} bytes for each client on every node, however many tokens are issued. Two things reach the database: changes of",
        "clients, keys and revocations, which every node reads, and the audit's records, in batches. Several nodes over one database were not measured.",
    ]
    return rows


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
