#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lists the namespaces of a catalog with DuckDB, using a token from Tokenberg.

    pip install duckdb
    export TOKENBERG_CATALOG_URI=http://127.0.0.1:8181
    export TOKENBERG_CLIENT_ID=analyst TOKENBERG_CLIENT_SECRET=...      # from `tokenberg client add analyst`
    python duckdb_client.py

If the token endpoint is not part of the catalog, set TOKENBERG_TOKEN_URL as well: http://127.0.0.1:8183/v1/oauth/tokens
"""

import os

import duckdb

uri = os.environ["TOKENBERG_CATALOG_URI"].rstrip("/")
token_url = os.environ.get("TOKENBERG_TOKEN_URL", uri + "/v1/oauth/tokens")


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


connection = duckdb.connect()
connection.execute("INSTALL iceberg; LOAD iceberg; INSTALL httpfs; LOAD httpfs")

# Always give OAUTH2_SERVER_URI: DuckDB can do with the catalog's ENDPOINT instead, but then it never renews its token.
# It asks for the scope PRINCIPAL_ROLE:ALL unless OAUTH2_SCOPE says otherwise; a client has that by default.
connection.execute(f"""
    CREATE SECRET tokenberg (
        TYPE iceberg,
        CLIENT_ID {quoted(os.environ["TOKENBERG_CLIENT_ID"])},
        CLIENT_SECRET {quoted(os.environ["TOKENBERG_CLIENT_SECRET"])},
        OAUTH2_SERVER_URI {quoted(token_url)}
    )""")
connection.execute(f"ATTACH 'warehouse' AS lake (TYPE iceberg, ENDPOINT {quoted(uri)}, SECRET tokenberg)")

for (namespace,) in connection.execute(
    "SELECT schema_name FROM information_schema.schemata WHERE catalog_name = 'lake'"
).fetchall():
    print(namespace)
