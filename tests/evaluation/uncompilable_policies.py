"""Functions that numba cannot compile."""

from typing import NamedTuple

import numpy as np


class Settings(NamedTuple):
    arms: int


def undefined(settings, state, visit, arm, outcome):
    state[arm] += undefined_name  # noqa: F821


def makes_arrays(settings, state, visit, arm, outcome):
    state[arm] += np.zeros(3)[0]
