"""The evidence of an A/B test for a choice of price: what each arm earns, and the test's own
effects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from polars import DataFrame

from hwds.ab.intervals import sequence_bounds, sequence_p, sequence_rate, t_bounds, t_p
from hwds.ab.report.scores import (
    FinalEffect,
    compared_arms,
    corrected_p_value,
    decisive_effects,
    final_scores,
    guardrails_hold,
    ratio_row,
)
from hwds.ab.report.tables import RULE_NAMES
from hwds.ab.sample import ComparisonNeeds, Design
from hwds.ab.units import RunningSums, TestUnits
from hwds.frames.table import Table
from hwds.pricing.arm_evidence import (
    EVIDENCE,
    ArmEvidence,
    Contrast,
    EvidenceTable,
    Measured,
    Offer,
    PriceOffers,
    is_binary,
    replications,
    value_by_arm,
)
from hwds.results.tables import Tables

MONEY_OUTCOMES = ("margin", "revenue")
"""The outcomes that are money that an arm brings, the preferred first."""

NORMAL_DF = np.asarray(np.inf)
"""The degrees of freedom of a normal law."""


def arm_offers(table: Table, evidence: TestUnits | RunningSums) -> PriceOffers:
    """Return the arms of a test.

    Args:
        table: A table with a row for each customer, or running sums.
        evidence: The table as the test reads it.
    """
    arm = table.column("arm").cast(pl.String).to_numpy()
    price, cost = (value_by_arm(table, role, arm) for role in ("price", "cost"))
    arms = tuple(Offer(name, price.get(name), cost.get(name)) for name in evidence.arms)
    return PriceOffers(arms, _measured_unit(table, evidence), table.unit, "test")


def arm_evidence(
    tables: Tables,
    model: str,
    offers: PriceOffers,
    own: PriceOffers,
    design: Design,
    size: int | None,
) -> EvidenceTable:
    """Return counts or the mean of the first outcome, the money of arms that have no price of their
    own; see `PriceEvidence`.

    Args:
        tables: The tables of the run.
        model: The model whose evidence counts.
        offers: The arms, with the prices and costs of the decision.
        own: The same with those of the data.
        design: The design of the test.
        size: The number of its registered units.
    """
    rows = tables.predictions.filter(model=model)
    if "metric" not in rows.columns:
        return EvidenceTable(DataFrame(schema=EVIDENCE))
    whole = rows.filter(pl.col("look").is_null() & pl.col("arm").is_not_null())
    means = {(row["metric"], row["arm"]): row for row in whole.to_dicts()}
    lines = (_evidence_line(offer, means, offers.measured) for offer in offers.all)
    rows = DataFrame(list(filter(None, lines)), schema=EVIDENCE, orient="row")
    if ratio_row(tables).get("status") != "ok":
        return EvidenceTable(rows)
    tested = _tested_contrasts(tables, model, 1 - design.alpha) if offers.all == own.all else {}
    contrasts = _mean_contrasts(rows, offers, design, size)
    for pair in tested:
        contrasts.pop(pair, None)
        contrasts.pop(pair[::-1], None)
    return EvidenceTable(rows, contrasts=contrasts | tested)


def _tested_contrasts(
    tables: Tables, model: str, confidence: float
) -> dict[tuple[str, str], Contrast]:
    """Return the effects on money of the model against the control, where the rule that it decides
    by holds.
    """
    own = [effect for effect in decisive_effects(tables) if effect.model == model]
    outcomes = [effect.outcome for effect in own]
    label = next((label for label in MONEY_OUTCOMES if label in outcomes), "")
    control = _control_arm(tables, own)
    found = {}
    for effect in own:
        shown = effect.status == "ok" and effect.rule != "bayes" and effect.outcome == label
        if shown and effect.value is not None and effect.p_value is not None:
            words, risk = RULE_NAMES.get(effect.rule or "", ""), 1.0
            if guardrails_hold(tables, model, effect.arm):
                risk = _corrected_p_value(tables, effect)
            else:
                words = f"{words}, a guardrail is not sure to hold,"
            ends = effect.low, effect.high
            found[effect.arm, control] = Contrast(effect.value, *ends, risk, words, confidence)
    return found


def _control_arm(tables: Tables, own: Sequence[FinalEffect]) -> str:
    """Return the arm that effects are held against: the one that has a mean and no effect."""
    arms = final_scores(tables).filter(metric="arm_mean")["segment"].unique(maintain_order=True)
    others = {effect.arm for effect in own}
    return next((arm for arm in arms if arm not in others), "")


def _corrected_p_value(tables: Tables, effect: FinalEffect) -> float:
    """Return the p-value as the test's sentence has it.

    Where that is uncorrected, Bonferroni's for its arms.
    """
    assert effect.p_value is not None
    adjusted = corrected_p_value(tables, effect)
    return min(1.0, effect.p_value * compared_arms(tables)) if adjusted is None else adjusted


def _mean_contrasts(
    rows: DataFrame, offers: PriceOffers, design: Design, size: int | None
) -> dict[tuple[str, str], Contrast]:
    """Return the differences of the arms' means in the money of the decision, for pairs that the
    test does not compare.

    The interval is an always-valid one, that of a fixed sample where exactly the registered units
    came; p-values are Bonferroni's for the arms.
    """
    first = next(iter(replications(rows, offers)), [])
    arms = [each for each in first if each.posterior is not None]
    fixed = size is not None and size == sum(each.customers for each in arms)
    return {
        (own.arm, other.arm): _difference(
            _arm_moments(own), _arm_moments(other), design, len(arms) - 1, fixed=fixed
        )
        for own, other in combinations(arms, 2)
    }


def _arm_moments(arm: ArmEvidence) -> tuple[float, float, int]:
    """Return what an arm earns, its standard error, and its customers."""
    if arm.counts is not None:
        share = arm.counts.successes / arm.customers
        error = abs(arm.counts.earns) * float(np.sqrt(share * (1 - share) / arm.customers))
        return arm.counts.mean, error, arm.customers
    assert arm.posterior is not None
    return arm.posterior.mean, arm.posterior.deviation, arm.customers


def _difference(
    own: tuple[float, float, int],
    other: tuple[float, float, int],
    design: Design,
    tries: int,
    *,
    fixed: bool,
) -> Contrast:
    gain, stderr, alpha = np.asarray(own[0] - other[0]), np.hypot(own[1], other[1]), design.alpha
    if not stderr:
        return Contrast(float(gain), None, None, 1.0, "", 1 - alpha)
    if fixed:
        words, (low, high) = RULE_NAMES["fixed"], t_bounds(gain, stderr, NORMAL_DF, alpha)
        p = t_p(gain, stderr, NORMAL_DF)
    else:
        n, rate = np.asarray(own[2] + other[2]), sequence_rate(design.tuned_for, alpha)
        words, (low, high) = (
            RULE_NAMES["always_valid"],
            sequence_bounds(gain, stderr, n, rate, alpha),
        )
        p = sequence_p(gain, stderr, n, rate)
    risk = min(1.0, float(p) * tries)
    return Contrast(float(gain), float(low), float(high), risk, words, 1 - alpha)


def _evidence_line(
    offer: Offer, means: Mapping[tuple[str, str], Mapping[str, Any]], measured: Measured
) -> tuple[Any, ...] | None:
    names = [f"arm_mean[{label}]" for label in MONEY_OUTCOMES]
    money = next((means[name, offer.arm] for name in names if (name, offer.arm) in means), None)
    row = means.get(("arm_mean", offer.arm))
    alone = row is None and offer.cost is None  # the metrics of the test are of money alone
    if money is not None and (offer.price is None or alone):
        return 0, offer.arm, money["n"], None, None, money["value"], money["stderr"], "money"
    if row is None:
        return None
    if measured == "conversions" and row["successes"] is not None:
        return 0, offer.arm, row["n"], row["successes"], row["failures"], None, None, measured
    return 0, offer.arm, row["n"], None, None, row["value"], row["stderr"], measured


def _measured_unit(table: Table, evidence: TestUnits | RunningSums) -> Measured:
    """Return what the first outcome of a test measures.

    Running sums of conversions are recognised by their variance.
    """
    if isinstance(evidence, RunningSums):
        arms = evidence.sample("", ComparisonNeeds(), evidence.n).arms
        return "conversions" if all(arm.price == 1 for arm in arms) else "money"
    priced = bool(table.roles.get("price"))
    if is_binary(table) and (priced or not table.roles.get("amount")):
        return "conversions"
    return "quantity" if priced else "money"
