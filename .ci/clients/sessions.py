# SPDX-License-Identifier: Apache-2.0
"""Many sessions of users at a time: runs java/Sessions.java and counts what happened.

The numbers come from three places: the program, the wire, and the server's audit.
"""

import re
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone

import tools
from report import Numbers, expect
from wire import claims
from world import Wire

USERS = ("ann", "ben", "cleo", "dan")
QUIET = 2.5  # seconds without traffic after which all due renewals are done; the library waits at most 1.8 s between tries
PATIENCE = 30  # seconds within which all due renewals have to be done
IDLE = 3600  # seconds after which Iceberg drops an idle session: its default, and Trino's


@dataclass(frozen=True)
class Terms:
    """How a run goes. All values are in seconds."""

    lifetime: int  # of an access token
    seconds: int  # for which sessions are opened and used
    call_every: float = 1  # between two calls of a session
    used_for: float = 0  # after which a session makes no further call; Iceberg still renews it
    new_every: float = 0.25  # between two new sessions
    sleep: int = 0  # for which the program is suspended halfway; 0: not at all
    idle: int = IDLE  # after which Iceberg drops an idle session

    def settings(self, client, wire):
        return {
            "uri": wire.catalog, "credential": client.credential, "oauth2-server-uri": wire.token_url,
            "rest.auth.type": "oauth2", "scope": "catalog", "auth.session-timeout-ms": 1000 * self.idle,
            "users.names": ",".join(USERS), "users.actor": client.id, "users.new-every-ms": round(1000 * self.new_every),
            "users.call-every-ms": round(1000 * self.call_every), "users.used-for-ms": round(1000 * self.used_for),
        }


class IdTokens:
    """The users' ID tokens. Each user gets a new one when half of the lifetime of the last one has passed."""

    def __init__(self, issue, lifetime):
        """`issue(user)` returns a token that lives for `lifetime` seconds."""
        self._issue, self._lifetime = issue, lifetime
        self._due = 0.0

    def supply(self, talk):
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._lifetime / 2
        for user in USERS:
            token = self._issue(user)
            talk.ask(f"token {user} {token} {claims(token)['exp']}")


class Watch:
    """What passes on the wire and is recorded in the audit from now on."""

    def __init__(self, world):
        self._world, self._since = world, datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.wire = Wire(world.token_server, world.catalog)

    def audited(self):
        """Outcomes with their reasons, and how often each was recorded for these connections."""
        expected, end = len(self.wire.token_calls()), time.monotonic() + 10
        while (outcomes := self._outcomes()).total() < expected and time.monotonic() < end:
            time.sleep(0.5)  # the audit is written in batches
        return outcomes

    def _outcomes(self):
        outcomes, ports = Counter(), self.wire.ports()
        for record in self._world.audit(self._since):
            if record.get("port") in ports:
                outcomes[record["outcome"], record.get("reason", "")] += 1 + record.get("repeated", 0)
        return outcomes


@contextmanager
def watched(world):
    """New tees for both servers, as `World.watched`, but for thousands of tokens."""
    watch = Watch(world)
    try:
        yield watch
    finally:
        watch.wire.close()
        world.tokens |= watch.wire.secrets()


def run(world, version, client, terms, id_tokens=None):
    """Runs the program with that version of Iceberg and returns what was counted."""
    with watched(world) as watch:
        with world.talk(tools.java_command(version, "Sessions"), terms.settings(client, watch.wire)) as talk:
            if terms.sleep:
                _use(talk, terms.seconds / 2, id_tokens)
                talk.suspend(terms.sleep)
                _wait_for_renewals(watch.wire)
            answer = _use(talk, terms.seconds / 2 if terms.sleep else terms.seconds, id_tokens)
        return Counted(answer, watch, client.id, terms)


def _use(talk, seconds, id_tokens):
    """Lets the program open and use sessions for that long, and returns its counts once no call is running."""
    end = time.monotonic() + seconds
    if id_tokens:
        id_tokens.supply(talk)
    talk.ask("go")
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(1, left))
        if id_tokens:
            id_tokens.supply(talk)
    return talk.ask("pause")


def _wait_for_renewals(wire):
    """After a sleep every session is due at once, and a call before its session's turn would fail whatever the server does."""
    end = time.monotonic() + PATIENCE
    time.sleep(QUIET)
    while wire.quiet_for() < QUIET and time.monotonic() < end:
        time.sleep(0.25)


