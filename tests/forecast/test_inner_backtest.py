"""Inner windows: what a protocol would have asked, from the history alone, computed once."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.forecast.models.base import ForecastContext
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from hwds.forecast.models.xgboost import XGBoost
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.frames.features.none import None_
from tests.support.panels import LastValue, inner_context, monthly_panel


def test_the_rows_are_those_of_a_protocol_and_end_with_the_history(tmp_path):
    history = monthly_panel()
    rows = inner_context(tmp_path).inner(SeasonalNaive(), history, 3, horizon=6)
    assert rows.group_by("cutoff").len().height == 3
    assert rows.height == 6 * 3 * 6
    assert rows["actual"].null_count() == 0
    last = rows.filter(pl.col("series_id") == "s0").sort("time")
    assert np.array_equal(last["actual"].to_numpy(), history.series(0)[-18:])
    assert rows["time"].max() == history.table["time"].max()


def test_a_member_is_fitted_once_for_all_who_ask(tmp_path):
    class Counted(LastValue):
        """Counts its fits."""

        def learn(self, history, *, horizon, context):
            FITS.append(history.lengths[0])
            return LastValue.learn(self, history, horizon=horizon, context=context)

    FITS.clear()
    asking = inner_context(tmp_path)
    first = asking.inner(Counted(), monthly_panel(), 3, horizon=6)
    assert asking.inner(Counted(), monthly_panel(), 3, horizon=6).equals(first)
    assert FITS == [60 - 18, 60 - 12, 60 - 6]
    asking.inner(Counted(), monthly_panel(), 2, horizon=6)  # the last two of them
    assert len(FITS) == 3
    asking.inner(Counted(), monthly_panel(seed=1), 3, horizon=6)
    asking.inner(Counted(), monthly_panel(), 3, horizon=4)
    assert len(FITS) == 9


FITS: list = []


class Spied(LastValue):
    """Keeps what it was fitted on."""

    def learn(self, history, *, horizon, context):
        FITS.append(dict(zip(history.series_ids, history.lengths.tolist(), strict=True)))
        return LastValue.learn(self, history, horizon=horizon, context=context)


class SpiedTogether(Spied):
    """The same, all series at once."""

    local = False


def test_one_fit_before_the_first_window_serves_all(tmp_path):
    FITS.clear()
    asking = inner_context(tmp_path)
    rows = asking.inner(SpiedTogether(), monthly_panel(), 3, horizon=6, refit=False)
    assert [dict.fromkeys([f"s{i}" for i in range(6)], 60 - 18)] == FITS
    assert rows["window"].to_list() == sorted(rows["window"].to_list())
    assert rows.group_by("window").len().sort("window").rows() == [(-3, 36), (-2, 36), (-1, 36)]
    anew = asking.inner(SpiedTogether(), monthly_panel(), 3, horizon=6)
    assert len(FITS) == 4  # the cache tells the two apart
    assert anew.select("mean", "window").equals(
        rows.select("mean", "window")
    )  # its forecasts are of the history alone
    assert asking.inner(SpiedTogether(), monthly_panel(), 3, horizon=6, refit=False).equals(rows)
    assert len(FITS) == 4


def test_what_is_fitted_alone_is_fitted_before_each_window_that_it_has(tmp_path):
    FITS.clear()
    history = monthly_panel().until(np.array([60, 60, 30, 60, 16, 9]))
    rows = inner_context(tmp_path).inner(Spied(), history, 3, horizon=6, refit=False)
    seen = {
        name: rows.filter(pl.col("series_id") == name)["window"].unique().sort().to_list()
        for name in history.series_ids
    }
    assert seen["s0"] == [-3, -2, -1]
    assert seen["s2"] == [-2, -1]  # 12 of its 30 rows are less than half
    assert seen["s4"] == [-1]
    assert seen["s5"] == []
    early, late = ({"s0": rows, "s1": rows, "s3": rows} for rows in (48, 54))
    assert [{"s0": 42, "s1": 42, "s3": 42}, early | {"s2": 18}, late | {"s2": 24, "s4": 10}] == FITS
    FITS.clear()
    together = inner_context(tmp_path).inner(SpiedTogether(), history, 3, horizon=6, refit=False)
    assert (
        together.select("series_id", "window")
        .sort(pl.all())
        .equals(rows.select("series_id", "window").sort(pl.all()))
    )
    assert len(FITS) == 1


def test_windows_of_a_calendar_end_at_the_cutoff_and_not_where_the_last_series_does(tmp_path):
    history = monthly_panel().until(np.array([57] * 6))
    until = monthly_panel().table["time"].max()
    rows = inner_context(tmp_path, align="calendar", known_until=until).inner(
        SeasonalNaive(), history, 2, horizon=6, refit=False
    )
    assert rows.filter(pl.col("window") == -1)["cutoff"].unique().to_list() == [
        monthly_panel().table["time"][53]
    ]
    assert rows.filter(pl.col("window") == -1)["step"].max() == 3


def test_a_sliding_window_slides_inside_too(tmp_path):
    FITS.clear()
    inner_context(tmp_path, sliding=24).inner(
        SpiedTogether(), monthly_panel(), 2, horizon=6, refit=False
    )
    assert set(FITS[0].values()) == {24}


def test_a_member_sees_nothing_of_the_windows_it_is_weighed_on(tmp_path):
    history, model = monthly_panel(), XGBoost(trees=10)
    last = pl.Series(history.positions >= history.lengths[0] - 6)
    rubbish = pl.when(last).then(pl.lit(1e6)).otherwise(pl.col("target")).alias("target")
    poisoned = replace(history, table=history.table.with_columns(rubbish))
    clean, other = (
        inner_context(tmp_path).inner(model, panel, 3, horizon=6) for panel in (history, poisoned)
    )
    early = clean["cutoff"].unique().sort()[:2].to_list()
    told = ["mean", "q_0.1", "q_0.5", "q_0.9"]
    assert (
        clean.filter(pl.col("cutoff").is_in(early))
        .select(told)
        .equals(other.filter(pl.col("cutoff").is_in(early)).select(told))
    )
    assert not clean["actual"].equals(other["actual"])


def test_windows_of_a_calendar_are_the_same_instants_for_all(tmp_path):
    history = monthly_panel().until(np.array([60, 60, 60, 50, 60, 60]))
    rows = inner_context(tmp_path, align="calendar").inner(SeasonalNaive(), history, 2, horizon=6)
    assert rows["cutoff"].n_unique() == 2
    assert rows.filter(pl.col("series_id") == "s3")["cutoff"].n_unique() == 1
    own = inner_context(tmp_path, align="end").inner(SeasonalNaive(), history, 2, horizon=6)
    assert own["cutoff"].n_unique() == 4


def test_only_a_run_answers():
    with pytest.raises(RuntimeError, match="only a run answers"):
        ForecastContext(0).inner(LastValue(), monthly_panel(), 3, horizon=6)


def test_a_model_that_asks_for_inner_windows_runs_in_a_protocol(tmp_path, monkeypatch):
    from hwds.evaluation.cells import Job, compute_cell
    from hwds.evaluation.protocol import Cell
    from hwds.frames.panel import Panel

    class Better(LastValue):
        """Takes the member with the smaller inner error."""

        def learn(self, history, *, horizon, context):
            members = (LastValue(), SeasonalNaive())
            rows = [context.inner(member, history, 2, horizon=horizon) for member in members]
            errors = [float((part["actual"] - part["mean"]).abs().mean()) for part in rows]
            return members[int(np.argmin(errors))].learn(history, horizon=horizon, context=context)

    panel, protocol = monthly_panel(), WalkForward(windows=2, horizon=6)
    job = Job(protocol, {"better": Better()}, None_(), 0, 1, "cpu", Panel, tmp_path, tmp_path)
    for fold in protocol.split(panel):
        outcome = compute_cell(job, panel, Cell("better", fold, 0, fold.units))
        assert outcome.rows is not None, outcome.trace
        assert outcome.rows.height == 6 * 6
