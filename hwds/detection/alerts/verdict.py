"""The verdict on alerts: its values and tables, and what it says to a manager."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.detection.alerts.tiers import PASS, RANDOM, TIERS, AlertTerms
from hwds.detection.cases import reasons_in_words
from hwds.frames.table import ROW_ID
from hwds.results.tables import Verdict

# The verdict on alerts, as plain values and tables of alerts, costs and thresholds.

Against = Literal["labels", "truth"]
RIVALS = ("today", "z", "random", "nothing")
"""The policies that an alert policy is compared with."""


@dataclass(frozen=True, slots=True)
class DailyAmount:
    """A number of money a day with its 95 % intervals.

    Attributes:
        value: The number.
        day_low, day_high: The interval over days drawn again; None for a single one.
        entity_low, entity_high: The interval over entities drawn again; None where the data names
            none.
        low, high: The interval over days and entities, both of which rows share; None where either
            are too few to tell.
    """

    value: float
    day_low: float | None = None
    day_high: float | None = None
    entity_low: float | None = None
    entity_high: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRecord:
    """The costs of a policy in the test windows; money and rows are a day.

    Attributes:
        policy: The decision's own label, or one of `RIVALS`.
        against: The side that says which rows are gray: the labels, each weighted by the rows it
            stands for, or the truth.
        cost: Missed loss, wrong blocks and reviews together.
        saving: The saving of the decision's own policy against this one, paired; None for itself.
        missed, wrong_blocks, reviews: The parts of the cost.
        blocked, reviewed: Rows, all of them, labelled or not.
        caught: The loss that was kept from happening.
        caught_share: The same as a share of all that was at stake; None where nothing was.
        honest_blocked: The share of honest rows that are blocked; None without any.
        guarded_blocked: The share of honest rows of the guarded kinds of buyers that are blocked;
            None without any.
    """

    policy: str
    against: Against
    cost: DailyAmount
    saving: DailyAmount | None
    missed: float
    wrong_blocks: float
    reviews: float
    blocked: float
    reviewed: float
    caught: float
    caught_share: float | None
    honest_blocked: float | None
    guarded_blocked: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostCalibration:
    """The calibration of costs: the policy's expected cost a day beside the realised one.

    Attributes:
        against: The side that says which rows are gray.
        expected: The mean of the cost under the probabilities.
        realised: The cost itself.
        expected_low, expected_high: The range in which it lies by what the labels tell of the
            probabilities; None where these are taken for certain.
        surplus: Realised less expected, with the intervals of the test rows.
        low, high: The interval of the surplus by both; None without one.
    """

    against: Against
    expected: float
    realised: float
    expected_low: float | None
    expected_high: float | None
    surplus: DailyAmount
    low: float | None
    high: float | None

    @property
    def holds(self) -> bool | None:
        """True where the surplus may be 0; None where that is not known."""
        return None if self.low is None or self.high is None else self.low <= 0 <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenRule:
    """The rule of one test window.

    Attributes:
        cutoff: The beginning of the test window.
        multiplier: The multiplier of the cost of a wrong block, in the threshold of a block.
        floor: The least expected gain of a review, in money.
        positives: Labelled gray rows behind the choice; too few leave the formula as it is.
        formula_cost, chosen_cost: A day in the deciding windows, of the formula as it is and of the
            choice; None without one.
    """

    cutoff: str
    multiplier: float
    floor: float
    positives: int
    formula_cost: float | None
    chosen_cost: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertVerdict(Verdict):
    """The rows to block and to review, and whether to go by it.

    Attributes:
        action: `ADOPT` or `HOLD`.
        terms: The rule and its rivals.
        chosen: The rule of every test window, oldest first.
        days: The number of days of the test windows.
        rows: The number of rows tested.
        positives: The number of tested rows that are labelled gray.
        record: Every policy against the labels, then against the truth where it is known.
        meaning: The same for what the probabilities promise.
        unit: The unit of money.
        alerts: One row for each row of the test windows that is not passed.
        thresholds: The probabilities from which rows are blocked and reviewed, by what is at stake.
        cases, case_rows: The alerts of the last window as cases, and their rows; see
            `hwds.detection.cases.Cases`.
    """

    action: Literal["ADOPT", "HOLD"]
    terms: AlertTerms
    chosen: tuple[ChosenRule, ...]
    days: int
    rows: int
    positives: int
    record: tuple[PolicyRecord, ...]
    meaning: tuple[CostCalibration, ...]
    unit: str
    alerts: DataFrame
    thresholds: DataFrame
    cases: DataFrame
    case_rows: DataFrame

    files: ClassVar = {
        "alerts": "alerts",
        "alert_costs": "costs",
        "alert_thresholds": "thresholds",
        "cases": "cases",
        "case_rows": "case_rows",
    }
    stored = (
        "terms.wrong_block",
        "terms.review_cost",
        "terms.review_recall",
        "terms.capacity",
        "terms.random_reviews",
        "terms.today",
        "terms.z",
        "terms.guarded",
    )
    words = """
    {%- macro compared(against) %}
    {%- for called, saving in savings(against) %}
    {%- set sign = 1 if saving.value >= 0 else -1 %}
    {{ " and" if not loop.first else "By the " ~ against ~ " it is" }}
    {{ "cheaper" if sign == 1 else "dearer" }} than {{ called }} by
    {% if saving.low is none or saving.high is none -%}
    {{ saving.value | abs | money(unit) }} per day (so few days or customers cannot tell)
    {%- else %}
    {%- set low, high = (saving.low, saving.high) if sign == 1 else (-saving.high, -saving.low) -%}
    {{ (sign * saving.value) | size(low, high, unit) }} per day (95 %:
    {% set reach = (sign * saving.value) | ends(low, high, unit) -%}
    {{ reach | replace(" " ~ unit, "") if unit else reach }})
    {%- endif %}
    {%- if loop.last %}.{% endif %}
    {%- endfor %}
    {%- endmacro %}
    {%- macro rows_of(count) %}{{ count | written(".0f" if count == count | round else ".1f") }}
    {%- endmacro %}
    {%- macro bound(each) %}
    {%- if each == "few_positives" -%}
    of the tested rows {{ positives }} {{ "is" if positives == 1 else "are" }} labelled positive,
    fewer than {{ terms.least_positives }}
    {%- elif each == "guarded" -%}
    it blocks {{ (own.guarded_blocked or 0.0) | chance }} of the honest rows of
    {{ terms.guarded | join(", ") }}, and {{ terms.most_guarded | percent }} is the limit
    {%- elif own_lines -%}
    the labels do not show it to be cheaper than
    {% if excluded[each] | length == rivals | length %}any rival
    {%- else %}{% for name in excluded[each] %}{{ rivals[name] }}
    {%- if not loop.last %} or {% endif %}{% endfor %}{% endif %}
    {%- else -%}
    no test row has a label
    {%- endif %}
    {%- endmacro %}
    {%- set own = own_lines | last %}
    {%- if rule == "none" -%}
    ADOPT: the labels show it to be cheaper than every rival.
    {%- else -%}
    HOLD: {% for each in excluded %}{{ bound(each) }}{{ "; " if not loop.last }}{% endfor %}.
    {%- endif %}

    {% if own -%}
    Per day it blocks {{ rows_of(own.blocked) }} rows and reviews {{ rows_of(own.reviewed) }} of at
    most {{ terms.capacity }}
    {%- if own.caught_share is not none %}, and keeps {{ own.caught | money(unit) }} of
    {{ (own.caught + own.missed) | money(unit) }} ({{ own.caught_share | percent }}){% endif %}.
    {%- if own.guarded_blocked is not none and "guarded" not in excluded %} It blocks
    {{ own.guarded_blocked | chance }} of the honest rows of {{ terms.guarded | join(", ") }}, by
    the {{ own.against }}.
    {%- elif own.guarded_blocked is none and own.honest_blocked is not none %} It blocks
    {{ own.honest_blocked | chance }} of honest rows, by the {{ own.against }}.{% endif %}
    {%- endif %}

    {% set costs = meaning | last %}
    {%- if costs and costs.low is not none and costs.high is not none -%}
    Predicted cost {{ costs.expected | money(unit) }} per day
    {%- if costs.expected_low is not none and costs.expected_high is not none %}
    ({{- costs.expected | ends(costs.expected_low, costs.expected_high, unit) }}, for labels are
    few){% endif %}, actual {{ costs.realised | money(unit) }} by the {{ costs.against }}
    ({{- costs.surplus.value | size(costs.low, costs.high, unit, sign=true) }}, 95 %:
    {{ costs.surplus.value | ends(costs.low, costs.high, unit, sign=true) }}): they
    {{ "cannot be told apart" if costs.holds else "differ" }}.
    {%- endif %}

    {{ compared("labels") }}

    {% if own_lines | length > 1 %}{{ compared("truth") }}{% endif %}
    """

    @property
    def rivals(self) -> dict[str, str]:
        """The names of the rivals for readers."""
        return rival_names(self.terms)

    @property
    def own_lines(self) -> list[PolicyRecord]:
        """The records of the decision's own policy."""
        return [line for line in self.record if line.saving is None]

    def savings(self, against: Against) -> list[tuple[str, DailyAmount]]:
        """Return today's rule and the best of the other rivals, with what the policy saves beside
        each.
        """
        lines = [line for line in self.record if line.against == against and line.saving]
        if not lines:
            return []
        today = next((line for line in lines if line.policy == "today"), lines[0])
        others = [line for line in lines if line is not today]
        best = min(others, key=lambda line: line.cost.value, default=None)
        named = [(self.rivals[today.policy], today.saving)]
        if best is not None:
            named.append((f"the best other rival, {self.rivals[best.policy]},", best.saving))
        return [(name, saving) for name, saving in named if saving is not None]

    @property
    def costs(self) -> DataFrame:
        """Return the record as a table, an interval's ends in columns of their own."""
        return DataFrame([_flatten_record(line) for line in self.record], infer_schema_length=None)

    def of(self, policy: str, against: Against = "labels") -> PolicyRecord | None:
        """Return the record of a policy; None where there is none."""
        return next(
            (line for line in self.record if (line.policy, line.against) == (policy, against)), None
        )


