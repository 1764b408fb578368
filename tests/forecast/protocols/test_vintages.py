"""Forecasts of other runs as covariates: known by their cutoffs, in inner windows too; leaks are
caught.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from hwds.core.cache import Cache
from hwds.core.compose import compose
from hwds.evaluation.leak_check import check_leaks
from hwds.evaluation.panel_folds import (
    AtTime,
    FromEnd,
    corrupt_panel,
    future_of,
    panel_known_at,
    series_at,
)
from hwds.evaluation.protocol import Cell, RunContext
from hwds.experiment.spec import check
from hwds.forecast.models.base import Forecaster
from hwds.forecast.predictions import all_cutoffs
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.frames.features.none import None_
from hwds.frames.panel import Forecasts, Vintages
from tests.support.panels import AskedAnew, LastValue, monthly_panel


def joined(n_series=4, months=48, every=2, steps=6):
    """A panel whose column `when` tells, of each row, the number of the instant at which it was
    forecast last.
    """
    plain = monthly_panel(n_series, months)
    clock = plain.table["time"].unique().sort().to_list()
    rows = [
        (name, clock[made + step], clock[made], "when", float(made))
        for name in plain.series_ids
        for made in range(0, months, every)
        for step in range(1, steps + 1)
        if made + step < months
    ]
    table = pl.DataFrame(
        rows, schema=["series_id", "time", "made_at", "column", "value"], orient="row"
    )
    return plain.with_vintages(Vintages(table, {"when": "the mean of run a/b"}))


@pytest.mark.parametrize(
    ("cutoff", "last"),
    [(AtTime(date(2020, 12, 1)), 35), (AtTime(date(2020, 11, 1)), 34), (FromEnd(12), 35)],
)
def test_rows_ahead_have_what_was_said_by_the_cutoff_and_those_behind_what_was_said_before_them(
    cutoff, last
):
    panel = joined()
    known, future = (
        panel_known_at(panel, cutoff),
        future_of(panel, series_at(panel, cutoff), cutoff.ends(panel), 9),
    )
    past = known.table.filter(pl.col("series_id") == "s0")["when"].to_list()
    assert past == [None, *(float((row - 1) // 2 * 2) for row in range(1, last + 1))]
    ahead = future.table.filter(pl.col("series_id") == "s0")["when"].to_list()
    latest = last // 2 * 2
    reach = latest + 6 - last
    assert ahead == [float(latest)] * reach + [None] * (9 - reach)
    assert known.vintages.table["value"].max() == latest
    assert future.vintages is None


def test_an_inner_window_knows_what_was_said_by_its_own_cutoff(tmp_path):
    seen = []

    class Looks(LastValue):
        def learn(self, history, *, horizon, context):
            fitted = super().learn(history, horizon=horizon, context=context)

            class Watched:
                def predict(self, known, future):
                    latest = known.vintages.table["value"].max()
                    seen.append((float(known.lengths[0] - 1), latest, future.table["when"].max()))
                    return fitted.predict(known, future)

            return Watched()

    protocol = WalkForward(windows=1, horizon=4, intervals="conformal", calibration=2)
    (fold,) = protocol.split(joined())
    context = RunContext(0, features=None_(), cache=Cache(tmp_path))
    protocol.evaluate_cell(Looks(), joined(), Cell("m", fold, 0, 4), context)
    assert [row for row, _, _ in seen] == [43.0, 35.0, 39.0]
    assert all(latest == row // 2 * 2 == ahead for row, latest, ahead in seen)


@pytest.mark.parametrize("name", ["xgboost", "xgboost_recursive", "analog", "seasonal_naive"])
def test_no_forecaster_reads_what_was_forecast_after_a_cutoff(name, tmp_path):
    model = check(compose([f"model=forecast/{name}", "size=small"])).model
    protocol = WalkForward(
        windows=4, stride=3, horizon=4, refit="every_2", intervals="conformal", calibration=1
    )
    assert leaks(protocol, model, tmp_path) == []


def test_forecasts_of_all_cutoffs_are_not_made_in_one_pass():
    """The rows ahead of one cutoff are not those behind a later one."""

    class Walks:
        def predict(self, history, future):
            raise AssertionError

        def predict_at(self, panel, cutoffs, horizon):
            return [horizon] * cutoffs.shape[1]

        save = load = predict

    panel, cutoffs = joined(), WalkForward(windows=3, horizon=4).cutoffs(joined())
    assert all_cutoffs(Walks(), panel, cutoffs, 4, None) == [None] * 3
    assert all_cutoffs(Walks(), replace(panel, vintages=None), cutoffs, 4, None) == [4] * 3


def leaks(protocol, model, folder):
    context = RunContext(0, features=None_(), cache=AskedAnew(folder))
    return [leak for leak in check_leaks(protocol, "m", model, joined(), context) if leak]


@dataclass(frozen=True)
class Repeats:
    """Says what it finds in the column."""

    levels: tuple[float, ...]

    def predict(self, history, future):
        mean = np.nan_to_num(future.values("when")).reshape(history.n_series, -1)
        return Forecasts.of(mean, np.repeat(mean[..., None], len(self.levels), axis=2))


class ReadsTheColumn(Forecaster):
    """Reads the column ahead."""

    def learn(self, history, *, horizon, context):
        return Repeats(context.levels)


def test_what_was_forecast_after_the_cutoff_is_caught(tmp_path):
    class Careless(WalkForward):
        """Takes the column as the panel has it, as if it were a plan."""

        def evaluate_cell(self, model, frame, cell, context):
            rows = super().evaluate_cell(model, frame, cell, context)
            column = frame.table.select("series_id", "time", "when")
            with_it = rows.join(column, on=["series_id", "time"], how="left", maintain_order="left")
            return with_it.with_columns(mean=pl.col("when")).drop("when")

    assert leaks(WalkForward(windows=3, horizon=4), ReadsTheColumn(), tmp_path) == []
    assert leaks(Careless(windows=3, horizon=4), ReadsTheColumn(), tmp_path)


def test_figures_that_were_not_out_are_rubbish_to_the_canary_too():
    plain = monthly_panel(2, 30)
    table = plain.table.with_columns(out=pl.col("time").dt.offset_by("2mo"))
    panel = replace(plain, table=table, roles=plain.roles | {"available_at": "out"})
    for cutoff in (AtTime(date(2020, 1, 1)), FromEnd(5)):
        rubbish = corrupt_panel(panel, cutoff, np.random.default_rng(0))
        same = (rubbish.target == panel.target).reshape(2, 30)
        assert same[:, :23].all()
        assert not same[:, 23:].any()
        late = panel_known_at(panel, cutoff).table.filter(pl.col("target").is_null())
        assert late.group_by("series_id").len()["len"].to_list() == [2, 2]
        assert panel_known_at(panel, cutoff).table.equals(panel_known_at(rubbish, cutoff).table)
