# SPDX-License-Identifier: Apache-2.0
"""Tokens of npm's oidc-provider: whose are exchanged, whose are not, and what happens when its keys change or it is down."""

import base64
import json
import time

import tools
from asking import (ACCESS_TOKEN, CLIENT_ASSERTION, ID_TOKEN, JWT, JWT_BEARER, acting, ask, basic, exchange, fetch, is_for,
                    token_of)
from foreign import foreign
from report import expect
from wire import claims


def missing():
    return tools.node_missing()


def cases(world, clients):
    def case(name, check):
        return f"foreign_{name}", lambda: check(world, foreign(world))

    yield case("id_token_becomes_a_users_token_tx_32_tx_50", _id_token)
    yield case("access_token_for_us_tx_34", _access_token)
    yield case("groups_are_mapped_to_scope_tx_42", _groups)
    yield case("tokens_that_are_not_for_us_tx_06_tx_30_tx_32", _not_for_us)
    yield case("clients_that_may_not_act_tx_20_tx_25", _may_not_act)
    yield case("algorithm_that_is_not_listed_jw_10", _algorithm)
    yield case("nothing_but_what_is_mapped_is_copied_tx_59", _not_copied)
    yield case("assertion_of_a_user_gb_01_gb_05_gb_06", _jwt_bearer)
    yield case("workload_is_a_client_without_a_secret_wl_10_wl_14", _workload)
    yield case("stranger_is_not_asked_for_its_keys_tx_35", _stranger)
    yield case("unknown_keys_are_no_flood_ks_06", _flood)
    yield case("issuer_that_was_removed_is_refused", _removed)
    yield case("keys_rotate_ks_06", lambda _, idp: idp.rotation.wait_for("rotates"))
    yield case("provider_is_down_ks_06", lambda _, idp: idp.rotation.wait_for("is_down"))


def _id_token(world, idp):
    gateway = idp.clients.gateway
    minted = acting(world, gateway, idp.id_token("alice", gateway.id), ID_TOKEN)
    found = is_for(minted, "alice", world.token_server, gateway.id)
    expect(found["client_id"] == gateway.id and found["scope"] == "catalog", f"{found}")
    status, _, body = fetch(world.catalog + "/v1/whoami", minted.minted())
    expect(status == 200, f"the catalog says {status}")
    seen = json.loads(body)
    expect((seen["subject"], seen["actors"]) == ("alice", [gateway.id]), f"the catalog sees {seen}")
    # The same by the client's own secret: who authenticates is the actor (D25).
    by_secret = exchange(world, idp.id_token("alice", gateway.id), ID_TOKEN, basic(gateway))
    is_for(by_secret, "alice", world.token_server, gateway.id)


def _access_token(world, idp):
    token = idp.access_token("alice", "somebody", resource=world.token_server)
    is_for(acting(world, idp.clients.gateway, token, ACCESS_TOKEN), "alice", world.token_server, idp.clients.gateway.id)
    for_another = idp.access_token("alice", "somebody", resource="https://catalog.test")
    acting(world, idp.clients.gateway, for_another, ACCESS_TOKEN).is_refused(400, "invalid_request", "for another")


def _groups(world, idp):
    gateway, role = idp.clients.gateway, "PRINCIPAL_ROLE:analyst"
    both = f"catalog {role}"

    def asked(user, actors_scope):
        return acting(world, gateway, idp.id_token(user, gateway.id), ID_TOKEN, actors_scope=actors_scope, scope=role)

    expect(claims(asked("alice", both).minted())["scope"] == role, "alice is an analyst")
    asked("bob", both).is_refused(400, "invalid_scope", "bob is in no group")
    asked("alice", "catalog").is_refused(400, "invalid_scope", "the actor does not have it")


def _not_for_us(world, idp):
    gateway = idp.clients.gateway
    good = idp.id_token("alice", gateway.id)
    head, payload, signature = good.split(".")
    forged = _encoded({**claims(good), "sub": "root"})
    for what, token, kind in (
        ("for another client", idp.id_token("alice", "stranger"), ID_TOKEN),
        ("an id_token called an access token", good, ACCESS_TOKEN),
        ("an access token called an id_token", idp.access_token("alice", "x", resource=world.token_server), ID_TOKEN),
        ("a kind that is not accepted from there", good, JWT),
        ("changed", f"{head}.{forged}.{signature}", ID_TOKEN),
        ("without its signature", f"{head}.{payload}.", ID_TOKEN),
        ("unsigned", f"{_encoded({'alg': 'none'})}.{payload}.", ID_TOKEN),
        ("its own key in the header", f"{_encoded({'alg': 'ES256', 'jwk': {}})}.{payload}.{signature}", ID_TOKEN),
    ):
        acting(world, gateway, token, kind).is_refused(400, "invalid_request", what)


def _may_not_act(world, idp):
    stranger = idp.clients.stranger
    token = idp.id_token("alice", stranger.id)
    for answer in (acting(world, stranger, token, ID_TOKEN), exchange(world, token, ID_TOKEN, basic(stranger))):
        expect(answer.status == 400, f"a client that may act for no user gets {answer}")
    exchange(world, token, ID_TOKEN, None).is_refused(401, "invalid_client", "no client authenticates")


