# SPDX-License-Identifier: Apache-2.0
"""Runs the statements on standard input in DuckDB, and prints the rows of the last one."""

import sys

import duckdb

connection = duckdb.connect()
for statement in filter(str.strip, sys.stdin.read().split(";")):
    result = connection.execute(statement)
print(result.fetchall())
