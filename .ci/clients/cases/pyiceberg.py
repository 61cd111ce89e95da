# SPDX-License-Identifier: Apache-2.0
"""PyIceberg: both of its auth managers, each by the catalog's own token endpoint and by the token server's."""

import tools
from report import expect

from .expectations import has_renewed, lists, opens_and_lists, fails_to_open, sleeps_past_expiry

PROGRAM = tools.HERE / "programs" / "talk_pyiceberg.py"


def missing():
    return tools.python_missing()


def cases(world, clients):
    for manager, settings in (("legacy", _legacy), ("oauth2", _oauth2)):
        for endpoint in ("catalog", "server"):
            def run(case, client, settings=settings, endpoint=endpoint):
                with world.watched() as wire:
                    with world.talk([tools.PYTHON, PROGRAM], settings(wire, client, endpoint)) as talk:
                        case(talk, wire)

            name = f"pyiceberg_{manager}_by_{endpoint}"
            yield f"{name}_first_token", lambda run=run: run(opens_and_lists, clients.steady)
            yield f"{name}_torture_secret", lambda run=run: run(opens_and_lists, clients.torture)
            yield f"{name}_renewal", lambda run=run: run(_renews, clients.short)
            yield f"{name}_wrong_secret", lambda run=run, said=WRONG_SECRET[manager]: run(
                lambda talk, wire: fails_to_open(talk, wire, *said), clients.mistyped)
    yield "pyiceberg_legacy_sends_the_expired_bearer", lambda: _expired_bearer(world, clients)


WRONG_SECRET = {"legacy": ("OAuthError", "invalid_client"), "oauth2": ("HTTPError", "401")}


def _legacy(wire, client, endpoint):
    settings = {"uri": wire.catalog, "credential": client.credential}
    return settings if endpoint == "catalog" else {**settings, "oauth2-server-uri": wire.token_url}


def _oauth2(wire, client, endpoint):
    return {
        "uri": wire.catalog,
        "auth.client_id": client.id,
        "auth.client_secret": client.secret,
        "auth.token_url": wire.token_url if endpoint == "server" else wire.catalog + "/v1/oauth/tokens",
    }


def _renews(talk, wire):
    opens_and_lists(talk, wire)
    first = talk.ask("whoami")
    before = sleeps_past_expiry(wire)
    lists(talk, wire)
    has_renewed(wire, before)
    second = talk.ask("whoami")
    expect(first.get("jti") and second.get("jti") not in (None, first["jti"]), f"first {first}, then {second}")


def _expired_bearer(world, clients):
    """Its renewal carries the expired token beside the credential: neither needed nor fatal (R4)."""
    with world.watched() as wire:
        with world.talk([tools.PYTHON, PROGRAM], _legacy(wire, clients.short, "server")) as talk:
            opens_and_lists(talk, wire)
            before = sleeps_past_expiry(wire)
            lists(talk, wire)
            has_renewed(wire, before)
            renewal = [call for call in wire.token_calls() if call.status == 200][before]
            expect(renewal.scheme == "bearer" and renewal.grant == "client_credentials", str(renewal))
