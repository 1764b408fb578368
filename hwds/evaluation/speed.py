"""The speed of this machine, beside the one that work was measured on."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import numpy as np

REFERENCE = 0.0048
"""Seconds of one core that `_probe` took on the machine whose seconds are the units of work.

Set so that what laws foresee is right by a factor of two on a machine that sorts fast, too: `python -m bench.candidates`, and
M3 quarterly by nine models.
"""

TRIES = 4


@cache
def seconds_per_unit(*, idle: bool = True) -> float:
    """Return the seconds that a unit of work takes here, measured once a process in less than a tenth of a second.

    Args:
        idle: Seconds of a core of one's own; else of the clock, which others on the machine hold up.
    """
    taken = [_probe(time.process_time if idle else time.perf_counter) for _ in range(TRIES)]
    return (min(taken) if idle else sum(taken) / TRIES) / REFERENCE


def _probe(clock: Callable[[], float]) -> float:
    """Return the seconds of a fixed work: sorting, products of small matrices, and a loop of the interpreter."""
    values = np.arange(200_000, dtype=np.float64) * 7919 % 100_003
    small = np.arange(14_400, dtype=np.float64).reshape(120, 120) / 14_400
    began = clock()
    np.sort(values)
    for _ in range(20):
        small = small @ small / 120
    total = 0
    for number in range(60_000):
        total += number & 7
    return clock() - began
