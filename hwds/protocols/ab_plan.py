"""AbPlan: what a test needs, before there is a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import ClassVar, Literal

import polars as pl

from hwds.context import Context
from hwds.errors import ConfigError, nearest
from hwds.frames.table import Table
from hwds.metrics.ab_design import Believed
from hwds.metrics.ab_looks import equal_looks
from hwds.metrics.ab_sample import Design, Roles, Rule
from hwds.metrics.base import Measure
from hwds.models.ab.base import Comparison
from hwds.models.ab.estimating import Estimator
from hwds.protocols.ab_beliefs import beliefs
from hwds.protocols.ab_plan_rows import ROWS, Line, as_plan_scores, plan_measures
from hwds.protocols.ab_planning import Change
from hwds.protocols.base import Cell, Evaluation, Fold, Score
from hwds.recipe import Count, Level, Positive


class AbPlan(Evaluation[Comparison, Table]):
    """How many visitors a test needs, before there is one: units, power and least effects, for conversion and for revenue.

    Reads a row per arm: `arm`, `mean` (the conversion that is believed), `price` (the mean value of an order; without it there
    is no revenue) and `spread`. A rule that may look early is planned for its last look, so that it needs no more units than
    are said; the always-valid one is tuned for the size that is planned.

    Attributes:
        control: The arm that others are held against; None takes the one that is called `control`.
        change: The change to find, as a share of the control's mean and of either outcome (.02 is two percent more buyers, and
            two percent more revenue per visitor); None takes what is believed of the arm.
        size: Units of all arms together, if they are given: then power and the least effects are told too.
        allocation: The planned share of each arm; equal unless given.
        alpha: One minus the level of the intervals.
        power: The chance to find the change.
        correction: `holm` plans each of several arms for the level that Holm asks of the least p-value, alpha / arms.
        looks: Planned looks at equal numbers of units, for group-sequential bounds.
        headline: `size` or `size_revenue`.

    Example:
        python -m hwds +experiment=ab_plan protocol=ab_plan protocol.change=.02
    """

    accepts: ClassVar[type] = Comparison
    cuts: ClassVar[type] = Table
    task: ClassVar[str] = "ab_plan"
    keys: ClassVar[tuple[str, ...]] = ("metric", "arm", "rule")

    control: str | None = None
    change: Change | None = None
    size: Count | None = None
    allocation: dict[str, Positive] = field(default_factory=dict)
    alpha: Level = 0.05
    power: Level = 0.8
    correction: Literal["holm", "none"] = "holm"
    looks: Count = 1
    headline: str = "size"

    def unrehearsed(self) -> str:
        """There is no data yet."""
        return "plans a test by a rule whose error rates are set and not found"

    def split(self, frame: Table) -> Sequence[Fold]:
        """One fold: all arms.

        Raises:
            ConfigError: An arm that a field names is not there, or a change is beyond all buyers.
            DataError: A role is missing or a value is wrong.
        """
        self._beliefs(frame)
        return [Fold(0, "all arms", len(frame.data))]

    def _beliefs(self, frame: Table) -> dict[str, dict[str, Believed]]:
        return beliefs(frame, self.control, self.change, self.allocation)

    def check_models(self, models: Mapping[str, Comparison], frame: Table) -> None:
        """Refuse a comparison without a level.

        Raises:
            ConfigError: It has none (`ab/bayes`).
        """
        for model in models.values():
            if not isinstance(model, Estimator):
                raise ConfigError(f"model: '{model.name}' has no level to plan for; take ab/welch.")
            model.needs(Roles(frame.roles))

    def ask(self, model: Comparison, frame: Table, cell: Cell, context: Context) -> pl.DataFrame:
        """A line for each number, arm, outcome and rule."""
        assert isinstance(model, Estimator)
        binary = model.needs(Roles(frame.roles)).binary
        told = {label: arms for label, arms in self._beliefs(frame).items() if not (binary and label)}
        lines = [line for label, arms in told.items() for rule in model.rules for line in self._lines(model, rule, label, arms)]
        return pl.DataFrame(lines, schema=ROWS, orient="row")

    def _lines(self, model: Estimator, rule: Rule, label: str, arms: Mapping[str, Believed]) -> Iterator[Line]:
        """What one rule needs for one outcome: of each arm, and the size that suffices for all of them."""
        share = 1 / len(arms) if self.correction == "holm" else 1.0

        def reach(both: float, units: float) -> float:
            design = Design(self.alpha, equal_looks(self.looks), self.looks - 1, float(self.size or units), share)
            return model.reach(rule, both, design)

        sizes = {arm: own.units(self.power, reach) for arm, own in arms.items()}
        for arm, own in arms.items():
            size = sizes[arm]
            yield Line("effect", label, arm, rule, own.effect)
            yield Line("change", label, arm, rule, own.effect / own.control)
            yield Line("units_of_arm", label, arm, rule, None if size is None else size * own.shares[1])
            yield Line("units", label, arm, rule, size)
            if self.size is not None:
                least = own.least_effect(self.size, self.power, reach)
                yield Line("power", label, arm, rule, own.power(self.size, reach))
                yield Line("least_effect", label, arm, rule, least)
                yield Line("least_change", label, arm, rule, least / own.control)
        known = [size for size in sizes.values() if size is not None]
        if rule == model.rules[0]:
            yield Line("size", label, None, rule, max(known) if len(known) == len(sizes) else None)

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """Each line as it is."""
        return as_plan_scores(rows)

    def measures(self, frame: Table) -> Sequence[Measure]:
        """What the metrics mean."""
        return plan_measures(self.power, self.alpha, frame.unit)

    def check_names(self) -> None:
        """The headline."""
        known = ("size", "size_revenue")
        if self.headline not in known:
            raise ConfigError(f"protocol.headline: '{self.headline}' orders no comparison{nearest(self.headline, known)}")
