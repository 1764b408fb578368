"""AbPlan: what a test needs, before there is a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import ClassVar, Literal

import polars as pl

from hwds.ab.family import PLAN
from hwds.ab.metrics.design import AssumedEffect
from hwds.ab.metrics.looks import equal_looks
from hwds.ab.metrics.sample import Design, Rule, SampleRoles
from hwds.ab.models.base import Comparison
from hwds.ab.models.rules.estimator import Estimator
from hwds.ab.protocols.planning.assumptions import assumptions
from hwds.ab.protocols.planning.effects import Change
from hwds.ab.protocols.planning.rows import ROWS, Line, as_plan_scores, plan_measures
from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Level, Looks, Positive, PositiveInt
from hwds.evaluation.base import Cell, Evaluation, Score
from hwds.evaluation.context import RunContext
from hwds.frames.table import Table
from hwds.results.measure import Measure
from hwds.splitting.fold import Fold


class AbPlan(Evaluation[Comparison, Table]):
    """The visitors that a test needs before it starts: units, power and least effects, for conversion and for revenue.

    Reads a row per arm: `arm`, `mean` (the conversion that is believed), `price` (the mean value of an order; without it there
    is no revenue) and `spread`. A rule that may look early is planned for its last look, so that it needs no more units than
    are said; the always-valid one is tuned for the size that is planned.

    Attributes:
        control: The arm that others are held against; None takes the one that is called `control`.
        change: The change to find, as a share of the control's mean and of either outcome (.02 is two percent more buyers, and
            two percent more revenue per visitor); None takes what is believed of the arm.
        size: Units of all arms together, if known: then power and the least effects are reported too.
        allocation: The planned share of each arm; equal unless given.
        alpha: One minus the level of the intervals.
        power: The chance to find the change.
        correction: `holm` plans each of several arms for the level that Holm asks of the least p-value, alpha / arms.
        looks: Planned looks at equal numbers of units, for group-sequential bounds.
        headline: The size to plan for: the `size` that finds an effect on conversion, or `size_revenue`.
    """

    accepts: ClassVar[type] = Comparison
    frame_type: ClassVar[type] = PLAN.frame
    task: ClassVar[str] = PLAN.name
    keys: ClassVar[tuple[str, ...]] = ("metric", "arm", "rule")
    untunable: ClassVar[str] = "plans a test by a rule whose error rates are set and not found"

    control: str | None = None
    change: Change | None = None
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
        return assumptions(frame, self.control, self.change, self.allocation)

    def check_models(self, models: Mapping[str, Comparison], frame: Table) -> None:
        """Refuse a comparison without a level.

        Raises:
            ConfigError: It has none (`ab/bayes`).
        """
        for model in models.values():
            if not isinstance(model, Estimator):
                raise ConfigError(f"model: '{model.name}' has no level to plan for; take ab/welch.")
            model.needs(SampleRoles(frame.roles))

    def evaluate_cell(self, model: Comparison, frame: Table, cell: Cell, context: RunContext) -> pl.DataFrame:
        """Return a line for each number, arm, outcome and rule."""
        assert isinstance(model, Estimator)
        binary = model.needs(SampleRoles(frame.roles)).binary
        outcomes = {label: arms for label, arms in self._assumptions(frame).items() if not (binary and label)}
        lines = [
            line for label, arms in outcomes.items() for rule in model.rules for line in self._lines(model, rule, label, arms)
        ]
        return pl.DataFrame(lines, schema=ROWS, orient="row")

    def _lines(self, model: Estimator, rule: Rule, label: str, arms: Mapping[str, AssumedEffect]) -> Iterator[Line]:
        """Yield what one rule needs for one outcome: the numbers of each arm, and the size that suffices for all arms."""
        share = 1 / len(arms) if self.correction == "holm" else 1.0

        def critical_value(both: float, units: float) -> float:
            design = Design(self.alpha, equal_looks(self.looks), self.looks - 1, float(self.size or units), share)
            return model.critical_value(rule, both, design)

        sizes = {arm: assumed.units(self.power, critical_value) for arm, assumed in arms.items()}
        for arm, assumed in arms.items():
            size = sizes[arm]
            yield Line("effect", label, arm, rule, assumed.effect)
            yield Line("change", label, arm, rule, assumed.effect / assumed.control)
            yield Line("units_of_arm", label, arm, rule, None if size is None else size * assumed.shares[1])
            yield Line("units", label, arm, rule, size)
            if self.size is not None:
                least = assumed.least_effect(self.size, self.power, critical_value)
                yield Line("power", label, arm, rule, assumed.power(self.size, critical_value))
                yield Line("least_effect", label, arm, rule, least)
                yield Line("least_change", label, arm, rule, least / assumed.control)
        defined = [size for size in sizes.values() if size is not None]
        if rule == model.rules[0]:
            yield Line("size", label, None, rule, max(defined) if len(defined) == len(sizes) else None)

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """Return one score for each line."""
        return as_plan_scores(rows)

    def measures(self, frame: Table) -> Sequence[Measure]:
        """Return the measures of a plan."""
        return plan_measures(self.power, self.alpha, frame.unit)

    def check_names(self) -> None:
        """Refuse a headline that orders no comparison."""
        known = ("size", "size_revenue")
        if self.headline not in known:
            raise ConfigError(f"protocol.headline: '{self.headline}' orders no comparison{nearest(self.headline, known)}")
