"""The tables of a run."""

from pathlib import Path

import polars as pl
import pytest

from hwds.core.cache import Cache
from hwds.evaluation.cells import CellCache, Job
from hwds.evaluation.compute.serial import Serial
from hwds.evaluation.run_cells import RunWork, cut_cells, evaluate_cells
from hwds.evaluation.workers import UNLIMITED
from hwds.forecast.models.drift import Drift
from hwds.forecast.models.naive import Naive
from hwds.forecast.models.select import Select
from hwds.forecast.protocols.holdout import Holdout
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.frames.features.none import None_
from hwds.frames.panel import Panel
from tests.support.panels import monthly_panel

LABELS = {"experiment": "trial", "dataset": "monthly", "task": "forecast", "seed": 0}


class Listener:
    """Keeps what it is told of complete folds."""

    def __init__(self):
        self.scores = []

    def begin(self, cells, cached):
        """The number of cells."""

    def finish_cell(self, error):
        """A cell."""
        assert not error

    def take_cell(self):
        """A cell that another made."""

    def show_score(self, model, fold, metric, value):
        """A model's fold."""
        self.scores.append((model, fold, metric, value))


class Backwards(Serial):
    """Computes the last cell first."""

    def run(self, job, frame, cells, limits=UNLIMITED):
        return super().run(job, frame, list(cells)[::-1], limits)


def run(protocol, models, folder, compute=Serial()):  # noqa: B008
    """The tables of some models on a monthly panel, and what was told on the way."""
    panel, cache, listener = monthly_panel(), CellCache(Cache(folder)), Listener()
    job = Job(protocol, models, None_(), 0, 1, "cpu", Panel, Path(), folder)
    folds = protocol.split(panel)
    work = RunWork(
        cut_cells(job, folds, panel, cache), folds, LABELS, measures=protocol.measures(panel)
    )
    return evaluate_cells(job, panel, work, compute, cache, listener), listener.scores


def test_a_column_that_a_model_lacks_is_null_in_its_predictions(tmp_path):
    models = {"naive": Naive(), "select": Select(members=(Naive(name="n"), Drift(name="d")))}
    tables, _ = run(Holdout(horizon=6), models, tmp_path)
    shared = run(Holdout(horizon=6), {"naive": Naive()}, tmp_path)[0].predictions.columns
    assert tables.predictions.columns == [*shared, "member", "choosing_cost"]
    naive, select = (tables.predictions.filter(model=name) for name in models)
    assert naive["member"].null_count() == len(naive) > 0
    assert set(select["member"]) <= {"n", "d"}


@pytest.mark.parametrize("compute", [Serial(), Backwards()], ids=["in order", "last first"])
@pytest.mark.parametrize("intervals", ["model", "adaptive"])
def test_what_is_told_of_a_fold_is_what_stands_in_the_scores(intervals, compute, tmp_path):
    protocol = WalkForward(windows=4, horizon=4, intervals=intervals, headline="wql")
    tables, told = run(protocol, {"naive": Naive()}, tmp_path, compute)
    whole = pl.col("step").is_null() & pl.col("segment").is_null() & (pl.col("aggregate") == "mean")
    rows = tables.scores.filter(
        whole, pl.col("metric").str.starts_with("wql"), pl.col("fold").is_not_null()
    )
    folds = [fold.name for fold in protocol.split(monthly_panel())]
    assert sorted(told) == sorted(
        ("naive", folds[row["fold"]], row["metric"], row["value"]) for row in rows.to_dicts()
    )
    assert len(told) == 4


def test_shared_fits_give_the_same_tables_when_every_other_cell_was_lost(tmp_path):
    models = {"naive": Naive(), "select": Select(members=(Naive(name="n"), Drift(name="d")))}
    assert [len(fold.cutoffs) for fold in WalkForward().split(monthly_panel())] == [5, 5, 1]
    whole, _ = run(WalkForward(), models, tmp_path)
    lost = sorted(path for path in tmp_path.rglob("*.parquet"))[::2]
    for path in lost:
        path.unlink()
    again, _ = run(WalkForward(), models, tmp_path, Backwards())
    assert len(lost) >= 3
    for name in ("predictions", "scores"):
        first, second = getattr(whole, name), getattr(again, name)
        assert first.write_json() == second.write_json()
