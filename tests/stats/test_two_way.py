"""Variance over two kinds of clusters: against statsmodels, against the truth of simulated shocks,
and refusals.
"""

import numpy as np
import pytest

from hwds.stats.effects import ReferenceDistribution
from hwds.stats.estimates import (
    ClusterCounts,
    ClusteredPart,
    block_length,
    day_blocks,
    day_cluster,
    effective_number,
    influence_effect,
    two_way_effect,
)


def rows(customers=40, days=12, each=3, shares=(1.0, 0.5, 1.0), seed=0):
    """Values with a shock of each customer, of each day and of each row; and both codes."""
    rng = np.random.default_rng(seed)
    who, day = (
        np.repeat(np.arange(customers), days * each),
        np.tile(np.repeat(np.arange(days), each), customers),
    )
    own, common, rest = shares
    values = (
        own * rng.normal(size=customers)[who]
        + common * rng.normal(size=days)[day]
        + rest * rng.normal(size=len(who))
    )
    return values, who, day


def effect(values, who, day, **more):
    influence = (values - values.mean()) / len(values)
    return influence_effect(
        float(values.mean()), influence, ("customer", who), ("day", day), "t", **more
    )


def test_the_variance_is_that_of_statsmodels():
    from statsmodels.regression.linear_model import OLS
    from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

    values, who, day = rows()
    fit = OLS(values, np.ones((len(values), 1))).fit()
    theirs = cov_cluster_2groups(fit, who, day, use_correction=True)[0]
    assert effect(values, who, day).stderr ** 2 == pytest.approx(float(theirs.squeeze()), rel=1e-9)


def test_it_is_never_narrower_than_by_one_kind_alone():
    for seed in range(30):
        values, who, day = rows(customers=12, days=5, shares=(0.3, 0.3, 1.0), seed=seed)
        both = effect(values, who, day)
        influence = (values - values.mean()) / len(values)
        for kind in (("customer", who), ("day", day)):
            low, high = influence_effect(float(values.mean()), influence, kind, None, "t").interval(
                0.95
            )
            assert both.interval(0.95)[0] <= low + 1e-12
            assert both.interval(0.95)[1] >= high - 1e-12


@pytest.mark.parametrize(
    "shares", [(0.0, 0.0, 1.0), (1.0, 0.0, 1.0), (0.3, 0.3, 1.0), (0.3, 1.0, 1.0)]
)
@pytest.mark.parametrize(("customers", "days"), [(20, 5), (100, 20), (60, 60)])
def test_equal_means_are_rarely_called_different(shares, customers, days):
    wrong = [
        (effect(*rows(customers, days, 1, shares, seed)).p_value or 1.0) < 0.05
        for seed in range(150)
    ]
    assert np.mean(wrong) <= 0.06 + 2 * (0.05 * 0.95 / 150) ** 0.5


def test_independent_observations_are_as_many_as_the_shocks_leave():
    calm = effect(*rows(100, 60, 1, (0.0, 0.0, 1.0))).independent
    shared = effect(*rows(100, 60, 1, (0.0, 1.0, 1.0))).independent
    assert 6000 / 1.6 < calm <= 6000
    assert 15 < shared < 180  # 60 days, each as good as a hundred rows of its own


def test_few_clusters_are_refused_and_heavy_ones_count_for_less():
    values, who, day = rows(days=2)
    refused = effect(values, who, day)
    assert (refused.stderr, refused.interval(0.95), refused.p_value) == (None, None, None)
    assert refused.method == "2 days cannot tell"
    assert effect(values, np.zeros(len(values), int), day).method == "2 days cannot tell"
    assert effect(*rows(customers=1, days=12)).method == "1 customer cannot tell"
    sizes = np.array([100.0, *[1.0] * 50])
    assert effective_number(sizes) < 1.02
    assert effective_number(np.ones(7)) == pytest.approx(7)
    assert (
        effective_number(sizes * 2.0**900)
        == effective_number(sizes * 2.0**-900)
        == effective_number(sizes)
    )
    assert (
        ClusterCounts("customer", 51, effective_number(sizes)).refusal
        == "few customers have most of the weight and cannot tell"
    )
    assert ClusterCounts("day", 6, 6.0, strata=3).df == 3
    assert ClusterCounts(day_cluster(40), 2, 2.0).refusal == "2 runs of days cannot tell"
    assert ClusterCounts(day_cluster(8), 2, 2.0).refusal == "2 days cannot tell"


def test_one_kind_alone_is_students_t():
    counts = ClusterCounts("customer", 9, 9.0)
    found = two_way_effect(1.0, ClusteredPart(counts, 4.0), None, None, "by customer")
    assert found.interval(0.95)[1] - 1.0 == pytest.approx(
        2 * ReferenceDistribution(8).critical(0.95)
    )
    assert (found.method, found.clusters, found.independent) == ("by customer", 9, None)


def test_neighbouring_days_are_one_cluster_where_there_are_many():
    assert [block_length(days) for days in (5, 11, 12, 27, 64, 365)] == [1, 1, 2, 3, 4, 7]
    assert day_blocks(np.array([7, 3, 3, 5])).tolist() == [2, 0, 0, 1]
    assert np.bincount(day_blocks(np.arange(30) + 100)).tolist() == [3] * 10


def test_shocks_that_last_are_seen_in_blocks_of_days():
    """Of shocks of which three tenths last to the next day, blocks see most of the variance that
    single days miss.
    """
    rng, ratios = np.random.default_rng(0), []
    for _ in range(200):
        shocks = rng.normal(size=60)
        for day in range(1, 60):
            shocks[day] = 0.3 * shocks[day - 1] + shocks[day]
        day = np.repeat(np.arange(60), 20)
        influence = (shocks[day] - shocks.mean()) / len(day)
        who = np.tile(np.arange(20), 60)
        blocks, single = (
            influence_effect(0.0, influence, ("customer", who), ("day", codes), "t").stderr
            for codes in (day_blocks(day), day)
        )
        ratios.append(blocks**2 / single**2)
    assert np.mean(ratios) > 1.25


def test_three_days_that_agree_are_not_sure():
    day, row = np.repeat(np.arange(3), 40), np.arange(120)
    influence = np.tile([1e-4, -1e-4], 60)
    effect = influence_effect(1.0, influence, ("row", row), ("day", day), "both")
    assert (effect.interval(0.95)[0] > 0, effect.difference(0.95)[0], effect.p_value) == (
        True,
        0.0,
        0.25,
    )
