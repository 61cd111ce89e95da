# SPDX-License-Identifier: Apache-2.0
"""Compares the measured figures with the goals, and states the reason where a goal is not reached."""

from statistics import median

from figures import LIMITS, RING, cpu_of, ratio, spread

# Why a goal is not reached; each has a paragraph in `reasons`.
REQUEST, SEEN, ACTOR, AUDIT, CONNECTION, HALF, TWICE, IDLE, MEMORY, LOOKUP, START, CHANGES, EXTRACTOR, OTHER = range(14)
EXCHANGE = 1.30


def goals(figures, cpu):
    raw = {
        (alg, what): [one[alg][what] / 1000 for one in figures["in_process"]]
        for alg in ("ES256", "EdDSA", "RS256")
        for what in ("raw_sign", "raw_verify", "extract", "extract_fresh")
    }
    static = cpu["static answer"]
    total = lambda *series: [sum(values) for values in zip(*series)]
    core = lambda name: [one["core"][name] / 1000 for one in figures["in_process"]]
    rows, met, missed = [], [], []

    def goal(why, what, most, measured, digits=2, least=False):
        is_met = median(measured) >= most if least else median(measured) <= most
        (met if is_met else missed).append((why, what))
        outcome = "reached" if is_met else "**not reached**"
        rows.append(f"| {what} | {'at least ' if least else ''}{f'{most:,}' if most >= 100 else f'{most:.3g}'} | {spread(measured, digits)} | {outcome} |")

    def known(what, value):
        rows.append(f"| {what} | | {value} | |")

    for alg, most in (("ES256", 1.40), ("EdDSA", 1.30), ("RS256", 1.10)):
        limit = total(static, raw[alg, "raw_sign"])
        goal(REQUEST, f"client credentials {alg} ÷ (static answer + raw signature)", most, ratio(cpu[f"client credentials {alg}"], limit))
    for alg in ("ES256", "EdDSA"):
        limit = total(static, raw[alg, "raw_sign"], raw[alg, "raw_verify"])
        goal(REQUEST, f"exchange {alg} ÷ (static + verification + signature)", EXCHANGE, ratio(cpu[f"exchange {alg}"], limit))
    seen = cpu["exchange ES256, subject seen before"]
    goal(SEEN, "exchange with a subject seen before ÷ client credentials", 1.10, ratio(seen, cpu["client credentials ES256"]))
    goal(ACTOR, "exchange with an actor seen before ÷ exchange", 1.0, ratio(cpu["exchange ES256 with actor"], cpu["exchange ES256"]))
    records = cost_of_records(figures)
    # Neither the line of the log nor the record in the store.
    busiest = max(records, key=int)
    bare = [quiet - record for quiet, record in zip(cpu["client credentials ES256, no log"], records[busiest])]
    goal(AUDIT, "client credentials with audit ÷ without", 1.15, ratio(cpu["client credentials ES256"], bare))
    for rate, costs in records.items():
        known(f"a record in the store at {int(rate):,} a second, µs", spread(costs))
    shares = figures.get("profile", {}).get("client credentials ES256")
    if shares:
        known(f"{LIMITS}, by samples, µs", f"{shares.get(LIMITS, 0) * median(cpu['client credentials ES256']):.1f}")
    goal(OTHER, "client credentials in the core alone, µs", 5, core("client_credentials"))
    goal(OTHER, "exchange in the core alone, µs", 12, core("exchange"))
    if count := figures["allocations"].get("client_credentials"):
        goal(OTHER, "allocations of client credentials in the core", 12, [count], 0)
    if "client credentials oidc-provider ES256" in cpu:
        cost = ratio(cpu["client credentials ES256"], cpu["client credentials oidc-provider ES256"])
        goal(REQUEST, "CPU of an ES256 token ÷ oidc-provider's", 1 / 12, cost, 3)
    of = {name: cpu_of(runs) for name, runs in figures["connections"].items()}
    for way, most in (("TLS, full handshake", 1.1), ("TLS, resumed, 1 client", 1.15), ("TLS, resumed, 10,000 clients", 1.15)):
        token, answer = of[f"client credentials ES256, {way}"], of[f"static answer, {way}"]
        goal(CONNECTION, f"a connection for each token ({way}) ÷ the same with a static answer", most, ratio(token, answer))
    crowded, few = (of[f"client credentials ES256, TLS, resumed, {clients} clients"] for clients in ("10,000", "300"))
    goal(CONNECTION, "a resumed connection of 10,000 clients ÷ of 300", 1.05, ratio(crowded, few))
    measured = figures["operation"]
    half = [one["latency_us"] for one in measured["half"]["loads"]]
    goal(HALF, "p99 ÷ p50 at half of the capacity", 3, [one["p99"] / one["p50"] for one in half])
    twice = measured["overloaded"]
    goal(TWICE, "p99 of what is answered at twice the capacity (RS256), ms", 1000, [one["during"]["latency_us"]["p99"] / 1000 for one in twice], 0)
    answered = [one["during"]["per_second"] / one["capacity"] for one in twice]
    goal(TWICE, "answered at twice the capacity ÷ the capacity (RS256)", 0.9, answered, least=True)
    goal(IDLE, "memory of an idle connection, bytes", 8000, [measured["held"]["bytes_each"]], 0)
    goal(IDLE, "memory of an idle connection with TLS, bytes", 8000, [measured["held_tls"]["bytes_each"]], 0)
    goal(MEMORY, "memory after the load, MiB", 24, [one["rss_kib"] / 1024 for one in figures["loads"]["client credentials ES256"]], 1)
    goal(MEMORY, "the binary, MB", 12, [measured["binary"] / 1e6], 1)
    goal(OTHER, "start to first token, ms", 15, [second * 1000 for second in figures["cold_start"]["ES256"]], 0)
    cores = measured["two_cores"]
    of_cores = lambda what: ratio(*([one[what] for one in cores[name]] for name in ("two", "one")))
    if cores["is_apart"]:
        goal(OTHER, "tokens on two cores ÷ on one", 1.9, of_cores("per_second"), least=True)
    else:
        known("tokens on two cores ÷ on one: at least 1.9", "not measured: the load needs a third core")
        known("CPU time of a token with two workers ÷ with one, while the load shares the second core", spread(of_cores("cpu_us_per_request"), 2))
    crowd = figures["many"]
    many = f"{crowd['clients']:,} clients: "
    goal(OTHER, many + "bytes each in memory", 200, [crowd["bytes_per_client"]], 0)
    goal(LOOKUP, many + "a lookup, ns CPU", 250, [one["lookup_cpu_ns"] for one in crowd["lookup"]], 0)
    goal(START, many + "seconds from start to first token on one core", 1.5, crowd["start_seconds"])
    p99 = lambda runs: [one["latency_us"]["p99"] for one in runs]
    goal(CHANGES, many + "p99 while clients change ÷ p99 without changes", 1.05, ratio(p99(crowd["changing"]), p99(crowd["still"])))
    goal(OTHER, "extractor, ES256 token seen before, µs", 2, raw["ES256", "extract"])
    goal(EXTRACTOR, "extractor, ES256 token not seen before ÷ raw verification", 1.1, ratio(raw["ES256", "extract_fresh"], raw["ES256", "raw_verify"]))
    head = ["| what | at most | measured | |", "|---|---|---|---|"]
    return head + rows, len(met), missed


