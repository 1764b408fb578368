"""The registered size of a test, what it can find, and the units that it needs."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from hwds.ab.models.cuped import Cuped
from hwds.ab.models.ratio import Ratio
from hwds.ab.models.stratified import Stratified
from hwds.ab.models.welch import Welch
from hwds.ab.planning import minimum_effect, units_for_price
from hwds.ab.protocols.ab_test import AbTest
from hwds.core.errors import ConfigError
from hwds.evaluation.protocol import Cell, RunContext
from hwds.frames.table import Table

N = 4000


def units(**columns):
    rng = np.random.default_rng(0)
    group = rng.permutation(np.repeat(["A", "B"], N // 2))
    before = rng.normal(0, 1, N)
    data = {
        "group": group,
        "before": before,
        "day": np.arange(N),
        "site": np.where(before > 0, "x", "y"),
    }
    spend = 3 * before + rng.normal(0, 1, N) + 0.2 * (group == "B")
    return pl.DataFrame(data | {"spend": spend} | columns)


def table(data=None, **roles):
    return Table.build(
        units() if data is None else data, {"arm": ("group",), "outcome": ("spend",)} | roles
    )


def scores(frame, model=None, **settings):
    protocol, model = AbTest(**{"control": "A", "replications": 0} | settings), model or Welch()
    fold = protocol.split(frame)[0]
    protocol.check_models({"m": model}, frame)
    return protocol.score(
        protocol.evaluate_cell(model, frame, Cell("m", fold, 0, fold.units), RunContext(0))
    )


def only(found, metric, arm=None, method=None, step=None):
    (hit,) = [
        s
        for s in found
        if (s.metric, s.segment, s.ci_method, s.step) == (metric, arm, method, step)
    ]
    return hit


def test_group_sequential_looks_before_the_end_need_an_order():
    model = Welch(name="ab/welch", rules=("group_sequential",))
    with pytest.raises(
        ConfigError,
        match=r"protocol.size: the first 2000 of 4000 units.*'ab/welch', need dataset.roles.time",
    ):
        scores(table(), model, size=2000)
    assert only(scores(table(), model, size=N), "effect", "B", "group_sequential").status == "ok"
    assert (
        only(scores(table(time=("day",)), model, size=2000), "effect", "B", "group_sequential").n
        == 2000
    )
    assert only(scores(table(), size=2000), "effect", "B", "always_valid").n == N


def test_a_fixed_rule_reads_the_registered_units():
    ordered = scores(table(time=("day",)), size=2000)
    half = scores(table(units()[:2000]), size=2000)
    fixed, alone = (only(found, "effect", "B", "fixed") for found in (ordered, half))
    assert (fixed.value, fixed.p_value, fixed.n, fixed.status) == (
        alone.value,
        alone.p_value,
        2000,
        "ok",
    )
    assert only(ordered, "effect", "B", "always_valid").n == N
    assert only(scores(table(), size=2000), "effect", "B", "fixed").status == "beyond_size"
    few_strata = scores(
        table(
            units(site=np.where(np.arange(N) < 2100, "x", "y")), time=("day",), stratum=("site",)
        ),
        Stratified(),
        size=2000,
    )
    assert only(few_strata, "effect", "B", "fixed").status == "beyond_size"


@pytest.mark.parametrize("rules", [("group_sequential",), ("group_sequential", "always_valid")])
def test_planning_is_of_one_sample(rules):
    found = scores(table(time=("day",)), Welch(rules=rules), size=6000, looks=3)
    plain = scores(table(units()[:N]), Welch(rules=("fixed",)))
    for metric, arm in (("minimum_effect[power=0.8]", None), ("units_for_effect_seen", "B")):
        assert only(found, metric, arm).value == pytest.approx(only(plain, metric, arm).value)
    early = scores(table(time=("day",)), Welch(rules=rules), size=9000, looks=3)
    n = 3000 if len(rules) == 1 else N
    plain = scores(table(units()[:n]), Welch(rules=("fixed",)))
    for metric, arm in (("minimum_effect[power=0.8]", None), ("units_for_effect_seen", "B")):
        assert only(early, metric, arm).value == pytest.approx(only(plain, metric, arm).value)
    assert only(early, "minimum_effect[power=0.8]").n == n


@pytest.mark.parametrize(
    ("model", "roles"),
    [
        (Welch(rules=("fixed",)), {}),
        (Cuped(rules=("fixed",)), {"covariate": ("before",)}),
        (Stratified(rules=("fixed",)), {"stratum": ("site",)}),
        (Ratio(rules=("fixed",), denominator="visits"), {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_power_is_that_of_the_models_own_minimum_effect(model, roles):
    data = units(visits=2 + np.arange(N) % 5)
    found = scores(table(data, **roles), model, replications=2000, simulated_looks=(1,))
    assert only(found, "power[looks=1]", method="fixed").value == pytest.approx(0.8, abs=0.04)


def test_power_of_rare_conversions_with_a_covariate_is_the_planned_one_too():
    data = units(spend=(np.random.default_rng(2).random(N) < 0.03).astype(int))
    found = scores(
        table(data, covariate=("before",)),
        Cuped(rules=("fixed",)),
        replications=2000,
        simulated_looks=(1,),
    )
    assert only(found, "power[looks=1]", method="fixed").value == pytest.approx(0.8, abs=0.03)


def priced():
    rng = np.random.default_rng(1)
    own = np.arange(N) % 2 == 0
    bought = (rng.random(N) < np.where(own, 0.36, 0.45)).astype(int)
    return pl.DataFrame(
        {"group": np.where(own, "B", "A"), "spend": bought, "price": np.where(own, 199.0, 149.0)}
    )


def test_the_planned_change_needs_other_units_for_revenue_than_for_conversion():
    found = scores(table(priced(), price=("price",)), minimum_detectable_effect=-0.2)
    q = only(found, "arm_mean", "A").value
    conversion, revenue = (
        only(found, f"units_for_minimum_detectable_effect{label}", "B").value
        for label in ("", "[revenue]")
    )
    assert conversion == pytest.approx(units_for_price((1, q), (1, 0.8 * q)))
    assert revenue == pytest.approx(units_for_price((149, q), (199, 0.8 * q)))
    assert revenue > 8 * conversion
    assert conversion == pytest.approx(
        (minimum_effect(1.0) / (0.2 * q)) ** 2 * (q * (1 - q) + 0.8 * q * (1 - 0.8 * q)), rel=1e-9
    )


def test_there_is_no_plan_for_amounts_or_for_a_change_beyond_all_buyers():
    name = "units_for_minimum_detectable_effect"
    assert not [s for s in scores(table()) if s.metric.startswith(name)]
    assert not [
        s
        for s in scores(table(priced()), minimum_detectable_effect=1.5)
        if s.metric.startswith(name)
    ]
