"""The scores of an off-policy evaluation, one estimator at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from hwds.results.tables import TRUTH, Tables

APART = "bias apart"
"""What `ci_method` says of an estimator that aims beside the truth."""


@dataclass(frozen=True, slots=True)
class Reach:
    """A number with its standard error and interval."""

    value: float
    stderr: float | None
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether the interval holds a value."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Estimated:
    """What one estimator says.

    Attributes:
        model: Its label.
        policy: The value of the target policy.
        gain: The policy's value minus the log's.
        logged: The log's own value.
        size: The effective sample size, None where nothing is weighed.
        overlap: The share of the policy's choices that are of arms which the log shows.
        rows: Rows of the log.
        biased: Its interval leaves its bias out.
    """

    model: str
    policy: Reach
    gain: Reach
    logged: Reach
    size: float | None
    overlap: float | None
    rows: int
    biased: bool


def estimates(tables: Tables) -> dict[str, Estimated]:
    """Every estimator that said something, in the order of the scores, the truth's too."""
    labels = tables.scores["model"].unique(maintain_order=True).to_list()
    found = {label: _of(tables, label) for label in labels}
    return {label: made for label, made in found.items() if made is not None}


@dataclass(frozen=True, slots=True)
class Reward:
    """What the rows of a log earn.

    Attributes:
        name: Of the reward (`click`, `revenue`).
        unit: A currency, or empty.
        confidence: Of the intervals.
    """

    name: str
    unit: str
    confidence: float

    @property
    def level(self) -> str:
        """`95 %`."""
        return f"{100 * self.confidence:g} %"

    @property
    def title(self) -> str:
        """`revenue, USD per row`."""
        return f"{self.name}{f', {self.unit}' if self.unit else ''} per row"


def reward_of(tables: Tables) -> Reward:
    """What was evaluated."""
    measure = tables.measure("policy_value")
    return Reward(measure.subject or "reward", measure.measured_in, measure.confidence)


def truth_of(found: dict[str, Estimated]) -> Estimated | None:
    """What a dataset knows of the policy's value; None where it does not."""
    return found.get(TRUTH)


def _of(tables: Tables, label: str) -> Estimated | None:
    rows = {}
    for name in ("policy_value", "improvement", "logged_value", "effective_sample_size", "overlap"):
        table = tables.overall(name).filter(pl.col("model") == label)
        rows[name] = table.row(0, named=True) if len(table) else {}
    own = rows["policy_value"]
    if own.get("value") is None:
        return None
    policy, gain, logged = (_reach(rows[name]) for name in ("policy_value", "improvement", "logged_value"))
    size = rows["effective_sample_size"].get("value")
    overlap = rows["overlap"].get("value")
    return Estimated(label, policy, gain, logged, size, overlap, own["n"], APART in own["ci_method"])


def _reach(row: dict[str, Any]) -> Reach:
    return Reach(row["value"], row["stderr"], row["ci_low"], row["ci_high"])
