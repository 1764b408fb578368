"""AbTest: the analysis of an A/B test."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import MinLen
from numpy import ndarray

from hwds.ab.analysis import Analysis, design_at, readable_outcomes
from hwds.ab.family import TEST
from hwds.ab.intervals import (
    ONE_ARM_SHARE,
    BalanceCheck,
    Correction,
    leading_unit,
    moved_columns,
    satterthwaite,
    share_between,
    t_bounds,
    t_p,
)
from hwds.ab.models.base import Comparison
from hwds.ab.planning import PlannedChange
from hwds.ab.pricing import arm_evidence, arm_offers
from hwds.ab.rows import (
    ROWS_OF_UNIT,
    AnalysisRow,
    TestMetric,
    TestMetrics,
    ab_measures,
    outcome_metric,
    rows_as_scores,
    rows_as_table,
)
from hwds.ab.sample import SampleRoles, UnitMoments
from hwds.ab.units import (
    CLUSTER_UNITS,
    MADE_OUTCOMES,
    SUM_ROLES,
    TIME_GROUPS,
    OutcomeCaps,
    RunningSums,
    TestUnits,
    arm_codes,
    arm_names,
    event_outcomes,
    group_of_rows,
    number_column,
    units_of_clusters,
    units_of_events,
)
from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.recipe import Level, Looks, Names, Positive, PositiveInt, Rising, Small, ZeroDraws
from hwds.evaluation.protocol import Cell, Evaluation, Fold, RunContext, Score
from hwds.frames.rows import LateOutcomes, late_outcomes
from hwds.frames.table import EVENTS_BEFORE, ROW_ID, Table, outcome_unit
from hwds.pricing.arm_evidence import Certainty, EvidenceTable, PriceEvidence, PriceOffers
from hwds.report.words import say
from hwds.results.tables import Measure, Tables

# Novelty: the effect in each day since a unit's first event, and whether it fades or grows.

MOST_AGES = 28
"""The days since first exposure that are shown."""

LEAST_AGE_UNITS = 30
"""Units of each arm that must have been there so long."""

DAY_US = 86_400_000_000


@dataclass(frozen=True, eq=False)
class UnitAges:
    """Units by the day since their first event.

    Attributes:
        arm: The number of each unit's arm, shape (U,).
        known: The days of each unit that are over by the last event of all, shape (U,).
        unit, age: The unit and the day since first exposure of each event, shape (n,).
    """

    arm: ndarray
    known: ndarray
    unit: ndarray
    age: ndarray

    def sums(self, values: ndarray, days: int) -> ndarray:
        """Return what each unit's events sum to in each of its first days, shape (U, days)."""
        inside = self.age < days
        place = self.unit[inside] * days + self.age[inside]
        return np.bincount(place, values[inside], len(self.arm) * days).reshape(len(self.arm), days)


def age_rows(
    table: Table,
    control: str | None,
    caps: Collection[str],
    metrics: Mapping[str, TestMetric],
    alpha: float,
) -> list[AnalysisRow]:
    """Return the effects by days since first exposure, and their change, of every outcome that is
    summed as it comes.

    A day's effect compares what units did on that day of theirs, those that came too late to have
    it left out; its interval holds for that day alone. The change is compared unit by unit, of
    those that have all of the days: so it is one test.

    Args:
        table: A row for each event.
        control: The arm that is the control; None for the one that is called so.
        caps: Outcomes with a cap have no days, for it is the sum that is capped.
        metrics: By label; those that are ratios or quantiles have no days either. Empty for all
            outcomes.
        alpha: One minus the level.
    """
    names = arm_names(table, control)
    ages, outcomes = ages_of(table, names), event_outcomes(table)
    days = _compared_days(ages, len(names))
    first = table.roles["outcome"][0]
    plain = [
        label
        for label in outcomes
        if not metrics or (label in metrics and not metrics[label].derived)
    ]
    shown = [label for label in plain if (label or first) not in caps]
    rows: list[AnalysisRow] = []
    for label in shown if days > 1 else []:
        sums = ages.sums(outcomes[label], days)
        for arm in range(1, len(names)):
            rows += _age_effects(ages, sums, arm, names[arm], label, alpha)
    return rows


