"""The rule of a price choice: each guard binds and is named, unsure is HOLD, and a change without a
gain is as rare as said.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from hwds.ab.protocols.ab_test import AbTest
from hwds.core.compose import compose
from hwds.core.errors import ConfigError
from hwds.core.seeds import stream
from hwds.evaluation.protocol import Cell, RunContext
from hwds.experiment.spec import check
from hwds.frames.table import Table
from hwds.pricing.arm_evidence import ArmEvidence, Offer, from_counts, from_mean, replications
from hwds.pricing.decisions.price_choice import PriceChoice, choice_record
from hwds.pricing.price_choice import PriceTerms, apply_rule
from hwds.stats.distributions import ScaledBeta, difference_bounds, expected_loss, probability_best

PRICES = {"10": 10.0, "20": 20.0, "30": 30.0, "40": 40.0}
COUNTS = {"10": (6000, 4000), "20": (4000, 6000), "30": (3500, 6500), "40": (1500, 8500)}
"""What they earn: 6, 8, 10.5, 6."""


def choose(**fields):
    return PriceChoice(name="price_choice", current=10, prices=PRICES, **fields).of_counts(
        COUNTS, unit="USD"
    )


def offers_of(frame, protocol, prices, cost):
    """The arms of a frame with the prices and the cost that a decision gives."""
    return protocol.offers(frame).with_prices(prices, cost).in_its_unit()


def true_values(world, offers, protocol):
    """What each arm truly earns per customer."""
    truth = protocol.price_evidence(
        SimpleNamespace(predictions=pl.DataFrame()), world, "m", offers, 1
    ).truth
    return truth * np.array([offer.earns(offers.measured) for offer in offers.all])


def terms(current, certainty="posterior", confidence=0.95, **fields):
    plain = {"margin_floor": None, "largest_step": None, "ladder": (), "least_customers": 0}
    return PriceTerms(current, confidence, certainty, **(plain | fields))


def test_without_a_guard_the_arm_that_earns_most_is_charged():
    found = choose()
    assert (found.action, found.arm, found.price, found.rule, found.excluded) == (
        "CHANGE",
        "30",
        30.0,
        "none",
        {},
    )
    assert found.sentence.startswith("CHANGE from 10 to 30: +4.50 USD per customer (95 %: +4.")


@pytest.mark.parametrize(
    ("fields", "rule", "arm", "excluded"),
    [
        ({"ladder": (10, 20, 40)}, "ladder", "20", ("30",)),
        ({"largest_step": 1.0}, "largest_step", "20", ("30", "40")),
        ({"ladder": (20,), "largest_step": 1.5}, "ladder", "20", ("30", "40")),
    ],
)
def test_the_guard_that_keeps_the_best_arm_out_is_named(fields, rule, arm, excluded):
    found = choose(**fields)
    assert (found.action, found.rule, found.arm) == ("CHANGE", rule, arm)
    assert found.excluded[rule] == excluded
    assert f"({rule}: " in found.sentence


def test_a_margin_floor_binds():
    found = PriceChoice(current=40, prices=PRICES, cost=15, margin_floor=0.6).of_counts(COUNTS)
    assert found.excluded == {"margin_floor": ("10", "20", "30")}
    assert (found.action, found.rule, found.arm, found.candidate) == (
        "HOLD",
        "margin_floor",
        "40",
        None,
    )
    kept = PriceChoice(current=40, prices=PRICES, cost=15, margin_floor=0.5).of_counts(COUNTS)
    assert (kept.action, kept.arm) == ("CHANGE", "30")  # (30 - 15) / 30 is the floor itself
    assert kept.gain == pytest.approx(15 * 3501 / 10002 - 25 * 1501 / 10002)


def test_a_price_in_force_that_breaks_its_own_floor_is_a_note():
    found = PriceChoice(current=20, prices=PRICES, cost=15, margin_floor=0.6).of_counts(COUNTS)
    verdict, note, *_ = found.sentence.split("\n")
    assert verdict.startswith(found.action)
    assert note == (
        "Today's price 20 breaks its own floor: its margin is 25 %, and may not be below 60 %."
    )
    assert (
        "breaks its own floor"
        not in PriceChoice(current=40, prices=PRICES, cost=15, margin_floor=0.6)
        .of_counts(COUNTS)
        .sentence
    )


def test_a_ladder_without_an_arm_holds_by_its_name():
    found = choose(ladder=(11, 12))
    assert (found.action, found.rule, found.arm, found.price) == ("HOLD", "ladder", "10", 10.0)
    assert found.excluded == {"ladder": ("20", "30", "40")}
    assert found.sentence == "HOLD at 10: no other arm is left to charge (ladder: 20, 30, 40)."
    assert found.gain is None
    assert found.value_of_information == pytest.approx(0.0, abs=1e-12)


def test_an_arm_that_few_customers_saw_is_not_charged():
    few = {"10": (600, 400), "20": (9, 1)}
    found = PriceChoice(current=10, prices={"10": 10, "20": 20}).of_counts(few)
    assert (found.action, found.rule, found.excluded) == ("HOLD", "too_few", {"too_few": ("20",)})
    assert found.value_of_information > 1  # what seems so much better is worth to be known
    assert (
        PriceChoice(current=10, prices={"10": 10, "20": 20}, least_customers=10)
        .of_counts(few)
        .action
        == "CHANGE"
    )


def test_unsure_holds_and_says_what_it_would_take():
    close = {"149": (900, 19100), "199": (720, 19280)}
    found = PriceChoice(
        current=149, prices={"149": 149, "199": 199}, customers=1_000_000
    ).of_counts(close, unit="EUR")
    assert (found.action, found.rule, found.arm, found.candidate) == (
        "HOLD",
        "not_sure",
        "149",
        "199",
    )
    assert found.risk_allowed < found.risk < 0.5
    assert found.gain_low < 0 < found.gain < found.gain_high
    assert found.value_of_going_on == pytest.approx(1_000_000 * found.value_of_information)
    assert "that 199 earns more is not sure" in found.sentence
    assert "EUR at most over 1,000,000 customers" in found.sentence


def test_the_current_price_that_earns_most_is_held_without_a_rule():
    found = PriceChoice(current=30, prices=PRICES).of_counts(COUNTS)
    assert (found.action, found.rule, found.arm, found.candidate) == ("HOLD", "none", "30", "20")
    assert found.gain < 0
    assert found.probability_gain < 0.001


def test_numbers_are_the_closed_forms_of_two_arms():
    counts = {"20": (120, 2280), "18": (150, 2250)}
    found = PriceChoice(current=20, prices={"20": 20, "18": 18}).of_counts(counts)
    own, other = ScaledBeta(151, 2251, 18.0), ScaledBeta(121, 2281, 20.0)
    assert found.probability_best == pytest.approx(0.8377319518, abs=1e-9)
    assert found.probability_gain == pytest.approx(found.probability_best)
    assert found.risk == pytest.approx(1 - found.probability_gain)
    assert found.gain == pytest.approx(own.mean - other.mean)
    assert (found.gain_low, found.gain_high) == pytest.approx(difference_bounds(own, other, 0.95))
    assert found.value_of_information == pytest.approx(expected_loss([other, own])[0])  # 20 stays
    plain = PriceChoice(current="A").of_counts(
        {"A": (120, 2280), "B": (150, 2250)}, unit="conversions"
    )
    assert plain.probability_best == pytest.approx(0.9697666397, abs=1e-9)
    assert (plain.action, plain.value_of_information) == (
        "HOLD",
        pytest.approx(1.2567818446e-02, rel=1e-8),
    )
    read_once = PriceChoice(current="A", certainty="posterior").of_counts(
        {"A": (120, 2280), "B": (150, 2250)}, unit="conversions"
    )
    assert (read_once.action, read_once.value_of_information) == (
        "CHANGE",
        pytest.approx(7.8226439258e-05, rel=1e-6),
    )


def test_standings_tell_of_every_arm_and_their_probabilities_add_up():
    found = choose()
    assert [standing.arm for standing in found.standings] == list(PRICES)
    assert sum(standing.probability_best for standing in found.standings) == pytest.approx(1)
    expected = probability_best(
        [ScaledBeta(1 + won, 1 + lost, PRICES[arm]) for arm, (won, lost) in COUNTS.items()]
    )
    assert [standing.probability_best for standing in found.standings] == pytest.approx(expected)
    assert choose(ladder=(20,)).standings[2].probability_best is None


def test_without_a_current_price_the_best_must_beat_all():
    clear = PriceChoice(prices=PRICES).of_counts(COUNTS)
    assert (clear.action, clear.arm, clear.gain) == ("CHANGE", "30", None)
    unclear = PriceChoice(prices=PRICES).of_counts(COUNTS | {"20": (5200, 4800)})
    assert (unclear.action, unclear.rule, unclear.arm, unclear.candidate) == (
        "HOLD",
        "not_sure",
        None,
        "30",
    )


def test_a_sale_below_cost_loses_more_the_more_is_sold():
    known = [from_counts(Offer(arm, price, 15.0), *COUNTS[arm]) for arm, price in PRICES.items()]
    assert [round(each.mean, 1) for each in known] == [-3.0, 2.0, 5.3, 3.8]
    assert apply_rule(known, terms("10", "always_valid")).change
    found = apply_rule(known, terms("10"))
    assert (found.change, found.candidate.arm) == (True, "30")


def test_what_has_no_estimate_is_no_candidate_and_no_ground_to_leave():
    blank, seen = ArmEvidence(Offer("B", 20.0)), from_mean(Offer("A", 10.0), 6.0, 0.1, 900, "money")
    assert apply_rule([seen, blank], terms("A")).rule == "no_estimate"
    found = apply_rule([seen, blank], terms("B"))
    assert (found.change, found.rule) == (False, "no_estimate")


@pytest.mark.parametrize(
    ("fields", "counts", "said"),
    [
        (
            {"current": "14"},
            {"149": (1, 2), "199": (1, 2)},
            "decision.current: no arm '14'; did you mean '149'?",
        ),
        ({}, {"149": (1, 2)}, "counts: must be of two arms or more, got 1."),
        (
            {},
            {"149": (1, -2), "199": (1, 2)},
            r"counts: of arm '149' must be whole numbers >= 0, got \(1, -2\).",
        ),
        (
            {"cost": 5},
            {"149": (1, 2), "199": (1, 2)},
            "decision.cost: needs the price of every arm, and arm '149'",
        ),
        ({"largest_step": 0.1}, {"149": (1, 2), "199": (1, 2)}, "decision.current: must be given"),
    ],
)
def test_wrong_counts_are_refused(fields, counts, said):
    with pytest.raises(ConfigError, match=said):
        PriceChoice(**fields).of_counts(counts)


def changes(arms, shares, prices, current, certainty, confidence, tests=20_000, n=2_000):
    """The share of tests of equal size that end in a change."""
    rng = stream(0, "price_rule", arms)
    won = rng.binomial(n, shares, size=(tests, arms))
    offers = [Offer(str(place), price) for place, price in enumerate(prices)]
    rule = terms(current, certainty, confidence)
    cases, times = np.unique(won, axis=0, return_counts=True)
    made = [
        apply_rule(
            [from_counts(offer, int(k), n - int(k)) for offer, k in zip(offers, case, strict=True)],
            rule,
        )
        for case in cases
    ]
    return float(np.dot([judged.change for judged in made], times)) / tests


@pytest.mark.parametrize(("arms", "confidence"), [(2, 0.95), (2, 0.8), (4, 0.95)])
def test_where_nothing_is_gained_changes_are_as_rare_as_said(arms, confidence):
    tests = 3_000
    share = changes(
        arms,
        [0.2 / (1 + place) for place in range(arms)],
        [10.0 * (1 + place) for place in range(arms)],
        "0",
        "posterior",
        confidence,
        tests,
    )
    allowed = 1 - confidence
    assert share <= allowed + 3 * np.sqrt(allowed * confidence / tests)
    assert share > allowed / 4


@pytest.mark.parametrize("current", ["arm-1", None])
@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_where_nothing_is_gained_a_bandits_changes_are_as_rare_as_said(current, confidence):
    words = (
        "+experiment=bandit_regret dataset=price_arms dataset.means=[.5,.5] "
        "protocol.horizon=1000 protocol.replications=2000"
    )
    played = games(words)
    judged = [apply_rule(known, terms(current, "adaptive", confidence)).change for known in played]
    naive = [apply_rule(known, terms(current, "posterior", confidence)).change for known in played]
    allowed = 1 - confidence
    assert np.mean(judged) <= allowed
    assert np.mean(naive) > allowed + 3 * np.sqrt(
        allowed * confidence / len(played)
    )  # why `adaptive` asks for more


@cache
def games(words):
    """What was known at the end of each replication of a simulation."""
    experiment = check(compose(words.split()))
    world, protocol = experiment.dataset.load(), experiment.protocol
    (fold,) = protocol.split(world)
    rows = protocol.rows_to_keep(
        protocol.evaluate_cell(
            experiment.model, world, Cell("m", fold, 0, fold.units), RunContext(0, fold.name)
        )
    )
    return [
        [
            from_counts(Offer(arm), row[f"wins[{arm}]"], row[f"pulls[{arm}]"] - row[f"wins[{arm}]"])
            for arm in world.arms
        ]
        for row in rows.to_dicts()
    ]


def test_the_record_counts_what_the_rule_did_against_the_truth():
    low, high = Offer("low", 1.0), Offer("high", 1.0)
    up = [from_counts(low, 200, 800), from_counts(high, 400, 600)]
    down = [from_counts(low, 200, 800), from_counts(high, 100, 900)]
    record = choice_record([up, up, up, down], np.array([0.2, 0.3]), terms("low"))
    assert (record.right, record.hold, record.wrong, record.best_is_current) == (
        0.75,
        0.25,
        0.0,
        False,
    )
    assert record.regret == pytest.approx(0.025)
    wrong = choice_record([up, up, up, down], np.array([0.3, 0.2]), terms("low"))
    assert (wrong.right, wrong.hold, wrong.wrong, wrong.best_is_current) == (0.0, 0.25, 0.75, True)
    assert wrong.regret == pytest.approx(0.075)


def test_an_arm_that_has_left_is_not_charged_and_worth_what_it_earned_while_there():
    experiment = check(
        compose(
            ["+experiment=price_bandit", "dataset=price_arms_arrivals", "decision=price_choice"]
        )
    )
    world, protocol, choice = (
        experiment.dataset.load(),
        experiment.protocol,
        PriceChoice(current=10),
    )
    offers = offers_of(world, protocol, {}, None)
    gone = [offer.arm for offer in offers.all if offer.absent]
    assert gone == [
        arm for arm, here in zip(world.arms, world.present[-1], strict=True) if not here
    ]
    assert gone
    worth = true_values(world, offers, protocol)
    assert worth == pytest.approx(
        world.conversions[0, 0] * world.values
    )  # conversions do not change
    shares = np.where(~world.present[-1], 0.9, world.conversions[0, 0])
    known = [
        from_counts(offer, *(round(10_000 * p) for p in (s, 1 - s)))
        for offer, s in zip(offers.all, shares, strict=True)
    ]
    found = apply_rule(known, terms("10"))
    assert found.excluded["absent"] == tuple(gone)
    assert found.candidate.arm not in gone
    assert all(each.arm not in gone for each in found.compared)
    assert found.rule == "absent"
    record = choice_record([known], worth, terms("10"))
    assert (record.right, record.wrong) == (1, 0)
    assert record.regret == pytest.approx(0)  # the best that is left
    with pytest.raises(
        ConfigError, match=rf"decision.current: arm '{gone[0]}' is no longer offered at the end"
    ):
        PriceChoice(current=gone[0]).check_data(world, protocol)
    choice.check_data(world, protocol)


def test_an_arm_that_was_never_offered_is_worth_nothing_that_is_known():
    experiment = check(compose(["+experiment=price_bandit", "dataset=price_arms_arrivals"]))
    world = experiment.dataset.load()
    bare = replace(world, present=world.present & (np.arange(len(world.arms)) > 0))
    offers = offers_of(bare, experiment.protocol, {}, None)
    worth = true_values(bare, offers, experiment.protocol)
    assert np.isnan(worth[0])
    assert not np.isnan(worth[1:]).any()
    assert offers.all[0].absent


def test_conversions_that_nobody_saw_yet_are_no_evidence():
    words = (
        "+experiment=price_bandit dataset=price_arms_delay protocol.horizon=700 protocol.batch=30"
    )
    experiment = check(
        compose(
            [*words.split(), "dataset.delay=60", "dataset.window=300", "protocol.replications=3"]
        )
    )
    world, protocol = experiment.dataset.load(), experiment.protocol
    (fold,) = protocol.split(world)
    rows = protocol.rows_to_keep(
        protocol.evaluate_cell(
            experiment.model, world, Cell("m", fold, 0, fold.units), RunContext(0, fold.name)
        )
    )
    offers = offers_of(world, protocol, {}, None)
    tables = SimpleNamespace(predictions=rows.with_columns(pl.lit("m").alias("model")))
    played = replications(protocol.price_evidence(tables, world, "m", offers, 10).rows, offers)
    assert len(played) == 3
    for row, known in zip(rows.to_dicts(), played, strict=True):
        assert sum(each.customers for each in known) == 690 - world.window
        assert [each.counts.successes for each in known] == [
            row[f"closed_wins[{arm}]"] for arm in world.arms
        ]
        assert sum(row[f"closed_wins[{arm}]"] for arm in world.arms) < sum(
            row[f"wins[{arm}]"] for arm in world.arms
        )


def test_money_is_told_in_the_tables_unit_and_conversions_are_not():
    data = pl.DataFrame(
        {"group": ["A", "B"] * 20, "visit": [0, 1, 1, 0] * 10, "charged": [10.0, 12.0] * 20}
    )
    roles = {"arm": ("group",), "outcome": ("visit",)}
    plain, priced = (
        Table.build(data, roles, "EUR"),
        Table.build(data, roles | {"price": ("charged",)}, "EUR"),
    )
    protocol = AbTest(control="A")
    assert offers_of(priced, protocol, {}, None).unit == "EUR"
    assert offers_of(plain, protocol, {}, None).unit == ""
    assert offers_of(plain, protocol, {"A": 10.0, "B": 12.0}, None).unit == "EUR"
    arms = check(compose(["+experiment=bandit_regret", "dataset=bernoulli_arms"])).dataset.load()
    simulation = check(compose(["+experiment=bandit_regret", "dataset=bernoulli_arms"])).protocol
    assert offers_of(arms, simulation, {}, None).unit == "conversions"
    assert offers_of(arms, simulation, dict.fromkeys(arms.arms, 9.0), None).unit == ""


def test_a_ladder_without_an_arm_and_nothing_in_force_has_no_record():
    known = [from_counts(Offer(arm, price), *COUNTS[arm]) for arm, price in PRICES.items()]
    assert choice_record([known], np.ones(4), terms(None, ladder=(11,))) is None
