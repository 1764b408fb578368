"""Stock: levels and costs against closed forms and published (s, S) pairs, and what is held and
owed by hand.
"""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm, poisson
from scipy.stats import t as student

from hwds.stats.distributions import middle_scores
from hwds.supply.stock import (
    decide_stock,
    levels_table,
    simulate_echelons,
    simulate_stock,
    stock_records,
)
from hwds.supply.stock_levels import (
    PeriodCosts,
    RenewalVisits,
    StockCases,
    StockTerms,
    levels_of,
    search_reorder_point,
    stock_cases,
    without_depot,
)

TERMS = StockTerms(
    policy="newsvendor",
    holding=1.0,
    shortage=9.0,
    order=0.0,
    lead=0,
    depot_lead=0,
    depot_holding=0.0,
    whole=False,
    least=20,
)
BASE = replace(TERMS, policy="base_stock", lead=2)
PUBLISHED = [(10, 6, 40, 35.022), (15, 10, 49, 42.698), (20, 14, 62, 49.173), (25, 19, 56, 54.262)]
"""Poisson demand, 64 an order, 1 held, 9 short: Zheng and Federgruen (1991), table 1."""


def normal_cost(deviation, terms):
    """The least expected cost of a period where what is covered is normal."""
    return (terms.holding + terms.shortage) * deviation * norm.pdf(norm.ppf(terms.ratio))


def test_a_newsvendor_costs_what_the_closed_form_says():
    law = 100 + 15 * np.tile(middle_scores(4001), (3, 1))
    levels = levels_of(law, TERMS)
    assert levels.upto == pytest.approx(np.full(3, 100 + 15 * norm.ppf(0.9)), rel=1e-3)
    assert levels.cost == pytest.approx(np.full(3, normal_cost(15, TERMS)), rel=0.01)
    actual = 100 + 15 * np.random.default_rng(0).normal(size=(60_000, 3))
    paths = simulate_stock(
        np.tile(levels.upto, (60_000, 1)), np.tile(levels.reorder, (60_000, 1)), actual, TERMS
    )
    assert paths.cost(TERMS).mean() == pytest.approx(normal_cost(15, TERMS), rel=0.01)
    assert (paths.net >= 0).mean() == pytest.approx(0.9, abs=0.003)


@pytest.mark.parametrize("phi", [0.0, 0.7])
def test_base_stock_covers_the_lead_time_by_the_joint_law(phi):
    """The deviation of a sum of three steps of an autoregression.

    Independent steps would say too little for phi .7.
    """
    rng = np.random.default_rng(1)

    def demand(n):
        out = np.zeros((n, 8))
        out[:, 0] = rng.normal(size=n) / np.sqrt(1 - phi**2)
        for t in range(1, 8):
            out[:, t] = phi * out[:, t - 1] + rng.normal(size=n)
        return 50 + 4 * out

    variance = (3 + 4 * phi + 2 * phi**2) / (1 - phi**2)
    levels = levels_of(demand(20_000).T, BASE)
    assert levels.upto[0] == pytest.approx(150 + norm.ppf(0.9) * 4 * np.sqrt(variance), rel=0.005)
    actual = demand(20_000)
    paths = simulate_stock(
        np.tile(levels.upto, (20_000, 1)), np.tile(levels.upto, (20_000, 1)), actual, BASE
    )
    assert paths.cost(BASE).mean() == pytest.approx(
        normal_cost(4 * np.sqrt(variance), BASE), rel=0.02
    )
    cases = stock_cases(
        pl.DataFrame({"series": ["a"], "cutoff": [1]}),
        [(demand(20_000).T, "paths")],
        actual[:1],
        BASE,
    )
    alone = 150 + norm.ppf(0.9) * 4 * np.sqrt(3 / (1 - phi**2))
    assert cases.textbook[0] == pytest.approx(np.full(6, alone), rel=0.005)


@pytest.mark.parametrize(("mean", "low", "high", "cost"), PUBLISHED)
def test_reorder_points_are_the_published_ones(mean, low, high, cost):
    terms = replace(TERMS, policy="reorder_point", order=64.0, whole=True)
    chances = poisson.pmf(np.arange(120), mean)
    sums = poisson.ppf((np.arange(100_001) + 0.5) / 100_001, mean)
    assert search_reorder_point(chances, sums, terms) == (low, high)
    times, until = RenewalVisits(chances).of(high - low)
    assert (
        64 + times @ PeriodCosts(sums, 1.0, 9.0)(high - np.arange(high - low))
    ) / until == pytest.approx(cost, abs=2e-3)


