# SPDX-License-Identifier: Apache-2.0
"""Writes docs/compatibility.md: which client did what in this run of the matrix, of which version, and when."""

import json
import re
import time

import engines
import tools

PAGE = tools.ROOT / "docs" / "compatibility.md"

SITUATIONS = (  # a column, and the names of the cases in it
    ("settings of its page", r"^page_"),
    ("first token", r"first_token|client_credentials$|client_secret_(basic|post)_ca|private_key_jwt_(es256|eddsa)|tls_client_auth"),
    ("renewal", r"renewal|sessions_of_users_who_(are|outlive)|_is_renewed|sessions_of_users_tx"),
    ("secret with special characters", r"torture_secret"),
    ("wrong secret", r"wrong_secret|another_key"),
    ("users", r"user"),
)


def clients():
    """A row: the client, its version, and the names of its cases."""
    pinned = dict(line.split("==") for line in tools.REQUIREMENTS.read_text().splitlines() if "==" in line)
    node = json.loads(tools.NODE_PACKAGES[0].read_text())["dependencies"]
    newest = tools.JAVA_VERSIONS[0]
    for version in (newest, *tools.JAVA_VERSIONS[1:], tools.JAVA_OF_USERS):
        also = "|java_users_session" if version == newest else ""
        yield "Iceberg's Java library", version, rf"^java_{version.replace('.', '_')}_{also}"
    for engine in ("spark", "flink", "trino", "kafka-connect"):
        yield f"the same, with the settings for {engine.replace('-', ' ').title()}", newest, rf"^page_{engine}_java"
    yield "Spark", engines.SPARK_VERSION, r"^page_spark_\d"
    yield "Trino, with its users", tools.TRINO_VERSION, rf"^trino_{tools.TRINO_VERSION}_"
    yield "requests as Trino sends them for its users", "", r"^trino_(?!\d)"
    yield "PyIceberg, `credential`", pinned["pyiceberg"], r"^pyiceberg_legacy|^page_pyiceberg|^page_readme"
    yield "PyIceberg, auth manager `oauth2`", pinned["pyiceberg"], r"^pyiceberg_oauth2|^page_pyiceberg"
    yield "DuckDB", pinned["duckdb"], r"^duckdb_(?!1_4)|^page_duckdb"
    yield "ClickHouse, as chDB", engines.CHDB_VERSION, r"^page_clickhouse"
    yield "iceberg-go", engines.GO_VERSION, r"^page_iceberg_go"
    yield "iceberg-rust", engines.RUST_VERSION, r"^page_iceberg_rust"
    yield "SDK and CLI of Apache Polaris", pinned["apache-polaris"], r"^polaris_"
    yield "openid-client on Node.js", node["openid-client"], r"^openid_client_"
    yield "ID tokens of oidc-provider", node["oidc-provider"], r"^foreign_"


def write(outcomes, long):
    """`outcomes`: for each case `passed` or `skipped`."""
    head = ["client", "version", *(name for name, _ in SITUATIONS), "all of its cases"]
    rows = [head, ["---"] * len(head)]
    for client, version, of_client in clients():
        cases = {name: outcome for name, outcome in outcomes.items() if re.search(of_client, name)}
        columns = [[outcome for name, outcome in cases.items() if re.search(pattern, name)] for _, pattern in SITUATIONS]
        rows.append([client, version, *map(_cell, columns), _sum(list(cases.values()))])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    form = "the long form (`.ci/clients/run --long --report`)" if long else "`.ci/clients/run --report`"
    PAGE.write_text(
        f"""# Compatibility

Which clients work, as {form} found on {time.strftime("%Y-%m-%d", time.gmtime())}. That command wrote this page: do not edit it. Each case is a real client
against a real server; `.ci/clients/cases/` has them. "Not run" means that the client was not on the machine, or that only the long
form runs the case.

{table}

What was tried by hand, with which version, is on the pages of the [engines](engines/README.md) and [catalogs](catalogs/README.md).
""")
    contents = tools.ROOT / "docs" / "SUMMARY.md"
    if f"({PAGE.name})" not in contents.read_text():
        before = "- [Delegation](delegation.md)\n"
        contents.write_text(contents.read_text().replace(before, f"{before}- [Compatibility]({PAGE.name})\n"))


def _cell(outcomes):
    if not outcomes:
        return ""
    return "works" if "passed" in outcomes else "not run"


def _sum(outcomes):
    if not outcomes or set(outcomes) == {"skipped"}:
        return "not run"
    return f"{outcomes.count('passed')} of {len(outcomes)}"
