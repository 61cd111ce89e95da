# SPDX-License-Identifier: Apache-2.0
"""The programs' half of the conversation that ../talk.py describes."""

import json
import os
import sys


def settings():
    """The lines NAME=VALUE of CLIENT_SETTINGS."""
    return dict(line.split("=", 1) for line in os.environ["CLIENT_SETTINGS"].splitlines())


def converse(open_catalog, questions):
    """Opens, then answers each word on standard input with `questions[word](catalog)`."""
    opened = []
    _answer(lambda: opened.append(open_catalog(settings())) or {})
    for word in sys.stdin:
        _answer(lambda: questions[word.strip()](opened[0]))


def _answer(question):
    try:
        answer = question()
    except Exception as failure:  # the failure is the answer
        answer = {"error": type(failure).__name__, "message": str(failure)}
    print(json.dumps(answer), flush=True)