def test_a_reorder_point_costs_that_in_simulation():
    terms = replace(TERMS, policy="reorder_point", order=64.0, whole=True)
    actual = np.random.default_rng(2).poisson(10, size=(400, 500)).astype(float)
    levels = np.full((400, 500), 40.0)
    assert simulate_stock(levels, levels - 34, actual, terms).cost(terms).mean() == pytest.approx(
        35.02, rel=0.01
    )


def test_what_is_expected_of_a_reorder_point_is_what_happens_in_the_long_run():
    """Zheng and Federgruen's 35.02.

    Stock that always stood at S would cost 29.98 and serve all demand.
    """
    terms = replace(TERMS, policy="reorder_point", order=64.0, whole=True)
    rng = np.random.default_rng(5)
    levels = levels_of(rng.poisson(10, (12, 20_000)).astype(float), terms)
    assert (levels.reorder[0], levels.upto[0]) == (6.0, 40.0)
    paths = simulate_stock(
        np.full((200, 500), 40.0),
        np.full((200, 500), 6.0),
        rng.poisson(10, (200, 500)).astype(float),
        terms,
    )
    assert levels.cost == pytest.approx(np.full(12, 35.02), rel=0.01)
    assert levels.fill == pytest.approx(
        np.full(12, 1 - paths.unserved.sum() / paths.demand.sum()), abs=0.004
    )


def test_the_share_served_is_of_the_demand_of_one_period():
    """Of the demand of a lead time of four periods and one more, what is short is little.

    Of that of a period it is much.
    """
    terms, rng = replace(BASE, lead=4, shortage=3.0, whole=True), np.random.default_rng(6)
    levels = levels_of(rng.poisson(10, (6, 20_000)).astype(float), terms)
    upto = np.full((200, 496), levels.upto[0])
    paths = simulate_stock(upto, upto, rng.poisson(10, (200, 500)).astype(float), terms)
    assert levels.fill[0] == pytest.approx(1 - paths.unserved.sum() / paths.demand.sum(), abs=0.005)


def test_a_large_order_is_looked_for_on_a_coarser_grid():
    """Against the economic order quantity with shortages: sqrt(2 K D h b / (h + b)).

    The old search ended at 20,000 steps.
    """
    terms = replace(
        TERMS,
        policy="reorder_point",
        order=40_000.0,
        holding=0.01,
        shortage=1.0,
        lead=1,
        whole=True,
    )
    levels = levels_of(np.random.default_rng(7).poisson(90, (3, 200)).astype(float), terms)
    assert levels.cost[0] == pytest.approx(np.sqrt(2 * 40_000 * 90 * 0.01 / 1.01), rel=0.005)
    assert levels.upto[0] > 20_000


def test_windows_begin_where_stock_stands_in_the_long_run():
    """Six months that begin at S without an order cost 31, and in the long run 35.02, of which
    18.60 are not for orders.
    """
    terms = replace(TERMS, policy="reorder_point", order=64.0, whole=True, least=1)
    rng = np.random.default_rng(8)
    law, actual = rng.poisson(10, (6, 5000)).astype(float), rng.poisson(10, (4000, 6)).astype(float)
    one = stock_cases(
        pl.DataFrame({"series": ["a"], "cutoff": [0]}), [(law, "paths")], actual[:1], terms
    )
    keys = pl.DataFrame({"series": [f"s{i:04d}" for i in range(4000)], "cutoff": [0] * 4000})
    many = StockCases(keys, one.levels * 4000, actual, one.sources * 4000, one.textbook, one.alone)
    record = stock_records({"own": many}, "own", None, terms).row(0, named=True)
    assert record["cost"] == pytest.approx(35.02, rel=0.015)
    assert record["orders"] == pytest.approx((35.02 - 18.60) / 64, abs=0.005)
    at_s = simulate_stock(many.stack("upto"), many.stack("reorder"), actual, terms)
    assert at_s.cost(terms).mean() < 32


