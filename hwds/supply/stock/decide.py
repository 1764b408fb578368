"""From cases to the verdict: how much to stock, by the record of held-out periods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import polars as pl

from hwds.results.formatting import first_to_last
from hwds.results.tables import TRUTH
from hwds.supply.stock.cases import StockCases
from hwds.supply.stock.record import record_of
from hwds.supply.stock.sentence import sentence
from hwds.supply.stock.terms import StockTerms
from hwds.supply.stock.verdict import LEVELS, StockVerdict

UNTARGETED = ("reorder_point", "two_echelons")
"""Rules whose service follows from more than the costs of a unit held and of one short."""


def decide_stock(
    name: str,
    models: Mapping[str, StockCases],
    coming: StockCases,
    model: str,
    terms: StockTerms,
    *,
    unit: str,
    when: Literal["back-test", "future"],
) -> StockVerdict:
    """Return the verdict.

    Args:
        name: The decision's.
        models: The back-test of each model, the experiment's own first.
        coming: The cases to tell levels of.
        model: The experiment's own.
        terms: The rule.
        unit: Of volumes.
        when: Whether the cases to tell are those of the back-test or of the periods to come.
    """
    base = next((label for label in models if label not in (model, TRUTH)), None)
    record = record_of(models, model, base, terms)
    rows = {row["model"]: row for row in record.to_dicts()}
    rule = rule_of(rows.get(model), terms)
    levels = levels_table(coming)
    verdict = StockVerdict(
        decision=name,
        action="STOCK" if rule == "none" else "HOLD",
        rule=rule,
        excluded={},
        sentence="",
        model=model,
        base=base,
        policy=terms.policy,
        holding=terms.holding,
        shortage=terms.shortage,
        order=terms.order,
        lead=terms.lead,
        target=terms.ratio,
        error_cost=None if model not in rows else rows[model]["cost"] - (rows[TRUTH]["cost"] if TRUTH in rows else 0.0),
        error_of="law" if TRUTH in rows else "foresight",
        cutoff=first_to_last(coming.keys["cutoff"].filter(_at_last(coming.keys))),
        n_series=len(levels),
        units=float(levels["upto"].sum()),
        when=when,
        unit=unit,
        levels=levels,
        record=record,
    )
    return replace(verdict, sentence=sentence(verdict, coming))


def rule_of(row: Mapping[str, Any] | None, terms: StockTerms) -> str:
    """Return the rule that forbids to stock by the levels, `none` where none does.

    There must be enough cases, of more than one series, for the interval of service is over series; and the share of periods
    without a shortage must not be shown, at 95 %, to be below what the costs ask for.
    """
    if row is None or row["cases"] < terms.least:
        return "few_cases"
    if terms.policy in UNTARGETED:
        return "none"
    if row["service_high"] is None:
        return "few_series"
    return "service" if row["service_high"] < terms.ratio else "none"


def levels_table(cases: StockCases) -> pl.DataFrame:
    """Return the levels of the last cutoff; see `LEVELS`."""
    rows = []
    for place in _at_last(cases.keys).arg_true():
        levels, series, cutoff = cases.levels[place], cases.keys["series"][place], cases.keys["cutoff"][place]
        first = {part: float(getattr(levels, part)[0]) for part in ("upto", "reorder", "store", "covered", "fill", "cost")}
        ends = {"safety": first["upto"] - first["covered"], "upto_last": float(levels.upto[-1]), "source": cases.sources[place]}
        rows.append({"series": str(series), "cutoff": str(cutoff), **first, **ends})
    return pl.DataFrame(rows, schema=LEVELS).sort("upto", "series", descending=[True, False])


def _at_last(keys: pl.DataFrame) -> pl.Series:
    """Return whether each case is of the last cutoff, or of its series' own last one; see `StockCases`."""
    clock = keys["moment" if "moment" in keys.columns else "cutoff"]
    return clock == clock.max()
