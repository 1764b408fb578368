"""Maintenance decided: is a rule shown to pay, which machine is replaced when, and the report."""

from __future__ import annotations

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
from hwds.results.formatting import (
    brief,
    column_texts,
    counted,
    percent,
    percent_cell,
    quote_interval,
    quote_percent,
)
from hwds.results.tables import Verdict
from hwds.supply.fleet import (
    OWN_RULE,
    LifeLaws,
    MaintenanceTerms,
    cheapest_slots,
    part_arrivals,
    waiting_costs,
)
from hwds.supply.maintenance_record import (
    BASE_RULE,
    BLIND_RULES,
    MaintenanceBackTest,
    finite_or_none,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# The verdict on maintenance, as plain values, the back-test of rules, a schedule and its
# outages.

MAINTENANCE_TABLES = ("maintenance_policies", "maintenance_schedule", "outages")


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceVerdict(Verdict):
    """When to replace which machine, and whether that is shown to pay.

    Attributes:
        action: `SCHEDULE` or `HOLD`.
        rate: The worth of a unit of running time that the rule acts by: its limit, chosen on all
            machines.
        planned, failure: The cost of a planned replacement and of a failure, downtime included.
        planned_downtime, failure_downtime: How long a machine stands still for each.
        slot, slots: The time from one inspection to the next, and how many are looked ahead.
        crew, parts, parts_rate: The capacity; None for any.
        within_capacity: Whether the back-test is within it; it is not where machines share no
            clock.
        machines, failed: Of the back-test.
        running: Machines in the schedule; with a slot, and of these now.
        due, now: See `running`.
        when: `back-test`, or `future` for the machines at their last row.
        unit: Of ages.
        policies: See `hwds.supply.maintenance_record.POLICY_COLUMNS`.
        schedule, outages: See `hwds.supply.maintenance`.
    """

    action: Literal["SCHEDULE", "HOLD"]
    rate: float | None
    planned: float
    failure: float
    planned_downtime: float
    failure_downtime: float
    slot: float
    slots: int
    crew: int | None
    parts: int | None
    parts_rate: float
    within_capacity: bool
    machines: int
    failed: int
    running: int
    due: int
    now: int
    when: Literal["back-test", "future"]
    unit: str
    policies: pl.DataFrame
    schedule: pl.DataFrame
    outages: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; policies, schedule and outages are tables beside them."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in ("policies", "schedule", "outages")
        }

    def tables(self) -> dict[str, pl.DataFrame]:
        """Return the policies, the schedule and the outages."""
        return dict(
            zip(MAINTENANCE_TABLES, (self.policies, self.schedule, self.outages), strict=True)
        )

    def of(self, policy: str) -> dict[str, Any] | None:
        """Return the row of a policy; None where it has none."""
        rows = self.policies.filter(pl.col("policy") == policy)
        return rows.row(0, named=True) if len(rows) else None


# A verdict on maintenance in words, for a manager.

RIVAL_NAMES = {
    BASE_RULE: "the best fixed interval",
    "threshold": "a threshold on the median life",
    "run_to_failure": "running to failure",
}
"""The rules that it is held against, in words."""


def maintenance_sentence(verdict: MaintenanceVerdict, least: int) -> str:
    """Return the advice with its record, what the capacity costs, and the machines that are due.

    Args:
        verdict: Without its sentence.
        least: Machines that failed below which nothing is shown.
    """
    parts = [
        _advice_sentence(verdict, least),
        _rivals_sentence(verdict),
        _foresight_sentence(verdict),
        _capacity_sentence(verdict),
        _due_sentence(verdict),
    ]
    return " ".join(filter(None, parts))


def _advice_sentence(verdict: MaintenanceVerdict, least: int) -> str:
    if verdict.rule == "few_failures":
        return (
            f"HOLD: {counted(verdict.failed, 'machines')} that failed are less than {least}: "
            f"no rule can be judged by them."
        )
    own, base = verdict.of(OWN_RULE), verdict.of(BASE_RULE)
    assert own is not None
    assert base is not None
    cost, ends = quote_interval(own["cost"], own["cost_low"], own["cost_high"])
    machines = counted(verdict.machines, "held-out machines")
    said = (
        f"the renewal rule costs {cost}{ends} a running {verdict.unit.removesuffix('s')} on "
        f"{machines}, of which"
        f" {percent(own['failures'])} fail and each runs {brief(own['run'])} {verdict.unit}"
    )
    if verdict.rule == "no_gain":
        return f"HOLD: {said}; that is not shown to be less than rules that look at no sensor."
    return f"SCHEDULE: {said}."


