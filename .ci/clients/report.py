# SPDX-License-Identifier: Apache-2.0
"""Says of every case whether it held: `ok NAME`, `FAILED NAME: why`, `skipped NAME: why`, and a last line that counts."""

import time


class Failure(Exception):
    """A case did not hold; the text says why."""


class Numbers(str):
    """What a case counted: it is printed after the case's name. It must not hold a secret."""


def expect(condition, why):
    if not condition:
        raise Failure(why)


class Report:
    def __init__(self, skips):
        """Whether a case may be skipped; if not, that is a failure of it."""
        self._skips = skips
        self.passed, self.failed, self.skipped = 0, 0, 0
        self.outcomes = {}

    def run(self, name, check):
        started = time.monotonic()
        try:
            returned = check()
        except Exception as failure:  # whatever a case meets is the case's failure, and the next one still runs
            self.fail(name, failure)
        else:
            self.passed += 1
            self.outcomes[name] = "passed"
            numbers = f": {returned}" if isinstance(returned, Numbers) else ""
            self._say(f"ok {name} ({time.monotonic() - started:.1f} s){numbers}")

    def fail(self, name, failure):
        self.failed += 1
        self.outcomes[name] = "failed"
        kind = "" if isinstance(failure, Failure) else f"{type(failure).__name__}: "
        self._say(f"FAILED {name}: {kind}{failure}")

    def skip(self, name, why, always=False):
        """`always`: this case may be skipped although others may not."""
        if not self._skips and not always:
            self.fail(name, Failure(why))
            return
        self.skipped += 1
        self.outcomes[name] = "skipped"
        self._say(f"skipped {name}: {why}")

    def close(self):
        """The exit code: 1 for a failure, and for a run of no case at all."""
        self._say(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed or not self.passed + self.skipped else 0

    @staticmethod
    def _say(line):
        print(line, flush=True)
