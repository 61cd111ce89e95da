# SPDX-License-Identifier: Apache-2.0
"""What the other cases rest on: the catalog's answers, and the bytes of clients that cannot be had here."""

import base64
import json
import socket
import time
from urllib.parse import urlencode, urlsplit

from asking import ACCESS_TOKEN, basic, fetch
from report import expect

from .expectations import EXPIRED


def missing():
    return None


def cases(world, clients):
    yield "catalog_config_needs_no_token", lambda: _config(world)
    yield "catalog_refuses_a_missing_token", lambda: _missing_token(world)
    yield "catalog_refuses_an_expired_token_ic_05", lambda: _expired_token(world, clients)
    yield "catalog_forbids_without_scope", lambda: _forbidden(world, clients)
    yield "catalog_whoami", lambda: _whoami(world, clients)
    yield "new_client_within_a_second", lambda: _new_client(world)
    yield "success_has_the_shape_all_clients_read", lambda: _shape(world, clients)
    yield "duckdb_1_4_4_bytes", lambda: _duckdb_bytes(world, clients)
    yield "expired_own_token_tx_47", lambda: _expired_own_token(world, clients)


def _token(world, url, client, **parameters):
    form = {"grant_type": "client_credentials", "client_id": client.id, "client_secret": client.secret, **parameters}
    status, _, body = fetch(url + "/v1/oauth/tokens", form=urlencode(form))
    expect(status == 200, f"no token for {client.id}: {status} {body.decode()}")
    token = json.loads(body)
    world.seen.add(token["access_token"])
    return token


def _config(world):
    status, _, body = fetch(world.catalog + "/.well-known/oauth-protected-resource")
    expect(status == 200, f"RI-06: {status}")
    expect(json.loads(body)["authorization_servers"] == [world.token_server], f"RI-06: {body}")
    status, _, body = fetch(world.catalog + "/v1/config")
    expect(status == 200, f"{status}")
    config = json.loads(body)
    settings = {**config["defaults"], **config["overrides"]}
    expect(not {"token", "credential"} & settings.keys(), f"a configuration never holds a credential (IC-13): {sorted(settings)}")
    expect("oauth2-server-uri" not in settings, "it serves tokens itself, so it has no reason to send its clients elsewhere")


def _missing_token(world):
    _is_unauthorized(fetch(world.catalog + "/v1/namespaces"))


def _expired_token(world, clients):
    token = _token(world, world.token_server, clients.short)["access_token"]
    status, _, _ = fetch(world.catalog + "/v1/namespaces", token)
    expect(status == 200, f"fresh token: {status}")
    time.sleep(EXPIRED)
    headers = _is_unauthorized(fetch(world.catalog + "/v1/namespaces", token))
    challenge = headers["WWW-Authenticate"]
    expect('error="invalid_token"' in challenge, f"the challenge does not say invalid_token: {challenge}")


def _is_unauthorized(response):
    status, headers, body = response
    expect(status == 401, f"expected 401, not {status} {body.decode()}")
    error = json.loads(body)["error"]
    expect(error["code"] == 401 and error["type"] == "NotAuthorizedException", f"not Iceberg's error model: {error}")
    expect((headers["WWW-Authenticate"] or "").startswith("Bearer"), "no Bearer challenge in WWW-Authenticate")
    return headers


def _forbidden(world, clients):
    token = _token(world, world.token_server, clients.signer, scope="sign")["access_token"]
    status, _, body = fetch(world.catalog + "/v1/namespaces", token)
    expect(status == 403, f"expected 403, not {status} {body.decode()}")
    expect(json.loads(body)["error"]["code"] == 403, f"not Iceberg's error model: {body.decode()}")


def _whoami(world, clients):
    token = _token(world, world.catalog, clients.steady)["access_token"]
    status, _, body = fetch(world.catalog + "/v1/whoami", token)
    expect(status == 200, f"{status} {body.decode()}")
    answer = json.loads(body)
    expect(answer.get("client_id") == "steady" and answer.get("jti"), f"it does not know us: {answer}")


def _new_client(world):
    client = world.add_client("newcomer")
    time.sleep(1.0)
    for url in (world.token_server, world.catalog):
        _token(world, url, client)


def _shape(world, clients):
    form = {"grant_type": "client_credentials", "client_id": clients.steady.id, "client_secret": clients.steady.secret}
    for url in (world.token_server, world.catalog):
        status, headers, body = fetch(url + "/v1/oauth/tokens", form=urlencode(form))
        expect(status == 200, f"{status} {body.decode()}")
        answer = {"token_type": None, "expires_in": None, "issued_token_type": None, "scope": None, **json.loads(body)}
        expect(headers.get_content_type() == "application/json", headers["Content-Type"])
        expect(headers["Cache-Control"] == "no-store", f"Cache-Control: {headers['Cache-Control']}")
        expect(answer["token_type"] == "bearer", f"token_type {answer['token_type']!r}")
        expect(type(answer["expires_in"]) is int, f"expires_in {answer['expires_in']!r}")
        expect(answer["issued_token_type"] == ACCESS_TOKEN, f"issued_token_type {answer['issued_token_type']!r}")
        expect(answer["scope"] == "catalog", f"scope {answer['scope']!r}")
        expect("refresh_token" not in answer and None not in answer.values(), f"members: {sorted(answer)}")


def _duckdb_bytes(world, clients):
    """The request of DuckDB 1.4.4, byte for byte but for who asks."""
    server = urlsplit(world.token_server)
    basic = base64.b64encode(clients.steady.credential.encode()).decode()
    world.seen.add(basic)
    request = (
        "POST /v1/oauth/tokens HTTP/1.1\r\n"
        "Accept: */*\r\n"
        f"Authorization: Basic {basic}\r\n"
        "Content-Length: 56\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Host: {server.netloc}\r\n"
        "User-Agent: duckdb/v1.4.4(linux_amd64) python/3.11 6ddac802ff\r\n"
        "\r\n"
        "grant_type=client_credentials&scope=PRINCIPAL_ROLE%3AALL"
    )
    with socket.create_connection((server.hostname, server.port), timeout=10) as connection:
        connection.sendall(request.encode())
        answer = b""
        while not answer.endswith(b"}") and (chunk := connection.recv(65536)):
            answer += chunk
    expect(answer.startswith(b"HTTP/1.1 200 "), answer[:300].decode(errors="replace"))
    token = json.loads(answer.partition(b"\r\n\r\n")[2])
    world.seen.add(token["access_token"])
    expect(token["token_type"] == "bearer" and token["scope"] == "PRINCIPAL_ROLE:ALL", f"{sorted(token.items())[1:]}")


def _expired_own_token(world, clients):
    """Java's request after expiry: who may renew an expired token of this client, and who may not."""
    token = _token(world, world.token_server, clients.short)["access_token"]
    time.sleep(EXPIRED)
    form = urlencode({
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "scope": "catalog",
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
    })
    for who, authorization, expected in (
        ("itself", basic(clients.short), (200, None)),
        ("another client", basic(clients.steady), (400, "invalid_request")),
        ("the expired token", f"Bearer {token}", (401, "invalid_client")),
    ):
        status, _, body = fetch(world.token_server + "/v1/oauth/tokens", form=form, authorization=authorization)
        answer = json.loads(body)
        world.seen.add(answer.get("access_token", token))
        expect((status, answer.get("error")) == expected, f"asked by {who}: {status} {answer.get('error')}")
