"""Metrics of detection, against scikit-learn or values made by hand."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from hwds.detection.metrics import EntityDays, blocking_costs, flag_top_entities
from hwds.stats.binary_labels import Probabilities, Ranking, average_precision
from hwds.stats.estimates import resample_clusters


def rows(n=400, share=0.2, ties=8, seed=0):
    """Labels, tied scores, probabilities and weights, some of them 0."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < share).astype(float)
    score = np.round((rng.normal(size=n) + label) * ties) / ties
    weight = rng.integers(0, 4, n) * rng.random(n)
    return label, score, 1 / (1 + np.exp(-score + 1)), weight


def curves(label, score, weight=None):
    """The curves of rows, each counted as often as its weight says."""
    return Ranking.of(label, score).curves(
        (np.ones(len(label)) if weight is None else weight)[None]
    )


def probabilities(label, probability, weight=None):
    """The metrics of probabilities by name."""
    weight = np.ones(len(label)) if weight is None else weight
    prepared = Probabilities.of(label, probability, weight)
    return {
        name: value[0] for name, value in prepared.values((weight @ prepared.parts)[None]).items()
    }


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_ranks_are_those_of_scikit_learn(seed, weighted):
    label, score, _, weight = rows(seed=seed)
    weight = weight if weighted else None
    own = curves(label, score, weight)
    wanted = oracle.average_precision_score(label, score, sample_weight=weight)
    assert own.average_precision[0] == pytest.approx(wanted, abs=1e-12)
    assert own.auroc[0] == pytest.approx(
        oracle.roc_auc_score(label, score, sample_weight=weight), abs=1e-12
    )
    precision, recall, _ = oracle.precision_recall_curve(label, score, sample_weight=weight)
    precision, recall = precision[:-1], recall[:-1]  # the last point is made up
    for level in (0.1, 0.5, 0.9, 1.0):
        assert own.precision_at_recall(level)[0] == pytest.approx(
            precision[recall >= level - 1e-12].max()
        )
        wanted = recall[precision >= level - 1e-12].max(initial=0.0)
        assert own.recall_at_precision(level)[0] == pytest.approx(wanted)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(0, 3)), min_size=2, max_size=40
    )
)
def test_a_weight_of_three_is_three_rows(table):
    label, score, weight = (np.array(column, float) for column in zip(*table, strict=True))
    often = np.repeat(np.arange(len(label)), weight.astype(int))
    once, several = curves(label, score, weight), curves(label[often], score[often])
    assert once.average_precision == pytest.approx(several.average_precision, nan_ok=True)
    assert once.auroc == pytest.approx(several.auroc, nan_ok=True)


def test_ranks_without_one_of_the_classes_are_not_defined():
    score = np.array([3.0, 2.0, 1.0])
    none = curves(np.zeros(3), score)
    assert np.isnan([none.average_precision, none.auroc, curves(np.ones(3), score).auroc]).all()
    assert np.isnan([none.precision_at_recall(0.5), none.recall_at_precision(0.5)]).all()
    assert average_precision(np.ones(3), score) == 1
    assert (
        curves(np.array([0.0, 1.0]), np.array([1.0, 0.0])).recall_at_precision(0.9) == 0
    )  # no threshold is so precise
    assert np.isnan(average_precision(np.zeros(0), np.zeros(0)))


