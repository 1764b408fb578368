"""What a decision on alerts refuses, learns from, costs and says."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.detection.alerts.back_test import AlertClusters
from hwds.detection.decisions.alert_policy import AlertPolicy
from hwds.detection.models.classify.logistic import Logistic
from hwds.frames.table import Table
from hwds.report.words import spoken
from hwds.results.folder import RunFolder

from .alert_worlds import PROTOCOL, changed, run, told, world

ANY = AlertPolicy(
    name="alert_policy",
    wrong_block=100.0,
    review_cost=10.0,
    capacity=12,
    random_reviews=0.005,
    most_guarded=0.2,
    resamples=200,
)


@pytest.fixture(scope="module")
def made():
    table = world()
    return table, run(table)


@pytest.fixture(scope="module")
def verdict(made):
    return told(made[1], made[0], ANY)


def by_hand(verdict, tables, table, column):
    """The cost a day of the alerts, row by row."""
    test = tables.predictions.filter(pl.col("part") == "test")
    tiers = dict(zip(verdict.alerts["row_id"], verdict.alerts["tier"], strict=True))
    total = 0.0
    for row in test.iter_rows(named=True):
        gray, loss, tier = row[column], row["amount"], tiers.get(row["row_id"])
        if tier == "block":
            total += (1 - gray) * 100
        elif tier is None:
            total += gray * loss
        else:
            total += 10 + gray * loss * (1 - ANY.review_recall)
    return total / verdict.days


def test_costs_are_those_of_the_alerts(made, verdict):
    table, tables = made
    assert verdict.days == 14
    assert verdict.of("alert_policy").cost.value == pytest.approx(
        by_hand(verdict, tables, table, "label")
    )
    assert verdict.of("alert_policy", "truth").cost.value == pytest.approx(
        by_hand(verdict, tables, table, "truth")
    )
    test = tables.predictions.filter(pl.col("part") == "test")
    nothing = verdict.of("nothing")
    assert nothing.cost.value == pytest.approx((test["label"] * test["amount"]).sum() / 14)
    assert (nothing.caught, nothing.blocked, nothing.reviewed) == (0.0, 0.0, 0.0)
    for line in verdict.record:
        assert line.cost.value == pytest.approx(line.missed + line.wrong_blocks + line.reviews)
        if line.saving is not None:
            own = verdict.of("alert_policy", line.against)
            assert line.saving.value == pytest.approx(line.cost.value - own.cost.value)


def test_the_true_probabilities_make_the_cheapest_policy_and_mean_what_they_say(verdict):
    for rival in ("today", "z", "random", "nothing"):
        assert verdict.of(rival, "truth").saving.low > 0
    assert [each.holds for each in verdict.meaning] == [True, True]
    assert verdict.action == "ADOPT"
    assert verdict.sentence.startswith(
        "ADOPT: the labels show it to be cheaper than every rival.\nPer day it blocks "
    )
    assert "\nBy the labels it is cheaper than today's rule (0.65 and 0.92) by " in verdict.sentence
    assert "\nPredicted cost " in verdict.sentence
    assert "): they cannot be told apart.\n" in verdict.sentence


def test_probabilities_that_promise_too_little_are_told(made):
    table, tables = made
    half = changed(tables, pl.col("probability") < 2, probability=pl.col("probability") / 3)
    assert [each.holds for each in told(half, table, ANY).meaning] == [False, False]
    assert "): they differ.\n" in told(half, table, ANY).sentence


def test_probabilities_that_are_not_sure_promise_less(made):
    table, tables = made
    third, same = pl.col("probability") / 3, pl.col("probability") < 2
    unsure = changed(
        tables,
        same,
        probability=third,
        probability_low=third / 4,
        probability_high=(third * 4).clip(0, 1),
    )
    taken = told(changed(tables, same, probability=third), table, ANY).meaning
    for sure, told_of in zip(taken, told(unsure, table, ANY).meaning, strict=True):
        assert (told_of.expected, told_of.surplus) == (sure.expected, sure.surplus)
        assert told_of.expected_low < told_of.expected < told_of.expected_high
        assert (sure.holds, told_of.holds) == (False, True)
        assert told_of.low < sure.low
    assert "for labels are few)" in told(unsure, table, ANY).sentence


def test_the_capacity_is_never_exceeded_on_any_day(made):
    table, tables = made
    for share in (0.0, 0.005, 0.05):
        alerts = told(tables, table, ANY, random_reviews=share).alerts
        looked = alerts.filter(pl.col("tier") != "block").group_by(pl.col("time").dt.date()).len()
        assert looked["len"].max() == ANY.capacity


def test_rows_that_came_late_count_on_the_day_they_came(made):
    late = made[0].data.with_columns((pl.col("time") + timedelta(days=2)).alias("came"))
    table = Table(late, made[0].roles | {"available_at": ("came",)}, "USD")
    found = told(run(table), table, ANY)
    assert found.days == 14
    came = found.alerts.join(late.select("row_id", "came"), on="row_id")
    looked = came.filter(pl.col("tier") != "block").group_by(pl.col("came").dt.date()).len()
    assert looked["len"].max() == ANY.capacity


def test_a_block_is_where_the_formula_says(made, verdict):
    wide = verdict.alerts.filter(pl.col("tier") == "block")
    chosen = {each.cutoff: each.multiplier for each in verdict.chosen}
    wrong = 100 * wide["cutoff"].replace_strict(chosen)
    assert (wide["block_from"] - wrong / (wrong + wide["at_stake"])).abs().max() < 1e-12
    assert (wide["probability"] >= wide["block_from"] - 1e-12).all()
    random = verdict.alerts.filter(pl.col("tier") == "random_review")
    assert (random["probability"] <= random["block_from"]).all()
    instead = verdict.alerts.filter(
        (pl.col("tier") == "review") & (pl.col("probability") > pl.col("block_from"))
    )
    p, loss = instead["probability"], instead["at_stake"]
    multiplier, floor = (
        instead["cutoff"].replace_strict({each.cutoff: value(each) for each in verdict.chosen})
        for value in (lambda each: each.multiplier, lambda each: each.floor)
    )
    assert (
        10 + p * loss * (1 - ANY.review_recall) + floor <= multiplier * 100 * (1 - p) + 1e-9
    ).all()


def test_nothing_is_learned_from_the_test_rows(made, verdict):
    table, tables = made
    turned = changed(
        tables, pl.col("part") == "test", label=1 - pl.col("label"), truth=1 - pl.col("truth")
    )
    other = told(turned, table, ANY)
    assert other.alerts.equals(verdict.alerts)
    assert other.chosen == verdict.chosen
    assert other.of("alert_policy").cost.value != verdict.of("alert_policy").cost.value


def test_a_later_window_changes_no_earlier_choice(made, verdict):
    table, tables = made
    later = changed(tables, pl.col("fold") == 1, label=1 - pl.col("label"))
    other = told(later, table, ANY)
    assert other.chosen[0] == verdict.chosen[0]
    assert other.chosen[1] != verdict.chosen[1]


def test_labels_that_had_not_arrived_are_not_learned_from(made, verdict):
    table, tables = made
    slow = table.data.with_columns(
        (pl.col("confirmed_at") + timedelta(days=60)).alias("confirmed_at")
    )
    found = told(tables, Table(slow, table.roles, "USD"), ANY)
    assert [(each.multiplier, each.floor, each.positives) for each in found.chosen] == [
        (1.0, 0.0, 0)
    ] * 2
    assert verdict.chosen[0].positives > ANY.least_positives


def test_the_truth_chooses_nothing(made, verdict):
    table, tables = made
    turned = changed(tables, pl.col("part") == "decide", truth=1 - pl.col("truth"))
    assert told(turned, table, ANY).alerts.equals(verdict.alerts)


def test_without_a_deciding_window_the_formula_stands(made):
    protocol = replace(PROTOCOL, decide_days=0)
    found = told(run(made[0], protocol), made[0], ANY, protocol)
    assert {(each.multiplier, each.floor) for each in found.chosen} == {(1.0, 0.0)}
    assert found.of("z").reviewed > 0


def test_rows_without_a_label_count_by_weight_or_as_honest(made):
    table, tables = made
    looked = pl.col("row_id") % 4 == 0
    few = changed(tables, ~looked, label=pl.lit(None, pl.Float64))
    few = changed(few, looked, weight=pl.lit(4.0))
    assert told(few, table, ANY).of("nothing").cost.value == pytest.approx(
        4
        * few.predictions.filter((pl.col("part") == "test") & looked)
        .select(pl.col("label") * pl.col("amount"))
        .sum()
        .item()
        / 14
    )
    negative = told(few, table, ANY, replace(PROTOCOL, unlabelled="negative")).of("nothing")
    assert negative.cost.value == pytest.approx(told(few, table, ANY).of("nothing").cost.value / 4)


def test_the_same_bytes_twice(made, verdict, tmp_path):
    again = told(made[1], made[0], ANY)
    for name, each in (("a", verdict), ("b", again)):
        (tmp_path / name).mkdir()
        RunFolder(tmp_path / name).write_verdict(each)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    tables = [
        f"{name}.{kind}"
        for name in ("alert_costs", "alert_thresholds", "alerts", "case_rows", "cases")
        for kind in ("csv", "parquet")
    ]
    assert files == [*tables, "decision.json"]
    assert all(
        (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        for name in files
    )
    said = json.loads((tmp_path / "a" / "decision.json").read_text())
    assert said["record"][0]["cost"]["value"] == verdict.of("alert_policy").cost.value


def test_alerts_are_told_in_words(verdict):
    assert set(verdict.alerts["tier"]) == {"block", "review", "random_review"}
    assert (
        "bought 41 units in 30 days (more than in 97 % of rows)"
        in verdict.alerts["reasons"].to_list()
    )
    random = verdict.alerts.filter(pl.col("tier") == "random_review")
    assert set(random["chance"]) == {ANY.random_reviews}
    assert set(verdict.alerts.filter(pl.col("tier") != "random_review")["chance"]) == {1.0}
    gains = verdict.alerts.filter(pl.col("tier") == "review")["expected_gain"]
    assert gains.min() >= min(each.floor for each in verdict.chosen)


@pytest.mark.parametrize("unit", ["", "USD"])
def test_an_interval_of_money_has_its_spaces(verdict, unit):
    said = spoken(replace(verdict, unit=unit)).sentence
    assert re.search(r"per day \(95 %: -?[\d,.]+ to -?[\d,.]+\)", said), said
    assert "USD to" not in said


def test_what_binds(made):
    table, tables = made
    assert told(tables, table, ANY, least_positives=10_000).rule == "few_positives"
    blocked = told(tables, table, ANY, most_guarded=0.0, guarded=("honest", "honest_bulk"))
    assert blocked.rule == "guarded"
    more = {"most_guarded": 0.0, "guarded": ("honest", "honest_bulk"), "least_positives": 10**6}
    both = told(tables, table, ANY, **more)
    assert tuple(both.excluded) == ("few_positives", "guarded")
    first = both.sentence.partition("\n")[0]
    assert first.startswith("HOLD: of the tested rows ")
    assert "fewer than 1000000; it blocks " in first
    assert first.endswith("of the honest rows of honest, honest_bulk, and 0.0 % is the limit.")
    assert blocked.of("alert_policy", "truth").guarded_blocked == pytest.approx(
        blocked.of("alert_policy", "truth").honest_blocked
    )
    upside_down = changed(tables, pl.col("part") == "test", probability=1 - pl.col("probability"))
    wrong = told(upside_down, table, ANY)
    assert (wrong.action, wrong.rule) == ("HOLD", "not_cheaper")
    assert "nothing" in wrong.excluded["not_cheaper"]
    assert "dearer than the best other rival" in wrong.sentence


def test_rows_without_kinds_or_truth_are_judged_by_labels_alone(made):
    table, tables = made
    roles = {role: names for role, names in table.roles.items() if role != "truth"}
    bare = Table(table.data.drop("gray", "true_kind"), roles, "USD")
    found = told(changed(tables, pl.col("fold") >= 0, truth=pl.lit(None, pl.Float64)), bare, ANY)
    assert {line.against for line in found.record} == {"labels"}
    assert found.of("alert_policy").guarded_blocked is None
    assert found.terms.guarded == ()


def test_the_bootstrap_of_a_sum_has_the_spread_of_its_clusters():
    rng = np.random.default_rng(0)
    values = rng.normal(10, 3, (400, 1))
    found = AlertClusters(np.arange(400), None, 400, 2000, 0).daily_amounts(values)[0]
    assert found.value == pytest.approx(values.mean())
    assert (found.day_high - found.day_low) / (2 * 1.96) == pytest.approx(
        values.std() / 20, rel=0.06
    )
    assert found.entity_low is None
    alone = AlertClusters(np.zeros(400, int), np.arange(400), 1, 2000, 0).daily_amounts(values)[0]
    assert (alone.day_low, alone.day_high) == (None, None)
    assert alone.entity_low < alone.value
    assert (alone.low, alone.high) == (None, None)  # one day cannot tell


def test_days_and_customers_count_together():
    """A cost that varies by day and by customer varies by both.

    Over either alone the interval would be too narrow.
    """
    rng = np.random.default_rng(1)
    day, entity = rng.integers(0, 10, 3000), rng.integers(0, 40, 3000)
    values = (rng.normal(0, 1, 10)[day] + rng.normal(0, 2, 40)[entity] + rng.normal(0, 1, 3000))[
        :, None
    ]
    found = AlertClusters(day, entity, 10, 500, 0).daily_amounts(values)[0]
    widths = [
        (high - low) / 2
        for low, high in ((found.day_low, found.day_high), (found.entity_low, found.entity_high))
    ]
    assert found.high - found.value > 1.1 * max(widths)
    assert found.low <= min(found.day_low, found.entity_low)


def test_a_sum_that_three_days_or_three_customers_make_has_no_interval():
    day, entity = np.arange(400) // 10, np.arange(400) % 50
    clusters = AlertClusters(day, entity, days=40, resamples=200, seed=0)
    rare, rarer = np.zeros(400), np.zeros(400)
    rare[[5, 125, 238, 299]], rarer[[5, 125, 299]] = 30.0, 30.0
    every, four, three = clusters.daily_amounts(np.stack([np.ones(400), rare, rarer], axis=1))
    assert (three.value, three.low, three.day_low, three.entity_high) == (2.25, None, None, None)
    assert four.day_low is not None
    assert every.day_low is not None
    assert clusters.too_few(np.where(entity < 2, 1.0, 0.0)[:, None]) == [True]


def test_a_model_without_probabilities_is_refused(made):
    table, tables = made
    bare = changed(tables, pl.col("fold") >= 0, probability=pl.lit(None, pl.Float64))
    with pytest.raises(ConfigError, match="model 'own' has no probabilities"):
        told(bare, table, ANY)

    class Odd(Logistic):
        supervised = False

    with pytest.raises(
        ConfigError, match=r"model\.calibration: must be platt, bayes, beta or isotonic"
    ):
        ANY.check_model(Odd(name="odd"))
    ANY.check_model(Odd(name="odd", calibration="platt"))
    ANY.check_model(Logistic(name="logistic"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stride_days": 3}, r"protocol\.stride_days: must be 0 or at least test_days \(7\)"),
        ({"wrong_block": 0.0}, r"protocol\.wrong_block: must be > 0"),
    ],
)
def test_protocols_that_decide_a_row_twice_are_refused(changes, said):
    decision = AlertPolicy(name="alert_policy")
    with pytest.raises(ConfigError, match=said):
        decision.check_protocol(replace(PROTOCOL, **changes))
    decision.check_protocol(PROTOCOL)
    with pytest.raises(ConfigError, match=r"decision\.today"):
        replace(decision, today=(0.9, 0.5)).check_protocol(PROTOCOL)


def test_data_without_what_is_needed_is_refused(made):
    table = made[0]
    ANY.check_data(table, PROTOCOL)
    bare = Table(
        table.data, {role: names for role, names in table.roles.items() if role != "amount"}
    )
    with pytest.raises(ConfigError, match=r"dataset\.roles\.amount: must name"):
        ANY.check_data(bare, PROTOCOL)
    negative = Table(table.data.with_columns(pl.lit(-1.0).alias("at_stake")), table.roles)
    with pytest.raises(ConfigError, match=r"row 1 of 'at_stake' has -1\.0"):
        ANY.check_data(negative, PROTOCOL)
    with pytest.raises(ConfigError, match=r"0\.1 of 300 rows a day are 30\.0 reviews"):
        replace(ANY, random_reviews=0.1).check_data(table, PROTOCOL)
    with pytest.raises(ConfigError, match=r"decision\.guarded: no 'honest_bulks'"):
        replace(ANY, guarded=("honest_bulks",)).check_data(table, PROTOCOL)
    with pytest.raises(ConfigError, match=r"decision\.kind: no column 'true_kinds'"):
        replace(ANY, kind="true_kinds").check_data(table, PROTOCOL)
