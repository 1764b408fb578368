"""Quantiles of groups, and of all rows with their interval."""

import numpy as np
import pytest

from hwds.core.seeds import stream
from hwds.forecast.metrics import pooled_quantile
from hwds.stats.estimates import group_quantiles
from hwds.stats.periods import Cells


@pytest.mark.parametrize("level", [0.05, 0.5, 0.9])
def test_each_group_has_the_quantile_that_numpy_gives(level):
    rng = stream(0, "groups")
    values, group = rng.normal(size=200), rng.integers(0, 6, 200)
    values[::17] = np.nan
    found = group_quantiles(values, group, 7, level)
    assert found[:6] == pytest.approx(
        [np.nanquantile(values[group == each], level) for each in range(6)]
    )
    assert np.isnan(found[6])


def test_the_interval_holds_the_true_quantile_nineteen_times_in_twenty():
    unit, period = np.divmod(np.arange(320), 8)
    cells, group = Cells(unit, period), np.repeat(np.arange(320), 3)
    held = 0
    for seed in range(200):
        values = stream(seed, "rows").exponential(size=960)
        estimate = pooled_quantile(values, group, cells, 0.9)
        assert estimate.value == np.quantile(values, 0.9)
        held += estimate.low <= np.log(10) <= estimate.high
    assert held >= 180


def test_without_a_value_there_is_none_and_a_root_is_that_of_the_quantile():
    cells = Cells(np.array([0, 1]), np.array([0, 0]))
    assert pooled_quantile(np.array([np.nan, np.nan]), np.array([0, 1]), cells, 0.5).value is None
    assert pooled_quantile(np.array([4.0, 4.0]), np.array([0, 1]), cells, 0.5, root=True).value == 2
    assert (
        pooled_quantile(np.array([-4.0, -4.0]), np.array([0, 1]), cells, 0.5, root=True).value
        is None
    )
