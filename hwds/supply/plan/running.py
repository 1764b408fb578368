"""The share of machines that run in each step: from the outages of a run with `decision=maintenance`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from hwds.core.errors import ConfigError
from hwds.results.files import read_table
from hwds.results.folder import RunFolder
from hwds.supply.maintenance.rules import OWN


@dataclass(frozen=True, slots=True)
class OutageLaw:
    """The outages of a fleet.

    Attributes:
        slot: The time of a slot, in the unit of ages.
        planned: Expected planned replacements in each slot.
        failures: Expected failures in each slot.
        planned_downtime, failure_downtime: How long a machine stands still for each.
        machines: How many there are.
        long_run: The share of time that a machine stands still after the last slot.
        source: Where that is from, in words.
    """

    slot: float
    planned: tuple[float, ...]
    failures: tuple[float, ...]
    planned_downtime: float
    failure_downtime: float
    machines: int
    long_run: float
    source: str

    def running(self, steps: int, length: float, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw the share of machines' time that they run in each step, shape (n, steps); failures are Poisson.

        Args:
            steps: Of the plan.
            length: The time of a step, in the unit of ages.
            n: Draws.
            rng: Of the failures.
        """
        failures = rng.poisson(np.array(self.failures), (n, len(self.failures)))
        lost = self.planned_downtime * np.array(self.planned) + self.failure_downtime * failures
        edges = self.slot * np.arange(len(self.planned) + 1)
        share = np.empty((n, steps))
        for step in range(steps):
            begin, end = step * length, (step + 1) * length
            inside = np.clip(np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin), 0, None) / self.slot
            beyond = max(end - max(begin, edges[-1]), 0.0)
            share[:, step] = (lost @ inside) / (self.machines * length) + self.long_run * beyond / length
        return np.clip(1 - share, 0.0, 1.0)


def outages_of_run(name: str) -> OutageLaw:
    """Return the last outages that a run reports, those of the machines that run now where it has any.

    Args:
        name: The run, as `hwds show` takes it.

    Raises:
        ConfigError: There is no such run or decision, or no machine runs.
        HwdsError: The run is damaged.
    """
    folder = RunFolder.find(name)
    prefix = next((each for each in ("future_", "") if (folder.path / f"{each}outages.parquet").is_file()), None)
    verdict: dict[str, Any] | None = None if prefix is None else folder.read_verdict(prefix)
    if prefix is None or verdict is None:
        raise ConfigError(f"decision.life_run: run {folder.title} has no outages; run it with decision=maintenance.")
    table = read_table(folder.path / f"{prefix}outages.parquet")
    if not {"slot", "planned_downtime", "failure_downtime"} <= verdict.keys():
        raise ConfigError(f"decision.life_run: run {folder.title} was decided by another version of hwds; run it again.")
    machines = int(table["machines"][0]) if len(table) else 0
    if not machines:
        raise ConfigError(f"decision.life_run: run {folder.title} has no machine that runs.")
    policies = read_table(folder.path / f"{prefix}maintenance_policies.parquet").filter(pl.col("policy") == OWN)
    return OutageLaw(
        slot=float(verdict["slot"]),
        planned=tuple(table["planned"]),
        failures=tuple(table["failures"]),
        planned_downtime=float(verdict["planned_downtime"]),
        failure_downtime=float(verdict["failure_downtime"]),
        machines=machines,
        long_run=float(policies["downtime"][0] or 0.0) if len(policies) else 0.0,
        source=f"run {folder.title}",
    )
