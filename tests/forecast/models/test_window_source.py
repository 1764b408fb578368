"""Cutting windows: the scale of series that are shorter than the window."""

from __future__ import annotations

import numpy as np
import pytest

from hwds.forecast.models.windows.cut import Windowing
from hwds.forecast.models.windows.source import WindowSource
from tests.support.panels import monthly_panel

SEASON = 12


def last_windows(months):
    panel = monthly_panel(n_series=3, months=months)
    windowing = Windowing.learn(panel, season=SEASON, horizon=6)
    source = WindowSource.of(windowing, panel)
    return panel, windowing, source.cut(source.at(panel.lengths))


@pytest.mark.parametrize("months", [9, 12, 15, 20, 24, 40])
def test_a_seasonal_change_that_is_not_seen_counts_as_the_typical_one(months):
    panel, windowing, windows = last_windows(months)
    for i, scale in enumerate(windows.scale):
        series = panel.series(i)
        repeated = [series[place % SEASON if months >= SEASON else -1] for place in range(months - windowing.span, 0)]
        size = np.abs([*repeated, *series[-windowing.span :]]).mean()
        seen = np.abs(series[SEASON:] - series[:-SEASON])[-SEASON:]
        made_up = [windowing.typical * size] * (SEASON - len(seen))
        assert scale == pytest.approx(np.mean([*seen, *made_up]))


def test_a_series_of_one_season_and_a_row_is_not_scaled_by_rows_compared_with_themselves():
    _, windowing, windows = last_windows(SEASON + 1)
    assert (windows.scale > 0.8 * windowing.typical * windows.level).all()
