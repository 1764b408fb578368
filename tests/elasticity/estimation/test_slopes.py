"""Crossed empirical Bayes: the algebra against dense matrices, and the posterior against a known
world.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from hwds.core.seeds import stream
from hwds.elasticity.crossed import (
    CellLayout,
    CrossedGroups,
    LikelihoodExpansion,
    best_deviations,
    log_likelihood,
    slope_posterior,
)
from hwds.elasticity.slopes import fit_slopes, integrate_deviations, log_prior
from hwds.elasticity.sweeping import fit_ppml

CELLS, SHARED = 12, 4
DEVIATIONS = np.array([0.3, 0.5, 0.4])


@pytest.fixture(scope="module")
def known():
    rng = stream(0, "moments")
    root = rng.normal(size=(40, CELLS + SHARED))
    precision = np.diag(root.T @ root)[:CELLS]
    cross = rng.normal(size=(CELLS, SHARED))
    rest = rng.normal(size=(SHARED, SHARED))
    shared = cross.T @ (cross / precision[:, None]) + rest @ rest.T
    return LikelihoodExpansion(
        5 * rng.normal(size=CELLS), precision, cross, rng.normal(size=SHARED), shared
    )


@pytest.fixture(scope="module")
def groups():
    return CrossedGroups.of([("family", np.arange(CELLS) // 4), ("channel", np.arange(CELLS) % 3)])


def dense(known, groups):
    """Precision and linear term of slopes and shared parameters, and the prior covariance of
    slopes.
    """
    dummies, which = groups.design(CELLS)
    prior = np.concatenate([[25.0], DEVIATIONS[:-1] ** 2])[which + 1]
    covariance = DEVIATIONS[-1] ** 2 * np.eye(CELLS) + (dummies * prior) @ dummies.T
    own = np.diag(known.precision) + np.linalg.inv(covariance)
    matrix = np.block([[own, known.cross], [known.cross.T, known.shared]])
    return matrix, np.concatenate([known.linear, known.shared_linear]), covariance


def test_posterior_and_likelihood_are_those_of_dense_matrices(known, groups):
    matrix, linear, covariance = dense(known, groups)
    found, solution, inverse = (
        slope_posterior(known, groups, DEVIATIONS),
        np.linalg.solve(matrix, linear),
        np.linalg.inv(matrix),
    )
    assert found.slopes == pytest.approx(solution[:CELLS])
    assert found.theta == pytest.approx(solution[CELLS:])
    assert found.covariance == pytest.approx(inverse[:CELLS, :CELLS])
    assert found.theta_covariance == pytest.approx(inverse[CELLS:, CELLS:])
    logs = np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(matrix)[1]
    value, _ = log_likelihood(known, groups, DEVIATIONS)
    assert value == pytest.approx(-0.5 * logs + 0.5 * linear @ solution)


def test_noise_that_cells_share_is_no_part_of_their_slopes(known, groups):
    """Against dense matrices of slopes, shared parameters and noise: the likelihood knows slopes
    and noise by their sum.
    """
    noisy = groups.with_noise(groups.codes[1], known.precision, 4.0)
    whole = np.bincount(groups.codes[1], known.precision)
    noise = np.sqrt(3 / whole) * (groups.codes[1][:, None] == np.arange(3))
    matrix, linear, _ = dense(known, groups)
    beside = np.concatenate([known.precision[:, None] * noise, known.cross.T @ noise])
    whole = np.block(
        [[matrix, beside], [beside.T, noise.T @ (known.precision[:, None] * noise) + np.eye(3)]]
    )
    solution = np.linalg.solve(whole, np.concatenate([linear, noise.T @ known.linear]))
    found = slope_posterior(known, noisy, DEVIATIONS)
    assert found.slopes == pytest.approx(solution[:CELLS])
    assert found.covariance == pytest.approx(np.linalg.inv(whole)[:CELLS, :CELLS])
    assert found.shared_covariance == pytest.approx(
        np.linalg.inv(whole)[:CELLS, CELLS : CELLS + SHARED]
    )


def test_the_gradient_is_that_of_differences(known, groups):
    for each in (groups, groups.with_noise(groups.codes[1], known.precision, 4.0)):
        _, gradient = log_likelihood(known, each, DEVIATIONS)
        for place in range(3):
            step = np.exp(1e-5 * (np.arange(3) == place))
            up, down = (
                log_likelihood(known, each, DEVIATIONS * factor)[0] for factor in (step, 1 / step)
            )
            assert gradient[place] == pytest.approx((up - down) / 2e-5, rel=1e-5)


def test_slopes_are_those_of_a_fine_grid_over_the_standard_deviation():
    rng, none = stream(0, "unsure_deviations"), CrossedGroups((), ())
    precision = rng.uniform(2.0, 8.0, 40)
    slopes = 0.3 * rng.standard_normal(40) + rng.standard_normal(40) / np.sqrt(precision)
    many = LikelihoodExpansion(
        precision * slopes, precision, np.zeros((40, 0)), np.zeros(0), np.zeros((0, 0))
    )
    best = slope_posterior(many, none, best_deviations(many, none))
    grid = np.linspace(0.01, 2.0, 150)
    parts = [slope_posterior(many, none, np.array([deviation])) for deviation in grid]
    density = np.array(
        [
            log_likelihood(many, none, each.deviations)[0] + log_prior(each.deviations)
            for each in parts
        ]
    )
    weight = np.exp(density - density.max()) / np.exp(density - density.max()).sum()
    means = np.array([part.slopes for part in parts])
    exact = weight @ means
    spread = np.sqrt(
        weight @ (np.array([np.diag(part.covariance) for part in parts]) + (means - exact) ** 2)
    )
    found = integrate_deviations(many, none, best)
    assert found.slopes == pytest.approx(exact, abs=0.01)
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx(spread, rel=0.02)
    assert found.deviations[0] == pytest.approx(weight @ grid, rel=0.02)


def test_crossed_standard_deviations_are_averaged_as_on_a_grid(known, groups):
    best = slope_posterior(known, groups, best_deviations(known, groups))
    line = 0.01 + 1.5 * np.linspace(0, 1, 13) ** 2
    grid, width = (np.array(list(product(ends, repeat=3))) for ends in (line, np.gradient(line)))
    logs = np.array(
        [log_likelihood(known, groups, each, gradient=False)[0] + log_prior(each) for each in grid]
    )
    logs += np.log(width).sum(axis=1)
    kept = logs > logs.max() - 6
    weight = np.exp(logs[kept] - logs.max()) / np.exp(logs[kept] - logs.max()).sum()
    exact = weight @ np.array([slope_posterior(known, groups, each).slopes for each in grid[kept]])
    found = integrate_deviations(known, groups, best)
    assert (
        np.sqrt(np.mean((found.slopes - exact) ** 2))
        < 0.2 * np.sqrt(np.mean((best.slopes - exact) ** 2)) + 0.02
    )
    assert found.deviations == pytest.approx(weight @ grid[kept], rel=0.15)


def test_groupings_that_name_each_cell_or_repeat_another_are_left_out():
    code = np.array([0, 0, 1, 1, 2, 2])
    groups = CrossedGroups.of(
        [
            ("one", np.zeros(6, int)),
            ("each", np.arange(6)),
            ("a", code),
            ("b", 2 - code),
            ("c", np.arange(6) % 2),
        ]
    )
    assert groups.names == ("a", "c")


def layout(seed, cells=20, periods=30, mean=4.0, prices=True):
    rng = stream(seed, "layout")
    elasticity = -2 + 0.5 * rng.normal(size=cells)
    price = 0.15 * rng.normal(size=(cells, periods)) * (1.0 if prices else 0.0)
    price -= price.mean(axis=1, keepdims=True)
    log_mean = np.log(mean) + 0.3 * rng.normal(size=periods) + elasticity[:, None] * price
    units = rng.poisson(np.exp(log_mean) * rng.gamma(3, 1 / 3, price.shape)).astype(float)
    return elasticity, CellLayout(
        np.ones_like(price, bool), units, price, np.zeros((0, cells, periods)), True
    )


def test_without_a_prior_it_is_poisson_pseudo_likelihood():
    _, laid = layout(0, cells=4)
    found = fit_slopes(laid, None, poisson=True)
    cell, period = np.repeat(np.arange(4), 30), np.tile(np.arange(30), 4)
    columns = np.where(cell[:, None] == np.arange(4), laid.log_price.ravel()[:, None], 0.0)
    reference = fit_ppml(laid.units.ravel(), columns, cell, period)
    assert found.posterior.slopes == pytest.approx(reference.beta, rel=1e-4)
    assert found.mean.sum(axis=1) == pytest.approx(laid.units.sum(axis=1), rel=1e-6)


def test_a_cell_without_a_price_change_or_a_sale_has_the_slope_of_its_group():
    _, laid = layout(1)
    laid.log_price[3] = 0.0
    laid.units[5] = 0.0
    found = fit_slopes(laid, CrossedGroups.of([("channel", np.arange(20) % 4)]))
    stderr = np.sqrt(np.diag(found.posterior.covariance))
    for cell in (3, 5):
        assert found.posterior.own_weight[cell] == pytest.approx(0, abs=1e-9)
        assert found.posterior.slopes[cell] == pytest.approx(
            np.mean(found.posterior.slopes[cell % 4 :: 4]), abs=0.4
        )
        assert stderr[cell] == pytest.approx(stderr.max(), rel=0.1)
    assert found.level[5] == -np.inf
    assert found.mean[5].sum() == 0


def test_shrunk_slopes_are_nearer_to_the_truth_than_each_cells_own():
    errors = {"pooled": [], "own": []}
    for seed in range(6):
        elasticity, laid = layout(seed)
        errors["pooled"].append(
            fit_slopes(laid, CrossedGroups.of([])).posterior.slopes - elasticity
        )
        errors["own"].append(fit_slopes(laid, None).posterior.slopes - elasticity)
    pooled, own = (np.sqrt(np.mean(np.square(each))) for each in errors.values())
    assert pooled < 0.8 * own
    assert abs(np.mean(errors["pooled"])) < 0.12


def wandering(persistence, seed, cells=40, periods=80):
    """Sales of cells whose log demand and log price are autoregressions.

    Elasticities around -2 in eight groups of one kind.
    """
    rng = stream(seed, "wandering", str(persistence))

    def walk(spread):
        out = spread * rng.standard_normal((cells, periods))
        for period in range(1, periods):
            out[:, period] = (
                persistence * out[:, period - 1] + np.sqrt(1 - persistence**2) * out[:, period]
            )
        return out

    true = rng.normal(-2, 0.4, cells)
    price, level = walk(0.15), walk(0.4)
    units = rng.poisson(np.exp(4 + true[:, None] * price + level)).astype(float)
    cell, period = np.divmod(np.arange(cells * periods), periods)
    none = np.zeros((cells * periods, 0))
    layout = CellLayout.of(
        units.ravel(), price.ravel(), none, cell, period, (cells, periods), by_period=True
    )
    return layout, CrossedGroups.of([("sku", np.arange(cells) // 5)]), true


def test_rows_tell_less_where_the_errors_of_periods_go_together():
    """The variance of a slope is (1 + c) / (1 - c) times that of independent periods, c = .8 * .8
    less what counts add.
    """
    errors, ratios = [], []
    for seed in range(3):
        layout, groups, true = wandering(0.8, seed)
        fit = fit_slopes(layout, groups)
        errors.append((fit.posterior.slopes - true) / np.sqrt(np.diag(fit.posterior.covariance)))
        ratios.append(fit.serial)
    assert 2.5 < np.mean(ratios) < 4.6
    assert np.sqrt(np.mean(np.square(errors))) < 1.2
    layout, groups, _ = wandering(0.0, 0)
    assert fit_slopes(layout, groups).serial == 1.0


def test_a_product_is_not_moved_by_shocks_that_its_cells_share():
    """Six products in 40 shops, whose prices and shocks are the chain's: slopes of products are too
    far apart without it.
    """
    slopes: list[list[np.ndarray]] = [[], []]
    products = np.repeat(np.arange(6), 40)
    for seed in range(3):
        rng = stream(seed, "chain")
        price, shock = (
            0.2 * rng.standard_normal((6, 26))[products],
            0.5 * rng.standard_normal((6, 26))[products],
        )
        units = rng.poisson(np.exp(4 - 2.5 * price + shock)).astype(float)
        cell, period = np.divmod(np.arange(units.size), 26)
        none = np.zeros((units.size, 0))
        layout = CellLayout.of(
            units.ravel(), price.ravel(), none, cell, period, units.shape, by_period=False
        )
        for place, shared in enumerate((None, products)):
            fit = fit_slopes(layout, CrossedGroups.of([("sku", products)]), shared)
            slopes[place].append(fit.posterior.slopes)
        error = fit.posterior.slopes + 2.5
        assert fit.together > 10
        assert (np.abs(error) < 2.5 * np.sqrt(np.diag(fit.posterior.covariance))).all()
    alone, together = (np.sqrt(np.mean((np.array(each) + 2.5) ** 2)) for each in slopes)
    assert together < 0.75 * alone