def _algorithm(world, idp):
    """The provider publishes its RSA key as well, but ES256 is all that we take from it."""
    for alg in ("RS256", "PS256"):
        token = idp.id_token("alice", "gateway", alg=alg)
        acting(world, idp.clients.gateway, token, ID_TOKEN).is_refused(400, "invalid_request", alg)


def _not_copied(world, idp):
    found = claims(acting(world, idp.clients.gateway, idp.id_token("alice", "gateway"), ID_TOKEN).minted())
    expect(not {"nonce", "groups", "at_hash", "sid"} & found.keys(), f"from outside came {sorted(found)}")


def _jwt_bearer(world, idp):
    pod = idp.clients.pod

    def granted(assertion, authorization):
        return ask(world, {"grant_type": JWT_BEARER, "assertion": assertion}, authorization)

    def assertion(audience=world.token_server, lifetime=200, nonce=False):
        return idp.id_token("alice", audience, lifetime=lifetime, nonce=nonce)

    found = is_for(granted(assertion(), basic(pod)), "alice", world.token_server, pod.id)
    expect(found["client_id"] == pod.id, f"{found}")
    granted(assertion(), None).is_refused(401, "invalid_client", "no client authenticates")
    for what, bad in (
        ("for another", assertion("https://catalog.test")),
        ("good for an hour", assertion(lifetime=3600)),
        ("what is an id_token, by its nonce", assertion(nonce=True)),
        ("an access token", idp.access_token("alice", "x", resource=world.token_server, lifetime=200)),
        ("garbage", "a.b.c"),
    ):
        granted(bad, basic(pod)).is_refused(400, "invalid_grant", what)


def _workload(world, idp):
    def authenticate(subject, audience, client_id=None):
        token = idp.id_token(subject, audience, lifetime=200)
        return ask(world, {"grant_type": "client_credentials", "client_id": client_id,
                           "client_assertion_type": CLIENT_ASSERTION, "client_assertion": token})

    minted = claims(authenticate("workload", world.token_server).minted())
    expect((minted["sub"], minted["client_id"]) == ("pod", "pod"), f"{minted}")
    authenticate("workload", world.token_server, "pod").minted()
    for what, answer in (
        ("another subject", authenticate("workload2", world.token_server)),
        ("for another", authenticate("workload", "https://kubernetes.default.svc")),
    ):
        answer.is_refused(401, "invalid_client", what)
    expect(authenticate("workload", world.token_server, "gateway").status in (400, 401), "it is another client")


def _stranger(world, idp):
    """A second provider, which is not registered: its keys are not even fetched (KS-06)."""
    stranger = world.provider()
    token = stranger.ask("id_token", subject="alice", audience="gateway")["token"]
    acting(world, idp.clients.gateway, token, ID_TOKEN).is_refused(400, "invalid_request", "an unknown issuer")
    expect(stranger.ask("fetched") == {}, f"it was asked for {stranger.ask('fetched')}")


def _flood(world, idp):
    """Tokens with invented key names, of which each could make us ask for the keys again."""
    _, payload, signature = idp.id_token("alice", "gateway").split(".")
    actor = token_of(world, idp.clients.gateway)
    before = sum(idp.ask("fetched").values())
    expect(before >= 2, f"where do its keys come from, if only {idp.ask('fetched')} was asked for?")
    for number in range(40):
        head = _encoded({"alg": "ES256", "kid": f"invented-{number}"})
        answer = exchange(world, f"{head}.{payload}.{signature}", ID_TOKEN, f"Bearer {actor}", actor)
        expect(answer.status in (400, 503), f"{answer}")
    asked = sum(idp.ask("fetched").values()) - before
    # Discovery and keys for each of three fetches at once, and for one more at the turn of a minute (KS-06).
    expect(asked <= 8, f"the provider was asked {asked} times")
    acting(world, idp.clients.gateway, idp.id_token("alice", "gateway"), ID_TOKEN).minted()


def _removed(world, idp):
    other = world.provider()
    url = other.opened["issuer"]
    other_user = world.add_client("other-gateway", "--may-act-for", f"{url}|*")
    world.administer("issuer", "add", url, "--discover", "--shared-names", "--audience", world.token_server, "--accept", "id_token")
    time.sleep(1)
    token = other.ask("id_token", subject="alice", audience=other_user.id)["token"]
    world.seen.add(token)
    ours = acting(world, other_user, token, ID_TOKEN)
    is_for(ours, "alice", world.token_server, other_user.id)
    world.administer("issuer", "remove", url)
    time.sleep(1)
    acting(world, other_user, token, ID_TOKEN).is_refused(400, "invalid_request", "an issuer that was removed")
    renewed = exchange(world, ours.minted(), ACCESS_TOKEN, f"Bearer {ours.minted()}")
    expect(renewed.status == 400 or renewed.status == 401, f"what came of it is renewed: {renewed}")


def _encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
