"""A supply plan decided: what to make, what can be committed to, and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TableReport
from hwds.report.pictures import (
    GREY,
    INK,
    LIGHT,
    NAIVE_COLOUR,
    OWN_COLOUR,
    drawable,
    new_figure,
    save_png,
    tidy,
)
from hwds.results.formatting import brief, column_texts, counted, percent, percent_cell
from hwds.results.tables import Verdict
from hwds.stats.estimates import clustered_wilson, pooled_ratio
from hwds.supply.production import (
    PlanOutcome,
    SupplyProblem,
    SupplyProgram,
    SupplyTerms,
    outcome_of,
    solve_program,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The verdict on a supply plan, as plain values, a table of steps and a table of volumes.

STEP_COLUMNS = {
    "plant": pl.String,
    "step": pl.Int64,
    "capacity": pl.Float64,
    "running": pl.Float64,
    "running_low": pl.Float64,
    "demand": pl.Float64,
    "demand_high": pl.Float64,
    "planned": pl.Float64,
    "stock": pl.Float64,
    "cover": pl.Float64,
    "fill": pl.Float64,
    "short": pl.Float64,
}
"""The columns of a plan: units with all machines running, the mean share that runs and its 10 %
quantile, mean demand and its 90 % quantile, planned production, mean stock at the end, how many
steps of mean demand that is, the share of demand that is served in the step, and the chance that
some is not.
"""

VOLUME_COLUMNS = {
    "deal": pl.String,
    "plant": pl.String,
    "cutoff": pl.String,
    **dict.fromkeys(
        (
            *("committed", "base", "upside"),
            *("demand_committed", "demand_base", "demand_upside"),
            *("most_committed", "most_base", "most_upside"),
            *("delivered", "delivered_running", "opening", "planned", "fill", "actual", "served"),
        ),
        pl.Float64,
    ),
}
"""The columns of volumes: quantiles of deliveries, of orders, and of what could be delivered were
more of a deal alone ordered; the mean of the first and what it would be if all machines ran, stock
at the beginning, planned production, the expected share of demand served in its step, and in the
back-test what was asked for and could have been delivered.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyVerdict(Verdict):
    """The units to make and those to commit to.

    Attributes:
        action: `COMMIT` or `HOLD`.
        levels: Of the volumes.
        committed, asked: Sums over deals of the committed volumes, and of the same quantile of
            demand.
        missed: What is expected not to be delivered because machines stand still.
        makeable: The stock and the capacity of all steps that there is at least, at the level of
            what is committed.
        free: What of it is left beyond the base volume of all demand; negative where it is not
            enough.
        fill: The expected share of demand that is served in its step.
        cover: The mean stock, in steps of mean demand.
        lost: The share of capacity that outages take, of all steps.
        tightest: The step and plant with the lowest fill rate.
        below, below_low, below_high: The share of back-tested deals of which less was delivered
            than committed to, with 95 %.
        tested: Back-tested deals.
        steps: Of the plan.
        cutoff: After which it begins.
        n_deals: In the plan.
        outages: Where the outages are from; empty for none.
        when: `back-test`, or `future`.
        unit: Of volumes.
        plan: See `STEP_COLUMNS`.
        volumes: See `VOLUME_COLUMNS`.
    """

    action: Literal["COMMIT", "HOLD"]
    levels: Mapping[str, float]
    committed: float
    asked: float
    missed: float
    makeable: float
    free: float
    fill: float
    cover: float
    lost: float
    tightest: str
    below: float | None
    below_low: float | None
    below_high: float | None
    tested: int
    steps: int
    cutoff: str
    n_deals: int
    outages: str
    when: Literal["back-test", "future"]
    unit: str
    plan: pl.DataFrame
    volumes: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; plan and volumes are tables beside them."""
        return {
            name: value for name, value in asdict(self).items() if name not in ("plan", "volumes")
        }

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the plan and the volumes."""
        return {"supply_plan": self.plan, "supply_volumes": self.volumes}


# A verdict on a supply plan in words, for a manager.


def supply_sentence(verdict: SupplyVerdict, terms: SupplyTerms) -> str:
    """Return what can be committed to with its record, what the plan delivers, and what outages
    take of it.
    """
    return " ".join(
        filter(
            None,
            [
                _commitment_sentence(verdict, terms),
                _plan_sentence(verdict),
                _outage_sentence(verdict),
            ],
        )
    )


