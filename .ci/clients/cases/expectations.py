# SPDX-License-Identifier: Apache-2.0
"""What is asked of every client alike."""

import time

from report import expect

SHORT = 3  # seconds that a token of the client `short` lives; past them by EXPIRED, it has certainly expired
EXPIRED = SHORT + 1.3


def opens_and_lists(talk, wire):
    expect("error" not in talk.opened, f"it did not open: {talk.opened}; {wire.story()}")
    lists(talk, wire)


def lists(talk, wire):
    answer = talk.ask("list")
    expect("demo" in answer.get("namespaces", []), f"instead of the namespaces came {answer}; {wire.story()}")


def fails_to_open(talk, wire, *words):
    """A wrong secret is said when the catalog is opened or first used, and in words that name the credential."""
    answer = talk.opened if "error" in talk.opened else talk.ask("list")
    expect("error" in answer, f"the wrong secret was not noticed: {answer}; {wire.story()}")
    said = f"{answer['error']}: {answer['message']}"
    for word in words:
        expect(word in said, f"it says {said!r}, and not {word!r}")
    expect([call.status for call in wire.token_calls()][:1] == [401], f"no 401 on the wire: {wire.story()}")
    return said


def sleeps_past_expiry(wire):
    """Waits until every token of this case has expired, and returns how many there were."""
    time.sleep(EXPIRED)
    return len(wire.minted())


def has_renewed(wire, before):
    minted = wire.minted()
    expect(len(minted) > before, f"no new token was asked for: {wire.story()}")
    used = [call.credentials for call in wire.calls() if call.path.startswith("/v1/namespaces") and call.status == 200]
    expect(used and used[-1] in minted[before:], f"the catalog was not called with the new token: {wire.story()}")
