"""The pictures and the sentence of a bandit simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.bandit.report import (
    BestSpell,
    allocation_figure,
    arms_grid,
    arms_title,
    bandit_sentence,
    best_spells,
    draw,
    regret_figure,
    regret_reference,
)
from hwds.bandit.simulation.scores import bandit_measures
from hwds.datasets.simulated.price_arms import PriceArms
from hwds.results.tables import SCORES, TIMINGS, Tables, metrics_table

OWN, RIVAL, UNIFORM = "bandit/own", "bandit/rival", "bandit/uniform_play"
STEPS = (1, 10, 100, 1000)


@pytest.fixture(scope="module")
def still():
    return PriceArms(conversion=(0.6, 0.4), prices=(10, 20), horizon=1000).load()


@pytest.fixture(scope="module")
def shifting():
    return PriceArms(conversion=(0.2, 0.4), prices=(20, 11), horizon=1000, shift_at=300).load()


def line(model, metric, value, aggregate="mean", **more):
    return {
        "model": model,
        "metric": metric,
        "aggregate": aggregate,
        "value": value,
        "n": 100,
        "status": "ok",
    } | more


def policy(model, lost, stderr, worst, skill):
    """The scores of a policy that loses at a steady rate."""
    curve = [
        line(model, "pseudo_regret", lost * step / 1000, step=step, stderr=stderr) for step in STEPS
    ]
    reach = {"ci_low": skill - 0.02, "ci_high": skill + 0.02}
    return [
        line(model, "pseudo_regret", lost, ci_low=lost - 2 * stderr, ci_high=lost + 2 * stderr),
        line(model, "pseudo_regret", worst, "cvar95", ci_low=worst - 50),
        line(model, "regret_share", lost / 8000),
        line(model, "skill_pseudo_regret", skill, **reach),
        *curve,
    ]


def shares(model, arms, low=0.25):
    """The allocation of a policy that likes the last arm."""
    each = {arm: (1 - low) if arm == arms[-1] else low / (len(arms) - 1) for arm in arms}
    at = {"segment_by": "arm"}
    return [
        line(model, "allocation", each[arm], segment=arm, step=step, **at)
        for step in STEPS
        for arm in each
    ]


def truth():
    return [line("truth", "oracle_reward", 8000.0), line("truth", "uniform_regret", 1000.0)]


def tables(*rows):
    scores = pl.DataFrame(rows, schema=SCORES)
    return Tables(
        scores, pl.DataFrame(), pl.DataFrame(schema=TIMINGS), metrics_table(bandit_measures("USD"))
    )


def paired(value, low, high):
    return line(
        OWN,
        "difference",
        value,
        stderr=10.0,
        ci_low=low,
        ci_high=high,
        segment_by="rival",
        segment=RIVAL,
    )


def test_what_a_policy_loses_has_its_unit_and_its_share(still):
    rows = [
        *policy(OWN, 200, 10.0, 400, 0.8),
        *policy(RIVAL, 500, 20.0, 1500, 0.5),
        *policy(UNIFORM, 1000, 3.0, 1010, 0.0),
    ]
    assert bandit_sentence(still, tables(*rows, paired(-300.0, -320.0, -280.0), *truth()), OWN) == (
        "BETTER: own loses 300.00 USD less than rival, the best rival (95 %: 280.00 to 320.00).\n"
        "In the worst 5 % of 100 replications it loses 400.00 USD on average.\n"
        "Better on average, bandit/rival (1,500 USD) lost more than uniform play in its worst 5 "
        "% of replications.\n"
        "It loses 200.00 USD (95 %: 180.00 to 220.00 USD) to the best arm, 2.5 % of 8,000 USD;"
        " this is 80 % (95 %: 78 to 82) less than uniform play is expected to lose."
    )


def test_the_table_of_arms_says_what_each_is_worth_and_has_cost(still):
    arms = [
        line("truth", "arm_value[true]", worth, segment_by="arm", segment=arm)
        for arm, worth in (("11", 4.4), ("20", 4.0))
    ]
    brought = [
        line(OWN, "arm_value[raw]", 4.3, segment_by="arm", segment="11", ci_low=4.1, ci_high=4.5)
    ]
    share = [
        line(
            OWN,
            "allocation",
            part,
            segment_by="arm",
            segment=arm,
            step=step,
            ci_low=part - 0.1,
            ci_high=part + 0.1,
        )
        for arm, last in (("20", 0.05), ("11", 0.95))
        for step, part in ((100, 0.5), (1000, last))
    ]
    lost = line(OWN, "pseudo_regret", 0.05 * 1000 * 0.4)
    grid = arms_grid(tables(*arms, *brought, *share, lost), OWN)
    assert (
        grid.caption
        == "Arms under bandit/own, 1,000 customers a replication; what was brought is biased by "
        "the choice"
    )
    assert [column.cells for column in grid.columns] == [
        ("11", "20"),
        ("4.40", "4.00"),
        ("0.00", "0.40"),
        ("95.0", "5.0"),
        ("85.0 to 100.0", "0.0 to 15.0"),
        ("4.30", ""),
        ("4.10 to 4.50", ""),
        ("0.00", "20.00"),
    ]
    moving = arms_grid(tables(*arms, *brought, *share, lost | {"value": 30.0}), OWN)
    assert set(moving.columns[-1].cells) == {""}, "the best arm is not always the same"
    assert len(arms_grid(tables(lost), OWN)) == 0


def test_what_is_not_shown_is_not_said(still):
    rows = [*policy(OWN, 990, 10.0, 1100, 0.01), *policy(RIVAL, 1300, 20.0, 1500, -0.3)]
    said = bandit_sentence(still, tables(*rows, paired(-3.0, -20.0, 14.0), *truth()), OWN)
    assert said.startswith("NOT SURE: own loses 3.00 USD less than rival, the best ")
    assert "; no difference from uniform play is shown." in said
    assert "bandit/rival loses more than uniform play." in said
    assert bandit_sentence(still, tables(*truth()), OWN) == "Nothing was scored."


def test_which_arm_is_best_when(still, shifting):
    assert best_spells(still, 1000) == {"": [BestSpell(1, 1, 1000)]}
    assert best_spells(shifting, 1000) == {"": [BestSpell(1, 1, 300), BestSpell(0, 301, 1000)]}
    assert regret_reference(still) == "the best arm"
    assert regret_reference(shifting) == "the best arm of each moment"


def test_a_cycle_repeats_and_an_absent_arm_is_never_best(shifting):
    two = replace(
        shifting,
        starts=np.array([0, 100]),
        cycle=200,
        conversions=np.array([[[0.1, 0.4]], [[0.9, 0.4]]]),
        present=np.array([[True, True], [True, True]]),
    )
    assert [(reign.arm, reign.first) for reign in best_spells(two, 450)[""]] == [
        (1, 1),
        (0, 101),
        (1, 201),
        (0, 301),
        (1, 401),
    ]
    assert best_spells(two, 450)[""][-1] == BestSpell(1, 401, 450)
    gone = replace(two, present=np.array([[True, False], [True, True]]))
    assert best_spells(gone, 450)[""] == [BestSpell(0, 1, 450)]


def test_segments_that_differ_are_told_apart(still):
    apart = replace(
        still,
        segments=("store", "online"),
        shares=np.array([0.5, 0.5]),
        contexts=np.zeros((2, 0)),
        conversions=np.array([[[0.9, 0.4], [0.1, 0.4]]]),
    )
    assert best_spells(apart, 10) == {
        "store": [BestSpell(0, 1, 10)],
        "online": [BestSpell(1, 1, 10)],
    }
    assert regret_reference(apart) == "the best arm of each segment"
    many = replace(
        apart,
        segments=tuple(f"s{place}" for place in range(10)),
        shares=np.full(10, 0.1),
        contexts=np.zeros((10, 0)),
        conversions=np.array([[[0.1, 0.4]] * 7 + [[0.9, 0.4]] * 3]),
    )
    assert best_spells(many, 10) == {"everyone": [BestSpell(1, 1, 10)]}, (
        "8 against 0.7 x 1 + 0.3 x 9"
    )


def test_arms_that_are_prices_say_so(still):
    assert arms_title(still) == "price, USD"
    assert arms_title(PriceArms(means=(0.1, 0.2)).load()) == "arm"


def test_the_allocation_has_a_strip_of_the_best_arms(shifting):
    figure = allocation_figure(shifting, tables(*shares(OWN, shifting.arms)), OWN)
    strip, stack = figure.axes
    found = best_spells(shifting, 1000)[""]
    assert [(bar.get_x(), bar.get_width()) for bar in strip.patches] == [
        (r.first, r.last - r.first + 1) for r in found
    ]
    colours = [patch.get_facecolor() for patch in stack.collections]
    assert [bar.get_facecolor() for bar in strip.patches] == [
        tuple(colours[r.arm].ravel()) for r in found
    ]
    assert figure.legends[0].get_title().get_text() == "price, USD"
    assert allocation_figure(shifting, tables(*truth()), OWN) is None


def test_names_at_the_ends_of_curves_do_not_lie_on_each_other(still):
    rows = [
        row for place in range(8) for row in policy(f"bandit/p{place}", 500 + place, 1.0, 600, 0.5)
    ]
    bound = [
        line("truth", "lai_robbins_bound", 50.0 * place, step=step)
        for place, step in enumerate(STEPS)
    ]
    figure = regret_figure(tables(*rows, *bound), "bandit/p0", "USD")
    right = figure.axes[1]
    heights = sorted(text.get_position()[1] for text in right.texts)
    assert len(heights) == 8
    assert np.diff(heights).min() > 0.049
    assert "507  bandit/p7" in [text.get_text() for text in right.texts]
    assert "asymptotic lower bound" in right.get_legend().get_texts()[0].get_text()
    assert regret_figure(tables(*truth()), OWN, "USD") is None


def test_pictures_are_drawn_of_what_there_is(still, tmp_path):
    draw(still, tables(*policy(OWN, 200, 10.0, 400, 0.8), *shares(OWN, still.arms)), OWN, tmp_path)
    assert {path.name for path in tmp_path.glob("*.png")} == {"regret.png", "allocation.png"}
