"""From demand and outages to the verdict: what to make, what is delivered, what can be committed to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from hwds.statistics.aggregate import pooled
from hwds.statistics.wilson import clustered_wilson
from hwds.supply.plan.outcome import PlanOutcome, outcome_of
from hwds.supply.plan.program import PlanTerms, SupplyProblem, SupplyProgram, solved
from hwds.supply.plan.sentence import sentence
from hwds.supply.plan.verdict import STEPS, VOLUMES, SupplyVerdict


@dataclass(frozen=True, eq=False)
class SupplyCase:
    """The demand after one cutoff, and what there is to meet it.

    Attributes:
        cutoff: After which it comes.
        deals: Names, in order.
        plants: Names, in order.
        problem: Draws of demand and of outages.
        actual: Of each deal and step, NaN where it is not known; shape (p, t).
        coupled: Whether it is known how steps move together; cases of which it is not are no record.
    """

    cutoff: str
    deals: Sequence[str]
    plants: Sequence[str]
    problem: SupplyProblem
    actual: np.ndarray
    coupled: bool


def decide_supply(
    name: str,
    past: Sequence[SupplyCase],
    coming: SupplyCase,
    terms: PlanTerms,
    *,
    outages: str,
    unit: str,
    when: Literal["back-test", "future"],
) -> SupplyVerdict:
    """Return the verdict.

    Args:
        name: The decision's.
        past: The back-test.
        coming: The case to plan for.
        terms: Costs and levels.
        outages: Where these are from; empty for none.
        unit: Of volumes.
        when: Whether the case is that of the back-test or of the steps to come.
    """
    plan, volumes = planned(coming, terms)
    tested = [volumes if each is coming else planned(each, terms)[1] for each in past if each.coupled]
    below = shortfalls(pl.concat(tested)) if tested else None
    rule = rule_of(below, terms)
    room = float(plan["capacity"].sum())
    makeable, free = spare(coming.problem, terms)
    demand = float(plan["demand"].sum())
    worst = plan.sort("fill").row(0, named=True)
    verdict = SupplyVerdict(
        decision=name,
        action="COMMIT" if rule == "none" else "HOLD",
        rule=rule,
        excluded={},
        sentence="",
        levels=terms.levels,
        committed=float(volumes["committed"].sum()),
        asked=float(volumes["demand_committed"].sum()),
        missed=float((volumes["delivered_running"] - volumes["delivered"]).sum()),
        makeable=makeable,
        free=free,
        fill=float((plan["fill"] * plan["demand"]).sum()) / demand if demand > 0 else 1.0,
        cover=float(plan["stock"].sum()) / demand if demand > 0 else 0.0,
        lost=1 - float((plan["running"] * plan["capacity"]).sum()) / room,
        tightest=f"step {worst['step']}" + (f" of {worst['plant']}" if len(coming.plants) > 1 else ""),
        below=None if below is None else below[0],
        below_low=None if below is None else below[1],
        below_high=None if below is None else below[2],
        tested=0 if below is None else below[3],
        steps=coming.problem.demand.shape[1],
        cutoff=coming.cutoff,
        n_deals=len(volumes),
        outages=outages,
        when=when,
        unit=unit,
        plan=plan,
        volumes=volumes,
    )
    return replace(verdict, sentence=sentence(verdict, terms))


def planned(case: SupplyCase, terms: PlanTerms) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the plan by plant and step, and the volumes by deal; see `STEPS` and `VOLUMES`."""
    program = solved(case.problem, terms)
    made = outcome_of(case.problem, program)
    return _steps(case, program, made), _volumes(case, program, made, terms)