@pytest.mark.parametrize("weighted", [False, True])
def test_proper_scores_are_those_of_scikit_learn(weighted):
    label, _, probability, weight = rows()
    weight = weight if weighted else None
    own = probabilities(label, probability, weight)
    assert own["brier"] == pytest.approx(
        oracle.brier_score_loss(label, probability, sample_weight=weight), abs=1e-12
    )
    assert own["log_loss"] == pytest.approx(
        oracle.log_loss(label, probability, sample_weight=weight), abs=1e-12
    )
    wrong = probabilities(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert wrong["log_loss"] == pytest.approx(-np.log(1e-7))  # clipped, not infinite


def test_ece_has_bins_of_equal_mass():
    label, score, _, _ = rows(n=1500, ties=10**9)
    probability = 1 / (1 + np.exp(-score + 1))
    true, mean = calibration_curve(label, probability, n_bins=15, strategy="quantile")
    assert probabilities(label, probability)["ece"] == pytest.approx(
        np.mean(np.abs(true - mean)), rel=0.03
    )  # 100 rows each
    assert probabilities(np.array([0, 0, 1, 1.0]), np.array([0.1, 0.1, 0.6, 0.6]))[
        "ece"
    ] == pytest.approx((0.1 + 0.4) / 2)
    weighted = probabilities(
        np.array([0, 1, 1.0]), np.array([0.1, 0.6, 0.6]), np.array([2, 1, 1.0])
    )
    assert weighted["ece"] == pytest.approx((0.1 + 0.4) / 2)
    assert (
        probabilities(np.array([0, 1.0]), np.array([0.5, 0.5]))["ece"] == 0
    )  # rows of one probability lie in one bin


@pytest.mark.parametrize("weighted", [False, True])
def test_slope_and_intercept_are_those_of_a_logistic_regression(weighted):
    label, _, probability, weight = rows(n=2000)
    weight = weight if weighted else None
    odds = np.log(probability / (1 - probability))
    wanted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
        odds[:, None], label, sample_weight=weight
    )
    own = probabilities(label, probability, weight)
    assert own["calibration_slope"] == pytest.approx(wanted.coef_[0, 0], abs=1e-5)
    assert own["calibration_intercept"] == pytest.approx(wanted.intercept_[0], abs=1e-5)


def slope(label, probability):
    return probabilities(label, probability)["calibration_slope"]


def test_slope_of_probabilities_that_are_too_extreme_or_part_the_classes():
    rng = np.random.default_rng(1)
    odds = rng.normal(-2, 1.5, 40_000)
    label = (rng.random(40_000) < 1 / (1 + np.exp(-odds))).astype(float)
    extreme = 1 / (1 + np.exp(-2 * odds))
    assert slope(label, 1 / (1 + np.exp(-odds))) == pytest.approx(1, abs=0.05)
    assert slope(label, extreme) == pytest.approx(0.5, abs=0.03)
    assert np.isnan(slope(np.array([0, 0, 1.0]), np.array([0.1, 0.2, 0.9])))
    assert np.isnan(slope(np.zeros(3), np.array([0.1, 0.2, 0.9])))
    assert np.isnan(slope(np.array([0, 1.0]), np.array([0.5, 0.5])))


def test_realised_against_expected():
    label, probability = np.array([1, 0, 1, 0, 1.0]), np.array([0.5, 0.1, 0.2, 0.05, 0.01])
    name = "observed_to_expected[p>=0.1]"
    assert probabilities(label, probability)[name] == pytest.approx(2 / 0.8)
    assert probabilities(label, probability, np.array([2, 1, 1, 9, 9.0]))[name] == pytest.approx(
        3 / 1.3
    )
    assert np.isnan(probabilities(label, np.full(5, 0.05))[name])


def test_cost_of_blocking():
    label, probability = np.array([1, 1, 0, 0.0]), np.array([0.5, 0.1, 0.5, 0.1])
    amount = np.array([100, 300, 100, 300.0])
    # blocked where p x amount >= (1 - p) x 60: 50 >= 30, 30 < 54, 50 >= 30, 30 < 54
    assert blocking_costs(label, probability, amount, 60).tolist() == [0, 300, 60, 0]


DAYS = {
    "label": np.array([1, 0, 0, 0, 1, 0, 1, 1.0]),
    "score": np.array([9, 1, 8, 2, 3, 7, 9, 1.0]),
    "entity": np.array([0, 0, 1, 2, 2, 1, 0, 2]),
    "day": np.array([0, 0, 0, 0, 0, 1, 1, 1]),
}
"""Day 0: entity 0 (9, found), 1 (8, honest), 2 (3, has a positive row). Day 1: 0 (9), 1 (7,
honest), 2 (1, positive).
"""


