"""Factory: simulated plants of machines that wear out, have faults, fail and are replaced, with their true state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, Le

from hwds.core.recipe import Small
from hwds.datasets.base import Truth
from hwds.datasets.simulated.plants.faults import labels_of
from hwds.datasets.simulated.plants.lives import NOISE, FactoryLife, Plan, lives_of
from hwds.datasets.simulated.plants.vibration import FEATURES
from hwds.datasets.simulated.wear.settings import WearWorld
from hwds.datasets.simulated.wear.truth import WearTruth
from hwds.frames.roles import Roles
from hwds.frames.runs import Runs

SENSORS = (*FEATURES, *NOISE)
ROLES = Roles(
    entity="machine",
    cycle="cycle",
    sensor=SENSORS,
    setting=("load", "speed"),
    static=("plant", "kind"),
    event="failed",
    start="start",
    label="fault",
    changepoint="change",
)


class Factory(WearWorld):
    """Plants of pumps, fans and compressors: an hour a cycle, lives one after the other in each machine's place.

    In each cycle an accelerometer takes a window of raw samples, of which features are computed (root mean square, crest,
    kurtosis, the amplitude at the shaft's frequency, that of the envelope at the bearing's); temperature, current, pressure
    and the particles in the oil are read once. Load and speed change in regimes. Wear is a gamma process (see
    `dataset=engines`), whose law of the remaining life is known at every cycle; the bearing is damaged from a wear of .7 on.
    Faults of other kinds come by chance and are mended: a sensor that drifts, has spikes or is stuck, a shaft out of balance.
    Rows with a fault bear a label, those with a damaged bearing too. Machines are replaced when they fail, or before, which
    censors that life.

    Attributes:
        plants: The number of plants, each with its own daily course.
        machines: The number of machines in all plants together.
        lives: The number of lives of each machine, one after the other.
        rate: Samples of the accelerometer a second; below 640 it does not see bearings.
        samples: The number of samples of a window.
        faults: The share of lives that meet a fault by chance, where they are long enough.
        censored: The share of lives that end by a replacement, about.
    """

    gives = Runs

    unit: str = "hours"
    mean_life: Annotated[float, Ge(5), Le(2_000)] = 300.0
    plants: Annotated[int, Ge(1), Le(1_000)] = 3
    machines: Annotated[int, Ge(2), Le(10_000), Small(6)] = 24
    lives: Annotated[int, Ge(1), Le(100), Small(1)] = 2
    rate: Annotated[int, Ge(1), Le(1_000)] = 1000
    samples: Annotated[int, Ge(16), Le(100_000)] = 256
    faults: Annotated[float, Ge(0), Le(1)] = 0.7

    def fleet(self) -> Iterator[FactoryLife]:
        """Yield the lives of all machines."""
        yield from lives_of(
            Plan(
                plants=self.plants,
                machines=self.machines,
                lives=self.lives,
                regimes=self.regimes,
                rate=self.rate,
                samples=self.samples,
                faults=self.faults,
                leaving=self.leaving,
                law=self.law,
                seed=self.world_seed,
            )
        )

    def load(self) -> Runs:
        """Return the lives as runs."""
        table = pl.concat([_rows(life) for life in self.fleet()])
        return Runs.build(table, ROLES, regimes=self.regimes, unit=self.unit)

    def history(self) -> pl.DataFrame:
        """Return what happened to each machine: the faults that came, what was mended, failures and replacements.

        Columns: `machine` (the run), `plant`, `kind` of machine, `what`, `sensor` (null where the machine is at fault), `begin`
        and `end` on the clock that all share.
        """
        return pl.concat([_history(life) for life in self.fleet()])

    def truth(self, task: str) -> Truth | None:
        """Return the model that knows each machine's wear, and the law by which it goes on."""
        return WearTruth(dataset=self) if task == "remaining_life" else None


def _rows(life: FactoryLife) -> pl.DataFrame:
    """Return a row for each cycle of a life."""
    rows = len(life.wear)
    label, change = labels_of(life.faults, rows)
    failed = np.zeros(rows)
    failed[-1] = life.failed
    return pl.DataFrame(
        {
            "machine": [life.name] * rows,
            "cycle": np.arange(1.0, rows + 1),
            "load": life.settings[:, 0],
            "speed": life.settings[:, 1],
            **{name: life.sensors[:, place] for place, name in enumerate(SENSORS)},
            "plant": [life.plant] * rows,
            "kind": [life.kind] * rows,
            "failed": failed,
            "start": np.full(rows, life.start),
            "fault": label,
            "change": change,
        }
    )


def _history(life: FactoryLife) -> pl.DataFrame:
    end = float(len(life.wear))
    events = [(fault.kind, fault.sensor or None, float(fault.begin), float(fault.end)) for fault in life.faults]
    events += [("failure" if life.failed else "replacement", None, end, end)]
    names = {"machine": pl.String, "plant": pl.String, "kind": pl.String, "what": pl.String, "sensor": pl.String}
    rows = [(life.name, life.plant, life.kind, what, sensor, life.start + a, life.start + b) for what, sensor, a, b in events]
    return pl.DataFrame(rows, schema={**names, "begin": pl.Float64, "end": pl.Float64}, orient="row")
