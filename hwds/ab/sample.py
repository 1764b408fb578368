"""The input and the output of a comparison of arms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy import ndarray

Rule = Literal["always_valid", "fixed", "group_sequential", "bayes"]

EFFECT_NAMES = ("effect", "posterior_effect")
"""The differences of an arm from the control, in the unit of the outcome."""

COMPARING_NAMES = (*EFFECT_NAMES, "lift", "posterior_lift")
"""All numbers that compare an arm with the control, the relative ones too."""

NONZERO = "(nonzero)"
"""The input that is 1 where the outcome is not zero."""


@dataclass(frozen=True, slots=True)
class UnitMoments:
    """The moments of the units of one arm: enough for every comparison, alike for one table and
    many simulated ones.

    Attributes:
        n: Units, any shape B.
        mean: Means of the outcome and of the inputs, shape B + (k,).
        cov: Their covariances with divisor n - 1, shape B + (k, k).
    """

    n: ndarray
    mean: ndarray
    cov: ndarray

    @classmethod
    def of(cls, values: ndarray) -> UnitMoments:
        """Return the moments of rows, shape (n, k); with one row the covariances are NaN."""
        n = len(values)
        centred = values - values.mean(axis=0)
        cov = centred.T @ centred / (n - 1) if n > 1 else np.full((values.shape[1],) * 2, np.nan)
        return cls(np.array(float(n)), values.mean(axis=0), cov)

    @property
    def first(self) -> ndarray:
        """The mean of the outcome, shape B."""
        return self.mean[..., 0]

    @property
    def variance(self) -> ndarray:
        """The variance of the outcome, shape B."""
        return self.cov[..., 0, 0]

    @property
    def error(self) -> ndarray:
        """The squared standard error of the outcome's mean, shape B."""
        return self.variance / self.n


@dataclass(frozen=True, slots=True)
class SampleArm:
    """One arm of a test.

    Attributes:
        name: Its name in the data.
        total: The moments of all of its units.
        strata: The same by stratum, in an axis after B; None where there are none.
        price: Where every outcome of the arm is zero or one number, that number: 1 for a
            conversion; None for other outcomes.
    """

    name: str
    total: UnitMoments
    strata: UnitMoments | None = None
    price: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """The data of one outcome at one look.

    Attributes:
        label: The outcome's name where there are several, empty where it is the only one.
        arms: The control first.
        strata: The names of the strata.
    """

    label: str
    arms: tuple[SampleArm, ...]
    strata: tuple[str, ...] = ()

    @property
    def binary(self) -> bool:
        """True where every outcome is 0 or the price of its arm."""
        return all(arm.price is not None for arm in self.arms)

    @property
    def control(self) -> SampleArm:
        """The control, which the other arms are compared with."""
        return self.arms[0]

    @property
    def others(self) -> tuple[SampleArm, ...]:
        """The arms but the control."""
        return self.arms[1:]


@dataclass(frozen=True, slots=True)
class Design:
    """The design of a test: its level and its looks.

    Attributes:
        alpha: One minus the level of all intervals together.
        fractions: The planned looks as shares of all units, rising to 1.
        look: The number of this look, 0 for the first.
        tuned_for: The number of units of all arms at which a confidence sequence is narrowest.
        share: Of alpha, what one of several comparisons may spend; a confidence sequence stays
            tuned for alpha.
    """

    alpha: float = 0.05
    fractions: tuple[float, ...] = (1.0,)
    look: int = 0
    tuned_for: float = 5000.0
    share: float = 1.0

    @property
    def level(self) -> float:
        """One minus the level of the intervals of one comparison."""
        return self.alpha * self.share


@dataclass(frozen=True, slots=True)
class Finding:
    """One number that a comparison gives; None where it does not apply.

    Attributes:
        metric: `effect`, the difference from the control, `lift`, the relative one,
            `probability_best`, `expected_loss` ...
        arm: The arm that it is about.
        value, stderr, low, high, p_value: The number and its uncertainty.
        rule: The rule by which the interval was made.
    """

    metric: str
    arm: str
    value: float | None
    stderr: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    rule: Rule | None = None

    @property
    def compares(self) -> bool:
        """True where it compares an arm with the control."""
        return self.metric.removesuffix("_by_day") in COMPARING_NAMES


@dataclass(frozen=True, slots=True)
class ComparisonNeeds:
    """The inputs of a comparison beside the outcome.

    Attributes:
        inputs: Columns whose moments with the outcome it needs, `(nonzero)` among them.
        strata: Whether it needs the strata.
        binary: Whether it takes outcomes of 0 and 1 only.
        simpler: It lacks what it is made for and answers as something simpler would.
        plain: Whether it takes means of outcomes alone, and leaves ratios and quantiles to others.
    """

    inputs: tuple[str, ...] = ()
    strata: bool = False
    binary: bool = False
    simpler: bool = False
    plain: bool = False


@dataclass(frozen=True, slots=True)
class SampleRoles:
    """The columns of a table by role, for `needs`."""

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, role: str) -> tuple[str, ...]:
        """Return the columns that play a role."""
        return tuple(self.names.get(role, ()))
