"""Inner windows: what a protocol would have asked, from the history alone, computed once."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.context import Context
from hwds.execution.inner import InnerWindows
from hwds.features.none import None_
from hwds.models.forecast.seasonal_naive import SeasonalNaive
from hwds.models.forecast.xgboost import XGBoost
from hwds.protocols.walk_forward import WalkForward
from tests.toys import LastValue, monthly_panel


def context(folder, **more):
    told = {"levels": (0.1, 0.5, 0.9), "season": 12, "horizon": 6, "features": None_(), "answers": InnerWindows(folder)}
    return Context(0, "2020-01-01", **told | more)


def test_the_rows_are_those_of_a_protocol_and_end_with_the_history(tmp_path):
    history = monthly_panel()
    rows = context(tmp_path).inner(SeasonalNaive(), history, 3)
    assert rows.group_by("cutoff").len().height == 3
    assert rows.height == 6 * 3 * 6
    assert rows["actual"].null_count() == 0
    last = rows.filter(pl.col("series_id") == "s0").sort("time")
    assert np.array_equal(last["actual"].to_numpy(), history.series(0)[-18:])
    assert rows["time"].max() == history.table["time"].max()


def test_a_member_is_fitted_once_for_all_who_ask(tmp_path):
    class Counted(LastValue):
        """Counts its fits."""

        def fit(self, history, *, horizon, context):
            FITS.append(history.lengths[0])
            return LastValue.fit(self, history, horizon=horizon, context=context)

    FITS.clear()
    asking = context(tmp_path)
    first = asking.inner(Counted(), monthly_panel(), 3)
    assert asking.inner(Counted(), monthly_panel(), 3).equals(first)
    assert FITS == [60 - 18, 60 - 12, 60 - 6]
    asking.inner(Counted(), monthly_panel(), 2)  # the last two of them
    assert len(FITS) == 3
    asking.inner(Counted(), monthly_panel(seed=1), 3)
    context(tmp_path, horizon=4).inner(Counted(), monthly_panel(), 3)
    assert len(FITS) == 9


FITS: list[int] = []


def test_a_member_sees_nothing_of_the_windows_it_is_weighed_on(tmp_path):
    history, model = monthly_panel(), XGBoost(trees=10)
    last = pl.Series(history.positions >= history.lengths[0] - 6)
    rubbish = pl.when(last).then(pl.lit(1e6)).otherwise(pl.col("target")).alias("target")
    poisoned = replace(history, table=history.table.with_columns(rubbish))
    clean, other = (context(tmp_path).inner(model, panel, 3) for panel in (history, poisoned))
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
    rows = context(tmp_path, align="calendar").inner(SeasonalNaive(), history, 2)
    assert rows["cutoff"].n_unique() == 2
    assert rows.filter(pl.col("series_id") == "s3")["cutoff"].n_unique() == 1
    own = context(tmp_path, align="end").inner(SeasonalNaive(), history, 2)
    assert own["cutoff"].n_unique() == 4


def test_only_a_run_answers():
    with pytest.raises(RuntimeError, match="only a run answers"):
        Context(0).inner(LastValue(), monthly_panel(), 3)


def test_a_model_that_asks_for_inner_windows_runs_in_a_protocol(tmp_path, monkeypatch):
    from hwds.execution.asking import compute_cell
    from hwds.execution.job import Job
    from hwds.frames.panel import Panel
    from hwds.protocols.base import Cell

    class Better(LastValue):
        """Takes the member with the smaller inner error."""

        def fit(self, history, *, horizon, context):
            members = (LastValue(), SeasonalNaive())
            rows = [context.inner(member, history, 2) for member in members]
            errors = [float((part["actual"] - part["mean"]).abs().mean()) for part in rows]
            return members[int(np.argmin(errors))].fit(history, horizon=horizon, context=context)

    panel, protocol = monthly_panel(), WalkForward(windows=2, horizon=6)
    job = Job(protocol, {"better": Better()}, None_(), 0, 1, "cpu", Panel, tmp_path, tmp_path)
    for fold in protocol.split(panel):
        outcome = compute_cell(job, panel, Cell("better", fold, 0, fold.units))
        assert outcome.rows is not None, outcome.trace
        assert outcome.rows.height == 6 * 6
