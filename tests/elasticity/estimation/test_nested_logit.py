"""Nested logit: shares by the law, and elasticities in closed form against finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from hwds.core.seeds import stream
from hwds.elasticity.models.logit_demand import nested_elasticities
from tests.support.price_worlds import nested_shares

NEST = np.array([0, 0, 0, 1, 1, 2])


@pytest.mark.parametrize("nesting", [0.0, 0.4, 0.85])
def test_closed_forms_are_those_of_finite_differences(nesting):
    rng = stream(0, "nested_logit")
    price, base, slope, step = rng.uniform(1, 3, 6), rng.standard_normal(6), -1.3, 1e-6

    def logs(moved):
        return np.log(nested_shares(base + slope * moved, NEST, nesting))

    known = nested_elasticities(price, np.exp(logs(price)), NEST, slope, nesting)
    turns = np.exp(step * np.eye(6))
    differences = np.stack(
        [(logs(price * up) - logs(price / up)) / (2 * step) for up in turns], axis=1
    )
    assert known.matrix == pytest.approx(differences, abs=1e-7)
    share = np.exp(logs(price))
    for place, column in enumerate((known.by_slope, known.by_nesting)):
        ends = [np.array([slope, nesting]) + side * step * np.eye(2)[place] for side in (-1, 1)]
        low, high = (nested_elasticities(price, share, NEST, *each).matrix for each in ends)
        assert column == pytest.approx((high - low) / (2 * step), abs=1e-6)


def test_without_nesting_shares_are_those_of_plain_logit():
    utility = np.array([0.3, -1.0, 2.0, 0.0, 800.0, 1.0])
    odds = np.exp(utility - 800)
    assert nested_shares(utility, NEST, 0.0) == pytest.approx(odds / (np.exp(-800) + odds.sum()))
    ordinary = utility[:4]
    odds = np.exp(ordinary)
    assert nested_shares(ordinary, NEST[:4], 0.0) == pytest.approx(odds / (1 + odds.sum()))


def test_the_log_odds_are_linear_in_the_share_within_the_nest():
    """Berry (1994): log s_j - log s_0 = u_j + n log s_j|g, which is what is estimated."""
    utility, nesting = np.array([0.5, -0.2, 1.0, 0.1, 0.7, -1.0]), 0.6
    share = nested_shares(utility, NEST, nesting)
    within = share / np.bincount(NEST, share)[NEST]
    assert np.log(share / (1 - share.sum())) == pytest.approx(utility + nesting * np.log(within))
