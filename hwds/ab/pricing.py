"""The evidence of an A/B test for a choice of price: the counts or the mean of its first outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from hwds.ab.metrics.sample import Needs
from hwds.ab.protocols.analysis.sums import Sums
from hwds.ab.protocols.analysis.units import Units
from hwds.frames.table import Table
from hwds.pricing.evidence import EVIDENCE, EvidenceTable
from hwds.pricing.offers import Measured, Offer, Offers, is_binary, value_by_arm
from hwds.results.tables import Tables

MONEY_MEANS = ("arm_mean[margin]", "arm_mean[revenue]")
"""The metrics of the money that an arm brings, the preferred first."""


def arm_offers(table: Table, evidence: Units | Sums, *, registered: bool) -> Offers:
    """Return the arms of a test.

    Args:
        table: With a row a customer, or running sums.
        evidence: The table as the test reads it.
        registered: Whether its size was set before; one that may be read again has no bound but `always_valid`.
    """
    arm = table.column("arm").cast(pl.String).to_numpy()
    price, cost = (value_by_arm(table, role, arm) for role in ("price", "cost"))
    arms = tuple(Offer(name, price.get(name), cost.get(name)) for name in evidence.arms)
    measured = _measured(table, evidence)
    again = not registered and measured == "conversions"
    return Offers(arms, measured, table.unit, "always_valid" if again else "posterior")


def arm_evidence(tables: Tables, model: str, offers: Offers) -> EvidenceTable:
    """Return counts or the mean of the first outcome, the money of arms that have no price of their own; see `PriceEvidence`.

    Args:
        tables: Of the run.
        model: Whose evidence counts.
        offers: The arms.
    """
    rows = tables.predictions.filter(pl.col("model") == model)
    if "metric" not in rows.columns:
        return EvidenceTable(pl.DataFrame(schema=EVIDENCE))
    whole = rows.filter(pl.col("look").is_null() & pl.col("arm").is_not_null())
    means = {(row["metric"], row["arm"]): row for row in whole.to_dicts()}
    lines = [line for offer in offers.all if (line := _line(offer, means, offers.measured)) is not None]
    return EvidenceTable(pl.DataFrame(lines, schema=EVIDENCE, orient="row"))


def _line(offer: Offer, means: Mapping[tuple[str, str], Mapping[str, Any]], measured: Measured) -> tuple[Any, ...] | None:
    money = next((means[name, offer.arm] for name in MONEY_MEANS if (name, offer.arm) in means), None)
    if money is not None and offer.price is None:
        return 0, offer.arm, money["n"], None, None, money["value"], money["stderr"], "money"
    row = means.get(("arm_mean", offer.arm))
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
