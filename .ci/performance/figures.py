# SPDX-License-Identifier: Apache-2.0
"""Prints measured values, and names the parts of a profile that several pages of the report use."""

from statistics import median

RING = "signatures and hashes: ring"
LIMITS = "metrics, limiter, revocations, looking up clients"


def spread(values, digits=1):
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} – {max(values):,.{digits}f})"


def ratio(numerators, denominators):
    """Round by round, because only what was measured at the same time compares."""
    return [n / d for n, d in zip(numerators, denominators)]


def raw_limit(figures, what):
    """In microseconds, what the transport and the bare ES256 signature take: no token can cost less on this machine."""
    if what == "token":
        static = figures["loads"]["static answer"]
    else:
        static = figures["connections"]["static answer, TLS, full handshake"]
    return median(cpu_of(static)) + median([one["ES256"]["raw_sign"] / 1000 for one in figures["in_process"]])


def cpu_of(runs):
    return [one["cpu_us_per_request"] for one in runs]


def compared(figures):
    """By server, ours first: what there is of it. Of several clients of one server, the cheapest counts."""
    loads, connections, starts = figures["loads"], figures["connections"], figures["cold_start"]
    found = {}
    for server in ("Tokenberg", *figures["peers"]):
        name = "ES256" if server == "Tokenberg" else f"{server} ES256"
        token = loads.get(f"client credentials {name}")
        if not token:
            continue
        rs256 = loads.get(f"client credentials {name.replace('ES256', 'RS256')}")
        exchange = loads.get(f"exchange {name}")
        new = connections.get(f"client credentials {name}, TLS, full handshake")
        found[server] = {
            "token": cpu_of(token),
            "new_connection": new and cpu_of(new),
            "rs256": rs256 and cpu_of(rs256),
            "exchange": exchange and cpu_of(exchange),
            "mib": [one["rss_kib"] / 1024 for one in token],
            "milliseconds": [second * 1000 for second in starts.get(name, starts.get(server, []))],
        }
    return dict(sorted(found.items(), key=lambda item: (item[0] != "Tokenberg", median(item[1]["token"]))))