def _rivals_sentence(verdict: MaintenanceVerdict) -> str:
    own = verdict.of(OWN_RULE)
    if own is None or own["saving"] is None or verdict.rule == "few_failures":
        return ""
    rows = [(name, verdict.of(policy)) for policy, name in RIVAL_NAMES.items()]
    costs = ", ".join(
        f"{name} {brief(row['cost'])}"
        for name, row in rows
        if row is not None and row["cost"] is not None
    )
    share, low, high = own["saving"], own["saving_low"], own["saving_high"]
    if share < 0:
        text, ends = quote_percent(
            -share, None if high is None else -high, None if low is None else -low
        )
        return f"Beside it: {costs}; that is {text}{ends} more than the fixed interval."
    text, ends = quote_percent(share, low, high)
    return f"Beside it: {costs}; against the fixed interval it saves {text}{ends}."


def _foresight_sentence(verdict: MaintenanceVerdict) -> str:
    best, true = verdict.of("foresight"), verdict.of(f"{OWN_RULE}[true law]")
    if best is None or best["cost"] is None or verdict.rule == "few_failures":
        return ""
    known = (
        ""
        if true is None or true["cost"] is None
        else f", by the true law of each life {brief(true['cost'])}"
    )
    return f"With foresight it would be {brief(best['cost'])}{known}."


def _capacity_sentence(verdict: MaintenanceVerdict) -> str:
    if verdict.crew is None and verdict.parts is None:
        return ""
    crew = "" if verdict.crew is None else f"{verdict.crew} a slot"
    parts = (
        ""
        if verdict.parts is None
        else f"{verdict.parts} parts and {verdict.parts_rate:g} more a slot"
    )
    limits = " and ".join(filter(None, [crew, parts]))
    if not verdict.within_capacity:
        return (
            f"The machines share no clock, so that the capacity ({limits}) counts in the "
            f"schedule alone."
        )
    free = verdict.of(f"{OWN_RULE}[no limits]")
    if free is None or free["cost"] is None:
        return ""
    return f"Replacements are limited to {limits}; without that it is {brief(free['cost'])}."


def _due_sentence(verdict: MaintenanceVerdict) -> str:
    if not verdict.running:
        return "No machine runs that could be scheduled."
    ahead = f"the next {verdict.slots} slots of {verdict.slot:g} {verdict.unit}"
    return (
        f"Of {counted(verdict.running, 'machines')} that run {verdict.now} are due now and "
        f"{verdict.due} within {ahead}."
    )


# From the laws of remaining lives to the verdict: is the rule shown to pay, and which machine
# is replaced when.

SCHEDULE_COLUMNS = {
    "machine": pl.String,
    "age": pl.Float64,
    "slot": pl.Int64,
    "due": pl.Float64,
    "wanted": pl.Int64,
    "fails_before": pl.Float64,
    "fails_next": pl.Float64,
    "delay_cost": pl.Float64,
    "median_life": pl.Float64,
}
"""The columns of a schedule: the slot, 0 for now and null for later; the age then; the slot without
limits; the chance to fail before the slot (by the end of all slots for later) and in the next one;
the expected cost of one slot more; the median life.
"""

OUTAGE_COLUMNS = {
    "slot": pl.Int64,
    "begin": pl.Float64,
    "planned": pl.Float64,
    "failures": pl.Float64,
    "lost": pl.Float64,
    "lost_sd": pl.Float64,
    "machines": pl.Int64,
}
"""The columns of outages: the slot, when it begins from now, the expected planned replacements and
failures, the expected time that machines stand still and its standard deviation, and how many
machines there are.
"""


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
    tested = MaintenanceBackTest(laws, truth, terms, seed)
    policies = tested.table()
    limit = tested.limit()
    table, lost = cheapest_schedule(
        running, terms, float(finite_or_none(np.array(limit), laws, terms))
    )
    failed = int(laws.failed.sum())
    rule = forbidding_rule(policies, failed, terms)
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
    return replace(verdict, sentence=maintenance_sentence(verdict, terms.least_failures))


