"""Each statistic against a published example, scipy, statsmodels, or a sum made by hand."""

import random
from math import inf

import numpy as np
import pytest
from scipy import stats

from hwds.stats.effects import (
    Effect,
    ReferenceDistribution,
    SumDistribution,
    any_look_critical,
    any_look_p,
    holm,
)
from hwds.stats.periods import diebold_mariano, has_enough_origins
from hwds.stats.ranks import (
    confidence_set,
    delong,
    nemenyi,
    rank_rows,
    rank_test,
    wilcoxon_p,
    win_rate,
)

# Demsar (2006), table 6: AUC of C4.5 with m, cf, and both tuned; the two 0.975 of one row bear the
# ranks 2 and 3 there
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],
        [0.957, 0.978, 0.946, 0.970],
    ]
)

# DeLong, DeLong and Clarke-Pearson (1988), as in the SAS/STAT User's Guide, The LOGISTIC Procedure,
# "Comparing ROC curves": albumin, total protein, K-G score, surgery of benefit (1 no)
OVARY = np.array(
    [
        3.0,
        5.8,
        10,
        0,
        3.2,
        6.3,
        5,
        1,
        3.9,
        6.8,
        3,
        1,
        2.8,
        4.8,
        6,
        0,
        3.2,
        5.8,
        3,
        1,
        0.9,
        4.0,
        5,
        0,
        2.5,
        5.7,
        8,
        0,
        1.6,
        5.6,
        5,
        1,
        3.8,
        5.7,
        5,
        1,
        3.7,
        6.7,
        6,
        1,
        3.2,
        5.4,
        4,
        1,
        3.8,
        6.6,
        6,
        1,
        4.1,
        6.6,
        5,
        1,
        3.6,
        5.7,
        5,
        1,
        4.3,
        7.0,
        4,
        1,
        3.6,
        6.7,
        4,
        0,
        2.3,
        4.4,
        6,
        1,
        4.2,
        7.6,
        4,
        0,
        4.0,
        6.6,
        6,
        0,
        3.5,
        5.8,
        6,
        1,
        3.8,
        6.8,
        7,
        1,
        3.0,
        4.7,
        8,
        0,
        4.5,
        7.4,
        5,
        1,
        3.7,
        7.4,
        5,
        1,
        3.1,
        6.6,
        6,
        1,
        4.1,
        8.2,
        6,
        1,
        4.3,
        7.0,
        5,
        1,
        4.3,
        6.5,
        4,
        1,
        3.2,
        5.1,
        5,
        1,
        2.6,
        4.7,
        6,
        1,
        3.3,
        6.8,
        6,
        0,
        1.7,
        4.0,
        7,
        0,
        3.7,
        6.1,
        5,
        1,
        3.3,
        6.3,
        7,
        1,
        4.2,
        7.7,
        6,
        1,
        3.5,
        6.2,
        5,
        1,
        2.9,
        5.7,
        9,
        0,
        2.1,
        4.8,
        7,
        1,
        2.8,
        6.2,
        8,
        0,
        4.0,
        7.0,
        7,
        1,
        3.3,
        5.7,
        6,
        1,
        3.7,
        6.9,
        5,
        1,
        3.6,
        6.6,
        5,
        1,
    ]
).reshape(-1, 4)


def friedman(values, better):
    return rank_test([f"model {place}" for place in range(values.shape[1])], values, "b", better)


def test_friedman_is_that_of_demsar():
    found = friedman(DEMSAR, "high")
    np.testing.assert_allclose([*found.ranks.values()], [3.143, 2.000, 2.893, 1.964], atol=5e-4)
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)
    expected = stats.friedmanchisquare(*DEMSAR.T)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)


