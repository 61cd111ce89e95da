# SPDX-License-Identifier: Apache-2.0
"""The load of Trino's `session=USER` on Iceberg's Java client: a new session for every query, all renewed on one thread.

The library tries a refused renewal seven times within 3.3 s, on the thread that also renews the catalog's own token. If
the server refuses renewals that happen in normal operation, the catalog's own token expires and every query fails.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import tools
from asking import ACCESS_TOKEN, basic, exchange
from sessions import IdTokens, Terms, run

VERSION = tools.JAVA_VERSIONS[0]
SHORT = {
    "unsecured": Terms(lifetime=15, seconds=60, call_every=10, used_for=60, sleep=17),
    "outliving": Terms(lifetime=15, seconds=60, call_every=10, used_for=60, sleep=17),
    # The catalog's own renewal has a tenth of the lifetime to wait for a refused one, which takes 3.3 s.
    "ending": Terms(lifetime=40, seconds=75, call_every=2, used_for=24, new_every=6),
    "beyond": Terms(lifetime=15, seconds=75, call_every=5, used_for=10, idle=10),
}
LONG = {
    "unsecured": Terms(lifetime=60, seconds=600, call_every=40, used_for=240, sleep=63),
    "outliving": Terms(lifetime=60, seconds=600, call_every=40, used_for=240, sleep=63),
    "ending": Terms(lifetime=60, seconds=600, call_every=2, used_for=24, new_every=6),
    "beyond": Terms(lifetime=60, seconds=600, call_every=20, used_for=40, idle=40),
}
ENDING = 12  # seconds that an ID token lives whose user's session ends with it
SESSION = 3  # token lifetimes that the catalog's session lasts in "beyond"; no user's session lives as long
AROUND_AN_END = 4  # new sessions of a second: for so long the own token of the library can be expired, as times are whole seconds
TRIES = 7  # of the library, for a renewal that is refused


def missing():
    return tools.java_missing(VERSION) or tools.node_missing()


def cases(world, clients):
    name = "java_" + VERSION.replace(".", "_") + "_sessions_of_users"
    yield f"{name}_who_are_unsecured_tx_44_tx_47", partial(_never_refused, world, "unsecured")
    yield f"{name}_who_outlive_their_id_token_tx_44_tx_47", partial(_never_refused, world, "outliving")
    yield f"{name}_who_end_with_their_id_token_tx_44", partial(_end, world)
    yield f"{name}_beyond_the_session_of_the_catalog_tx_44", partial(_beyond, world)


_RUNS = {}


def _counted(world, name):
    """All runs go on at once; most of the time they wait. Returns the client and the numbers of this one."""
    if world not in _RUNS:
        terms = LONG if world.long else SHORT
        plans = {name: _PLANS[name](world, name, terms[name]) for name in terms}
        time.sleep(1)  # what running servers are promised to follow within
        runs = ThreadPoolExecutor(len(plans))
        _RUNS[world] = {name: (plan[0], runs.submit(run, world, VERSION, *plan)) for name, plan in plans.items()}
        runs.shutdown(wait=False)
    client, counted = _RUNS[world][name]
    return client, counted.result()


def _unsecured(world, name, terms, *rights):
    client = world.add_client(
        f"sessions-{name}", "--token-lifetime", f"{terms.lifetime}s", "--may-assert-users", "*", *rights)
    return client, terms


def _unsecured_beyond(world, name, terms):
    return _unsecured(world, name, terms, "--session-lifetime", f"{SESSION * terms.lifetime}s")


def _outliving(world, name, terms):
    return _with_id_tokens(world, name, terms, round(1.4 * terms.lifetime), "--outlives-subject")


def _ending(world, name, terms):
    return _with_id_tokens(world, name, terms, ENDING)


def _with_id_tokens(world, name, terms, lifetime, *trust):
    provider = world.provider()
    url = provider.opened["issuer"]
    world.administer("issuer", "add", url, "--discover", "--shared-names", "--accept", "id_token", *trust)
    client = world.add_client(
        f"sessions-{name}", "--token-lifetime", f"{terms.lifetime}s", "--may-act-for", f"{url}|*")

    def issue(user):
        token = provider.ask("id_token", subject=user, audience=client.id, lifetime=lifetime)["token"]
        world.tokens.add(token)
        return token

    return client, terms, IdTokens(issue, lifetime)


_PLANS = {"unsecured": _unsecured, "outliving": _outliving, "ending": _ending, "beyond": _unsecured_beyond}


def _never_refused(world, name):
    _, counted = _counted(world, name)
    counted.is_never_refused(renewals=3)
    counted.goal(counted.by_basic, "no expired token was renewed by Basic")
    counted.goal(name != "outliving" or counted.counts["ok_after_end"] > 0, "no session was used after its ID token had ended")
    return counted.verdict()


def _end(world):
    """Without --outlives-subject a user's session ends with the ID token, and the catalog's own token is renewed in time."""
    client, counted = _counted(world, "ending")
    counts, goal = counted.counts, counted.goal
    counted.is_for_the_users()
    goal(counts["failed"] == 0, "calls failed before the ID token had ended")
    goal(counts["failed_after_end"] > 0, "no call was made after the ID token had ended")
    goal(counts["ok_after_end"] == 0, "calls were answered after the ID token had ended")
    goal(counted.own and all(call.status == 200 and call.scheme == "bearer" for call in counted.own),
         "the catalog's own token was not renewed in time")
    goal(set(map(id, counted.refused)) <= set(map(id, counted.users)), "more was refused than renewals of users' tokens")
    goal(len(counted.refused) <= TRIES * counts["sessions"], "more was refused than the library repeats")
    answer = exchange(world, counted.first[0].answer["access_token"], ACCESS_TOKEN, basic(client))
    answer.is_refused(400, "invalid_request", "a token whose session has ended")
    goal("session" in answer.body["error_description"], f"the refusal does not say that the session has ended: {answer}")
    return counted.verdict()


def _beyond(world):
    """The catalog's session ends and a new one begins. Users' sessions have their own lifetime and are not cut short by it."""
    _, counted = _counted(world, "beyond")
    counted.is_for_the_users()
    terms = (LONG if world.long else SHORT)["beyond"]
    ends = terms.seconds // (SESSION * terms.lifetime)
    failed = counted.counts["failed"]
    counted.goal(failed <= ends * AROUND_AN_END, f"more than {AROUND_AN_END} calls failed around an end of it, of which there were {ends}")
    counted.goal(counted.most_renewed > 0, "no session was renewed")
    return counted.verdict()
