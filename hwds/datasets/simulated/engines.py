"""Engines: simulated machines that wear out, with the true law of their remaining life."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
import polars as pl
from annotated_types import Ge, Le, Lt
from numpy import ndarray

from hwds.core.recipe import Seed, Small
from hwds.core.seeds import stream
from hwds.core.serialization import Serializable
from hwds.datasets.base import Dataset, Truth
from hwds.frames.roles import Roles
from hwds.frames.runs import Runs
from hwds.lifetime.laws import Lives, quantiles_of_survival, restricted_mean
from hwds.lifetime.models.base import LifetimeContext

# A fleet of simulated machines that wear out: their wear, their failures, and what sensors say
# of it.

FAILURE = 1.0
"""The wear at which a machine fails."""

LONGEST_LIFE = 5_000
"""Cycles after which a machine that has not failed is taken out of service."""

INTENSITY = 0.5
"""The shape of a cycle's wear, a gamma variable: the smaller, the more it comes in bursts."""

RATE_SHAPE = 25.0
"""The shape of the law of machines' rates: their coefficient of variation is 1 / sqrt of it, .2."""


@dataclass(frozen=True)
class WearLaw:
    """The law of wear: a gamma process whose rate differs from machine to machine (Lawless and
    Crowder 2004).

    A cycle adds a gamma variable of shape `INTENSITY` and scale 1 / rate; rates are gamma of shape
    `RATE_SHAPE`.

    Attributes:
        mean_life: Cycles that a machine lasts, about.
    """

    mean_life: float

    @property
    def rate_scale(self) -> float:
        """The scale of the law of rates: a machine of the mean rate wears by 1 in `mean_life`
        cycles.
        """
        return INTENSITY * self.mean_life / RATE_SHAPE

    def survival(self, age: ndarray, wear: ndarray, ahead: ndarray) -> ndarray:
        """Return the chance to run longer than each of some numbers of cycles, by the age and the
        wear so far.

        Given its wear, a machine's rate is gamma of shape `RATE_SHAPE` plus `INTENSITY` a cycle, so
        that its further wear is a beta prime variable.

        Args:
            age: Cycles so far, shape (n,).
            wear: Below `FAILURE`, shape (n,).
            ahead: From 1, shape (h,).

        Returns:
            Shape (n, h).
        """
        from scipy.special import betainc

        left = (FAILURE - wear)[:, None]
        share = left / (left + (1 / self.rate_scale + wear)[:, None])
        return betainc(INTENSITY * ahead[None, :], (RATE_SHAPE + INTENSITY * age)[:, None], share)

    def hazard(self, age: ndarray, wear: ndarray) -> ndarray:
        """Return the chance to fail in the next cycle, by the age and the wear so far.

        Shapes (n,).
        """
        return 1 - self.survival(age, wear, np.ones(1))[:, 0]


def leaving_chance(law: WearLaw, censored: float) -> float:
    """Return the chance, in each cycle after the first quarter of a mean life, that a machine is
    taken out of service.

    It is the same for all machines and cycles, whatever they will last: their censoring is
    independent of their lives.

    Args:
        law: The law of wear.
        censored: The share of machines that are to leave before they fail.
    """
    from scipy.optimize import brentq

    cycles = np.arange(1.0, LONGEST_LIFE + 1)
    lasts = law.survival(np.zeros(1), np.zeros(1), cycles)[0]
    fails = -np.diff(lasts, prepend=1.0)
    exposed = np.maximum(cycles - 1 - int(law.mean_life / 4), 0)

    def too_few(chance: float) -> float:
        return float(
            1 - fails @ (1 - chance) ** exposed - lasts[-1] * (1 - chance) ** exposed[-1] - censored
        )

    if too_few(0.0) >= 0:
        return 0.0
    return 1.0 if too_few(1.0) <= 0 else float(brentq(too_few, 0.0, 1.0, xtol=1e-12))


