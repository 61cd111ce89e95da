# SPDX-License-Identifier: Apache-2.0
"""Compares the measured figures with the goals, and states the reason where a goal is not reached."""

from statistics import median

from figures import RING, cpu_of, ratio, spread

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
    texts = reasons(figures, cpu, missed)
    lines = ["### Goals that are not reached", ""]
    for why in sorted({why for why, _ in missed}):
        title, text = texts[why]
        which = [f"- {what}" for other, what in missed if other == why]
        lines += [f"**{title}**", "", *which, "", text, ""]
    return lines


def reasons(figures, cpu, missed):
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
    held, held_tls = (figures["operation"][name]["bytes_each"] for name in ("held", "held_tls"))
    new = lambda way: median([one["cpu_us_per_request"] for one in figures["connections"][f"static answer, {way}"]])
    static, alone = us("static answer"), of("ES256", "raw_sign") + of("ES256", "raw_verify")
    requests = f"""Besides the static answer and the cryptography, no single part dominates ([what a core does](#what-a-core-does-for-a-token)). Without the line of the log,
a token takes {us('client credentials ES256, no log'):.1f} instead of {us('client credentials ES256'):.1f} µs."""
    if "client credentials oidc-provider ES256" in cpu:
        requests += f"""

A twelfth of oidc-provider's CPU time is {us('client credentials oidc-provider ES256') / 12:.1f} µs; the static answer and one signature take {static + of('ES256', 'raw_sign'):.1f}. What would change that is a faster signature."""
    exchange = figures.get("profile", {}).get("exchange ES256")
    if exchange and any(why == REQUEST and what.startswith("exchange") for why, what in missed):
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
            f"""The server has one core here, which also writes the audit: every 100 ms some {gathered:,.0f} records, up to {gathered * of_record / 1000:.1f} ms of CPU time, during which requests
wait. That is probably most of it; the load, the follower of the audit and the rotation share the other core, and some of the longest waits may be theirs. p99 was
between {min(half):,.0f} and {max(half):,.0f} µs in different rounds. A second core for the server would change it. Smaller batches would shorten the wait and make each
record more expensive: {record_costs}.""",
        ),
        TWICE: (
            "Twice the capacity",
            """No more signatures wait than are made within 0.8 s; HTTP and the answers with 503 take the rest. A shorter queue would answer earlier,
and shed more of a burst.""",
        ),
        START: (
            "The start with many clients",
            f"""Reading and decoding all clients takes {of_read:.2f} s of CPU, on the core that also runs SQLite and the rest of the start. Reading
them from another format than rows of SQLite was not tried.""",
        ),
        ACTOR: (
            "An exchange with an actor",
            """This exchange does everything that an exchange without an actor does, and also parses and checks the actor's token. That token was verified before
and is cached, so it costs no verification. The ratio cannot fall below 1 by more than the variation between rounds: only a rule less would change that.""",
        ),
        IDLE: (
            "Memory of idle connections",
            f"""actix-http gives each connection two buffers of 8 KiB, which it keeps while the connection is idle, and of which a request and its answer have filled a part.
A version of it that returns the buffers of an idle connection would change that. TLS takes {held_tls - held:,.0f} bytes of each connection, which is most of the goal alone.""",
        ),
        MEMORY: (
            "Memory",
            f"""Of the {figures['all_pages'] / 2**20:.1f} MiB of the server with ES256, {figures['file_pages'] / 2**20:.1f} are pages of the program and of the C library, which several servers on one machine share. The program contains SQLite, PostgreSQL's
protocol, TLS, the page and the client of identity providers. Features of Cargo to leave parts out would make it smaller; the command has none
that leave out anything, so that there is one program to support.""",
        ),
        LOOKUP: (
            "A lookup of a client",
            f"""A lookup reads several memory locations, one after the other: the hash, the entry of the client, and the client. One read at a random location in the same
amount of memory takes {read:.0f} ns here. A lookup takes {lookup / read:.1f} times that; the goal corresponds to {250 / read:.1f} reads. Clients in the table itself would save one of
the reads, and make the copy of a part of the table, which each change needs, larger.""",
        ),
        CHANGES: (
            "The 99th percentile while clients change",
            f"""The program that makes the changes shares a core with the load, which measures. Without any change, the 99th percentile was between {min(still):,.0f} and {max(still):,.0f} µs in different rounds.
A machine with a third core would show what the change alone costs.""",
        ),
        EXTRACTOR: (
            "The extractor's first time",
            f"""Besides the verification of the signature, splitting and decoding the token, its claims, its hash and the entry in the cache take {first - of('ES256', 'raw_verify'):.1f} µs, and the goal
leaves {0.1 * of('ES256', 'raw_verify'):.1f}. Of that, only the entry in the cache could be left out, and then each request would cost a verification.""",
        ),
        AUDIT: (
            "The audit",
            f"""A request takes {us('client credentials ES256'):.1f} µs with the log line and the record in the store, and {us('client credentials ES256, no log'):.1f} µs without the
log line. The record takes {median(records[max(records, key=int)]):.1f} µs of that. The goal leaves 15 % of the rest for log line and record. Fewer fields in
both would change that.""",
        ),
        CONNECTION: (
            "A connection for each token",
            f"""A token takes {us('client credentials ES256') - static:.0f} µs more than a static answer on a connection that is kept, of which its signature takes {of('ES256', 'raw_sign'):.0f}. The goals leave
{0.1 * new('TLS, full handshake'):.0f} µs on a connection with a full handshake, and {0.15 * new('TLS, resumed, 10,000 clients'):.0f} on a resumed one. A faster signature would change that most. Of the rest, what the server does to
count and limit connections is a part that was not measured alone; nor is it known why one client that waits for each answer costs more, also with the static answer.""",
        ),
        OTHER: ("Others", "What stands in the way is not known, and was not measured."),
    }