def daily(label, score, entity, day, k, amount=None, weight=None):
    """Card precision and the share of money that is caught."""
    days = EntityDays.of(label, score, entity, day)
    weight = np.ones(len(label)) if weight is None else weight
    values = days.values(weight[None], k, np.ones((1, len(days.starts) - 1)), amount)
    return tuple(value[0] for value in values)


def test_card_precision_by_hand():
    assert daily(**DAYS, k=1)[0] == pytest.approx(
        (1 + 0) / 2
    )  # 0 is found on day 0 and left out on day 1
    assert daily(**DAYS, k=2)[0] == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert daily(**DAYS, k=100)[0] == pytest.approx(
        (2 / 3 + 0) / 2
    )  # a share of those that are there; 2 is found too
    weight = np.ones(8)
    weight[2] = 3.0  # entity 1 stands for three on day 0: only one of them is looked at
    assert daily(**DAYS, k=2, weight=weight)[0] == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert daily(**DAYS, k=3, weight=weight)[0] == pytest.approx((1 / 3 + 1 / 2) / 2)


def handbook_card_precision(label, score, entity, day, k):
    """As the book's code does it."""
    found, shares = set(), []
    for each in np.unique(day):
        own = (day == each) & ~np.isin(entity, list(found))
        best = {
            e: (score[own & (entity == e)].max(), label[own & (entity == e)].max())
            for e in np.unique(entity[own])
        }
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
        wanted = handbook_card_precision(label, score, entity, day, k)
        assert daily(label, score, entity, day, k)[0] == pytest.approx(wanted)


def test_caught_value_by_hand():
    amount = np.array([10, 5, 5, 5, 20, 5, 40, 30.0])  # at stake in positives: 10 + 20 + 40 + 30
    assert daily(**DAYS, amount=amount, k=1)[1] == pytest.approx(
        (10 + 40) / 100
    )  # 0's later money is caught too
    assert daily(**DAYS, amount=amount, k=2)[1] == pytest.approx((10 + 40 + 30) / 100)
    assert daily(**DAYS, amount=amount, k=3)[1] == 1
    assert np.isnan(daily(**{**DAYS, "label": np.zeros(8)}, amount=amount, k=3)[1])


def test_flagged_are_all_rows_of_the_day_s_first_entities():
    found = flag_top_entities(DAYS["score"], DAYS["entity"], DAYS["day"], 1)
    assert found.tolist() == [True, True, False, False, False, False, True, False]


def test_a_day_that_is_drawn_twice_looks_at_twice_as_many():
    days = EntityDays.of(**DAYS)
    times = np.array([2.0, 0.0])
    assert days.values(times[DAYS["day"]][None], 2, times[None], None)[0][0] == pytest.approx(1 / 2)


def test_metrics_prepared_once_are_those_computed_anew():
    label, _, probability, weight = rows(n=1000)
    prepared = Probabilities.of(label, probability, np.ones(1000))
    again = {
        name: value[0] for name, value in prepared.values((weight @ prepared.parts)[None]).items()
    }
    anew = probabilities(label, probability, weight)
    assert again["brier"] == pytest.approx(anew["brier"])
    assert again["calibration_slope"] == pytest.approx(
        anew["calibration_slope"], abs=0.02
    )  # one step


def test_clusters_are_drawn_with_replacement():
    counts = resample_clusters(1000, np.random.default_rng(0))
    assert counts.sum() == 1000
    assert (counts == 0).mean() == pytest.approx(np.exp(-1), abs=0.05)


def test_resamples_take_little_time():
    rng = np.random.default_rng(0)
    n = 58_000
    label = (rng.random(n) < 0.007).astype(float)
    ranking = Ranking.of(label, rng.normal(size=n) + 2 * label)
    entity, began = rng.integers(0, 5000, n), time.process_time()
    for _ in range(200):
        assert (
            0 < ranking.curves(resample_clusters(5000, rng)[entity][None]).average_precision[0] < 1
        )
    assert time.process_time() - began < 3
