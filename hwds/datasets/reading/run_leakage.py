"""Sensors that give away how long a run still lasts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwds.core.errors import DataError
from hwds.frames.runs import Runs

LAST = 0.3
"""The last part of each run that is looked at: a remaining life that is capped is not constant there."""

TOO_CLOSE = 0.999
"""The correlation with the remaining life, over all machines, that no measurement has."""


def telling_sensors(runs: Runs, trusted: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield each sensor that is the remaining life, or a line of it, with the reason.

    Args:
        runs: Those that failed are looked at.
        trusted: Columns that are not looked at.
    """
    known = runs.take(runs.events)
    if known.n < 2 or len(set(known.ages.tolist())) < 2:  # with equal lives the age is a line of the remaining life
        return
    left, _ = known.remaining_of_rows()
    late = left <= LAST * known.ages[known.run_of_row]
    for name in known.sensors:
        values = known.numbers((name,))[late, 0]
        spread = float(values.std() * left[late].std())
        if name in trusted or not spread:
            continue
        r = float(np.mean((values - values.mean()) * (left[late] - left[late].mean())) / spread)
        if abs(r) >= TOO_CLOSE:
            yield name, f"its correlation with the remaining life is {r:.4f} in the last part of all runs"


def refuse_telling_sensors(runs: Runs, trusted: tuple[str, ...]) -> None:
    """Refuse a sensor that gives the remaining life away.

    Raises:
        DataError: With the column, and how to let it through.
    """
    for name, told in telling_sensors(runs, trusted):
        raise DataError(
            f"dataset: column '{name}' gives the remaining life away: {told}; name it in dataset.roles.ignore, or in"
            " dataset.trust where it is truly measured."
        )
