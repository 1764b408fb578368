"""Intervals of means over units that share periods: how often they hold, what they cost, and what
is refused.
"""

from math import inf

import numpy as np
import pytest

from hwds.stats.effects import Effect, ReferenceDistribution, SumDistribution
from hwds.stats.estimates import pooled_ratio, unit_mean, unit_median
from hwds.stats.periods import (
    Cells,
    Persistence,
    _instants,
    deciders,
    largest_break,
    mean_estimate,
    median_estimate,
    period_part,
    ratio_estimate,
    with_periods,
)

TRIALS = 500
"""The standard error of a share of 5 % among so many is 1 %."""


def grid(units, periods, **reach):
    return Cells(np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units), **reach)


STEPS = 3


def wrong(units, periods, shared, *, lasts=0.0, shift=0.0):
    """The shares of trials whose interval misses 0, of units alone and with their periods; `lasts`
    is the correlation of a shared shock with that of the row before.
    """
    draws = np.random.default_rng([units, periods, int(10 * shared)])
    shocks = draws.normal(size=(TRIALS, 1, periods * STEPS))
    for place in range(1, periods * STEPS):
        shocks[..., place] = (
            lasts * shocks[..., place - 1] + (1 - lasts**2) ** 0.5 * shocks[..., place]
        )
    shocks *= (STEPS if not lasts else 1) ** 0.5
    alone = STEPS**0.5 * draws.normal(size=(TRIALS, units, periods * STEPS))
    own = draws.normal(size=(TRIALS, units, 1)) + alone
    values = shift + ((1 - shared) / 2) ** 0.5 * own + shared**0.5 * shocks
    cells = grid(units, periods, steps=STEPS)
    rows = values.reshape(TRIALS, units * periods, STEPS)
    series = [unit_mean(each.mean(axis=1)) for each in values]
    both = [mean_estimate(each.mean(axis=1), cells, blocks=each) for each in rows]
    return [
        np.mean([not each.low <= 0 <= each.high for each in estimates])
        for estimates in (series, both)
    ]


@pytest.mark.parametrize(
    ("units", "periods", "shared"),
    [(20, 3, 0.3), (40, 3, 0.1), (200, 6, 0.05), (40, 12, 0.3), (20, 40, 0.3)],
)
def test_shared_shocks_are_in_the_interval(units, periods, shared):
    alone, both = wrong(units, periods, shared)
    assert alone > 0.08
    assert both < 0.06 + 0.02


@pytest.mark.parametrize(("periods", "lasts"), [(4, 0.8), (8, 0.8), (8, 0.95), (24, 0.8)])
def test_shocks_that_last_are_in_the_interval(periods, lasts):
    alone, both = wrong(30, periods, 0.6, lasts=lasts)
    assert alone > 0.4
    assert both < (0.08 if lasts < 0.9 else 0.2) + 0.02


def lasting_path(periods, lasts, pairs=60, steps=3, gap=1.0):
    """Shared values of rows whose shocks last, shape (periods, steps, pairs), and their cells."""
    draws = np.random.default_rng([periods, int(100 * lasts)])
    stride = round(gap * steps)
    rows = draws.normal(size=((periods - 1) * stride + steps, pairs))
    for place in range(1, len(rows)):
        rows[place] = lasts * rows[place - 1] + (1 - lasts**2) ** 0.5 * rows[place]
    at = np.arange(periods)[:, None] * stride + np.arange(steps)
    return rows[at], grid(10, periods, span=round(1 / gap), gap=gap, steps=steps)


def test_shocks_that_last_make_periods_worth_fewer_and_a_remark_says_so():
    path, cells = lasting_path(12, 0.9)
    found = cells.persistence(path)
    assert np.median(found.mean) > 0.4
    assert np.median(found.worth) < 5
    remarks = [found.remark(pair, 12) for pair in range(60)]
    assert np.mean(["Shocks last about" in each for each in remarks]) > 0.9
    path, cells = lasting_path(24, 0.0)
    fresh = cells.persistence(path)
    assert np.median(fresh.worth) > 23
    assert np.mean([fresh.remark(pair, 24) == "" for pair in range(60)]) > 0.85


