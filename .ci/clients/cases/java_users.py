# SPDX-License-Identifier: Apache-2.0
"""Sessions of users in Iceberg's Java client: the subject is a user of another issuer, the actor is the catalog's own token."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import tools
from asking import ACCESS_TOKEN, ID_TOKEN, JWT
from foreign import QUICK, SESSION, foreign
from report import Failure, expect
from wire import claims

from .expectations import opens_and_lists
from .java import acts_for, talk_as
from .unsecured import asserting, unsecured

VERSIONS = (*tools.JAVA_VERSIONS, tools.JAVA_OF_USERS)


def missing():
    return next(filter(None, map(tools.java_missing, VERSIONS)), None) or tools.node_missing()


def cases(world, clients):
    for version in VERSIONS:
        name = "java_" + version.replace(".", "_")
        yield f"{name}_user_of_a_foreign_issuer_ic_09", partial(_id_token, world, version)
        yield f"{name}_users_access_token_of_a_foreign_issuer_ic_09", partial(_access_token, world, version)
        yield f"{name}_user_whom_trino_asserts_tx_61", partial(_asserted, world, version)
    yield "java_users_session_is_renewed_and_ends_tx_44", partial(_all_at_once, world, _lives_and_ends)
    yield "java_users_session_is_not_the_services_own_tx_47", partial(_all_at_once, world, _sleeps)


def _id_token(world, version):
    idp = foreign(world)
    token = idp.id_token("alice", idp.clients.gateway.id)
    talk_as(world, version, acts_for(token), idp.clients.gateway, **{f"session.{ID_TOKEN}": token})


def _access_token(world, version):
    idp = foreign(world)
    token = idp.access_token("alice", "somebody", resource=world.token_server)
    talk_as(world, version, acts_for(token), idp.clients.gateway, **{f"session.{ACCESS_TOKEN}": token})


def _asserted(world, version):
    token = unsecured()
    talk_as(world, version, acts_for(token), asserting(world), **{f"session.{JWT}": token})


def _all_at_once(world, case):
    """Every version in its own session: nearly all of the time they wait."""
    idp = foreign(world)
    tokens = [idp.id_token("alice", idp.clients.quick.id) for _ in VERSIONS]

    def failure_of(version, token):
        try:
            talk_as(world, version, case, idp.clients.quick, **{f"session.{ID_TOKEN}": token})
        except Exception as failure:  # the other versions still have their say
            return f"{version}: {failure}"
        return None

    with ThreadPoolExecutor(len(VERSIONS)) as sessions:
        failures = list(filter(None, sessions.map(failure_of, VERSIONS, tokens)))
    expect(not failures, "; ".join(failures))


def _lives_and_ends(talk, wire):
    """The library renews the user's session again and again, with the user's token as Bearer; then the session is over."""
    opens_and_lists(talk, wire)
    first = _users_tokens(wire)[0]
    # Some versions only notice that the session is over when their timer's turn comes, after the catalog has refused.
    answer = _wait(lambda: "error" in (said := talk.ask("list")) and said, f"the session does not end: {wire.story()}")
    refused = _wait(lambda: [call for call in wire.token_calls() if _is_renewal_of_user(call) and call.status == 400],
                    f"no renewal was refused: {wire.story()}")
    expect(answer["error"] == "NotAuthorizedException", f"{answer}")
    tokens = _users_tokens(wire)
    expect(len(tokens) > 2, f"it was not renewed twice: {wire.story()}")
    expect(all(token["exp"] <= first["iat"] + SESSION for token in tokens), "a token outlives the session")
    expect(all(token["act"] == first["act"] for token in tokens), "the actor was lost")
    expect({call.answer["error"] for call in refused} == {"invalid_request"}, f"{wire.story()}")
    # A timer that is late presents a Bearer that is over, which is no authentication.
    late = [call for call in wire.token_calls() if _is_renewal_of_user(call) and call.status == 401]
    expect(all(call.scheme == "bearer" and claims(call.form["subject_token"])["exp"] <= call.at + 1 for call in late),
           f"a live token was no authentication: {wire.story()}")
    _never_as_the_service(wire)


def _sleeps(talk, wire):
    """Past its expiry the library sends the user's token with the service's credential, which renews it for the user.

    Once the session has ended, nothing renews it. At no time does it become the service's own token.
    """
    opens_and_lists(talk, wire)
    talk.suspend(QUICK + 2)
    _wait(lambda: "namespaces" in talk.ask("list"), f"the session is not renewed: {wire.story()}")
    late = _late_renewals(wire)
    expect(any(call.status == 200 and call.scheme == "basic" for call in late), f"no Basic renewed it: {wire.story()}")
    first, last = _users_tokens(wire)[0], _users_tokens(wire)[-1]
    for name in ("sub", "act", "client_id", "scope", "aud", "tokenberg_session"):
        expect(last[name] == first[name], f"its {name} was {first[name]} and is {last[name]}")

    talk.suspend(SESSION)
    before = len(late)
    answer = _wait(lambda: "error" in (answer := talk.ask("list")) and answer, f"the session does not end: {wire.story()}")
    expect(answer["error"] == "NotAuthorizedException", f"{answer}; {wire.story()}")
    refused = _wait(lambda: [call for call in _late_renewals(wire)[before:] if call.status != 200],
                    f"no renewal was refused: {wire.story()}")
    expect(all(call.status == 400 for call in refused if call.scheme == "basic"), f"{wire.story()}")
    _never_as_the_service(wire)


def _late_renewals(wire):
    return [call for call in wire.token_calls() if _is_renewal_of_user(call) and call.subject_had_expired()]


def _wait(found, why):
    end = time.monotonic() + 2 * (SESSION + QUICK)
    while not (what := found()):
        if time.monotonic() > end:
            raise Failure(why)
        time.sleep(0.5)
    return what


def _users_tokens(wire):
    return [payload for payload in map(claims, wire.minted()) if payload["sub"] == "alice"]


def _is_renewal_of_user(call):
    return (call.grant == "token-exchange" and call.form["subject_token_type"] == ACCESS_TOKEN
            and claims(call.form["subject_token"])["sub"] == "alice")


def _never_as_the_service(wire):
    """Whatever was listed was listed for alice."""
    for call in wire.calls():
        if call.path.startswith("/v1/namespaces"):
            expect(claims(call.credentials)["sub"] == "alice", f"it was called as {claims(call.credentials)['sub']}")
