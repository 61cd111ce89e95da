# SPDX-License-Identifier: Apache-2.0
"""A real Trino with `iceberg.rest-catalog.session=USER`: four users who each send a query a second. Part of the long form."""

import json
import threading
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import tools
from sessions import USERS, Counted, Terms, watched
from wire import claims

MAY_BE_SKIPPED = True  # it needs a newer JDK than the other cases, and 430 MB from Maven Central
TERMS = Terms(lifetime=60, seconds=180, new_every=1 / len(USERS))
QUERY = "SHOW SCHEMAS FROM lake"


def missing():
    return tools.trino_missing()


def cases(world, clients):
    if world.long:
        yield f"trino_{tools.TRINO_VERSION}_sessions_of_users_tx_44_tx_47", lambda: _sessions(world)


def _sessions(world):
    client = world.add_client("sessions-trino", "--token-lifetime", f"{TERMS.lifetime}s", "--may-assert-users", "*")
    time.sleep(1)  # what running servers are promised to follow within
    with watched(world) as watch:
        settings = {
            "iceberg.catalog.type": "rest", "iceberg.rest-catalog.uri": watch.wire.catalog,
            "iceberg.rest-catalog.view-endpoints-enabled": "false",
            "iceberg.rest-catalog.security": "OAUTH2", "iceberg.rest-catalog.session": "USER",
            "iceberg.rest-catalog.oauth2.server-uri": watch.wire.token_url,
            "iceberg.rest-catalog.oauth2.credential": client.credential, "iceberg.rest-catalog.oauth2.scope": "catalog",
        }
        with world.talk(tools.trino_command(), settings) as trino:
            queries = Queries(trino.opened["url"])
            with ThreadPoolExecutor(len(USERS)) as users:
                list(users.map(queries.send, USERS))
        counted = Counted(queries.answer(), watch, client.id, TERMS)
    called = Counter(_user(call) for call in watch.wire.calls() if call.path.startswith("/v1/namespaces") and call.status == 200)
    counted.goal(called.keys() == {(user, client.id) for user in USERS}, f"the catalog was called for {list(called)}")
    counted.goal(all(called[user, client.id] >= queries.answered[user] for user in USERS),
                 f"of the users' queries {queries.answered} were answered, but the catalog was called for {called}")
    counted.is_never_refused(renewals=2)
    return counted.verdict()


def _user(call):
    """The subject and the actor of the token that the catalog accepted."""
    token = claims(call.credentials)
    return token["sub"], token.get("act", {}).get("sub")


class Queries:
    """One query a second of each user, and how they ended."""

    def __init__(self, url):
        self._url = url
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._failures, self._failed_at = Counter(), []
        self.answered = Counter()

    def send(self, user):
        for number in range(TERMS.seconds):
            time.sleep(max(0.0, self._began + number - time.monotonic()))
            failure = self._failure(user)
            with self._lock:
                if failure is None:
                    self.answered[user] += 1
                else:
                    self._failures[failure] += 1
                    self._failed_at.append(round(time.monotonic() - self._began))

    def answer(self):
        """The counts, in the form of java/Sessions.java."""
        ok, failed = self.answered.total(), len(self._failed_at)
        return {
            "counts": {"sessions": ok + failed, "ok": ok, "failed": failed}, "failures": self._failures,
            "first_failure": min(self._failed_at, default=None), "last_failure": max(self._failed_at, default=None),
        }

    def _failure(self, user):
        """Why the query failed, or None."""
        try:
            rows, answer = [], self._fetch("/v1/statement", user, QUERY)
            while "nextUri" in answer:
                answer = self._fetch(answer["nextUri"].removeprefix(self._url), user)
                rows += answer.get("data", [])
        except OSError as failure:
            return f"{type(failure).__name__}: {failure}"
        if "error" in answer:
            return f"{answer['error']['errorName']}: {answer['error']['message']}"
        return None if ["demo"] in rows else f"the rows are {rows}"

    def _fetch(self, path, user, query=None):
        headers = {"X-Trino-User": user, "X-Trino-Source": "client-matrix"}
        request = urllib.request.Request(self._url + path, headers=headers, data=query.encode() if query else None)
        with _DIRECT.open(request, timeout=30) as response:
            return json.load(response)


_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
