"""The plan of a test that has not begun: exact figures, the simulation that agrees, what is
refused.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from hwds.ab.models.bayes import Bayes
from hwds.ab.models.proportions import Proportions
from hwds.ab.models.revenue import Revenue
from hwds.ab.models.welch import Welch
from hwds.ab.planning import units_for_price
from hwds.ab.protocols.ab_plan import AbPlan
from hwds.ab.report.run import plan_grids, plan_sentence
from hwds.ab.sample import Design, SampleArm, UnitMoments
from hwds.ab.simulation import winner_rates
from hwds.core.compose import compose
from hwds.core.errors import ConfigError, DataError, HwdsError
from hwds.datasets.simulated.price_plan import PricePlan
from hwds.evaluation.protocol import Cell, RunContext
from hwds.experiment.spec import check
from hwds.frames.table import Table
from hwds.results.tables import SCORES, Tables, metrics_table

FIXED = Welch(name="ab/welch", rules=("fixed",))


def planned(frame=None, model=FIXED, **settings):
    protocol, frame = (
        AbPlan(name="ab_plan", **settings),
        PricePlan().load() if frame is None else frame,
    )
    protocol.check_models({"m": model}, frame)
    (fold,) = protocol.split(frame)
    return protocol.score(
        protocol.evaluate_cell(model, frame, Cell("m", fold, 0, fold.units), RunContext(0))
    )


def value(found, metric, arm=None, rule="fixed"):
    (hit,) = [s.value for s in found if (s.metric, s.segment, s.ci_method) == (metric, arm, rule)]
    return hit


@pytest.mark.parametrize(
    ("prices", "conversions", "conversion", "revenue"),
    [((149, 199), (0.045, 0.036), 7_527, 86_744), ((20, 30), (0.4, 0.28), 241, 13_610)],
)
def test_the_known_units_of_a_price_test(prices, conversions, conversion, revenue):
    found = planned(PricePlan(prices=prices, conversions=conversions).load())
    arm = f"price_{prices[1]}"
    assert value(found, "units_of_arm", arm) == pytest.approx(conversion, abs=1)
    assert value(found, "units_of_arm_revenue", arm) == pytest.approx(revenue, abs=1)
    assert value(found, "size") == pytest.approx(2 * value(found, "units_of_arm", arm))
    assert value(found, "units_of_arm", arm) == pytest.approx(
        units_for_price(*((1, q) for q in conversions))
    )
    assert value(found, "units_of_arm_revenue", arm) == pytest.approx(
        units_for_price(*zip(prices, conversions, strict=True))
    )


@pytest.mark.parametrize(
    ("share", "other", "units"), [(0.05, 0.055, 31_231), (0.1, 0.12, 3_838), (0.02, 0.022, 80_679)]
)
def test_the_known_units_of_a_change_of_conversion(share, other, units):
    found = planned(PricePlan(conversions=(share,)).load(), change=other / share - 1)
    assert value(found, "units_of_arm", "price_199") == pytest.approx(units, abs=1)
    assert value(found, "change", "price_199") == pytest.approx(other / share - 1)


def test_two_percent_of_revenue_per_visitor():
    found = planned(PricePlan(prices=(100, 101), conversions=(0.05,)).load(), change=0.02)
    other = 5.1 / 101
    needed = units_for_price((100, 0.05), (101, other))
    assert value(found, "effect_revenue", "price_101") == pytest.approx(0.1)
    assert value(found, "units_of_arm_revenue", "price_101") == pytest.approx(needed)


def test_orders_of_several_values_need_more_units_for_revenue_alone():
    plain, spread = (planned(PricePlan(spread=s).load()) for s in (0.0, 0.8))
    assert value(plain, "size") == value(spread, "size")
    variance = sum(q * p**2 * (1 + 0.8**2) - (q * p) ** 2 for p, q in ((149, 0.045), (199, 0.036)))
    bare = sum(q * p**2 - (q * p) ** 2 for p, q in ((149, 0.045), (199, 0.036)))
    assert value(spread, "size_revenue") == pytest.approx(
        value(plain, "size_revenue") * variance / bare
    )


def test_several_arms_are_planned_at_the_level_that_holm_asks():
    frame = PricePlan(prices=(149, 199, 99), conversions=(0.045, 0.036, 0.06)).load()
    found, none = planned(frame), planned(frame, correction="none")
    for arm, q in (("price_199", 0.036), ("price_99", 0.06)):
        assert value(found, "units_of_arm", arm) == pytest.approx(
            units_for_price((1, 0.045), (1, q), alpha=0.025)
        )
        assert value(none, "units_of_arm", arm) == pytest.approx(
            units_for_price((1, 0.045), (1, q))
        )
        assert value(found, "units", arm) == pytest.approx(3 * value(found, "units_of_arm", arm))
    assert value(found, "size") == max(
        value(found, "units", arm) for arm in ("price_199", "price_99")
    )


def test_uneven_shares_need_more_units_in_all():
    even, uneven = planned(), planned(allocation={"control": 4, "price_199": 1})
    assert value(uneven, "size") > 1.4 * value(even, "size")
    assert value(uneven, "units_of_arm", "price_199") == pytest.approx(
        value(uneven, "units", "price_199") / 5
    )


@pytest.mark.parametrize("label", ["", "_revenue"])
@pytest.mark.parametrize(
    "model", [FIXED, Welch(rules=("group_sequential",)), Welch(rules=("always_valid",))]
)
def test_size_power_and_least_effect_say_the_same(model, label):
    (rule,) = model.rules
    size = round(value(planned(model=model, looks=5), f"size{label}", rule=rule))
    found = planned(model=model, looks=5, size=size)
    assert value(found, f"power{label}", "price_199", rule) == pytest.approx(0.8, abs=1e-4)
    least, effect = (
        value(found, f"{name}{label}", "price_199", rule) for name in ("least_effect", "effect")
    )
    assert least == pytest.approx(abs(effect), rel=1e-4)
    assert value(found, f"least_change{label}", "price_199", rule) == pytest.approx(
        least / (0.045 * (149 if label else 1))
    )


@pytest.mark.parametrize("rule", ["fixed", "group_sequential", "always_valid"])
def test_simulated_tests_of_the_planned_size_have_the_planned_power(rule):
    model = Welch(rules=(rule,))
    found = planned(PricePlan(conversions=(0.05, 0.055)).load(), model, looks=5)
    size = round(value(found, "size", rule=rule))
    arm = SampleArm(
        "x", UnitMoments(np.array(size / 2), np.array([0.05]), np.array([[0.05 * 0.95]])), price=1.0
    )
    (rate,) = winner_rates(
        model, (arm, arm), Design(tuned_for=float(size)), (5,), 4000, RunContext(0), shift=0.005
    )
    if (
        rule != "group_sequential"
    ):  # a fixed rule that is read five times, or one that may stop early, finds more
        assert rate.share > 0.79
    else:
        assert rate.share == pytest.approx(0.8, abs=0.03)


def test_a_comparison_of_conversions_leaves_revenue_to_others():
    found = planned(model=Proportions(rules=("fixed",)))
    assert not [s for s in found if s.metric.endswith("_revenue")]
    assert value(planned(model=Revenue(rules=("fixed",))), "size_revenue") == value(
        planned(), "size_revenue"
    )


def test_where_nothing_changes_there_is_nothing_to_find():
    found = planned(PricePlan(conversions=(0.05,)).load())
    (size,) = [s for s in found if s.metric == "size"]
    assert (size.value, size.status) == (None, "no_effect")
    assert value(found, "size_revenue") > 0


def test_a_table_of_ones_own_is_enough():
    frame = Table.build(
        pl.DataFrame({"a": ["B", "A"], "q": [0.36, 0.45]}), {"arm": ("a",), "mean": ("q",)}
    )
    found = planned(frame, control="A")
    assert value(found, "units_of_arm", "B") == pytest.approx(units_for_price((1, 0.45), (1, 0.36)))
    assert not [s for s in found if s.metric.endswith("_revenue")]


def test_it_is_told_in_a_table_and_a_sentence():
    protocol, frame = AbPlan(name="ab_plan", size=100_000), PricePlan().load()
    told = ("metric", "aggregate", "segment_by", "segment", "value", "ci_method", "n", "status")
    rows = [
        {"model": "ab/welch", "task": "ab_plan"} | {name: getattr(s, name) for name in told}
        for s in planned(size=100_000)
    ]
    nothing = pl.DataFrame()
    tables = Tables(
        pl.DataFrame(rows, schema=SCORES), nothing, nothing, metrics_table(protocol.measures(frame))
    )
    said = plan_sentence(frame, tables, "ab/welch")
    assert "price_199 takes 7,527 units of its own to find -0.00900 (-20 %) in conversion" in said
    assert (
        "86,744 units of its own to find +0.459 USD (+6.85 %) in revenue. Revenue needs 11.5 "
        "times the units of conversion" in said
    )
    (grid,) = plan_grids(tables, "ab/welch")
    assert len(grid) == 2
    assert "| 86,744 | 173,488 | 56.6 % |" in grid.markdown()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model=ab/bayes"], "model: 'ab/bayes' has no level to plan for; take ab/welch."),
        (["protocol.change=0"], "protocol.change: must not be 0, got 0."),
        (
            ["protocol.change=30"],
            "30 of the control's mean would take more buyers than visitors of 'price_199'.",
        ),
        (
            ["protocol.allocation={control: 1, price_19: 1}"],
            "allocation: no arm 'price_19'; did you mean 'price_199'?",
        ),
        (
            ["protocol.allocation={control: 1}"],
            "protocol.allocation: has no share for arm 'price_199'.",
        ),
        (["protocol.control=old"], "protocol.control: no arm 'old'"),
        (
            ["protocol.headline=sise"],
            "protocol.headline: 'sise' orders no comparison; did you mean 'size'?",
        ),
        (
            ["dataset.conversions=[.1,.2,.3]"],
            "dataset.conversions: must be one, or one for each of 2 prices, got 3.",
        ),
        (
            ["dataset.prices=[20,30,30]", "dataset.conversions=[.1]"],
            "dataset.prices: two arms have the price of 'price_30'.",
        ),
        (["dataset.conversions=[1.5]"], r"dataset.conversions\[0\]: must be < 1"),
    ],
)
def test_what_makes_no_plan_is_refused(words, said):
    with pytest.raises(HwdsError, match=said):
        run(words)


def run(words):
    experiment = check(compose(["+experiment=ab_plan", *words]))
    experiment.protocol.check_names()
    frame = experiment.dataset.load()
    experiment.protocol.split(frame)
    experiment.protocol.check_models(experiment.models, frame)


@pytest.mark.parametrize(
    ("columns", "roles", "said"),
    [
        (
            {"a": ["A", "B", "B"], "q": [0.1, 0.2, 0.2]},
            {},
            "arm 'B' has two rows; a plan has one for each arm",
        ),
        (
            {"a": ["A", "B"], "q": [0.1, 1.2]},
            {},
            "dataset.roles.mean: row 2 has 1.2; a conversion must lie between 0 and 1",
        ),
        (
            {"a": ["A", "B"], "q": [0.1, 0.2], "p": [5, 0]},
            {"price": ("p",)},
            "dataset.roles.price: row 2 has 0",
        ),
    ],
)
def test_a_table_that_is_no_plan_is_refused(columns, roles, said):
    frame = Table.build(pl.DataFrame(columns), {"arm": ("a",), "mean": ("q",)} | roles)
    with pytest.raises(DataError, match=said):
        planned(frame, control="A")
    with pytest.raises(ConfigError, match="ab/bayes"):
        planned(model=Bayes(name="ab/bayes"))
