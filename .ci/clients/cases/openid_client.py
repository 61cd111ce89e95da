# SPDX-License-Identifier: Apache-2.0
"""npm's openid-client and oauth4webapi, which are strict about every answer: discovery, each way of authenticating, token
exchange, DPoP, introspection and revocation."""

import base64
import hashlib
import json
import subprocess
import time
from functools import cache, partial

import certificates
import tools
from asking import ACCESS_TOKEN, EXCHANGE
from report import Failure, expect
from wire import claims

SECRET_METHODS = ("client_secret_basic", "client_secret_post")
KEY_ALGORITHMS = ("ES256", "EdDSA")


def missing():
    return tools.node_missing()


def cases(world, clients):
    def case(name, check, *arguments):
        return f"openid_client_{name}", lambda: check(world, clients, *arguments)

    for discovery in ("oauth2", "oidc"):
        yield case(f"discovery_{discovery}_md_01_md_03", _discovers, discovery)
    for method in SECRET_METHODS:
        yield case(f"{method}_ca_01_ca_10", _has_token, method, "steady")
        yield case(f"{method}_torture_secret", _has_token, method, "torture")
        yield case(f"{method}_wrong_secret_ca_17", _wrong_secret, method)
    for alg in KEY_ALGORITHMS:
        yield case(f"private_key_jwt_{alg.lower()}_cj_01", _private_key, alg)
    yield case("private_key_jwt_of_another_key_cj_17", _other_key)
    yield case("tls_client_auth_mt_01_mt_04", _tls)
    yield case("token_is_what_rfc_9068_says_at_06", _validates)
    yield case("resource_ri_01", _asks_for_a_resource)
    yield case("exchange_of_its_own_token_tx_21", _exchanges)
    yield case("exchange_for_a_user_tx_50", _acts)
    yield case("dpop_dp_01_dp_11_dp_12_dp_14", _dpop)
    yield case("dpop_nonce_dp_10", _dpop_nonce)
    yield case("dpop_bound_client_without_a_proof_dp_13", _dpop_demanded)
    yield case("introspection_in_03_in_04", _introspects)
    yield case("revocation_rv_03", _revokes)


def talk(world, client_id, method, server=None, **settings):
    settings = {"server": server or world.token_server, "client_id": client_id, "method": method, **settings}
    return world.talk(tools.node_command("openid_client"), settings)


def by_secret(world, client, method="client_secret_basic", **settings):
    return talk(world, client.id, method, client_secret=client.secret, **settings)


