# SPDX-License-Identifier: Apache-2.0
"""Draws docs/pictures/performance.svg: the CPU time of a token, here and with other servers, as bars on a logarithmic scale."""

import sys
from math import log10
from statistics import median

from servers import ROOT

sys.path.append(str(ROOT / "docs" / "pictures"))

from draw import box, line, picture, text  # noqa: E402

from figures import compared, raw_limit  # noqa: E402

LEFT, WIDTH, DECADES = 150, 480, (10, 100, 1_000, 10_000)
BAR, STEP = 20, 28


def at(microseconds):
    """Where on the scale, within it."""
    within = min(max(microseconds, DECADES[0]), DECADES[-1])
    return LEFT + WIDTH * log10(within / DECADES[0]) / log10(DECADES[-1] / DECADES[0])


def draw(figures):
    groups = [
        ("On a connection that is kept", "token", raw_limit(figures, "token")),
        ("With a new TLS connection for each token", "new_connection", raw_limit(figures, "new_connection")),
    ]
    parts, y, said = [], 30, []
    for title, what, limit in groups:
        rows = [(server, costs) for server, of in compared(figures).items() if (costs := of.get(what))]
        parts.append(text(20, y, title, "strong"))
        top = y + 12
        bottom = top + STEP * len(rows)
        parts += [line(f"M{at(n):.0f} {top}V{bottom}", "page") for n in DECADES]
        for n, (server, costs) in enumerate(rows):
            height, cost = top + STEP * n + 4, median(costs)
            ratio = "" if n == 0 else f", × {cost / median(rows[0][1]):.0f}"
            end = at(cost)
            parts += [
                text(LEFT - 10, height + 15, server, "strong" if n == 0 else "", "end"),
                box(LEFT, height, round(max(end - LEFT, 2)), BAR, "self" if n == 0 else "card"),
                text(round(end) + 8, height + 15, f"{cost:,.0f} µs{ratio}", "strong" if n == 0 else ""),
            ]
            said.append(f"{title}: {server} {cost:,.0f} µs.")
        if limit:
            parts.append(line(f"M{at(limit):.0f} {top + 2}v{STEP - 4}", "line dashed"))
        y = bottom + 34
    parts += [text(at(n), y - 14, f"{n:,} µs", "small", "middle") for n in DECADES]
    parts.append(text(20, y + 12, "CPU time of an ES256 token. Dashed: a static answer, and the bare signature, on the same server.", "small"))
    return picture(800, y + 30, "CPU time of a token", " ".join(said), parts)