def test_friedman_without_ties_is_the_formula_of_demsar():
    values = np.random.Generator(np.random.Philox(1)).normal(size=(14, 4))
    found, (n, k) = friedman(values, "low"), values.shape
    means = np.array([*found.ranks.values()])
    chi = 12 * n / (k * (k + 1)) * (np.sum(np.square(means)) - k * (k + 1) ** 2 / 4)
    assert found.statistic == pytest.approx(chi)
    f_statistic = (n - 1) * chi / (n * (k - 1) - chi)
    assert found.f_p_value == pytest.approx(stats.f.sf(f_statistic, k - 1, (k - 1) * (n - 1)))


def test_demsars_own_figures_come_of_his_ranks():
    """He leaves ties uncorrected: chi-square 9.28 and F 3.69 from the mean ranks."""
    n, k = 14, 4
    means = np.array([*friedman(DEMSAR, "high").ranks.values()])
    chi = 12 * n / (k * (k + 1)) * (np.sum(np.square(means)) - k * (k + 1) ** 2 / 4)
    assert chi == pytest.approx(9.28, abs=0.01)
    assert (n - 1) * chi / (n * (k - 1) - chi) == pytest.approx(3.69, abs=0.01)


def test_nemenyi_is_demsars_table():
    table = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
    np.testing.assert_allclose([nemenyi(k) for k in range(2, 11)], table, atol=1e-3)
    np.testing.assert_allclose(
        [nemenyi(k, 0.9) for k in (2, 4, 10)], [1.645, 2.291, 2.920], atol=6e-4
    )


def test_ranks_share_ties_that_differ_in_the_last_bits_alone():
    values = np.array([[0.3, 0.1 + 0.2, 0.5]])
    assert rank_rows(values, "low").tolist() == [[1.5, 1.5, 3.0]]
    assert rank_rows(values, "high").tolist() == [[2.5, 2.5, 1.0]]
    assert friedman(np.ones((5, 3)), "low") is None


def test_delong_is_the_published_example():
    label = 1 - OVARY[:, 3]
    areas, covariance = delong(label, np.column_stack([-OVARY[:, 0], OVARY[:, 2], -OVARY[:, 1]]))
    np.testing.assert_allclose(areas, [0.7366, 0.7258, 0.6478], atol=5e-5)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), [0.0927, 0.1028, 0.1000], atol=5e-5)
    between = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert between == pytest.approx(0.0953, abs=5e-5)
    assert ReferenceDistribution().two_sided((areas[0] - areas[1]) / between) == pytest.approx(
        0.9102, abs=5e-4
    )
    other = np.sqrt(covariance[2, 2] + covariance[1, 1] - 2 * covariance[1, 2])
    assert other == pytest.approx(0.1046, abs=5e-5)
    assert ReferenceDistribution().two_sided((areas[2] - areas[1]) / other) == pytest.approx(
        0.4561, abs=5e-4
    )


# The README and the tests of github.com/edoannunziata/dieboldmariano, an implementation of its own
# without a line of ours
FIRST = [
    0.3675225224615024,
    0.5450608127223211,
    0.22044990720021074,
    0.8688743471040006,
    0.6072512228948467,
    0.8582283746501538,
    0.41662295816718187,
    0.3812100211114714,
    0.7185133356116706,
    0.30827323290318875,
    0.4297093624074402,
    0.8615974488577858,
    0.7240514514808826,
    0.3450839595261038,
    0.19675301374013598,
]
SECOND = [
    0.12794132529988733,
    0.3679643204341153,
    0.768715420996091,
    0.09972248964114683,
    0.27197653636654284,
    0.28797629010039505,
    0.9160213458582482,
    0.6112628048698798,
    0.5452873235576241,
    0.06785907231746158,
    0.6072666485541124,
    0.6241575753989782,
    0.39998026828867217,
    0.19895665605941748,
    0.8094941215215619,
]


