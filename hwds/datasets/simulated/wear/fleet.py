"""A fleet of simulated machines that wear out: their wear, their failures, and what sensors say of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwds.core.seeds import stream

FAILURE = 1.0
"""The wear at which a machine fails."""

LONGEST = 5_000
"""Cycles after which a machine that has not failed is taken out of service."""

INTENSITY = 0.5
"""The shape of a cycle's wear, a gamma variable: the smaller, the more it comes in bursts."""

ALIKE = 25.0
"""The shape of the law of machines' rates: their coefficient of variation is 1 / sqrt of it, .2."""


@dataclass(frozen=True)
class WearLaw:
    """The law of wear: a gamma process whose rate differs from machine to machine (Lawless and Crowder 2004).

    A cycle adds a gamma variable of shape `INTENSITY` and scale 1 / rate; rates are gamma of shape `ALIKE`.

    Attributes:
        mean_life: Cycles that a machine lasts, about.
    """

    mean_life: float

    @property
    def rate_scale(self) -> float:
        """The scale of the law of rates: a machine of the mean rate wears by 1 in `mean_life` cycles."""
        return INTENSITY * self.mean_life / ALIKE

    def survival(self, age: np.ndarray, wear: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        """Return the chance to run longer than each of some numbers of cycles, by the age and the wear so far.

        Given its wear, a machine's rate is gamma of shape `ALIKE` plus `INTENSITY` a cycle, so that its further wear is a beta
        prime variable.

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
        return np.asarray(betainc(INTENSITY * ahead[None, :], (ALIKE + INTENSITY * age)[:, None], share))

    def hazard(self, age: np.ndarray, wear: np.ndarray) -> np.ndarray:
        """Return the chance to fail in the next cycle, by the age and the wear so far; shapes (n,)."""
        return np.asarray(1 - self.survival(age, wear, np.ones(1))[:, 0])


def leaving_chance(law: WearLaw, censored: float) -> float:
    """Return the chance, in each cycle after the first quarter of a mean life, that a machine is taken out of service.

    It is the same for all machines and cycles, whatever they will last: their censoring is independent of their lives.

    Args:
        law: Of wear.
        censored: The share of machines that are to leave before they fail.
    """
    from scipy.optimize import brentq

    cycles = np.arange(1.0, LONGEST + 1)
    lasts = law.survival(np.zeros(1), np.zeros(1), cycles)[0]
    fails = -np.diff(lasts, prepend=1.0)
    exposed = np.maximum(cycles - 1 - int(law.mean_life / 4), 0)

    def too_few(chance: float) -> float:
        return float(1 - fails @ (1 - chance) ** exposed - lasts[-1] * (1 - chance) ** exposed[-1] - censored)

    if too_few(0.0) >= 0:
        return 0.0
    return 1.0 if too_few(1.0) <= 0 else float(brentq(too_few, 0.0, 1.0, xtol=1e-12))


def worn_life(rng: np.random.Generator, law: WearLaw, leaving: float) -> tuple[np.ndarray, int, bool]:
    """Return the wear after each of `LONGEST` cycles, the cycles until a machine fails or is last seen, and whether it fails.

    Args:
        rng: Draws the life.
        law: Of wear.
        leaving: The chance, in each cycle after the first quarter of a mean life, that it is last seen in it.
    """
    rate = rng.gamma(ALIKE, law.rate_scale)
    wear = np.cumsum(rng.gamma(INTENSITY, 1 / rate, LONGEST))
    life = int(np.searchsorted(wear, FAILURE)) + 1
    failed = life <= LONGEST
    life = min(life, LONGEST)
    wait = np.log(max(rng.random(), 1e-300)) / np.log1p(-leaving) if 0 < leaving < 1 else LONGEST * (1 - leaving)
    out = int(law.mean_life / 4) + 1 + int(min(wait, LONGEST))
    return (wear, out, False) if out < life else (wear, life, failed)


@dataclass(frozen=True, eq=False)
class Machine:
    """A machine from new to its end.

    Attributes:
        name: Its name.
        wear: After each cycle, shape (t,).
        regime: Of each cycle, shape (t,).
        sensors: Of each cycle, shape (t, k).
        settings: Of each cycle, shape (t, 2).
        failed: Whether it failed in its last cycle, or was last seen.
        start: The cycle of the fleet's clock before its first.
    """

    name: str
    wear: np.ndarray
    regime: np.ndarray
    sensors: np.ndarray
    settings: np.ndarray
    failed: bool
    start: float


def machine(
    seed: int, number: int, law: WearLaw, *, sensors: int, regimes: int, noise: float, leaving: float, period: float
) -> Machine:
    """Return a machine, which follows from the seed and its number.

    Args:
        seed: The world's.
        number: The machine's.
        law: Of wear.
        sensors: How many; a third of them fall with wear, and one in three turns up late.
        regimes: Operating conditions, drawn anew in each cycle.
        noise: Of sensors, against their change from new to failure.
        leaving: The chance, in each cycle after the first quarter of a mean life, that it is last seen in it.
        period: Cycles over which machines are put into service.
    """
    rng = stream(seed, "machine", number)
    wear, life, failed = worn_life(rng, law, leaving)
    start = float(np.floor(rng.random() * period))
    wear = wear[:life]
    regime = rng.integers(0, regimes, life)
    worn = np.minimum(wear, FAILURE)
    shapes = np.stack([worn ** (1.0, 1.5, 0.7)[j % 3] * (-1.0 if j % 3 == 2 else 1.0) for j in range(sensors)], axis=1)
    level = 3.0 * stream(seed, "levels").normal(size=(regimes, sensors))
    values = level[regime] + shapes + noise * rng.normal(size=shapes.shape)
    conditions = stream(seed, "conditions").uniform(0, 10, (regimes, 2))[regime] + 0.01 * rng.normal(size=(life, 2))
    return Machine(f"machine {number + 1:03d}", wear, regime, values, conditions, failed, start)
