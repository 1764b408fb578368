"""The verdict on alerts, as plain values and tables of alerts, costs and thresholds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import polars as pl

from hwds.results.verdict import Verdict

Against = Literal["labels", "truth"]
RIVALS = ("today", "z", "random", "nothing")
"""The policies that an alert policy is compared with."""


@dataclass(frozen=True, slots=True)
class DailyAmount:
    """A number of money a day with its 95 % intervals.

    Attributes:
        value: The number.
        day_low, day_high: Of days drawn again; None for a single one.
        entity_low, entity_high: Of entities drawn again; None where the data names none.
        low, high: Over days and entities, both of which rows share; None where either are too few to tell.
    """

    value: float
    day_low: float | None
    day_high: float | None
    entity_low: float | None
    entity_high: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRecord:
    """The costs of a policy in the test windows; money and rows are a day.

    Attributes:
        policy: The decision's own label, or one of `RIVALS`.
        against: The side that says which rows are gray: the labels, each weighted by the rows it stands for, or the truth.
        cost: Missed loss, wrong blocks and reviews together.
        saving: What the decision's own policy costs less, paired; None for itself.
        missed, wrong_blocks, reviews: The parts of the cost.
        blocked, reviewed: Rows, all of them, labelled or not.
        caught: The loss that was kept from happening.
        caught_share: Of all that was at stake; None where nothing was.
        honest_blocked: The share of honest rows that are blocked; None without any.
        guarded_blocked: That of the guarded kinds of buyers; None without any.
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
        expected_low, expected_high: Between which it lies by what the labels tell of the probabilities; None where these are
            taken for certain.
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
class Chosen:
    """The rule of one test window.

    Attributes:
        cutoff: Its beginning.
        multiplier: Of what a wrong block costs, in the threshold of a block.
        floor: The least expected gain of a review, in money.
        positives: Labelled gray rows behind the choice; too few leave the formula as it is.
        formula_cost, chosen_cost: A day in the deciding windows, of the formula as it is and of the choice; None without one.
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
        wrong_block, review_cost, review_recall, capacity, random_reviews: The terms.
        chosen: The rule of every test window, oldest first.
        days: Of the test windows.
        rows: Tested.
        positives: Of them, labelled gray.
        record: Every policy against the labels, then against the truth where it is known.
        meaning: The same for what the probabilities promise.
        today: The probabilities from which today's rule reviews and blocks.
        z: The robust z-score from which the rival reviews.
        guarded: The kinds of buyers of `guarded_blocked`; empty where the data does not tell them.
        unit: Of money.
        alerts: One row for each row of the test windows that is not passed.
        thresholds: From which probability a row is blocked and reviewed, by what is at stake.
        cases, case_rows: The alerts of the last window as cases, and their rows; see `hwds.detection.cases.table.Cases`.
    """

    action: Literal["ADOPT", "HOLD"]
    wrong_block: float
    review_cost: float
    review_recall: float
    capacity: int
    random_reviews: float
    chosen: tuple[Chosen, ...]
    days: int
    rows: int
    positives: int
    record: tuple[PolicyRecord, ...]
    meaning: tuple[CostCalibration, ...]
    today: tuple[float, ...]
    z: float
    guarded: tuple[str, ...]
    unit: str
    alerts: pl.DataFrame
    thresholds: pl.DataFrame
    cases: pl.DataFrame
    case_rows: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Plain values; the tables are beside them."""
        tables = {each.name: None for each in fields(self) if isinstance(getattr(self, each.name), pl.DataFrame)}
        plain = asdict(replace(self, **tables))  # type: ignore[arg-type]  # asdict would copy them
        return {name: value for name, value in plain.items() if name not in tables}

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the alerts, the costs of all policies, the thresholds, and the cases of the last window."""
        alerts = {"alerts": self.alerts, "alert_costs": self.costs(), "alert_thresholds": self.thresholds}
        return alerts | {"cases": self.cases, "case_rows": self.case_rows}

    def costs(self) -> pl.DataFrame:
        """Return the record as a table, an interval's ends in columns of their own."""
        return pl.DataFrame([_flat(line) for line in self.record], infer_schema_length=None)

    def of(self, policy: str, against: Against = "labels") -> PolicyRecord | None:
        """Return the record of a policy; None where there is none."""
        return next((line for line in self.record if (line.policy, line.against) == (policy, against)), None)


def _flat(line: PolicyRecord) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in asdict(line).items():
        if name in ("cost", "saving"):
            ends = value or dict.fromkeys(("value", "day_low", "day_high", "entity_low", "entity_high", "low", "high"))
            flat |= {name if end == "value" else f"{name}_{end}": number for end, number in ends.items()}
        else:
            flat[name] = value
    return flat
