# SPDX-License-Identifier: Apache-2.0
"""Makes docs/performance.md of what was measured. Every figure in it is one of these, or computed of them here."""

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

DAY = 86_400
WARM_UP = 6


def text(figures):
    loads = figures["loads"]
    cpu = {name: [one["cpu_us_per_request"] for one in runs] for name, runs in loads.items()}
    parts = [HEAD.format(**figures), machine_line(figures["machine"])]
    parts += ["## Goals", "", *goals(figures, cpu), ""]
    parts += ["## CPU time of a request", "", *requests(loads, cpu), ""]
    parts += ["## In one process", "", *in_process(figures), ""]
    parts += ["## From start to first token, and memory", "", *starts(figures), ""]
    parts += ["## Many clients", "", *many(figures["many"]), ""]
    parts += ["## After years", "", *after_years(figures["years"]), ""]
    parts += ["## What a core does for a token", "", *profile(figures["profile"], cpu), ""]
    parts += [why(figures, cpu), ""]
    parts += ["## Scale on paper", "", *paper(figures, cpu), ""]
    return "\n".join(parts)


HEAD = """# What a token costs

Written by `.ci/performance/run`; do not edit. Every figure is the median of {rounds} rounds of {seconds:g} s, with the smallest and
the largest in parentheses. In each round each case is measured once, the server on one core and the load, which never sleeps, on another. CPU time is
what the kernel counts for the server's process, with its threads. On a machine that others use too, times rise and fall
by a third and more; what is to be trusted are ratios within one run.
"""


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
        f"{machine['load_average']:.1f} processes wanted a core when it began.\n" + crowded(machine)
    )


def crowded(machine):
    if machine["load_average"] < machine["cores"] / 2:
        return ""
    return (
        "\n**That is more than a quiet machine has.** What is told in CPU time had to share caches; what is told as time on the clock (starts, reading\n"
        "a store, a look-up, latencies, requests a second) had to wait for a core, and is several times what it would be.\n"
    )


def spread(values, digits=1):
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} – {max(values):,.{digits}f})"


def ratio(numerators, denominators):
    """Round by round, because only what was measured at the same time compares."""
    return [n / d for n, d in zip(numerators, denominators)]


def goals(figures, cpu):
    raw = {
        (alg, what): [one[alg][what] / 1000 for one in figures["in_process"]]
        for alg in ("ES256", "EdDSA", "RS256")
        for what in ("raw_sign", "raw_verify", "extract", "extract_fresh")
    }
    static = cpu["static answer"]
    total = lambda *series: [sum(values) for values in zip(*series)]
    core = lambda name: [one["core"][name] / 1000 for one in figures["in_process"]]
    rows = []

    def goal(number, what, most, measured, digits=2):
        reached = "reached" if median(measured) <= most else "**not reached**"
        rows.append(f"| {number} | {what} | {most:.3g} | {spread(measured, digits)} | {reached} |")

    for alg, most in (("ES256", 1.25), ("EdDSA", 1.25), ("RS256", 1.05)):
        limit = total(static, raw[alg, "raw_sign"])
        goal(1, f"client credentials {alg} ÷ (static answer + raw signature)", most, ratio(cpu[f"client credentials {alg}"], limit))
    for alg in ("ES256", "EdDSA"):
        limit = total(static, raw[alg, "raw_sign"], raw[alg, "raw_verify"])
        goal(1, f"exchange {alg} ÷ (static + verification + signature)", 1.25, ratio(cpu[f"exchange {alg}"], limit))
    goal(1, "exchange with an actor seen before ÷ exchange", 1.0, ratio(cpu["exchange ES256 with actor"], cpu["exchange ES256"]))
    if "client credentials oidc-provider ES256" in cpu:
        peer = "oidc-provider ES256"
        goal(2, "CPU of an ES256 token ÷ oidc-provider's", 1 / 12, ratio(cpu["client credentials ES256"], cpu[f"client credentials {peer}"]), 3)
        memory = lambda name: [one["rss_kib"] for one in figures["loads"][name]]
        goal(2, "memory ÷ oidc-provider's", 1 / 8, ratio(memory("client credentials ES256"), memory(f"client credentials {peer}")), 3)
        start = figures["cold_start"]
        goal(2, "start to first token ÷ oidc-provider's", 1 / 12, ratio(start["ES256"], start[peer]), 3)
    goal(3, "client credentials in the core alone, µs", 5, core("client_credentials"))
    goal(3, "exchange in the core alone, µs", 12, core("exchange"))
    if count := figures["allocations"].get("client_credentials"):
        goal(3, "allocations of client credentials in the core", 12, [count], 0)
    crowd = figures["many"]
    of = f"{crowd['clients']:,} clients: "
    goal(4, of + "bytes each in memory", 200, [crowd["bytes_per_client"]], 0)
    goal(4, of + "a look-up, ns CPU", 250, [one["lookup_cpu_ns"] for one in crowd["lookup"]], 0)
    goal(4, of + "seconds from start to first token", 1.5, crowd["start_seconds_two_cores"])
    p99 = lambda runs: [one["latency_us"]["p99"] for one in runs]
    goal(4, of + "p99 while clients change ÷ p99 while none does", 1.05, ratio(p99(crowd["changing"]), p99(crowd["still"])))
    goal(5, "extractor, ES256 token seen before, µs", 2, raw["ES256", "extract"])
    goal(5, "extractor, ES256 token not seen before ÷ raw verification", 1.1, ratio(raw["ES256", "extract_fresh"], raw["ES256", "raw_verify"]))
    # Neither the line of the log nor the record in the store.
    records = {rate: [one["cpu_us_per_record"] for one in told] for rate, told in figures["recording"].items()}
    # At the rate that comes nearest to that of the load: the more there are, the more are written together.
    busiest = max(records, key=int)
    bare = [quiet - record for quiet, record in zip(cpu["client credentials ES256, no log"], records[busiest])]
    goal(6, "client credentials with audit ÷ without", 1.1, ratio(cpu["client credentials ES256"], bare))
    for rate, told in records.items():
        rows.append(f"| 6 | a record in the store at {int(rate):,} a second, µs | | {spread(told)} | |")
    shares = figures.get("profile", {}).get("client credentials ES256")
    if shares:
        rows.append(f"| 6 | {LIMITS}, by samples, µs | | {shares.get(LIMITS, 0) * median(cpu['client credentials ES256']):.1f} | |")
    head = ["| goal | what | at most | measured | |", "|---|---|---|---|---|"]
    return head + rows


