"""Checks of cross elasticities on matrices that are known to be symmetric, or not."""

from __future__ import annotations

import numpy as np

from hwds.elasticity.metrics import cross_checks

PRICE, SHARE, SLOPE = np.array([10.0, 20.0, 15.0, 30.0]), np.array([0.2, 0.1, 0.3, 0.15]), -0.1


def logit():
    """Own and cross elasticities of a logit law: without income effects, so symmetric in revenue
    and negative semidefinite.
    """
    cross = np.tile(-SLOPE * PRICE * SHARE, (4, 1))
    np.fill_diagonal(cross, 0.0)
    return SLOPE * PRICE * (1 - SHARE), cross, PRICE * SHARE


def test_a_logit_law_passes_all_checks():
    own, cross, revenue = logit()
    checks = cross_checks(own, cross, np.zeros((4, 4)), revenue)
    assert (checks.pairs, checks.two_way, checks.markets) == (12, 6, 1)
    assert (checks.negative, checks.asymmetric, checks.outweighed) == (0, 0, 0)


def test_signs_and_asymmetry_count_as_far_as_errors_allow():
    own, cross, revenue = logit()
    cross[0, 1] = -0.2
    sure = cross_checks(own, cross, np.full((4, 4), 0.05), revenue)
    assert (sure.negative, sure.surely_negative) == (1, 1)
    assert sure.asymmetric == 1
    unsure = cross_checks(own, cross, np.full((4, 4), 0.5), revenue)
    assert (unsure.negative, unsure.surely_negative, unsure.asymmetric) == (1, 0, 0)


def test_substitutes_that_outweigh_own_prices_are_counted_by_market():
    own, cross, revenue = logit()
    two = np.zeros((8, 8))
    two[:4, :4], two[4:, 4:] = cross, 5 * cross
    checks = cross_checks(np.tile(own, 2), two, np.zeros((8, 8)), np.tile(revenue, 2))
    assert (checks.markets, checks.outweighed) == (2, 1)
    lone = cross_checks(np.array([np.nan, -2.0]), np.zeros((2, 2)), np.zeros((2, 2)), np.ones(2))
    assert (lone.pairs, lone.markets) == (0, 0)
