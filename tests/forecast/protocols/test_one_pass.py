"""All cutoffs in one pass: the rows of the loop to the last bit, and the loop where a past may look
different later.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from hwds.evaluation.leak_check import check_leaks
from hwds.evaluation.protocol import Cell, RunContext
from hwds.forecast.models.base import Forecaster
from hwds.forecast.models.sarima import FittedSarima, Sarima
from hwds.forecast.protocols.walk_forward import WalkForward
from tests.support.panels import monthly_panel


@dataclass(frozen=True)
class OneByOne:
    """A fitted model that hides its `predict_at`."""

    fitted: FittedSarima

    def predict(self, history, future):
        return self.fitted.predict(history, future)


class Hidden(Forecaster):
    """SARIMA that is asked cutoff by cutoff."""

    local = True

    def learn(self, history, *, horizon, context):
        return OneByOne(SARIMA.learn(history, horizon=horizon, context=context))


SARIMA = Sarima(most_ordinary=1, most_seasonal=1)


def ragged():
    """Series with holes, one that begins late, one that ends early, one that is unknown for long,
    one that is constant.
    """
    panel = monthly_panel(n_series=6, months=60)
    place, name = panel.positions, pl.col("series_id")
    target = pl.Series(panel.target)
    target[np.flatnonzero(place % 11 == 4).tolist()] = None
    table = panel.table.with_columns(
        pl.when(name == "s0").then(target).otherwise(pl.col("target")).alias("target")
    )
    unknown = (name == "s3") & pl.Series(place < 46)
    table = table.with_columns(
        pl.when(unknown).then(None).when(name == "s4").then(5.0).otherwise("target").alias("target")
    )
    cut = ((name == "s1") & pl.Series(place < 45)) | ((name == "s2") & pl.Series(place > 50))
    return replace(panel, table=table.filter(~cut))


def rows_of(protocol, model, panel):
    (fold,) = protocol.split(panel)
    return protocol.evaluate_cell(model, panel, Cell("m", fold, 0, fold.units), RunContext(0))


@pytest.fixture
def calls(monkeypatch):
    """Which of the two a fitted SARIMA was asked by."""
    seen = []
    for name in ("predict", "predict_at"):
        plain = getattr(FittedSarima, name)
        monkeypatch.setattr(
            FittedSarima,
            name,
            lambda *given, plain=plain, name=name: seen.append(name) or plain(*given),
        )
    return seen


@pytest.mark.parametrize("align", ["calendar", "end"])
@pytest.mark.parametrize("more", [{}, {"gap": 2}, {"stride": 1, "windows": 9}])
def test_rows_are_those_of_the_loop_to_the_last_bit(align, more, calls):
    protocol = WalkForward(
        **{"windows": 5, "horizon": 4, "stride": 2, "refit": "never", "align": align} | more
    )
    panel = ragged()
    together = rows_of(protocol, SARIMA, panel)
    assert calls == ["predict_at"]
    assert_frame_equal(together, rows_of(protocol, Hidden(), panel), check_exact=True)
    asked = together.group_by("cutoff").agg(pl.col("series_id").n_unique())["series_id"]
    assert align == "end" or asked.min() < asked.max()
    assert together["fallback"].any()
    assert not together["fallback"].all()


def test_waves_of_a_long_season_are_the_same_too():
    protocol = WalkForward(windows=4, horizon=3, refit="never")
    waves = Sarima(season=30, most_ordinary=1)
    (fold,) = protocol.split(monthly_panel())
    cell = Cell("m", fold, 0, fold.units)

    class Loop(Hidden):
        def learn(self, history, *, horizon, context):
            return OneByOne(waves.learn(history, horizon=horizon, context=context))

    asked = [
        protocol.evaluate_cell(model, monthly_panel(), cell, RunContext(0))
        for model in (waves, Loop())
    ]
    assert_frame_equal(*asked, check_exact=True)


def test_a_fit_for_each_cutoff_is_asked_one_by_one(calls):
    protocol = WalkForward(windows=2, horizon=3)
    for fold in protocol.split(monthly_panel()):
        protocol.evaluate_cell(
            SARIMA, monthly_panel(), Cell("m", fold, 0, fold.units), RunContext(0)
        )
    assert calls == ["predict"] * 2


def test_a_sliding_window_is_asked_one_by_one_and_respected(calls):
    panel, protocol = monthly_panel(), WalkForward(windows=3, horizon=3, refit="never", sliding=30)
    short = rows_of(protocol, SARIMA, panel)
    assert calls == ["predict"] * 3
    whole = rows_of(WalkForward(windows=3, horizon=3, refit="never"), SARIMA, panel)
    assert (short["mean"] != whole["mean"]).any()


def test_revisions_are_asked_one_by_one_and_never_seen_early(calls):
    panel = monthly_panel()
    late = panel.table["time"].dt.offset_by("2mo").alias("out")
    roles = panel.roles | {"available_at": "out"}
    revised = replace(panel, table=panel.table.with_columns(late), roles=roles)
    protocol = WalkForward(windows=3, horizon=3, refit="never")
    rows = rows_of(protocol, SARIMA, revised)
    assert calls == ["predict"] * 3
    assert [
        leak for leak in check_leaks(protocol, "m", SARIMA, revised, RunContext(0)) if leak
    ] == []
    plain = rows_of(protocol, SARIMA, panel)
    assert (rows["mean"] != plain["mean"]).any()


@pytest.mark.parametrize("filled", [True, False])
def test_a_plan_that_fills_holes_of_the_data_is_asked_one_by_one(filled, calls):
    panel = monthly_panel()
    hole = pl.Series(panel.positions == 57)
    table = panel.table.with_columns(
        pl.when(hole & (not filled)).then(None).otherwise("promotion").alias("promotion")
    )
    plan = panel.table.select("series_id", "time", "promotion")
    planned = replace(panel, table=table, plan=plan)
    protocol = WalkForward(windows=3, horizon=3, refit="never")
    assert_frame_equal(
        rows_of(protocol, SARIMA, planned),
        rows_of(protocol, SARIMA, panel),
        check_exact=filled,
        abs_tol=50,
    )
    assert calls[0] == ("predict_at" if filled else "predict")


def test_the_canary_holds_at_each_of_many_cutoffs():
    protocol = WalkForward(windows=4, horizon=3, stride=2, refit="never")
    found = list(check_leaks(protocol, "m", SARIMA, ragged(), RunContext(0)))
    assert found == [None] * 4
