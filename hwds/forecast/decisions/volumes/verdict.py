"""The verdict on volumes, as plain values and a table of deals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

from hwds.results.verdict import Verdict

BANDS = ("committed", "base", "upside", "optimal")
"""The reported quantiles of a deal's volume, and the columns of `VolumeVerdict.deals` that hold them."""

Coupling = Literal["paths", "errors", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BandRecord:
    """The outcome of one volume as the commitment, over the deals of the back-test.

    Attributes:
        band: `committed`, `base`, `upside`, `optimal`, or `naive`: the sum of the seasonal naive's forecasts. With
            `[independent]` or `[together]` behind it, what it would be if the steps had nothing to do with each other, or if
            each were at that same quantile (the sum of the steps' quantiles).
        level: The share of deals that should be below it; None for the naive.
        below, below_low, below_high: The share in which demand was below it, and its 95 % interval (Wilson's, of so many
            independent deals as the clusters of one deal at several cutoffs are worth).
        deals, clusters: How many deals of how many names.
        cost, cost_stderr: Mean cost of a deal, and its standard error clustered by name.
        saving, saving_low, saving_high: 1 - cost over that of the naive, with its 95 % interval; None without a naive.
    """

    band: str
    level: float | None
    below: float
    below_low: float
    below_high: float
    deals: int
    clusters: int
    cost: float
    cost_stderr: float | None
    saving: float | None
    saving_low: float | None
    saving_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeVerdict(Verdict):
    """Volumes for every deal, and whether to commit to them.

    Attributes:
        action: `COMMIT` or `HOLD`.
        levels: Of each band.
        over, under: The cost of a unit committed and not demanded, and of one demanded and not committed.
        coupling: Where the law of the sums is from: sample paths, the rank order of past error vectors, or nowhere.
        steps: The first and the last step of a deal.
        cutoff: The last one at which there are deals; the first and the last of series that have their own.
        n_deals: Deals at that cutoff.
        n_banded: Those of them that have bands.
        vectors: Past error vectors behind them, the fewest; None for paths of single series.
        when: `back-test`, or `future` for the months to come, whose demand is not known.
        record: Every band in the back-test.
        unit: What volumes are counted in.
        deals: One row a deal; see `hwds.forecast.decisions.volumes.deals.Deals.table`.
    """

    action: Literal["COMMIT", "HOLD"]
    levels: Mapping[str, float]
    over: float
    under: float
    coupling: Coupling
    steps: tuple[int, int]
    cutoff: str
    n_deals: int
    n_banded: int
    vectors: int | None
    when: Literal["back-test", "future"]
    record: tuple[BandRecord, ...]
    unit: str
    deals: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; the deals are a table beside them."""
        return {name: value for name, value in asdict(self).items() if name != "deals"}

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the deals."""
        return {"volume_bands": self.deals}

    def of(self, band: str) -> BandRecord | None:
        """Return the record of a band; None where nothing was back-tested."""
        return next((line for line in self.record if line.band == band), None)


def last_deals(deals: pl.DataFrame) -> pl.DataFrame:
    """Return the deals of the last cutoff on the clock that series share; tables of earlier code have the cutoff alone."""
    return deals.filter(pl.col("latest") if "latest" in deals.columns else pl.col("cutoff") == pl.col("cutoff").max())
