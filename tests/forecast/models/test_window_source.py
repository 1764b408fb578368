"""Cutting windows: the scale of series that are shorter than the window."""

from __future__ import annotations

import numpy as np
import pytest

from hwds.evaluation.panel_folds import FromEnd, future_of, panel_known_at
from hwds.forecast.models.base import ForecastContext
from hwds.forecast.models.damped import Damped
from hwds.forecast.models.theta import Theta
from hwds.forecast.models.xgboost import ThetaAndDamped
from hwds.forecast.windows import Windowing, WindowSource
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
        repeated = [
            series[place % SEASON if months >= SEASON else -1]
            for place in range(months - windowing.span, 0)
        ]
        size = np.abs([*repeated, *series[-windowing.span :]]).mean()
        seen = np.abs(series[SEASON:] - series[:-SEASON])[-SEASON:]
        made_up = [windowing.typical * size] * (SEASON - len(seen))
        assert scale == pytest.approx(np.mean([*seen, *made_up]))


def test_a_series_of_one_season_and_a_row_is_not_scaled_by_rows_compared_with_themselves():
    _, windowing, windows = last_windows(SEASON + 1)
    assert (windows.scale > 0.8 * windowing.typical * windows.level).all()


def test_lines_are_the_forecasts_of_the_methods_from_the_rows_before_an_origin_alone():
    panel = monthly_panel(n_series=3, months=60)
    source = WindowSource.of(
        Windowing.learn(panel, season=SEASON, horizon=6, lines=ThetaAndDamped()), panel
    )
    ends, context = panel.lengths - 6, ForecastContext(0, levels=(0.5,), season=SEASON)
    windows = source.cut(source.at(ends))
    history, future = panel_known_at(panel, FromEnd(6)), future_of(panel, np.arange(3), ends, 6)
    methods = (Theta(origins=0), Damped(origins=0))
    theta, damped = (
        model.learn(history, horizon=6, context=context).predict(history, future).mean
        for model in methods
    )
    np.testing.assert_allclose(windows.base, (theta + damped) / 2)
    actual = np.stack([panel.series(i)[-6:] for i in range(3)])
    np.testing.assert_allclose(windows.restore(windows.target), actual, rtol=1e-5)
    assert len(source.step_names) == windows.steps.shape[2]


@pytest.mark.parametrize("series", [np.arange(5.0), np.full(40, 7.0)])
def test_where_a_method_cannot_be_fitted_the_line_is_the_naive(series):
    base = np.arange(12.0).reshape(2, 6)
    drawn = ThetaAndDamped().forecasts(
        [series, np.arange(40.0) + np.sin(np.arange(40))], SEASON, base
    )
    np.testing.assert_array_equal(drawn[:, 0], np.stack([base[0]] * 2))
    assert (drawn[:, 1] != base[1]).all()