def test_a_remark_names_the_cutoffs_and_what_they_are_worth():
    one = [np.array([each]) for each in (9.0, 2.8, 0.62, 0.9, 0.3)]
    assert Persistence(*one).remark(0, 8) == (
        "Shocks last about 3 cutoffs (0.6): 8 cutoffs are worth 3 independent ones."
    )
    one = [np.array([each]) for each in (1.3, 6.2, 0.1, 0.2, 0.8)]
    assert Persistence(*one).remark(0, 8) == (
        "8 cutoffs cannot tell whether shocks last: they are counted as 6 independent ones."
    )


def test_windows_that_overlap_are_worth_fewer_although_no_shock_lasts():
    path, cells = lasting_path(12, 0.0, steps=6, gap=0.5)
    found = cells.persistence(path)
    assert 6 < np.median(found.worth) < 9.5
    assert np.median(found.mean) < 0.1


@pytest.mark.parametrize(
    "cells", [grid(9, 3), grid(9, 12, season_seen=0.5), grid(9, 200), grid(9, 8, span=6)]
)
def test_persistence_is_not_asked_of_too_few_too_many_or_a_part_of_a_season(cells):
    assert cells.persistence(np.ones((cells.periods, 1, 1))) is None


def test_the_law_of_steps_is_that_of_their_rows():
    """Two blocks of two steps, windows half a window apart: by hand."""
    found = _instants(2, 2, 4, 2.0, 0.25)
    rows = np.array([0, 1, 2, 3, 2, 3, 4, 5])
    by_row = 0.25 ** (np.abs(rows[:, None] - rows) / 2)
    blocks = by_row.reshape(4, 2, 4, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(found, blocks / blocks[0, 0])


def test_units_that_share_nothing_lose_little_where_periods_are_not_few():
    alone, both = wrong(40, 6, 0.0, shift=0.35)
    assert both > 0.65 * alone
    assert alone > 0.6
    alone, both = wrong(40, 12, 0.0, shift=0.35)
    assert both > 0.9 * alone > 0.6


def test_one_mean_of_one_grid_is_the_sum_of_its_parts():
    """Against the two-way formula of Cameron, Gelbach and Miller: by unit, by period, less by
    cell.
    """
    values = np.random.default_rng(3).normal(size=(30, 3))
    part = period_part(values.reshape(-1, 1), grid(30, 3))
    by_period = np.var(values.mean(axis=0), ddof=1) / 3
    rest = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    assert part.periods[0] == pytest.approx(by_period)
    assert part.cells[0] == pytest.approx((rest**2).sum() / (29 * 2) / 90)
    assert part.df[0] == pytest.approx(2)
    by_unit = np.var(values.mean(axis=1), ddof=1) / 30
    estimate = mean_estimate(values.ravel(), grid(30, 3))
    assert estimate.stderr**2 == pytest.approx(max(by_unit - part.cells[0], 0) + by_period)
    assert (estimate.value, estimate.n) == (pytest.approx(values.mean()), 30)


def test_units_need_not_have_the_same_periods():
    cells = Cells(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 2, 2]))
    np.testing.assert_allclose(cells.weights, [1 / 6, 1 / 6, 1 / 6, 1 / 6, 1 / 3])
    assert mean_estimate(np.array([1.0, 3, 5, 7, 9]), cells).value == pytest.approx((2 + 6 + 9) / 3)
    assert 1 < cells.effective < 3


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (grid(50, 1), "one cutoff cannot tell"),
        (
            Cells(np.arange(99), np.r_[np.zeros(98, int), 1]),
            "one cutoff has most of the weight and cannot tell",
        ),
        (grid(50, 8, span=6), "8 cutoffs of overlapping windows cannot tell"),
        (grid(50, 3, season_seen=0.25), "3 cutoffs in 25 % of a season cannot tell"),
        (grid(50, 3, season_seen=0.75), ""),
        (grid(50, 9, span=6), ""),
        (grid(50, 2), ""),
    ],
)
def test_periods_that_cannot_tell_are_refused(cells, reason):
    assert cells.refusal == reason
    estimate = mean_estimate(np.random.default_rng(0).normal(size=len(cells.unit)), cells)
    assert (estimate.low is None) == bool(reason)
    assert estimate.stderr > 0


