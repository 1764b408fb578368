"""Tables made by hand, one call a model, and those of a small real run."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from hwds.core.cache import Cache
from hwds.evaluation.cells import CellCache, Job, compute_cell
from hwds.evaluation.protocol import ScoreSegments
from hwds.evaluation.run_cells import RunWork, cut_cells, result_tables
from hwds.forecast.metrics import forecast_measures
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.frames.panel import Panel
from hwds.results.tables import SCORES, TIMINGS, Tables, metrics_table
from tests.support.panels import Breaks, LastValue, monthly_panel

LABELS = {"experiment": "trial", "dataset": "toys", "task": "forecast", "seed": 1, "status": "ok"}


def score(model, metric, value, stderr=None, aggregate="mean", **more):
    """One line of the scores table."""
    reach = None if stderr is None or value is None else 1.96 * stderr
    interval = (
        {}
        if reach is None
        else {"ci_low": value - reach, "ci_high": value + reach, "ci_method": "normal"}
    )
    said = {
        "model": model,
        "metric": metric,
        "aggregate": aggregate,
        "value": value,
        "stderr": stderr,
        "n": 96,
        **interval,
    }
    return {**LABELS, "n_undefined": 0, "n_failed": 0, "n_fallback": 0, **said, **more}


def model_lines(model, mase, skill=None, skill_error=0.03, **more):
    """The lines of a forecaster: its MASE with a standard error of 0.02 and its skill."""
    lines = [score(model, "mase[m=12]", mase, 0.02, **more)]
    return (
        lines
        if skill is None
        else [*lines, score(model, "skill_mase[m=12]", skill, skill_error, **more)]
    )


def failure_line(model, n_failed=96, error="ValueError: no luck"):
    """The line of a lost cell."""
    said = {"model": model, "fold": 0, "n": 0, "n_failed": n_failed, "status": f"failed: {error}"}
    return {**LABELS, **said}


def tables_of(*lines, metrics=None):
    """Tables with these score lines, a second for each model, no predictions.

    The metrics are those of forecasts by default.
    """
    scores = pl.DataFrame(list(lines), schema=SCORES)
    models = scores["model"].unique(maintain_order=True)
    timings = [{"model": model, "fold": 0, "seconds": 1.0, "status": "ok"} for model in models]
    known = [
        *forecast_measures(12, (0.05, 0.25, 0.5, 0.75, 0.95)),
        *forecast_measures(12, (0.1, 0.5, 0.9)),
    ]
    said = metrics_table(
        {entry.name: entry for entry in known}.values() if metrics is None else metrics
    )
    return Tables(scores, pl.DataFrame(), pl.DataFrame(timings, schema=TIMINGS), said)


def run_of(panel: Panel, protocol: WalkForward, **models) -> Tables:
    """The tables of a real run in this process, `seasonal_naive` under its own label."""
    named = {
        "forecast/seasonal_naive" if name == "seasonal_naive" else name: model
        for name, model in models.items()
    }
    job = Job(protocol, named, None, 1, 1, "cpu", Panel, Path())
    folds = protocol.split(panel)
    labels = {key: LABELS[key] for key in ("experiment", "dataset", "task", "seed")}
    work = RunWork(
        cut_cells(job, folds, panel, CellCache(Cache(job.cells_folder))),
        folds,
        labels,
        ScoreSegments.of(protocol, panel),
        protocol.measures(panel),
    )
    outcomes = {}
    for cell in work.cells:
        outcomes.setdefault((cell.model, cell.fold.index), []).append(
            compute_cell(job, panel, cell)
        )
    return result_tables(job, work, outcomes)


@pytest.fixture(scope="session")
def panel() -> Panel:
    """Six monthly series with a unit."""
    from dataclasses import replace

    return replace(monthly_panel(), unit="units")


@pytest.fixture(scope="session")
def real(panel) -> Tables:
    """Four windows of the last value, the seasonal naive, one that breaks, and the seasonal naive
    again as the truth.
    """
    protocol = WalkForward(name="walk_forward", windows=4, levels=(0.05, 0.25, 0.5, 0.75, 0.95))
    naive, breaks = SeasonalNaive(name="naive"), Breaks(name="breaks")
    return run_of(
        panel,
        protocol,
        last=LastValue(name="last"),
        seasonal_naive=naive,
        breaks=breaks,
        truth=naive,
    )
