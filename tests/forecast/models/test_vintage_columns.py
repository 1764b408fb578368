"""A column of vintages in windows: in training as in use, a step sees what was said of it by its
origin.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.evaluation.panel_folds import AtTime, future_of, panel_known_at, series_at
from hwds.forecast.covariates import Regressors, Standard
from hwds.forecast.windows import VintageColumn, Windowing, WindowSource
from hwds.frames.panel import Vintages
from tests.frames.test_vintages import forecasts, said
from tests.support.panels import monthly_panel

PLAIN = Standard("rival", False, 0.0, 0.0, 1.0)


@pytest.fixture
def panel():
    plain = monthly_panel(3, 40)
    return plain.with_vintages(forecasts(plain))


def test_a_training_window_sees_what_was_said_by_its_origin(panel):
    clock = panel.table["time"].unique().sort().to_list()
    for end in (1, 9, 23, 36):
        ahead = (panel.offsets[:-1] + end)[:, None] + np.arange(4)
        got = VintageColumn.of(panel, PLAIN)[ahead]
        wanted = [
            [said(panel, f"s{i}", clock[end + step], clock[end - 1]) for step in range(4)]
            for i in range(3)
        ]
        np.testing.assert_array_equal(got, np.array(wanted, float))
    assert not np.isnan(got[:2]).all()
    assert np.isnan(got[2]).all()


def test_ahead_of_a_cutoff_it_is_the_column_of_the_rows_to_forecast(panel):
    cutoff = AtTime(panel.table["time"].unique().sort()[30])
    known = panel_known_at(panel, cutoff)
    both = known.followed_by(future_of(panel, series_at(panel, cutoff), cutoff.ends(panel), 6))
    ahead = (both.offsets[:-1] + known.lengths)[:, None] + np.arange(6)
    np.testing.assert_array_equal(VintageColumn.of(both, PLAIN)[ahead], both.values("rival")[ahead])


def test_windows_read_it(panel):
    windowing = Windowing.learn(panel, season=12, horizon=3)
    source = WindowSource.of(windowing, panel)
    windows = source.cut(source.at(np.full(3, 30)))
    names = list(source.step_names)
    clock = panel.table["time"].unique().sort().to_list()
    standard = next(told for told in windowing.known if told.name == "rival")
    wanted = np.array(
        [
            [said(panel, f"s{i}", clock[30 + step], clock[29]) for step in range(3)]
            for i in range(3)
        ],
        float,
    )
    np.testing.assert_allclose(
        windows.steps[..., names.index("rival")], standard.apply(wanted), rtol=1e-6
    )


def test_without_a_forecast_all_is_unknown(panel):
    none = Vintages(panel.vintages.table.clear(), panel.vintages.sources)
    assert np.isnan(VintageColumn.of(panel.with_vintages(none), PLAIN)[np.array([[3, 4]])]).all()


def test_holes_of_a_regressor_are_filled_and_no_shock():
    plain = monthly_panel(3, 6)
    column = pl.Series([None, 7.0, None, 9.0, None, None] + [5.0] * 6 + [None] * 6)
    panel = replace(plain, table=plain.table.with_columns(column.alias("promotion")))
    filled = Regressors(("promotion",), 0, 0).values(panel)[:, 0].reshape(3, 6)
    assert filled.tolist() == [[7, 7, 7, 9, 9, 9], [5] * 6, [0] * 6]
