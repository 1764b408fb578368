"""The rule of alerts: how it acts on the rows of a day, how it is chosen, and its rivals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from math import log
from statistics import NormalDist

import numpy as np
from numpy import ndarray
from polars import DataFrame

from hwds.core.seeds import stream
from hwds.detection.alerts.tiers import BLOCK, PASS, RANDOM, REVIEW, AlertTerms
from hwds.detection.alerts.verdict import ChosenRule
from hwds.detection.rows import distinct_codes, uniform_by_id
from hwds.frames.table import ROW_ID

# The actions on rows of some days: blocks, a random review stream, reviews by expected gain up
# to the capacity.


@dataclass(frozen=True, eq=False)
class Days:
    """The rows of some days as arrays, by day and row.

    Attributes:
        day: The number of the day of each row, from 0.
        count: The number of days.
        probability: The probability of being gray.
        loss: The money at stake in each row.
        uniform: A random number of each row, which puts it into the random stream.
    """

    day: ndarray
    count: int
    probability: ndarray
    loss: ndarray
    uniform: ndarray

    @classmethod
    def of(cls, rows: DataFrame, seed: int) -> Days:
        """Make the arrays of rows with `day_id, probability, loss` and `row_id`.

        The random number of a row is that of its id alone, so that more rows change none.
        """
        day = distinct_codes(rows["day_id"])
        return cls(
            day,
            int(day.max(initial=-1)) + 1,
            rows["probability"].to_numpy(),
            rows["loss"].to_numpy(),
            uniform_by_row(rows, seed, "stream"),
        )


def uniform_by_row(rows: DataFrame, seed: int, purpose: str) -> ndarray:
    """Return a uniform number for each row by its id, shape (n,)."""
    return uniform_by_id(rows[ROW_ID].to_numpy(), stream(seed, "alert policy", purpose))


def act(days: Days, terms: AlertTerms, multiplier: float, floor: float) -> ndarray:
    """Return the action of each row.

    Of the rows that would not be blocked, each is in the random stream with the same chance; those
    of the others with the largest expected gain are reviewed while the day's capacity lasts, beside
    to pass or to block them, whichever would be done. That order costs least under the
    probabilities. A row of the stream that would have been reviewed anyway is called a review: its
    label stands for itself.

    Args:
        days: The rows.
        terms: Costs and capacity.
        multiplier: The multiplier of a wrong block's cost.
        floor: The least expected gain of a review.
    """
    blocked = terms.blocks(days.probability, days.loss, multiplier) & ("block" in terms.tiers)
    drawn = ~blocked & (
        days.uniform < (terms.random_reviews if "random_review" in terms.tiers else 0.0)
    )
    full = np.full(days.count, terms.capacity)
    drawn = top_of_day(days.day, -days.uniform, drawn, full)
    slots = full - np.bincount(days.day[drawn], minlength=days.count)
    gain = terms.gain(days.probability, days.loss, blocked, multiplier)
    worth = (gain >= floor) & ("review" in terms.tiers)
    reviewed = top_of_day(days.day, gain, worth & ~drawn, slots)
    action = np.where(blocked, np.int8(BLOCK), np.int8(PASS))
    action[drawn] = RANDOM
    action[
        reviewed
        | (drawn & worth & (gain >= _least_gain_reviewed(days, gain, reviewed, slots)[days.day]))
    ] = REVIEW
    return action


def _least_gain_reviewed(days: Days, gain: ndarray, reviewed: ndarray, slots: ndarray) -> ndarray:
    """Return the least gain reviewed on each day, -inf where there was room for more.

    Infinite where there was none.
    """
    least = np.full(days.count, np.inf)
    np.minimum.at(least, days.day[reviewed], gain[reviewed])
    used = np.bincount(days.day[reviewed], minlength=days.count)
    return np.where(used < slots, -np.inf, least)


def top_of_day(day: ndarray, value: ndarray, wanted: ndarray, slots: ndarray) -> ndarray:
    """Return a mask of the wanted rows of each day with the largest values, the earlier of equal
    ones.

    Args:
        day: The number of the day of each row, shape (n,).
        value: The value that orders the rows, shape (n,).
        wanted: Mask, shape (n,).
        slots: The number of rows to take of each day, shape (days,).
    """
    places = np.flatnonzero(wanted)
    order = places[np.lexsort((places, -value[places], day[places]))]
    sizes = np.bincount(day[order], minlength=len(slots))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    taken = np.zeros(len(day), bool)
    taken[order[rank < slots[day[order]]]] = True
    return taken


# The choice before each test window: the multiplier of a wrong block's cost, and the floor of a
# review's gain.

GridPoint = tuple[float, float]
"""A multiplier and a floor in money."""

FORMULA_POINT: GridPoint = (1.0, 0.0)

CHANCE_LEVEL = 0.05
"""The chance of taking another cell than the formula where none is better."""


def choose_rule(rows: DataFrame, cutoff: str, terms: AlertTerms, seed: int) -> ChosenRule:
    """Choose the cell of the grid that would have cost least in the deciding windows, by the labels
    that had arrived.

    Each labelled row counts as often as it stands for others. The formula itself is taken where
    fewer than `least_positives` labelled rows are gray, and where no cell surely saves: a few rows
    that stand for many would choose by chance. Surely is by more than so many standard errors of
    what it saves that any of the cells does so by chance in 5 % at most (Bonferroni).

    Args:
        rows: The rows of the deciding windows, their labels as far as they are known.
        cutoff: The beginning of the test window.
        terms: The rule and its grid.
        seed: The seed of the experiment.
    """
    positives = int((rows["label"] == 1).sum()) if len(rows) else 0
    formula_rule = ChosenRule(
        cutoff=cutoff,
        multiplier=1.0,
        floor=0.0,
        positives=positives,
        formula_cost=None,
        chosen_cost=None,
    )
    if positives < terms.least_positives:
        return formula_rule
    days, known = Days.of(rows, seed), rows["label"].is_not_null().to_numpy()
    gray, weight = rows["label"].to_numpy()[known], rows["weight"].to_numpy()[known]

    def costs(cell: GridPoint) -> ndarray:
        action = act(days, terms, *cell)  # all rows compete for the capacity
        return terms.cost(action[known], gray, days.loss[known]) * weight

    formula, cells = costs(FORMULA_POINT), rule_grid(terms)
    best, saving = FORMULA_POINT, 0.0
    sure = NormalDist().inv_cdf(1 - CHANCE_LEVEL / max(len(cells), 2))
    for cell in cells:
        saved = formula - costs(cell)
        # The error of a sum over a random number of independent rows.
        total, error = float(saved.sum()), float(np.sqrt(np.sum(saved**2)))
        if total > max(saving, sure * error):
            best, saving = cell, total
    before = float(formula.sum())
    return replace(
        formula_rule,
        multiplier=best[0],
        floor=best[1],
        formula_cost=before / days.count,
        chosen_cost=(before - saving) / days.count,
    )


def rule_grid(terms: AlertTerms) -> list[GridPoint]:
    """Return the cells, those nearest to the formula first, so that of equal ones these are
    taken.
    """
    cells = product(terms.multipliers, (share * terms.review_cost for share in terms.floors))
    return sorted(cells, key=lambda cell: (abs(log(cell[0])), abs(cell[1]), cell))


# The actions of other policies on the same rows: today's fixed thresholds, z-scores, random
# reviews, nothing.

TO_DEVIATION = 1.4826
"""The standard deviation of a normal law over its median absolute deviation."""


def rivals_of(
    rows: DataFrame, reference: DataFrame, terms: AlertTerms, seed: int
) -> dict[str, ndarray]:
    """Return the actions of each rival on the rows of one test window, all with the same capacity
    of reviews a day.

    Today's rule is given the calibrated probabilities, better ones than it has.

    Args:
        rows: The rows of the test window, by day.
        reference: The rows of the deciding window of the same model, whose scores say what is
            usual; where there are none, the test rows' own do, which is more than a z-score may
            know.
        terms: Thresholds and capacity.
        seed: The seed of the experiment.
    """
    day = distinct_codes(rows["day_id"])
    slots = np.full(int(day.max(initial=-1)) + 1, terms.capacity)
    probability = rows["probability"].to_numpy()
    z = z_scores(rows["score"].to_numpy(), reference["score"].to_numpy())
    review_from, block_from = terms.today
    blocked = probability >= block_from
    today = _review_actions(
        top_of_day(day, probability, ~blocked & (probability >= review_from), slots)
    )
    uniform = uniform_by_row(rows, seed, "random reviews")
    return {
        "today": np.where(blocked, np.int8(BLOCK), today),
        "z": _review_actions(top_of_day(day, z, z > terms.z, slots)),
        "random": _review_actions(top_of_day(day, -uniform, np.ones(len(day), bool), slots)),
        "nothing": np.full(len(day), PASS, np.int8),
    }


def z_scores(score: ndarray, reference: ndarray) -> ndarray:
    """Return scores less the median of the reference, over its median absolute deviation as a
    standard deviation.

    Without any spread whatever lies above the median is infinitely far.
    """
    usual = reference if len(reference) else score
    if not len(usual):
        return score
    centre = float(np.median(usual))
    spread = TO_DEVIATION * float(np.median(np.abs(usual - centre)))
    if spread == 0:
        return np.where(score > centre, np.inf, 0.0)
    return (score - centre) / spread


def _review_actions(which: ndarray) -> ndarray:
    return np.where(which, np.int8(REVIEW), np.int8(PASS))
