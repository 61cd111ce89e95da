# SPDX-License-Identifier: Apache-2.0
"""Trino's `session=USER`: an unsecured JWT that names a user, which is no credential but an assertion of who sends it."""

import base64
import json
import time

from asking import ACCESS_TOKEN, CLIENT_ASSERTION, ID_TOKEN, JWT, JWT_BEARER, ask, basic, exchange, fetch, is_for, token_of
from report import expect
from wire import claims


ASSERTS = ("--scope", "catalog ns:read", "--default-scope", "catalog", "--token-lifetime", "10m", "--may-assert-users", "al*",
           "--may-assert-users", "root", "--may-assert-users", "steady")


def missing():
    return None


def cases(world, clients):
    def case(name, check):
        return f"trino_{name}", lambda: check(world, clients)

    yield case("user_is_refused_by_default_tx_60", _off_by_default)
    yield case("user_of_a_client_that_may_assert_users_tx_61_tx_69", _user)
    yield case("user_without_an_actor_tx_61", _without_actor)
    yield case("users_that_are_not_its_to_assert_tx_66", _not_allowed)
    yield case("only_the_name_counts_tx_65", _only_the_name)
    yield case("never_more_than_the_actor_tx_66_tx_67", _never_more)
    yield case("only_a_fresh_assertion_tx_67", _fresh)
    yield case("no_other_place_for_an_unsecured_jwt_tx_62", _other_places)
    yield case("one_spelling_only_tx_63_tx_64", _spellings)
    yield case("a_users_token_is_renewed_tx_44", _renewed)
    yield case("user_is_told_by_introspection_tx_69", _introspected)


_TRINO = {}


def asserting(world):
    """A client that may assert users, added by the first case that needs it."""
    if world not in _TRINO:
        _TRINO[world] = world.add_client("trino", *ASSERTS)
        time.sleep(1)
    return _TRINO[world]


def unsecured(sub="albert", head=None, signature="", **changes):
    """What Trino sends, bytes apart: no audience, no expiry, and a version as its issuer."""
    payload = {"sub": sub, "iss": "479", "iat": int(time.time()), "user": sub, "source": "trino-cli",
               "trinoCatalog": "lake", "trinoVersion": "479", **changes}
    payload = {name: value for name, value in payload.items() if value is not None}
    return f"{_encoded(head or {'alg': 'none'})}.{_encoded(payload)}.{signature}"


def _asserted(world, client, subject=None, **parameters):
    actor = token_of(world, client)
    return exchange(world, subject or unsecured(), JWT, f"Bearer {actor}", actor, **parameters)


def _off_by_default(world, clients):
    for client in (clients.steady, clients.service):  # to act for users is not to assert them
        _asserted(world, client).is_refused(400, "invalid_request", client.id)


def _user(world, clients):
    client = asserting(world)
    minted = _asserted(world, client)
    found = is_for(minted, "albert", world.token_server, client.id)
    expect(found["client_id"] == client.id and found["scope"] == "catalog", f"{found}")
    status, _, body = fetch(world.catalog + "/v1/whoami", minted.minted())
    expect(status == 200 and json.loads(body)["actors"] == [client.id], f"the catalog: {status} {body}")


def _without_actor(world, clients):
    client = asserting(world)
    own, other = token_of(world, client), token_of(world, clients.steady)
    for what, answer in (
        ("no actor, by its secret", exchange(world, unsecured(), JWT, basic(client))),
        ("another's actor token", exchange(world, unsecured(), JWT, basic(client), other)),
        ("another's Bearer", exchange(world, unsecured(), JWT, f"Bearer {other}", own)),
        ("another client with its actor token", exchange(world, unsecured(), JWT, basic(clients.steady), own)),
        ("nobody", exchange(world, unsecured(), JWT, None, own)),
    ):
        expect(answer.status in (400, 401), f"{what}: {answer}")


def _not_allowed(world, clients):
    """Not who is outside of its patterns; and no client, whatever the patterns say."""
    for sub in ("bob", "xalbert", "root", "steady", "trino", "alice", "", "al\x00", 42, None):
        _asserted(world, asserting(world), unsecured(sub)).is_refused(400, "invalid_request", repr(sub))


def _only_the_name(world, clients):
    plain = claims(_asserted(world, asserting(world)).minted())
    decorated = claims(_asserted(world, asserting(world), unsecured(
        scope="ns:read ns:write", client_id="root", aud="https://other.test", act={"sub": "root"}, roles=["admin"],
        may_act={"sub": "root"}, cnf={"jkt": "x"}, jti="mine",
    )).minted())
    for token in (plain, decorated):
        for time_or_name in ("iat", "exp", "jti", "nbf"):
            token.pop(time_or_name, None)
        token.pop("tokenberg_session", None)  # begins when the token does
    expect(plain == decorated, f"{plain} became {decorated}")


