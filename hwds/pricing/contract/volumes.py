"""The law of the volume of a contract: from three quantiles, or from the run of a decision on volumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError, nearest
from hwds.results.files import read_table
from hwds.results.folder import RunFolder
from hwds.statistics.coupling import NORMAL, inverse, scores_of

VOLUMES = ("committed", "base", "upside")


@dataclass(frozen=True, slots=True)
class VolumeLaw:
    """The volume that is ordered at today's price over the whole contract.

    Attributes:
        committed, base, upside: Its quantiles.
        levels: Of these.
        source: Where they are from, in words.
        deal: Whose volume that is, as a run names it; empty for none.
        most: The law of what can be delivered, at the same levels; None for any volume.
    """

    committed: float
    base: float
    upside: float
    levels: tuple[float, float, float] = (0.1, 0.5, 0.9)
    source: str = ""
    deal: str = ""
    most: VolumeLaw | None = None

    def at(self, scores: np.ndarray) -> np.ndarray:
        """Return the volumes at normal scores, never below 0: lines through the quantiles over the score."""
        values = np.array([self.committed, self.base, self.upside])
        return np.maximum(inverse(np.array(self.levels), values, scores), 0.0)

    def quantile(self, level: float) -> float:
        """Return the volume at a level."""
        return float(self.at(scores_of(np.array([level])))[0])

    def deliverable(self, volumes: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Return volumes capped by what can be delivered, at normal scores of that."""
        return volumes if self.most is None else np.minimum(volumes, self.most.at(scores))

    @property
    def attainable(self) -> float:
        """The base volume, or what can be delivered of it."""
        return self.base if self.most is None else min(self.base, self.most.base)

    @classmethod
    def around(cls, base: float, spread: float, source: str) -> VolumeLaw:
        """Return a lognormal law by its median and the deviation of its logarithm; quantiles at 10, 50 and 90 %."""
        ends = np.exp(spread * NORMAL.inv_cdf(0.9) * np.array([-1, 1]))
        return cls(base * float(ends[0]), base, base * float(ends[1]), source=source)

    @classmethod
    def of_mapping(cls, volumes: Mapping[str, float]) -> VolumeLaw:
        """Return the law of three volumes at 10, 50 and 90 %.

        Raises:
            ConfigError: One is missing, or they do not rise.
        """
        for name in volumes:
            if name not in VOLUMES:
                raise ConfigError(f"decision.volumes: no volume '{name}'{nearest(name, VOLUMES)}")
        missing = next((name for name in VOLUMES if name not in volumes), None)
        if missing:
            raise ConfigError(f"decision.volumes: needs {', '.join(VOLUMES)}; '{missing}' is missing.")
        low, middle, high = (volumes[name] for name in VOLUMES)
        if not low < middle < high:
            raise ConfigError(f"decision.volumes: must rise, got {low:g}, {middle:g}, {high:g}.")
        return cls(low, middle, high, source="volumes as given")


VOLUME_TABLES = ("volume_bands", "supply_volumes")
"""The tables of decisions on volumes: orders alone, and orders with deliveries."""

DEMAND, MOST = "demand_", "most_"
"""Before the names of volumes in the second: what is asked for, and what could be delivered were more asked for."""


def law_of_run(name: str, deal: str | None) -> VolumeLaw:
    """Return the volumes of a deal as a run decided them last, those to come where it has any.

    The run has `decision=volume_bands`, or `decision=supply_plan`, where what can be delivered caps what is asked for.

    Args:
        name: The run, as `hwds show` takes it.
        deal: Which deal; None where there is one alone.

    Raises:
        ConfigError: There is no such run, decision or deal, or the deal is made in several plants.
        HwdsError: The run is damaged.
    """
    folder = RunFolder.find(name)
    files = [(prefix, folder.path / f"{prefix}{table}.parquet") for prefix in ("future_", "") for table in VOLUME_TABLES]
    prefix, path = next(((prefix, path) for prefix, path in files if path.is_file()), ("", None))
    verdict = None if path is None else folder.read_verdict(prefix)
    if path is None or verdict is None:
        raise ConfigError(f"decision.volume_run: run {folder.title} has no volumes; run it with decision=volume_bands.")
    deals = _latest(read_table(path))
    names = deals["deal"].to_list()
    if deal is None and len(names) > 1:
        raise ConfigError(f"decision.deal: must be one of {len(names)} deals of run {folder.title}{nearest('', names)}")
    if deal is not None and deal not in names:
        raise ConfigError(f"decision.deal: run {folder.title} has no deal '{deal}'{nearest(deal, names)}")
    row = deals.row(0 if deal is None else names.index(deal), named=True)
    if names.count(row["deal"]) > 1:
        raise ConfigError(
            f"decision.deal: '{row['deal']}' is made in {names.count(row['deal'])} plants of run {folder.title}, which has no"
            f" law of their sum; run it without decision.plant, or with the plant in decision.deal."
        )
    planned = path.name.endswith(f"{VOLUME_TABLES[1]}.parquet")
    if planned and f"{MOST}base" not in row:
        raise ConfigError(f"decision.volume_run: run {folder.title} was decided by another version of hwds; run it again.")
    volumes = [row[f"{DEMAND if planned else ''}{each}"] for each in VOLUMES]
    if any(each is None for each in volumes) or not volumes[0] < volumes[1] < volumes[2]:
        raise ConfigError(f"decision.deal: run {folder.title} has no volumes that rise for deal '{row['deal']}'.")
    low, middle, high = (float(verdict["levels"][each]) for each in VOLUMES)
    source, levels = f"run {folder.title}, deal {row['deal']}", (low, middle, high)
    most = VolumeLaw(row[f"{MOST}committed"], row[f"{MOST}base"], row[f"{MOST}upside"], levels) if planned else None
    return VolumeLaw(volumes[0], volumes[1], volumes[2], levels, source, row["deal"], most)


def _latest(deals: pl.DataFrame) -> pl.DataFrame:
    """Return the deals of the last cutoff, which a table tells where series have their own; see `volume_bands`."""
    return deals.filter(pl.col("latest") if "latest" in deals.columns else pl.col("cutoff") == pl.col("cutoff").max())