def test_a_depot_and_a_store_have_the_cheapest_levels():
    """Against a grid of both levels, on demand that the levels were not made of."""
    terms = replace(TERMS, policy="two_echelons", lead=1, depot_lead=2, depot_holding=0.4)
    rng = np.random.default_rng(4)
    levels = levels_of(rng.normal(100, 15, size=(5, 20_000)), terms)
    assert levels.upto.shape == (2,)
    assert levels.store[0] == pytest.approx(200 + 15 * np.sqrt(2) * norm.ppf(9.4 / 10), rel=0.005)
    actual = rng.normal(100, 15, size=(20_000, 4))

    def cost(upto, store):
        return (
            simulate_echelons(
                np.full((20_000, 1), upto), np.full((20_000, 1), store), actual, terms
            )
            .cost(terms)
            .mean()
        )

    own = cost(levels.upto[0], levels.store[0])
    grid = [
        cost(upto, store) for upto in np.arange(396, 480, 12) for store in np.arange(194, 270, 12)
    ]
    assert own <= 1.01 * min(grid)
    assert levels.cost[0] == pytest.approx(own, rel=0.02)
    alone = stock_cases(
        pl.DataFrame({"series": ["a"], "cutoff": [1]}),
        [(actual[:5000].T, "paths")],
        actual[:1],
        terms,
    )
    base = without_depot(terms)
    paths = simulate_stock(
        np.full((20_000, 1), alone.alone[0, 0]), np.full((20_000, 1), 0.0), actual, base
    )
    assert own < 0.97 * paths.cost(base).mean()


def test_what_is_held_and_owed_by_hand():
    actual, upto = np.array([[3.0, 4.0, 10.0, 0.0]]), np.array([[8.0, 8.0, 2.0]])
    paths = simulate_stock(upto, upto, actual, replace(BASE, lead=1))
    assert paths.net.tolist() == [
        [1.0, -6.0, -6.0]
    ]  # 8 - 7; 8 - 14; 8 less 4 is above the level of 2: 4 - 10
    assert paths.unserved.tolist() == [[0.0, 6.0, 0.0]]
    assert paths.ordered.tolist() == [[False, True, False]]
    assert paths.cost(BASE).tolist() == [[1.0, 54.0, 54.0]]


def test_a_part_that_is_never_asked_for_is_not_stocked():
    for policy in ("newsvendor", "base_stock", "reorder_point"):
        terms = replace(TERMS, policy=policy, order=5.0, whole=True)
        levels = levels_of(np.zeros((4, 50)), terms)
        assert levels.upto.tolist() == [0.0] * len(levels.upto)
    rare = (np.random.default_rng(0).random((4, 1000)) < 0.3).astype(float)
    assert set(levels_of(rare, replace(TERMS, whole=True)).upto) == {1.0}
    assert set(levels_of(0.4 * rare, replace(TERMS, whole=True)).upto) == {
        0.0
    }  # of whole units two fifths are none


def cases(scale, n=60, seed=3):
    rng = np.random.default_rng(seed)
    keys = pl.DataFrame({"series": [f"s{i:02d}" for i in range(n)], "cutoff": [1] * n})
    law = scale * (100 + 15 * rng.permuted(np.tile(middle_scores(500), (6, 1)), axis=1))
    return stock_cases(keys, [(law, "paths")] * n, 100 + 15 * rng.normal(size=(n, 6)), BASE)


def test_levels_that_are_too_low_are_held_and_a_better_law_is_worth_money():
    good, low = cases(1.0), cases(0.93)
    verdict = decide_stock(
        "stock", {"own": low, "rival": good}, low, "own", BASE, unit="", when="back-test"
    )
    assert (verdict.action, verdict.rule) == ("HOLD", "service")
    assert "the levels are too low" in verdict.sentence
    assert verdict.of("own")["saving_high"] < 0
    ok = decide_stock(
        "stock", {"own": good, "truth": good}, good, "own", BASE, unit="parts", when="back-test"
    )
    assert (ok.action, ok.error_cost, ok.error_of) == ("STOCK", 0.0, "law")
    few = decide_stock(
        "stock", {"own": cases(1.0, 4)}, good, "own", BASE, unit="", when="back-test"
    )
    assert (few.action, few.rule) == ("HOLD", "few_cases")
    one = cases(0.5, 20)
    one = replace(one, keys=pl.DataFrame({"series": ["a"] * 20, "cutoff": list(range(20))}))
    alone = decide_stock("stock", {"own": one}, one, "own", BASE, unit="", when="back-test")
    assert (alone.action, alone.rule) == ("HOLD", "few_series")
    assert alone.sentence.startswith("HOLD: 0.0 % of periods ended without a shortage")
    assert "one series gives no interval" in alone.sentence