def test_diebold_mariano_is_that_of_another_implementation():
    squares = np.square([0, 1, 2, 3, 4, 5]) - np.square([0, 2, 3, 3, 5, 6])
    found = diebold_mariano(squares.astype(float))
    assert found.statistic == pytest.approx(-2.4905, abs=5e-5)
    assert found.p_value == pytest.approx(0.05513, abs=5e-6)
    found = diebold_mariano(np.abs(FIRST) - np.abs(SECOND), 3)
    assert found.statistic == pytest.approx(1.2109, abs=5e-5)
    assert found.p_value == pytest.approx(2 * (1 - 0.877), abs=2e-4)


# R's datasets::WWWusage
USERS = [
    88,
    84,
    85,
    85,
    84,
    85,
    83,
    85,
    88,
    89,
    91,
    99,
    104,
    112,
    126,
    138,
    146,
    151,
    150,
    148,
    147,
    149,
    143,
    132,
    131,
    139,
    147,
    150,
    148,
    145,
    140,
    134,
    131,
    131,
    129,
    126,
    126,
    132,
    137,
    140,
    142,
    150,
    159,
    167,
    170,
    171,
    172,
    172,
    174,
    175,
    172,
    172,
    174,
    174,
    169,
    165,
    156,
    142,
    131,
    121,
    112,
    104,
    102,
    99,
    99,
    95,
    88,
    84,
    84,
    87,
    89,
    88,
    85,
    86,
    89,
    91,
    91,
    94,
    101,
    110,
    121,
    135,
    145,
    149,
    156,
    165,
    171,
    175,
    177,
    182,
    193,
    204,
    208,
    210,
    215,
    222,
    228,
    226,
    222,
    220,
]


def test_diebold_mariano_is_rs_dm_test_on_the_example_of_its_manual():
    """R's forecast, the manual of dm.test: ets and auto.arima on WWWusage, DM = 1.9078 and p =
    0.05932, all digits it prints.

    Both fits are made again here, and held against the accuracies that the manual prints of them.
    """
    from statsmodels.tsa.arima.model import ARIMA

    users, first = np.array(USERS, float), []
    level, trend, damping = 90.35177, -0.01728, 0.815  # ETS(A,Ad,N) with alpha .9999 and beta .9966
    for value in users:
        error = value - level - damping * trend
        level, trend = level + damping * trend + 0.9999 * error, damping * trend + 0.9966 * error
        first.append(error)
    fitted = ARIMA(users, order=(1, 1, 1)).fit()
    second = fitted.filter_results.standardized_forecasts_error[0] * fitted.params[-1] ** 0.5
    second[0] = 0.088  # R's of a first value that nothing is known of: a thousandth of it
    for errors, rmse, mae in ((first, 3.40781, 2.761668), (second, 3.113754, 2.405275)):
        assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(rmse, abs=5e-5)
        assert np.mean(np.abs(errors)) == pytest.approx(mae, abs=5e-5)
    found = diebold_mariano(np.square(first) - np.square(second))
    assert found.statistic == pytest.approx(1.9078, abs=5e-5)
    assert found.p_value == pytest.approx(0.05932, abs=1e-5)


def test_diebold_mariano_is_dm_test_of_python_to_the_last_digits():
    """github.com/johntwk/Diebold-Mariano-Test, after R's dm.test: the figures of its README, from
    Python 2's random.sample.
    """
    rng = random.Random(123)
    actual, one, other = (np.array(_sample_of_python_2(rng, 100)) for _ in range(3))
    published = {
        1: (1.3275742446369585, 0.18737195617455585),
        2: (1.2112523589452902, 0.22868210381769466),
    }
    for power, (statistic, p_value) in (
        published | {4: (0.9124498079287283, 0.36374861695187799)}
    ).items():
        losses = [np.abs(actual - said).astype(float) ** power for said in (one, other)]
        found = diebold_mariano(losses[0] - losses[1])
        assert found.statistic == pytest.approx(statistic, rel=1e-12)
        assert found.p_value == pytest.approx(p_value, rel=1e-12)


def _sample_of_python_2(rng, count):
    pool, drawn = list(range(count)), []
    for left in range(count, 0, -1):
        place = int(rng.random() * left)
        drawn.append(pool[place])
        pool[place] = pool[left - 1]
    return drawn


