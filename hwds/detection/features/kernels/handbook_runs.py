"""The usual payment of a customer, and the outcomes of the latest known payments at a terminal: compiled.

As in `handbook_windows`, each row looks back one by one, in an order that nothing later can change.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hwds.core.numba_cache import compiled
from hwds.detection.features.kernels.handbook_windows import by_entity
from hwds.features.rows.columns import DAY
from hwds.features.rows.moments import Labels, Moments
from hwds.features.rows.sorted_arrays import upto

USUAL = ("usual_count", "usual_ratio", "highest_ratio")
RUNS = ("run", "run_age", "honest_age", "first_age", "fraud_share")


class RowMoments(NamedTuple):
    """The rows as compiled code reads them: numbers, moments in microseconds."""

    code: np.ndarray
    time: np.ndarray
    place: np.ndarray


class EntityLabels(NamedTuple):
    """Labels by entity and by the time of their rows; `first` of each entity, and the end."""

    first: np.ndarray
    time: np.ndarray
    enters: np.ndarray
    value: np.ndarray


def usual(code: np.ndarray, amount: np.ndarray, moments: Moments, habit: int, recent: int) -> np.ndarray:
    """Return each row's amount, and the highest one of its entity before it, over the mean of what the entity paid before.

    Args:
        code: The entity of each row, shape (n,); rows without one (-1) have no past.
        amount: What was paid, NaN where it is not known, shape (n,).
        moments: When rows happened and arrived.
        habit: Microseconds before the row over which the mean is taken.
        recent: Microseconds before the row in which the highest amount is sought, no more than `habit`.

    Returns:
        The columns of `USUAL`, shape (n, 3): the rows behind the mean, and the two ratios, NaN where there is none.
    """
    order = by_entity(code, moments.time, moments.place)
    out = np.full((len(code), len(USUAL)), np.nan)
    out[:, 0] = 0.0
    compiled(look_usual)(order, RowMoments(code, moments.time, moments.place), amount, habit, recent, out)
    return out


def runs(code: np.ndarray, labels: Labels, moments: Moments, reach: int) -> np.ndarray:
    """Return how the latest payments at each row's entity turned out, as far as that had become known.

    Args:
        code: The entity of each row, shape (n,).
        labels: Those that arrive.
        moments: When rows happened and arrived.
        reach: Microseconds before the row beyond which payments do not count.

    Returns:
        The columns of `RUNS`, shape (n, 5): frauds since the last honest payment; days since the first of these; since the last
        honest payment; since the first fraud; the share of fraud since then. What there is none of is NaN, in the first and
        the last column 0.
    """
    entity, time = code[labels.row], moments.time[labels.row]
    order = by_entity(entity, time, moments.place[labels.row])
    first = np.searchsorted(entity[order], np.arange(code.max(initial=-1) + 2))
    known = EntityLabels(first, time[order], labels.enters[order], labels.value[order])
    out = np.full((len(code), len(RUNS)), np.nan)
    out[:, 0] = out[:, -1] = 0.0
    compiled(look_runs)(RowMoments(code, moments.time, moments.place), known, reach, 1.0 / DAY, out)
    return out


def look_usual(order: np.ndarray, rows: RowMoments, amount: np.ndarray, habit: int, recent: int, out: np.ndarray) -> None:
    """Fill the columns of `USUAL`."""
    code, time, place = rows.code, rows.time, rows.place
    for at in range(len(order)):
        row, back = order[at], at - 1
        count, total, highest = 0, 0.0, math.nan
        while back >= 0 and code[order[back]] == code[row] and time[row] - time[order[back]] < habit:
            seen = order[back]
            if place[seen] < place[row] and not math.isnan(amount[seen]):
                count += 1
                total += amount[seen]
                if time[row] - time[seen] < recent and not amount[seen] <= highest:
                    highest = amount[seen]
            back -= 1
        if count and total > 0:
            out[row, 0] = count
            out[row, 1] = amount[row] / (total / count)
            out[row, 2] = highest / (total / count)


def look_runs(rows: RowMoments, known: EntityLabels, reach: int, day: float, out: np.ndarray) -> None:
    """Fill the columns of `RUNS`."""
    code, time, place = rows.code, rows.time, rows.place
    first, when, enters, value = known.first, known.time, known.enters, known.value
    for row in range(len(code)):
        if code[row] < 0:
            continue
        begin = first[code[row]]
        end = upto(when, begin, first[code[row] + 1], time[row])
        seen = frauds = since = 0
        unbroken = True
        for back in range(end - 1, begin - 1, -1):
            age = time[row] - when[back]
            if age >= reach:
                break
            if enters[back] > place[row]:
                continue
            seen += 1
            if value[back] == 0:
                if unbroken:
                    out[row, 2] = age * day
                unbroken = False
                continue
            frauds += 1
            since = seen
            out[row, 3] = age * day
            if unbroken:
                out[row, 0] += 1
                out[row, 1] = age * day
        if since:
            out[row, 4] = frauds / since