def requests(loads, cpu):
    rows = ["| case | µs CPU a request | requests a second | p50, ms | p99, ms |", "|---|---|---|---|---|"]
    for name, runs in loads.items():
        per_second = [one["per_second"] for one in runs]
        p50, p99 = ([one["latency_us"][q] / 1000 for one in runs] for q in ("p50", "p99"))
        rows.append(f"| {name} | {spread(cpu[name])} | {median(per_second):,.0f} | {median(p50):.1f} | {median(p99):.1f} |")
    return rows + [
        "",
        "The load keeps 16 connections busy (4 with Authlib), so the latencies are those of a full queue. The log goes to the null device. An",
        "exchange is of 6,000 subject tokens in turn, more than are remembered, unless it says otherwise.",
    ]


def in_process(figures):
    runs = figures["in_process"]
    rows = ["| algorithm | raw signature, µs | ours, whole token | raw verification | extractor, first time | of that reading it | seen before |", "|---|---|---|---|---|---|---|"]
    for alg in ("ES256", "EdDSA", "RS256", "PS256", "ES384"):
        values = [[one[alg][n] / 1000 for one in runs] for n in ("raw_sign", "sign", "raw_verify", "extract_fresh", "read", "extract")]
        rows.append(f"| {alg} | " + " | ".join(spread(v) for v in values) + " |")
    ours, theirs = ([one["EdDSA"]["sign"] / 1000 for one in figures[name]] for name in ("in_process", "in_process_aws_lc"))
    rows += ["", f"In a build with the feature `aws-lc`, a whole token with EdDSA takes {spread(theirs)} µs, {spread(ratio(theirs, ours), 2)} of that."]
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
    rows.append(f"| a look-up in an order that no cache foresees, ns | {spread([one['lookup_ns'] for one in lookup], 0)} |")
    rows.append(f"| the same, ns CPU | {spread([one['lookup_cpu_ns'] for one in lookup], 0)} |")
    rows.append(f"| the same on huge pages (`GLIBC_TUNABLES=glibc.malloc.hugetlb=1`) | {spread([one['lookup_cpu_ns'] for one in figures['lookup_huge']], 0)} |")
    rows.append(f"| one read at a random place of as much memory as they fill, ns CPU | {spread([one['memory_read_cpu_ns'] for one in lookup], 0)} |")
    rows.append(f"| client credentials, µs CPU | {spread([one['cpu_us_per_request'] for one in figures['loads']])} |")
    for q in ("p50", "p99"):
        rows.append(f"| {q} at 1,000 requests a second, µs | {spread([one[q] for one in still], 0)} |")
        rows.append(f"| the same while a client changes five times a second | {spread([one[q] for one in changing], 0)} |")
    return rows


def after_years(figures):
    held, much, nothing = figures["held"], figures["much"], figures["nothing"]
    what = f"{held['clients']:,} clients, {held['revocations']:,} revocations, {held['used_ids']:,} used identifiers"
    rows = [f"A store with {what}, beside one with nothing but what the load needs; single-use identifiers are the database's alone.", ""]
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
    return rows + ["", f"Reading clients and revocations takes {times}. A request with a DPoP proof waits until the disk has its identifier."]