class Counted:
    """The numbers of one run, and the goals that it missed."""

    def __init__(self, answer, watch, client_id, terms):
        self.counts, self.failures = Counter(answer["counts"]), answer["failures"]
        self.first_failure, self.last_failure = answer["first_failure"], answer["last_failure"]
        self._lifetime, self._missed = terms.lifetime, []
        tokens = watch.wire.token_calls()
        exchanges = [call for call in tokens if call.grant == "token-exchange"]
        renewals = [call for call in exchanges if "actor_token" not in call.form]
        self.first = [call for call in exchanges if "actor_token" in call.form]
        self.own = [call for call in renewals if _subject(call)["sub"] == client_id]
        self.users = [call for call in renewals if _subject(call)["sub"] != client_id]
        self.asked = len(tokens)
        self.refused = [call for call in tokens if call.status != 200]
        self.unauthorized = sum(call.status == 401 for call in watch.wire.calls() if call.method == "GET")
        outcomes = watch.audited()
        self.granted = sum(times for (outcome, _), times in outcomes.items() if outcome == "granted")
        self.audited = {f"{outcome}: {why}": times for (outcome, why), times in outcomes.items() if outcome != "granted"}
        self.by_basic = [call for call in self.users if call.scheme == "basic" and call.subject_had_expired()]
        self.short = [call for call in self.first if self._is_short(call)]
        self.shrinking = [call for call in self.users if self._is_short(call)]
        self.changed = [call for call in self.users if _changes(call)]
        renewed = Counter(_subject(call)["tokenberg_session"]["id"] for call in self.users if call.status == 200)
        self.most_renewed = max(renewed.values(), default=0)

    def goal(self, holds, missed):
        if not holds:
            self._missed.append(missed)

    def is_for_the_users(self):
        """Every answer and every renewal is for the user whose session it is."""
        self.goal(self.counts["ok"] >= self.counts["sessions"] > 0, "too few calls were answered")
        self.goal(self.counts["wrong_user"] == 0, "calls were answered for another user")
        self.goal(not self.changed, "renewals change the subject, the actor, the client, the scope or the audience")
        self.goal(self.granted + sum(self.audited.values()) >= self.asked, "the audit is incomplete")

    def is_never_refused(self, renewals):
        """Every request succeeds, every token has its full lifetime, and some sessions are renewed that often."""
        self.is_for_the_users()
        self.goal(self.counts["failed"] + self.counts["failed_after_end"] == 0, "calls failed")
        self.goal(not self.refused and not self.audited and not self.unauthorized, "requests were refused")
        self.goal(not self.short, "first tokens have less than the full lifetime")
        self.goal(not self.shrinking, "renewed tokens have less than the full lifetime")
        self.goal(self.most_renewed >= renewals, f"no session was renewed {renewals} times")

    def verdict(self):
        """The numbers, or a failure with them if a goal was missed."""
        expect(not self._missed, f"{'; '.join(self._missed)} ({self}){self._details()}")
        return Numbers(self)

    def __str__(self):
        counts = self.counts
        after_end = f", {counts['failed_after_end']} refused after the end of the ID token" if counts["failed_after_end"] else ""
        return (
            f"{counts['sessions']} sessions; calls: {counts['ok']} answered, {counts['failed']} failed{after_end}, "
            f"{counts['wrong_user']} answered for another user; "
            f"users' tokens: {len(self.first)} first ({len(self.short)} short), {len(self.users)} renewals "
            f"({len(self.by_basic)} by Basic after expiry, {len(self.shrinking)} that shrink, "
            f"at most {self.most_renewed} of a session); own renewals: {len(self.own)}; "
            f"refusals: {len(self.refused)} of {self.asked} token requests, {sum(self.audited.values())} in the audit, "
            f"{self.unauthorized} by the catalog")

    def _details(self):
        lines = []
        if self.failures:
            lines.append(f"calls failed from second {self.first_failure} to second {self.last_failure}:")
            lines += [f"  {times} × {message[:300]}" for message, times in _most(self.failures)]
        if self.audited:
            lines.append("refusals in the audit:")
            lines += [f"  {times} × {reason[:300]}" for reason, times in _most(_alike(self.audited))]
        return "".join(f"\n    {line}" for line in lines)

    def _is_short(self, call):
        """Whether a token was issued with less than the client's token lifetime."""
        if call.status != 200:
            return False
        issued = claims(call.answer["access_token"])
        return issued["exp"] - issued["iat"] < self._lifetime


def _changes(call):
    if call.status != 200:
        return False
    old, new = _subject(call), claims(call.answer["access_token"])
    return any(old.get(name) != new.get(name) for name in ("sub", "act", "client_id", "scope", "aud"))


def _subject(call):
    return claims(call.form["subject_token"])


def _alike(counted):
    """Adds up reasons that differ only in a time."""
    alike = Counter()
    for reason, times in counted.items():
        alike[re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z|\d{9,}", "…", reason)] += times
    return alike


def _most(counted):
    return sorted(counted.items(), key=lambda item: -item[1])[:5]
