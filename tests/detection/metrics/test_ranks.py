"""Metrics of detection, against scikit-learn or values made by hand."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from hwds.detection.metrics.days import EntityDays, card_precision, caught_value, flagged
from hwds.detection.metrics.money import expected_cost
from hwds.detection.metrics.probabilities import Probabilities, brier, calibration, ece, log_loss, observed_to_expected
from hwds.detection.metrics.ranks import Ranking, auroc, average_precision, precision_at_recall, recall_at_precision
from hwds.statistics.bootstrap import drawn


def rows(n=400, share=0.2, ties=8, seed=0):
    """Labels, tied scores, probabilities and weights, some of them 0."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < share).astype(float)
    score = np.round((rng.normal(size=n) + label) * ties) / ties
    weight = rng.integers(0, 4, n) * rng.random(n)
    return label, score, 1 / (1 + np.exp(-score + 1)), weight


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_ranks_are_those_of_scikit_learn(seed, weighted):
    label, score, _, weight = rows(seed=seed)
    weight = weight if weighted else None
    assert average_precision(label, score, weight) == pytest.approx(
        oracle.average_precision_score(label, score, sample_weight=weight), abs=1e-12
    )
    assert auroc(label, score, weight) == pytest.approx(oracle.roc_auc_score(label, score, sample_weight=weight), abs=1e-12)
    precision, recall, _ = oracle.precision_recall_curve(label, score, sample_weight=weight)
    precision, recall = precision[:-1], recall[:-1]  # the last point is made up
    for level in (0.1, 0.5, 0.9, 1.0):
        assert precision_at_recall(label, score, level, weight) == pytest.approx(precision[recall >= level - 1e-12].max())
        wanted = recall[precision >= level - 1e-12].max(initial=0.0)
        assert recall_at_precision(label, score, level, weight) == pytest.approx(wanted)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(0, 3)), min_size=2, max_size=40))
def test_a_weight_of_three_is_three_rows(table):
    label, score, weight = (np.array(column, float) for column in zip(*table, strict=True))
    often = np.repeat(np.arange(len(label)), weight.astype(int))
    for metric in (average_precision, auroc):
        one, other = metric(label, score, weight), metric(label[often], score[often])
        assert one == pytest.approx(other, nan_ok=True)


def test_ranks_without_one_of_the_classes_are_not_defined():
    score = np.array([3.0, 2.0, 1.0])
    assert np.isnan([average_precision(np.zeros(3), score), auroc(np.zeros(3), score), auroc(np.ones(3), score)]).all()
    assert np.isnan(precision_at_recall(np.zeros(3), score, 0.5))
    assert np.isnan(recall_at_precision(np.zeros(3), score, 0.5))
    assert average_precision(np.ones(3), score) == 1
    assert recall_at_precision(np.array([0.0, 1.0]), np.array([1.0, 0.0]), 0.9) == 0  # no threshold is so precise
    assert np.isnan(average_precision(np.zeros(0), np.zeros(0)))