def _commitment_sentence(verdict: SupplyVerdict, terms: SupplyTerms) -> str:
    level = f"P{100 * terms.committed:.4g}"
    volume = f"{brief(verdict.committed)} {verdict.unit}".rstrip()
    when = f"{counted(verdict.steps, 'steps')} after {verdict.cutoff}"
    what = f"{volume} over {when}, the sum of {level} of what is asked for and can be delivered"
    if verdict.below is None:
        why = (
            "no deal of the back-test has a known demand and past errors that say how its steps "
            "move together"
        )
        return f"HOLD: {why}; {what}."
    tested = counted(verdict.tested, "back-tested deals")
    low, high = percent(verdict.below_low or 0.0), percent(verdict.below_high or 0.0)
    record = (
        f"less was asked for or could be delivered of {percent(verdict.below)} of {tested} (95 %: "
        f"{low} to {high};"
        f" {percent(terms.committed)} is meant)"
    )
    if verdict.rule == "few_deals":
        return (
            f"HOLD: {counted(verdict.tested, 'back-tested deals')} are less than "
            f"{terms.least_deals}; {what}, {record}."
        )
    if verdict.rule == "coverage":
        return f"HOLD: {record}: {what}, is too much."
    return f"COMMIT to {what}: {record}."


def _plan_sentence(verdict: SupplyVerdict) -> str:
    level, base = (f"P{100 * verdict.levels[band]:.4g}" for band in ("committed", "base"))
    left = (
        f"{brief(verdict.free)} more than"
        if verdict.free >= 0
        else f"{brief(-verdict.free)} less than"
    )
    return (
        f"The plan serves {percent(verdict.fill)} of demand in its step from {verdict.cover:.2f} "
        f"steps of stock, least in"
        f" {verdict.tightest}. With {level} of capacity and the stock {brief(verdict.makeable)} "
        f"can be delivered,"
        f" {left} {base} of all demand."
    )


def _outage_sentence(verdict: SupplyVerdict) -> str:
    if not verdict.outages:
        return (
            "All machines are taken to run: decision.life_run names a run that says which do not."
        )
    missed = f"{brief(max(verdict.missed, 0.0))} {verdict.unit}".rstrip()
    return (
        f"Outages ({verdict.outages}) take {percent(verdict.lost)} of the capacity; if all "
        f"machines ran, {missed} more would be"
        f" delivered."
    )


# From demand and outages to the verdict: what to make, what is delivered, what can be committed
# to.


@dataclass(frozen=True, eq=False)
class SupplyCase:
    """The demand after one cutoff, and what there is to meet it.

    Attributes:
        cutoff: After which it comes.
        deals: Names, in order.
        plants: Names, in order.
        problem: Draws of demand and of outages.
        actual: Of each deal and step, NaN where it is not known; shape (p, t).
        coupled: Whether it is known how steps move together; cases of which it is not are no
            record.
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
    terms: SupplyTerms,
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
    plan, volumes = plan_tables(coming, terms)
    tested = [
        volumes if each is coming else plan_tables(each, terms)[1] for each in past if each.coupled
    ]
    below = delivery_shortfalls(pl.concat(tested)) if tested else None
    rule = forbidding_supply_rule(below, terms)
    room = float(plan["capacity"].sum())
    makeable, free = spare_supply(coming.problem, terms)
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
        tightest=f"step {worst['step']}"
        + (f" of {worst['plant']}" if len(coming.plants) > 1 else ""),
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
    return replace(verdict, sentence=supply_sentence(verdict, terms))


def plan_tables(case: SupplyCase, terms: SupplyTerms) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the plan by plant and step, and the volumes by deal; see `STEPS` and `VOLUMES`."""
    program = solve_program(case.problem, terms)
    made = outcome_of(case.problem, program)
    return _step_rows(case, program, made), _volume_rows(case, program, made, terms)


