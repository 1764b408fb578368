"""Sensors that give away how long a run still lasts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from hwds.core.errors import DataError
from hwds.frames.run_checks import CYCLE, ENTITY

END = "__end__"
LAST = 0.3
"""The last part of each run that is looked at: a remaining life that is capped is not constant there."""

TOO_CLOSE = 0.999
"""The correlation with the remaining life, over all machines, that no measurement has."""


def telling_sensors(
    data: pl.DataFrame, ends: pl.DataFrame, sensors: tuple[str, ...], trusted: tuple[str, ...] = ()
) -> Iterator[tuple[str, str]]:
    """Yield each sensor that is the remaining life, or a line of it, with the reason.

    Args:
        data: The rows of runs to learn from, as in `Runs.data`.
        ends: Their ends, as in `Runs.ends`; those that failed are looked at.
        sensors: Columns of the rows.
        trusted: Columns that are not looked at.
    """
    known = ends.filter("event").select(ENTITY, pl.col("age").alias(END))
    if known[END].n_unique() < 2:  # with equal lives the age is a line of the remaining life
        return
    rows = data.join(known, ENTITY, maintain_order="left").filter(pl.col(END) - pl.col(CYCLE) <= LAST * pl.col(END))
    left = (rows[END] - rows[CYCLE]).to_numpy()
    for name in sensors:
        values = rows[name].cast(pl.Float64).to_numpy()
        spread = float(values.std() * left.std())
        if name in trusted or not spread:
            continue
        r = float(np.mean((values - values.mean()) * (left - left.mean())) / spread)
        if abs(r) >= TOO_CLOSE:
            yield name, f"its correlation with the remaining life is {r:.4f} in the last part of all runs"


def refuse_telling_sensors(data: pl.DataFrame, ends: pl.DataFrame, sensors: tuple[str, ...], trusted: tuple[str, ...]) -> None:
    """Refuse a sensor that gives the remaining life away.

    Raises:
        DataError: With the column, and how to let it through.
    """
    for name, reason in telling_sensors(data, ends, sensors, trusted):
        raise DataError(
            f"dataset: column '{name}' gives the remaining life away: {reason}; name it in dataset.roles.ignore, or in"
            " dataset.trust where it is truly measured."
        )
