# SPDX-License-Identifier: Apache-2.0
"""Iceberg's own Java client, which Spark, Flink, Trino and many more use; a new version and an old one."""

import time

import tools
from asking import ACCESS_TOKEN, ID_TOKEN, JWT
from foreign import QUICK, SESSION, foreign
from report import Failure, expect
from wire import claims

from .expectations import EXPIRED, has_renewed, lists, opens_and_lists, fails_to_open
from .unsecured import asserting, unsecured

BRIEF = 10  # seconds that a token of the client `brief` lives


class Version:
    def __init__(self, version, users_only=False):
        self._version = version
        self._users_only = users_only

    def missing(self):
        return tools.java_missing(self._version)

    def cases(self, world, clients):
        def run(case, client, by="server", **extra):
            with world.watched() as wire:
                settings = {"uri": wire.catalog, "credential": client.credential, **extra}
                if by == "server":
                    settings["oauth2-server-uri"] = wire.token_url
                with world.talk(tools.java_command(self._version), settings) as talk:
                    case(talk, wire)

        name = "java_" + self._version.replace(".", "_")
        if not self._users_only:
            yield f"{name}_first_token", lambda: run(opens_and_lists, clients.steady)
            yield f"{name}_by_catalog_first_token", lambda: run(opens_and_lists, clients.steady, by="catalog")
            yield f"{name}_torture_secret", lambda: run(opens_and_lists, clients.torture)
            yield f"{name}_renewal_before_expiry", lambda: run(_renews_before_expiry, clients.brief)
            yield f"{name}_renewal_after_expiry", lambda: run(_renews_after_expiry, clients.short)
            yield f"{name}_by_catalog_renewal_after_expiry", lambda: run(_renews_after_expiry, clients.short, by="catalog")
            yield f"{name}_wrong_secret", lambda: run(_is_not_authorized, clients.mistyped)
        yield f"{name}_users_session", lambda: self._users_session(world, clients, run)
        yield f"{name}_user_of_a_foreign_issuer_ic_09", lambda: self._foreign_user(world, run, _acts_for)
        yield f"{name}_users_access_token_of_a_foreign_issuer_ic_09", lambda: self._foreign_access_token(world, run)
        yield f"{name}_users_session_is_renewed_and_ends_tx_44", lambda: self._foreign_user(world, run, _lives_and_ends)
        yield f"{name}_users_session_is_not_the_services_own_tx_47", lambda: self._foreign_user(world, run, _sleeps)
        yield f"{name}_user_whom_trino_asserts_tx_61", lambda: self._asserted_user(world, run)

    def _users_session(self, world, clients, run):
        """The library exchanges alice's token for one that also names the service, and calls with that."""
        with world.watched() as wire:
            with world.talk(tools.java_command(self._version), {
                "uri": wire.catalog, "credential": clients.alice.credential, "oauth2-server-uri": wire.token_url,
            }) as talk:
                opens_and_lists(talk, wire)
            subject = wire.minted()[-1]
        run(_acts_for(subject), clients.service, **{f"session.{ACCESS_TOKEN}": subject})


    def _foreign_user(self, world, run, case):
        """The subject is an id_token of a foreign provider, the actor is the catalog's own token."""
        idp = foreign(world)
        token = idp.id_token("alice", idp.clients.quick.id)
        run(case(token), idp.clients.quick, **{f"session.{ID_TOKEN}": token})

    def _foreign_access_token(self, world, run):
        idp = foreign(world)
        token = idp.access_token("alice", "somebody", resource=world.token_server)
        run(_acts_for(token), idp.clients.quick, **{f"session.{ACCESS_TOKEN}": token})

    def _asserted_user(self, world, run):
        token = unsecured()
        run(_acts_for(token), asserting(world), **{f"session.{JWT}": token})


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


def _acts_for(subject):
    def case(talk, wire):
        opens_and_lists(talk, wire)
        exchange = [call for call in wire.token_calls() if call.grant == "token-exchange"][-1]
        expect(exchange.scheme == "bearer" and exchange.form["subject_token"] == subject, str(exchange))
        minted = claims(exchange.answer["access_token"])
        expect(minted["sub"] == claims(subject)["sub"], f"the subject is {minted['sub']}")
        expect(minted["act"]["sub"] == claims(exchange.form["actor_token"])["sub"], f"the actor is {minted.get('act')}")

    return case


def _lives_and_ends(subject):
    """The library renews the user's session again and again, with the user's token as Bearer; then the session is over."""

    def case(talk, wire):
        opens_and_lists(talk, wire)
        first = _users_tokens(wire)[0]
        # Some versions only notice that the session is over when their timer's turn comes, after the catalog has refused.
        answer = _wait(lambda: "error" in (said := talk.ask("list")) and said, f"the session does not end: {wire.story()}")
        refused = _wait(lambda: [call for call in wire.token_calls() if _is_renewal_of_user(call) and call.status != 200],
                        "no renewal was refused")
        expect(answer["error"] == "NotAuthorizedException", f"{answer}")
        tokens = _users_tokens(wire)
        expect(len(tokens) > 2, f"it was not renewed twice: {wire.story()}")
        expect(all(token["exp"] <= first["iat"] + SESSION for token in tokens), "a token outlives the session")
        expect(all(token["act"] == first["act"] for token in tokens), "the actor was lost")
        expect({call.answer["error"] for call in refused} == {"invalid_request"}, f"{wire.story()}")
        _never_as_the_service(wire)

    return case


def _sleeps(subject):
    """Past its expiry it sends the user's token with the service's credential, which must not become the service's token."""

    def case(talk, wire):
        opens_and_lists(talk, wire)
        talk.suspend(QUICK + 2)
        time.sleep(1.0)  # its timer's turn
        answer = talk.ask("list")
        expect(answer.get("error") == "NotAuthorizedException", f"{answer}; {wire.story()}")
        late = [call for call in wire.token_calls() if _is_renewal_of_user(call) and call.subject_had_expired()]
        expect(late and all(call.status == 400 for call in late), f"{wire.story()}")
        _never_as_the_service(wire)

    return case


def _wait(found, why):
    end = time.monotonic() + 2 * (SESSION + QUICK)
    while not (what := found()):
        if time.monotonic() > end:
            raise Failure(why)
        time.sleep(0.5)
    return what


def _users_tokens(wire):
    return [told for told in map(claims, wire.minted()) if told["sub"] == "alice"]


def _is_renewal_of_user(call):
    return (call.grant == "token-exchange" and call.form["subject_token_type"] == ACCESS_TOKEN
            and claims(call.form["subject_token"])["sub"] == "alice")


def _never_as_the_service(wire):
    """Whatever was listed was listed for alice."""
    for call in wire.calls():
        if call.path.startswith("/v1/namespaces"):
            expect(claims(call.credentials)["sub"] == "alice", f"it was called as {claims(call.credentials)['sub']}")