def _never_more(world, clients):
    client = asserting(world)
    actor = token_of(world, client, scope="catalog")
    answer = exchange(world, unsecured(), JWT, f"Bearer {actor}", actor, scope="ns:read")
    answer.is_refused(400, "invalid_scope", "what the client may have, but its token has not")
    issued = claims(exchange(world, unsecured(), JWT, f"Bearer {actor}", actor).minted())
    expect(issued["exp"] <= issued["tokenberg_session"]["end"], "it outlives its session")


def _fresh(world, clients):
    now = int(time.time())
    for what, changes in (
        ("without iat", {"iat": None}),
        ("ten minutes old", {"iat": now - 600}),
        ("from the future", {"iat": now + 600}),
        ("expired", {"exp": now - 120}),
    ):
        _asserted(world, asserting(world), unsecured(**changes)).is_refused(400, "invalid_request", what)


def _other_places(world, clients):
    client = asserting(world)
    own, token = token_of(world, client), unsecured("albert", aud=world.token_server, exp=int(time.time()) + 200)
    exchanges = [("as " + kind.rpartition(":")[2], exchange(world, token, kind, f"Bearer {own}", own))
                 for kind in (ID_TOKEN, ACCESS_TOKEN)]
    credentials = {"grant_type": "client_credentials"}
    for what, answer in exchanges + [
        ("as the actor", exchange(world, own, ACCESS_TOKEN, basic(client), token)),
        ("as the actor and the Bearer", exchange(world, unsecured(), JWT, f"Bearer {token}", token)),
        ("as an assertion", ask(world, {
            "grant_type": JWT_BEARER, "assertion": token}, basic(client))),
        ("as a client assertion", ask(world, {
            **credentials, "client_assertion_type": CLIENT_ASSERTION, "client_assertion": unsecured("trino", iss="trino")})),
        ("as a token of a client", ask(world, credentials, f"Bearer {token}")),
    ]:
        expect(answer.status in (400, 401), f"{what}: {answer}")
    shown = ask(world, {"token": token}, basic(client), path="/v1/oauth/introspect")
    expect(shown.body == {"active": False}, f"introspection says {shown.body}")


def _spellings(world, clients):
    good = unsecured()
    for what, token in (
        ("None", unsecured(head={"alg": "None"})),
        ("NONE", unsecured(head={"alg": "NONE"})),
        ("no alg", unsecured(head={"typ": "JWT"})),
        ("a signature", unsecured(signature="AAAA")),
        ("crit", unsecured(head={"alg": "none", "crit": ["exp"]})),
        ("a kid", unsecured(head={"alg": "none", "kid": "k"})),
        ("another typ", unsecured(head={"alg": "none", "typ": "at+jwt"})),
        ("two segments", good.rstrip(".")),
        ("four segments", good + "."),
        ("HS256", unsecured(head={"alg": "HS256"}, signature="AAAA")),
        ("RS256 with a broken signature", unsecured(head={"alg": "RS256"}, signature="AAAA")),
        ("ES256 without one", unsecured(head={"alg": "ES256"})),
    ):
        _asserted(world, asserting(world), token).is_refused(400, "invalid_request", what)


def _renewed(world, clients):
    """Java renews a user's session with the user's own token as Bearer; the assertion is not sent again."""
    first = _asserted(world, asserting(world)).minted()
    second = exchange(world, first, ACCESS_TOKEN, f"Bearer {first}")
    found = is_for(second, "albert", world.token_server, "trino")
    expect(found["tokenberg_session"] == claims(first)["tokenberg_session"], "it is another session")


def _introspected(world, clients):
    client = asserting(world)
    minted = _asserted(world, client).minted()
    shown = ask(world, {"token": minted}, basic(client), path="/v1/oauth/introspect").body
    expect(shown["active"] and shown["act"]["sub"] == client.id, f"{shown}")
    # A catalog can tell an asserted user from one who logged in: a claim says so, of which the audit says the same.
    marks = [name for name, value in claims(minted).items() if "unsecured" in json.dumps([name, value])]
    expect(marks, f"nothing in the token says that the user was only asserted: {sorted(claims(minted))}")
    log = "".join(log.read_text(errors="replace") for log in world.logs)
    expect("unsecured" in log, "nothing in the audit says that the user was only asserted")


def _encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