def worn_life(rng: np.random.Generator, law: WearLaw, leaving: float) -> tuple[ndarray, int, bool]:
    """Return the wear after each of `LONGEST_LIFE` cycles, the cycles until a machine fails or is
    last seen, and whether it fails.

    Args:
        rng: Draws the life.
        law: The law of wear.
        leaving: The chance, in each cycle after the first quarter of a mean life, that it is last
            seen in it.
    """
    rate = rng.gamma(RATE_SHAPE, law.rate_scale)
    wear = np.cumsum(rng.gamma(INTENSITY, 1 / rate, LONGEST_LIFE))
    life = int(np.searchsorted(wear, FAILURE)) + 1
    failed = life <= LONGEST_LIFE
    life = min(life, LONGEST_LIFE)
    wait = (
        np.log(max(rng.random(), 1e-300)) / np.log1p(-leaving)
        if 0 < leaving < 1
        else LONGEST_LIFE * (1 - leaving)
    )
    out = int(law.mean_life / 4) + 1 + int(min(wait, LONGEST_LIFE))
    return (wear, out, False) if out < life else (wear, life, failed)


@dataclass(frozen=True, eq=False)
class WornMachine:
    """A machine from new to its end.

    Attributes:
        name: Its name.
        wear: After each cycle, shape (t,).
        regime: The regime of each cycle, shape (t,).
        sensors: The sensors of each cycle, shape (t, k).
        settings: The settings of each cycle, shape (t, 2).
        failed: Whether it failed in its last cycle, or was last seen.
        start: The cycle of the fleet's clock before its first.
    """

    name: str
    wear: ndarray
    regime: ndarray
    sensors: ndarray
    settings: ndarray
    failed: bool
    start: float


def draw_machine(settings: WearSettings, number: int, leaving: float) -> WornMachine:
    """Return a machine, which follows from the seed and its number.

    A third of the sensors falls with wear, and one in three turns up late. Operating conditions are
    drawn anew in each cycle.

    Args:
        settings: The fleet.
        number: The number of the machine.
        leaving: The chance, in each cycle after the first quarter of a mean life, that it is last
            seen in it.
    """
    seed, sensors, regimes = settings.world_seed, settings.sensors, settings.regimes
    rng = stream(seed, "machine", number)
    wear, life, failed = worn_life(rng, settings.law, leaving)
    start = float(np.floor(rng.random() * (settings.period * settings.mean_life)))
    wear = wear[:life]
    regime = rng.integers(0, regimes, life)
    worn = np.minimum(wear, FAILURE)
    shapes = np.stack(
        [worn ** (1.0, 1.5, 0.7)[j % 3] * (-1.0 if j % 3 == 2 else 1.0) for j in range(sensors)],
        axis=1,
    )
    level = 3.0 * stream(seed, "levels").normal(size=(regimes, sensors))
    values = level[regime] + shapes + settings.noise * rng.normal(size=shapes.shape)
    conditions = stream(seed, "conditions").uniform(0, 10, (regimes, 2))[
        regime
    ] + 0.01 * rng.normal(size=(life, 2))
    return WornMachine(f"machine {number + 1:03d}", wear, regime, values, conditions, failed, start)


# The settings of a fleet of machines that wear out, which its truth reads too.


class Worn(Protocol):
    """A machine whose wear is known."""

    @property
    def name(self) -> str:
        """The name of its run."""

    @property
    def wear(self) -> ndarray:
        """After each cycle, shape (t,)."""


