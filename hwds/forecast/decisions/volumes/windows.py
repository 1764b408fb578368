"""A model's forecasts laid out by window: one series at one cutoff, with what was forecast and what is known of it when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from hwds.forecast.decisions.volumes.evidence import NEVER
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TIME


@dataclass(frozen=True, eq=False)
class DealWindows:
    """w windows over s steps.

    Attributes:
        keys: `series_id`, `cutoff`, `deal` (what it is summed in), `first` and `last` (times), one row a window.
        levels: Of the quantiles, rising.
        quantiles: Shape (w, s, levels), NaN where there is no forecast.
        paths: Draws, shape (w, s, n); None where there are none.
        actual: What happened, NaN where it is not known, shape (w, s).
        naive: The seasonal naive's forecasts, NaN where there are none, shape (w, s).
        moments: The time of each window, on a clock that series share, shape (w,).
        known: When each step's actual was known on the same clock, shape (w, s).
    """

    keys: pl.DataFrame
    levels: np.ndarray
    quantiles: np.ndarray
    paths: np.ndarray | None
    actual: np.ndarray
    naive: np.ndarray
    moments: np.ndarray
    known: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """The steps of each window before the first without a forecast, shape (w,)."""
        present = ~np.isnan(self.quantiles).any(2)
        return np.where(present.all(1), present.shape[1], np.argmin(present, 1))

    @property
    def spreads(self) -> np.ndarray:
        """The width between the outermost quantiles, shape (w, s)."""
        width: np.ndarray = self.quantiles[..., -1] - self.quantiles[..., 0]
        return width

    @property
    def medians(self) -> np.ndarray:
        """The quantile nearest to one half, shape (w, s)."""
        middle: np.ndarray = self.quantiles[..., int(np.argmin(np.abs(self.levels - 0.5)))]
        return middle


def deal_windows(rows: pl.DataFrame, panel: Panel, steps: tuple[int, int], deal: Sequence[str], *, paths: bool) -> DealWindows:
    """Lay out the evidence of one model, or of a forecast of the months to come.

    Args:
        rows: The evidence, see `VolumeEvidence.volume_evidence`.
        panel: The data.
        steps: The first and the last step of a deal.
        deal: Static or level columns whose values make a deal of several series; empty for each series alone.
        paths: Whether to take draws.
    """
    rows = rows.filter(pl.col("step").is_between(*steps))
    rows = _named(rows, panel, deal).sort("moment", "cutoff", SERIES, "step")
    once = [pl.col("deal", "moment").first(), pl.col(TIME).min().alias("first"), pl.col(TIME).max().alias("last")]
    keys = rows.group_by("cutoff", SERIES, maintain_order=True).agg(once)
    window, place = rows.select(pl.struct("cutoff", SERIES).rle_id()).to_series().to_numpy(), rows["step"].to_numpy() - steps[0]
    names = sorted((name for name in rows.columns if name.startswith("q_")), key=lambda name: float(name[2:]))

    def laid(values: np.ndarray, empty: Any = np.nan) -> np.ndarray:
        out = np.full((len(keys), steps[1] - steps[0] + 1, *values.shape[1:]), empty, values.dtype)
        out[window, place] = values
        return out

    return DealWindows(
        keys,
        np.array([float(name[2:]) for name in names]),
        laid(np.stack([_floats(rows, name) for name in names], -1)),
        laid(rows["paths"].to_numpy()) if paths and has_paths(rows) else None,
        laid(_floats(rows, "actual")),
        laid(_floats(rows, "seasonal_naive")),
        keys["moment"].to_numpy(),
        laid(rows["known"].to_numpy(), NEVER),
    )


def has_paths(rows: pl.DataFrame) -> bool:
    """Return whether all rows have draws."""
    return "paths" in rows.columns and len(rows) > 0 and not rows["paths"].null_count()


def _floats(rows: pl.DataFrame, name: str) -> np.ndarray:
    if name not in rows.columns:
        return np.full(len(rows), np.nan)
    return rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _named(rows: pl.DataFrame, panel: Panel, deal: Sequence[str]) -> pl.DataFrame:
    """Return the rows with the name of the deal that each series is a part of."""
    if not deal:
        return rows.with_columns(pl.col(SERIES).alias("deal"))
    name = pl.concat_str([pl.col(column).cast(pl.String).fill_null("(none)") for column in deal], separator=" / ")
    names = panel.table.select(SERIES, name.alias("deal"))[panel.offsets[:-1]]
    return rows.join(names, on=SERIES, how="inner")