def _step_rows(case: SupplyCase, program: SupplyProgram, made: PlanOutcome) -> pl.DataFrame:
    problem, rows = case.problem, []
    for plant, name in enumerate(case.plants):
        mine = problem.plant == plant
        demand, held, short = (
            problem.demand[mine].sum(0),
            made.stock[mine].sum(0),
            made.unserved[mine].sum(0),
        )
        for step, asked in enumerate(demand.mean(axis=1).tolist()):
            share, stock = problem.running[plant, :, step], float(held[step].mean())
            row = {
                "plant": name,
                "step": step + 1,
                "capacity": float(problem.capacity[plant]),
                "demand": asked,
            }
            row |= {"running": float(share.mean()), "running_low": float(np.quantile(share, 0.1))}
            row |= {"demand_high": float(np.quantile(demand[step], 0.9)), "stock": stock}
            row |= {
                "planned": float(program.production[mine, step].sum()),
                "cover": stock / asked if asked > 0 else None,
            }
            row |= {"fill": 1 - float(short[step].mean()) / asked if asked > 0 else 1.0}
            rows.append(row | {"short": float((short[step] > 1e-6 * max(asked, 1.0)).mean())})
    return pl.DataFrame(rows, schema=STEP_COLUMNS)


def _volume_rows(
    case: SupplyCase, program: SupplyProgram, made: PlanOutcome, terms: SupplyTerms
) -> pl.DataFrame:
    problem, levels = case.problem, list(terms.levels.values())
    total = problem.demand.sum(axis=1)
    wanted = total.mean(axis=1)
    asked, given, most = (
        np.quantile(each, levels, axis=1) for each in (total, made.served, made.deliverable)
    )
    full = replace(problem, running=np.ones_like(problem.running))
    table = {
        "deal": list(case.deals),
        "plant": [case.plants[each] for each in problem.plant],
        "cutoff": [case.cutoff] * len(case.deals),
        **dict(zip(terms.levels, given, strict=True)),
        **{f"demand_{band}": values for band, values in zip(terms.levels, asked, strict=True)},
        **{f"most_{band}": values for band, values in zip(terms.levels, most, strict=True)},
        "delivered": made.served.mean(axis=1),
        "delivered_running": outcome_of(full, solve_program(full, terms)).served.mean(axis=1),
        "opening": problem.opening,
        "planned": program.production.sum(axis=1),
        "fill": np.where(
            wanted > 0,
            1 - made.unserved.sum(axis=1).mean(axis=1) / np.where(wanted > 0, wanted, 1),
            1.0,
        ),
        "actual": pl.Series(case.actual.sum(axis=1), nan_to_null=True),
        "served": pl.Series(deliveries(case, program), nan_to_null=True),
    }
    return pl.DataFrame(table, schema=VOLUME_COLUMNS).sort(
        "committed", "deal", descending=[True, False]
    )


def spare_supply(problem: SupplyProblem, terms: SupplyTerms) -> tuple[float, float]:
    """Return what there is to deliver at least, at the level of what is committed, and what of it
    the base demand leaves.
    """
    made = (problem.capacity[:, None] * problem.running.sum(axis=2)).sum(axis=0)
    makeable = float(problem.opening.sum() + np.quantile(made, terms.committed))
    return makeable, makeable - float(np.quantile(problem.demand.sum(axis=(0, 1)), terms.base))


def deliveries(case: SupplyCase, program: SupplyProgram) -> np.ndarray:
    """Return what would have been delivered of the demand that came, NaN where some of it is not
    known; shape (p,).
    """
    known = ~np.isnan(case.actual).any(axis=1)
    return np.where(
        known, outcome_of(case.problem, program, np.nan_to_num(case.actual)).served[:, 0], np.nan
    )


def delivery_shortfalls(volumes: pl.DataFrame) -> tuple[float, float, float, int] | None:
    """Return the share of back-tested deals of which less was delivered than committed to, its 95 %
    interval, and how many.
    """
    known = volumes.drop_nulls("served")
    if known.is_empty():
        return None
    names = known["deal"].rank("dense").to_numpy().astype(int) - 1
    count = np.bincount(names).astype(float)
    short = np.bincount(names, known["served"].to_numpy() < known["committed"].to_numpy() - 1e-6)
    share = pooled_ratio(short, count)
    assert share.value is not None
    return (
        share.value,
        *clustered_wilson(share.value, len(known), len(count), share.stderr),
        len(known),
    )


def forbidding_supply_rule(
    below: tuple[float, float, float, int] | None, terms: SupplyTerms
) -> str:
    """Return the rule that forbids to commit, `none` where none does."""
    if below is None:
        return "no_backtest"
    if below[3] < terms.least_deals:
        return "few_deals"
    return "coverage" if below[1] > terms.committed else "none"


