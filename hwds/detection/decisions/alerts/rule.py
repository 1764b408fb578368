"""The actions on rows of some days: blocks, a random review stream, reviews by expected gain up to the capacity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.detection.decisions.alerts.terms import BLOCK, PASS, RANDOM, REVIEW, AlertTerms
from hwds.detection.protocols.rows.codes import numbered
from hwds.frames.table import ROW_ID


@dataclass(frozen=True, eq=False)
class Days:
    """The rows of some days as arrays, by day and row.

    Attributes:
        day: Numbers the days from 0.
        count: How many days.
        probability: Of being gray.
        loss: At stake.
        uniform: A random number of each row, which puts it into the random stream.
    """

    day: np.ndarray
    count: int
    probability: np.ndarray
    loss: np.ndarray
    uniform: np.ndarray

    @classmethod
    def of(cls, rows: pl.DataFrame, seed: int) -> Days:
        """Make the arrays of rows with `day_id, probability, loss` and `row_id`.

        The random number of a row is that of its id alone, so that more rows change none.
        """
        day = numbered(rows["day_id"])
        count = int(day.max()) + 1 if len(day) else 0
        return cls(day, count, rows["probability"].to_numpy(), rows["loss"].to_numpy(), uniform_by_row(rows, seed, "stream"))


def uniform_by_row(rows: pl.DataFrame, seed: int, purpose: str) -> np.ndarray:
    """Return a uniform number for each row by its id, shape (n,)."""
    ids = rows[ROW_ID].to_numpy()
    most = int(ids.max()) + 1 if len(ids) else 0
    return stream(seed, "alert policy", purpose).random(most)[ids]


def act(days: Days, terms: AlertTerms, multiplier: float, floor: float) -> np.ndarray:
    """Return the action of each row.

    Of the rows that would not be blocked, each is in the random stream with the same chance; those of the others with the
    largest expected gain are reviewed while the day's capacity lasts, beside to pass or to block them, whichever would be done.
    That order costs least under the probabilities. A row of the stream that would have been reviewed anyway is called a review:
    its label stands for itself.

    Args:
        days: The rows.
        terms: Costs and capacity.
        multiplier: Of a wrong block's cost.
        floor: The least expected gain of a review.
    """
    blocked = terms.blocks(days.probability, days.loss, multiplier) & ("block" in terms.tiers)
    drawn = ~blocked & (days.uniform < (terms.random_reviews if "random_review" in terms.tiers else 0.0))
    full = np.full(days.count, terms.capacity)
    drawn = top_of_day(days.day, -days.uniform, drawn, full)
    slots = full - np.bincount(days.day[drawn], minlength=days.count)
    gain = terms.gain(days.probability, days.loss, blocked, multiplier)
    worth = (gain >= floor) & ("review" in terms.tiers)
    reviewed = top_of_day(days.day, gain, worth & ~drawn, slots)
    action = np.where(blocked, np.int8(BLOCK), np.int8(PASS))
    action[drawn] = RANDOM
    action[reviewed | (drawn & worth & (gain >= _bar(days, gain, reviewed, slots)[days.day]))] = REVIEW
    return action


def _bar(days: Days, gain: np.ndarray, reviewed: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Return the least gain reviewed on each day, -inf where there was room for more; infinite where there was none."""
    least = np.full(days.count, np.inf)
    np.minimum.at(least, days.day[reviewed], gain[reviewed])
    used = np.bincount(days.day[reviewed], minlength=days.count)
    return np.where(used < slots, -np.inf, least)


def top_of_day(day: np.ndarray, value: np.ndarray, wanted: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Return a mask of the wanted rows of each day with the largest values, the earlier of equal ones.

    Args:
        day: Numbers the days, shape (n,).
        value: What orders them, shape (n,).
        wanted: Mask, shape (n,).
        slots: How many of each day, shape (days,).
    """
    places = np.flatnonzero(wanted)
    order = places[np.lexsort((places, -value[places], day[places]))]
    sizes = np.bincount(day[order], minlength=len(slots))
    rank = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    taken = np.zeros(len(day), bool)
    taken[order[rank < slots[day[order]]]] = True
    return taken
