"""Ranked rows: resampled by customer and by day, both of which rows share, and DeLong where rows
are independent.
"""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from hwds.core.config import build
from hwds.report.comparison import comparison_sentence
from hwds.results.tables import Measure
from hwds.stats.compare import compare
from hwds.stats.ranks import delong
from tests.support.finished_runs import source

AUROC = Measure("auroc", better="high", units="rows")
PROTOCOL = {
    "name": "prequential",
    "recipe": "prequential",
    "headline": "auroc",
    "windows": 1,
    "train_days": 7,
    "stop_days": 0,
    "resamples": 200,
    "calibrate_days": 0,
    "decide_days": 0,
}


def rows_of(noises, n=1500, customers=120, seed=0, luck_of_customers=0.0):
    rng = np.random.default_rng([5, seed])
    label = (rng.random(n) < 0.1).astype(float)
    who = rng.integers(0, customers, n) if customers else np.arange(n)
    known = rng.normal(0, luck_of_customers, max(customers, 1))[who] if customers else np.zeros(n)
    parts = []
    for model, noise in noises.items():
        said = label + known + rng.normal(0, noise, n)
        parts.append(
            pl.DataFrame(
                {
                    "row_id": np.arange(n),
                    "label": label,
                    "score": said,
                    "entity": [f"c{c}" for c in who],
                }
            ).with_columns(
                model=pl.lit(model),
                fold=pl.lit(0, pl.Int32),
                part=pl.lit("test"),
                truth=pl.lit(None, pl.Float64),
                weight=pl.lit(1.0),
                amount=pl.lit(None, pl.Float64),
                probability=pl.lit(None, pl.Float64),
                flagged=pl.lit(False),
                day=pl.Series(np.arange(n) * 30 // n, dtype=pl.Int32),
                cutoff=pl.lit("2024-01-01"),
                time=pl.Series(
                    [datetime(2024, 1, 1) + timedelta(minutes=int(i)) for i in range(n)]
                ),
            )
        )
    return pl.concat(parts).select("model", pl.exclude("model"))


def timeless(rows):
    return rows.with_columns(day=pl.lit(0, pl.Int32), time=pl.lit(None, pl.Datetime))


def run(rows, **more):
    return source(
        rows, task="detection", metric="auroc", measures=[AUROC], protocol=PROTOCOL, **more
    )


def test_customers_and_days_are_quoted_together():
    found = compare(
        [run(rows_of({"c/a": 1.0, "c/b": 1.6}, customers=25, luck_of_customers=0.7))], resamples=200
    )
    row = found.pairs.row(0, named=True)
    assert row["method"] == "bootstrap by customer and day"
    assert 10 < row["independent"] < 1500
    assert row["effect"] == pytest.approx(
        found.leaderboard["mean"][0] / found.leaderboard["mean"][1] - 1
    )
    assert row["verdict"] == "better"
    assert row["wins"] is None
    assert (found.units, found.leaderboard["n"][0]) == ("rows", 1500)


def test_independent_rows_take_delong():
    rows = timeless(rows_of({"c/a": 1.0, "c/b": 1.1}, customers=0))
    found = compare([run(rows)], resamples=200)
    row = found.pairs.row(0, named=True)
    assert row["method"] == "DeLong"
    scores = np.column_stack(
        [rows.filter(pl.col("model") == model)["score"] for model in ("c/a", "c/b")]
    )
    areas, covariance = delong(rows.filter(pl.col("model") == "c/a")["label"].to_numpy(), scores)
    slope = np.array([1 / areas[0], -1 / areas[1]])
    error = np.sqrt(slope @ covariance @ slope)
    assert np.log(1 + row["high"]) - np.log(1 + row["effect"]) == pytest.approx(
        1.959964 * error, rel=1e-5
    )


def test_rows_beside_the_test_window_do_not_count():
    rows = rows_of({"c/a": 1.0, "c/b": 1.6})
    mixed = pl.concat(
        [rows, rows.with_columns(pl.lit("decide").alias("part"), pl.col("row_id") + 9000)]
    )
    assert compare([run(mixed)], resamples=100).pairs.equals(
        compare([run(rows)], resamples=100).pairs
    )


def test_seeds_widen_the_interval_by_the_luck_of_training():
    rows = rows_of({"c/a": 1.0, "c/b": 1.6})
    other = rows.with_columns(
        score=pl.when(pl.col("model") == "c/a")
        .then(pl.col("score") * (1 - pl.col("label") * 0.3))
        .otherwise("score")
    )
    one = compare([run(rows)], resamples=200).pairs.row(0, named=True)
    two = compare([run(rows), run(other, run="r2", seed=1)], resamples=200).pairs.row(0, named=True)
    assert two["method"].endswith("and seeds")
    assert two["high"] - two["low"] > one["high"] - one["low"]


def test_equal_models_are_rarely_called_different():
    """Rows of customers who are alike in themselves: a test that took rows as independent would err
    far more often.
    """
    wrong, trials = 0, 25
    for seed in range(trials):
        found = compare(
            [run(rows_of({"c/a": 1.0, "c/b": 1.0}, n=400, customers=60, seed=seed))], resamples=100
        )
        wrong += found.pairs["p_value"][0] < 0.05
    assert wrong <= 5


def test_few_customers_with_a_positive_row_are_said():
    notes = compare(
        [run(rows_of({"c/a": 1.0, "c/b": 1.6}, n=400, customers=6))], resamples=50
    ).notes
    assert any(note.startswith("Only ") and "have a positive row" in note for note in notes)
    assert not any(
        "have a positive row" in note
        for note in compare([run(rows_of({"c/a": 1.0, "c/b": 1.6}))], resamples=50).notes
    )


def test_two_days_cannot_tell():
    rows = rows_of({"c/a": 1.0, "c/b": 1.6}).with_columns(
        day=pl.Series(np.arange(3000) % 2, dtype=pl.Int32)
    )
    found = compare([run(rows)], resamples=50)
    row = found.pairs.row(0, named=True)
    assert (row["method"], row["low"], row["p_value"], row["verdict"]) == (
        "2 days cannot tell",
        None,
        None,
        "unsure",
    )
    assert found.leaderboard["stderr"].null_count() == 2
    assert found.leaderboard["set_p"].null_count() == 2
    assert "cannot be told from c/b: 2 days cannot tell" in comparison_sentence(found)


def test_a_run_and_a_comparison_of_it_say_the_same():
    """How far the second is behind has the interval of the comparison, and so is as sure."""
    for seed in range(4):
        rows = rows_of({"c/a": 1.0, "c/b": 1.25}, n=600, seed=seed)
        protocol = build("protocol", "protocol", PROTOCOL | {"headline": "auroc"})
        parts = {model: rows.filter(pl.col("model") == model) for model in ("c/a", "c/b")}
        ((other, behind),) = protocol.contrasts(parts)
        row = compare([run(rows)]).pairs.row(0, named=True)
        assert other == row["rival"]
        assert (behind.ci_low > 0) == (row["low"] > 0)
        smaller = protocol.score(parts[other])[2].value
        assert (behind.ci_low, behind.ci_high) == pytest.approx(
            (smaller * row["low"], smaller * row["high"])
        )


def test_a_small_run_is_compared_by_as_many_resamples_as_it_was_scored_by():
    rows = rows_of({"c/a": 1.0, "c/b": 1.25}, n=600)
    small, few = compare([run(rows, size="small")]), compare([run(rows)], resamples=50)
    assert small.pairs.equals(few.pairs)
    assert not compare([run(rows)]).pairs.equals(few.pairs)
    typed = compare([run(rows, size="small", uncapped=["protocol.resamples"])])
    assert typed.pairs.equals(compare([run(rows)]).pairs)
