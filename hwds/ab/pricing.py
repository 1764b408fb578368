"""The evidence of an A/B test for a choice of price: what each arm earns, and the test's own effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from hwds.ab.metrics.intervals import sequence_bounds, sequence_p, sequence_rate, t_bounds, t_p
from hwds.ab.metrics.sample import Design, Needs
from hwds.ab.protocols.analysis.sums import Sums
from hwds.ab.protocols.analysis.units import Units
from hwds.ab.report.scores import Effect, arms_of, corrected, decisive, final_scores, guardrails_hold, ratio_row
from hwds.ab.report.tables import RULES
from hwds.frames.table import Table
from hwds.pricing.contrasts import Contrast
from hwds.pricing.evidence import EVIDENCE, ArmEvidence, EvidenceTable, replications
from hwds.pricing.offers import Measured, Offer, Offers, is_binary, value_by_arm
from hwds.results.tables import Tables

MONEY = ("margin", "revenue")
"""The outcomes that are money that an arm brings, the preferred first."""

MANY = np.asarray(np.inf)
"""The degrees of freedom of a normal law."""


def arm_offers(table: Table, evidence: Units | Sums) -> Offers:
    """Return the arms of a test.

    Args:
        table: With a row a customer, or running sums.
        evidence: The table as the test reads it.
    """
    arm = table.column("arm").cast(pl.String).to_numpy()
    price, cost = (value_by_arm(table, role, arm) for role in ("price", "cost"))
    arms = tuple(Offer(name, price.get(name), cost.get(name)) for name in evidence.arms)
    return Offers(arms, _measured(table, evidence), table.unit, "test")


def arm_evidence(tables: Tables, model: str, offers: Offers, own: Offers, design: Design, size: int | None) -> EvidenceTable:
    """Return counts or the mean of the first outcome, the money of arms that have no price of their own; see `PriceEvidence`.

    Args:
        tables: Of the run.
        model: Whose evidence counts.
        offers: The arms, with the prices and costs of the decision.
        own: The same with those of the data.
        design: Of the test.
        size: Its registered units.
    """
    rows = tables.predictions.filter(pl.col("model") == model)
    if "metric" not in rows.columns:
        return EvidenceTable(pl.DataFrame(schema=EVIDENCE))
    whole = rows.filter(pl.col("look").is_null() & pl.col("arm").is_not_null())
    means = {(row["metric"], row["arm"]): row for row in whole.to_dicts()}
    lines = [line for offer in offers.all if (line := _line(offer, means, offers.measured)) is not None]
    rows = pl.DataFrame(lines, schema=EVIDENCE, orient="row")
    if ratio_row(tables).get("status") != "ok":
        return EvidenceTable(rows)
    tested = _tested(tables, model, 1 - design.alpha) if offers.all == own.all else {}
    computed = _computed(rows, offers, design, size)
    others = {pair: contrast for pair, contrast in computed.items() if pair not in tested and pair[::-1] not in tested}
    return EvidenceTable(rows, contrasts=others | tested)


def _tested(tables: Tables, model: str, confidence: float) -> dict[tuple[str, str], Contrast]:
    """Return the effects on money of the model against the control, where the rule that it decides by holds."""
    own = [effect for effect in decisive(tables) if effect.model == model]
    label = next((label for label in MONEY if any(effect.outcome == label for effect in own)), "")
    control = _control(tables, own)
    found = {}
    for effect in own:
        shown = effect.value is not None and effect.p_value is not None and effect.status == "ok" and effect.rule != "bayes"
        if effect.outcome == label and shown:
            assert effect.value is not None
            words = RULES.get(effect.rule or "", "")
            harmless = guardrails_hold(tables, model, effect.arm)
            words = words if harmless else f"{words}, a guardrail is not sure to hold,"
            risk = _corrected(tables, effect) if harmless else 1.0
            found[effect.arm, control] = Contrast(effect.value, effect.low, effect.high, risk, words, confidence)
    return found


def _control(tables: Tables, own: Sequence[Effect]) -> str:
    """Return the arm that effects are held against: the one that has a mean and no effect."""
    arms = final_scores(tables).filter(pl.col("metric") == "arm_mean")["segment"].unique(maintain_order=True)
    others = {effect.arm for effect in own}
    return next((arm for arm in arms if arm not in others), "")


def _corrected(tables: Tables, effect: Effect) -> float:
    """Return the p-value as the test's sentence has it; where that is uncorrected, Bonferroni's for its arms."""
    assert effect.p_value is not None
    adjusted = corrected(tables, effect)
    return min(1.0, effect.p_value * arms_of(tables)) if adjusted is None else adjusted


def _computed(rows: pl.DataFrame, offers: Offers, design: Design, size: int | None) -> dict[tuple[str, str], Contrast]:
    """Return the differences of the arms' means in the money of the decision, for pairs that the test does not compare.

    The interval is an always-valid one, that of a fixed sample where exactly the registered units came; p-values are
    Bonferroni's for the arms.
    """
    arms = [each for each in next(iter(replications(rows, offers)), []) if each.posterior is not None]
    fixed = size is not None and size == sum(each.customers for each in arms)
    pairs = {(own.arm, other.arm): (_moments(own), _moments(other)) for own, other in combinations(arms, 2)}
    return {pair: _difference(*moments, design, len(arms) - 1, fixed=fixed) for pair, moments in pairs.items()}


def _moments(arm: ArmEvidence) -> tuple[float, float, int]:
    """Return what an arm earns, its standard error, and its customers."""
    if arm.counts is not None:
        share = arm.counts.successes / arm.customers
        return arm.counts.mean, abs(arm.counts.earns) * float(np.sqrt(share * (1 - share) / arm.customers)), arm.customers
    assert arm.posterior is not None
    return arm.posterior.mean, arm.posterior.deviation, arm.customers


def _difference(
    own: tuple[float, float, int], other: tuple[float, float, int], design: Design, tries: int, *, fixed: bool
) -> Contrast:
    gain, stderr = np.asarray(own[0] - other[0]), np.hypot(own[1], other[1])
    if not stderr:
        return Contrast(float(gain), None, None, 1.0, "", 1 - design.alpha)
    if fixed:
        (low, high), p = t_bounds(gain, stderr, MANY, design.alpha), t_p(gain, stderr, MANY)
    else:
        n, rate = np.asarray(own[2] + other[2]), sequence_rate(design.tuned_for, design.alpha)
        (low, high), p = sequence_bounds(gain, stderr, n, rate, design.alpha), sequence_p(gain, stderr, n, rate)
    words = RULES["fixed" if fixed else "always_valid"]
    return Contrast(float(gain), float(low), float(high), min(1.0, float(p) * tries), words, 1 - design.alpha)


def _line(offer: Offer, means: Mapping[tuple[str, str], Mapping[str, Any]], measured: Measured) -> tuple[Any, ...] | None:
    names = [f"arm_mean[{label}]" for label in MONEY]
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


def _measured(table: Table, evidence: Units | Sums) -> Measured:
    """Return what the first outcome of a test measures; running sums of conversions are recognised by their variance."""
    if isinstance(evidence, Sums):
        return "conversions" if all(arm.price == 1 for arm in evidence.sample("", Needs(), evidence.n).arms) else "money"
    if table.roles.get("amount") and not table.roles.get("price"):
        return "money"
    if is_binary(table):
        return "conversions"
    return "quantity" if table.roles.get("price") else "money"
