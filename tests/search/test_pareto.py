"""Pareto fronts."""

import numpy as np

from hwds.core.seeds import stream
from hwds.search.results import pareto_front


def test_a_row_is_in_the_front_where_no_other_beats_it():
    values = np.array([[1.0, 5.0], [2.0, 3.0], [2.0, 4.0], [3.0, 3.0], [4.0, 1.0], [1.0, 5.0]])
    assert pareto_front(values).tolist() == [True, True, False, False, True, True], (
        "equal rows do not beat each other"
    )
    assert pareto_front(np.empty((0, 2))).tolist() == []


def test_every_other_row_is_beaten_by_one_of_the_front():
    values = stream(0, "rows").normal(size=(60, 3))
    front = values[pareto_front(values)]
    assert all((front <= row).all(axis=1).any() for row in values)