def _steps(case: SupplyCase, program: SupplyProgram, made: PlanOutcome) -> pl.DataFrame:
    problem, rows = case.problem, []
    for plant, name in enumerate(case.plants):
        mine = problem.plant == plant
        demand, held, short = problem.demand[mine].sum(0), made.stock[mine].sum(0), made.unserved[mine].sum(0)
        for step, asked in enumerate(demand.mean(axis=1).tolist()):
            share, stock = problem.running[plant, :, step], float(held[step].mean())
            row = {"plant": name, "step": step + 1, "capacity": float(problem.capacity[plant]), "demand": asked}
            row |= {"running": float(share.mean()), "running_low": float(np.quantile(share, 0.1))}
            row |= {"demand_high": float(np.quantile(demand[step], 0.9)), "stock": stock}
            row |= {"planned": float(program.production[mine, step].sum()), "cover": stock / asked if asked > 0 else None}
            row |= {"fill": 1 - float(short[step].mean()) / asked if asked > 0 else 1.0}
            rows.append(row | {"short": float((short[step] > 1e-6 * max(asked, 1.0)).mean())})
    return pl.DataFrame(rows, schema=STEPS)


def _volumes(case: SupplyCase, program: SupplyProgram, made: PlanOutcome, terms: PlanTerms) -> pl.DataFrame:
    problem, levels = case.problem, list(terms.levels.values())
    total = problem.demand.sum(axis=1)
    wanted = total.mean(axis=1)
    asked, given, most = (np.quantile(each, levels, axis=1) for each in (total, made.served, made.deliverable))
    full = replace(problem, running=np.ones_like(problem.running))
    table = {
        "deal": list(case.deals),
        "plant": [case.plants[each] for each in problem.plant],
        "cutoff": [case.cutoff] * len(case.deals),
        **dict(zip(terms.levels, given, strict=True)),
        **{f"demand_{band}": values for band, values in zip(terms.levels, asked, strict=True)},
        **{f"most_{band}": values for band, values in zip(terms.levels, most, strict=True)},
        "delivered": made.served.mean(axis=1),
        "delivered_running": outcome_of(full, solved(full, terms)).served.mean(axis=1),
        "opening": problem.opening,
        "planned": program.production.sum(axis=1),
        "fill": np.where(wanted > 0, 1 - made.unserved.sum(axis=1).mean(axis=1) / np.where(wanted > 0, wanted, 1), 1.0),
        "actual": pl.Series(case.actual.sum(axis=1), nan_to_null=True),
        "served": pl.Series(delivered(case, program), nan_to_null=True),
    }
    return pl.DataFrame(table, schema=VOLUMES).sort("committed", "deal", descending=[True, False])


def spare(problem: SupplyProblem, terms: PlanTerms) -> tuple[float, float]:
    """Return what there is to deliver at least, at the level of what is committed, and what of it the base demand leaves."""
    made = (problem.capacity[:, None] * problem.running.sum(axis=2)).sum(axis=0)
    makeable = float(problem.opening.sum() + np.quantile(made, terms.committed))
    return makeable, makeable - float(np.quantile(problem.demand.sum(axis=(0, 1)), terms.base))


def delivered(case: SupplyCase, program: SupplyProgram) -> np.ndarray:
    """Return what would have been delivered of the demand that came, NaN where some of it is not known; shape (p,)."""
    known = ~np.isnan(case.actual).any(axis=1)
    return np.where(known, outcome_of(case.problem, program, np.nan_to_num(case.actual)).served[:, 0], np.nan)


def shortfalls(volumes: pl.DataFrame) -> tuple[float, float, float, int] | None:
    """Return the share of back-tested deals of which less was delivered than committed to, its 95 % interval, and how many."""
    known = volumes.drop_nulls("served")
    if known.is_empty():
        return None
    names = known["deal"].rank("dense").to_numpy().astype(int) - 1
    count = np.bincount(names).astype(float)
    short = np.bincount(names, known["served"].to_numpy() < known["committed"].to_numpy() - 1e-6)
    share = pooled(short, count)
    assert share.value is not None
    return share.value, *clustered_wilson(share.value, len(known), len(count), share.stderr), len(known)


def rule_of(below: tuple[float, float, float, int] | None, terms: PlanTerms) -> str:
    """Return the rule that forbids to commit, `none` where none does."""
    if below is None:
        return "no_backtest"
    if below[3] < terms.least_deals:
        return "few_deals"
    return "coverage" if below[1] > terms.committed else "none"