def _flatten_record(line: PolicyRecord) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in asdict(line).items():
        if name in ("cost", "saving"):
            for end in (field.name for field in fields(DailyAmount)):
                flat[name if end == "value" else f"{name}_{end}"] = value and value[end]
        else:
            flat[name] = value
    return flat


# The tables of a decision on alerts: every alert with its reasons, and the thresholds by what
# is at stake.

STAKES = (0.1, 0.5, 0.9, 0.99)
"""The quantiles of what is at stake for which thresholds are reported."""


ALERTS = (
    "cutoff",
    ROW_ID,
    "id",
    "time",
    "entity",
    "tier",
    "score",
    "probability",
    "block_from",
    "at_stake",
    "expected_gain",
    "chance",
    "reasons",
)
"""The columns of the table of alerts."""


def alerts_of(
    test: DataFrame, action: ndarray, chosen: Sequence[ChosenRule], terms: AlertTerms
) -> DataFrame:
    """Return one row for each test row that is not passed, by window, day, tier (`block` first) and
    expected gain.

    `expected_gain` is what the action is expected to save beside passing the row, and `chance` that
    with which the row came to be looked at (role `label_propensity`): 1 but for the random stream.
    Rows that the protocol did not explain have no reasons.
    """
    probability, loss = (test[name].to_numpy() for name in ("probability", "loss"))
    passed = np.full(len(action), PASS, np.int8)
    gain = terms.cost(passed, probability, loss) - terms.cost(action, probability, loss)
    multipliers = {each.cutoff: each.multiplier for each in chosen}
    multiplier = test["cutoff"].replace_strict(multipliers).to_numpy()
    wide = test.with_columns(
        action=Series(action),
        tier=_tier_names(action),
        at_stake=col("loss"),
        expected_gain=Series(gain),
        block_from=Series(terms.block_from(loss, multiplier)),
        chance=pl.when(Series(action == RANDOM)).then(terms.random_reviews).otherwise(1.0),
    ).filter(col("action") != PASS)
    ordered = wide.sort(
        ["fold", "day_id", "action", "expected_gain"],
        descending=[False, False, True, True],
        maintain_order=True,
    )
    return ordered.with_columns(reasons=reasons_in_words(ordered["reasons"])).select(ALERTS)