class WearWorld(Dataset):
    """Machines whose wear is a gamma process and that fail where it reaches 1.

    Attributes:
        mean_life: Cycles that a machine lasts, about.
        regimes: Operating conditions, each with its own level of every sensor.
        censored: The approximate share of machines that are last seen before they fail. Each may
            leave in any cycle after the first quarter of a mean life, with a chance that does not
            depend on its life.
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

    def fleet(self) -> Iterator[WornMachine]:
        """Yield the machines."""
        leaving = self.leaving
        return (draw_machine(self, number, leaving) for number in range(self.engines))


# WearTruth: the true law of the remaining life of simulated machines.

FARTHEST = 20
"""Lives ahead that are looked at: beyond them nothing runs any more."""


class WearTruth(Truth):
    """The law of each machine's remaining life given all of its wear so far: what no sensor shows.

    Attributes:
        dataset: The simulator's settings.
    """

    name: str = "truth"
    dataset: WearWorld

    def learn(self, runs: Runs, context: LifetimeContext) -> KnownWear:
        """Return the wear of all machines after each cycle; nothing is learned."""
        machines = list(self.dataset.fleet())
        wear = {each.name: each.wear for each in machines}
        return KnownWear(
            self.dataset.mean_life, context.cap, wear, context.least if context.by_share else -1
        )


@dataclass(frozen=True, eq=False)
class KnownWear(Serializable):
    """The wear of machines.

    Attributes:
        mean_life: The mean life of the law.
        cap: Of points.
        wear: The wear of each machine after each of its cycles.
        least: Where lives are predicted at shares of a run's rows after the first so many, a life
            is met the more seldom at a cycle the longer it is, and the law is of lives as they are
            met; -1 where they are predicted at any cycle.
    """

    mean_life: float
    cap: float
    wear: dict[str, ndarray]
    least: int

    def predict(self, runs: Runs) -> Lives:
        """Return the true law at the last row of each run."""
        lasts = zip(runs.names, runs.lengths, strict=True)
        worn = np.array([self.wear[name][length - 1] for name, length in lasts])
        ahead = np.arange(1.0, FARTHEST * self.mean_life + 1)
        survival = WearLaw(self.mean_life).survival(
            runs.lengths.astype(float), np.minimum(worn, 1 - 1e-12), ahead
        )
        if self.least >= 0:
            survival = _as_they_are_met(survival, runs.lengths[:, None] + ahead - self.least)
        return Lives.of(
            restricted_mean(ahead, survival, self.cap), quantiles_of_survival(ahead, survival)
        )


def _as_they_are_met(survival: ndarray, room: ndarray) -> ndarray:
    """Return survival curves of lives each of which is met as often as 1 / `room`, shapes (n,
    h).
    """
    chance = -np.diff(np.column_stack([np.ones(len(survival)), survival]), axis=1) / np.maximum(
        room, 1.0
    )
    return 1 - np.cumsum(chance, axis=1) / np.maximum(chance.sum(axis=1, keepdims=True), 1e-300)


# Engines: simulated machines that wear out, with the true law of their remaining life at every
# cycle.


class Engines(WearSettings):
    """Simulated machines that fail when their wear, a gamma process, reaches 1; sensors measure it
    with noise.

    Machines differ in how fast they wear. The true law of a remaining life, given all wear so far,
    is known in closed form at every cycle: what a model would say whose sensors had no noise.
    Machines are put into service one after the other, and some are taken out of it before they
    fail.
    """

    def load(self) -> Runs:
        """Return the runs."""
        machines = list(self.fleet())
        table = pl.concat([_rows(each) for each in machines])
        sensors = tuple(f"sensor_{i + 1}" for i in range(self.sensors))
        roles = Roles(
            entity="machine",
            cycle="cycle",
            sensor=sensors,
            setting=("load", "heat"),
            event="failed",
            start="start",
        )
        return Runs.build(table, roles, regimes=self.regimes, unit=self.unit)

    def truth(self, task: str) -> Truth | None:
        """Return the model that knows each machine's wear, and the law by which it goes on."""
        return WearTruth(dataset=self) if task == "remaining_life" else None


def _rows(machine: WornMachine) -> pl.DataFrame:
    """Return a row for each cycle."""
    life = len(machine.wear)
    columns = {f"sensor_{i + 1}": machine.sensors[:, i] for i in range(machine.sensors.shape[1])}
    failed = np.zeros(life)
    failed[-1] = machine.failed
    return pl.DataFrame(
        {
            "machine": [machine.name] * life,
            "cycle": np.arange(1.0, life + 1),
            "load": machine.settings[:, 0],
            "heat": machine.settings[:, 1],
            **columns,
            "failed": failed,
            "start": np.full(life, machine.start),
        }
    )
