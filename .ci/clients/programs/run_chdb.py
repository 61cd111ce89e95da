# SPDX-License-Identifier: Apache-2.0
"""Runs the statements on standard input in chDB, and prints what each returns."""

import sys

from chdb.session import Session

session = Session()
for statement in filter(str.strip, sys.stdin.read().split(";")):
    print(session.query(statement, "CSV"))