def test_the_effective_number_falls_from_all_values_to_the_periods():
    draws = np.random.default_rng(1)
    alone, shared = draws.normal(size=(400, 20)), np.broadcast_to(draws.normal(size=20), (400, 20))

    def worth(values):
        part = period_part(values.reshape(-1, 1), grid(400, 20))
        error = np.std(values.mean(axis=1), ddof=1) / 20
        return with_periods(
            Effect(0.0, error, ReferenceDistribution(399), "", 400), part, 0, values.size
        ).independent

    assert worth(alone) > 2000
    assert worth(shared + 1e-3 * alone) < 80


def test_p_values_of_a_sum_lie_between_those_of_its_parts_and_fit_the_interval():
    few, many = ReferenceDistribution(2), ReferenceDistribution(inf)
    both = SumDistribution(((0.3, few), (0.7, many)))
    assert many.critical(0.95) < both.critical(0.95) < few.critical(0.95)
    for level in (0.5, 0.95, 0.999):
        assert both.two_sided(both.critical(level)) == pytest.approx(1 - level)
        assert both.survival(-both.critical(level)) == pytest.approx(1 - (1 - level) / 2)
    assert SumDistribution(((1.0, few), (0.0, many))).two_sided(3.0) == pytest.approx(
        few.two_sided(3.0)
    )


@pytest.mark.parametrize(("units", "periods"), [(40, 3), (100, 6)])
def test_shared_shocks_are_in_the_intervals_of_a_median_and_of_a_ratio(units, periods):
    draws, cells, trials = np.random.default_rng([units, periods]), grid(units, periods), 200
    missed = np.zeros((2, 2))
    for _ in range(trials):
        own = draws.normal(size=(units, 1)) + draws.normal(size=(units, periods))
        values, size = (
            0.35**0.5 * own + 0.3**0.5 * draws.normal(size=periods),
            draws.lognormal(0, 0.5, (units, 1)),
        )
        sums = (size * values).sum(axis=1), periods * size[:, 0]
        ratio = ratio_estimate((size * values).ravel(), np.repeat(size, periods), cells)
        pairs = (
            (median_estimate(values.ravel(), cells), unit_median(values.mean(axis=1))),
            (ratio, pooled_ratio(*sums)),
        )
        assert [both.value for both, _ in pairs] == pytest.approx(
            [alone.value for _, alone in pairs]
        )
        missed += [[not each.low <= 0 <= each.high for each in pair] for pair in pairs]
    both, alone = missed.T / trials
    assert alone.min() > 0.12
    assert both.max() <= 0.06 + 2 * (0.05 * 0.95 / trials) ** 0.5


def test_a_root_of_a_ratio_has_the_error_of_the_delta_method():
    top, cells = np.random.default_rng(0).normal(4, 1, 240), grid(40, 6)
    ratio, root = (ratio_estimate(top, np.ones(240), cells, root=root) for root in (False, True))
    assert root.value == pytest.approx(ratio.value**0.5)
    assert root.stderr == pytest.approx(ratio.stderr / (2 * root.value))
    assert root.high - root.value == pytest.approx((ratio.high - ratio.value) / (2 * root.value))


def test_one_period_leaves_medians_and_ratios_without_an_interval():
    values, cells = np.random.default_rng(0).normal(4, 1, 60), grid(60, 1)
    for estimate in (median_estimate(values, cells), ratio_estimate(values, np.ones(60), cells)):
        assert (estimate.low, estimate.high, estimate.method) == (
            None,
            None,
            "one cutoff cannot tell",
        )
    assert (
        ratio_estimate(np.zeros(0), np.zeros(0), Cells(np.zeros(0, int), np.zeros(0, int))).value
        is None
    )
    assert (
        median_estimate(np.zeros(0), Cells(np.zeros(0, int), np.zeros(0, int)), 3).n_undefined == 3
    )


def test_p_values_are_there_where_parts_agree_but_for_their_last_bits():
    rng = np.random.default_rng(0)
    for _ in range(2000):
        df, share = 10 ** rng.uniform(0.1, 3), rng.random()
        close = df * (1 + 10.0 ** -rng.integers(9, 16))
        parts = (share, ReferenceDistribution(df)), (1 - share, ReferenceDistribution(close))
        t = 10 ** rng.uniform(-8, 1.5)
        assert SumDistribution(parts).two_sided(t) == pytest.approx(
            ReferenceDistribution(df).two_sided(t), rel=1e-6
        )


