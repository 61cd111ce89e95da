# SPDX-License-Identifier: Apache-2.0
"""Is the metadata document true (MD-05)? Each case is made from what it lists: that works, and what it does not list fails."""

import json
import time

import tools
from asking import ACCESS_TOKEN, EXCHANGE, JWT_BEARER, TOKENS, ask, basic, exchange, fetch, token_of
from foreign import foreign
from report import Failure, expect

from .openid_client import add_client_with_keys, by_secret, good, is_refused, key_pairs, talk

AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"

# What the registries of IANA know, and node can make.
GRANTS = {
    "authorization_code", "implicit", "password", "refresh_token", "client_credentials", EXCHANGE, JWT_BEARER,
    "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:saml2-bearer",
    "urn:openid:params:grant-type:ciba",
}
METHODS = {"none", "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "tls_client_auth",
           "spiffe_jwt"}
ALGORITHMS = ("ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA")


def missing():
    return tools.node_missing()


def cases(world, clients):
    facts = _document(world, AUTHORIZATION_SERVER)
    yield "metadata_is_the_same_for_openid_md_03", lambda: _same(world, facts)
    yield "metadata_lists_endpoints_that_are_there_md_05", lambda: _endpoints(world, facts)
    for grant in sorted(GRANTS | set(facts["grant_types_supported"])):
        listed = grant in facts["grant_types_supported"]
        yield _name("grant", grant, listed), lambda grant=grant, listed=listed: _grant(world, clients, grant, listed)
    for endpoint in ("token", "introspection", "revocation"):
        methods = set(facts[f"{endpoint}_endpoint_auth_methods_supported"])
        for method in sorted(METHODS | methods):
            listed = method in methods
            yield _name(f"{endpoint}_by", method, listed), lambda endpoint=endpoint, method=method, listed=listed: (
                _method(world, clients, facts, endpoint, method, listed))
    signed = facts.get("token_endpoint_auth_signing_alg_values_supported", [])
    yield "metadata_signing_algorithms_are_told_md_03", lambda: _told(facts, signed)
    for alg in _algorithms(signed):
        yield _name("assertion", alg, alg in signed), lambda alg=alg: _assertion(world, alg, alg in signed)
    proofs = facts.get("dpop_signing_alg_values_supported", [])
    for alg in _algorithms(proofs):
        yield _name("dpop", alg, alg in proofs), lambda alg=alg: _dpop(world, clients, alg, proofs)
    for scope in facts["scopes_supported"]:
        yield _name("scope", scope, True), lambda scope=scope: token_of(world, clients.steady, scope=scope)


def _name(kind, value, listed):
    plain = "".join(character if character.isalnum() else "_" for character in value.rpartition(":")[2].lower())
    return f"metadata_{kind}_{plain}_is_{'' if listed else 'not_'}listed_md_05"


def _algorithms(listed):
    """`Ed25519` is the other name of EdDSA (RFC 9864); node calls it by the first."""
    return sorted({*ALGORITHMS, *listed} - {"Ed25519"})


def _document(world, path):
    status, headers, body = fetch(world.token_server + path)
    if status != 200 or headers.get_content_type() != "application/json":
        raise Failure(f"{path}: {status}")
    return json.loads(body)


def _same(world, facts):
    openid = _document(world, OPENID)
    differing = [name for name in facts if openid.get(name) != facts[name]]
    expect(not differing, f"they differ in {differing}")
    expect(facts["issuer"] == world.token_server, facts["issuer"])


def _endpoints(world, facts):
    places = {name: value for name, value in facts.items() if name.endswith(("_endpoint", "_uri"))}
    expect(len(places) >= 4, f"{sorted(places)}")
    for name, url in places.items():
        status, headers, _ = fetch(url, form="" if name.endswith("_endpoint") else None)
        expect(status in ((400, 401) if name.endswith("_endpoint") else (200,)), f"{name}: {status}")
        expect(headers.get_content_type().endswith("json"), f"{name}: {headers.get_content_type()}")


def _grant(world, clients, grant, listed):
    if listed:
        _GRANTED[grant](world, clients)
        return
    form = {"grant_type": grant, "code": "c", "refresh_token": "r", "username": "u", "password": "p", "device_code": "d",
            "assertion": "a.b.c", "auth_req_id": "i"}
    ask(world, form, basic(clients.steady)).is_refused(400, "unsupported_grant_type", grant)


def _exchanged(world, clients):
    own = token_of(world, clients.steady)
    exchange(world, own, ACCESS_TOKEN, basic(clients.steady)).minted()


