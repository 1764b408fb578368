"""Engines: simulated machines that wear out, with the true law of their remaining life at every cycle."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.datasets.base import Truth
from hwds.datasets.simulated.wear.fleet import Machine
from hwds.datasets.simulated.wear.settings import WearSettings
from hwds.datasets.simulated.wear.truth import WearTruth
from hwds.frames.roles import Roles
from hwds.frames.runs import Runs


class Engines(WearSettings):
    """Machines whose wear is a gamma process and that fail where it reaches 1; sensors see wear with noise, in regimes.

    Machines differ in how fast they wear. The true law of a remaining life, given all wear so far, is known in closed form at
    every cycle: what a model would say whose sensors had no noise. Machines are put into service one after the other, and some
    are taken out of it before they fail.
    """

    def load(self) -> Runs:
        """Return the runs."""
        machines = list(self.fleet())
        table = pl.concat([_rows(each) for each in machines])
        sensors = tuple(f"sensor_{i + 1}" for i in range(self.sensors))
        roles = Roles(entity="machine", cycle="cycle", sensor=sensors, setting=("load", "heat"), event="failed", start="start")
        return Runs.build(table, roles, regimes=self.regimes, unit=self.unit)

    def truth(self, task: str) -> Truth | None:
        """Return the model that knows each machine's wear, and the law by which it goes on."""
        return WearTruth(dataset=self) if task == "remaining_life" else None


def _rows(machine: Machine) -> pl.DataFrame:
    """Return a row for each cycle."""
    life = len(machine.wear)
    columns = {f"sensor_{i + 1}": machine.sensors[:, i] for i in range(machine.sensors.shape[1])}
    failed = np.zeros(life)
    failed[-1] = machine.failed
    return pl.DataFrame(
        {"machine": [machine.name] * life, "cycle": np.arange(1.0, life + 1), "load": machine.settings[:, 0]}
        | {"heat": machine.settings[:, 1], **columns, "failed": failed, "start": np.full(life, machine.start)}
    )
