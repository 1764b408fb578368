"""The back-test: the outcome of each volume as the commitment, over the deals whose demand is known."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.forecast.decisions.volumes.deals import BOUNDED, SCHEMES
from hwds.forecast.decisions.volumes.terms import VolumeTerms
from hwds.forecast.decisions.volumes.verdict import BANDS, BandRecord
from hwds.statistics.aggregate import one_minus_ratio, pooled
from hwds.statistics.wilson import clustered_wilson


def record_of(deals: pl.DataFrame, terms: VolumeTerms) -> tuple[BandRecord, ...]:
    """Return a record of every band, its bounds and the seasonal naive; empty where no deal has both bands and a known demand.

    Args:
        deals: As `Deals.table` makes them.
        terms: Levels and costs.
    """
    scored = deals.drop_nulls(["actual", *BANDS])
    if scored.is_empty():
        return ()
    columns: dict[str, tuple[str, float | None]] = {band: (band, terms.levels[band]) for band in BANDS}
    columns |= {f"{band}[{scheme}]": (f"{band}_{scheme}", terms.levels[band]) for band in BOUNDED for scheme in SCHEMES}
    if not scored["naive"].null_count():
        columns["naive"] = ("naive", None)
    return tuple(_line(scored, name, column, level, terms) for name, (column, level) in columns.items())


def _line(scored: pl.DataFrame, name: str, column: str, level: float | None, terms: VolumeTerms) -> BandRecord:
    names = scored["deal"].rank("dense").to_numpy().astype(np.int64) - 1
    volume, actual = scored[column].to_numpy(), scored["actual"].to_numpy()
    cost = np.bincount(names, terms.cost(volume, actual))
    count = np.bincount(names).astype(np.float64)
    below = np.bincount(names, actual < volume)
    mean_cost, share = pooled(cost, count), pooled(below, count)
    assert share.value is not None
    assert mean_cost.value is not None
    low, high = clustered_wilson(share.value, len(scored), len(count), share.stderr)
    saving = None
    if not scored["naive"].null_count() and name != "naive":
        saving = one_minus_ratio(cost, np.bincount(names, terms.cost(scored["naive"].to_numpy(), actual)))
    return BandRecord(
        band=name,
        level=level,
        below=share.value,
        below_low=low,
        below_high=high,
        deals=len(scored),
        clusters=len(count),
        cost=mean_cost.value,
        cost_stderr=mean_cost.stderr,
        saving=None if saving is None else saving.value,
        saving_low=None if saving is None else saving.low,
        saving_high=None if saving is None else saving.high,
    )