def test_diebold_mariano_of_one_step_is_a_t_test():
    differences = np.random.Generator(np.random.Philox(2)).normal(0.2, 1, 40)
    found, expected = diebold_mariano(differences), stats.ttest_1samp(differences, 0)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-12)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-12)


def test_diebold_mariano_falls_back_where_the_variance_is_not_above_zero():
    jumping = np.array([1.0, -1.0] * 12) + np.linspace(0, 0.01, 24)
    assert diebold_mariano(jumping, 2).horizon == 1
    assert diebold_mariano(np.ones(30)) is None
    assert diebold_mariano(np.ones(1)) is None


def test_origins_are_enough_by_count_and_horizon():
    assert has_enough_origins(20, 10)
    assert not has_enough_origins(19, 1)
    assert not has_enough_origins(35, 18)


def test_holm_is_rs_p_adjust():
    """`p.adjust(c(0.01, 0.02, 0.03, 0.005, 0.9), "holm")` of R."""
    assert holm([0.01, 0.02, 0.03, 0.005, 0.9]) == pytest.approx([0.04, 0.06, 0.06, 0.025, 0.9])
    assert holm([None]) == [None]
    assert holm([0.01, None, 0.02]) == [0.02, None, 0.02]
    assert holm([0.01, 0.02], family=10) == pytest.approx([0.1, 0.18])


def test_equivalence_is_statsmodels():
    from statsmodels.stats.weightstats import DescrStatsW

    values = np.random.Generator(np.random.Philox(4)).normal(0.01, 0.1, 60)
    effect = Effect(values.mean(), values.std(ddof=1) / 60**0.5, ReferenceDistribution(59), "t", 60)
    assert effect.equivalence_p(-0.04, 0.04) == pytest.approx(
        DescrStatsW(values).ttost_mean(-0.04, 0.04)[0], rel=1e-9
    )
    expected = stats.t.interval(0.95, 59, effect.value, effect.stderr)
    np.testing.assert_allclose(effect.interval(0.95), expected)
    assert effect.p_value == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_an_effect_without_spread_is_sure_or_nothing():
    assert Effect(0.0, 0.0, ReferenceDistribution(), "t", 5).p_value == 1.0
    assert Effect(0.1, 0.0, ReferenceDistribution(), "t", 5).p_value == 0.0
    assert Effect(0.0, 0.0, ReferenceDistribution(), "t", 5).equivalence_p(-0.1, 0.1) == 0.0
    assert Effect(0.1, None, ReferenceDistribution(), "none", 1).p_value is None
    assert Effect(0.1, None, ReferenceDistribution(), "none", 1).interval(0.95) is None


def test_wins_count_ties_half_and_have_wilsons_interval():
    from statsmodels.stats.proportion import proportion_confint

    share, low, high = win_rate(np.array([1.0, 1, 1, -1, 0, 0]))
    assert share == pytest.approx(4 / 6)
    assert (low, high) == pytest.approx(proportion_confint(4, 6, method="wilson"))


def test_wilcoxon_leaves_zeros_out():
    differences = np.array([0.5, 0.0, -0.2, 0.9, 0.4, 1.3, 0.0, 0.7])
    assert wilcoxon_p(differences) == stats.wilcoxon(differences[differences != 0]).pvalue
    assert wilcoxon_p(np.zeros(4)) is None


@pytest.mark.parametrize("df", [3.0, 11.0, 23.0, inf])
def test_the_critical_value_of_all_looks_has_the_p_value_that_it_is_of(df):
    t = any_look_critical(df, 24.0, 0.05)
    assert any_look_p(df, 24.0, t) == pytest.approx(0.05)
    assert t > ReferenceDistribution(df).critical(0.95)


