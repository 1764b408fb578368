"""From the laws of remaining lives to the verdict: is the rule shown to pay, and which machine is replaced when."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import polars as pl

from hwds.supply.maintenance.back_test import BLIND, BackTest
from hwds.supply.maintenance.crowded import finite
from hwds.supply.maintenance.laws import LifeLaws
from hwds.supply.maintenance.schedule import scheduled
from hwds.supply.maintenance.sentence import sentence
from hwds.supply.maintenance.terms import MaintenanceTerms
from hwds.supply.maintenance.verdict import MaintenanceVerdict


def decide_maintenance(
    name: str,
    laws: LifeLaws,
    running: LifeLaws,
    truth: LifeLaws | None,
    terms: MaintenanceTerms,
    *,
    seed: int,
    when: Literal["back-test", "future"],
) -> MaintenanceVerdict:
    """Return the verdict.

    Args:
        name: The decision's.
        laws: Of machines that were held out, by which rules are chosen and judged.
        running: Of the machines to schedule.
        truth: The true laws of `laws`; None where they are not known.
        terms: Costs and capacity.
        seed: Names the random draws.
        when: Whether the machines to schedule are those of the back-test or of now.
    """
    tested = BackTest(laws, truth, terms, seed)
    policies = tested.table()
    limit = tested.limit()
    table, lost = scheduled(running, terms, float(finite(np.array(limit), laws, terms)))
    failed = int(laws.failed.sum())
    rule = rule_of(policies, failed, terms)
    verdict = MaintenanceVerdict(
        decision=name,
        action="SCHEDULE" if rule == "none" else "HOLD",
        rule=rule,
        excluded={},
        sentence="",
        rate=limit if np.isfinite(limit) else None,
        planned=terms.planned,
        failure=terms.failure,
        planned_downtime=terms.planned_downtime,
        failure_downtime=terms.failure_downtime,
        slot=laws.slot,
        slots=laws.slots,
        crew=terms.crew,
        parts=terms.parts,
        parts_rate=terms.parts_rate,
        within_capacity=tested.within_capacity,
        machines=laws.m,
        failed=failed,
        running=len(table),
        due=len(table.drop_nulls("slot")),
        now=len(table.filter(pl.col("slot") == 0)),
        when=when,
        unit=laws.unit,
        policies=policies,
        schedule=table,
        outages=lost,
    )
    return replace(verdict, sentence=sentence(verdict, terms.least_failures))


def rule_of(policies: pl.DataFrame, failed: int, terms: MaintenanceTerms) -> str:
    """Return the rule that forbids to schedule, `none` where none does.

    Enough machines must have failed, and the cost must be shown, at 95 %, to be below that of each rule without sensors: by
    resamples of machines in which both rules are counted.
    """
    if failed < terms.least_failures:
        return "few_failures"
    lows = policies.filter(pl.col("policy").is_in(BLIND))["own_saves_low"].to_list()
    return "none" if all(low is not None and low > 0 for low in lows) else "no_gain"
