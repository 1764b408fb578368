"""Metrics of judged images against scikit-learn, hand counts and known laws; intervals over
boards.
"""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, roc_curve

from hwds.inspection.metrics import (
    InspectionTerms,
    area_under_risk,
    calibration_error,
    error_at,
    image_average_precision,
    inspection_measures,
    inspection_scores,
    recall_at,
    risk_coverage,
)

TERMS = InspectionTerms("ok", 0.05, 20.0, 1.0, 200)


@pytest.fixture(scope="module")
def ranked():
    rng = np.random.default_rng(1)
    defect = rng.random(600) < 0.4
    return np.round(rng.normal(size=600) + 1.5 * defect, 1), defect


def test_ranked_metrics_are_those_of_scikit_learn_under_any_weights(ranked):
    score, defect = ranked
    weights = np.random.default_rng(2).integers(0, 4, (3, 600)).astype(float)
    for weight, area in zip(weights, image_average_precision(score, defect)(weights), strict=True):
        assert area == pytest.approx(
            average_precision_score(defect, score, sample_weight=weight), abs=1e-12
        )
    for weight, recall in zip(
        weights, recall_at(score, defect, defect, 0.05)(weights), strict=True
    ):
        alarms, hits, _ = roc_curve(defect, score, sample_weight=weight, drop_intermediate=False)
        assert recall == pytest.approx(hits[alarms <= 0.05 + 1e-12].max(), abs=1e-12)
    one = np.ones((1, 600))
    assert np.isnan(recall_at(score, defect, defect & ~defect, 0.05)(one)[0])
    assert np.isnan(image_average_precision(score, np.ones(600, bool))(one)[0])


def test_calibration_error_is_that_of_bins_of_equal_number():
    chance = np.arange(10) / 10 + 0.05
    happened = np.array([0, 0, 0, 1, 0, 1, 0, 1, 1, 1.0])
    halves = abs(chance[:5].mean() - 0.2) / 2 + abs(chance[5:].mean() - 0.8) / 2
    assert calibration_error(chance, happened, 2)(np.ones((1, 10)))[0] == pytest.approx(halves)
    rng = np.random.default_rng(0)
    many = rng.random(40_000)
    assert (
        calibration_error(many, (rng.random(40_000) < many).astype(float), 15)(
            np.ones((1, 40_000))
        )[0]
        < 0.01
    )


def test_the_reject_curve_counts_errors_among_the_most_certain():
    certainty, wrong = np.array([0.9, 0.8, 0.8, 0.6]), np.array([0.0, 1.0, 0.0, 1.0])
    kept, risk = risk_coverage(certainty, wrong)
    assert kept.tolist() == [0.25, 0.75, 1.0]
    assert risk == pytest.approx([0, 1 / 3, 0.5])
    one = np.ones((1, 4))
    assert error_at(certainty, wrong, 0.75)(one)[0] == pytest.approx(1 / 3)
    assert error_at(certainty, wrong, 0.5)(one)[0] == pytest.approx(
        0.25
    )  # half of one error among two of four
    assert 0 < area_under_risk(certainty, wrong)(one)[0] < 0.5


def judged(boards, rng, each=20, spread=0.0):
    """Rows of calibrated probabilities, boards more or less alike within."""
    board = np.repeat(np.arange(boards), each)
    odds = rng.normal(size=boards * each) * 2 + spread * rng.normal(size=boards)[board]
    bad = 1 / (1 + np.exp(-odds))
    actual = np.where(
        rng.random(len(bad)) < bad, np.where(rng.random(len(bad)) < 0.7, "open", "short"), "ok"
    )
    chance = np.column_stack([1 - bad, 0.7 * bad, 0.3 * bad])
    named = np.array(["ok", "open", "short"])[chance.argmax(axis=1)]
    columns = {
        "image": [str(i) for i in range(len(bad))],
        "board": board.astype(str),
        "actual": actual,
        "predicted": named,
    }
    columns |= {"score": bad, "threshold": np.full(len(bad), 0.9)}
    return pl.DataFrame(
        columns | {f"p_{kind}": chance[:, i] for i, kind in enumerate(("ok", "open", "short"))}
    )


def test_scores_are_those_of_the_rows_and_every_one_is_described():
    rows = judged(30, np.random.default_rng(3))
    scored = {score.metric: score for score in inspection_scores(rows, TERMS)}
    assert set(scored) == {
        measure.name for measure in inspection_measures(TERMS, ("open", "short"))
    }
    assert scored["accuracy"].value == pytest.approx((rows["predicted"] == rows["actual"]).mean())
    bad, rejected = rows["actual"] != "ok", rows["score"] > 1 / 21
    cost = (20 * (bad & ~rejected).sum() + (~bad & rejected).sum()) / 30
    assert scored["cost"].value == pytest.approx(cost)
    assert scored["cost"].n == 30
    assert (
        scored["cost"].value
        < min(scored["cost_passing_all"].value, scored["cost_rejecting_all"].value) + 1e-9
    )
    assert scored["ece_defect[15]"].value < 0.1
    assert (
        scored["recall[far=0.05]"].ci_low
        < scored["recall[far=0.05]"].value
        < scored["recall[far=0.05]"].ci_high
    )
    assert scored["accuracy"].ci_method == "bootstrap over boards"


def test_boards_that_are_alike_within_widen_intervals():
    apart, alike = (
        next(
            s
            for s in inspection_scores(judged(40, np.random.default_rng(4), spread=spread), TERMS)
            if s.metric == "log_loss"
        )
        for spread in (0.0, 6.0)
    )
    assert alike.stderr > 1.5 * apart.stderr


def test_a_model_without_probabilities_has_flags_and_no_kinds():
    rows = judged(10, np.random.default_rng(5))
    nothing = [pl.lit(None, pl.Float64).alias(f"p_{kind}") for kind in ("ok", "open", "short")]
    rows = rows.with_columns(*nothing, pl.lit(None, pl.String).alias("predicted"))
    scored = {score.metric: score for score in inspection_scores(rows, TERMS)}
    assert scored["accuracy"].value is None
    assert "log_loss" not in scored
    flagged, bad = rows["score"] > 0.9, rows["actual"] != "ok"
    assert scored["recall_held[far=0.05]"].value == pytest.approx((flagged & bad).sum() / bad.sum())
    assert scored["cost"].value == pytest.approx(
        (20 * (bad & ~flagged).sum() + (~bad & flagged).sum()) / 10
    )
