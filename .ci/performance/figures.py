# SPDX-License-Identifier: Apache-2.0
"""Prints measured values, and names the parts of a profile that several pages of the report use."""

from statistics import median

RING = "signatures and hashes: ring"
LIMITS = "metrics, limiter, revocations, looking up clients"


def spread(values, digits=1):
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} – {max(values):,.{digits}f})"


def ratio(numerators, denominators):
    """Round by round, because only what was measured at the same time compares."""
    return [n / d for n, d in zip(numerators, denominators)]
