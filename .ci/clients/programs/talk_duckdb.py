# SPDX-License-Identifier: Apache-2.0
"""DuckDB in the conversation of ../talk.py, with its extensions from where pip put them."""

import importlib
from pathlib import Path

import duckdb
from conversation import converse


def open_catalog(settings):
    connection = duckdb.connect()
    for name in ("httpfs", "avro", "iceberg"):
        package = Path(importlib.import_module(f"duckdb_extension_{name}").__file__).parent
        connection.load_extension(str(next(package.rglob("*.duckdb_extension"))))
    parts = "".join(f", {name} {quoted(value)}" for name, value in settings.items())
    connection.execute(f"CREATE SECRET service (TYPE iceberg{parts})")
    connection.execute(f"ATTACH 'warehouse' AS lake (TYPE iceberg, ENDPOINT {quoted(settings['ENDPOINT'])}, SECRET service)")
    return connection


def namespaces(connection):
    rows = connection.execute("SELECT schema_name FROM information_schema.schemata WHERE catalog_name = 'lake'")
    return {"namespaces": [name for (name,) in rows.fetchall()]}


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


converse(open_catalog, {"list": namespaces})
