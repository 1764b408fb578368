"""The settings of a fleet of machines that wear out, which its truth reads too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Protocol

import numpy as np
from annotated_types import Ge, Le, Lt

from hwds.core.recipe import Seed, Small
from hwds.datasets.base import Dataset
from hwds.datasets.simulated.wear.fleet import Machine, WearLaw, leaving_chance, machine
from hwds.frames.runs import Runs


class Worn(Protocol):
    """A machine whose wear is known."""

    @property
    def name(self) -> str:
        """The name of its run."""

    @property
    def wear(self) -> np.ndarray:
        """After each cycle, shape (t,)."""


class WearWorld(Dataset):
    """Machines whose wear is a gamma process and that fail where it reaches 1.

    Attributes:
        mean_life: Cycles that a machine lasts, about.
        regimes: Operating conditions, each with its own level of every sensor.
        censored: The share of machines that are last seen before they fail, about: each may leave in any cycle after the first
            quarter of a mean life, with one chance whatever it will last.
        unit: The name of a cycle (`hours`).
        world_seed: Draws the world.
    """

    mean_life: Annotated[float, Ge(5), Le(2_000), Small(50)] = 120.0
    regimes: Annotated[int, Ge(1), Le(100)] = 3
    censored: Annotated[float, Ge(0), Lt(1)] = 0.2
    unit: str = "cycles"
    world_seed: Seed = 0

    @property
    def law(self) -> WearLaw:
        """The law of the wear."""
        return WearLaw(self.mean_life)

    @property
    def leaving(self) -> float:
        """The chance with which a machine leaves in a cycle."""
        return leaving_chance(self.law, self.censored)

    def fleet(self) -> Iterator[Worn]:
        """Yield the machines."""
        raise NotImplementedError(f"{type(self).__name__}.fleet")


class WearSettings(WearWorld):
    """A fleet of machines that wear out.

    Attributes:
        engines: The number of engines.
        sensors: The number of sensors that see the wear.
        noise: The standard deviation of a sensor, against its change from new to failure.
        period: Lives of a machine over which the fleet is put into service.
    """

    gives = Runs

    engines: Annotated[int, Ge(2), Le(100_000), Small(30)] = 150
    sensors: Annotated[int, Ge(1), Le(1_000), Small(4)] = 8
    noise: Annotated[float, Ge(0), Le(100)] = 0.05
    period: Annotated[float, Ge(0), Le(1_000)] = 3.0

    def fleet(self) -> Iterator[Machine]:
        """Yield the machines."""
        for number in range(self.engines):
            yield machine(
                self.world_seed,
                number,
                self.law,
                sensors=self.sensors,
                regimes=self.regimes,
                noise=self.noise,
                leaving=self.leaving,
                period=self.period * self.mean_life,
            )
