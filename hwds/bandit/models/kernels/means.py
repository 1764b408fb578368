"""The state of the policies that go by the mean reward of each arm: pulls, sums of rewards, means, and an index as scratch."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwds.bandit.models.kernels.base import Visit
from hwds.core.numba_cache import helper


def size(arms: int) -> int:
    """Return numbers in the state."""
    return 4 * arms


def init(settings: Any, state: np.ndarray) -> None:
    """Begin without pulls; the mean of an arm that was never pulled is infinite, so that it is tried before all others."""
    count = settings.values.size
    for arm in range(count):
        state[2 * count + arm] = np.inf


def update(settings: Any, state: np.ndarray, visit: Visit, arm: int, outcome: float) -> None:
    """Count the pull, whose reward is outcome x value."""
    count_pull(settings.values, state, arm, outcome)


@helper
def count_pull(values: np.ndarray, state: np.ndarray, arm: int, outcome: float) -> None:
    """Count the pull; the mean is made of sums, so that equal histories are ties to the last bit."""
    count = values.size
    state[arm] += 1.0
    state[count + arm] += outcome * values[arm]
    state[2 * count + arm] = state[count + arm] / state[arm]
