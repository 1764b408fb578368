"""The evidence of an off-policy estimate for a choice of price: the value of showing each arm always."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.frames.table import Table
from hwds.ope.protocols.estimation.log import Log
from hwds.ope.protocols.estimation.scores import DAYS_ALONE, REFUTED
from hwds.ope.protocols.estimation.support import any_refuted
from hwds.pricing.evidence import EVIDENCE, EvidenceTable
from hwds.pricing.offers import Measured, Offer, Offers, is_binary, value_by_arm
from hwds.results.tables import Tables


def log_offers(table: Table, log: Log, *, outcome: bool) -> Offers:
    """Return the arms of a log.

    Args:
        table: With a row a choice.
        log: The table as the protocol reads it.
        outcome: Whether the reward is the outcome itself, which may be a conversion, and not its money.
    """
    row = np.array(log.arms)[log.action]
    price, cost = (value_by_arm(table, role, row) for role in ("price", "cost"))
    measured: Measured = "conversions" if outcome and is_binary(table) else "money"
    return Offers(tuple(Offer(name, price.get(name), cost.get(name)) for name in log.arms), measured, table.unit)


def value_evidence(tables: Tables, log: Log, model: str, offers: Offers) -> EvidenceTable:
    """Return the estimate of each arm's value; see `PriceEvidence`.

    Args:
        tables: Of the run.
        log: The table as the protocol reads it.
        model: The estimator.
        offers: The arms.
    """
    whole = (pl.col("metric") == "policy_value") & (pl.col("segment_by") == "arm") & pl.col("fold").is_null()
    values = {row["segment"]: row for row in tables.scores.filter(whole & (pl.col("model") == model)).to_dicts()}
    shown = dict(zip(log.arms, np.bincount(log.action, minlength=len(log.arms)).tolist(), strict=True))
    blank = {"value": None, "stderr": None}
    weight, refuted = tables.headline("mean_weight", model), tables.headline("policy_value", model).get("status") == REFUTED
    miscalibrated = bool(weight and weight["stderr"]) and any_refuted(tables)
    rows = [
        (0, offer.arm, shown.get(offer.arm, 0), None, None, value["value"], value["stderr"], offers.measured)
        for offer in offers.all
        for value in (blank if refuted or miscalibrated else values.get(offer.arm, blank),)
    ]
    alone = next((value for value in values.values() if DAYS_ALONE in (value["ci_method"] or "")), None)
    note = "The log is of few days: what is said of its arms is of these days alone." if alone else ""
    note = (
        f"No estimate counts: the weights average {weight['value']:.3g} where right propensities give 1." if refuted else note
    )
    if miscalibrated and not refuted:
        note = "No estimate counts: a model of the log refutes its propensities."
    return EvidenceTable(pl.DataFrame(rows, schema=EVIDENCE, orient="row"), note=note)
