"""How units are cut: what is there is taken, what lies between is computed, and blocks bear no
trace of what is asked.
"""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwds.evaluation.run_cells import unit_runs


@pytest.mark.parametrize(
    ("units", "finished", "wanted"),
    [
        (250, [], [(0, 100), (100, 200), (200, 250)]),
        (250, [(0, 30)], [(0, 30), (30, 100), (100, 200), (200, 250)]),
        (50, [(0, 30), (30, 40)], [(0, 30), (30, 40), (40, 50)]),
        (50, [(0, 30), (0, 40)], [(0, 40), (40, 50)]),
        (50, [(0, 100)], [(0, 50)]),
        (50, [(10, 30)], [(0, 10), (10, 30), (30, 50)]),
        (0, [(0, 30)], []),
    ],
)
def test_runs(units, finished, wanted):
    assert list(unit_runs(units, 100, finished)) == wanted


@given(st.integers(1, 300), st.integers(1, 60), st.lists(st.integers(1, 300), max_size=6))
def test_runs_follow_each_other_and_what_was_asked_before_is_not_computed_again(units, size, asked):
    """However often more is asked for, as many units are computed as were ever asked for."""
    finished, computed = [], 0
    for wanted in sorted([*asked, units]):
        found = list(unit_runs(wanted, size, finished))
        assert found[0][0] == 0
        assert found[-1][1] == wanted
        assert all(before[1] == after[0] for before, after in pairwise(found))
        new = [run for run in found if run not in finished]
        computed += sum(stop - start for start, stop in new)
        finished += new
    assert computed == max([*asked, units])
