"""The posterior of slopes of substitutes' prices against one dense matrix of all slopes, errors and
shared parameters.
"""

from __future__ import annotations

import numpy as np
import pytest

from hwds.core.seeds import stream
from hwds.elasticity.cross_prices import PairMoments, PairSystem, ProductPairs

CHANNELS, COLUMNS, FAMILIES, COMMON = 12, 3, 2, 1
PRODUCT = np.arange(4 * CHANNELS) % 4
RIVALS = np.array([[1, 2], [0, 2], [1, 0], [0, -1]])[PRODUCT]
DEVIATIONS = [(0.3, 0.4, 0.2), (0.8, 0.4, 0.2), (0.1, 1.4, 0.02)]


@pytest.fixture(scope="module")
def moments():
    rng, members = stream(0, "pairs"), PRODUCT // 2
    rows = rng.normal(size=(len(PRODUCT), 30, 3))
    rows[RIVALS[:, 1] < 0, :, 2] = 0.0  # no such substitute
    shared = rng.normal(size=(len(PRODUCT), 30, COLUMNS + FAMILIES + 1))
    shared[:, :, COLUMNS:-1] = (
        rows[:, :, 1:].sum(axis=2)[:, :, None] * (members[:, None] == np.arange(FAMILIES))[:, None]
    )
    terms = np.swapaxes(rows, 1, 2) @ shared
    sums = np.einsum("kta,ktb->ab", shared, shared)
    sums[-1, -1] = 0.0
    pairs = ProductPairs.of(PRODUCT, RIVALS)
    noise = rng.uniform(0.05, 0.3, size=(4, 2))
    return PairMoments(
        np.swapaxes(rows, 1, 2) @ rows,
        terms,
        sums,
        0.09,
        pairs,
        noise,
        FAMILIES,
        members,
        np.zeros(COLUMNS),
    )


def dense(moments, family, product, cell):
    """Log-likelihood, and means and variances of the slopes of substitutes, of one matrix of all
    that is unknown.
    """
    count, width, _ = moments.terms.shape
    rivals = np.concatenate([np.full((count, 1), -1), RIVALS], axis=1)
    code = np.where(rivals >= 0, PRODUCT[:, None] * 4 + rivals, -1).ravel()
    codes = np.unique(code[code >= 0])
    of_pair = (code[:, None] == codes).astype(float)
    answers = (
        np.diag(np.tile([moments.own, cell**2, cell**2], count)) + product**2 * of_pair @ of_pair.T
    )
    errors = [
        moments.noise[each // 4, np.flatnonzero(codes[codes // 4 == each // 4] == each)[0]]
        for each in codes
    ]
    square = np.zeros((count * width, count * width))
    for each in range(count):
        square[width * each : width * (each + 1), width * each : width * (each + 1)] = (
            moments.square[each]
        )
    both, terms = (
        np.concatenate([np.eye(count * width), of_pair], axis=1),
        moments.terms.reshape(count * width, -1),
    )
    prior = np.block(
        [[answers, np.zeros_like(of_pair)], [np.zeros_like(of_pair.T), np.diag(errors)]]
    )
    shared = moments.shared[:-1, :-1] + np.diag([0.0] * COLUMNS + [family**-2] * FAMILIES)
    cross = both.T @ terms[:, :-1]
    matrix = np.block([[both.T @ square @ both + np.linalg.inv(prior), cross], [cross.T, shared]])
    linear = np.concatenate([both.T @ terms[:, -1], moments.shared[:-1, -1]])
    solution, size = np.linalg.solve(matrix, linear), len(prior)
    logs = (
        np.linalg.slogdet(prior)[1] + np.linalg.slogdet(matrix)[1] + 2 * FAMILIES * np.log(family)
    )
    load = np.eye(len(matrix))[: count * width]
    load[:, size + COMMON] = 1.0
    load[np.arange(count * width), size + COLUMNS + np.repeat(moments.members, width)] = 1.0
    variance = np.einsum("aq,aq->a", load @ np.linalg.inv(matrix), load)
    found = [each.reshape(count, width)[:, 1:] for each in (load @ solution, variance)]
    return 0.5 * linear @ solution - 0.5 * logs, *found


@pytest.mark.parametrize(("family", "product", "cell"), DEVIATIONS)
def test_a_product_in_many_channels_has_the_posterior_of_one_dense_matrix(
    moments, family, product, cell
):
    system, families = PairSystem.of(moments, np.array([0.5, cell])), np.array([0.5, family])
    value, mean, variance = dense(moments, family, product, cell)
    means, variances = system.slopes(families, product, cell, COMMON)
    assert system.log_likelihoods(families, product, cell)[1] == pytest.approx(value, rel=1e-10)
    assert means[1] == pytest.approx(mean, rel=1e-8, abs=1e-10)
    assert variances[1] == pytest.approx(variance, rel=1e-8, abs=1e-10)