# The report of a supply plan: its steps, the volumes that can be committed to, and their
# pictures.

MOST_DEALS = 24
"""Deals that are shown."""

MOST_STEPS = 30
"""Steps of plants in the table."""

OUTAGE_COLOUR = "#b3382c"
"""The colour of capacity that outages take."""


def steps_grid(verdict: SupplyVerdict) -> Grid:
    """Return a line for each plant and step: capacity, demand, plan, stock and fill rate.

    All are in supply_plan.csv.
    """
    rows = verdict.plan[:MOST_STEPS]
    titles = [
        ("plant", "plant"),
        ("step", "step"),
        ("capacity with all machines", "capacity"),
        ("share that runs, %", "runs\n%"),
        ("its P10, %", ""),
        ("mean demand", "demand"),
        ("P90 of demand", "P90"),
        ("planned production", "plan"),
        ("mean stock at the end", "stock"),
        ("stock, in steps of mean demand", "cover"),
        ("demand served in its step, %", "fill\n%"),
        ("chance that some is not, %", "short\n%"),
    ]
    cells = zip(
        rows["plant"],
        map(str, rows["step"]),
        column_texts(rows["capacity"].to_list()),
        *(map(percent_cell, rows[name]) for name in ("running", "running_low")),
        *(
            column_texts(rows[name].to_list())
            for name in ("demand", "demand_high", "planned", "stock")
        ),
        ("" if each is None else f"{each:.2f}" for each in rows["cover"]),
        *(map(percent_cell, rows[name]) for name in ("fill", "short")),
        strict=True,
    )
    more = "" if len(rows) == len(verdict.plan) else f", {len(rows)} of {len(verdict.plan)} lines"
    return grid_of(titles, list(cells), names=1, caption=f"The plan after {verdict.cutoff}{more}:")


def volumes_grid(verdict: SupplyVerdict) -> Grid:
    """Return a line for each of the largest deals: what can be committed to, and its orders."""
    rows = verdict.volumes[:MOST_DEALS]
    titles = [
        ("deal", "deal"),
        ("plant", ""),
        *(
            (f"{band} (P{100 * level:.4g}), delivered", band)
            for band, level in verdict.levels.items()
        ),
        *((f"the same of demand, P{100 * level:.4g}", "") for level in verdict.levels.values()),
        ("delivered on average", "mean"),
        ("the same if all machines ran", "all\nrun"),
        ("planned production", "plan"),
        ("demand served in its step, %", "fill\n%"),
        ("asked for in the back-test", "asked"),
        ("delivered", "served"),
    ]
    names = (
        *verdict.levels,
        *(f"demand_{band}" for band in verdict.levels),
        "delivered",
        "delivered_running",
        "planned",
    )
    cells = zip(
        rows["deal"],
        rows["plant"],
        *(column_texts(rows[name].to_list()) for name in names),
        map(percent_cell, rows["fill"]),
        *(column_texts(rows[name].to_list()) for name in ("actual", "served")),
        strict=True,
    )
    more = "" if len(rows) == verdict.n_deals else f", {len(rows)} of {verdict.n_deals}"
    return grid_of(titles, list(cells), names=2, caption=f"What can be committed to{more}:")


def draw_steps(verdict: SupplyVerdict, path: Path) -> None:
    """Draw capacity, demand and the plan of all plants by step, and below the steps of stock and
    the fill rate.
    """
    save_png(steps_figure(verdict), path)


