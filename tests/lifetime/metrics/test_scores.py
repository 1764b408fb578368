"""Scores of lives: by hand, against known values, and their intervals over machines."""

import numpy as np
import polars as pl
import pytest

from hwds.lifetime.laws import LIFE_LEVELS
from hwds.lifetime.metrics import (
    QUANTILE_COLUMNS,
    LifeTerms,
    brier_rows,
    concordant_pairs,
    life_scores,
    official_scores,
)
from hwds.stats.distributions import kaplan_meier
from hwds.stats.estimates import ClusterBootstrap

TERMS = LifeTerms(cap=125.0, resamples=200)


def rows(point, actual, quantiles=None, age=50.0):
    n = len(point)
    spread = (
        np.repeat(np.asarray(point, float)[:, None], 19, axis=1) if quantiles is None else quantiles
    )
    return pl.DataFrame(
        {
            "entity": [f"m{i}" for i in range(n)],
            "age": np.full(n, age),
            "predicted": np.asarray(point, float),
        }
        | {name: spread[:, i] for i, name in enumerate(QUANTILE_COLUMNS)}
        | {
            "actual": np.asarray(actual, float),
            "seen": np.asarray(actual, float),
            "failed": np.full(n, True),
        }
    )


def values(scores):
    return {score.metric: score.value for score in scores}


def test_capped_and_uncapped_errors_and_the_score_of_nasa():
    told = values(official_scores(rows([120.0, 40.0], [145.0, 30.0]), TERMS))
    assert told["test_rmse_capped[cap=125]"] == pytest.approx(np.sqrt((5**2 + 10**2) / 2))
    assert told["test_rmse_uncapped"] == pytest.approx(np.sqrt((25**2 + 10**2) / 2))
    assert told["test_nasa_score[cap=125]"] == pytest.approx(np.expm1(5 / 13) + np.expm1(10 / 10))


def test_a_law_that_is_right_has_its_score_and_coverage():
    rng = np.random.default_rng(0)
    from scipy.stats import norm

    quantiles = np.tile(60 + 10 * norm.ppf(LIFE_LEVELS), (900, 1))
    told = values(
        life_scores(
            rows(np.full(900, 60.0), rng.normal(60, 10, 900), quantiles), LifeTerms(125.0, 2)
        )
    )
    assert told["crps[19]"] == pytest.approx(10 / np.sqrt(np.pi), rel=0.08)
    assert told["coverage[0.9]"] == pytest.approx(0.9, abs=0.03)
    assert told["width[0.9]"] == pytest.approx(20 * norm.ppf(0.95))


def test_concordance_counts_what_is_comparable():
    point, seen = np.array([10.0, 20.0, 30.0]), np.array([5.0, 9.0, 7.0])
    top, bottom = concordant_pairs(point, seen, np.array([True, True, False]), np.arange(3))
    assert (top.sum(), bottom.sum()) == (
        2.0,
        2.0,
    )  # the one that was censored at 7 tells nothing of the one that failed at 9
    top, bottom = concordant_pairs(point, seen, np.array([True, True, True]), np.zeros(3, int))
    assert bottom.sum() == 0


def test_the_brier_score_of_certainty_is_that_of_being_right():
    sure = np.repeat([[40.0], [80.0]], 19, axis=1)
    right = brier_rows(sure, np.array([40.0, 80.0]), np.array([True, True]), 125.0)
    wrong = brier_rows(sure, np.array([80.0, 40.0]), np.array([True, True]), 125.0)
    assert right.max() < 0.05 < 0.25 < wrong.min()


def test_failures_leave_before_the_censorings_of_the_same_cycle():
    """By hand: of 4 at risk at 2 one fails and one is censored, so 2 of 3 are not.

    G(2) = 2 / 3, and G(1) = 1.
    """
    seen, failed = np.array([1.0, 2.0, 2.0, 3.0, 4.0]), np.array([True, True, False, True, True])
    half = np.tile(3.0 * np.arange(1, 20) / 10, (5, 1))  # a life of 3 is as likely outlasted as not
    rows = brier_rows(half, seen, failed, 3.0)
    times = np.linspace(0, 3, 26)[1:]
    lasts = 1 - times / 6
    weight = np.where(times < 2, 1.0, 1.5)
    assert rows[0] == pytest.approx(np.where(times >= 1, lasts**2, (1 - lasts) ** 2).mean())
    assert rows[1] == pytest.approx(np.where(times >= 2, lasts**2, (1 - lasts) ** 2).mean())
    assert rows[3] == pytest.approx(
        np.where(times >= 3, 1.5 * lasts**2, weight * (1 - lasts) ** 2).mean()
    )


def test_the_curve_of_censoring_in_whole_cycles_is_the_true_one():
    """Lives and censorings uniform on 1 to 12: a machine is not censored by t with chance 1 - t /
    12.
    """
    rng = np.random.default_rng(0)
    life, censor = rng.integers(1, 13, (2, 20_000))
    seen, failed = np.minimum(life, censor).astype(float), life <= censor
    ends, share = kaplan_meier(seen, ~failed, np.ones(len(seen)), events_first=False)
    last = dict(zip(ends.tolist(), share.tolist(), strict=True))
    assert [last[t] for t in (4.0, 8.0, 11.0)] == pytest.approx([8 / 12, 4 / 12, 1 / 12], abs=0.02)


def test_the_interval_is_that_of_machines_and_not_of_rows():
    rng = np.random.default_rng(1)
    machine = np.repeat(np.arange(50), 20)
    error = np.repeat(rng.normal(size=50), 20)
    told = ClusterBootstrap(machine, 500, "machines").ratio(error, np.ones(1000))
    assert told.stderr == pytest.approx(error[::20].std(ddof=1) / np.sqrt(50), rel=0.2)
    assert told.low < told.value < told.high
