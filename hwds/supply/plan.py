"""A supply plan decided: what to make, what can be committed to, and the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.report.hooks import TableReport
from hwds.report.pictures import (
    ALARM_COLOUR,
    INK,
    LIGHT,
    NAIVE_COLOUR,
    OWN_COLOUR,
    drawable,
    headline,
    legend_above,
    name_rows,
    new_figure,
    thousands,
    tidy,
)
from hwds.report.words import spoken
from hwds.results.formatting import counted
from hwds.results.tables import Column, Declared, Verdict
from hwds.supply.production import (
    PlanOutcome,
    SupplyProblem,
    SupplyProgram,
    SupplyTerms,
    outcome_of,
    solve_program,
)
from hwds.supply.stock_levels import served_share
from hwds.supply.volumes import When, share_short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The verdict on a supply plan: a table of steps, a table of volumes, and its words.

STEPS = Declared.of(
    Column("plant", "text", "The plant.", "plant", "plant"),
    Column("step", "count", "The step of the plan, from 1.", "step", "step"),
    Column(
        "capacity",
        "number",
        "Units that can be made with all machines running.",
        "capacity with all machines",
        "capacity",
    ),
    Column(
        "running",
        "share",
        "The mean share of the capacity that runs.",
        "share that runs, %",
        "runs\n%",
    ),
    Column("running_low", "share", "The 10 % quantile of that share.", "its P10, %"),
    Column("demand", "number", "Mean demand.", "mean demand", "demand"),
    Column("demand_high", "number", "The 90 % quantile of demand.", "P90 of demand", "P90"),
    Column("planned", "number", "Planned production.", "planned production", "plan"),
    Column("stock", "number", "Mean stock at the end.", "mean stock at the end", "stock"),
    Column(
        "cover",
        "number",
        "Mean stock, in steps of mean demand.",
        "stock, in steps of mean demand",
        "cover",
        "{{ cover | written('.2f') }}",
    ),
    Column(
        "fill",
        "share",
        "The share of demand that is served in the step.",
        "demand served in its step, %",
        "fill\n%",
    ),
    Column(
        "short", "share", "The chance that some is not.", "chance that some is not, %", "short\n%"
    ),
)

BANDS = ("committed", "base", "upside")

VOLUMES = Declared.of(
    Column("deal", "text", "The deal.", "deal", "deal"),
    Column("plant", "text", "The plant that makes it.", "plant"),
    Column("cutoff", "text", "The cutoff after which it is delivered."),
    (
        Column(
            band,
            "number",
            "The quantile of deliveries.",
            f"{band} ({{{{ terms.{band} | quantile }}}}), delivered",
            band,
        )
        for band in BANDS
    ),
    (
        Column(
            f"demand_{band}",
            "number",
            "The quantile of orders.",
            f"the same of demand, {{{{ terms.{band} | quantile }}}}",
        )
        for band in BANDS
    ),
    (
        Column(f"most_{band}", "number", "The quantile were more of this deal alone ordered.")
        for band in BANDS
    ),
    Column("delivered", "number", "Mean deliveries.", "delivered on average", "mean"),
    Column(
        "delivered_running",
        "number",
        "Mean deliveries if all machines ran.",
        "the same if all machines ran",
        "all\nrun",
    ),
    Column("opening", "number", "The stock at the beginning."),
    Column("planned", "number", "Planned production.", "planned production", "plan"),
    Column(
        "fill",
        "share",
        "The expected share of demand that is served in its step.",
        "demand served in its step, %",
        "fill\n%",
    ),
    Column("actual", "number", "Demand in the back-test.", "asked for in the back-test", "asked"),
    Column(
        "served", "number", "What could have been delivered of that demand.", "delivered", "served"
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyVerdict(Verdict):
    """The units to make and those to commit to.

    Attributes:
        action: `COMMIT` or `HOLD`.
        terms: The settings.
        committed, asked: Sums over deals of the committed volumes, and of the same quantile of
            demand.
        missed: The units that are expected not to be delivered because machines stand still.
        makeable: The stock and the capacity of all steps that there is at least, at the level of
            what is committed.
        free: The part of it that is left beyond the base volume of all demand; negative where it is
            not enough.
        fill: The expected share of demand that is served in its step.
        cover: The mean stock, in steps of mean demand.
        lost: The share of capacity that outages take, of all steps.
        tightest: The step and plant with the lowest fill rate.
        below, below_low, below_high: The share of back-tested deals of which less was delivered
            than committed to, with 95 %.
        tested: Back-tested deals.
        steps: The number of steps of the plan.
        cutoff: The cutoff after which it begins.
        n_deals: The number of deals in the plan.
        outages: The source of the outages; empty for none.
        when: `back-test`, or `future`.
        unit: The unit of volumes.
        plan: See `STEPS`.
        volumes: See `VOLUMES`.
    """

    files: ClassVar = {"supply_plan": "plan", "supply_volumes": "volumes"}
    stored = ("terms.levels",)
    words = """
    {%- set what %}{{ committed | money(unit) }} over {{ steps | counted("steps") }} after
    {{ cutoff }}{% endset %}
    {%- set backtest = tested | counted("back-tested deals") %}
    {%- set record %}{{ below | percent }} of {{ backtest }} fell short (95 %:
    {{ below_low | percent }} to {{ below_high | percent }}; target
    {{ terms.committed | percent }}){% endset %}
    {%- if below is none -%}
    HOLD: the back-test has no deal with a known demand and past errors of its steps together.
    {%- elif rule == "few_deals" -%}
    HOLD: {{ backtest }} are less than {{ terms.least_deals }}; {{ record }}.
    {%- elif rule == "coverage" -%}
    HOLD: {{ what }} is too much: {{ record }}.
    {%- else -%}
    COMMIT to {{ what }}: {{ record }}.
    {%- endif %}

    {% if action == "HOLD" and rule != "coverage" -%}
    The plan would commit to {{ what }}.
    {%- endif %}

    The plan serves {{ fill | percent }} of demand in its step from {{ cover | written(".2f") }}
    steps of stock, least in {{ tightest }}.

    {% if outages -%}
    Outages ({{ outages }}) take {{ lost | percent }} of the capacity; if all machines ran,
    {{ [missed, 0.0] | max | money(unit) }} more would be delivered.
    {%- else -%}
    All machines are taken to run: decision.life_run names a run that says which do not.
    {%- endif %}

    With {{ terms.committed | quantile }} of capacity and the stock {{ makeable | brief }} can be
    delivered, {{ free | abs | brief }} {{ "more" if free >= 0 else "less" }} than
    {{ terms.base | quantile }} of all demand.

    The commitment is the sum of {{ terms.committed | quantile }} of the demand that can be
    delivered. A deal falls short if less was asked for or could be delivered.
    """

    action: Literal["COMMIT", "HOLD"]
    terms: SupplyTerms
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
    when: When
    unit: str
    plan: DataFrame
    volumes: DataFrame


# From demand and outages to the verdict: what to make, what is delivered, what can be committed
# to.


@dataclass(frozen=True, eq=False)
class SupplyCase:
    """The demand after one cutoff, and what there is to meet it.

    Attributes:
        cutoff: The cutoff after which it comes.
        deals: The names of the deals, in order.
        plants: The names of the plants, in order.
        problem: Draws of demand and of outages.
        actual: The demand of each deal and step, NaN where it is not known; shape (p, t).
        coupled: Whether it is known how steps move together; cases of which it is not are no
            record.
    """

    cutoff: str
    deals: Sequence[str]
    plants: Sequence[str]
    problem: SupplyProblem
    actual: ndarray
    coupled: bool


def decide_supply(
    name: str,
    past: Sequence[SupplyCase],
    coming: SupplyCase,
    terms: SupplyTerms,
    *,
    outages: str,
    unit: str,
    when: When,
) -> SupplyVerdict:
    """Return the verdict.

    Args:
        name: The decision's.
        past: The back-test.
        coming: The case to plan for.
        terms: Costs and levels.
        outages: The source of the outages; empty for none.
        unit: The unit of volumes.
        when: Whether the case is that of the back-test or of the steps to come.
    """
    plan, volumes = plan_tables(coming, terms)
    tested = [
        volumes if each is coming else plan_tables(each, terms)[1] for each in past if each.coupled
    ]
    record = delivery_shortfalls(pl.concat(tested)) if tested else None
    rule = forbidding_supply_rule(record, terms)
    below, low, high, count = record or (None, None, None, 0)
    room = float(plan["capacity"].sum())
    makeable, free = spare_supply(coming.problem, terms)
    demand = float(plan["demand"].sum())
    worst = plan.sort("fill").row(0, named=True)
    of_plant = f" of {worst['plant']}" if len(coming.plants) > 1 else ""
    verdict = SupplyVerdict(
        decision=name,
        action="COMMIT" if rule == "none" else "HOLD",
        rule=rule,
        terms=terms,
        committed=float(volumes["committed"].sum()),
        asked=float(volumes["demand_committed"].sum()),
        missed=float((volumes["delivered_running"] - volumes["delivered"]).sum()),
        makeable=makeable,
        free=free,
        fill=float((plan["fill"] * plan["demand"]).sum()) / demand if demand > 0 else 1.0,
        cover=float(plan["stock"].sum()) / demand if demand > 0 else 0.0,
        lost=1 - float((plan["running"] * plan["capacity"]).sum()) / room,
        tightest=f"step {worst['step']}{of_plant}",
        below=below,
        below_low=low,
        below_high=high,
        tested=count,
        steps=coming.problem.demand.shape[1],
        cutoff=coming.cutoff,
        n_deals=len(volumes),
        outages=outages,
        when=when,
        unit=unit,
        plan=plan,
        volumes=volumes,
    )
    return spoken(verdict)


def plan_tables(case: SupplyCase, terms: SupplyTerms) -> tuple[DataFrame, DataFrame]:
    """Return the plan by plant and step, and the volumes by deal; see `STEPS` and `VOLUMES`."""
    program = solve_program(case.problem, terms)
    made = outcome_of(case.problem, program)
    return _step_rows(case, program, made), _volume_rows(case, program, made, terms)


def _step_rows(case: SupplyCase, program: SupplyProgram, made: PlanOutcome) -> DataFrame:
    problem, rows = case.problem, []
    for plant, name in enumerate(case.plants):
        demand, stocks, short = (
            each[problem.plant == plant].sum(0)
            for each in (problem.demand, made.stock, made.unserved)
        )
        for step, asked in enumerate(demand.mean(axis=1).tolist()):
            running, stock = problem.running[plant, :, step], float(stocks[step].mean())
            rows.append(
                {
                    "plant": name,
                    "step": step + 1,
                    "capacity": float(problem.capacity[plant]),
                    "running": float(running.mean()),
                    "running_low": float(np.quantile(running, 0.1)),
                    "demand": asked,
                    "demand_high": float(np.quantile(demand[step], 0.9)),
                    "planned": float(program.production[problem.plant == plant, step].sum()),
                    "stock": stock,
                    "cover": stock / asked if asked > 0 else None,
                    "fill": 1 - float(short[step].mean()) / asked if asked > 0 else 1.0,
                    "short": float((short[step] > 1e-6 * max(asked, 1.0)).mean()),
                }
            )
    return STEPS.frame(rows)


def _volume_rows(
    case: SupplyCase, program: SupplyProgram, made: PlanOutcome, terms: SupplyTerms
) -> DataFrame:
    problem, levels = case.problem, list(terms.levels.values())
    total = problem.demand.sum(axis=1)
    full = replace(problem, running=np.ones_like(problem.running))
    bands = {
        f"{prefix}{band}": values
        for prefix, draws in (("", made.served), ("demand_", total), ("most_", made.deliverable))
        for band, values in zip(BANDS, np.quantile(draws, levels, axis=1), strict=True)
    }
    table = {
        "deal": list(case.deals),
        "plant": [case.plants[each] for each in problem.plant],
        "cutoff": [case.cutoff] * len(case.deals),
        **bands,
        "delivered": made.served.mean(axis=1),
        "delivered_running": outcome_of(full, solve_program(full, terms)).served.mean(axis=1),
        "opening": problem.opening,
        "planned": program.production.sum(axis=1),
        "fill": served_share(made.unserved.sum(axis=1).mean(axis=1), total.mean(axis=1)),
        "actual": Series(case.actual.sum(axis=1), nan_to_null=True),
        "served": Series(deliveries(case, program), nan_to_null=True),
    }
    return VOLUMES.frame(table).sort("committed", "deal", descending=[True, False])


def spare_supply(problem: SupplyProblem, terms: SupplyTerms) -> tuple[float, float]:
    """Return what there is to deliver at least, at the level of what is committed, and what of it
    the base demand leaves.
    """
    made = (problem.capacity[:, None] * problem.running.sum(axis=2)).sum(axis=0)
    makeable = float(problem.opening.sum() + np.quantile(made, terms.committed))
    return makeable, makeable - float(np.quantile(problem.demand.sum(axis=(0, 1)), terms.base))


def deliveries(case: SupplyCase, program: SupplyProgram) -> ndarray:
    """Return what would have been delivered of the demand that came, NaN where some of it is not
    known; shape (p,).
    """
    served = outcome_of(case.problem, program, np.nan_to_num(case.actual)).served[:, 0]
    return np.where(np.isnan(case.actual).any(axis=1), np.nan, served)


def delivery_shortfalls(volumes: DataFrame) -> tuple[float, float, float, int] | None:
    """Return the share of back-tested deals of which less was delivered than committed to, its 95 %
    interval, and the number of these deals; None without one.
    """
    known = volumes.drop_nulls("served")
    if known.is_empty():
        return None
    short = known["served"].to_numpy() < known["committed"].to_numpy() - 1e-6
    return *share_short(known, short), len(known)


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


def steps_figure(verdict: SupplyVerdict) -> Figure:
    """Return the figure: amounts above, stock and service below."""
    capacity = col("capacity")
    rows = verdict.plan.group_by("step", maintain_order=True).agg(
        col("capacity", "demand", "planned", "stock", "demand_high").sum(),
        left=(col("running") * capacity).sum(),
        left_low=(col("running_low") * capacity).sum(),
        served=(col("fill") * col("demand")).sum(),
    )
    amounts = {name: rows[name].to_numpy() for name in rows.columns}
    figure = new_figure(10, 6.2)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    _draw_amounts(top, amounts)
    step, demand = amounts["step"], np.maximum(amounts["demand"], 1e-9)
    bottom.bar(
        step,
        amounts["stock"] / demand,
        color=LIGHT,
        width=0.6,
        label="stock, in steps of demand",
    )
    bottom.plot(
        step,
        amounts["served"] / demand,
        "o-",
        color=OWN_COLOUR,
        markersize=4,
        label="demand served in its step",
    )
    bottom.set_ylim(bottom=0)
    legend_above(bottom, 2)
    tidy(bottom, x="step")
    volume = f"{verdict.committed:,.0f} {verdict.unit}".rstrip()
    deals = counted(verdict.n_deals, "deals")
    headline(figure, f"{verdict.advice}: {volume} of {deals} after {verdict.cutoff}")
    return figure


def _draw_amounts(axes: Axes, amounts: dict[str, ndarray]) -> None:
    step, capacity, demand = amounts["step"], amounts["capacity"], amounts["demand"]
    shade: dict[str, Any] = {"color": ALARM_COLOUR, "alpha": 0.15, "linewidth": 0}
    axes.bar(step, amounts["planned"], color=OWN_COLOUR, alpha=0.55, width=0.6, label="planned")
    axes.fill_between(step, amounts["left_low"], capacity, **shade)
    for values, colour, label in (
        (capacity, INK, "all machines"),
        (amounts["left"], ALARM_COLOUR, "less outages (shade: to P10)"),
    ):
        axes.plot(step, values, color=colour, linewidth=1.2, label=label)
    axes.errorbar(
        step,
        demand,
        [np.zeros(len(step)), amounts["demand_high"] - demand],
        fmt="o",
        color=NAIVE_COLOUR,
        markersize=4,
        linewidth=1,
        label="demand, to P90",
    )
    thousands(axes.yaxis)
    axes.set_ylim(bottom=0)
    legend_above(axes)
    tidy(axes)


def volumes_figure(verdict: SupplyVerdict) -> Figure | None:
    """Return the figure; None where there is no deal."""
    rows = verdict.volumes[:MOST_DEALS].reverse()
    if rows.is_empty():
        return None
    figure = new_figure(9.5, 1.9 + 0.25 * len(rows))
    axes = figure.subplots()
    place, committed = np.arange(len(rows)), rows["committed"]
    for low, high, colour, width, label in (
        (rows["demand_committed"], rows["demand_upside"], LIGHT, 8, "asked for"),
        (committed, rows["upside"], OWN_COLOUR, 4, "can be delivered"),
    ):
        axes.hlines(place, low, high, color=colour, linewidth=width, label=label)
    axes.plot(
        committed,
        place,
        "|",
        color=INK,
        markersize=11,
        markeredgewidth=1.6,
        label="to commit to",
    )
    if rows["actual"].null_count() < len(rows):
        axes.plot(rows["actual"], place, "o", color=NAIVE_COLOUR, markersize=4, label="demand")
    name_rows(axes, place, rows["deal"], 34)
    axes.set_xlim(left=0)
    legend_above(axes)
    tidy(axes, "x", x=drawable(verdict.unit or "units"))
    names = ", ".join(f"{band} P{100 * level:.4g}" for band, level in verdict.terms.levels.items())
    headline(figure, f"{counted(verdict.n_deals, 'deals')} over {verdict.steps} steps: {names}")
    return figure


PLAN_REPORT = TableReport(
    columns=STEPS,
    most=MOST_STEPS,
    title="The plan after {{ cutoff }}"
    "{% if shown < rows %}, {{ shown }} of {{ rows }} lines{% endif %}:",
    figure=steps_figure,
    caption="Capacity, demand and the plan of all plants by step, and below the steps of stock and "
    "the fill rate",
)
VOLUMES_REPORT = TableReport(
    columns=VOLUMES,
    most=MOST_DEALS,
    title="What can be committed to{% if shown < rows %}, {{ shown }} of {{ rows }}{% endif %}:",
    names=2,
    figure=volumes_figure,
    caption="The largest deals: what can be delivered from the committed to the upside volume, and "
    "orders",
)
