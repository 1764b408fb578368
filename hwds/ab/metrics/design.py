"""Units, power and least effect of a test that has not begun: one arm against the control, at the bound of its last look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwds.ab.metrics.power import power_beyond

ROUNDS = 100
"""The most iterations for a bound that moves with the units: it moves with the root of their logarithm."""

CriticalValue = Callable[[float, float], float]
"""The critical value of an interval, in standard errors, from the units of both arms and those of all arms."""


@dataclass(frozen=True, slots=True)
class AssumedEffect:
    """The assumptions about one outcome of an arm and of the control.

    Attributes:
        effect: The difference of the means.
        control: The mean of the control.
        variances: Of the outcome, in the control and in the arm.
        shares: Of all units, of the control and of the arm.
    """

    effect: float
    control: float
    variances: tuple[float, float]
    shares: tuple[float, float]

    @property
    def spread(self) -> float:
        """The variance of the estimated difference, times all units."""
        return sum(variance / share for variance, share in zip(self.variances, self.shares, strict=True))

    def stderr(self, units: float) -> float:
        """Return the standard error of the difference at so many units of all arms."""
        return float(np.sqrt(self.spread / units))

    def _both(self, units: float) -> float:
        return units * sum(self.shares)

    def units(self, power: float, critical_value: CriticalValue) -> float | None:
        """Return the units of all arms at which the effect is found with this power; None where there is no effect."""
        from scipy.special import ndtri

        if not self.effect:
            return None
        units = self.spread / self.effect**2
        for _ in range(ROUNDS):
            previous, bound = units, critical_value(self._both(units), units)
            units = (bound + float(ndtri(power))) ** 2 * self.spread / self.effect**2
            if abs(units - previous) <= 1e-12 * units:
                break
        return units

    def power(self, units: float, critical_value: CriticalValue) -> float:
        """Return the chance to find the effect at so many units of all arms."""
        return power_beyond(self.effect / self.stderr(units), critical_value(self._both(units), units))

    def least_effect(self, units: float, power: float, critical_value: CriticalValue) -> float:
        """Return the least effect that so many units of all arms find with this power, the variances as believed."""
        from scipy.special import ndtri

        return (critical_value(self._both(units), units) + float(ndtri(power))) * self.stderr(units)


def order_variance(share: float, value: float, spread: float) -> float:
    """Return the variance of revenue per visitor: a share buys, for a mean value with a deviation of `spread` times it."""
    return share * value**2 * (1 + spread**2) - (share * value) ** 2
