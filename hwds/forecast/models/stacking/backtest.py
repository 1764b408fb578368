"""The forecasts of a stack on inner windows, made of those of its members."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

from hwds.forecast.models.stacking.groups import Weights
from hwds.forecast.models.stacking.weights import KEYS


def combined(
    parts: Sequence[pl.DataFrame], weights: Callable[[int], Weights], group: Mapping[str, str], *, median: bool = False
) -> pl.DataFrame:
    """Return the rows that every member has, with their combined means and quantiles.

    Args:
        parts: The inner rows of each member.
        weights: Of the members for a window, counted from the end of each series; learned without it.
        group: The name of each series' group.
        median: Take the members' median instead.
    """
    rows = _shared(parts)
    names = [name for name in rows[0].columns if name == "mean" or name.startswith("q_")]
    forecasts = np.stack([part.select(names).to_numpy() for part in rows])
    if median:
        mixed = np.median(forecasts, axis=0)
    else:
        number = rows[0].select(pl.col("cutoff").rank("dense", descending=True).over("series_id")).to_series().to_numpy()
        names_of = np.array([group.get(name, "") for name in rows[0]["series_id"].to_list()], object)
        step = rows[0]["step"].to_numpy().astype(np.int64)
        mixed = np.full(forecasts.shape[1:], np.nan)
        for window in np.unique(number):
            inside = number == window
            window_weights = weights(int(window)).of(names_of[inside], step[inside])
            mixed[inside] = np.einsum("rm,mrq->rq", window_weights, forecasts[:, inside])
    fallback = np.any([part["fallback"].to_numpy() for part in rows], axis=0)
    columns = [pl.Series(name, mixed[:, i], nan_to_null=True) for i, name in enumerate(names)]
    return rows[0].with_columns(*columns, pl.Series("fallback", fallback))


def _shared(parts: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
    """Return the rows that all have, in one order."""
    keys = parts[0].select(KEYS)
    for part in parts[1:]:
        keys = keys.join(part.select(KEYS), KEYS, "semi", maintain_order="left")
    return [keys.join(part, KEYS, "left", maintain_order="left").select(parts[0].columns) for part in parts]