def _asserted(world, clients):
    idp = foreign(world)
    token = idp.id_token("alice", world.token_server, lifetime=200, nonce=False)
    ask(world, {"grant_type": JWT_BEARER, "assertion": token}, basic(idp.clients.pod)).minted()


_GRANTED = {
    "client_credentials": lambda world, clients: token_of(world, clients.steady),
    EXCHANGE: _exchanged,
    JWT_BEARER: _asserted,
}


def _method(world, clients, facts, endpoint, method, listed):
    """openid-client knows how to authenticate by each; here its parameters are sent whether or not we list the method."""
    if endpoint == "token":
        path, form = TOKENS, {"grant_type": "client_credentials", "scope": "catalog"}
    else:
        path, form = facts[f"{endpoint}_endpoint"].removeprefix(world.token_server), {"token": "a.b.c"}
    if method == "private_key_jwt" and listed:
        client = _with_key(world, "ES256")
    elif method == "spiffe_jwt":
        client = _workload(world, listed)
    elif method == "private_key_jwt":
        key = world.directory / "unregistered.jwk"
        key.write_text(json.dumps(key_pairs("ES256")["ES256"]["private"]))
        client = talk(world, clients.steady.id, method, key=key)
    else:
        client = by_secret(world, clients.steady, method)
    with client:
        sent = good(world, client.ask("authentication"))
    answer = ask(world, {**form, **sent["form"]}, sent["authorization"], path=path)
    if listed:
        expect(answer.status == 200, f"{answer}")
    else:
        expect(answer.status in (400, 401) and answer.error in ("invalid_client", "invalid_request"), f"{answer}")


_REGISTERED = {}


def _with_key(world, alg):
    """A client for each algorithm, because one key set of all would say nothing about one of them."""
    id = f"with-{alg.lower()}"
    if id not in _REGISTERED:
        _REGISTERED[id] = add_client_with_keys(world, id, key_pairs(alg))[alg]
    return talk(world, id, "private_key_jwt", key=_REGISTERED[id])


SPIFFE_ID = "spiffe://td.test/ns/lake/sa/spark"


def _workload(world, listed):
    """A client that has nothing of its own but the identity that its trust domain gives it."""
    if "spiffe" not in _REGISTERED:
        pair = key_pairs("ES256")["ES256"]
        _REGISTERED["spiffe"] = world.directory / "spiffe.jwk"
        _REGISTERED["spiffe"].write_text(json.dumps(pair["private"]))
        if listed:
            bundle = world.directory / "bundle.json"
            bundle.write_text(json.dumps({"keys": [{**pair["public"], "use": "jwt-svid"}]}))
            world.administer("issuer", "add", "spiffe://td.test", "--jwks", bundle)
            world.add_client("workload", "--auth-method", "federated")
            world.administer("client", "federate", "workload", "--issuer", "spiffe://td.test", "--subject", SPIFFE_ID)
            time.sleep(1)
    return talk(world, "workload", "spiffe_jwt", key=_REGISTERED["spiffe"], spiffe_id=SPIFFE_ID)


def _told(facts, signed):
    """RFC 8414 §2: wherever a method with a JWT is listed, its algorithms are; and never `none`."""
    by_jwt = {"private_key_jwt", "client_secret_jwt", "spiffe_jwt"} & set(facts["token_endpoint_auth_methods_supported"])
    expect(bool(by_jwt) == bool(signed), f"{sorted(by_jwt)} with {signed}")
    named = [value for name, value in facts.items() if name.endswith("signing_alg_values_supported")]
    expect(not any("none" in value for value in named), f"{named}")


def _assertion(world, alg, listed):
    try:
        client = _with_key(world, alg)
    except Failure:
        expect(not listed, f"a client with a key of {alg} cannot be registered")
        return
    with client:
        answer = client.ask("token", scope="catalog")
    if listed:
        good(world, answer)
    else:
        is_refused(answer, "invalid_client", 401)


def _dpop(world, clients, alg, proofs):
    with by_secret(world, clients.steady) as client:
        good(world, client.ask("new_key", alg=alg))
        answer = client.ask("token", scope="catalog", dpop=True)
    if alg in proofs or not proofs:  # where nothing is listed, a proof means nothing
        expect(good(world, answer)["token_type"].lower() == ("dpop" if proofs else "bearer"), answer["token_type"])
    else:
        is_refused(answer, "invalid_dpop_proof")