def _tier_names(action: ndarray) -> Series:
    """Return the names of actions, null for a row that is passed."""
    return Series(action).replace_strict(TIERS, default=None, return_dtype=pl.String)


def alerted_rows(test: DataFrame, action: ndarray) -> DataFrame:
    """Return the rows of the last window that are not passed, with what is at stake and their tier,
    for cases.
    """
    rows = test.with_columns(tier=_tier_names(action), at_stake=col("loss"))
    return rows.filter(col("tier").is_not_null(), fold=test["fold"].max())


def thresholds_of(test: DataFrame, chosen: Sequence[ChosenRule], terms: AlertTerms) -> DataFrame:
    """Return for each test window the probabilities from which rows are blocked and reviewed, by
    what is at stake.

    `block_from` holds where no review is left, `block_always_from` where one is. `review_from` is
    null where no review can be worth its cost.
    """
    made = []
    for each in chosen:
        rows = test.filter(cutoff=each.cutoff)
        loss = np.array([rows["loss"].quantile(level, "nearest") for level in STAKES], float)
        review = terms.review_from(loss, each.floor)
        made.append(
            DataFrame(
                {
                    "cutoff": each.cutoff,
                    "multiplier": each.multiplier,
                    "floor": each.floor,
                    "stake_quantile": STAKES,
                    "at_stake": loss,
                    "block_from": terms.block_from(loss, each.multiplier),
                    "block_always_from": terms.block_always_from(loss, each.multiplier, each.floor),
                    "review_from": [float(from_) if from_ <= 1 else None for from_ in review],
                },
                schema_overrides={"review_from": pl.Float64},
            )
        )
    return pl.concat(made)


def rival_names(terms: AlertTerms) -> dict[str, str]:
    """Return the names of the rivals for readers."""
    review, block = terms.today
    return {
        "today": f"today's rule ({review:g} and {block:g})",
        "z": f"reviews of z > {terms.z:g}",
        "random": "random reviews",
        "nothing": "doing nothing",
    }
