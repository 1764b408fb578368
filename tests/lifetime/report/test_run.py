"""What a run about remaining lives says and draws, and how its models are compared."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.cli.notebook import evaluate
from hwds.core.errors import ConfigError
from hwds.datasets.simulated.engines import Engines
from hwds.lifetime.compare import life_evidence
from hwds.lifetime.models.linear_age import LinearAge
from hwds.lifetime.models.mean_life import MeanLife
from hwds.lifetime.protocols.last_window import LastWindow
from hwds.lifetime.protocols.prequential_runs import PrequentialRuns
from hwds.lifetime.report import (
    HIGH,
    LOW,
    by_life_grid,
    coverage_lines,
    life_conclusion,
    lives_figure,
    machines_figure,
)
from hwds.report.standings import standings
from hwds.stats.sources import ModelRows
from tests.support.figures import points, texts


@pytest.fixture(scope="module")
def runs():
    return Engines(engines=40, mean_life=60, sensors=2, regimes=1).load()


@pytest.fixture(scope="module")
def done(runs):
    protocol = LastWindow(folds=2, cuts=4, least=10, resamples=50, cap=80.0)
    line = LinearAge(name="lifetime/linear_age", inner_folds=2)
    return evaluate(line, runs, protocol, rivals=[MeanLife(name="lifetime/mean_life")])


def test_the_sentence_has_errors_and_intervals(done, runs):
    said = life_conclusion(runs, done.tables, "lifetime/linear_age")
    error = done.tables.headline("rmse_capped", "lifetime/linear_age")
    assert said.startswith(
        f"lifetime/linear_age is off by {error['value']:.1f} cycles (95 %: {error['ci_low']:.1f} to"
    )
    assert "Lives count up to 80 cycles" in said
    assert "Its 90 % intervals hold" in said
    assert "official test" not in said


def test_machines_of_a_review_are_not_called_held_out(done, runs):
    """What is known of them by the review is learned from."""
    fleet = evaluate(
        MeanLife(name="lifetime/mean_life"), runs, PrequentialRuns(reviews=2, resamples=50)
    )
    assert "predictions for machines that were running." in life_conclusion(
        runs, fleet.tables, "lifetime/mean_life"
    )
    assert "predictions for held-out machines." in life_conclusion(
        runs, done.tables, "lifetime/mean_life"
    )


def test_pictures_and_the_table_by_remaining_life(done):
    known = done.tables.predictions.filter(
        (pl.col("model") == "lifetime/linear_age") & pl.col("actual").is_not_null()
    )
    drawn = lives_figure(done.tables, "lifetime/linear_age", "cycles")
    said = f"{len(known)} predictions for held-out machines by lifetime/linear_age"
    assert said in texts(drawn)
    assert "predicted less remaining life, cycles" in texts(drawn)
    shown = points(drawn.axes[0])["point"]
    assert sorted(map(tuple, shown)) == sorted(known.select("actual", "predicted").iter_rows())
    within, beyond = (len(bars.get_segments()) for bars in drawn.axes[0].collections)
    inside = pl.col("actual").is_between(pl.col(LOW), pl.col(HIGH))
    assert (within, beyond) == (known.filter(inside).height, known.filter(~inside).height)
    drawn = machines_figure(done.tables, "lifetime/linear_age", "cycles")
    assert "age, cycles" in texts(drawn)
    for axes in drawn.axes:
        life = known.filter(entity=axes.get_title(loc="left")).sort("age")
        assert [line.get_ydata().tolist() for line in axes.get_lines()] == [
            life["predicted"].to_list(),
            life["actual"].to_list(),
        ]
    for figure in (lives_figure, machines_figure):
        assert figure(done.tables, "nobody", "cycles") is None
    grid = by_life_grid(done.tables, "lifetime/linear_age")
    assert sum(int(cell.replace(",", "")) for cell in grid.columns[1].cells) == len(known)


class Named:
    """A run whose metric has a cap."""

    def metric(self, short):
        return {"rmse_capped": "rmse_capped[cap=80]"}.get(short, short)


def test_models_are_compared_by_machine(done):
    rows = done.tables.predictions
    labels = ("lifetime/linear_age", "lifetime/mean_life")
    answers = [
        ModelRows(label, "engines", 0, Named(), label, rows.filter(pl.col("model") == label))
        for label in labels
    ]
    for metric in ("rmse_capped", "rmse_uncapped", "crps"):
        found, left_out = life_evidence(answers, metric, 50)
        wanted = [done.tables.headline(metric, label)["value"] for label in labels]
        assert found.means[0] == pytest.approx(wanted)
        assert left_out == 0
    assert (
        len(np.unique(rows.filter(pl.col("actual").is_not_null())["entity"]))
        == found.matrix.values.shape[0]
    )
    with pytest.raises(ConfigError, match="remaining lives cannot be compared by 'coverage'"):
        life_evidence(answers, "coverage", 50)


def test_intervals_off_their_level_are_said_with_the_cure(done):
    def said(value, low, high):
        own = pl.col("metric").str.starts_with("coverage[") & pl.col("fold").is_null()
        numbers = {"value": value, "ci_low": low, "ci_high": high}
        scores = done.tables.scores.with_columns(
            pl.when(own).then(pl.lit(number)).otherwise(name).alias(name)
            for name, number in numbers.items()
        )
        tables = replace(done.tables, scores=scores)
        board = standings(tables, "rmse_capped", model="lifetime/linear_age")
        return list(coverage_lines(tables, board))

    assert said(0.72, 0.6, 0.8) == [
        "Its 90 % intervals cover 72 % (95 %: 60 to 80): too narrow. Intervals are right with more "
        "machines to learn from; lifetime/lstm_cnn needs model.intervals=conformal."
    ]
    assert said(0.85, 0.8, 0.92) == []
    assert said(0.85, None, None) == []