def cost_of_records(figures):
    """At each rate: the more records a second there are, the more are written together. The highest rate is nearest to that of the load."""
    return {rate: [one["cpu_us_per_record"] for one in runs] for rate, runs in figures["recording"].items()}


def goals_line(reached, missed):
    if not missed:
        return f"All {reached} are reached."
    return f"{reached} of {reached + len(missed)} are reached. [The others](#goals-that-are-not-reached) are listed with the reasons."


def unmet(figures, cpu, missed):
    """The goals that are not reached, each group with its reason."""
    if not missed:
        return []
    texts = reasons(figures, cpu)
    lines = ["### Goals that are not reached", ""]
    for why in sorted({why for why, _ in missed}):
        title, text = texts[why]
        which = [f"- {what}" for other, what in missed if other == why]
        lines += [f"**{title}**", "", *which, "", text, ""]
    return lines


def reasons(figures, cpu):
    of = lambda alg, what: median([one[alg][what] / 1000 for one in figures["in_process"]])
    us = lambda name: median(cpu[name])
    lookup = median([one["lookup_cpu_ns"] for one in figures["many"]["lookup"]])
    read = median([one["memory_read_cpu_ns"] for one in figures["many"]["lookup"]])
    still = [one["latency_us"]["p99"] for one in figures["many"]["still"]]
    half = [one["latency_us"]["p99"] for one in figures["operation"]["half"]["loads"]]
    of_read = median([one["read_cpu_seconds"] for one in figures["many"]["lookup"]])
    records = cost_of_records(figures)
    gathered = figures["operation"]["half"]["capacity"] / 2 / 10
    of_record = median(records[max(records, key=int)])
    record_costs = " and ".join(f"{median(costs):.1f} µs at {int(rate):,} a second" for rate, costs in records.items())
    first = of("ES256", "extract_fresh")
    static, alone = us("static answer"), of("ES256", "raw_sign") + of("ES256", "raw_verify")
    requests = """Besides the static answer and the cryptography, no single part dominates. HTTP and the kernel take more time than for the static answer,
because request and response are longer, and more code shares the CPU caches. Less work (no log, no record) or another HTTP server under
the same routes would change the ratio."""
    exchange = figures.get("profile", {}).get("exchange ES256")
    if exchange:
        ring = exchange.get(RING, 0) * us("exchange ES256")
        requests += f"""

In an exchange, signatures and hashes take {ring:.0f} µs. One verification and one signature alone, repeated, take {alone:.0f}. So the goal leaves
{EXCHANGE * (static + alone) - ring:.0f} µs for HTTP, kernel and everything else; the static answer takes {static:.0f}."""
    return {
        REQUEST: ("Client credentials and exchanges", requests),
        SEEN: (
            "An exchange with a subject seen before",
            """The signature of the subject's token is not verified again, but the token is read, and its claims, rights and status are checked, which client
credentials have none of. Only to remember the outcome of these checks would save them, and then a revocation would come too late.""",
        ),
        HALF: (
            "Latency at half of the capacity",
            f"""The server has one core here, which also writes the audit: every 100 ms some {gathered:,.0f} records, {gathered * of_record / 1000:.1f} ms of CPU time, while requests wait. p99 was
between {min(half):,.0f} and {max(half):,.0f} µs in different rounds. On a server with a second core the two do not compete. Smaller batches would shorten the wait and make each
record more expensive: {record_costs}.""",
        ),
        TWICE: (
            "Twice the capacity",
            """No more signatures wait than are made within 0.8 s; HTTP and the answers with 503 take the rest. A shorter queue would shed more of a burst.""",
        ),
        START: (
            "The start with many clients",
            f"""Reading and decoding all clients takes {of_read:.2f} s of CPU, on the core that also runs SQLite and the rest of the start. A
snapshot in another format than SQLite's rows would be read faster.""",
        ),
        ACTOR: (
            "An exchange with an actor",
            """This exchange does everything that an exchange without an actor does, and also parses and checks the actor's token. That token was verified before
and is cached, so it costs no verification. The ratio cannot fall below 1 by more than the variation between rounds: only a rule less would change that.""",
        ),
        IDLE: (
            "Memory of idle connections",
            """actix-http gives each connection two buffers of 8 KiB, which it keeps while the connection is idle. A request and its answer have filled at
least one page of 4 KiB of each, so 8,192 bytes are taken before the state of the connection and of TLS. A version of actix-http that returns the
buffers of an idle connection would change that.""",
        ),
        MEMORY: (
            "Memory",
            f"""Of the {figures['all_pages'] / 2**20:.1f} MiB of the server with ES256, {figures['file_pages'] / 2**20:.1f} are pages of the program and of the C library, which several servers on one machine share. The program contains SQLite, PostgreSQL's
protocol, TLS, the page and the client of identity providers. Features of Cargo to leave them out would make it smaller; the command has none, so that there is
one program to support.""",
        ),
        LOOKUP: (
            "A lookup of a client",
            f"""A lookup reads three memory locations that are in no CPU cache, one after the other: the hash, the entry of the client, and the client. One read at a
random location in the same amount of memory takes {read:.0f} ns here. A lookup takes {lookup / read:.1f} times that; the goal corresponds to {250 / read:.1f} reads. In a virtual machine each read
also walks two sets of page tables, as the measurement with huge pages shows in part. Clients in the table itself would save one read of three, and copy
all of them whenever one changes.""",
        ),
        CHANGES: (
            "The 99th percentile while clients change",
            f"""The server, the load, the change and the disk share two cores. Without any change, the 99th percentile was between {min(still):,.0f} and {max(still):,.0f} µs in different rounds.
A machine with a core for each of them would show what the change alone costs.""",
        ),
        EXTRACTOR: (
            "The extractor's first time",
            f"""Besides the verification of the signature, splitting and decoding the token, its claims, its hash and the entry in the cache take {first - of('ES256', 'raw_verify'):.1f} µs, and the goal
leaves {0.1 * of('ES256', 'raw_verify'):.1f}. Without the cache it would be less, and the next request with the same token would cost a verification.""",
        ),
        AUDIT: (
            "The audit",
            f"""A request takes {us('client credentials ES256'):.1f} µs with the log line and the record in the store, and {us('client credentials ES256, no log'):.1f} µs without the
log line. The record takes {median(records[max(records, key=int)]):.1f} µs of that. The goal leaves 15 % of the rest for log line and record.""",
        ),
        CONNECTION: (
            "A connection for each token",
            f"""A token takes {us('client credentials ES256') - static:.0f} µs more than a static answer on a connection that is kept. The goals leave a tenth or 15 % of a
handshake for that. On a new connection, the server also counts the connection and its handshake by source, and limits their time. Only a handshake
that is more expensive would change the ratio much.""",
        ),
        OTHER: ("Others", "What stands in the way is not known, and was not measured."),
    }
