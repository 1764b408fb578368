"""The cases of a decision: a table of the first ones, and for each a page and its rows as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from hwds.core.atomic import write_text
from hwds.detection.cases.table import heading
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TableReport
from hwds.report.pages.base import GridTable, Listing, Page, Section, Text
from hwds.results.csv_files import write_csv
from hwds.results.formatting import brief, counted

SHOWN = 10
"""Cases on the terminal and on the page of a run."""

PAGES = 50
"""Cases that have a page of their own."""

LINES = 200
"""Rows of a case on its page; its CSV has all."""

TITLES = (
    ("case", "case"),
    ("kind", "kind"),
    ("tier", "tier"),
    ("accounts", "accounts"),
    ("rows", "rows"),
    ("at stake", "at stake"),
    ("score", "score"),
    ("why", ""),
)


def grid(verdict: Any) -> Grid:
    """Return the first cases of a verdict."""
    cases = verdict.cases.head(SHOWN)
    rows = [
        (
            case["case"],
            case["kind"],
            case["tier"] or "",
            str(case["parties"]),
            str(case["rows"]),
            brief(case["at_stake"], None, verdict.unit),
            brief(case["score"]),
            case["reasons"],
        )
        for case in cases.iter_rows(named=True)
    ]
    return grid_of(TITLES, rows, names=3, words=1, caption=caption_of(len(verdict.cases)))


def caption_of(count: int) -> str:
    """Return the words above the table of the first of so many cases."""
    if count == 1:
        return "The one case; it is in cases.csv, and cases/index.html shows it:"
    pages = "each" if count <= PAGES else f"the first {PAGES}"
    if count <= SHOWN:
        return f"All {counted(count, 'cases')}; they are in cases.csv, and cases/index.html shows {pages}:"
    return f"The first {SHOWN} of {counted(count, 'cases')}; all are in cases.csv, and cases/index.html shows {pages}:"


def write(verdict: Any, folder: Path) -> None:
    """Write `index.html`, and for each of the first cases its page and its rows."""
    first = verdict.cases.head(PAGES).to_dicts()
    write_text(folder / "index.html", str(_index(first, verdict).html()))
    for case in first:
        rows = verdict.case_rows.filter(pl.col("case") == case["case"]).drop("case")
        write_text(folder / f"{case['case']}.html", str(case_page(case, rows, verdict.unit).html()))
        write_csv(folder / f"{case['case']}.csv", rows)


def _index(first: Sequence[Mapping[str, Any]], verdict: Any) -> Page:
    lines = tuple(_line(case, verdict.unit) for case in first)
    every = counted(len(verdict.cases), "cases")
    whole = len(first) == len(verdict.cases)
    pages = "one with a page of its own" if len(first) == 1 else "each with a page of its own"
    shown = f"{every}, {pages}." if whole else f"{every}; the first {len(first)} have a page of their own."
    title = "The cases, the most urgent first" if whole else "The first cases"
    return Page("Cases", verdict.sentence, shown, (Section(title, (Listing(lines),)),))


def _line(case: Mapping[str, Any], unit: str) -> str:
    """Return a case in a line: its heading, its money, and its reasons where they were computed."""
    return "; ".join(filter(None, (heading(case), f"{brief(case['at_stake'], None, unit)} at stake", case["reasons"])))


def case_page(case: Mapping[str, Any], rows: pl.DataFrame, unit: str) -> Page:
    """Return the page of a case: what it is, why it is suspected, what ties its accounts, and its rows.

    Args:
        case: A row of the table of cases.
        rows: Its own rows.
        unit: Of money.
    """
    when = _when(case["first"], case["last"])
    lead = f"{heading(case)}{when}, {brief(case['at_stake'], None, unit)} at stake."
    why = Section("Why", (Listing(tuple(case["reasons"].split("; "))) if case["reasons"] else Text("No reason was computed."),))
    ties = Section("What ties its accounts", (Listing(tuple(case["shares"].split("; "))),)) if case["shares"] else None
    cells = rows.head(LINES)
    table = Section("Rows", (GridTable(_rows_grid(cells, len(rows))),))
    likely = rows["probability"].cast(pl.Float64).drop_nulls().to_numpy()
    sure = f"Highest probability {likely.max():.2f}" if len(likely) else f"Score {brief(case['score'])}"
    below = f"{sure}{'; tier ' + case['tier'] if case['tier'] else ''}. All its rows: {case['case']}.csv."
    return Page(f"Case {case['case']}", lead, below, tuple(part for part in (why, ties, table) if part is not None))


def _rows_grid(rows: pl.DataFrame, every: int) -> Grid:
    names = [name for name in rows.columns if name != "row_id" and rows[name].null_count() < len(rows)]
    titles = [(name.removeprefix("link: ").replace("_", " "), name) for name in names]
    cells = [tuple(_cell(value) for value in row) for row in rows.select(names).iter_rows()]
    shown = f"The first {len(rows)} of {every:,} rows:" if len(rows) < every else ""
    texts = sum(not rows.schema[name].is_numeric() for name in names if name != "reasons")
    words = int("reasons" in names)
    return grid_of(titles, cells, names=texts, words=words, caption=shown)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return brief(value) if isinstance(value, float) else f"{value:%Y-%m-%d %H:%M}" if hasattr(value, "hour") else str(value)


def _when(first: Any, last: Any) -> str:
    if first is None:
        return ""
    return f" on {_day(first)}" if _day(first) == _day(last) else f" from {_day(first)} to {_day(last)}"


def _day(moment: Any) -> str:
    return f"{moment:%d %b %Y}"


REPORT = TableReport(grid=grid, write=write)
