"""The picture and the sentence of an off-policy evaluation."""

from __future__ import annotations

from dataclasses import asdict

import polars as pl
import pytest

from hwds.protocols.base import Score
from hwds.report.ope import draw, sentence
from hwds.report.ope_plot import estimates_figure
from hwds.report.ope_results import estimates
from hwds.results.tables import SCORES, TIMINGS, Tables

LOGGED = 20.0


def lines(model, value, low, high, method="BCa bootstrap", size=400.0):
    """The scores of an estimator: its value, the gain over a log of 20, the rows that count."""
    made = [
        Score("policy_value", "mean", value, 1.0, low, high, method, n=3000),
        Score("improvement", "mean", value - LOGGED, 1.0, low - LOGGED, high - LOGGED, method, n=3000),
        Score("logged_value", "mean", LOGGED, 0.5, 19.0, 21.0, "BCa bootstrap", n=3000),
        Score("effective_sample_size", "mean", size, n=3000),
    ]
    labels = {"experiment": "trial", "dataset": "logs", "task": "ope", "seed": 1, "model": model, "n_failed": 0}
    return [asdict(score) | labels for score in made]


def tables_of(*parts):
    """The tables of some estimators."""
    rows = [row for part in parts for row in part]
    return Tables(pl.DataFrame(rows, schema=SCORES), pl.DataFrame(), pl.DataFrame(schema=TIMINGS))


DR = lines("ope/dr", 24.0, 22.0, 26.0)
DM = lines("ope/dm", 25.0, 24.8, 25.2, "BCa bootstrap, bias apart")
TRUTH = lines("truth", 23.0, 22.8, 23.2)


def test_a_gain_that_is_sure_and_the_truth_inside():
    said = sentence(None, tables_of(DR, DM, TRUTH), "ope/dr")
    assert said == (
        "ope/dr says that the policy is worth 24.0 (22.0 to 26.0): 4.00 more than the log's 20.0; 400 of 3,000 rows count."
        " It was worth 23.00 ± 1.00, inside the interval."
        " 2 estimators lie between 24.0 (ope/dr) and 25.0 (ope/dm)."
    )


def test_a_gain_that_may_be_chance_few_rows_and_no_truth():
    said = sentence(None, tables_of(lines("ope/dr", 21.0, 19.0, 23.0, size=80.0)), "ope/dr")
    assert "1.00 more than the log's 20.0, which may be chance (-1.00 to 3.00); only 80 of 3,000 rows count." in said
    assert said.endswith("rows count.")


def test_bias_is_said_and_the_truth_outside():
    said = sentence(None, tables_of(DM, DR, TRUTH), "ope/dm")
    assert "25.0 (24.8 to 25.2), its bias apart" in said
    assert "outside of the interval" in said


def test_a_model_that_failed():
    assert sentence(None, tables_of(DR), "ope/ipw") == "ope/ipw says nothing of the policy."
    assert estimates_figure(tables_of(TRUTH), "ope/dr") is None


def test_the_picture_has_every_estimator_the_log_and_the_truth(tmp_path):
    tables = tables_of(DR, DM, TRUTH)
    figure = estimates_figure(tables, "ope/dr")
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["ope/dr", "ope/dm"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["the log itself 20.0", "what it was worth 23.0"]
    assert "hollow" in axes.get_xlabel()
    hollow = [line.get_markerfacecolor() for line in axes.lines if line.get_marker() == "o"]
    assert hollow[0] != "white"
    assert hollow[1] == "white"
    draw(None, tables, "ope/dr", tmp_path)
    assert (tmp_path / "estimates.png").read_bytes().startswith(b"\x89PNG")


def test_estimates_keep_the_order_of_the_run():
    assert list(estimates(tables_of(DM, DR))) == ["ope/dm", "ope/dr"]
    assert estimates(tables_of(DM))["ope/dm"].biased
    assert estimates(tables_of(DR))["ope/dr"].gain.value == pytest.approx(4.0)