def ages_of(table: Table, names: tuple[str, ...]) -> UnitAges:
    """Return the units of a table of events, whose roles `entity`, `arm` and `time` are given."""
    keys, column = list(table.roles["entity"]), table.column("time")
    if column.dtype.is_temporal():
        time = column.cast(pl.Datetime("us")).to_physical()
    else:
        time = column.cast(pl.Int64) * DAY_US
    # the last date or number is a whole day, which is over
    ended = 0 if column.dtype == pl.Datetime else DAY_US
    data = table.data.select(*keys).with_columns(
        __time=time, __arm=pl.Series(arm_codes(table, names))
    )
    units = data.group_by(keys, maintain_order=True).agg(
        first=pl.col("__time").min(), arm=pl.col("__arm").first()
    )
    placed = data.join(units.with_row_index("__unit"), on=keys, how="left", maintain_order="left")
    known = (time.to_numpy().max() - units["first"].to_numpy() + ended) // DAY_US
    age = (placed["__time"] - placed["first"]).to_numpy() // DAY_US
    return UnitAges(
        units["arm"].to_numpy(), known, placed["__unit"].to_numpy().astype(np.int64), age
    )


def _compared_days(ages: UnitAges, arms: int) -> int:
    """Return the days since first exposure that enough units of each arm have."""
    for days in range(MOST_AGES, 0, -1):
        if np.bincount(ages.arm[ages.known >= days], minlength=arms).min() >= LEAST_AGE_UNITS:
            return days
    return 0


def _age_effects(
    ages: UnitAges, sums: ndarray, arm: int, name: str, label: str, alpha: float
) -> Iterator[AnalysisRow]:
    days = sums.shape[1]
    for day in range(days):
        row = AnalysisRow(outcome_metric("effect_by_age", label), name, "fixed", day + 1)
        yield _compared(row, sums[:, day], ages.known > day, ages.arm, arm, alpha)
    half = days // 2
    change = sums[:, days - half :].mean(axis=1) - sums[:, :half].mean(axis=1)
    row = AnalysisRow(outcome_metric("novelty", label), name, "fixed")
    yield _compared(row, change, ages.known >= days, ages.arm, arm, alpha)


def _compared(
    row: AnalysisRow, values: ndarray, known: ndarray, arms: ndarray, arm: int, alpha: float
) -> AnalysisRow:
    """Return the row with Welch's comparison of an arm with the control, of the units that are
    known.
    """
    mine, theirs = (UnitMoments.of(values[known & (arms == each)][:, None]) for each in (arm, 0))
    stderr = np.sqrt(mine.error + theirs.error)
    df = satterthwaite(mine.error, mine.n, theirs.error, theirs.n)
    value = mine.first - theirs.first
    row = replace(row, value=float(value), n=int(mine.n + theirs.n))
    if not stderr > 0:
        return row
    low, high = (float(end) for end in t_bounds(value, stderr, df, alpha))
    p_value = float(t_p(value, stderr, df))
    return replace(row, stderr=float(stderr), low=low, high=high, p_value=p_value)


# What the rows of a test cannot bear: arms given to whole groups, covariates that the test moved,
# one unit that carries the result.

LEAST_LED = 100
"""Units of each arm from which one of them is named that carries the result."""

LEADING_SHARE = 0.5
"""The share of an effect's variance from which a unit is named: without it the effect moves by more
than its standard error.
"""

PROPOSED_CAPS = (0.99, 0.999, 0.9999)
"""Shares of units that count in full; the first is proposed at which the outcome is not 0."""


def refuse_grouped_arms(units: TestUnits) -> None:
    """Refuse rows whose arm was given to a whole group: they share what happened to it.

    A column without a role that has no more values than there are arms is another name of the arm.

    Raises:
        DataError: With the fewest groups that have an arm each.
    """
    found = []
    for name in _group_names(units.table):
        text = group_of_rows(units.table, name).cast(pl.String).fill_null("none")
        codes = text.rank("dense").to_numpy().astype(np.int64) - 1
        told = name in (*TIME_GROUPS, *units.table.roles.get("stratum", ()))
        groups = int(codes.max()) + 1
        several = groups > (1 if told else len(units.arms))
        if several and share_between(units.arm, codes) >= ONE_ARM_SHARE:
            fewest = min(len(np.unique(codes[units.arm == arm])) for arm in set(units.arm))
            found.append((groups, fewest, name))
    if not found:
        return
    groups, fewest, name = min(found)
    each = name if name in TIME_GROUPS else f"value of column '{name}'"
    cure = f"set protocol.clusters={name}, and each counts once."
    if fewest < 2:
        cure = f"an arm has a single {each}; run the test again with arms drawn for each unit."
    if name not in TIME_GROUPS:
        cure += " If the column only names what an arm shows, add it to dataset.roles.ignore."
    raise DataError(
        f"dataset.roles.arm: each {each} has one arm ({groups:,} in all), so its rows are not "
        f"independent; {cure}"
    )


