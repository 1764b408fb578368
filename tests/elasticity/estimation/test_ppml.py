"""Poisson pseudo-likelihood with swept effects, and clustered errors, against statsmodels and known
worlds.
"""

from __future__ import annotations

import numpy as np
import pytest

from hwds.core.errors import DataError
from hwds.core.seeds import stream
from hwds.elasticity.sweeping import Sweeper, fit_ppml, robust_variance


def world(cells, periods, mean=3.0, seed=0, kept=1.0):
    """Units, columns (log price and another), cells and periods of a world with elasticity -2."""
    rng = stream(seed, "ppml", cells, periods)
    cell, period = np.repeat(np.arange(cells), periods), np.tile(np.arange(periods), cells)
    season = rng.normal(0, 0.3, periods)
    price = rng.normal(0, 0.15, cells * periods) + 0.2 * season[period]
    other = rng.normal(0, 1, cells * periods)
    log_mean = rng.normal(0, 0.7, cells)[cell] + season[period] - 2 * price + 0.1 * other
    level = mean / np.exp(log_mean).mean()
    units = rng.poisson(level * np.exp(log_mean) * rng.gamma(3, 1 / 3, cells * periods)).astype(
        float
    )
    rows = rng.random(cells * periods) < kept
    return units[rows], np.column_stack([price, other])[rows], cell[rows], period[rows]


@pytest.mark.parametrize("by_period", [True, False])
def test_slopes_and_errors_are_those_of_a_regression_with_dummies(by_period):
    import statsmodels.api as sm

    units, x, cell, period = world(6, 20, kept=0.8)
    fit = fit_ppml(units, x, cell, period if by_period else None)
    dummies = [
        cell[:, None] == np.arange(6),
        *([period[:, None] == np.arange(1, 20)] if by_period else []),
    ]
    design = np.column_stack([x, *dummies]).astype(float)
    reference = sm.GLM(units, design, family=sm.families.Poisson()).fit(
        tol=1e-12, cov_type="cluster", cov_kwds={"groups": period, "use_correction": False}
    )
    assert fit.beta == pytest.approx(reference.params[:2], rel=1e-6)
    free = 2 + 5  # period effects are nested in the clusters
    scale = np.sqrt(20 / 19 * (len(units) - 1) / (len(units) - free))
    assert fit.variance([period]).stderr == pytest.approx(scale * reference.bse[:2], rel=1e-5)
    poisson = sm.GLM(units, design, family=sm.families.Poisson()).fit(tol=1e-12)
    assert np.sqrt(np.diag(fit.bread)) == pytest.approx(poisson.bse[:2], rel=1e-6)


def test_two_ways_of_clusters_are_one_plus_the_other_less_both():
    import statsmodels.api as sm
    from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

    rng = stream(0, "two_ways")
    first, second, x = rng.integers(0, 12, 400), rng.integers(0, 15, 400), rng.normal(size=(400, 2))
    y = (
        x @ [1.0, 2.0]
        + rng.normal(size=12)[first]
        + rng.normal(size=15)[second]
        + rng.normal(size=400)
    )
    fit = sm.OLS(y, x).fit()
    ours = robust_variance(
        fit.params, np.linalg.inv(x.T @ x), x * fit.resid[:, None], [first, second]
    )
    both = sum(
        sign
        * np.linalg.inv(x.T @ x)
        @ _meat(x * fit.resid[:, None], group)
        @ np.linalg.inv(x.T @ x)
        for sign, group in ((1, first), (1, second), (-1, first * 100 + second))
    )
    assert ours.covariance == pytest.approx(both * 399 / 400, rel=1e-9)
    theirs = cov_cluster_2groups(fit, first, second, use_correction=False)[0]
    assert np.diag(ours.covariance) == pytest.approx(np.diag(theirs), rel=0.15)
    assert ours.clusters == 12


def _meat(scores, group):
    sums = np.array([scores[group == name].sum(axis=0) for name in np.unique(group)])
    return sums.T @ sums * len(sums) / (len(sums) - 1)


@pytest.mark.parametrize("mean", [0.3, 1, 2, 5, 30, 100])
def test_it_is_unbiased_however_few_units_are_sold(mean):
    found = [fit_ppml(*world(40, 200, mean, seed)).beta[0] for seed in range(4)]
    assert np.mean(found) == pytest.approx(-2, abs=0.03 + 3 * np.std(found) / 2)


def test_sweeping_is_least_squares_on_all_dummies():
    _, x, cell, period = world(7, 9, kept=0.7)
    weight = stream(1, "weights").random(len(cell))
    dummies = np.column_stack(
        [cell[:, None] == np.unique(cell), period[:, None] == np.unique(period)]
    ).astype(float)
    root = np.sqrt(weight)[:, None]
    beta = np.linalg.lstsq(root * dummies, root * x, rcond=None)[0]
    codes = [np.unique(each, return_inverse=True)[1] for each in (cell, period)]
    assert Sweeper.of(*codes).residuals(x, weight) == pytest.approx(x - dummies @ beta, abs=1e-7)


def test_cells_and_periods_without_a_sale_are_left_out_and_a_column_too_many_is_refused():
    units, x, cell, period = world(5, 12)
    units[cell == 2] = 0
    units[period == 3] = 0
    fit = fit_ppml(units, x, cell, period)
    assert (fit.used == ((cell != 2) & (period != 3))).all()
    with pytest.raises(DataError, match="a column of the model is a combination of others"):
        fit_ppml(units, np.column_stack([x, x[:, 0] + (cell == 1)]), cell, period)
    with pytest.raises(DataError, match="nothing was sold"):
        fit_ppml(0 * units, x, cell, period)


def test_few_clusters_get_the_intervals_of_a_bootstrap():
    inside, rejected = {"t": 0, "wild": 0}, 0
    for seed in range(200):
        rng = stream(seed, "few_clusters")
        cluster = np.repeat(np.arange(8), [40, 20, 10, 8, 6, 5, 4, 3])
        x = rng.normal(size=8)[cluster] + 0.3 * rng.normal(size=96)
        y = rng.normal(size=8)[cluster] + rng.normal(size=96)
        x, y = x - x.mean(), y - y.mean()
        slope = x @ y / (x @ x)
        scores, bread = (x * (y - slope * x))[:, None], np.array([[1 / (x @ x)]])
        for name, generator in (("t", None), ("wild", rng)):
            found = robust_variance(
                np.array([slope]),
                bread,
                scores,
                [cluster],
                rows=x[:, None],
                rng=generator,
                draws=199,
            )
            low, high = slope + np.array([-1, 1]) * found.critical[0] * found.stderr[0]
            inside[name] += low <= 0 <= high
            assert found.method == (
                "t, 8 clusters" if name == "t" else "wild cluster bootstrap, 8 clusters"
            )
        assert (found.p_values[0] <= 0.05) == (not low <= 0 <= high)
        rejected += found.p_values[0] <= 0.05
    assert inside["wild"] > inside["t"]
    assert inside["t"] / 200 < 0.9
    assert 0.91 <= inside["wild"] / 200 <= 0.99
    assert rejected == 200 - inside["wild"]
