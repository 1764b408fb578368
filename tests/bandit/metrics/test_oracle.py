"""The exact regret of two arms and the asymptotic constants, against values worked out
elsewhere.
"""

import numpy as np
import pytest

from hwds.bandit.simulation.scores import kl_bernoulli, lai_robbins, least_regret
from tests.support.two_armed_regret import expected_regret

PLAIN = {
    (0.5, 0.4): (
        (0.4545471019, 0.8566065463, 1.9007212047),
        (0.4589864450, 0.8870765516, 2.0929118529),
    ),
    (0.2, 0.1): (
        (0.4562780697, 0.8504433206, 1.8064460490),
        (0.4634333312, 0.8955869750, 2.1039269509),
    ),
    (0.9, 0.8): (
        (0.4395182474, 0.7951885702, 1.6313782601),
        (0.4618746202, 0.8845496607, 2.0720927069),
    ),
    (0.05, 0.03): (
        (0.0982190491, 0.1934224503, 0.4640328440),
        (0.0983919289, 0.1959181953, 0.4839974410),
    ),
}
REVENUE = {
    (0.3, 0.1): ((3.1785139139, 5.8636240332, 6.8822635824), (4.8111986195, 22.7039201036)),
    (0.3, 0.2): ((1.6418767138, 3.5253859039, 4.2816272235), (4.8616270080, 23.2875819297)),
}
CONSTANTS = [
    ([0.1] + [0.05] * 3 + [0.02] * 3 + [0.01] * 3, 17.4452),
    ([i / 10 for i in range(1, 10)], 7.5165),
    ([0.01, 0.02, 0.3, 0.4, 0.5, 0.6, 0.795, 0.8, 0.805], 101.0451),
    ([0.01] * 3 + [0.02] * 3 + [0.05] * 2 + [0.1], 14.4523),
    ([0.5, 0.45, 0.4, 0.35, 0.3], 20.6625),
    ([0.9, 0.8], 2.2521),
    ([0.25, 0.2], 7.1407),
    ([0.9, 0.8, 0.7], 3.5536),
]


@pytest.mark.parametrize("means", PLAIN)
def test_the_regret_of_plain_arms_is_exact(means):
    thompson, ucb1 = (expected_regret(law, np.array(means), 50) for law in ("thompson", "ucb1"))
    np.testing.assert_allclose(thompson[[9, 19, 49]], PLAIN[means][0], atol=5e-11)
    np.testing.assert_allclose(ucb1[[9, 19, 49]], PLAIN[means][1], atol=5e-11)


@pytest.mark.parametrize("conversions", REVENUE)
def test_the_regret_of_revenue_is_exact(conversions):
    prices = np.array([10.0, 20.0])
    np.testing.assert_allclose(
        expected_regret("thompson", np.array(conversions), 12, prices)[[4, 9, 11]],
        REVENUE[conversions][0],
        atol=5e-10,
    )
    np.testing.assert_allclose(
        expected_regret("ucb1", np.array(conversions), 50, prices)[[9, 49]],
        REVENUE[conversions][1],
        atol=5e-10,
    )


def test_the_order_of_the_arms_does_not_matter():
    for law in ("thompson", "ucb1"):
        forth = expected_regret(law, np.array([0.3, 0.1]), 12, np.array([10.0, 20.0]))
        back = expected_regret(law, np.array([0.1, 0.3]), 12, np.array([20.0, 10.0]))
        np.testing.assert_allclose(forth, back, rtol=1e-12)


@pytest.mark.parametrize(("means", "constant"), CONSTANTS)
def test_the_constant_of_lai_and_robbins(means, constant):
    assert round(lai_robbins(np.ones(len(means)), np.array(means)), 4) == constant


@pytest.mark.parametrize(
    ("prices", "conversions", "constant"),
    [
        ([10, 20, 30, 40, 50], [0.6, 0.4, 0.25, 0.15, 0.08], 1093.88),
        ([99, 149, 199, 249, 299], [0.05, 0.045, 0.03, 0.02, 0.012], 6792.41),
        ([5, 100], [0.9, 0.1], 0.0),
    ],
)
def test_its_form_for_revenue_leaves_out_what_cannot_win(prices, conversions, constant):
    assert round(lai_robbins(np.array(prices, float), np.array(conversions)), 2) == constant


def test_the_divergence_at_its_borders():
    assert kl_bernoulli(0.0, 0.0) == 0
    assert kl_bernoulli(0.5, 0.0) == np.inf
    assert kl_bernoulli(1.0, 0.5) == pytest.approx(np.log(2))


def test_the_least_regret_is_what_finding_another_arm_costs():
    """By hand: .3 would have to be .7 for the best arm of .5 to be as much worse."""
    values, means, horizon = np.ones(2), np.array([0.5, 0.3]), 1000
    tried = least_regret(values, means, horizon) / 0.2
    apart = float(kl_bernoulli(0.3, 0.7))
    assert tried * apart == pytest.approx(float(kl_bernoulli(2 * tried / horizon, 0.5)))
    assert tried == pytest.approx(1.969, abs=1e-3)
    assert least_regret(2 * values, means / 2, horizon) > 0
    assert least_regret(values, np.array([0.9, 0.3]), horizon) == 0.0  # 1.5 is no conversion
    assert least_regret(values, np.array([0.4, 0.4]), horizon) == 0.0


@pytest.mark.parametrize("means", PLAIN)
def test_no_lawful_regret_lies_below_it(means):
    for law in ("thompson", "ucb1"):
        exact = expected_regret(law, np.array(means), 50)
        for steps in (10, 20, 50):
            assert exact[steps - 1] > least_regret(np.ones(len(means)), np.array(means), steps)