def _group_names(table: Table) -> list[str]:
    """Return the groups of rows that may have had an arm as a whole."""
    kept, times = ("stratum", "covariate"), []
    taken = {name for role, names in table.roles.items() if role not in kept for name in names}
    if table.roles.get("time"):
        kind = table.column("time").dtype
        times = ["week", "day", "hour"] if kind == pl.Datetime else ["week", "day"]
        times = times if kind.is_temporal() else ["day"]
    return times + [
        name
        for name, kind in table.data.schema.items()
        if name not in {*taken, ROW_ID, ROWS_OF_UNIT}
        and kind in (pl.String, pl.Boolean, pl.Categorical, pl.Enum)
    ]


def moved_inputs(units: TestUnits) -> dict[str, BalanceCheck]:
    """Return the covariates and strata that differ between arms by more than chance, by name."""
    roles = units.table.roles
    names = (*roles.get("covariate", ()), *roles.get("stratum", ()))
    return moved_columns(units.table.data, names, units.arm)


MOVED = """
{{ name }} differs between arms by {{ check.difference | written("+.2g") }} standard deviations (p
{{ check.p_value | p_value }}), more than chance: the test changed it, or arms were not drawn at
random.
"""

LEADING = """
One unit carries the result: {{ unit }} (arm {{ arm }}) has {{ called }} {{ amount | brief }}, and
{{ share | percent }} of the variance of the effect.
{%- if without is not none %} Without it the difference of means is {{ without | brief }}, not
{{ effect | brief }}.{% endif %}
{%- if cap %} To limit such units, set protocol.quantile_caps={{ "{" }}{{ called }}: {{ cap }}}.
{%- endif %}
"""


def leading_words(units: TestUnits) -> Iterator[str]:
    """Yield the unit that has most of the variance of an outcome's effect, and the cap to set.

    Conversions have none, and arms with few units.
    """
    if min(units.counts(units.n)) < LEAST_LED:
        return
    for label in units.outcomes:
        values, arm = units.values(label, units.n), units.arm
        unit, share = leading_unit(values, arm)
        if units.prices[label][0] is not None or share <= LEADING_SHARE:
            continue
        compared = arm[unit] or int(np.argmax(np.bincount(arm)[1:])) + 1
        rest = np.arange(units.n) != unit
        means = [
            [values[rows & (arm == each)].mean() for rows in (np.ones(units.n, bool), rest)]
            for each in (compared, 0)
        ]
        caps = (each for each in PROPOSED_CAPS if np.quantile(units.outcomes[label], each) > 0)
        entity = [str(units.table.data[name][unit]) for name in units.table.roles.get("entity", ())]
        yield say(
            LEADING,
            unit=", ".join(entity) or f"row {units.table.data[ROW_ID][unit] + 1}",
            arm=units.arms[arm[unit]],
            called=label or units.table.roles["outcome"][0],
            amount=float(units.outcomes[label][unit]),
            share=share,
            effect=float(means[0][0] - means[1][0]),
            without=None if label in units.derived else float(means[0][1] - means[1][1]),
            cap=None if label in units.derived else next(caps, None),
        )


# AbTest: the analysis of an A/B test.

SHARE_ROUNDING = 1e-9