def forbidding_rule(policies: pl.DataFrame, failed: int, terms: MaintenanceTerms) -> str:
    """Return the rule that forbids to schedule, `none` where none does.

    Enough machines must have failed, and the cost must be shown, at 95 %, to be below that of each
    rule without sensors: by resamples of machines in which both rules are counted.
    """
    if failed < terms.least_failures:
        return "few_failures"
    lows = policies.filter(pl.col("policy").is_in(BLIND_RULES))["own_saves_low"].to_list()
    return "none" if all(low is not None and low > 0 for low in lows) else "no_gain"


def cheapest_schedule(
    laws: LifeLaws, terms: MaintenanceTerms, rate: float
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the cheapest schedule of machines at their last inspection, soonest first, and the
    outages of each slot.

    Args:
        laws: Of the machines that run; the last inspection of each counts.
        terms: Costs and capacity.
        rate: The worth of a unit of running time.
    """
    rows = laws.last_inspections
    costs = waiting_costs(laws, terms, np.full(len(laws.age), rate))[rows]
    crews = np.full(laws.slots, terms.crew_of(len(rows)))
    slots = cheapest_slots(
        costs, crews, None if terms.parts is None else part_arrivals(terms.parts, terms, laws.slots)
    )
    curves = laws.curves[rows]
    place = np.arange(len(rows))
    later = slots == laws.slots
    following = np.minimum(slots + 1, laws.slots)
    table = pl.DataFrame(
        {
            "machine": [laws.names[each] for each in laws.machine[rows]],
            "age": laws.age[rows],
            "slot": pl.Series(
                [None if late else int(slot) for slot, late in zip(slots, later, strict=True)],
                dtype=pl.Int64,
            ),
            "due": pl.Series(
                np.where(later, np.nan, laws.age[rows] + slots * laws.slot), nan_to_null=True
            ),
            "wanted": pl.Series(
                [None if w == laws.slots else int(w) for w in costs.argmin(axis=1)], dtype=pl.Int64
            ),
            "fails_before": 1 - curves[place, slots],
            "fails_next": 1 - curves[:, 1],
            "delay_cost": pl.Series(
                np.where(later, np.nan, costs[place, following] - costs[place, slots]),
                nan_to_null=True,
            ),
            "median_life": laws.median[rows],
        },
        schema=SCHEDULE_COLUMNS,
    )
    order = ["slot", "fails_next", "machine"]
    return table.sort(order, descending=[False, True, False], nulls_last=True), slot_outages(
        laws, terms, curves, slots
    )


def slot_outages(
    laws: LifeLaws, terms: MaintenanceTerms, curves: np.ndarray, slots: np.ndarray
) -> pl.DataFrame:
    """Return what falls out in each slot.

    A machine that was replaced or repaired is taken to run on to the end of them.

    Args:
        laws: Their slots.
        terms: Times that machines stand still.
        curves: The chance to run on at the beginning of each slot, shape (m, slots + 1).
        slots: Of each machine, shape (m,).
    """
    made = []
    for slot in range(laws.slots):
        mine, running = slots == slot, slots > slot
        planned, fails = curves[mine, slot], (curves[:, slot] - curves[:, slot + 1])[running]
        variance = terms.planned_downtime**2 * (planned * (1 - planned)).sum()
        variance += terms.failure_downtime**2 * (fails * (1 - fails)).sum()
        lost = terms.planned_downtime * planned.sum() + terms.failure_downtime * fails.sum()
        made.append(
            (
                slot,
                slot * laws.slot,
                planned.sum(),
                fails.sum(),
                lost,
                np.sqrt(variance),
                len(slots),
            )
        )
    return pl.DataFrame(made, schema=OUTAGE_COLUMNS, orient="row")


# The report of maintenance: rules in the back-test, the schedule of machines that run, and the
# outages it brings.

RULE_NAMES = {
    "renewal": "renewal rule",
    "renewal[no limits]": "renewal rule, any crew",
    "renewal[true law]": "the same by the true law",
    "threshold": "threshold on the median",
    "threshold[no limits]": "threshold on the median, any crew",
    "fixed_interval": "fixed interval",
    "run_to_failure": "run to failure",
    "foresight": "foresight",
}
"""Rules where people read."""

FAILURE_COLOUR = "#b3382c"
"""The colour of failures."""

MOST_MACHINES = 30
"""Machines of a schedule that are shown."""


def policies_grid(verdict: MaintenanceVerdict) -> Grid:
    """Return a line for each rule: cost, saving, failures, downtime, and how long machines run."""
    rows = verdict.policies.to_dicts()
    unit = verdict.unit.removesuffix("s")
    titles = [
        ("rule", "rule"),
        (f"cost a running {unit}", "cost"),
        ("95 %", "95 %"),
        ("saves against the fixed interval, %", "saves\n%"),
        ("95 % of the saving", ""),
        ("saved against it by the renewal rule, %", "renewal\nsaves %"),
        ("95 % of that", ""),
        ("machines that fail, %", "fail\n%"),
        ("95 % of these", ""),
        ("time that a machine stands still, %", "still\n%"),
        (f"mean {verdict.unit} that a machine runs", "runs"),
        ("machines whose outcome is known", "known"),
    ]
    costs, runs = (
        column_texts([row["cost"] for row in rows]),
        column_texts([row["run"] for row in rows]),
    )
    cells = [
        (
            RULE_NAMES.get(row["policy"], row["policy"]),
            cost,
            _interval_words(row, "cost", 1.0),
            percent_cell(row["saving"]),
            _interval_words(row, "saving", 100.0),
            percent_cell(row["own_saves"]),
            _interval_words(row, "own_saves", 100.0),
            percent_cell(row["failures"]),
            _interval_words(row, "failures", 100.0),
            percent_cell(row["downtime"], 2),
            run,
            str(row["known"]),
        )
        for row, cost, run in zip(rows, costs, runs, strict=True)
    ]
    return grid_of(
        titles,
        cells,
        own=RULE_NAMES[OWN_RULE],
        caption="What rules would have cost on held-out machines:",
    )


def _interval_words(row: dict[str, Any], name: str, scale: float) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return "" if low is None else f"{scale * low:.1f} to {scale * high:.1f}"


def schedule_grid(verdict: MaintenanceVerdict) -> Grid:
    """Return a line for each machine that is due, soonest first.

    All are in maintenance_schedule.csv.
    """
    rows = verdict.schedule.drop_nulls("slot")[:MOST_MACHINES]
    titles = [
        ("machine", "machine"),
        (f"age, {verdict.unit}", "age"),
        ("slot", "slot"),
        ("slot without limits", "wanted"),
        ("chance to fail before, %", "fails\nbefore %"),
        ("chance to fail in the next slot, %", "fails\nnext %"),
        ("expected cost of one slot more", "delay\ncosts"),
        (f"median remaining life, {verdict.unit}", "median\nlife"),
    ]
    cells = zip(
        rows["machine"],
        (f"{age:g}" for age in rows["age"]),
        ("now" if slot == 0 else str(slot) for slot in rows["slot"]),
        ("later" if slot is None else "now" if slot == 0 else str(slot) for slot in rows["wanted"]),
        map(percent_cell, rows["fails_before"]),
        map(percent_cell, rows["fails_next"]),
        column_texts(rows["delay_cost"].to_list()),
        column_texts(rows["median_life"].to_list()),
        strict=True,
    )
    left = verdict.due - len(rows)
    more = f", the first {len(rows)} of {verdict.due}" if left else ""
    return grid_of(titles, list(cells), caption=f"Machines that are due{more}:")


def draw_policies(verdict: MaintenanceVerdict, path: Path) -> None:
    """Draw the cost of each rule with its interval, and the share of machines that fail under
    it.
    """
    save_png(policies_figure(verdict), path)


def policies_figure(verdict: MaintenanceVerdict) -> Figure:
    """Return the figure: costs on the left, failures on the right."""
    rows = verdict.policies.reverse().drop_nulls("cost")
    figure = new_figure(11, 1.8 + 0.4 * len(rows))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    colours = [_rule_colour(name) for name in rows["policy"]]
    _draw_bars(left, rows, "cost", 1.0, colours)
    _draw_bars(right, rows, "failures", 100.0, colours)
    left.set_yticks(
        range(len(rows)), [RULE_NAMES.get(name, name) for name in rows["policy"]], fontsize=9
    )
    unit = verdict.unit.removesuffix("s")
    costs = f"cost a running {unit} ({verdict.planned:g} planned, {verdict.failure:g} a failure)"
    left.set_title(costs, fontsize=9.5, loc="left", color=INK)
    right.set_title("machines that fail, %", fontsize=9.5, loc="left", color=INK)
    why = "" if verdict.rule == "none" else f" ({verdict.rule})"
    title = f"{verdict.action}{why}: {counted(verdict.machines, 'held-out machines')}, lines 95 %"
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    return figure


def _rule_colour(policy: str) -> str:
    return OWN_COLOUR if policy == OWN_RULE else NAIVE_COLOUR if policy in BLIND_RULES else GREY


def _draw_bars(axes: Axes, rows: pl.DataFrame, name: str, scale: float, colours: list[str]) -> None:
    values = scale * rows[name].to_numpy()
    axes.barh(range(len(rows)), values, color=colours, height=0.62)
    for place, (low, high) in enumerate(rows.select(f"{name}_low", f"{name}_high").iter_rows()):
        if low is not None:
            axes.hlines(place, scale * low, scale * high, color=INK, linewidth=1.2)
    axes.set_xlim(left=0)
    tidy(axes, "x")


def draw_schedule(verdict: MaintenanceVerdict, path: Path) -> None:
    """Draw each machine that is due with the slot of its replacement, the chance to fail before,
    and the use of the crew.
    """
    save_png(schedule_figure(verdict), path)


def schedule_figure(verdict: MaintenanceVerdict) -> Figure | None:
    """Return the figure; None where no machine runs."""
    rows = verdict.schedule[:MOST_MACHINES]
    if rows.is_empty():
        return None
    figure = new_figure(10, 2.9 + 0.2 * max(len(rows), 8))
    panels = figure.subplot_mosaic([["slots"], ["use"]], height_ratios=[max(len(rows), 8), 6])
    _draw_slots(panels["slots"], rows, verdict)
    _draw_use(panels["use"], verdict)
    all_machines = counted(verdict.running, "machines")
    shown = all_machines if len(rows) == verdict.running else f"{len(rows)} of {all_machines}"
    title = f"{shown}, the next {verdict.slots} slots of {verdict.slot:g} {verdict.unit}"
    figure.suptitle(
        drawable(title, 90),
        x=0.01,
        ha="left",
        fontsize=12.5,
        fontweight="bold",
        color=INK,
        parse_math=False,
    )
    return figure


def _draw_slots(axes: Axes, rows: pl.DataFrame, verdict: MaintenanceVerdict) -> None:
    place = np.arange(len(rows))[::-1]
    slot = rows["slot"].fill_null(verdict.slots).to_numpy()
    risk = rows["fails_before"].to_numpy()
    axes.hlines(place, 0, slot, color=LIGHT, linewidth=5)
    known = ~rows["slot"].is_null().to_numpy()
    axes.plot(slot[known], place[known], "s", color=OWN_COLOUR, markersize=7, label="replaced")
    axes.plot(slot[~known], place[~known], ">", color=GREY, markersize=6, label="later")
    wanted = rows["wanted"].fill_null(verdict.slots).to_numpy()
    axes.plot(wanted, place, "|", color=INK, markersize=11, label="without limits")
    for y, x, chance in zip(place, slot, risk, strict=True):
        axes.text(
            x + 0.12,
            y,
            f"{100 * chance:.0f} %",
            va="center",
            fontsize=7.5,
            color=FAILURE_COLOUR if chance >= 0.05 else GREY,
        )
    axes.set_yticks(
        place, [drawable(name, 24) for name in rows["machine"]], fontsize=7.5, parse_math=False
    )
    axes.set_ylim(-0.8, len(rows) - 0.2)
    axes.set_xlim(-0.3, verdict.slots + 0.9)
    axes.set_title(
        "slot of each machine, and its chance to fail before", fontsize=9.5, loc="left", color=INK
    )
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    tidy(axes, "x")


def _draw_use(axes: Axes, verdict: MaintenanceVerdict) -> None:
    rows = verdict.outages
    slot = rows["slot"].to_numpy()
    axes.bar(slot, rows["planned"].to_numpy(), color=OWN_COLOUR, width=0.6, label="planned")
    axes.bar(
        slot,
        rows["failures"].to_numpy(),
        bottom=rows["planned"].to_numpy(),
        color=FAILURE_COLOUR,
        width=0.6,
        label="failures",
    )
    most: Any = (rows["planned"] + rows["failures"]).max()
    if verdict.crew is not None and verdict.crew <= 4 * max(float(most), 1.0):
        axes.axhline(verdict.crew, color=INK, linewidth=1.1, linestyle="--", label="crew")
    axes.set_xlim(-0.3, verdict.slots + 0.9)
    axes.set_title("expected replacements", fontsize=9.5, loc="left", color=INK)
    axes.set_xlabel("slot", fontsize=9, color=GREY)
    axes.legend(fontsize=8, frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    tidy(axes)


POLICIES_REPORT = TableReport(grid=policies_grid, draw=draw_policies)
SCHEDULE_REPORT = TableReport(grid=schedule_grid, draw=draw_schedule)