def steps_figure(verdict: SupplyVerdict) -> Figure:
    """Return the figure: amounts above, stock and service below."""
    rows = verdict.plan.group_by("step", maintain_order=True).agg(
        pl.col("capacity", "demand", "planned", "stock").sum(),
        (pl.col("running") * pl.col("capacity")).sum().alias("left"),
        (pl.col("running_low") * pl.col("capacity")).sum().alias("left_low"),
        pl.col("demand_high").sum(),
        (pl.col("fill") * pl.col("demand")).sum().alias("served"),
    )
    step = rows["step"].to_numpy()
    figure = new_figure(10, 6.2)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    _draw_amounts(top, rows, step)
    demand = np.maximum(rows["demand"].to_numpy(), 1e-9)
    bottom.bar(
        step,
        rows["stock"].to_numpy() / demand,
        color=LIGHT,
        width=0.6,
        label="stock, in steps of demand",
    )
    bottom.plot(
        step,
        rows["served"].to_numpy() / demand,
        "o-",
        color=OWN_COLOUR,
        markersize=4,
        label="demand served in its step",
    )
    bottom.set_ylim(bottom=0)
    bottom.set_xlabel("step", fontsize=9, color=GREY)
    bottom.legend(fontsize=8, frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    tidy(bottom)
    why = "" if verdict.rule == "none" else f" ({verdict.rule})"
    volume = f"{verdict.committed:,.0f} {verdict.unit}".rstrip()
    title = (
        f"{verdict.action}{why}: {volume} of {counted(verdict.n_deals, 'deals')} after "
        f"{verdict.cutoff}"
    )
    figure.suptitle(
        drawable(title, 90),
        x=0.01,
        ha="left",
        fontsize=13,
        fontweight="bold",
        color=INK,
        parse_math=False,
    )
    return figure


def _draw_amounts(axes: Axes, rows: pl.DataFrame, step: np.ndarray) -> None:
    from matplotlib.ticker import EngFormatter

    axes.bar(
        step, rows["planned"].to_numpy(), color=OWN_COLOUR, alpha=0.55, width=0.6, label="planned"
    )
    axes.fill_between(
        step,
        rows["left_low"].to_numpy(),
        rows["capacity"].to_numpy(),
        color=OUTAGE_COLOUR,
        alpha=0.15,
        linewidth=0,
    )
    axes.plot(step, rows["capacity"].to_numpy(), color=INK, linewidth=1.2, label="all machines")
    axes.plot(
        step,
        rows["left"].to_numpy(),
        color=OUTAGE_COLOUR,
        linewidth=1.2,
        label="less outages (shade: to P10)",
    )
    axes.errorbar(
        step,
        rows["demand"].to_numpy(),
        [np.zeros(len(step)), (rows["demand_high"] - rows["demand"]).to_numpy()],
        fmt="o",
        color=NAIVE_COLOUR,
        markersize=4,
        linewidth=1,
        label="demand, to P90",
    )
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    tidy(axes)


def draw_volumes(verdict: SupplyVerdict, path: Path) -> None:
    """Draw the largest deals: what can be delivered from the committed to the upside volume, and
    orders.
    """
    save_png(volumes_figure(verdict), path)


def volumes_figure(verdict: SupplyVerdict) -> Figure | None:
    """Return the figure; None where there is no deal."""
    rows = verdict.volumes[:MOST_DEALS].reverse()
    if rows.is_empty():
        return None
    figure = new_figure(9.5, 1.9 + 0.25 * len(rows))
    axes = figure.subplots()
    place = np.arange(len(rows))
    axes.hlines(
        place,
        rows["demand_committed"],
        rows["demand_upside"],
        color=LIGHT,
        linewidth=8,
        label="asked for",
    )
    axes.hlines(
        place,
        rows["committed"],
        rows["upside"],
        color=OWN_COLOUR,
        linewidth=4,
        label="can be delivered",
    )
    axes.plot(
        rows["committed"],
        place,
        "|",
        color=INK,
        markersize=11,
        markeredgewidth=1.6,
        label="to commit to",
    )
    if rows["actual"].null_count() < len(rows):
        axes.plot(rows["actual"], place, "o", color=NAIVE_COLOUR, markersize=4, label="demand")
    axes.set_yticks(
        place, [drawable(name, 34) for name in rows["deal"]], fontsize=8, parse_math=False
    )
    axes.set_xlabel(drawable(verdict.unit or "units"), fontsize=9, color=GREY, parse_math=False)
    axes.set_xlim(left=0)
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    tidy(axes, "x")
    names = ", ".join(f"{band} P{100 * level:.4g}" for band, level in verdict.levels.items())
    title = f"{counted(verdict.n_deals, 'deals')} over {verdict.steps} steps: {names}"
    figure.suptitle(
        drawable(title, 90),
        x=0.01,
        ha="left",
        fontsize=12,
        fontweight="bold",
        color=INK,
        parse_math=False,
    )
    return figure


PLAN_REPORT = TableReport(grid=steps_grid, draw=draw_steps)
VOLUMES_REPORT = TableReport(grid=volumes_grid, draw=draw_volumes)