def test_intervals_of_few_series_stay_where_costs_and_shares_can_be():
    """Of three series one alone is ever short: Student's interval of the mean would begin below 0,
    and end above 1.
    """
    actual = np.array([[90.0] * 6, [90.0] * 6, [200.0] * 6])
    keys = pl.DataFrame({"series": ["a", "b", "c"], "cutoff": [1] * 3})
    three = stock_cases(keys, [(np.full((6, 50), 100.0), "paths")] * 3, actual, BASE)
    record = stock_records({"own": three}, "own", None, BASE).row(0, named=True)
    assert record["cost_low"] == 0.0 < record["cost"] < record["cost_high"]
    assert record["service_low"] == 0.0 < record["service"] < record["service_high"] == 1.0


def test_intervals_are_those_of_ratios_over_series():
    """The share served is one less that lost, and its ends change places (Cochran, Sampling
    Techniques, 6.4).
    """
    sixty = cases(0.95)
    record = stock_records({"own": sixty}, "own", None, BASE).row(0, named=True)
    upto = sixty.stack("upto")
    paths = simulate_stock(upto, upto, sixty.actual, BASE)
    ones = np.ones(60)
    sums = {
        "cost": (paths.cost(BASE).mean(axis=1), ones),
        "service": ((paths.net >= 0).mean(axis=1), ones),
        "fill": ((paths.demand - paths.unserved).mean(axis=1), paths.demand.mean(axis=1)),
    }
    for name, (top, bottom) in sums.items():
        value = top.sum() / bottom.sum()
        stderr = np.sqrt(60 / 59 * ((top - value * bottom) ** 2).sum()) / bottom.sum()
        half = student.ppf(0.975, 59) * stderr
        told = [record[column] for column in (name, f"{name}_low", f"{name}_high")]
        assert told == pytest.approx([value, value - half, value + half]), name
    assert 0.9 < record["fill_low"] < record["fill_high"] < 1


def test_the_last_cutoff_is_the_largest_number():
    keys = pl.DataFrame({"series": ["a", "a"], "cutoff": [95, 101]})
    two = stock_cases(
        keys,
        [(np.full((3, 50), 5.0), "paths"), (np.full((3, 50), 70.0), "paths")],
        np.ones((2, 3)),
        BASE,
    )
    assert levels_table(two).select("cutoff", "upto").rows() == [("101", 210.0)]
    ends = replace(
        two, keys=pl.DataFrame({"series": ["a", "b"], "cutoff": [95, 101], "moment": [-1, -1]})
    )
    assert levels_table(ends).rows_by_key("series").keys() == {"a", "b"}, (
        "each series' own last one"
    )
    assert (
        decide_stock("stock", {"own": ends}, ends, "own", BASE, unit="", when="back-test").cutoff
        == "95 to 101"
    )


@pytest.mark.parametrize("policy", ["newsvendor", "base_stock", "reorder_point", "two_echelons"])
def test_what_nobody_asked_for_has_no_share_that_was_served(policy):
    terms = replace(
        TERMS,
        policy=policy,
        order=5.0 * (policy == "reorder_point"),
        depot_lead=2 * (policy == "two_echelons"),
    )
    keys = pl.DataFrame({"series": [f"s{i}" for i in range(30)], "cutoff": [1] * 30})
    none = stock_cases(keys, [(np.zeros((5, 50)), "paths")] * 30, np.zeros((30, 5)), terms)
    verdict = decide_stock("stock", {"own": none}, none, "own", terms, unit="", when="back-test")
    assert (verdict.action, verdict.of("own")["fill"]) == ("STOCK", None)
    assert "was served" not in verdict.sentence


def test_stock_above_levels_that_fall_stays_in_both_echelons():
    """By hand: of 100, one is asked for in each period.

    The store keeps its 50 and the depot the rest.
    """
    terms = replace(TERMS, policy="two_echelons", lead=1, depot_lead=1, depot_holding=0.5)
    upto, store = np.array([[100.0, 10.0, 10.0]]), np.array([[50.0, 5.0, 5.0]])
    paths = simulate_echelons(upto, store, np.ones((1, 5)), terms)
    assert (paths.net + paths.depot).tolist() == [[97.0, 96.0, 95.0]]
    assert paths.net.tolist() == [[48.0, 47.0, 46.0]]