def why(figures, cpu):
    """What stands in the way of the goals that are not reached, as far as it can be told in figures."""
    of = lambda alg, what: median([one[alg][what] / 1000 for one in figures["in_process"]])
    lookup = median([one["lookup_cpu_ns"] for one in figures["many"]["lookup"]])
    read = median([one["memory_read_cpu_ns"] for one in figures["many"]["lookup"]])
    still = [one["latency_us"]["p99"] for one in figures["many"]["still"]]
    static, alone = median(cpu["static answer"]), of("ES256", "raw_sign") + of("ES256", "raw_verify")
    text = f"""**Client credentials and exchange.** Beside the static answer and the cryptography, the time is spread over everything that a request passes
through, and no part of it is the one that is too much: HTTP and the kernel take more than for the static answer because a request and its answer are longer
and the caches hold more than one loop. What would change it is less to do (no log, no record) or another HTTP server under the same routes.
An RSA signature is made on another thread, so that nobody else waits for it; on one core that costs switches between threads, each way.
"""
    exchange = figures.get("profile", {}).get("exchange ES256")
    if exchange:
        ring = exchange.get(RING, 0) * median(cpu["exchange ES256"])
        text += f"""In an exchange, signatures and hashes alone take {ring:.0f} µs, where one verification and one signature by themselves, over and over, take {alone:.0f}: the goal leaves
{1.25 * (static + alone) - ring:.0f} µs for HTTP, kernel and all else together, of which the static answer takes {static:.0f}.
"""
    return text + f"""
**Memory.** Of the {figures['all_pages'] / 2**20:.1f} MiB that the server with ES256 fills, {figures['file_pages'] / 2**20:.1f} are pages of the program itself and of the C library, which
several servers on one machine share.

**A look-up** touches three places of memory that no cache has, one after the other: where the hash is, where the client is, and the client. One read at a
random place of as much memory takes {read:.0f} ns here, and a look-up {lookup / read:.1f} times that, so the goal is that of {250 / read:.1f} reads. In a virtual machine each
costs a walk through two sets of page tables besides, as the same on huge pages shows in part.

**The 99th percentile while clients change.** The server, the load, the change and the disk share two cores. Without any change it was between {min(still):,.0f} and {max(still):,.0f} µs
from round to round.

**The extractor's first time.** Of what it takes beside the verification, taking the token apart is a third or so; the rest is its claims, its hash, and the place that
remembers it. The processor's own counters are not to be had in a virtual machine like this one."""


def paper(figures, cpu):
    """From the measured CPU time of a token alone; no more is known here."""
    es256, rs256 = (median(cpu[f"client credentials {alg}"]) for alg in ("ES256", "RS256"))
    exchange = median(cpu["exchange ES256"])
    per_core = 1e6 / es256
    rows = [
        "A client that renews an hourly token at half its life asks 48 times a day. Half of a core is left free for peaks.",
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
        "A token needs no database, so nodes share nothing that a token waits for, and the table grows in proportion; what saturates first is",
        f"the cores that sign. Memory is {crowd['bytes_per_client']:,.0f} bytes for each client on every node, whatever is issued. Only changes reach the database:",
        "clients, keys, revocations, each one transaction, and every node reads what has changed.",
    ]
    return rows


def allocations():
    """Of the parts of the core, as `cargo bench` counts them."""
    command = ["cargo", "bench", "--locked", "--quiet", "-p", "tokenberg-bench", "--bench", "parts", "--", "core", "--max-time", "0.1"]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parent).stdout
    found = counted(told)
    assert {"client_credentials", "exchange"} <= found.keys(), f"cargo bench told no allocations:\n{told}"
    return found


def counted(told):
    """What was allocated and what grew, of what divan prints: the most of a call. Of what shrank or was given back nothing counts."""
    counts = {}
    for name, lines in re.findall(r"─ (\w+) [^\n]*\n(.*?)(?=─ |\Z)", told, re.DOTALL):
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
        told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=120).stdout
    shares = {}
    for line in told.splitlines():
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
    (r"^tokenberg$", "the main thread: chaining the records of the audit, following the store"),
)

RING = "signatures and hashes: ring"
LIMITS = "metrics, limiter, revocations, looking up clients"

# The first that fits.
KINDS = (
    (r"\[k\]|\[kernel|\[vdso", "the kernel: the socket, waiting, random bits"),
    (r"ring_core|ecp_nistz|ring::|p256|bn_|x25519|GFp", RING),
    (r"malloc|_int_|cfree|realloc|calloc|unlink_chunk|[^a-z]free", "allocating"),
    (r"throttle|failures::|metrics|revoc|recall|remembered|sources::|shards", LIMITS),
    (r"tracing|core::fmt|alloc::fmt|nu_ansi|logging|audit|record", "the event of the log and the record of the audit"),
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
    rows = ["Samples by `perf` under full load, as parts of the CPU time of a request in microseconds. What the compiler has put into its callers counts there.", ""]
    rows += ["| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    of = {name: {kind: share * median(cpu[name]) for kind, share in shares[name].items()} for name in names}
    for kind in sorted({kind for name in names for kind in of[name]}, key=lambda kind: -max(of[name].get(kind, 0) for name in names)):
        rows.append(f"| {kind} | " + " | ".join(f"{of[name].get(kind, 0):.1f}" for name in names) + " |")
    return rows
