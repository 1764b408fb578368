"""Draws, grids, and who goes on from a rung."""

import math
from itertools import islice

import pytest

from hwds.core.search_space import Leaf
from hwds.search.sweeps.asha import ASHA
from hwds.search.sweeps.base import (
    TrialScores,
    draw_settings,
    grid_combinations,
    leaf_grid,
    value_at_share,
)
from hwds.search.sweeps.bohb import BOHB
from hwds.search.sweeps.grid import Grid
from hwds.search.sweeps.hyperband import HyperBand
from hwds.search.sweeps.median import Median
from hwds.search.sweeps.optuna import Optuna, learned_from
from hwds.search.sweeps.random import Random
from hwds.search.trials import Trial, more_trials

DEPTH = Leaf("model.depth", "randint", (2, 5))
RATE = Leaf("model.rate", "loguniform", (0.001, 1.0))
KIND = Leaf("model.kind", "choice", ("a", "b"))
POWER = Leaf("model.power", "uniform", (1.0, 2.0), (("model.kind", 1),))


def test_draws_stay_within_their_bounds_and_cover_them():
    draws = [draw_settings((DEPTH, RATE, KIND, POWER), 0, number) for number in range(400)]
    assert {draw["model.depth"] for draw in draws} == {2, 3, 4}
    rates = [draw["model.rate"] for draw in draws]
    assert 0.001 <= min(rates) < 0.002
    assert 0.5 < max(rates) <= 1.0
    assert sum(rate < math.sqrt(0.001) for rate in rates) == pytest.approx(200, abs=40)
    assert all(("model.power" in draw) == (draw["model.kind"] == "b") for draw in draws)
    assert {draw["model.kind"] for draw in draws} == {"a", "b"}


def test_another_leaf_changes_no_other_draw():
    few = [draw_settings((DEPTH, RATE), 3, number) for number in range(20)]
    more = [draw_settings((KIND, DEPTH, POWER, RATE), 3, number) for number in range(20)]
    assert [{path: draw[path] for path in few[0]} for draw in more] == few
    assert few != [draw_settings((DEPTH, RATE), 4, number) for number in range(20)]


def test_each_draw_meets_every_value_of_a_grid():
    grid = Leaf("model.units", "grid", (8, 16, 32))
    draws = [draw_settings((grid, RATE), 0, number) for number in range(6)]
    assert [draw["model.units"] for draw in draws] == [8, 16, 32, 8, 16, 32]
    assert len({draw["model.rate"] for draw in draws[:3]}) == 1
    assert draws[0]["model.rate"] != draws[3]["model.rate"]


@pytest.mark.parametrize(
    ("leaf", "values"),
    [
        (Leaf("a", "quniform", (0, 10, 5)), {0, 5, 10}),
        (Leaf("a", "quniform", (0.0, 1.0, 0.25)), {0.0, 0.25, 0.5, 0.75, 1.0}),
        (Leaf("a", "quniform", (1, 8, 3)), {1, 4, 7}),
        (Leaf("a", "randint", (3, 6)), {3, 4, 5}),
    ],
)
def test_steps_and_whole_numbers(leaf, values):
    found = {value_at_share(leaf, share / 1000) for share in range(1000)}
    assert found == values
    assert {type(value) for value in found} == {type(value) for value in values}


def test_a_grid_is_every_combination_and_conditions_are_kept():
    every = list(grid_combinations((KIND, POWER, Leaf("b", "choice", (1, 2))), points=3))
    assert len(every) == 2 + 3 * 2
    assert every[0] == {"model.kind": "a", "b": 1}
    assert [found["model.power"] for found in every if "model.power" in found] == [
        1.0,
        1.0,
        1.5,
        1.5,
        2.0,
        2.0,
    ]


def test_points_of_a_range():
    assert leaf_grid(RATE, 3) == pytest.approx([0.001, 0.03162, 1.0])
    assert leaf_grid(DEPTH, 10) == [2, 3, 4]
    assert leaf_grid(Leaf("a", "uniform", (0.0, 1.0)), 1) == [0.5]


def test_of_a_large_grid_as_many_as_are_asked_for_are_tried_at_random():
    leaves = (Leaf("a", "choice", tuple(range(10))), Leaf("b", "choice", tuple(range(10))))
    tried = list(Grid(trials=20).settings(leaves))
    assert len(tried) == 100
    assert tried[:20] != list(grid_combinations(leaves, 3))[:20]
    assert list(Grid(trials=100).settings(leaves)) == list(grid_combinations(leaves, 3))


def test_a_random_search_goes_on_where_it_ended():
    first = list(islice(Random(trials=5).settings((RATE,)), 5))
    assert list(islice(Random(trials=9).settings((RATE,)), 9))[:5] == first


@pytest.mark.parametrize(
    ("search", "folds", "rungs"),
    [
        (ASHA(), 6, (1, 3, 6)),
        (ASHA(reduction=2), 6, (1, 2, 4, 6)),
        (ASHA(grace=2), 6, (2, 6)),
        (ASHA(grace=6), 6, (6,)),
        (ASHA(), 1, (1,)),
        (Random(), 6, (6,)),
        (Median(), 4, (1, 2, 3, 4)),
        (Median(grace=3), 4, (3, 4)),
    ],
)
def test_rungs(search, folds, rungs):
    assert search.rungs(folds) == rungs


