"""Effects in parts of the units, and what the effect on those who were exposed is of all units."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from hwds.ab.metrics.checks import Correction, adjusted
from hwds.ab.metrics.sample import EFFECTS
from hwds.ab.protocols.analysis.rows import Row, metric_of, parted
from hwds.ab.protocols.analysis.units import Units

LEAST_UNITS = 30
"""Units of each arm below which a segment has no effect of its own."""

MOST_SEGMENTS = 20
"""The values of a column that are compared apart, those with the most units."""

Compare = Callable[[Units], Sequence[Row]]
"""Gives the effects on some units, by the rule that a model decides by."""


def segment_rows(
    evidence: Units, columns: Sequence[str], label: str, compare: Compare, correction: Correction
) -> Iterator[Row]:
    """Yield the effect of each arm in each segment, p-values corrected together, and how much segments differ.

    Args:
        evidence: The units.
        columns: Whose values are the segments.
        label: Of the outcome.
        compare: Of a segment.
        correction: Of the p-values over all segments and arms.
    """
    effects: list[tuple[str, Row]] = []
    for column in columns:
        for name, rows in _segments(evidence, column):
            metric = metric_of("segment_effect", f"{label}|{column}={name}")
            own = [row for row in compare(evidence.part(rows)) if parted(row.metric)[0] in EFFECTS]
            effects += [(column, replace(row, metric=metric)) for row in own]
    tested = [row.p_value for _, row in effects if row.p_value is not None]
    corrected = iter(adjusted(tested, correction) if tested and correction != "none" else tested)
    yield from (row if row.p_value is None else replace(row, p_value=next(corrected)) for _, row in effects)
    for column in columns:
        for arm in evidence.arms[1:]:
            own = [row for place, row in effects if place == column and row.arm == arm and row.stderr]
            yield from _spread(own, metric_of("segment_spread", f"{label}|{column}"), arm)


def _segments(evidence: Units, column: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the values of a column that have enough units of each arm, the largest first, each with its units."""
    values = evidence.table.data[column].cast(pl.String).fill_null("none")
    for name in values.value_counts(sort=True)[column][:MOST_SEGMENTS]:
        rows = (values == name).to_numpy()
        if np.bincount(evidence.arm[rows], minlength=len(evidence.arms)).min() >= LEAST_UNITS:
            yield name, rows


def _spread(effects: Sequence[Row], metric: str, arm: str) -> Iterator[Row]:
    """Yield Cochran's test that the segments of a column have one effect (1954); it holds once, as a fixed rule does."""
    from scipy.special import chdtrc

    if len(effects) < 2:
        return
    values = np.array([row.value for row in effects])
    weights = 1 / np.array([row.stderr for row in effects]) ** 2
    q = float(np.sum(weights * (values - np.average(values, weights=weights)) ** 2))
    n = sum(row.n for row in effects)
    yield Row(metric, arm, "fixed", value=q, p_value=float(chdtrc(len(effects) - 1, q)), n=n)


def diluted(row: Row, label: str, exposed: int, assigned: int) -> Row:
    """Return the effect of all units of an effect on exposed ones: times their share, whose error counts.

    Args:
        row: The effect on exposed units.
        label: Of the outcome.
        exposed: Units of all arms that were exposed.
        assigned: Units of all arms.
    """
    share = exposed / assigned
    named = replace(row, metric=metric_of("diluted_effect", label), n=assigned)
    if row.value is None:
        return named
    value, variance = share * row.value, row.value**2 * share * (1 - share) / assigned
    if not row.stderr or row.low is None or row.high is None:
        return replace(named, value=value, stderr=None, low=None, high=None)
    stderr = float(np.sqrt(share**2 * row.stderr**2 + variance))
    low, high = (value + (end - row.value) / row.stderr * stderr for end in (row.low, row.high))
    return replace(named, value=value, stderr=stderr, low=low, high=high)