def test_who_looks_at_each_observation_is_wrong_no_oftener_than_said():
    """Chance: 2,000 series of 30 normal numbers, looked at from the third on; the standard error is
    .5 %.
    """
    values = np.random.default_rng(5).normal(size=(2000, 30))
    ever, fixed = np.zeros(2000, bool), np.zeros(2000, bool)
    for n in range(3, 31):
        part = values[:, :n]
        t = np.abs(part.mean(axis=1)) / (part.std(axis=1, ddof=1) / n**0.5)
        ever |= t > any_look_critical(n - 1, n, 0.05)
        fixed |= t > ReferenceDistribution(n - 1).critical(0.95)
    assert ever.mean() <= 0.06
    assert fixed.mean() > 0.2, "the world has something to hold against"


def test_the_best_of_twenty_is_tested_at_a_twentieth_of_the_level():
    law = ReferenceDistribution(9.0, choices=20)
    t = law.critical(0.95)
    assert t == pytest.approx(ReferenceDistribution(9.0).critical(0.9975))
    assert law.two_sided(t) == pytest.approx(0.05)
    assert law.two_sided(0.1) == 1.0


def test_a_look_widens_what_periods_add_and_a_choice_what_units_add():
    parts = (0.5, ReferenceDistribution(29.0)), (0.5, ReferenceDistribution(7.0))
    effect = Effect(1.0, 0.3, SumDistribution(parts), "t", 30, periods=8)
    assert effect.at_all_looks(again=False) is effect
    (units, periods), (chosen, same) = (
        [law for _, law in each.distribution.parts]
        for each in (effect.at_all_looks(again=True), effect.at_all_looks(again=False, choices=9))
    )
    assert (units.observed, periods.observed) == (0, 8.0)
    assert (chosen.choices, same.choices) == (9, 1)
    low, high = effect.at_all_looks(again=True).interval(0.95)
    assert (low + high) / 2 == pytest.approx(1.0)
    assert high - low > 2 * 0.3 * effect.distribution.critical(0.95)


def test_one_degree_of_freedom_bounds_nothing_at_all_looks():
    effect = Effect(1.0, 0.1, ReferenceDistribution(1.0), "t", 2).at_all_looks(again=True)
    assert effect.interval(0.95) is None
    assert effect.p_value > 0.05


def test_a_stretched_law_keeps_its_interval_and_its_p_value_together():
    law = ReferenceDistribution(30, 1.2)
    assert law.critical(0.95) == pytest.approx(1.2 * stats.t.ppf(0.975, 30))
    assert law.two_sided(law.critical(0.95)) == pytest.approx(0.05)


def test_the_confidence_set_by_hand():
    """Two models: the statistic is |d| over its bootstrap error, and the p-value the share of
    resamples beyond it.
    """
    rng = np.random.Generator(np.random.Philox(5))
    losses = rng.normal([0.0, 0.3], 1.0, (50, 2))
    counts = rng.multinomial(50, np.full(50, 0.02), size=4000)
    samples = counts @ losses / 50
    d = losses[:, 1].mean() - losses[:, 0].mean()
    drawn = samples[:, 1] - samples[:, 0] - d
    expected = np.mean(np.abs(drawn) / np.sqrt(np.mean(drawn**2)) >= d / np.sqrt(np.mean(drawn**2)))
    assert confidence_set(losses.mean(axis=0), samples).tolist() == pytest.approx([1.0, expected])


def test_the_confidence_set_drops_what_is_far_worse_and_keeps_twins():
    rng = np.random.Generator(np.random.Philox(6))
    losses = rng.normal([0, 0, 0, 3.0], 1.0, (60, 4))
    losses[:, 1] = losses[:, 0]
    samples = rng.multinomial(60, np.full(60, 1 / 60), size=1000) @ losses / 60
    p_values = confidence_set(losses.mean(axis=0), samples)
    assert p_values[3] == 0.0
    assert (p_values[:3] > 0.05).all()
    assert confidence_set(np.ones(2), np.ones((10, 2))).tolist() == [1.0, 1.0]