def test_one_in_so_many_goes_on():
    scores = {0: 3.0, 1: 1.0, 2: 2.0, 3: 1.0, 4: 5.0, 5: 4.0, 6: 9.0}
    assert ASHA().survivors(1, 6, scores) == {1, 3, 2}
    assert ASHA(reduction=4).survivors(1, 6, scores) == {1, 3}
    assert ASHA().survivors(1, 6, {7: 1.0}) == {7}


def test_brackets_begin_to_stop_one_after_the_other():
    search = HyperBand()  # rungs 1, 3, 6: three brackets
    scores = {number: float(number) for number in range(12)}
    first = search.survivors(1, 6, scores)
    assert first == {0, 3} | {number for number in range(12) if number % 3}
    second = search.survivors(3, 6, {number: scores[number] for number in first})
    assert second == {0} | {1, 4} | {2, 5, 8, 11}


def test_the_median_stops_what_is_worse():
    assert Median().survivors(1, 4, {0: 1.0, 1: 2.0, 2: 3.0, 3: 2.0}) == {0, 1, 3}
    assert Median().survivors(1, 4, {0: 1.0}) == {0}


SPACE = (KIND, POWER, DEPTH, RATE, Leaf("model.share", "quniform", (0.5, 1.0, 0.25)))


def told_of(count, rungs=lambda place, settings: {6: settings["model.rate"]}):
    settings = [draw_settings(SPACE, 0, number) for number in range(count)]
    return [
        TrialScores({}, {6: 0.5}),
        *(TrialScores(each, rungs(place, each)) for place, each in enumerate(settings)),
    ]


def test_proposals_are_lawful_go_where_scores_were_good_and_follow_from_what_is_told():
    told = told_of(30)
    search = Optuna(seed=1)
    proposed = list(islice(search.proposals(SPACE, told, 6), 40))
    assert proposed == list(islice(search.proposals(SPACE, told, 6), 40))
    assert proposed[:3] != list(islice(Optuna(seed=2).proposals(SPACE, told, 6), 3))
    assert all(
        each["model.depth"] in (2, 3, 4) and each["model.share"] in (0.5, 0.75, 1.0)
        for each in proposed
    )
    assert all(("model.power" in each) == (each["model.kind"] == "b") for each in proposed)
    rates = sorted(each["model.rate"] for each in proposed)
    assert rates[0] >= 0.001
    assert rates[20] < sorted(each.settings["model.rate"] for each in told[1:])[10]


def test_what_came_to_nothing_is_not_proposed_again():
    told = told_of(
        30, lambda place, settings: {} if settings["model.kind"] == "a" else {6: 1.0 + place / 100}
    )
    proposed = list(islice(Optuna().proposals(SPACE, told, 6), 20))
    assert sum(each["model.kind"] == "b" for each in proposed) > 14


def test_bohb_learns_from_the_highest_rung_that_enough_have_reached():
    search = BOHB()
    assert search.rungs(6) == (1, 3, 6)
    few = told_of(8, lambda place, settings: {1: 1.0, 3: 1.0} if place < 4 else {1: 2.0})
    assert search.learned_at(few, 6, len(SPACE)) == 1
    more = told_of(9, lambda place, settings: {1: 1.0, 3: 1.0} if place < 7 else {1: 2.0})
    assert search.learned_at(more, 6, len(SPACE)) == 3
    assert len(search.survivors(1, 6, dict.fromkeys(range(9), 1.0))) == 3
    assert list(islice(search.proposals(SPACE, more, 6), 3))


def test_of_trials_of_a_narrower_space_the_best_are_learned_from_half_as_many_as_others():
    own = told_of(8)[1:]
    narrow = [
        each._replace(rungs={6: float(place)}, covers=False)
        for place, each in enumerate(reversed(told_of(8)[1:]))
    ]
    assert learned_from([*narrow, *own], 6) == [*own, *narrow[:4]]
    assert learned_from(own, 6) == own
    first, search = own[:1], Optuna()
    alone = list(islice(search.proposals(SPACE, first, 6), 3))
    assert list(islice(search.proposals(SPACE, [*narrow, *first], 6), 3)) == alone, (
        "nothing is learned, and the draws are the same"
    )


def test_trials_after_one_that_came_to_nothing_have_numbers_of_their_own():
    before = [Trial(number, {"model.depth": number}, {}, refused="-") for number in (0, 1, 3)]
    data = {"model": {"name": "mine"}, "rivals": []}
    with_baseline, without = Random(), Random(baseline=False)
    proposals = [{"model.depth": "many"}]
    assert [trial.number for trial in more_trials(data, with_baseline, before, proposals, 1)] == [4]
    assert [trial.number for trial in more_trials(data, with_baseline, (), proposals, 1)] == [0]
    assert [trial.number for trial in more_trials(data, without, (), proposals, 1)] == [1]
