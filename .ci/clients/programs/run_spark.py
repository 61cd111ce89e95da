# SPDX-License-Identifier: Apache-2.0
"""Opens the catalog `lake` of Spark with the lines `NAME VALUE` on standard input, and prints its namespaces; the argument is the jar."""

import sys

from pyspark.sql import SparkSession

builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
builder = builder.config("spark.jars", sys.argv[1]).config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1")
for line in sys.stdin:
    if line.strip():
        builder = builder.config(*line.split(None, 1)[:1], line.split(None, 1)[1].strip())
print(builder.getOrCreate().sql("SHOW NAMESPACES IN lake").collect())
