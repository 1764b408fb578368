"""Show the columns of a dataset, and its traps with their cures.

`hwds check dataset=file dataset.path=sales.csv ...` takes the words of a run that name the dataset.
Each finding is an error, a warning or a note, and has the setting that mends it.
`dataset.accept=[NAME]` silences a check. A page is written below outputs/checks. 1 after an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import polars as pl
from polars import DataFrame, Series

from hwds.cli.words import JSON_ALONE, OVERRIDES, QUIET, command, print_json
from hwds.core.compose import compose
from hwds.core.config import build
from hwds.core.errors import ConfigError, DataError
from hwds.core.files import OUTPUTS, digest
from hwds.datasets.reading.columns import OwnRows, read_plan, typed_column
from hwds.datasets.reading.file_traps import (
    file_findings,
    fitting_settings,
    fitting_text,
    raw_table,
)
from hwds.datasets.reading.traps import SEVERITIES, Finding, findings_of, in_order
from hwds.experiment.prepare import likely_giveaways
from hwds.frames.files import local_files
from hwds.frames.panel import Panel
from hwds.frames.roles import ROLES, Roles, as_names
from hwds.frames.table import ROW_ID
from hwds.report.grid import Grid, grid_of
from hwds.report.leaderboard import terminal
from hwds.report.page_parts import GridTable, Page, Section, Text
from hwds.report.pages import write_page
from hwds.report.verdict import Shown, print_line, print_shown
from hwds.results.formatting import counted, listed
from hwds.results.records import command_line


@command(help=__doc__)
@OVERRIDES
@click.option("--plan", metavar="FILE", default="", help="Check the values of this plan, too.")
@JSON_ALONE
@QUIET
def main(overrides: tuple[str, ...], plan: str, as_json: bool) -> int:
    """Print the columns and the findings of the dataset that the words compose."""
    dataset: Any = build("dataset", "dataset", compose(list(overrides))["dataset"])
    examined = examine(dataset, plan)
    page = write_check(dataset, examined)
    show(dataset, examined, page)
    if as_json:
        print_json(
            {
                "dataset": dataset.name,
                "verdict": verdict_of(examined.findings),
                **asdict(examined),
                "page": str(page),
            }
        )
    return int(verdict_of(examined.findings) == "FAIL")


def show(dataset: Any, examined: Examined, page: Path) -> None:
    """Print the columns, the verdict, the findings with their cures, and the page."""
    console = terminal()
    said = f"{verdict_of(examined.findings)}: {result(examined.findings)}"
    grids = [columns_grid(examined)]
    print_shown(Shown(title=title_of(dataset, examined), grids=grids, said=said), console)
    lines = [
        (each.severity.capitalize(), f"{each.check}: {each.what} {each.mend}".strip())
        for each in examined.findings
    ]
    for label, text in (*lines, *advice(examined), ("Page", str(page))):
        print_line(console, label, text)


def verdict_of(findings: Sequence[Finding]) -> str:
    """Return the word of a check: FAIL of data that must be mended before a run."""
    return "FAIL" if any(each.severity == "error" for each in findings) else "PASS"


def advice(examined: Examined) -> list[tuple[str, str]]:
    """Return the settings that fit the file, and those to choose, as lines."""
    lines = []
    if examined.settings:
        lines.append(("Next", " ".join(examined.settings)))
    lines += [("Choose", each) for each in examined.choices]
    return lines


def result(findings: Sequence[Finding]) -> str:
    """Return how many findings there are of each severity."""
    counts = [(kind, sum(each.severity == kind for each in findings)) for kind in SEVERITIES]
    found = listed([counted(n, f"{kind}s") for kind, n in counts if n])
    return f"{found or 'nothing'} found."


def title_of(dataset: Any, examined: Examined) -> str:
    """Return the dataset and its size in a line."""
    path = f" {dataset.path}" if hasattr(dataset, "path") else ""
    return f"{dataset.name}{path} · {counted(examined.rows, 'rows')}"


def columns_grid(examined: Examined) -> Grid:
    """Return the table of the columns."""
    titles = ("column", "role", "kind", "missing", "distinct", "min", "typical", "max")
    rows = [
        ["" if row[name] is None else str(row[name]) for name in titles] for row in examined.columns
    ]
    return grid_of(titles, rows, names=3)


def write_check(dataset: Any, examined: Examined) -> Path:
    """Write the page of a check, and return its path."""
    findings = grid_of(
        ("severity", "check", "column", "finding", "cure"),
        [
            [each.severity, each.check, each.column, each.what, each.mend]
            for each in examined.findings
        ],
        names=3,
        words=2,
    )
    said = [Text(f"{label}: {line}") for label, line in advice(examined)]
    page = Page(
        title_of(dataset, examined),
        f"{verdict_of(examined.findings)}: {result(examined.findings)}",
        command_line(),
        (
            Section("Findings", (GridTable(findings), *said) if examined.findings else ()),
            Section("Columns", (GridTable(columns_grid(examined)),) if examined.columns else ()),
        ),
    )
    named = digest([dataset.name, getattr(dataset, "path", "")])
    folder = (OUTPUTS / "checks" / named).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return write_page(page, folder)[0]


# What is in the data, column by column, and all that is found in it.


@dataclass(frozen=True, slots=True)
class Examined:
    """A dataset as it was found.

    Attributes:
        columns: A row for each column; see `describe_columns`.
        findings: The findings, errors first.
        rows: The number of rows.
        settings: The settings that its file needs and the dataset lacks.
        choices: Settings to choose from.
    """

    columns: list[dict[str, Any]]
    findings: list[Finding]
    rows: int
    settings: Sequence[str] = ()
    choices: Sequence[str] = ()


def examine(dataset: Any, plan: str = "") -> Examined:
    """Return what is in a dataset, also in one that its reader refuses.

    Args:
        dataset: A dataset.
        plan: A file with the planned columns of rows to come; empty for none.

    Raises:
        HwdsError: Nothing of it can be read, or the plan cannot.
    """
    own = isinstance(dataset, OwnRows)
    settings, choices = fitting_settings(dataset) if own else ([], [])
    raw = None
    if own:
        try:
            raw = raw_table(dataset)
        except DataError:
            raw = raw_table(dataset, fitting_text(dataset, _first_bytes(dataset))[0])
    found = file_findings(dataset, raw) if raw is not None else []
    accepted = dataset.accept if own else ()
    try:
        frame = dataset.load()
    except (DataError, ConfigError) as error:
        table = raw if raw is not None else pl.DataFrame()
        return Examined(
            describe_columns(table, _named(dataset)),
            in_order([*found, Finding("refused", "error", "", str(error), "")], accepted),
            len(table),
            settings,
            choices,
        )
    frame = _with_plan(dataset, frame, plan) if plan else frame
    found += [*findings_of(frame, accepted), *_remarks(dataset, frame)]
    data = getattr(frame, "table", getattr(frame, "data", None))
    table = data if isinstance(data, DataFrame) else pl.DataFrame()
    roles = getattr(frame, "roles", None)
    return Examined(
        describe_columns(table, roles), in_order(found, accepted), len(table), settings, choices
    )


def _named(dataset: Any) -> Roles:
    """Return the roles that a dataset names, unchecked."""
    given = getattr(dataset, "roles", None)
    names = {role: as_names(getattr(given, role, None)) for role in ROLES}
    return Roles({role: columns for role, columns in names.items() if columns})


def _first_bytes(dataset: Any) -> bytes:
    return local_files(dataset.path, dataset.sha256)[0].read_bytes()


def _remarks(dataset: Any, frame: Any) -> Iterator[Finding]:
    for remark in likely_giveaways(frame, getattr(dataset, "trust", ())):
        yield Finding("likely-leak", "warning", "", remark, "")
    for remark in dataset.remarks(frame):
        yield Finding("remark", "note", "", remark, "")


def describe_columns(table: DataFrame, roles: Any = None) -> list[dict[str, Any]]:
    """Return a row for each column: role, kind, missing and distinct values, least one, median
    (of texts the most frequent one), largest one.

    Args:
        table: The rows; text of a CSV is shown as what it looks like.
        roles: The roles of the columns, if they have some.
    """
    return [_described(table[name], roles) for name in table.columns if name != ROW_ID]


def _described(column: Series, roles: Any) -> dict[str, Any]:
    values = typed_column(column)
    played = [*roles.roles_of(column.name)] if roles is not None else []
    flat = not values.dtype.is_nested()
    numbers = values.dtype.is_numeric() or values.dtype.is_temporal()
    known = values.drop_nulls()
    middle = known.median() if values.dtype.is_numeric() and len(known) else None
    if not numbers and flat and len(known):
        middle = known.mode().sort()[0]
    return {
        "column": column.name,
        "role": ", ".join(played),
        "kind": str(values.dtype).partition("(")[0].lower(),
        "missing": values.null_count(),
        "distinct": values.n_unique() if flat else None,
        "min": _shown(known.min()) if numbers and len(known) else "",
        "typical": _shown(middle),
        "max": _shown(known.max()) if numbers and len(known) else "",
    }


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:30]


def _with_plan(dataset: Any, frame: Any, path: str) -> Any:
    """Return a panel with the plan of a file, of as many rows as its horizon."""
    if not isinstance(frame, Panel) or not frame.planned:
        raise ConfigError("--plan: the dataset has no known-future column to plan.")
    names: dict[str, Any] = {}
    if hasattr(dataset, "given_roles"):
        roles = dataset.given_roles()
        names = {"series": roles.get("series", ()), "time": roles["time"][0]}
        names["form"] = dataset.text_format
    return replace(frame, plan=read_plan(path, frame, 0, **names))
