from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwds.report.pictures import label_places


def test_labels_that_are_apart_stay_and_those_too_close_share_the_way():
    assert label_places([0.1, 0.5, 0.9], 0.05, 0, 1) == [0.1, 0.5, 0.9]
    assert label_places([0.5, 0.52, 0.9], 0.06, 0, 1) == pytest.approx([0.48, 0.54, 0.9])
    assert label_places([0.52, 0.5], 0.06, 0, 1) == pytest.approx([0.54, 0.48]), (
        "in the order given"
    )
    assert label_places([1.0, 1.0], 0.1, 0, 1) == pytest.approx([0.9, 1.0])
    assert label_places([], 0.1, 0, 1) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_labels_never_touch_nor_leave(wanted):
    found = sorted(label_places(wanted, 0.05, 0.0, 1.0))
    gap = min(0.05, 1 / max(len(wanted) - 1, 1))
    assert all(high - low >= gap - 1e-9 for low, high in pairwise(found))
    assert found[0] >= -1e-9
    assert found[-1] <= 1 + 1e-9