def key_pairs(*algorithms):
    made = subprocess.run([*tools.node_command("new_key"), *algorithms], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(made.stdout)


def add_client_with_keys(world, id, keys, *arguments):
    """A client that authenticates with any of these keys; returns the files of the private ones."""
    jwks = world.directory / f"{id}.jwks"
    jwks.write_text(json.dumps({"keys": [pair["public"] for pair in keys.values()]}))
    world.add_client(id, "--auth-method", "private_key_jwt", "--jwks", jwks, *arguments)
    time.sleep(1)
    files = {}
    for alg, pair in keys.items():
        files[alg] = world.directory / f"{id}-{alg}.jwk"
        files[alg].write_text(json.dumps(pair["private"]))
    return files


def good(world, answer):
    expect("error" not in answer, f"{answer}")
    if "access_token" in answer:
        world.seen.add(answer["access_token"])
    return answer


def is_refused(answer, error, status=400):
    if "access_token" in answer:
        raise Failure(f"instead of {status} {error} came a token")
    expect((answer.get("error"), answer.get("status")) == (error, status), f"not {status} {error}, but {answer}")


def _discovers(world, clients, discovery):
    with by_secret(world, clients.steady, discovery=discovery) as client:
        metadata = good(world, client.opened)["metadata"]
    expect(metadata["issuer"] == world.token_server, f"{metadata}")
    for endpoint in ("token_endpoint", "introspection_endpoint", "revocation_endpoint", "jwks_uri"):
        expect(metadata[endpoint].startswith(world.token_server), f"{endpoint}: {metadata.get(endpoint)}")


def _has_token(world, clients, method, name):
    with by_secret(world, getattr(clients, name), method) as client:
        answer = good(world, client.ask("token", scope="catalog"))
        expect(answer["scope"] == "catalog" and answer["expires_in"] > 0, f"{sorted(answer)}")


def _wrong_secret(world, clients, method):
    with by_secret(world, clients.mistyped, method) as client:
        answer = client.ask("token", scope="catalog")
        is_refused(answer, "invalid_client", 401)
        expect(answer["challenge"].startswith("Basic "), f"{answer}")


@cache
def _keys(world):
    """The keys of a client that was registered with all of them."""
    return add_client_with_keys(world, "with-keys", key_pairs(*KEY_ALGORITHMS))


def _private_key(world, clients, alg):
    with talk(world, "with-keys", "private_key_jwt", key=_keys(world)[alg]) as client:
        first = good(world, client.ask("token", scope="catalog"))
        second = good(world, client.ask("token", scope="catalog"))
        expect(first["access_token"] != second["access_token"], "it is one token")
        renewed = client.ask("grant", grant_type=EXCHANGE, subject_token=first["access_token"], subject_token_type=ACCESS_TOKEN)
        good(world, renewed)
        payload = good(world, client.ask("introspect", token=first["access_token"]))
        expect(payload["active"] and payload["client_id"] == "with-keys", f"{payload}")


def _other_key(world, clients):
    _keys(world)
    other = world.directory / "other.jwk"
    own = json.loads(_keys(world)["ES256"].read_text())
    other.write_text(json.dumps({**key_pairs("ES256")["ES256"]["private"], "kid": own["kid"]}))
    for who, key in (("with-keys", other), ("steady", _keys(world)["ES256"])):
        with talk(world, who, "private_key_jwt", key=key) as client:
            is_refused(client.ask("token", scope="catalog"), "invalid_client", 401)


def _tls(world, clients):
    made = certificates.make(world.directory, "mutual", "other")
    world.add_client("mutual", "--auth-method", "tls_client_auth", "--tls-subject", "CN=mutual")
    server = world.serve(
        "tokenberg", "serve", "--tls-cert", made.server.certificate, "--tls-key", made.server.key,
        "--tls-client-ca", made.authority)
    time.sleep(1)
    speak = partial(talk, world, "mutual", "tls_client_auth", server=server, ca=made.authority)
    with speak(cert=made.mutual.certificate, cert_key=made.mutual.key) as client:
        metadata = good(world, client.opened)["metadata"]
        expect("tls_client_auth" in metadata["token_endpoint_auth_methods_supported"], f"{metadata}")
        expect(metadata["tls_client_certificate_bound_access_tokens"] is True, f"{metadata}")
        token = good(world, client.ask("token", scope="catalog"))["access_token"]
        thumbprint = base64.urlsafe_b64encode(hashlib.sha256(made.mutual.der()).digest()).rstrip(b"=").decode()
        expect(claims(token).get("cnf") == {"x5t#S256": thumbprint}, f"it is bound to {claims(token).get('cnf')}")
        renewed = good(world, client.ask("grant", grant_type=EXCHANGE, subject_token=token, subject_token_type=ACCESS_TOKEN))
        expect(claims(renewed["access_token"])["cnf"] == {"x5t#S256": thumbprint}, "its renewal is not bound")
    with speak(cert=made.other.certificate, cert_key=made.other.key) as client:
        is_refused(client.ask("token", scope="catalog"), "invalid_client", 401)
    with speak() as client:  # a certificate is asked for, not demanded: others have secrets
        is_refused(client.ask("token", scope="catalog"), "invalid_client", 401)
    with by_secret(world, clients.steady, server=server, ca=made.authority) as client:
        good(world, client.ask("token", scope="catalog"))


def _validates(world, clients):
    """oauth4webapi's resource server demands every claim and the type of RFC 9068, and our published key."""
    with by_secret(world, clients.steady) as client:
        token = good(world, client.ask("token", scope="catalog"))["access_token"]
        payload = good(world, client.ask("validate", token=token, audience=world.token_server))
        expect(payload["sub"] == payload["client_id"] == clients.steady.id, f"{payload}")


def _asks_for_a_resource(world, clients):
    at_two = world.add_client("at-two", "--audience", "https://one.test", "--audience", "https://two.test")
    time.sleep(1)
    with by_secret(world, at_two) as client:
        token = good(world, client.ask("token", scope="catalog", resource="https://two.test"))["access_token"]
        good(world, client.ask("validate", token=token, audience="https://two.test"))
        expect(claims(token)["aud"] == "https://two.test", f"it is for {claims(token)['aud']}")
        is_refused(client.ask("token", scope="catalog", resource="https://three.test"), "invalid_target")


def _exchanges(world, clients):
    with by_secret(world, clients.steady) as client:
        token = good(world, client.ask("token", scope="catalog"))["access_token"]
        answer = good(world, client.ask("grant", grant_type=EXCHANGE, subject_token=token, subject_token_type=ACCESS_TOKEN))
        expect(answer["issued_token_type"] == ACCESS_TOKEN, f"{answer['issued_token_type']}")
        answer = client.ask("grant", grant_type=EXCHANGE, subject_token="a.b.c", subject_token_type=ACCESS_TOKEN)
        is_refused(answer, "invalid_request")


def _acts(world, clients):
    with by_secret(world, clients.alice) as client:
        subject = good(world, client.ask("token", scope="catalog"))["access_token"]
    with by_secret(world, clients.service) as client:
        actor = good(world, client.ask("token", scope="catalog"))["access_token"]
        answer = good(world, client.ask(
            "grant", grant_type=EXCHANGE, scope="catalog", subject_token=subject, subject_token_type=ACCESS_TOKEN,
            actor_token=actor, actor_token_type=ACCESS_TOKEN))
        payload = good(world, client.ask("validate", token=answer["access_token"], audience=world.token_server))
        expect((payload["sub"], payload["act"]["sub"]) == (clients.alice.id, clients.service.id), f"{payload}")


def _dpop(world, clients):
    exchange = {"grant_type": EXCHANGE, "subject_token_type": ACCESS_TOKEN}
    namespaces = world.catalog + "/v1/namespaces"
    with by_secret(world, clients.steady) as client:
        answer = good(world, client.ask("token", scope="catalog", dpop=True))
        expect(answer["token_type"].lower() == "dpop", f"{answer['token_type']}")
        token = answer["access_token"]
        payload = good(world, client.ask("validate", token=token, audience=world.token_server, dpop=True))
        bound = payload["cnf"]
        expect(set(bound) == {"jkt"}, f"it is bound to {bound}")

        shown = good(world, client.ask("introspect", token=token))
        expect(shown["cnf"] == bound and shown["token_type"].lower() == "dpop", f"{shown}")

        renewed = good(world, client.ask("grant", subject_token=token, dpop=True, **exchange))
        expect(claims(renewed["access_token"])["cnf"] == bound, "its renewal is bound to something else")
        is_refused(client.ask("grant", subject_token=token, **exchange), "invalid_request")

        used = good(world, client.ask("get", token=token, url=namespaces, dpop=True))
        expect(used["status"] == 200, f"{used}")
        downgraded = client.ask("get", token=token, url=namespaces)
        expect(downgraded.get("status") == 401, f"a bound token as Bearer: {downgraded}")

        client.ask("new_key")
        stolen = client.ask("get", token=token, url=namespaces, dpop=True)
        expect(stolen.get("status") == 401, f"with another key: {stolen}")
        is_refused(client.ask("grant", subject_token=token, dpop=True, **exchange), "invalid_request")


def _dpop_nonce(world, clients):
    """A server that takes no proof made in advance: the library hears of the nonce, and asks once more with it."""
    server = world.serve("tokenberg", "serve", "--require-dpop-nonce")
    with by_secret(world, clients.steady, server=server) as client:
        before = len(client.ask("answered")["statuses"])
        first = good(world, client.ask("token", scope="catalog", dpop=True))
        again = client.ask("grant", grant_type=EXCHANGE, dpop=True, subject_token=first["access_token"],
                           subject_token_type=ACCESS_TOKEN)
        expect(claims(good(world, again)["access_token"])["cnf"] == claims(first["access_token"])["cnf"], "bound anew")
        statuses = client.ask("answered")["statuses"][before:]
        expect(statuses == [400, 200, 200], f"it was answered {statuses}")


def _dpop_demanded(world, clients):
    bound = world.add_client("bound", "--dpop-bound")
    time.sleep(1)
    with by_secret(world, bound) as client:
        is_refused(client.ask("token", scope="catalog"), "invalid_dpop_proof")
        good(world, client.ask("token", scope="catalog", dpop=True))


def _introspects(world, clients):
    with by_secret(world, clients.steady) as client:
        token = good(world, client.ask("token", scope="catalog"))["access_token"]
        payload = good(world, client.ask("introspect", token=token))
        expect(payload["active"] and payload["sub"] == clients.steady.id and payload["iss"] == world.token_server, f"{payload}")
    with by_secret(world, clients.alice) as another:
        payload = good(world, another.ask("introspect", token=token))
        expect(payload == {"active": False}, f"another client receives {payload}")


def _revokes(world, clients):
    with by_secret(world, clients.steady) as client:
        token = good(world, client.ask("token", scope="catalog"))["access_token"]
        good(world, client.ask("revoke", token=token))
        expect(good(world, client.ask("introspect", token=token)) == {"active": False}, "it is still active")
        good(world, client.ask("revoke", token=token))
        good(world, client.ask("revoke", token="garbage"))
