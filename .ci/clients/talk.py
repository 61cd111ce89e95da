# SPDX-License-Identifier: Apache-2.0
"""A client program as a partner in a conversation: one word in, some with arguments in JSON, and one line of JSON out.

A program opens its catalog with the settings in CLIENT_SETTINGS (lines of NAME=VALUE) and answers how that went; then it
answers every word, such as `list` and `whoami`, until its standard input ends. An answer is what the client returned, or
{"error": type, "message": text}.
"""

import json
import os
import queue
import signal
import subprocess
import threading
import time

from report import Failure

PATIENCE = 60  # seconds: a JVM that starts on a busy machine is slow


class Talk:
    def __init__(self, argv, settings, stderr_path):
        self._stderr_path = stderr_path
        with open(stderr_path, "wb") as errors:
            self._process = subprocess.Popen(
                argv,
                env=client_environment(CLIENT_SETTINGS=_lines(settings)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._answers = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        try:
            self.opened = self._answer()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_):
        try:
            self._process.stdin.close()
            self._process.wait(timeout=5)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._end()

    def ask(self, word, **arguments):
        self._process.stdin.write(word + (" " + json.dumps(arguments) if arguments else "") + "\n")
        self._process.stdin.flush()
        return self._answer()

    def suspend(self, seconds):
        """Stops the whole program, timers included, as a laptop's lid does."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _end(self):
        self._process.kill()
        self._process.wait()

    def _read(self):
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(None)

    def _answer(self):
        try:
            line = self._answers.get(timeout=PATIENCE)
        except queue.Empty:
            raise Failure(f"the client said nothing for {PATIENCE} s") from None
        if line is None:
            with open(self._stderr_path, errors="replace") as errors:
                raise Failure("the client ended: " + errors.read()[-600:].strip())
        return json.loads(line)


def _lines(settings):
    return "\n".join(f"{name}={value}" for name, value in settings.items())


def client_environment(**settings):
    """The environment, without a proxy for loopback and without the client configuration of the user."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYICEBERG_", "TOKENBERG_"))}
    return {**ours, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1", **settings}
