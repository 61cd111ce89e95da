# SPDX-License-Identifier: Apache-2.0
"""Writes the tables of docs/operations from what the fault suite has measured, and prints the seconds of each runbook."""

import datetime
import json
import os
import platform
import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs/operations"


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())[1]) / 2**20
    return (
        f"Measured on {datetime.date.today()}: one machine with {os.cpu_count()} cores ({model[1] if model else platform.machine()}), "
        f"{memory:.0f} GiB, Linux {platform.release().split('-')[0]}; a build without optimization; everything on the loopback interface; other "
        "programs may have run beside it. The seconds depend on the machine; the counts of what was lost do not."
    )


def between(path, mark, lines):
    """Replaces what stands between the marks."""
    begin, end = f"<!-- {mark}: made by .ci/faults/run --report -->", f"<!-- end of {mark} -->"
    text = path.read_text()
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    path.write_text(f"{before}{begin}\n\n" + "\n".join(lines) + f"\n\n{end}{after}")


def title(page):
    return (DOCS / f"{page}.md").read_text().splitlines()[0].removeprefix("# ")


def versions(rows):
    return sorted({row["postgres"] for row in rows if row["postgres"]}, key=lambda name: int(re.search(r"\d+", name)[0]))


def faults(rows):
    """One row for each fault, with the seconds of Debian's PostgreSQL; and the counts of each version."""
    named = {}
    for row in rows:
        named.setdefault(row["what"], {})[row["postgres"]] = row
    columns = versions(rows)
    described = ["| fault | what clients see | writes work again after | what can be lost | test |", "|---|---|---|---|---|"]
    counted = [f"| fault | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for what, by in named.items():
        usual = next((by[name] for name in by if name and "PostgreSQL 15" in name), next(iter(by.values())))
        back = "–" if usual["back"] is None else f"{usual['back']:.1f} s"
        described.append(f"| {what} | {usual['clients']} | {back} | {usual['lost']} | `{usual['test']}` |")
        if usual["sent"] is not None:
            counted.append(f"| {what} | {' | '.join(counts(by.get(name)) for name in columns)} |")
    return described, counted


def counts(row):
    if row is None:
        return "not run"
    back = "" if row["back"] is None else f"; {row['back']:.1f} s"
    return f"{row['sent']} sent, {row['unavailable']} × 503, {row['cut']} cut, 0 wrong; {row['honored']} of {row['facts']} lost{back}"


def runbooks(rows):
    table = ["| incident | measured with | commands | seconds | until |", "|---|---|---|---|---|"]
    for row in rows:
        table.append(f"| [{title(row['page'])}]({row['page']}.md) | {row['on']} | {row['commands']} | {row['seconds']:.1f} | {row['what']} |")
    return table


def main():
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    described, counted = faults([row for row in rows if row["kind"] == "fault"])
    between(DOCS / "faults.md", "faults", [*described, "", machine()])
    between(DOCS / "faults.md", "counts", counted)
    order = [line.split("(")[1].split(".md")[0] for line in (DOCS / "README.md").read_text().splitlines() if line.startswith("- [")]
    followed = {row["page"] + row["on"]: row for row in rows if row["kind"] == "runbook"}
    followed = sorted(followed.values(), key=lambda row: order.index(row["page"]))
    between(DOCS / "README.md", "runbooks", [*runbooks(followed), "", machine()])
    for row in followed:
        print(f"{row['page']}: {row['commands']} commands, {row['seconds']:.1f} s until {row['what']}")


main()
