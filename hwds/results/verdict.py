"""Verdict: the result of a decision, as plain values that are stored beside the tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The result of a decision: an action, its reasons, and a sentence.

    Attributes:
        decision: The name of the decision's option.
        action: The action, in a word.
        rule: The rule that was binding, `none` where none was.
        excluded: By rule, the candidates that it excluded.
        sentence: The result in words, for a manager.
    """

    decision: str
    action: str
    rule: str
    excluded: Mapping[str, tuple[str, ...]]
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the tables that are stored in files of their own, by the name of the file."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceStanding:
    """The evidence on one arm, per customer to whom it was offered.

    Attributes:
        arm, price: Its name and what a customer pays (None where the data names no price).
        customers: The number of customers to whom it was offered.
        mean, stderr: Of the posterior of what it earns; None without an estimate.
        probability_best: That it earns most of those that ladder, floor and step allow; None where it is not among them.
    """

    arm: str
    price: float | None
    customers: int
    mean: float | None
    stderr: float | None
    probability_best: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRecord:
    """The performance of the same rule in replications of a simulated world whose truth is known.

    Attributes:
        replications: The number of replications.
        right: Share of changes to an arm that truly earns more than the current one (without one: to the best allowed arm).
        hold: Share without a change.
        wrong: Share of the other changes.
        best_is_current: Whether the current arm is truly the best of those allowed, so that to hold is right.
        regret, stderr: Mean per customer that the best allowed arm truly earns more than the arm in force afterwards, over the
            replications in which one is; None where there is none.
    """

    replications: int
    right: float
    hold: float
    wrong: float
    best_is_current: bool
    regret: float | None
    stderr: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceVerdict(Verdict):
    """A price to charge; all money is per customer to whom it is offered, unless it says otherwise.

    Attributes:
        action: `CHANGE` or `HOLD`.
        current: The arm in force; None where there is none.
        arm, price: To charge from now on; None where nothing is in force and nothing is sure.
        candidate: The arm that seems to earn most among those that the guards leave, the current one apart.
        probability_best: That the candidate earns most of the current arm and all that ladder, floor and step allow.
        probability_gain: That it earns more than the current one; None with the certainty `test`, which knows no such thing.
        gain, gain_low, gain_high: What it earns more than the current one: posterior mean and equal-tailed credible interval;
            with the certainty `test` the effect and the interval of the test.
        confidence: Of the interval and of the rule.
        certainty: How the rule measures the risk: `posterior`, `adaptive`, `always_valid` or `test`.
        risk, risk_allowed: That the candidate earns no more, and the most that the rule allows for changing to it.
        value_of_information: The expected value of perfect information: what knowing the best arm for certain would add to
            charging `arm` (to the one that seems best where nothing is charged).
        customers, value_of_going_on: For so many customers to come, what that is at most worth in all.
        unit: Of money; empty where the data names none.
        standings: Every arm.
        record: Of the same rule in a simulation; None for real evidence.
    """

    action: Literal["CHANGE", "HOLD"]
    current: str | None
    arm: str | None
    price: float | None
    candidate: str | None
    probability_best: float | None
    probability_gain: float | None
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    confidence: float
    certainty: Literal["posterior", "adaptive", "always_valid", "test"]
    risk: float | None
    risk_allowed: float | None
    value_of_information: float | None
    customers: int | None
    value_of_going_on: float | None
    unit: str
    standings: tuple[PriceStanding, ...]
    record: RuleRecord | None
