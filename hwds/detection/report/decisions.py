"""The tables, pictures and case files of decisions on alerts and on arbitrage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from polars import DataFrame, Series, col

from hwds.core.files import write_text
from hwds.core.settings import read_beside
from hwds.detection.alerts.verdict import Against, AlertVerdict, PolicyRecord
from hwds.detection.cases import case_heading
from hwds.detection.reselling import STREET, ArbitrageVerdict, route_name
from hwds.report.grid import Grid, declared_grid, grid_of
from hwds.report.hooks import TableReport
from hwds.report.page_parts import GridTable, Listing, Page, Section, Text
from hwds.report.pictures import (
    ALARM_COLOUR,
    GREY,
    INK,
    LIGHT,
    NAIVE_COLOUR,
    OWN_COLOUR,
    drawable,
    headline,
    legend_above,
    name_rows,
    new_figure,
    plain_numbers,
    thousands,
    tidy,
)
from hwds.report.words import say
from hwds.results.files import write_csv
from hwds.results.formatting import brief, counted, decimals, fixed, percent_cell
from hwds.results.tables import Column, Declared

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLUMNS = {
    table: Declared.of(Column(**column) for column in columns)
    for table, columns in read_beside(__file__, "decisions.yaml").items()
}
"""The columns of each table."""

# alert_costs.png: what each policy costs a day, by the labels and by the truth, with its parts
# and its interval.

COST_PARTS = (
    ("missed", "loss that is missed", OWN_COLOUR),
    ("wrong_blocks", "honest rows blocked", NAIVE_COLOUR),
    ("reviews", "reviews", LIGHT),
)
AGAINST_TITLES: dict[Against, str] = {
    "labels": "by the labels, each for as many rows as it stands for",
    "truth": "by the simulator's truth, all rows",
}


def costs_figure(verdict: AlertVerdict) -> Figure | None:
    """Draw the cost of each policy; None where nothing was back-tested."""
    by_side: dict[Against, list[PolicyRecord]] = {}
    for line in verdict.record:
        by_side.setdefault(line.against, []).append(line)
    if not by_side:
        return None
    figure = new_figure(10.5, 1.3 + 2.4 * len(by_side))
    panels = figure.subplots(len(by_side), 1, squeeze=False)[:, 0]
    for axes, (against, lines) in zip(panels, by_side.items(), strict=True):
        _draw_costs(axes, lines, verdict)
        tidy(axes, "x", title=AGAINST_TITLES[against])
    unit = drawable(verdict.unit or "cost")
    tidy(panels[-1], "x", x=f"{unit} a day; line: 95 %, days and entities drawn again")
    legend_above(panels[0], len(COST_PARTS))
    headline(figure, f"{verdict.advice}: what each policy costs over {verdict.days} days")
    return figure


def _draw_costs(axes: Axes, lines: Sequence[PolicyRecord], verdict: AlertVerdict) -> None:
    from matplotlib.ticker import MaxNLocator

    places = list(range(len(lines)))[::-1]
    begin, longest = [0.0] * len(lines), 0.0
    for part, label, colour in COST_PARTS:
        sizes = [float(getattr(line, part)) for line in lines]
        axes.barh(places, sizes, left=begin, color=colour, height=0.62, label=label)
        begin = [at + size for at, size in zip(begin, sizes, strict=True)]
    for place, line in zip(places, lines, strict=True):
        low, high = line.cost.low, line.cost.high
        end = line.cost.value
        if low is not None and high is not None:
            axes.hlines(place, low, high, color=INK, linewidth=1.4)
            end = max(end, high)
        longest = max(longest, end)
        axes.annotate(
            brief(line.cost.value),
            (end, place),
            (6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=INK,
        )
    name_rows(axes, places, [policy_name(line.policy, verdict) for line in lines], 60)
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.set_xlim(0, 1.1 * longest or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    thousands(axes.xaxis)


def policy_name(policy: str, verdict: AlertVerdict) -> str:
    """Return the name of a policy: `today's rule`, `z > 3`."""
    names = {
        "today": "today's rule",
        "z": f"z > {verdict.terms.z:g}",
        "random": "random reviews",
        "nothing": "nothing",
    }
    return names.get(policy, policy)


# The costs of a decision on alerts: a table of all policies, and its picture.


def alert_cost_grid(verdict: AlertVerdict) -> Grid:
    """Return every policy against labels and truth: its cost a day, and what the decision's own
    policy saves.
    """
    places = decimals([line.cost.value for line in verdict.record])
    return declared_grid(
        COLUMNS["costs"],
        verdict.costs,
        verdict,
        own="{{ decision }}",
        names=2,
        caption="Cost of each policy, {{ unit or 'money' }} per day over {{ days }} days:",
        money=partial(fixed, places=places),
        ends=lambda *ends: " to ".join(fixed(end, places) for end in ends if end is not None),
        named=partial(policy_name, verdict=verdict),
    )


SIDES = {"labels": "by labels", "truth": "in truth"}


def alert_policy_grid(verdict: AlertVerdict) -> Grid:
    """Return a row for each policy: its cost by labels and in truth, and what it catches."""
    places = decimals([line.cost.value for line in verdict.record])
    sides = list(dict.fromkeys(line.against for line in verdict.record))
    by_policy: dict[str, list[PolicyRecord]] = {}
    for line in verdict.record:
        by_policy.setdefault(line.policy, []).append(line)
    heads: list[str | tuple[str, str]] = ["policy"]
    for side in sides:
        heads += [f"cost {SIDES[side]}", "saved (95 %)"]
    heads += [
        ("caught, %", "caught\n%"),
        ("honest blocked, %", "honest\nblocked %"),
        ("guarded blocked, %", "guarded\nblocked %"),
    ]
    rows = [
        [
            policy_name(policy, verdict),
            *(text for line in lines for text in _costs_cells(line, places)),
            percent_cell(lines[-1].caught_share),
            percent_cell(lines[-1].honest_blocked),
            percent_cell(lines[-1].guarded_blocked),
        ]
        for policy, lines in by_policy.items()
    ]
    caption = f"{verdict.unit or 'Money'} per day over {verdict.days} days; saved: by the policy"
    return grid_of(heads, rows, own=verdict.decision, caption=f"{caption}")


def _costs_cells(line: PolicyRecord, places: int) -> tuple[str, str]:
    saved = line.saving
    if saved is None or saved.low is None or saved.high is None:
        return fixed(line.cost.value, places), "" if saved is None else fixed(saved.value, places)
    ends = f"{fixed(saved.low, places)} to {fixed(saved.high, places)}"
    return fixed(line.cost.value, places), ends


ALERT_COSTS_REPORT = TableReport(
    first=alert_policy_grid,
    grid=alert_cost_grid,
    figure=costs_figure,
    caption="The cost of each policy with its parts and intervals",
)


# The thresholds of a decision on alerts: the probabilities from which the last window blocks
# and reviews, by the stake.


ALERT_THRESHOLDS_REPORT = TableReport(
    columns=COLUMNS["thresholds"],
    rows=lambda verdict: verdict.thresholds.filter(cutoff=col("cutoff").max()),
    title="""
    {%- set last = chosen | last if rows %}
    {%- if rows -%}
    Thresholds of the window of {{ last.cutoff }}, blocked from p x loss >= (1 - p) x
    {{ (last.multiplier * terms.wrong_block) | money(unit) }}, reviewed from a gain of
    {{ last.floor | money(unit) if last.floor else "0" }}
    {%- if last.formula_cost is none %} (the formula as it is, for {{ last.positives }} labelled
    gray rows before it can choose nothing):
    {%- elif last.multiplier == 1 and last.floor == 0 %} (the formula as it is, than which nothing
    was clearly cheaper before it):
    {%- else %} ({{ last.multiplier | written("g") }} x the cost of a wrong block, what cost least
    before it):
    {%- endif %}
    {%- endif %}
    """,
)


# The cases of a decision: a table of the first ones, and for each a page and its rows as CSV.

SHOWN_CASES = 10
"""Cases on the terminal and on the page of a run."""

CASE_PAGES = 50
"""Cases that have a page of their own."""

CASE_ROWS = 200
"""Rows of a case on its page; its CSV has all."""


CASE_CAPTION = (
    f"""
{{%- set pages = {CASE_PAGES} %}}"""
    + """
{%- if rows == 1 -%}
The one case; it is in cases.csv, and cases/index.html shows it:
{%- else -%}
{% if rows == shown %}All {{ rows | counted("cases") }}; they
{%- else %}The first {{ shown }} of {{ rows | counted("cases") }}; all{% endif %} are in cases.csv,
and cases/index.html shows {% if rows <= pages %}each{% else %}the first {{ pages }}{% endif %}:
{%- endif %}
"""
)
"""The words above the table of the first cases."""


def write_case_files(verdict: Any, folder: Path) -> None:
    """Write `index.html`, and for each of the first cases its page and its rows."""
    first = verdict.cases.head(CASE_PAGES).to_dicts()
    write_text(folder / "index.html", str(_case_index(first, verdict).html()))
    for case in first:
        rows = verdict.case_rows.filter(case=case["case"]).drop("case")
        write_text(folder / f"{case['case']}.html", str(case_page(case, rows, verdict.unit).html()))
        write_csv(folder / f"{case['case']}.csv", rows)


CASE_LINE = """
{{ heading }}; {{ at_stake | money(unit) }} at stake{% if reasons %}; {{ reasons }}{% endif %}
"""
CASE_INDEX = """
{{ number | counted("cases") }}
{%- if shown < number %}; the first {{ shown }} have a page of their own.
{%- else %}, {{ "one" if shown == 1 else "each" }} with a page of its own.
{%- endif %}
"""


def _case_index(first: Sequence[Mapping[str, Any]], verdict: Any) -> Page:
    lines = tuple(
        say(CASE_LINE, case, heading=case_heading(case), unit=verdict.unit) for case in first
    )
    number = len(verdict.cases)
    title = "The first cases" if len(first) < number else "The cases, the most urgent first"
    shown = say(CASE_INDEX, number=number, shown=len(first))
    return Page("Cases", verdict.sentence, shown, (Section(title, (Listing(lines),)),))


CASE_LEAD = """
{%- set begin, end = first | written("%d %b %Y"), last | written("%d %b %Y") -%}
{{ heading }}
{%- if not first %}{% elif begin == end %} on {{ begin }}
{%- else %} from {{ begin }} to {{ end }}{% endif %}, {{ at_stake | money(unit) }} at stake.
"""
CASE_BELOW = """
{%- if highest is none %}Score {{ score | brief }}
{%- else %}Highest probability {{ highest | written(".2f") }}{% endif %}
{%- if tier %}; tier {{ tier }}{% endif %}. All its rows: {{ case }}.csv.
"""


def case_page(case: Mapping[str, Any], rows: DataFrame, unit: str) -> Page:
    """Return the page of a case: what it is, why it is suspected, what ties its accounts, and its
    rows.

    Args:
        case: A row of the table of cases.
        rows: Its own rows.
        unit: The unit of money.
    """
    lead = say(CASE_LEAD, case, heading=case_heading(case), unit=unit)
    reasons = case["reasons"]
    why = Listing(tuple(reasons.split("; "))) if reasons else Text("No reason was computed.")
    sections = [Section("Why", (why,))]
    if case["shares"]:
        ties = Listing(tuple(case["shares"].split("; ")))
        sections.append(Section("What ties its accounts", (ties,)))
    table = GridTable(_case_rows_grid(rows.head(CASE_ROWS), len(rows)))
    likely = rows["probability"].cast(pl.Float64).drop_nulls()
    return Page(
        f"Case {case['case']}",
        lead,
        say(CASE_BELOW, {**case, "highest": likely.max()}),
        (*sections, Section("Rows", (table,))),
    )


def _case_rows_grid(rows: DataFrame, every: int) -> Grid:
    names = [
        name for name in rows.columns if name != "row_id" and rows[name].null_count() < len(rows)
    ]
    titles = [(name.removeprefix("link: ").replace("_", " "), name) for name in names]
    cells = [tuple(_case_cell(value) for value in row) for row in rows.select(names).iter_rows()]
    shown = f"The first {len(rows)} of {every:,} rows:" if len(rows) < every else ""
    texts = sum(not rows.schema[name].is_numeric() for name in names if name != "reasons")
    words = int("reasons" in names)
    return grid_of(titles, cells, names=texts, words=words, caption=shown)


def _case_cell(value: Any) -> str:
    if isinstance(value, float):
        return brief(value)
    if hasattr(value, "hour"):
        return f"{value:%Y-%m-%d %H:%M}"
    return "" if value is None else str(value)


CASES_REPORT = TableReport(
    columns=COLUMNS["cases"],
    most=SHOWN_CASES,
    names=3,
    words=1,
    title=CASE_CAPTION,
    write=write_case_files,
)


# arbitrage_thresholds.png: differences of prices beside their thresholds, and the margins
# between channels.

MOST_DRAWN_PAIRS = 26
"""Pairs shown."""


def arbitrage_figure(verdict: ArbitrageVerdict) -> Figure | None:
    """Draw the pairs that pay most, and how many SKUs pay between each two channels.

    None where there is no pair.
    """
    pairs = verdict.thresholds.drop_nulls("margin")
    if pairs.is_empty():
        return None
    shown = pairs.head(MOST_DRAWN_PAIRS)
    figure = new_figure(12.5, 2.2 + 0.23 * max(len(shown), 14))
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    _draw_pairs(left, shown, verdict.unit)
    _draw_channels(right, pairs)
    pairs_shown = counted(verdict.pairs, "pairs")
    headline(
        figure,
        f"{verdict.action}: reselling pays in {verdict.paying:,} of {pairs_shown}, {verdict.days} "
        f"days to {verdict.until}",
    )
    return figure


def _draw_pairs(axes: Axes, pairs: DataFrame, unit: str) -> None:
    """Draw the largest margins: where the dot is right of the stroke, reselling pays."""
    place = np.arange(len(pairs))[::-1]
    difference, threshold = pairs["difference"].to_numpy(), pairs["threshold"].to_numpy()
    axes.hlines(place, threshold, difference, color=LIGHT, linewidth=5)
    axes.plot(
        threshold,
        place,
        "|",
        color=INK,
        markersize=11,
        markeredgewidth=1.7,
        label="threshold: freight, duty and risk",
    )
    above = difference > threshold
    for which, colour, name in (
        (above, ALARM_COLOUR, "reselling pays"),
        (~above, GREY, "it does not"),
    ):
        if which.any():
            axes.plot(
                difference[which],
                place[which],
                "o",
                color=colour,
                markersize=5,
                label=f"difference of prices: {name}",
            )
    names = [
        f"{row['sku']}: {route_name(row['bought_in'], row['from_region'])} to "
        f"{route_name(row['sold_in'], row['to_region'])}"
        for row in pairs.to_dicts()
    ]
    tidy(axes, "x", x=drawable(f"a unit{f', {unit}' if unit else ''}"))
    name_rows(axes, place, names, 64)
    axes.set_ylim(-0.8, len(pairs) - 0.2)
    plain_numbers(axes.xaxis)
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.3, -0.1 * 22 / max(len(pairs), 14)),
        ncols=3,
        frameon=False,
        fontsize=8,
    )


def _draw_channels(axes: Axes, pairs: DataFrame) -> None:
    """Draw between each two channels the median margin of SKUs as a share of the price paid, and
    how many SKUs pay.
    """
    share = (col("margin") / col("price_paid")).median()
    by = pairs.group_by("bought_in", "sold_in").agg(
        share.alias("share"), col("pays").sum(), of=pl.len()
    )
    froms = sorted(by["bought_in"].unique())
    tos = sorted(by["sold_in"].unique(), key=lambda name: (name == STREET, name))
    values = np.full((len(froms), len(tos)), np.nan)
    for row in by.to_dicts():
        at = froms.index(row["bought_in"]), tos.index(row["sold_in"])
        values[at] = 100 * row["share"]
        axes.text(
            at[1],
            at[0],
            f"{row['pays']}/{row['of']}",
            ha="center",
            va="center",
            fontsize=8,
            color=INK,
        )
    reach = max(float(np.nanmax(np.abs(values))), 1e-9)
    axes.imshow(values, cmap="RdBu_r", vmin=-1.6 * reach, vmax=1.6 * reach, aspect="auto")
    axes.set_xticks(
        range(len(tos)),
        [drawable(name, 16) for name in tos],
        rotation=40,
        ha="right",
        fontsize=8.5,
        parse_math=False,
    )
    name_rows(axes, range(len(froms)), froms, 16)
    title = "bought in (rows), sold in (columns): SKUs that pay"
    tidy(axes, title=title, x="red: the median SKU gains; blue: it loses")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


# The report of a decision on arbitrage thresholds: a table of the pairs that pay most, and
# their picture.

MOST_LISTED_PAIRS = 15
"""Pairs shown."""


def routes(verdict: ArbitrageVerdict) -> DataFrame:
    """Return the pairs, each end with its region."""
    ends = {"bought_in": "from_region", "sold_in": "to_region"}
    pairs = verdict.thresholds
    named = {
        name: [route_name(*end) for end in pairs.select(name, region).iter_rows()]
        for name, region in ends.items()
    }
    return pairs.with_columns(Series(name, texts, pl.String) for name, texts in named.items())


ARBITRAGE_REPORT = TableReport(
    columns=COLUMNS["routes"],
    rows=routes,
    most=MOST_LISTED_PAIRS,
    names=3,
    figure=arbitrage_figure,
    caption="The pairs that pay most, and how many SKUs pay between each two channels",
)
