# SPDX-License-Identifier: Apache-2.0
"""Requests of our own, where no client is tested but the server's answer."""

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import urlencode

from report import expect
from wire import claims

TOKENS = "/v1/oauth/tokens"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"


@dataclass(frozen=True)
class Answer:
    status: int
    body: dict = field(repr=False)

    @property
    def error(self):
        return self.body.get("error")

    def minted(self):
        expect(self.status == 200, f"no token, but {self}")
        return self.body["access_token"]

    def is_refused(self, status, error, what):
        expect((self.status, self.error) == (status, error), f"{what}: {self}")

    def __str__(self):
        return f"{self.status} {self.error or ''} {self.body.get('error_description', '')}".strip()


def ask(world, form, authorization=None, url=None, path=TOKENS):
    """One form posted to the token server, or to another one at `url`. What it minted is remembered as a secret."""
    # Parameters without a value are not sent.
    body = urlencode({name: value for name, value in form.items() if value is not None})
    status, _, answer = fetch((url or world.token_server) + path, form=body, authorization=authorization)
    answer = Answer(status, json.loads(answer or "{}"))
    world.seen |= {answer.body["access_token"]} if "access_token" in answer.body else set()
    return answer


def token_of(world, client, **parameters):
    """The client's own access token."""
    return ask(world, {"grant_type": "client_credentials", **parameters}, basic(client)).minted()


def exchange(world, subject, kind, authorization, actor=None, **parameters):
    form = {"grant_type": EXCHANGE, "subject_token": subject, "subject_token_type": kind, **parameters}
    if actor:
        form |= {"actor_token": actor, "actor_token_type": ACCESS_TOKEN}
    return ask(world, form, authorization)


def acting(world, client, subject, kind, actors_scope=None, **parameters):
    """The exchange that Iceberg's Java client makes for a user: the catalog's token is the actor, and the Bearer."""
    actor = token_of(world, client, scope=actors_scope)
    return exchange(world, subject, kind, f"Bearer {actor}", actor, **parameters)


def is_for(answer, subject, issuer, actor):
    """Our token for that subject, which names the actor."""
    payload = claims(answer.minted())
    expect(payload["sub"] == subject and payload["iss"] == issuer, f"it is for {payload['sub']}, from {payload['iss']}")
    expect(payload.get("act", {}).get("sub") == actor, f"the actor is {payload.get('act')}")
    return payload


def basic(client):
    return "Basic " + base64.b64encode(client.credential.encode()).decode()


def fetch(url, token=None, form=None, authorization=None):
    """(status, headers, body) of one request, a POST if there is a form."""
    headers = {"Authorization": authorization or f"Bearer {token}"} if authorization or token else {}
    request = urllib.request.Request(url, headers=headers, data=form.encode() if form is not None else None)
    try:
        with _DIRECT.open(request, timeout=10) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers, refused.read()


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
