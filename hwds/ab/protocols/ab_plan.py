"""AbPlan: what a test needs, before there is a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame

from hwds.ab.family import PLAN
from hwds.ab.intervals import equal_looks
from hwds.ab.models.base import Comparison, EffectEstimator
from hwds.ab.planning import PlannedChange, power_beyond
from hwds.ab.sample import Design, Rule, SampleRoles
from hwds.ab.units import arm_codes, arm_names, role_numbers
from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.recipe import Level, Looks, Positive, PositiveInt
from hwds.evaluation.protocol import Cell, Evaluation, Fold, RunContext, Score
from hwds.frames.table import Table
from hwds.results.tables import Measure

# Units, power and least effect of a test that has not begun: one arm against the control, at
# the bound of its last look.

MOST_ROUNDS = 100
"""The most iterations for a bound that moves with the units: it moves with the root of their
logarithm.
"""

CriticalValue = Callable[[float, float], float]
"""The critical value of an interval, in standard errors, from the units of both arms and those of
all arms.
"""


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
        return sum(
            variance / share for variance, share in zip(self.variances, self.shares, strict=True)
        )

    def stderr(self, units: float) -> float:
        """Return the standard error of the difference at so many units of all arms."""
        return float(np.sqrt(self.spread / units))

    def bound(self, units: float, critical_value: CriticalValue) -> float:
        """Return the critical value at so many units of all arms."""
        return critical_value(units * sum(self.shares), units)

    def units(self, power: float, critical_value: CriticalValue) -> float | None:
        """Return the units of all arms at which the effect is found with this power.

        None where there is no effect.
        """
        from scipy.special import ndtri

        if not self.effect:
            return None
        units = self.spread / self.effect**2
        for _ in range(MOST_ROUNDS):
            previous, bound = units, self.bound(units, critical_value)
            units = (bound + float(ndtri(power))) ** 2 * self.spread / self.effect**2
            if abs(units - previous) <= 1e-12 * units:
                break
        return units

    def power(self, units: float, critical_value: CriticalValue) -> float:
        """Return the chance to find the effect at so many units of all arms."""
        return power_beyond(self.effect / self.stderr(units), self.bound(units, critical_value))

    def least_effect(self, units: float, power: float, critical_value: CriticalValue) -> float:
        """Return the least effect that so many units of all arms find with this power, the
        variances as believed.
        """
        from scipy.special import ndtri

        return (self.bound(units, critical_value) + float(ndtri(power))) * self.stderr(units)


# The rows of a plan, and what its metrics say of themselves.

PLAN_COLUMNS = {
    "metric": pl.String,
    "label": pl.String,
    "arm": pl.String,
    "rule": pl.String,
    "value": pl.Float64,
}

REVENUE_SUFFIX = "_revenue"
"""The suffix of the metrics of revenue."""


class PlanLine(NamedTuple):
    """One number of a plan.

    Attributes:
        metric: `size`, `units_of_arm`, `effect` ...
        label: Of the outcome: empty for conversion, `revenue`.
        arm: Which; None for all.
        rule: How the interval is to be made.
        value: None where there is no effect to find.
    """

    metric: str
    label: str
    arm: str | None
    rule: str
    value: float | None


def plan_measures(power: float, alpha: float, unit: str) -> tuple[Measure, ...]:
    """Return all measures of a plan."""
    tests = f"{100 * power:g} % of tests"
    size = f"units of all arms at which every arm's change is found in {tests}, at alpha {alpha:g}"
    meanings = {
        "size": size,
        "units": "units of all arms at which this arm's change is found",
        "units_of_arm": "units of that arm among them",
        "effect": "the change that is planned for, of the mean per visitor",
        "change": "the same as a share of the control's mean",
        "power": "share of tests that find it, at the size that is given",
        "least_effect": f"the least change that this size finds in {tests}",
        "least_change": "the same as a share of the control's mean",
    }
    return tuple(
        Measure(
            f"{name}{behind}",
            meaning=meaning,
            better="low" if name == "size" else "none",
            units="plans",
            subject=subject,
            measured_in=unit if behind and name in ("effect", "least_effect") else "",
            beside="always" if name == "size" and behind else "no",
        )
        for name, meaning in meanings.items()
        for behind, subject in (("", "conversion"), (REVENUE_SUFFIX, "revenue per visitor"))
    )


# The assumptions about a test that has not begun, read from a table with a row per arm.


def read_assumptions(
    table: Table, control: str | None, change: float | None, allocation: Mapping[str, float]
) -> dict[str, dict[str, AssumedEffect]]:
    """Return the assumptions by outcome (empty label for the conversion, then `revenue`) and arm
    but the control.

    Args:
        table: A row per arm with the roles `arm`, `mean`, `price` and `spread`.
        control: The arm to be held against.
        change: Of the control's mean, in place of the means of the other arms.
        allocation: By arm.

    Raises:
        ConfigError: An arm is not there, or a change is beyond all buyers.
        DataError: A role is missing, a value is wrong, or an arm has two rows.
    """
    names = arm_names(table, control)
    place = arm_codes(table, names)
    if len(place) > len(names):
        name = names[int(np.argmax(np.bincount(place) > 1))]
        raise DataError(
            f"dataset.roles.arm: arm '{name}' has two rows; a plan has one for each arm."
        )
    columns = [values[np.argsort(place)] for values in _outcome_columns(table)]
    shares = _arm_shares(names, allocation)
    values = {"": np.ones(len(names))} | (
        {"revenue": columns[1]} if table.roles.get("price") else {}
    )
    return {
        label: _assumed_effect(names, columns[0], value, columns[2] * bool(label), change, shares)
        for label, value in values.items()
    }


def _outcome_columns(table: Table) -> tuple[ndarray, ndarray, ndarray]:
    """Return conversions, prices and spreads in the order of the rows."""
    if not table.roles.get("mean"):
        raise DataError("dataset.roles.mean: must be given.")
    share = role_numbers(table, "mean", least=0.0)
    bad = (share <= 0) | (share >= 1)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"dataset.roles.mean: row {row + 1} has {share[row]:g}; a conversion must lie between "
            f"0 and 1."
        )
    price, spread = (_assumed_column(table, role) for role in ("price", "spread"))
    if table.roles.get("price") and not price.all():
        raise DataError(
            f"dataset.roles.price: row {int(np.argmin(price)) + 1} has 0; a price must be above 0."
        )
    return share, price, spread


def _assumed_column(table: Table, role: str) -> ndarray:
    """Return a column of numbers from 0 on, zeros where the table has none."""
    if not table.roles.get(role):
        return np.zeros(len(table.data))
    return role_numbers(table, role, least=0.0)


def _arm_shares(names: Sequence[str], allocation: Mapping[str, float]) -> ndarray:
    for arm in allocation:
        if arm not in names:
            raise ConfigError(f"protocol.allocation: no arm '{arm}'{nearest(arm, names)}")
    absent = [arm for arm in names if allocation and arm not in allocation]
    if absent:
        raise ConfigError(f"protocol.allocation: has no share for arm '{absent[0]}'.")
    shares = np.array([allocation.get(arm, 1.0) for arm in names])
    return shares / shares.sum()


def _assumed_effect(
    names: Sequence[str],
    share: ndarray,
    value: ndarray,
    spread: ndarray,
    change: float | None,
    shares: ndarray,
) -> dict[str, AssumedEffect]:
    buyers = share.copy()
    if change is not None:
        buyers[1:] = share[0] * value[0] * (1 + change) / value[1:]
    mean = buyers * value
    if (buyers >= 1).any():
        name = names[int(np.argmax(buyers >= 1))]
        raise ConfigError(
            f"protocol.change: {change:g} of the control's mean would take more buyers than "
            f"visitors of '{name}'."
        )
    # of revenue per visitor: a share buys, for a mean value with a deviation of `spread` times it
    numbers = zip(buyers.tolist(), value.tolist(), spread.tolist(), strict=True)
    variances = [q * v**2 * (1 + s**2) - (q * v) ** 2 for q, v, s in numbers]
    units = shares.tolist()
    return {
        name: AssumedEffect(
            float(own - mean[0]), float(mean[0]), (variances[0], variance), (units[0], share_of_arm)
        )
        for name, own, variance, share_of_arm in zip(
            names[1:], mean[1:], variances[1:], units[1:], strict=True
        )
    }


# AbPlan: what a test needs, before there is a test.


class AbPlan(Evaluation[Comparison, Table]):
    """The visitors that a test needs before it starts: units, power and least effects, for
    conversion and for revenue.

    Reads a row per arm: `arm`, `mean` (the conversion that is believed), `price` (the mean value of
    an order; without it there is no revenue) and `spread`. A rule that may look early is planned
    for its last look, so it never needs more units than the plan says. The always-valid rule is
    tuned for the planned size.

    Attributes:
        control: The arm that others are compared with; None takes the arm with the name `control`.
        change: The change to find, as a share of the control's mean and of either outcome (.02 is
            two percent more buyers, and two percent more revenue per visitor); None takes what is
            believed of the arm.
        size: Units of all arms together, if known: then power and the least effects are reported
            too.
        allocation: The planned share of each arm; equal unless given.
        alpha: One minus the level of the intervals.
        power: The chance to find the change.
        correction: `holm` plans each of several arms for the level that Holm asks of the least
            p-value, alpha / arms.
        looks: Planned looks at equal numbers of units, for group-sequential bounds.
        headline: The size to plan for: the `size` that finds an effect on conversion, or
            `size_revenue`.
    """

    accepts: ClassVar[type] = Comparison
    frame_type: ClassVar[type] = PLAN.frame
    task: ClassVar[str] = PLAN.name
    keys: ClassVar[tuple[str, ...]] = ("metric", "arm", "rule")
    untunable: ClassVar[str] = "plans a test by a rule whose error rates are set and not found"

    control: str | None = None
    change: PlannedChange | None = None
    size: PositiveInt | None = None
    allocation: dict[str, Positive] = field(default_factory=dict)
    alpha: Level = 0.05
    power: Level = 0.8
    correction: Literal["holm", "none"] = "holm"
    looks: Looks = 1
    headline: str = PLAN.headline

    def split(self, frame: Table) -> Sequence[Fold]:
        """Return one fold: all arms.

        Raises:
            ConfigError: An arm that a field names is not there, or a change is beyond all buyers.
            DataError: A role is missing or a value is wrong.
        """
        self._assumptions(frame)
        return [Fold(0, "all arms", len(frame.data))]

    def _assumptions(self, frame: Table) -> dict[str, dict[str, AssumedEffect]]:
        return read_assumptions(frame, self.control, self.change, self.allocation)

    def check_models(self, models: Mapping[str, Comparison], frame: Table) -> None:
        """Refuse a comparison without a level.

        Raises:
            ConfigError: It has none (`ab/bayes`).
        """
        for model in models.values():
            if not isinstance(model, EffectEstimator):
                raise ConfigError(f"model: '{model.name}' has no level to plan for; take ab/welch.")
            model.needs(SampleRoles(frame.roles))

    def evaluate_cell(
        self, model: Comparison, frame: Table, cell: Cell, context: RunContext
    ) -> DataFrame:
        """Return a line for each number, arm, outcome and rule."""
        assert isinstance(model, EffectEstimator)
        binary = model.needs(SampleRoles(frame.roles)).binary
        outcomes = {
            label: arms
            for label, arms in self._assumptions(frame).items()
            if not (binary and label)
        }
        lines = [
            line
            for label, arms in outcomes.items()
            for rule in model.rules
            for line in self._lines(model, rule, label, arms)
        ]
        return DataFrame(lines, schema=PLAN_COLUMNS, orient="row")

    def _lines(
        self, model: EffectEstimator, rule: Rule, label: str, arms: Mapping[str, AssumedEffect]
    ) -> Iterator[PlanLine]:
        """Yield what one rule needs for one outcome: the numbers of each arm, and the size that
        suffices for all arms.
        """
        share = 1 / len(arms) if self.correction == "holm" else 1.0

        def critical_value(both: float, units: float) -> float:
            design = Design(
                self.alpha,
                equal_looks(self.looks),
                self.looks - 1,
                float(self.size or units),
                share,
            )
            return model.critical_value(rule, both, design)

        sizes = []
        for arm, assumed in arms.items():
            size = assumed.units(self.power, critical_value)
            sizes.append(np.nan if size is None else size)
            numbers = {
                "effect": assumed.effect,
                "change": assumed.effect / assumed.control,
                "units_of_arm": None if size is None else size * assumed.shares[1],
                "units": size,
            }
            if self.size is not None:
                least = assumed.least_effect(self.size, self.power, critical_value)
                numbers["power"] = assumed.power(self.size, critical_value)
                numbers |= {"least_effect": least, "least_change": least / assumed.control}
            yield from (PlanLine(name, label, arm, rule, value) for name, value in numbers.items())
        if rule == model.rules[0]:
            most = float(np.max(sizes))
            yield PlanLine("size", label, None, rule, None if np.isnan(most) else most)

    def score(self, rows: DataFrame) -> list[Score]:
        """Return one score for each line."""
        return [
            Score(
                f"{row['metric']}{REVENUE_SUFFIX if row['label'] else ''}",
                "mean",
                row["value"],
                ci_method=row["rule"],
                n=1,
                segment_by=None if row["arm"] is None else "arm",
                segment=row["arm"],
                status="ok" if row["value"] is not None else "no_effect",
            )
            for row in rows.to_dicts()
        ]

    def measures(self, frame: Table) -> Sequence[Measure]:
        """Return the measures of a plan."""
        return plan_measures(self.power, self.alpha, frame.unit)

    def check_names(self) -> None:
        """Refuse a headline that orders no comparison."""
        known = ("size", "size_revenue")
        if self.headline not in known:
            raise ConfigError(
                f"protocol.headline: '{self.headline}' orders no "
                f"comparison{nearest(self.headline, known)}"
            )
