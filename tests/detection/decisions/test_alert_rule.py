"""What is done with each row, what it costs, and what is learned from which rows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from hwds.detection.alerts.back_test import (
    Days,
    act,
    choose_rule,
    rivals_of,
    rule_grid,
    top_of_day,
    z_scores,
)
from hwds.detection.alerts.tiers import BLOCK, PASS, RANDOM, REVIEW, AlertTerms

TERMS = AlertTerms(
    wrong_block=100.0,
    review_cost=10.0,
    review_recall=0.8,
    capacity=2,
    random_reviews=0.0,
    tiers=("block", "review", "random_review"),
    multipliers=(0.5, 1.0, 2.0),
    floors=(0.0, 1.0),
    today=(0.65, 0.92),
    z=3.0,
    guarded=(),
    most_guarded=0.01,
    least_positives=1,
    resamples=50,
)


def terms(**changes):
    return TERMS.__class__(
        **{name: changes.get(name, getattr(TERMS, name)) for name in TERMS.__slots__}
    )


def days(probability, loss, day=None, luck=None):
    n = len(probability)
    day = np.zeros(n, int) if day is None else np.array(day)
    luck = np.full(n, 0.5) if luck is None else np.array(luck)
    return Days(day, int(day.max()) + 1, np.array(probability, float), np.array(loss, float), luck)


def rows(probability, loss, label=None, day=0, fold=0):
    n = len(probability)
    return pl.DataFrame(
        {
            "row_id": np.arange(n),
            "fold": np.full(n, fold),
            "day_id": np.broadcast_to(day, n),
            "probability": np.array(probability, float),
            "score": np.log(np.array(probability) / (1 - np.array(probability))),
            "loss": np.array(loss, float),
            "label": pl.Series(label if label is not None else [None] * n, dtype=pl.Float64),
            "weight": np.ones(n),
        }
    )


def daily(told, count=20):
    """The same rows on each of so many days: what they show is sure then."""
    n = len(told)
    each = [
        told.with_columns(pl.col("row_id") + n * day, pl.lit(day).alias("day_id"))
        for day in range(count)
    ]
    return pl.concat(each)


def test_a_row_is_blocked_from_the_probability_at_which_block_and_pass_cost_the_same():
    loss = np.array([50.0, 100.0, 900.0])
    threshold = TERMS.block_from(loss)
    assert threshold.tolist() == [100 / 150, 0.5, 0.1]
    block, passed = np.full(3, BLOCK), np.full(3, PASS)
    assert TERMS.cost(block, threshold, loss) == pytest.approx(TERMS.cost(passed, threshold, loss))
    assert TERMS.blocks(threshold + 1e-9, loss).all()
    assert not TERMS.blocks(threshold - 1e-9, loss).any()
    assert TERMS.block_from(loss, 2.0).tolist() == [200 / 250, 200 / 300, 200 / 1100]


def test_costs_by_hand():
    action = np.array([PASS, PASS, BLOCK, BLOCK, REVIEW, REVIEW, RANDOM])
    gray = np.array([1, 0, 1, 0, 1, 0, 1])
    loss = np.array([70.0, 70.0, 70.0, 70.0, 50.0, 50.0, 20.0])
    assert TERMS.cost(action, gray, loss) == pytest.approx([70, 0, 0, 100, 10 + 10, 10, 10 + 4])
    assert TERMS.cost(np.array([REVIEW]), np.array([0.5]), np.array([100.0])) == pytest.approx(
        [10 + 0.5 * 20]
    )


def test_reviews_go_to_the_largest_gains_while_the_capacity_lasts():
    # gains: 0.3 x 100 x 0.8 - 10 = 14, 22, 6, -2; the fifth is blocked
    found = act(days([0.3, 0.4, 0.2, 0.1, 0.9], [100.0] * 5), TERMS, 1.0, 0.0)
    assert found.tolist() == [REVIEW, REVIEW, PASS, PASS, BLOCK]
    assert act(days([0.3, 0.4, 0.2, 0.1], [100.0] * 4), terms(capacity=9), 1.0, 0.0).tolist() == [
        REVIEW
    ] * 3 + [PASS]
    assert (
        act(days([0.3, 0.4, 0.2, 0.1], [100.0] * 4), terms(capacity=9), 1.0, 10.0).tolist()
        == [REVIEW] * 2 + [PASS] * 2
    )
    assert act(days([0.3, 0.4], [100.0] * 2, day=[0, 1]), terms(capacity=1), 1.0, 0.0).tolist() == [
        REVIEW,
        REVIEW,
    ]


def test_of_equal_gains_the_earlier_row_is_reviewed():
    assert top_of_day(np.zeros(4, int), np.ones(4), np.ones(4, bool), np.array([2])).tolist() == [
        True,
        True,
        False,
        False,
    ]


def test_the_multiplier_makes_a_wrong_block_dearer():
    asked = days([0.6], [100.0])
    assert act(asked, terms(tiers=("block",)), 1.0, 0.0).tolist() == [BLOCK]
    assert act(asked, terms(tiers=("block",)), 2.0, 0.0).tolist() == [PASS]


def test_a_row_that_would_be_blocked_is_reviewed_where_that_costs_less():
    # 0.6: a block costs 40, a review 10 + 0.6 x 20 = 22; 0.9: 10 against 28
    assert act(days([0.6, 0.9], [100.0] * 2), TERMS, 1.0, 0.0).tolist() == [REVIEW, BLOCK]
    assert act(days([0.6, 0.6, 0.65], [100.0] * 3), terms(capacity=1), 1.0, 0.0).tolist() == [
        REVIEW,
        BLOCK,
        BLOCK,
    ]
    always = TERMS.block_always_from(np.array([100.0, 1e6]))
    # from 0.75 on a block costs 25, and a review 10 + 0.75 x 20
    assert always == pytest.approx([0.75, 90 / 200_100])


def test_no_other_order_costs_less_under_the_probabilities():
    from itertools import product

    rng = np.random.default_rng(1)
    for _ in range(20):
        asked = days(rng.random(6), rng.lognormal(5, 1, 6))
        least = min(
            TERMS.cost(np.array(each), asked.probability, asked.loss).sum()
            for each in product((PASS, REVIEW, BLOCK), repeat=6)
            if each.count(REVIEW) <= TERMS.capacity
        )
        found = act(asked, TERMS, 1.0, 0.0)
        assert TERMS.cost(found, asked.probability, asked.loss).sum() == pytest.approx(least)


def test_tiers_that_are_not_allowed_are_not_used():
    asked = days([0.6, 0.3, 0.01], [100.0] * 3, luck=[0.0, 0.0, 0.0])
    assert act(asked, terms(tiers=("review",), random_reviews=0.5), 1.0, 0.0).tolist() == [
        REVIEW,
        REVIEW,
        PASS,
    ]
    assert act(asked, terms(tiers=("block",)), 1.0, 0.0).tolist() == [BLOCK, PASS, PASS]


def test_the_random_stream_has_its_part_in_the_capacity_and_does_not_take_what_would_be_reviewed_anyway():
    asked = days([0.3, 0.4, 0.01, 0.02], [100.0] * 4, luck=[0.5, 0.5, 0.01, 0.5])
    assert act(asked, terms(random_reviews=0.1), 1.0, 0.0).tolist() == [PASS, REVIEW, RANDOM, PASS]
    drawn = days([0.3, 0.4, 0.01, 0.02], [100.0] * 4, luck=[0.5, 0.01, 0.5, 0.5])
    assert act(drawn, terms(random_reviews=0.1), 1.0, 0.0).tolist() == [REVIEW, REVIEW, PASS, PASS]
    many = days([0.01] * 6, [100.0] * 6, luck=[0.06, 0.02, 0.01, 0.05, 0.04, 0.03])
    assert act(many, terms(random_reviews=0.1), 1.0, 0.0).tolist() == [
        PASS,
        RANDOM,
        RANDOM,
        PASS,
        PASS,
        PASS,
    ]


def test_the_luck_of_a_row_is_that_of_its_id():
    few, many = Days.of(rows([0.1] * 5, [1.0] * 5), 7), Days.of(rows([0.1] * 90, [1.0] * 90), 7)
    assert few.uniform.tolist() == many.uniform[:5].tolist()
    assert few.uniform.tolist() != Days.of(rows([0.1] * 5, [1.0] * 5), 8).uniform.tolist()


def test_the_cell_that_would_have_cost_least_is_chosen():
    # all rows of 0.6 are honest: to block them costs 100 each, not to block them 10 or nothing
    told = daily(rows([0.6] * 4 + [0.9], [100.0] * 5, [0.0] * 4 + [1.0]))
    found = choose_rule(told, "2026-01-01", terms(capacity=1), seed=0)
    assert (found.multiplier, found.positives) == (2.0, 20)
    assert found.formula_cost == 310  # one of them is reviewed
    assert (
        found.chosen_cost == 0 + 0 + 10
    )  # the gray row's own threshold is 2/3: blocked; one honest row is reviewed
    assert choose_rule(told, "2026-01-01", terms(least_positives=21), seed=0).multiplier == 1.0
    assert choose_rule(told.clear(), "2026-01-01", TERMS, seed=0).formula_cost is None


def test_of_cells_that_cost_the_same_the_formula_is_chosen():
    assert rule_grid(TERMS)[0] == (1.0, 0.0)
    found = choose_rule(rows([0.01, 0.99], [100.0] * 2, [0.0, 1.0]), "2026-01-01", TERMS, seed=0)
    assert (found.multiplier, found.floor) == (1.0, 0.0)


def test_where_probabilities_are_too_low_rows_are_reviewed_below_the_formula():
    # expected gains of 0.1 x 100 x 0.8 - 10 = -2, but every second row is gray: a review gains 80 -
    # 10 or costs 10
    told = rows([0.1] * 80, [100.0] * 80, [0.0, 1.0] * 40, day=np.arange(80))
    found = choose_rule(told, "2026-01-01", terms(floors=(-0.5, 0.0), multipliers=(1.0,)), seed=0)
    assert (found.floor, found.formula_cost, found.chosen_cost) == (-5.0, 50.0, 10 + 0.5 * 20)


def test_labels_count_for_as_many_rows_as_they_stand_for_but_a_single_one_chooses_nothing():
    asked = terms(capacity=1, multipliers=(1.0, 2.0), floors=(0.0,))
    told = rows([0.6] * 5, [100.0] * 5, [0.0] * 4 + [1.0])
    assert choose_rule(told, "2026-01-01", asked, seed=0).formula_cost == 310
    heavy = choose_rule(
        daily(told.with_columns(pl.Series("weight", [10.0] * 4 + [1.0]))),
        "2026-01-01",
        asked,
        seed=0,
    )
    # with a multiplier of 2 one honest row is reviewed, which stands for 10, and the gray one is
    # missed
    assert (heavy.formula_cost, heavy.multiplier, heavy.chosen_cost) == (3100, 2.0, 10 * 10 + 100)
    single = choose_rule(
        told.with_columns(pl.Series("weight", [0.0, 40.0, 0.0, 0.0, 1.0])),
        "2026-01-01",
        asked,
        seed=0,
    )
    assert (single.formula_cost, single.multiplier, single.chosen_cost) == (4000, 1.0, 4000)


def test_luck_alone_seldom_chooses():
    """Probabilities that mean what they say, and few labels: another cell than the formula is taken
    by chance, 5 % at most.
    """
    taken = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        p, loss = rng.beta(0.3, 2.0, 300), rng.lognormal(4.6, 0.7, 300)
        told = rows(p, loss, (rng.random(300) < p).astype(float), day=np.arange(300) // 30)
        found = choose_rule(told, "2026-01-01", TERMS, seed=0)
        taken += (found.multiplier, found.floor) != (1.0, 0.0)
    assert taken <= 10


def test_what_the_rivals_do():
    asked = rows([0.95, 0.7, 0.8, 0.66, 0.1], [1.0] * 5)
    found = rivals_of(asked, asked.clear(), TERMS, seed=0)
    assert found["today"].tolist() == [BLOCK, REVIEW, REVIEW, PASS, PASS]
    assert found["nothing"].tolist() == [PASS] * 5
    assert (found["random"] == REVIEW).sum() == TERMS.capacity


def test_z_scores_are_of_the_reference_by_median_and_deviation():
    reference = np.array([0.0, 1.0, 2.0, 3.0, 1e6])
    assert z_scores(np.array([2.0, 2 + 1.4826 * 3]), reference) == pytest.approx([0.0, 3.0])
    assert z_scores(np.array([1.0, 2.0]), np.ones(5)).tolist() == [0.0, np.inf]