def steps_of(units, periods, level=0.0, noise=1.0):
    """Values of three steps in each cell, of a level, and their cells."""
    draws = np.random.default_rng([units, periods])
    shape = (units, periods, STEPS)
    values = level + noise * draws.normal(size=shape)
    return values, grid(units, periods, steps=STEPS)


def of(kind, values, cells):
    blocks = values.reshape(-1, STEPS)
    found = {each.kind: each for each in deciders(blocks.mean(axis=1), cells, blocks)}
    return found.get(kind)


def test_the_units_that_decide_are_those_without_which_nothing_is_sure():
    values, cells = steps_of(20, 12, noise=0.3)
    assert of("unit", values, cells) is None  # nothing is sure
    strong, cells = steps_of(20, 12, level=1.0, noise=0.3)
    assert of("unit", strong, cells) is None
    assert of("period", strong, cells) is None


def test_left_out_are_the_most_telling_exactly():
    """Against leaving out every one by hand."""
    for level in (0.1, 0.12, 0.15, 0.2):
        values, cells = steps_of(16, 8, level=level, noise=0.9)
        blocks = values.reshape(-1, STEPS)
        whole = mean_estimate(blocks.mean(axis=1), cells, 0, blocks)
        found = of("unit", values, cells)
        if not whole.low > 0:
            assert found is None
            continue
        lows = []
        for unit in range(16):
            kept = cells.unit != unit
            some = mean_estimate(blocks[kept].mean(axis=1), cells.where(kept), 0, blocks[kept])
            lows.append(some.low)
        telling = int(np.argmax(values.mean(axis=(1, 2))))
        alone = found is not None and len(found.codes) == 1
        assert alone == (lows[telling] <= 0)
        if found:
            assert found.codes[0] == telling
            assert found.count == 16


@pytest.mark.parametrize("periods", [6, 11, 24])
def test_a_break_is_found_with_its_period(periods):
    values, cells = steps_of(30, periods, noise=0.5)
    none = largest_break(values.mean(axis=(0, 2)), cells)
    values[:, periods // 2 :] += 1.0
    found = largest_break(values.mean(axis=(0, 2)), cells)
    assert found.period == periods // 2
    assert found.after - found.before == pytest.approx(1.0, abs=0.15)
    assert found.p_value < 0.01 < none.p_value
    assert largest_break(np.ones(3), cells) is None


def test_breaks_of_none_are_called_as_often_as_they_say():
    draws = np.random.default_rng(0)
    cells = grid(5, 8)
    called = [largest_break(draws.normal(size=8), cells).p_value < 0.05 for _ in range(600)]
    assert 0.03 < np.mean(called) < 0.075


def test_units_of_one_cluster_count_as_one():
    values = np.random.default_rng(2).normal(size=(12, 4))
    cells = grid(12, 4)
    pairs = Cells(cells.unit, cells.period, cluster=cells.unit // 2)
    found = mean_estimate(values.ravel(), pairs)
    halves = mean_estimate(values.reshape(6, 2, 4).mean(axis=1).ravel(), grid(6, 4))
    assert found.value == pytest.approx(halves.value)
    by_unit = values.mean(axis=1).reshape(6, 2).mean(axis=1)
    np.testing.assert_allclose(pairs.of_clusters(values.mean(axis=1)), by_unit)
    assert (pairs.clusters, pairs.fewest) == (6, 4)
    one = Cells(cells.unit, cells.period, cluster=np.zeros(48, int))
    assert mean_estimate(values.ravel(), one).method == "one cluster cannot tell"
    alike = np.repeat(np.random.default_rng(3).normal(size=(3, 1)), 4, axis=0) + 0.1 * values
    for estimate in (
        lambda of: median_estimate(alike.ravel(), of),
        lambda of: ratio_estimate(3 + alike.ravel(), np.ones(48), of),
    ):
        together = estimate(Cells(cells.unit, cells.period, cluster=cells.unit // 4))
        alone = estimate(cells)
        assert together.value == pytest.approx(alone.value)
        assert together.stderr > 1.4 * alone.stderr
