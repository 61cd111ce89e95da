# SPDX-License-Identifier: Apache-2.0
"""DuckDB's iceberg extension: Basic authentication, scope PRINCIPAL_ROLE:ALL."""

import tools
from report import expect

from .expectations import has_renewed, lists, opens_and_lists, fails_to_open, sleeps_past_expiry

PROGRAM = tools.HERE / "programs" / "talk_duckdb.py"


def missing():
    return tools.python_missing()


def cases(world, clients):
    def run(case, client, by="server"):
        with world.watched() as wire:
            settings = {"CLIENT_ID": client.id, "CLIENT_SECRET": client.secret, "ENDPOINT": wire.catalog}
            if by == "server":
                settings["OAUTH2_SERVER_URI"] = wire.token_url
            elif by == "catalog":
                settings["OAUTH2_SERVER_URI"] = wire.catalog + "/v1/oauth/tokens"
            with world.talk([tools.PYTHON, PROGRAM], settings) as talk:
                case(talk, wire)

    yield "duckdb_first_token", lambda: run(_asks_by_basic, clients.steady)
    yield "duckdb_by_catalog_first_token", lambda: run(_asks_by_basic, clients.steady, by="catalog")
    yield "duckdb_endpoint_only_first_token", lambda: run(_asks_by_basic, clients.steady, by="endpoint only")
    yield "duckdb_torture_secret", lambda: run(opens_and_lists, clients.torture)
    yield "duckdb_renewal", lambda: run(_renews, clients.short)
    yield "duckdb_by_catalog_renewal", lambda: run(_renews, clients.short, by="catalog")
    yield "duckdb_wrong_secret", lambda: run(
        lambda talk, wire: fails_to_open(talk, wire, "invalid_client"), clients.mistyped)


def _asks_by_basic(talk, wire):
    opens_and_lists(talk, wire)
    call = wire.token_calls()[0]
    expect(call.scheme == "basic" and call.form["scope"] == "PRINCIPAL_ROLE:ALL", str(call))


def _renews(talk, wire):
    opens_and_lists(talk, wire)
    before = sleeps_past_expiry(wire)
    lists(talk, wire)
    has_renewed(wire, before)
