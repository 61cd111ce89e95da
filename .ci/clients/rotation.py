# SPDX-License-Identifier: Apache-2.0
"""A provider whose keys change and that goes down. We ask for keys once a minute at most (KS-06), so this takes minutes, and
goes on beside the cases that have nothing to do with it."""

import threading
import time
from concurrent.futures import Future

from asking import ID_TOKEN, acting
from report import Failure, expect

PATIENCE = 75  # seconds until a change must have been noticed


class Rotation:
    """Its two parts, `rotates` and `is_down`, each of which a case waits for."""

    def __init__(self, world):
        self._world = world
        self._provider = world.provider()
        url = self._provider.opened["issuer"]
        self._client = world.add_client("rotating-gateway", "--may-act-for", f"{url}|*")
        world.administer("issuer", "add", url, "--discover", "--shared-names", "--accept", "id_token")
        self._parts = {"rotates": Future(), "is_down": Future()}
        threading.Thread(target=self._run, daemon=True).start()

    def wait_for(self, part):
        self._parts[part].result(timeout=6 * PATIENCE)

    def _run(self):
        time.sleep(1)  # what running servers are promised to follow within
        try:
            self._rotate()
            self._parts["rotates"].set_result(None)
            self._be_down()
            self._parts["is_down"].set_result(None)
        except Exception as failure:  # the case that waits fails with it
            for part in self._parts.values():
                if not part.done():
                    part.set_exception(failure)

    def _rotate(self):
        first = self._signed_by("first")
        self._is_taken(first, "of the first key")

        second = self._signed_by("second", "first")
        self._until(lambda: self._status(second) == 200, "the new key is not fetched")
        self._is_taken(first, "of a key that is still published")

        third = self._signed_by("third")
        self._until(lambda: self._status(third) == 200, "the next key is not fetched")
        for old in (first, second):
            expect(self._status(old) != 200, "a key that was removed still verifies")
            # 503 while the next fetch is not allowed, then 400 (KS-06).
            self._until(lambda token=old: self._status(token) == 400, "a removed key stays an outage")

    def _be_down(self):
        """Known keys stay in use, and a key that cannot be fetched is reported as a fault of the server, not of the user."""
        expiring, known = self._signed_by("third", lifetime=1), self._signed_by("third")
        unknown = self._signed_by("fourth", "third")
        self._provider.ask("down")

        def is_an_outage():
            self._is_taken(known, "of a known key while the provider is down")
            return self._status(unknown) == 503

        self._until(is_an_outage, "the failed fetch of the keys is not reported")
        self._is_taken(known, "of a known key once the provider was found to be down")
        self._provider.ask("up")
        self._until(lambda: self._status(unknown) == 200, "the provider is up again, and its new key is not fetched")
        expect(self._status(expiring) == 400, "a token is taken that expired long ago")

    def _signed_by(self, kid, *also_published, **terms):
        self._provider.ask("keys", kids=[kid, *also_published])
        token = self._provider.ask("id_token", subject="alice", audience=self._client.id, **terms)["token"]
        self._world.seen.add(token)
        return token

    def _status(self, token):
        return acting(self._world, self._client, token, ID_TOKEN).status

    def _is_taken(self, token, what):
        answer = acting(self._world, self._client, token, ID_TOKEN)
        expect(answer.status == 200, f"{what}: {answer}")

    def _until(self, holds, why):
        end = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > end:
                raise Failure(f"{why} within {PATIENCE} s")
            time.sleep(1)
