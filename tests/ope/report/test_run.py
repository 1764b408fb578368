"""The picture and the sentence of an off-policy evaluation."""

from __future__ import annotations

from dataclasses import asdict

import polars as pl
import pytest

from hwds.evaluation.protocol import Score
from hwds.ope.protocols.off_policy import off_policy_measures
from hwds.ope.report import draw, estimates_figure, estimator_scores, ope_conclusion, ope_grids
from hwds.results.tables import SCORES, TIMINGS, Tables, metrics_table

LOGGED = 20.0


METRICS = metrics_table(off_policy_measures("revenue", "USD", 0.9, "arm=119"))


def lines(model, value, low, high, method="BCa bootstrap", size=400.0):
    """The scores of an estimator: its value, the gain over a log of 20, the rows that count."""
    made = [
        Score("policy_value", "mean", value, 1.0, low, high, method, n=3000),
        Score(
            "improvement", "mean", value - LOGGED, 1.0, low - LOGGED, high - LOGGED, method, n=3000
        ),
        Score("logged_value", "mean", LOGGED, 0.5, 19.0, 21.0, "BCa bootstrap", n=3000),
        Score("effective_sample_size", "mean", size, n=3000),
        Score("overlap", "mean", 0.975, n=3000),
    ]
    labels = {
        "experiment": "trial",
        "dataset": "logs",
        "task": "ope",
        "seed": 1,
        "model": model,
        "n_failed": 0,
    }
    return [asdict(score) | labels for score in made]


def tables_of(*parts):
    """The tables of some estimators."""
    rows = [row for part in parts for row in part]
    return Tables(
        pl.DataFrame(rows, schema=SCORES), pl.DataFrame(), pl.DataFrame(schema=TIMINGS), METRICS
    )


DR = lines("ope/dr", 24.0, 22.0, 26.0)
DM = lines("ope/dm", 25.0, 24.8, 25.2, "BCa bootstrap, bias apart")
TRUTH = lines("truth", 23.0, 22.8, 23.2)


def test_a_gain_that_is_sure_and_the_truth_inside():
    said = ope_conclusion(tables_of(DR, DM, TRUTH), "ope/dr")
    assert said == (
        "BETTER: ope/dr puts the mean revenue of the policy arm=119 at 24.00 USD per row (90 %: "
        "22.00 to 26.00 USD):"
        " 4.00 USD more than the log's 20.00 USD (90 %: +2.00 to +6.00 USD)."
        " The log never shows 2.5 % of the policy's choices: of these nothing is known."
        " The estimate rests on 3,000 rows, which tell as much as 400 without weights would "
        "(effective sample size)."
        " As far as the dataset knows it, the true value is 23.00 USD (90 %: 22.80 to 23.20 USD), "
        "inside the interval."
        " The 2 estimators lie between 24.00 USD (ope/dr) and 25.00 USD (ope/dm)."
    )


def test_a_gain_that_may_be_chance_few_rows_and_no_truth():
    said = ope_conclusion(tables_of(lines("ope/dr", 21.0, 19.0, 23.0, size=80.0)), "ope/dr")
    assert "1.00 USD more than the log's 20.00 USD (90 %: -1.00 to +3.00 USD)." in said
    assert said.endswith(
        "which tell no more than 80 without weights would (effective sample size)."
    )


def test_bias_is_said_and_the_truth_outside():
    said = ope_conclusion(tables_of(DM, DR, TRUTH), "ope/dm")
    assert "25.00 USD per row (90 %: 24.80 to 25.20 USD, the estimator's bias apart)" in said
    assert "outside of the interval" in said


def test_few_days_cannot_tell_of_others():
    method = "x, of these days alone: few days have most of the weight and cannot tell, bias apart"
    said = ope_conclusion(tables_of(lines("ope/dr", 24.0, 22.0, 26.0, method)), "ope/dr")
    assert (
        " The intervals are of these days alone: few days have most of the weight and cannot tell "
        "of others. The estimate rests on"
    ) in said


def test_a_model_that_failed():
    assert ope_conclusion(tables_of(DR), "ope/ipw") == "ope/ipw says nothing of the policy."
    assert estimates_figure(tables_of(TRUTH), "ope/dr") is None


def test_the_picture_has_every_estimator_the_log_and_the_truth(tmp_path):
    tables = tables_of(DR, DM, TRUTH)
    figure = estimates_figure(tables, "ope/dr")
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["ope/dr", "ope/dm"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["the log itself 20.00 USD", "what it is worth in truth 23.0 ± 1.0 USD"]
    assert axes.get_xlabel().startswith("revenue, USD per row; bars: 90 % interval")
    assert "hollow" in axes.get_xlabel()
    hollow = [line.get_markerfacecolor() for line in axes.lines if line.get_marker() == "o"]
    assert hollow[0] != "white"
    assert hollow[1] == "white"
    draw(None, tables, "ope/dr", tmp_path)
    assert (tmp_path / "estimates.png").read_bytes().startswith(b"\x89PNG")


def test_estimates_keep_the_order_of_the_run():
    assert list(estimator_scores(tables_of(DM, DR))) == ["ope/dm", "ope/dr"]
    assert estimator_scores(tables_of(DM))["ope/dm"].biased
    assert estimator_scores(tables_of(DR))["ope/dr"].gain.value == pytest.approx(4.0)


def test_the_terminal_has_intervals_sizes_and_the_overlap():
    (found,) = ope_grids(tables_of(TRUTH, DR, DM), "ope/dr")
    rows = list(zip(*(column.cells for column in found.columns), strict=True))
    assert rows[0] == ("ope/dr", "24.00", "22.00 to 26.00", "+4.00", "+2.00 to +6.00", "400")
    assert rows[1][:2] == ("ope/dm", "25.00*")
    assert rows[2][0] == "truth"
    assert (
        "revenue, USD per row, from 3,000 rows; overlap: the log shows 97.5 % of its "
        "choices" in found.caption
    )
    assert found.caption.endswith("*: the estimator's bias is not in its intervals")
    assert list(ope_grids(tables_of(lines("x", 1.0, 0.0, 2.0)[2:]), "x")) == []
