# SPDX-License-Identifier: Apache-2.0
"""Iceberg's own Java client, which Spark, Flink, Trino and many more use; a new version and an old one."""

import time

import tools
from asking import ACCESS_TOKEN
from report import expect
from wire import claims

from .expectations import EXPIRED, has_renewed, lists, opens_and_lists, fails_to_open

BRIEF = 10  # seconds that a token of the client `brief` lives


class Version:
    def __init__(self, version):
        self._version = version

    def missing(self):
        return tools.java_missing(self._version)

    def cases(self, world, clients):
        def run(case, client, by="server", **extra):
            talk_as(world, self._version, case, client, by, **extra)

        name = "java_" + self._version.replace(".", "_")
        yield f"{name}_first_token", lambda: run(opens_and_lists, clients.steady)
        yield f"{name}_by_catalog_first_token", lambda: run(opens_and_lists, clients.steady, by="catalog")
        yield f"{name}_torture_secret", lambda: run(opens_and_lists, clients.torture)
        yield f"{name}_renewal_before_expiry", lambda: run(_renews_before_expiry, clients.brief)
        yield f"{name}_renewal_after_expiry", lambda: run(_renews_after_expiry, clients.short)
        yield f"{name}_by_catalog_renewal_after_expiry", lambda: run(_renews_after_expiry, clients.short, by="catalog")
        yield f"{name}_wrong_secret", lambda: run(_is_not_authorized, clients.mistyped)
        yield f"{name}_users_session", lambda: self._users_session(world, clients, run)

    def _users_session(self, world, clients, run):
        """The library exchanges alice's token for one that also names the service, and calls with that."""
        with world.watched() as wire:
            with world.talk(tools.java_command(self._version), {
                "uri": wire.catalog, "credential": clients.alice.credential, "oauth2-server-uri": wire.token_url,
            }) as talk:
                opens_and_lists(talk, wire)
            subject = wire.minted()[-1]
        run(acts_for(subject), clients.service, **{f"session.{ACCESS_TOKEN}": subject})


def talk_as(world, version, case, client, by="server", **extra):
    """`case`, with the library in conversation, as this client."""
    with world.watched() as wire:
        settings = {"uri": wire.catalog, "credential": client.credential, **extra}
        if by == "server":
            settings["oauth2-server-uri"] = wire.token_url
        with world.talk(tools.java_command(version), settings) as talk:
            case(talk, wire)


def _is_not_authorized(talk, wire):
    fails_to_open(talk, wire, "NotAuthorizedException", "invalid_client")


def _renews_before_expiry(talk, wire):
    """Half as long again as a token lives, without one failed call: its timer exchanges the token, as its Bearer."""
    opens_and_lists(talk, wire)
    end = time.monotonic() + 1.5 * BRIEF
    while time.monotonic() < end:
        time.sleep(0.5)
        lists(talk, wire)
    has_renewed(wire, 1)
    renewal = wire.token_calls()[1]
    expect(renewal.status == 200 and renewal.grant == "token-exchange", str(renewal))
    expect(renewal.scheme == "bearer" and not renewal.subject_had_expired(), f"not a Bearer in time: {renewal}")


def _renews_after_expiry(talk, wire):
    """A program that slept past the expiry exchanges the expired token, with Basic."""
    opens_and_lists(talk, wire)
    before = len(wire.minted())
    talk.suspend(EXPIRED)
    time.sleep(1.0)  # its timer's turn
    lists(talk, wire)
    has_renewed(wire, before)
    renewals = wire.token_calls()[before:]
    late = [call for call in renewals if call.scheme == "basic" and call.subject_had_expired()]
    expect(late and late[0].status == 200, f"no Basic exchange of an expired token succeeded: {wire.story()}")


def acts_for(subject):
    def case(talk, wire):
        opens_and_lists(talk, wire)
        exchange = [call for call in wire.token_calls() if call.grant == "token-exchange"][-1]
        expect(exchange.scheme == "bearer" and exchange.form["subject_token"] == subject, str(exchange))
        minted = claims(exchange.answer["access_token"])
        expect(minted["sub"] == claims(subject)["sub"], f"the subject is {minted['sub']}")
        expect(minted["act"]["sub"] == claims(exchange.form["actor_token"])["sub"], f"the actor is {minted.get('act')}")

    return case
