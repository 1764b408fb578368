"""A longer season beside a short one: the week of hours whose short season is the day."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwds.forecast.models.statistical.seasons import Season, season_of

AMONG, WITHIN = 2.5, 1.5
"""The caution with which short seasons differ from each other, and their rows beyond that: a level that wanders looks like a
longer season where few are seen. Chosen on simulated hours: `bench.stacks.hourly`, days of another shape at the weekend, random
walks (40 series of seed 3 each)."""


def longer_season(values: np.ndarray, season: int, count: int) -> tuple[Season, ...]:
    """Return the longer season of a series, in parts to be taken out one after the other; empty where nothing speaks for it.

    First what distinguishes the short seasons of a longer one, as the days of a week, by their means; then what distinguishes
    its rows beyond that and the short season. Either is a classical decomposition with shrunk factors (`season_of`).

    Args:
        values: Without holes, shape (n,).
        season: Rows in the short season.
        count: Short seasons in the longer one.
    """
    blocks = len(values) // season
    first = len(values) - blocks * season
    among = season_of(values[first:].reshape(blocks, season).mean(1), count, caution=AMONG)
    if among is None:
        return ()
    parts = [Season(np.roll(np.repeat(among.factors, season), first), among.additive)]
    rest = taken_out(parts, values)
    short = season_of(rest, season)
    within = season_of(rest if short is None else short.out_of(rest), season * count, caution=WITHIN)
    parts += [] if within is None else [within]
    return tuple(part for part in parts if np.ptp(part.factors) > 0)


def taken_out(parts: Sequence[Season], values: np.ndarray) -> np.ndarray:
    """Return a series without the parts of its season, shape (n,)."""
    for part in parts:
        values = part.out_of(values)
    return values


def put_back(parts: Sequence[Season], values: np.ndarray, first: int) -> np.ndarray:
    """Return rows with the parts of the season again, the first of which stands `first` rows after the series' beginning."""
    for part in reversed(parts):
        values = part.into(values, first)
    return values
