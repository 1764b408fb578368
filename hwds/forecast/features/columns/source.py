"""Source of features: a sorted panel, read as whole columns with a mask where a series begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from hwds.forecast.features.columns.sliding import window_moments
from hwds.frames.feature_plan import Feature
from hwds.frames.panel import Panel

POSITION = "__position__"

Moments = dict[int, tuple[pl.Expr, pl.Expr]]


@dataclass(frozen=True, slots=True)
class Column:
    """A feature and how it is computed."""

    feature: Feature
    make: Callable[[FeatureSource], pl.Expr]


class FeatureSource:
    """A panel whose features are being computed.

    Attributes:
        panel: The panel.
        season: Rows in a season.
    """

    def __init__(self, panel: Panel, season: int = 0) -> None:
        self.panel = panel
        self.season = season or panel.season
        self._moments: dict[tuple[tuple[int, ...], int], Moments] = {}

    def with_columns(self, columns: Sequence[Column]) -> pl.DataFrame:
        """Return the panel's table with these columns added, all floats."""
        made = [column.make(self).cast(pl.Float64).alias(column.feature.name) for column in columns]
        return self.panel.table.with_columns(self._positions()).with_columns(made).drop(POSITION)

    def _positions(self) -> pl.Series:
        """Return the same as `Panel.positions` in half the memory, which bounds this pass over the rows."""
        positions = np.arange(len(self.panel.table), dtype=np.int32)
        positions -= np.repeat(self.panel.offsets[:-1].astype(np.int32), self.panel.lengths)
        return pl.Series(POSITION, positions)

    @cached_property
    def codes(self) -> pl.Expr:
        """The number of each row's series: what is computed `over` it begins anew with each series."""
        return pl.lit(pl.Series(np.repeat(np.arange(self.panel.n_series, dtype=np.int32), self.panel.lengths)))

    def moments(self, sizes: tuple[int, ...], stride: int = 1) -> Moments:
        """Return mean and standard deviation of the target's windows that end at each row, by size, all made in one pass."""
        key = sizes, stride
        if key not in self._moments:
            longest = self.panel.lengths.max()
            moments = window_moments(self.panel.target, [size for size in sizes if size * stride < longest], stride)
            self._moments[key] = dict.fromkeys(sizes, (NEVER, NEVER)) | {
                size: (_literal(mean), _literal(deviation)) for size, (mean, deviation) in moments.items()
            }
        return self._moments[key]


def before(values: pl.Expr, rows: int, needs: int = 0) -> pl.Expr:
    """Return the value `rows` rows earlier in the same series.

    Args:
        values: A column.
        rows: At least 1.
        needs: Rows of the series that must have passed, where a value is made of more than one row; `rows` at the least.
    """
    return pl.when(pl.col(POSITION) >= max(rows, needs)).then(values.shift(rows))


NEVER = pl.lit(None, pl.Float64)
"""A column of nulls."""


def _literal(values: np.ndarray) -> pl.Expr:
    return pl.lit(pl.Series(values, nan_to_null=True))