@pytest.mark.parametrize("weighted", [False, True])
def test_proper_scores_are_those_of_scikit_learn(weighted):
    label, _, probability, weight = rows()
    weight = weight if weighted else None
    assert brier(label, probability, weight) == pytest.approx(
        oracle.brier_score_loss(label, probability, sample_weight=weight), abs=1e-12
    )
    wanted = oracle.log_loss(label, probability, sample_weight=weight)
    assert log_loss(label, probability, weight) == pytest.approx(wanted, abs=1e-12)
    assert log_loss(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(-np.log(1e-7))  # clipped, not infinite


def test_ece_has_bins_of_equal_mass():
    label, score, _, _ = rows(ties=10**9)
    probability = 1 / (1 + np.exp(-score + 1))
    true, said = calibration_curve(label, probability, n_bins=8, strategy="quantile")
    assert ece(label, probability, bins=8) == pytest.approx(np.mean(np.abs(true - said)), rel=0.03)  # bins of 50 rows each
    assert ece(np.array([0, 0, 1, 1.0]), np.array([0.1, 0.1, 0.6, 0.6]), bins=2) == pytest.approx((0.1 + 0.4) / 2)
    doubled = ece(np.array([0, 1, 1.0]), np.array([0.1, 0.6, 0.6]), np.array([2, 1, 1.0]), bins=2)
    assert doubled == pytest.approx((0.1 + 0.4) / 2)
    assert ece(np.array([0, 1.0]), np.array([0.5, 0.5])) == 0  # rows of one probability lie in one bin


@pytest.mark.parametrize("weighted", [False, True])
def test_slope_and_intercept_are_those_of_a_logistic_regression(weighted):
    label, _, probability, weight = rows(n=2000)
    weight = weight if weighted else None
    odds = np.log(probability / (1 - probability))
    wanted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(odds[:, None], label, sample_weight=weight)
    slope, intercept = calibration(label, probability, weight)
    assert slope == pytest.approx(wanted.coef_[0, 0], abs=1e-5)
    assert intercept == pytest.approx(wanted.intercept_[0], abs=1e-5)


def test_slope_of_probabilities_that_are_too_extreme_or_part_the_classes():
    rng = np.random.default_rng(1)
    odds = rng.normal(-2, 1.5, 40_000)
    label = (rng.random(40_000) < 1 / (1 + np.exp(-odds))).astype(float)
    extreme = 1 / (1 + np.exp(-2 * odds))
    assert calibration(label, 1 / (1 + np.exp(-odds)))[0] == pytest.approx(1, abs=0.05)
    assert calibration(label, extreme)[0] == pytest.approx(0.5, abs=0.03)
    assert np.isnan(calibration(np.array([0, 0, 1.0]), np.array([0.1, 0.2, 0.9]))).all()
    assert np.isnan(calibration(np.zeros(3), np.array([0.1, 0.2, 0.9]))).all()
    assert np.isnan(calibration(np.array([0, 1.0]), np.array([0.5, 0.5]))).all()


def test_realised_against_expected():
    label, probability = np.array([1, 0, 1, 0, 1.0]), np.array([0.5, 0.1, 0.2, 0.05, 0.01])
    assert observed_to_expected(label, probability) == pytest.approx(2 / 0.8)
    assert observed_to_expected(label, probability, np.array([2, 1, 1, 9, 9.0])) == pytest.approx(3 / 1.3)
    assert np.isnan(observed_to_expected(label, np.full(5, 0.05)))


def test_cost_of_blocking():
    label, probability = np.array([1, 1, 0, 0.0]), np.array([0.5, 0.1, 0.5, 0.1])
    amount = np.array([100, 300, 100, 300.0])
    # blocked where p x amount >= (1 - p) x 60: 50 >= 30, 30 < 54, 50 >= 30, 30 < 54
    assert expected_cost(label, probability, amount, 60) == pytest.approx((0 + 300 + 60 + 0) / 4)
    assert expected_cost(label, probability, amount, 60, np.array([1, 2, 3, 4.0])) == pytest.approx((600 + 180) / 10)


DAYS = {
    "label": np.array([1, 0, 0, 0, 1, 0, 1, 1.0]),
    "score": np.array([9, 1, 8, 2, 3, 7, 9, 1.0]),
    "entity": np.array([0, 0, 1, 2, 2, 1, 0, 2]),
    "day": np.array([0, 0, 0, 0, 0, 1, 1, 1]),
}
"""Day 0: entity 0 (9, found), 1 (8, honest), 2 (3, has a positive row). Day 1: 0 (9), 1 (7, honest), 2 (1, positive)."""


def test_card_precision_by_hand():
    assert card_precision(**DAYS, k=1) == pytest.approx((1 + 0) / 2)  # 0 is found on day 0 and left out on day 1
    assert card_precision(**DAYS, k=2) == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert card_precision(**DAYS, k=100) == pytest.approx((2 / 3 + 0) / 2)  # a share of those that are there; 2 is found too
    weight = np.ones(8)
    weight[2] = 3.0  # entity 1 stands for three on day 0: only one of them is looked at
    assert card_precision(**DAYS, k=2, weight=weight) == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert card_precision(**DAYS, k=3, weight=weight) == pytest.approx((1 / 3 + 1 / 2) / 2)


def handbook_card_precision(label, score, entity, day, k):
    """As the book's code does it."""
    found, shares = set(), []
    for each in np.unique(day):
        own = (day == each) & ~np.isin(entity, list(found))
        best = {e: (score[own & (entity == e)].max(), label[own & (entity == e)].max()) for e in np.unique(entity[own])}
        top = sorted(best, key=lambda e: -best[e][0])[:k]
        hits = [e for e in top if best[e][1] == 1]
        found |= set(hits)
        shares.append(len(hits) / k)
    return np.mean(shares)


def test_card_precision_is_the_handbook_s():
    rng = np.random.default_rng(3)
    n = 3000
    entity, day = rng.integers(0, 150, n), rng.integers(0, 6, n)
    label = (rng.random(n) < 0.05).astype(float)
    score = rng.normal(size=n) + label
    for k in (1, 10, 60):
        assert card_precision(label, score, entity, day, k) == pytest.approx(
            handbook_card_precision(label, score, entity, day, k)
        )


def test_caught_value_by_hand():
    amount = np.array([10, 5, 5, 5, 20, 5, 40, 30.0])  # at stake in positives: 10 + 20 + 40 + 30
    assert caught_value(**DAYS, amount=amount, k=1) == pytest.approx((10 + 40) / 100)  # 0's later money is caught too
    assert caught_value(**DAYS, amount=amount, k=2) == pytest.approx((10 + 40 + 30) / 100)
    assert caught_value(**DAYS, amount=amount, k=3) == 1
    assert np.isnan(caught_value(**{**DAYS, "label": np.zeros(8)}, amount=amount, k=3))


def test_flagged_are_all_rows_of_the_day_s_first_entities():
    found = flagged(DAYS["score"], DAYS["entity"], DAYS["day"], 1)
    assert found.tolist() == [True, True, False, False, False, False, True, False]


def test_a_day_that_is_drawn_twice_looks_at_twice_as_many():
    days = EntityDays.of(**DAYS)
    times = np.array([2.0, 0.0])
    assert days.values(times[DAYS["day"]][None], 2, times[None], None)[0][0] == pytest.approx(1 / 2)


def test_metrics_prepared_once_are_those_computed_anew():
    label, score, probability, weight = rows(n=1000)
    base = np.ones(1000)
    prepared = Probabilities.of(label, probability, base)
    found = {name: value[0] for name, value in prepared.values((base @ prepared.parts)[None]).items()}
    assert found["brier"] == pytest.approx(brier(label, probability))
    assert found["log_loss"] == pytest.approx(log_loss(label, probability))
    assert found["ece"] == pytest.approx(ece(label, probability))
    assert (found["calibration_slope"], found["calibration_intercept"]) == pytest.approx(calibration(label, probability))
    assert found["observed_to_expected[p>=0.1]"] == pytest.approx(observed_to_expected(label, probability))
    again = {name: value[0] for name, value in prepared.values((weight @ prepared.parts)[None]).items()}
    assert again["brier"] == pytest.approx(brier(label, probability, weight))
    assert again["calibration_slope"] == pytest.approx(calibration(label, probability, weight)[0], abs=0.02)  # one step
    assert Ranking.of(label, score).curves(weight[None]).average_precision[0] == pytest.approx(
        average_precision(label, score, weight)
    )


def test_clusters_are_drawn_with_replacement():
    counts = drawn(1000, np.random.default_rng(0))
    assert counts.sum() == 1000
    assert (counts == 0).mean() == pytest.approx(np.exp(-1), abs=0.05)


def test_resamples_take_little_time():
    rng = np.random.default_rng(0)
    n = 58_000
    label = (rng.random(n) < 0.007).astype(float)
    ranking = Ranking.of(label, rng.normal(size=n) + 2 * label)
    entity, began = rng.integers(0, 5000, n), time.process_time()
    for _ in range(200):
        assert 0 < ranking.curves(drawn(5000, rng)[entity][None]).average_precision[0] < 1
    assert time.process_time() - began < 3