class AbTest(Evaluation[Comparison, Table], PriceEvidence):
    """Compare the arms of an A/B test with its control: a table with a row per unit, or running
    sums by time and arm.

    The sample ratio is checked first. Effects are always-valid unless a model says otherwise. Fixed
    effects have the status `unregistered` until the registered size is reached, and use that many
    first units (`beyond_size` if the order of units is not known). Group-sequential effects are
    `unregistered` without a registered size. Roles: `arm` and `outcome` (several are analysed
    apart), `price` (revenue is price x the first outcome) with `cost` (margin), or `amount` (the
    revenue), `covariate`, `stratum`, `time` (needed for more than one look); of running sums `arm`,
    `time`, `count`, `mean` and `variance`. With `time` and `available_at`, outcomes that the end of
    the data cut off are weighed for (rows that are units, one look). Arms that were given to whole
    days or regions are refused without `clusters`, and so are covariates and strata that differ
    between arms, for a model that adjusts by them.

    Attributes:
        control: The arm that others are compared with; None takes the arm with the name `control`.
        allocation: The planned share of each arm; equal unless given.
        size: Units of all arms together that were registered before the start.
        alpha: One minus the level of the intervals.
        power: The chance to find an effect, for the minimum effect and the units needed.
        minimum_detectable_effect: The change of conversion that a test should find, as a share of
            the control's and not 0: -0.1 is a tenth fewer buyers. The units per arm that it needs
            are shown for conversion and, at the arms' prices, for revenue.
        looks: Planned looks at equal numbers of units, the last at `size`; each is shown as a step.
        tuned_for: Units at which a confidence sequence is narrowest; None takes `size`, or 5,000.
            Choose it before the start.
        correction: The correction of p-values for many arms and outcomes, in a column of its own:
            `holm`, `bh` or `none`; of metrics the primary ones together, and the secondary ones.
            With several arms the rate of false winners among all of them is simulated with it, and
            without.
        rows: The meaning of a row: a unit (`units`), or one of the `events` of the entity of
            `dataset.roles.entity`. An entity's outcomes, amounts and numbers without a role are
            summed; arm, price, covariates and time come from its first row. Events are read once,
            at the end: they have no looks and no effects by day.
        clusters: What an arm was drawn for, if not for each row: `week`, `day`, `hour`, or a column
            such as the region. Rows of one cluster are added up and count once: outcomes are
            ratios of sums, per row. Read once, at the end.
        caps: The largest value that counts of a unit's outcome, by the outcome's name, fixed before
            the start. Amounts with a heavy tail then vary less, and a cap of 1 turns a number of
            purchases into a conversion.
        quantile_caps: The share of all units whose outcome counts in full, by the outcome's name.
            Values above that quantile count as the quantile (winsorised), as in `{revenue: 0.99}`.
            Read once, at the end: it needs one look.
        metrics: The metrics by name, on which the verdict (ship, hold or stop) stands; without any,
            all outcomes are analysed alike and there is none. Each is its role (`{revenue: primary,
            bought: secondary}`) or its fields: `role` (`primary`, `secondary` or `guardrail`),
            `outcome` (null is the metric's name), `per` (the column under a ratio), `quantile` with
            `of_nonzero`, `good` (`high` or `low`), and `margin`, the most that a guardrail may be
            worse as a share of the control's.
        exposed: The column that is 1 for units that met what is tested, in both arms alike, and 0
            for others. Effects are then effects on exposed units. The table also shows the effects
            on all units.
        by: Columns of units, such as the country, whose values are compared apart, corrected for
            their number.
        show_despite_mismatch: Show effects although the sample ratio is not as planned.
        replications: Simulated tests without effect, and as many with the minimum effect.
        simulated_looks: The numbers of looks at which each rule's rate of false winners is
            simulated, rising; `looks` is added.
        headline: The metric that orders the leaderboard.
    """

    accepts: ClassVar[type] = Comparison
    frame_type: ClassVar[type] = TEST.frame
    task: ClassVar[str] = TEST.name
    keys: ClassVar[tuple[str, ...]] = ("metric", "arm", "rule", "look")
    untunable: ClassVar[str] = (
        "holds arms against each other by a rule that has to be fixed before its data is seen"
    )

    control: str | None = None
    allocation: dict[str, Positive] = field(default_factory=dict)
    size: PositiveInt | None = None
    alpha: Level = 0.05
    power: Level = 0.8
    minimum_detectable_effect: PlannedChange = -0.1
    looks: Looks = 1
    tuned_for: PositiveInt | None = None
    correction: Correction = "holm"
    rows: Literal["units", "events"] = "units"
    clusters: str | None = None
    caps: dict[str, Positive] = field(default_factory=dict)
    quantile_caps: dict[str, Level] = field(default_factory=dict)
    metrics: TestMetrics = field(default_factory=dict)
    exposed: str | None = None
    by: Names = ()
    show_despite_mismatch: bool = False
    replications: Annotated[ZeroDraws, Small(400)] = 4000
    simulated_looks: Annotated[tuple[Looks, ...], MinLen(1), Rising] = (1, 5, 20, 100)
    headline: str = TEST.headline

    def evidence(self, frame: Table) -> TestUnits | RunningSums:
        """Return the table, read and checked.

        Raises:
            ConfigError: The control is no arm.
            DataError: A role is missing or a value is wrong.
        """
        units = self._all_units(frame)
        if not isinstance(units, TestUnits):
            return units
        return units.counting(self._cluster_metrics(units) if self.clusters else self.metrics)

    def _check_clusters(self) -> None:
        """Refuse settings that read single units next to clusters."""
        settings = {
            name: getattr(self, name) for name in ("by", "exposed", "caps", "quantile_caps")
        }
        settings["metrics"] = any(metric.quantile for metric in self.metrics.values())
        named = next((name for name, given in settings.items() if given), None)
        if self.clusters and named:
            what = "a quantile" if named == "metrics" else f"protocol.{named}"
            raise ConfigError(f"protocol.clusters: adds units up, and {what} reads single ones.")

    def _cluster_metrics(self, units: TestUnits) -> dict[str, TestMetric]:
        """Return the metrics of clusters: of what is no ratio, that of its sum to their rows."""
        names = [label or units.table.roles["outcome"][0] for label in units.outcomes]
        metrics = self.metrics or {name: TestMetric() for name in names}
        return {
            name: metric if metric.per else replace(metric, per=CLUSTER_UNITS)
            for name, metric in metrics.items()
        }

    def _late(self, frame: Table) -> LateOutcomes | None:
        """Return the outcomes of units that the end of the data cut off."""
        if self.rows == "events" or not frame.roles.get("arm"):
            return None
        arm = frame.column("arm").cast(pl.String).fill_null("").rank("dense").to_numpy()
        return late_outcomes(frame, arm.astype(np.int64) - 1)

    def _all_units(self, frame: Table) -> TestUnits | RunningSums:
        """Return the table with all of its outcomes, without the units that were not exposed."""
        if not all(frame.roles.get(role) for role in SUM_ROLES):
            self._check_clusters()
            late, events = self._late(frame), self.rows == "events"
            table = late.weighted(frame) if late else frame
            table = units_of_events(table, self.by) if events else table
            table = units_of_clusters(table, self.clusters) if self.clusters else table
            caps = OutcomeCaps(self.caps, self.quantile_caps)
            grown = events or self.clusters or late
            units = TestUnits.read(table, self.control, caps, grown=bool(grown))
            return units if self.exposed is None else self._exposed(units, self.exposed)
        wants: dict[str, Any] = {"caps": self.caps, "quantile_caps": self.quantile_caps}
        wants |= {"rows": self.rows == "events", "metrics": self.metrics}
        wants |= {"exposed": self.exposed, "by": self.by, "clusters": self.clusters}
        named = next((name for name, wanted in wants.items() if wanted), None)
        if named:
            raise ConfigError(
                f"protocol.{named}: needs rows of units or of events, and these are running sums."
            )
        return RunningSums.read(frame, self.control)

    def _exposed(self, units: TestUnits, column: str) -> TestUnits:
        """Return the units that were exposed."""
        if column not in units.table.data.columns:
            raise ConfigError(
                f"protocol.exposed: no column '{column}'{nearest(column, units.table.data.columns)}"
            )
        met = number_column(units.table, column, "covariate") > 0
        if min(np.bincount(units.arm[met], minlength=len(units.arms))) < 2:
            raise DataError(
                f"protocol.exposed: an arm has fewer than two units with 1 in column '{column}'."
            )
        return replace(units.part(met), assigned=units.n)

    def offers(self, frame: Table) -> PriceOffers:
        """Return the arms of the table.

        Raises:
            ConfigError: The first outcome has a cap and a price: what an arm earns is not what is
                counted.
        """
        evidence = self.evidence(frame)
        first = frame.roles.get("outcome", ("",))[0]
        named = dict.fromkeys(self.quantile_caps, "quantile_caps")
        named = dict.fromkeys(self.caps, "caps") | named
        if first in named and frame.roles.get("price"):
            raise ConfigError(
                f"protocol.{named[first]}: '{first}' has a price; once it is capped it is not "
                f"what an arm earns. Cap revenue."
            )
        return arm_offers(evidence.table if isinstance(evidence, TestUnits) else frame, evidence)

    def check_pricing(self, decision: str, certainty: Certainty | None, confidence: float) -> None:
        """Refuse a risk that is not the test's own, where the test decides.

        Raises:
            ConfigError: With the field.
        """
        if certainty in (None, "test") and abs(confidence - (1 - self.alpha)) > SHARE_ROUNDING:
            level = f"1 - protocol.alpha ({1 - self.alpha:g})"
            raise ConfigError(
                f"decision.confidence: must be {level}, for the test decides, got {confidence:g}."
            )

    def price_evidence(
        self, tables: Tables, frame: Table, model: str, offers: PriceOffers, most: int
    ) -> EvidenceTable:
        """Return the counts or the means of the arms, and the test's effects."""
        return arm_evidence(
            tables, model, offers, self.offers(frame), design_at(self, 0), self.size
        )

    def split(self, frame: Table) -> Sequence[Fold]:
        """Return one fold: all units.

        Raises:
            ConfigError: An arm or an outcome that a field names is not there, or looks without an
                order.
            DataError: See `evidence`.
        """
        evidence = self.evidence(frame)
        for arm in self.allocation:
            if arm not in evidence.arms:
                raise ConfigError(
                    f"protocol.allocation: arm '{arm}' has no rows{nearest(arm, evidence.arms)}"
                )
        absent = [arm for arm in evidence.arms if self.allocation and arm not in self.allocation]
        if absent:
            raise ConfigError(f"protocol.allocation: has no share for arm '{absent[0]}'.")
        if self.metrics and all(metric.role != "primary" for metric in self.metrics.values()):
            raise ConfigError(
                "protocol.metrics: must have a primary one, on which the verdict stands."
            )
        if isinstance(evidence, TestUnits) and not self.clusters:
            refuse_grouped_arms(evidence)
        for column in self.by:
            if isinstance(evidence, TestUnits) and column not in evidence.table.data.columns:
                raise ConfigError(
                    f"protocol.by: no column "
                    f"'{column}'{nearest(column, evidence.table.data.columns)}"
                )
        late = "protocol.rows=events, whose sums" if self.rows == "events" else ""
        late = late or ("protocol.quantile_caps, which" if self.quantile_caps else "")
        late = late or ("protocol.clusters, whose sums" if self.clusters else "")
        late = late or ("dataset.roles.available_at: outcomes" if self._late(frame) else "")
        if self.looks > 1 and late:
            raise ConfigError(f"protocol.looks: must be 1 with {late} hold what came after a look.")
        if self.looks > 1 and not evidence.ordered:
            raise ConfigError(
                f"protocol.looks: {self.looks} looks need dataset.roles.time, the order in which "
                f"units came."
            )
        return [Fold(0, "all units", evidence.n)]

    def check_models(self, models: Mapping[str, Comparison], frame: Table) -> None:
        """Refuse data that a model cannot read; called before the first cell.

        Raises:
            ConfigError: A model lacks a role, or the order of units where it needs the first of
                them.
            DataError: A value is not what a model needs.
        """
        evidence = self.evidence(frame)
        units = sum(evidence.counts(evidence.n))
        moved = moved_inputs(evidence) if isinstance(evidence, TestUnits) else {}
        for model in models.values():
            needs = model.needs(SampleRoles(frame.roles))
            if not readable_outcomes(evidence, needs):
                raise ConfigError(
                    f"model: '{model.name}' compares none of protocol.metrics; take 'ab/welch' or "
                    f"'ab/cuped'."
                )
            for label in readable_outcomes(evidence, needs):
                evidence.sample(label, needs, evidence.n)
            strata = frame.roles.get("stratum", ()) if needs.strata else ()
            if wrong := moved.keys() & {*needs.inputs, *strata}:
                raise ConfigError(
                    f"model: '{model.name}' adjusts by '{min(wrong)}', which differs between arms "
                    f"(p {moved[min(wrong)].p_value:.2g}): the test changed it, or arms were not "
                    f"drawn at random; take it out of dataset.roles, or model=ab/welch."
                )
            cut = self.size is not None and self.size < units and not evidence.ordered
            if cut and "group_sequential" in model.rules_used():
                raise ConfigError(
                    f"protocol.size: the first {self.size} of {units} units, for the "
                    f"group-sequential looks of '{model.name}',"
                    " need dataset.roles.time, the order in which units came."
                )

    def evaluate_cell(
        self, model: Comparison, frame: Table, cell: Cell, context: RunContext
    ) -> pl.DataFrame:
        """Return the sample ratio, the arms, the effects at each look, and the simulated rates of
        the rules.
        """
        evidence, needs = self.evidence(frame), model.needs(SampleRoles(frame.roles))
        analysis = Analysis(self, model, evidence, needs, self._metric_roles(evidence), context)
        ages = self._ages(frame, evidence) if model.rules_used() else []
        return rows_as_table(analysis.rows(ages))

    def _ages(self, frame: Table, evidence: TestUnits | RunningSums) -> list[AnalysisRow]:
        """Return the effects by days since first exposure, of the units that are compared.

        None but of events in time.
        """
        in_time = self.rows == "events" and frame.roles.get("time") and not self.clusters
        if not in_time or not isinstance(evidence, TestUnits):
            return []
        keys, units = list(frame.roles["entity"]), evidence.table.data
        met = frame.data.join(units.select(keys), on=keys, how="semi", maintain_order="left")
        caps = {*self.caps, *self.quantile_caps}
        return age_rows(replace(frame, data=met), self.control, caps, evidence.metrics, self.alpha)

    def score(self, rows: pl.DataFrame) -> list[Score]:
        """Return one score for each row, and the corrected p-values."""
        return rows_as_scores(rows, self.correction)

    def measures(self, frame: Table) -> Sequence[Measure]:
        """Return the measures of a test."""
        evidence, first = self.evidence(frame), frame.roles.get("outcome", ("mean",))[0]
        metrics = self._metric_roles(evidence)
        of_outcome = {first: outcome_unit(frame)} | dict.fromkeys(MADE_OUTCOMES, frame.unit)
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
        """Return how many units the caps change, which events no exposure precedes, and what the
        rows cannot bear.
        """
        evidence, first = self.evidence(frame), frame.roles.get("outcome", ("",))[0]
        late, units = self._late(frame), evidence if isinstance(evidence, TestUnits) else None
        moved = moved_inputs(units) if units else {}
        asked = [late.remark] if late else []
        asked += [say(MOVED, name=name, check=check) for name, check in moved.items()]
        asked += leading_words(units) if units else []
        capped = evidence.capped if isinstance(evidence, TestUnits) else {}
        early = int(frame.data[EVENTS_BEFORE].sum()) if EVENTS_BEFORE in frame.data.columns else 0
        before = f"{early:,} events came before the first exposure of their unit, and do not count."
        most = (
            f"{label or first} counts {cap:,g} at most: {count:,} of {evidence.n:,} units have "
            f"more."
            for label, (cap, count) in capped.items()
        )
        return [*([before] if early else []), *most, *asked]

    def check_names(self) -> None:
        """Refuse a headline that orders no comparison."""
        measures = {each.short: each for each in self._measures({"": ("", "")}, True, {})}
        ordering = [name for name, each in measures.items() if each.better != "none"]
        if self.headline not in ordering:
            raise ConfigError(
                f"protocol.headline: '{self.headline}' orders no "
                f"comparison{nearest(self.headline, ordering)}"
            )

    def _measures(
        self,
        outcomes: Mapping[str, tuple[str, str]],
        family: bool,
        metrics: Mapping[str, TestMetric],
    ) -> tuple[Measure, ...]:
        good = {label: metric.good for label, metric in metrics.items()}
        looks, level = self.rated_looks[-1], 1 - self.alpha
        return ab_measures(outcomes, self.power, looks, self.correction, level, family, good)

    def _metric_roles(self, evidence: TestUnits | RunningSums) -> Mapping[str, TestMetric]:
        """Return the metrics by label; none where none were asked for."""
        return evidence.metrics if self.metrics and isinstance(evidence, TestUnits) else {}
