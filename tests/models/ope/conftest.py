"""The six rows of a log whose estimates are known to twelve digits."""

from __future__ import annotations

import numpy as np
import pytest

from hwds.metrics.ope_evidence import Evidence


def six_rows() -> Evidence:
    """The log."""
    return Evidence(
        reward=np.array([1.0, 0, 1, 1, 0, 0]),
        action=np.array([0, 1, 2, 1, 0, 2]),
        propensity=np.array([0.5, 0.3, 0.2, 0.25, 0.6, 0.1]),
        target=np.array(
            [[0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.25, 0.5, 0.25], [0.7, 0.2, 0.1], [0.05, 0.15, 0.8]]
        ),
        predicted=np.array(
            [[0.3, 0.4, 0.5], [0.2, 0.1, 0.6], [0.5, 0.5, 0.5], [0.4, 0.7, 0.2], [0.1, 0.3, 0.2], [0.3, 0.2, 0.4]]
        ),
        arms=("a", "b", "c"),
    )


@pytest.fixture
def log() -> Evidence:
    """Six rows, three arms."""
    return six_rows()
