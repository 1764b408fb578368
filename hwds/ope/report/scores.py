"""The scores of an off-policy evaluation, one estimator at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from hwds.ope.protocols.estimation.scores import APART, REFUTED
from hwds.ope.protocols.estimation.target import UNIFORM
from hwds.results.tables import TRUTH, Tables


@dataclass(frozen=True, slots=True)
class ValueWithInterval:
    """A number with its standard error and interval."""

    value: float
    stderr: float | None
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Return whether the interval contains a value."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Estimated:
    """The estimates of one estimator.

    Attributes:
        model: Its label.
        policy: The value of the target policy.
        gain: The policy's value minus the log's.
        logged: The log's own value.
        size: The effective sample size, None where nothing is weighed.
        overlap: The share of the policy's choices that are of arms which the log shows.
        rows: Rows of the log.
        biased: Its interval leaves its bias out.
        method: How its interval was made.
        mean_weight: The mean of the weights and its standard error, which is None where they are no ratios of propensities.
        wrong_weights: Whether the mean weight speaks against the log's propensities.
    """

    model: str
    policy: ValueWithInterval
    gain: ValueWithInterval
    logged: ValueWithInterval
    size: float | None
    overlap: float | None
    rows: int
    biased: bool
    method: str = ""
    mean_weight: tuple[float, float | None] | None = None
    wrong_weights: bool = False

    @property
    def weighed(self) -> bool:
        """True where rows are weighed by propensities."""
        return self.mean_weight is not None and self.mean_weight[1] is not None


def estimates(tables: Tables) -> dict[str, Estimated]:
    """Return the estimates of every estimator that has a value, in the order of the scores, the truth included."""
    labels = tables.scores["model"].unique(maintain_order=True).to_list()
    by_label = {label: _of(tables, label) for label in labels}
    return {label: estimated for label, estimated in by_label.items() if estimated is not None}


@dataclass(frozen=True, slots=True)
class Reward:
    """The reward of the rows of a log.

    Attributes:
        name: Of the reward (`click`, `revenue`).
        unit: A currency, or empty.
        confidence: Of the intervals.
        policy: The target policy as a config writes it, empty where the run does not say.
    """

    name: str
    unit: str
    confidence: float
    policy: str = ""

    @property
    def of_policy(self) -> str:
        """The mean reward of the policy, in words."""
        return f"the mean {self.name} of {self.policy_name}" if self.policy else f"the policy's mean {self.name}"

    @property
    def policy_name(self) -> str:
        """The policy, in words."""
        if self.policy == UNIFORM:
            return "a policy that shows every logged arm as often"
        return f"the policy {self.policy}".rstrip()

    @property
    def level(self) -> str:
        """`95 %`."""
        return f"{100 * self.confidence:g} %"

    @property
    def title(self) -> str:
        """`revenue, USD per row`."""
        return f"{self.name}{f', {self.unit}' if self.unit else ''} per row"


def reward_of(tables: Tables) -> Reward:
    """Return the reward that was evaluated."""
    measure = tables.measure("policy_value")
    return Reward(measure.subject or "reward", measure.measured_in, measure.confidence, measure.called)


def truth_of(by_label: dict[str, Estimated]) -> Estimated | None:
    """Return the dataset's true value of the policy; None where it is unknown."""
    return by_label.get(TRUTH)


def _of(tables: Tables, label: str) -> Estimated | None:
    rows = {}
    for name in ("policy_value", "improvement", "logged_value", "effective_sample_size", "overlap", "mean_weight"):
        table = tables.overall(name).filter(pl.col("model") == label)
        rows[name] = table.row(0, named=True) if len(table) else {}
    own = rows["policy_value"]
    if own.get("value") is None:
        return None
    policy, gain, logged = (_with_interval(rows[name]) for name in ("policy_value", "improvement", "logged_value"))
    size = rows["effective_sample_size"].get("value")
    overlap = rows["overlap"].get("value")
    mean_weight = (rows["mean_weight"]["value"], rows["mean_weight"]["stderr"]) if rows["mean_weight"] else None
    return Estimated(
        label,
        policy,
        gain,
        logged,
        size,
        overlap,
        own["n"],
        APART in own["ci_method"],
        own["ci_method"],
        mean_weight,
        own["status"] == REFUTED,
    )


def _with_interval(row: dict[str, Any]) -> ValueWithInterval:
    return ValueWithInterval(row["value"], row["stderr"], row["ci_low"], row["ci_high"])
