# SPDX-License-Identifier: Apache-2.0
"""An independent provider that is trusted, and the clients that act for its users."""

import time
from types import SimpleNamespace

from report import Failure
from rotation import Rotation
from wire import claims


class Foreign:
    def __init__(self, world):
        self._world = world
        self._provider = world.provider()
        self.url = self._provider.opened["issuer"]
        users = ("--may-act-for", f"{self.url}|*")
        world.administer(
            "issuer", "add", self.url, "--discover", "--shared-names", "--alg", "ES256", "--audience", world.token_server,
            "--accept", "id_token,access_token,jwt_bearer",
            "--scope", "catalog", "--map", "groups=analysts:PRINCIPAL_ROLE:analyst",
        )
        self.clients = SimpleNamespace(
            gateway=world.add_client("gateway", "--scope", "catalog PRINCIPAL_ROLE:analyst", *users),
            stranger=world.add_client("stranger"),  # may act for no user
            quick=world.add_client("quick", "--token-lifetime", f"{QUICK}s", "--session-lifetime", f"{SESSION}s", *users),
            pod=world.add_client(
                "pod", "--scope", "catalog", "--grant", "client_credentials,token_exchange,jwt_bearer", *users),
        )
        world.administer("client", "federate", "pod", "--issuer", self.url, "--subject", "workload")
        self.rotation = Rotation(world)
        time.sleep(1)  # what running servers are promised to follow within

    def id_token(self, subject, audience, **terms):
        return self._token("id_token", subject, audience, **terms)

    def access_token(self, subject, audience, **terms):
        return self._token("access_token", subject, audience, **terms)

    def ask(self, word, **arguments):
        answer = self._provider.ask(word, **arguments)
        if "error" in answer:
            raise RuntimeError(f"the provider: {answer}")
        return answer

    def _token(self, kind, subject, audience, **terms):
        token = self.ask(kind, subject=subject, audience=audience, **terms)["token"]
        assert claims(token)["iss"] == self.url
        self._world.seen.add(token)
        return token


QUICK = 8  # seconds that a token of the client `quick` lives
SESSION = 20  # seconds that a session of it lives

_OF = {}


def foreign(world):
    """The one of this world, which starts with the first case that needs it; where it did not start, it is not tried again."""
    if world not in _OF:
        try:
            _OF[world] = Foreign(world)
        except Failure as failure:
            _OF[world] = failure
    if isinstance(_OF[world], Failure):
        raise _OF[world]
    return _OF[world]
