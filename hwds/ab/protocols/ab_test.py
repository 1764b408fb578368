"""AbTest: the analysis of an A/B test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import MinLen

from hwds.ab.family import TEST
from hwds.ab.metrics.checks import Correction
from hwds.ab.metrics.sample import SampleRoles
from hwds.ab.models.base import Comparison
from hwds.ab.pricing import arm_evidence, arm_offers
from hwds.ab.protocols.analysis.ages import age_rows
from hwds.ab.protocols.analysis.caps import Caps
from hwds.ab.protocols.analysis.columns import floats
from hwds.ab.protocols.analysis.events import as_units
from hwds.ab.protocols.analysis.measures import ab_measures
from hwds.ab.protocols.analysis.metrics import Metrics, TestMetric
from hwds.ab.protocols.analysis.model import Analysis, design_at, readable
from hwds.ab.protocols.analysis.rows import Row, as_scores, as_table
from hwds.ab.protocols.analysis.sums import SUMS, Sums
from hwds.ab.protocols.analysis.units import MONEY, Units
from hwds.ab.protocols.planning.effects import Change
from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.recipe import Level, Looks, Names, Positive, PositiveInt, Rising, Small, ZeroDraws
from hwds.evaluation.base import Cell, Evaluation, Score
from hwds.evaluation.context import RunContext
from hwds.frames.outcomes import outcome_unit
from hwds.frames.table import EVENTS_BEFORE, Table
from hwds.pricing.evidence import EvidenceTable, PriceEvidence
from hwds.pricing.offers import Certainty, Offers
from hwds.results.measure import Measure
from hwds.results.tables import Tables
from hwds.splitting.fold import Fold

ROUNDING = 1e-9


class AbTest(Evaluation[Comparison, Table], PriceEvidence):
    """Compare the arms of an A/B test with its control: a table with a row per unit, or running sums by time and arm.

    The sample ratio is checked first. Effects are always-valid unless a model says otherwise; fixed ones have the status
    `unregistered` until the registered size is reached and are of the first so many units (`beyond_size` where the order of
    units is not known), group-sequential ones `unregistered` where no size was. Roles: `arm` and
    `outcome` (several are analysed apart), `price` (revenue is price x the first outcome) with `cost` (margin) or else
    `amount` (the revenue), `covariate`, `stratum`, `time` (needed for more than one look); of running sums `arm`, `time`,
    `count`, `mean` and `variance`.

    Attributes:
        control: The arm that others are held against; None takes the one that is called `control`.
        allocation: The planned share of each arm; equal unless given.
        size: Units of all arms together that were registered before the start.
        alpha: One minus the level of the intervals.
        power: The chance to find an effect, for the minimum effect and the units needed.
        minimum_detectable_effect: The change of conversion that a test should find, as a share of the control's and not 0:
            -0.1 is a tenth fewer buyers. The units per arm that it needs are shown for conversion and, at the arms' prices,
            for revenue.
        looks: Planned looks at equal numbers of units, the last at `size`; each is shown as a step.
        tuned_for: Units at which a confidence sequence is narrowest; None takes `size`, or 5,000. Choose it before the start.
        correction: The correction of p-values for many arms and outcomes, shown beside them: `holm`, `bh` or `none`; of metrics
            the primary ones together, and the secondary ones. With several arms the rate of false winners among all of them
            is simulated with it, and without.
        rows: The meaning of a row: a unit (`units`), or one of the `events` of the entity of `dataset.roles.entity`, whose
            outcomes, amounts and numbers without a role are summed; arm, price, covariates and time are those of its first row.
            Events are read once, at the end: they have no looks and no effects by day.
        caps: The most that an outcome of a unit counts, by the outcome's name, fixed before the start: amounts with a heavy
            tail vary less, and a cap of 1 makes a number of purchases a conversion.
        quantile_caps: The share of the units of all arms together whose outcome counts in full, by the outcome's name: what is
            above that quantile counts as it (winsorised), as in `{revenue: 0.99}`. Read once, at the end: it needs one look.
        metrics: The metrics by name, on which the verdict (ship, hold or stop) stands; without any, all outcomes are analysed
            alike and there is none. Each is its role (`{revenue: primary, bought: secondary}`) or its fields: `role`
            (`primary`, `secondary` or `guardrail`), `outcome` (null is the metric's name), `per` (the column under a ratio),
            `quantile` with `of_nonzero`, `good` (`high` or `low`), and `margin`, the most that a guardrail may be worse as a
            share of the control's.
        exposed: The column that is 1 for units that met what is tested, in both arms alike, and 0 for others. Effects are then
            those on exposed units, and what they are of all units is shown beside them.
        by: Columns of units, such as the country, whose values are compared apart, corrected for their number.
        show_despite_mismatch: Show effects although the sample ratio is not as planned.
        replications: Simulated tests without effect, and as many with the minimum effect.
        simulated_looks: The numbers of looks at which each rule's rate of false winners is simulated, rising; `looks` is added.
        headline: The metric that orders the leaderboard.
    """

    accepts: ClassVar[type] = Comparison
    frame_type: ClassVar[type] = TEST.frame
    task: ClassVar[str] = TEST.name
    keys: ClassVar[tuple[str, ...]] = ("metric", "arm", "rule", "look")
    untunable: ClassVar[str] = "holds arms against each other by a rule that has to be fixed before its data is seen"

    control: str | None = None
    allocation: dict[str, Positive] = field(default_factory=dict)
    size: PositiveInt | None = None
    alpha: Level = 0.05
    power: Level = 0.8
    minimum_detectable_effect: Change = -0.1
    looks: Looks = 1
    tuned_for: PositiveInt | None = None
    correction: Correction = "holm"
    rows: Literal["units", "events"] = "units"
    caps: dict[str, Positive] = field(default_factory=dict)
    quantile_caps: dict[str, Level] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=dict)
    exposed: str | None = None
    by: Names = ()
    show_despite_mismatch: bool = False
    replications: Annotated[ZeroDraws, Small(400)] = 4000
    simulated_looks: Annotated[tuple[Looks, ...], MinLen(1), Rising] = (1, 5, 20, 100)
    headline: str = TEST.headline

    def evidence(self, frame: Table) -> Units | Sums:
        """Return the table, read and checked.

        Raises:
            ConfigError: The control is no arm.
            DataError: A role is missing or a value is wrong.
        """
        units = self._all_units(frame)
        return units.counting(self.metrics) if isinstance(units, Units) else units

    def _all_units(self, frame: Table) -> Units | Sums:
        """Return the table with all of its outcomes, without the units that were not exposed."""
        if not all(frame.roles.get(role) for role in SUMS):
            grown = self.rows == "events"
            caps = Caps(self.caps, self.quantile_caps)
            units = Units.read(as_units(frame, self.by) if grown else frame, self.control, caps, grown=grown)
            return units if self.exposed is None else self._exposed(units, self.exposed)
        wants = {"caps": self.caps, "quantile_caps": self.quantile_caps, "rows": self.rows == "events"}
        wants |= {"metrics": self.metrics, "exposed": self.exposed, "by": self.by}
        named = next((name for name, wanted in wants.items() if wanted), None)
        if named:
            raise ConfigError(f"protocol.{named}: needs rows of units or of events, and these are running sums.")
        return Sums.read(frame, self.control)

    def _exposed(self, units: Units, column: str) -> Units:
        """Return the units that were exposed."""
        if column not in units.table.data.columns:
            raise ConfigError(f"protocol.exposed: no column '{column}'{nearest(column, units.table.data.columns)}")
        met = floats(units.table, column, "covariate") > 0
        if min(np.bincount(units.arm[met], minlength=len(units.arms))) < 2:
            raise DataError(f"protocol.exposed: an arm has fewer than two units with 1 in column '{column}'.")
        return replace(units.part(met), assigned=units.n)

    def offers(self, frame: Table) -> Offers:
        """Return the arms of the table.

        Raises:
            ConfigError: The first outcome has a cap and a price: what an arm earns is not what is counted.
        """
        evidence = self.evidence(frame)
        first = frame.roles.get("outcome", ("",))[0]
        named = dict.fromkeys(self.caps, "caps") | dict.fromkeys(self.quantile_caps, "quantile_caps")
        if first in named and frame.roles.get("price"):
            raise ConfigError(
                f"protocol.{named[first]}: '{first}' has a price; once it is capped it is not what an arm earns. Cap revenue."
            )
        return arm_offers(evidence.table if isinstance(evidence, Units) else frame, evidence)

    def check_pricing(self, decision: str, certainty: Certainty | None, confidence: float) -> None:
        """Refuse a risk that is not the test's own, where the test decides.

        Raises:
            ConfigError: With the field.
        """
        if certainty in (None, "test") and abs(confidence - (1 - self.alpha)) > ROUNDING:
            level = f"1 - protocol.alpha ({1 - self.alpha:g})"
            raise ConfigError(f"decision.confidence: must be {level}, for the test decides, got {confidence:g}.")

    def price_evidence(self, tables: Tables, frame: Table, model: str, offers: Offers, most: int) -> EvidenceTable:
        """Return the counts or the means of the arms, and the test's effects."""
        return arm_evidence(tables, model, offers, self.offers(frame), design_at(self, 0), self.size)

    def split(self, frame: Table) -> Sequence[Fold]:
        """Return one fold: all units.

        Raises:
            ConfigError: An arm or an outcome that a field names is not there, or looks without an order.
            DataError: See `evidence`.
        """
        evidence = self.evidence(frame)
        for arm in self.allocation:
            if arm not in evidence.arms:
                raise ConfigError(f"protocol.allocation: arm '{arm}' has no rows{nearest(arm, evidence.arms)}")
        absent = [arm for arm in evidence.arms if self.allocation and arm not in self.allocation]
        if absent:
            raise ConfigError(f"protocol.allocation: has no share for arm '{absent[0]}'.")
        if self.metrics and all(metric.role != "primary" for metric in self.metrics.values()):
            raise ConfigError("protocol.metrics: must have a primary one, on which the verdict stands.")
        for column in self.by:
            if isinstance(evidence, Units) and column not in evidence.table.data.columns:
                raise ConfigError(f"protocol.by: no column '{column}'{nearest(column, evidence.table.data.columns)}")
        if self.looks > 1 and self.rows == "events":
            raise ConfigError("protocol.looks: must be 1 with protocol.rows=events, whose sums hold what came after a look.")
        if self.looks > 1 and self.quantile_caps:
            raise ConfigError("protocol.looks: must be 1 with protocol.quantile_caps, which hold what came after a look.")
        if self.looks > 1 and not evidence.ordered:
            raise ConfigError(f"protocol.looks: {self.looks} looks need dataset.roles.time, the order in which units came.")
        return [Fold(0, "all units", evidence.n)]

    def check_models(self, models: Mapping[str, Comparison], frame: Table) -> None:
        """Refuse data that a model cannot read; called before the first cell.

        Raises:
            ConfigError: A model lacks a role, or the order of units where it needs the first of them.
            DataError: A value is not what a model needs.
        """
        evidence = self.evidence(frame)
        units = sum(evidence.counts(evidence.n))
        for model in models.values():
            needs = model.needs(SampleRoles(frame.roles))
            if not readable(evidence, needs):
                raise ConfigError(f"model: '{model.name}' compares none of protocol.metrics; take 'ab/welch' or 'ab/cuped'.")
            for label in readable(evidence, needs):
                evidence.sample(label, needs, evidence.n)
            cut = self.size is not None and self.size < units and not evidence.ordered
            if cut and "group_sequential" in model.rules_used():
                raise ConfigError(
                    f"protocol.size: the first {self.size} of {units} units, for the group-sequential looks of '{model.name}',"
                    " need dataset.roles.time, the order in which units came."
                )

    def evaluate_cell(self, model: Comparison, frame: Table, cell: Cell, context: RunContext) -> pl.DataFrame:
        """Return the sample ratio, the arms, the effects at each look, and the simulated rates of the rules."""
        evidence = self.evidence(frame)
        analysis = Analysis(self, model, evidence, model.needs(SampleRoles(frame.roles)), _metrics(evidence), context)
        return as_table(analysis.rows(self._ages(frame, evidence) if model.rules_used() else []))

    def _ages(self, frame: Table, evidence: Units | Sums) -> list[Row]:
        """Return the effects by days since first exposure, of the units that are compared; none but of events in time."""
        if self.rows != "events" or not frame.roles.get("time") or not isinstance(evidence, Units):
            return []
        keys = list(frame.roles["entity"])
        met = frame.data.join(evidence.table.data.select(keys), on=keys, how="semi", maintain_order="left")
        caps = {*self.caps, *self.quantile_caps}
        return age_rows(replace(frame, data=met), self.control, caps, evidence.metrics, self.alpha)

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """Return one score for each row, and the corrected p-values."""
        return as_scores(rows, self.correction)

    def measures(self, frame: Table) -> Sequence[Measure]:
        """Return the measures of a test."""
        evidence, first = self.evidence(frame), frame.roles.get("outcome", ("mean",))[0]
        metrics = _metrics(evidence)
        of_outcome = {first: outcome_unit(frame)} | dict.fromkeys(MONEY, frame.unit)
        named = {}
        for label in evidence.outcomes:
            source = (label in metrics and metrics[label].outcome) or label or first
            named[label] = ("" if label else first, of_outcome.get(source, ""))
        return self._measures(named, len(evidence.arms) > 2, metrics)

    @property
    def rated_looks(self) -> tuple[int, ...]:
        """The numbers of looks whose rates are simulated: those of the test itself among them."""
        return tuple(sorted({*self.simulated_looks, self.looks}))

    def warnings_before(self, frame: Table, models: Mapping[str, Comparison]) -> list[str]:
        """Return how many units the caps change, and which events no exposure precedes."""
        evidence, first = self.evidence(frame), frame.roles.get("outcome", ("",))[0]
        capped = evidence.capped if isinstance(evidence, Units) else {}
        early = int(frame.data[EVENTS_BEFORE].sum()) if EVENTS_BEFORE in frame.data.columns else 0
        before = [f"{early:,} events came before the first exposure of their unit, and do not count."] if early else []
        return before + [
            f"{label or first} counts {cap:,g} at most: {count:,} of {evidence.n:,} units have more."
            for label, (cap, count) in capped.items()
        ]

    def check_names(self) -> None:
        """Refuse a headline that orders no comparison."""
        measures = {each.short: each for each in self._measures({"": ("", "")})}
        ordering = [name for name, each in measures.items() if each.better != "none"]
        if self.headline not in ordering:
            raise ConfigError(f"protocol.headline: '{self.headline}' orders no comparison{nearest(self.headline, ordering)}")

    def _measures(
        self, outcomes: Mapping[str, tuple[str, str]], family: bool = True, metrics: Mapping[str, TestMetric] | None = None
    ) -> tuple[Measure, ...]:
        good = {label: metric.good for label, metric in (metrics or {}).items()}
        return ab_measures(outcomes, self.power, self.rated_looks[-1], self.correction, 1 - self.alpha, family, good)


def _metrics(evidence: Units | Sums) -> Mapping[str, TestMetric]:
    """Return the metrics by label; running sums have none."""
    return evidence.metrics if isinstance(evidence, Units) else {}
