"""Show what is in a dataset, column by column, and what it cannot bear.

`hwds check dataset=file dataset.path=sales.csv ...` takes the words of a run that name the dataset.
Each finding is an error, a warning or a note, and has the setting that mends it.
`dataset.accept=[NAME]` silences a check. A page is written below outputs/checks. 1 after an error.
"""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click

from hwds.cli.words import JSON_ALONE, OVERRIDES, QUIET, command, print_json
from hwds.results.formatting import WIDTH, counted, listed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hwds.datasets.reading.traps import Examined, Finding
    from hwds.report.grid import Grid


@command(help=__doc__)
@OVERRIDES
@click.option("--plan", metavar="FILE", default="", help="Check the values of this plan, too.")
@JSON_ALONE
@QUIET
def main(overrides: tuple[str, ...], plan: str, as_json: bool) -> int:
    """Print the columns and the findings of the dataset that the words compose."""
    from dataclasses import asdict

    from hwds.core.compose import compose
    from hwds.core.config import build
    from hwds.datasets.reading.traps import examine

    dataset: Any = build("dataset", "dataset", compose(list(overrides))["dataset"])
    examined = examine(dataset, plan)
    page = write_check(dataset, examined)
    show(dataset, examined, page)
    if as_json:
        print_json({"dataset": dataset.name, **asdict(examined), "page": str(page)})
    return int(any(each.severity == "error" for each in examined.findings))


def show(dataset: Any, examined: Examined, page: Path) -> None:
    """Print the columns, the findings with their cures, and the page."""
    from hwds.report.verdict import Shown, print_shown

    columns = columns_grid(examined)
    print_shown(Shown(title=title_of(dataset, examined), grids=[columns]))
    for each in examined.findings:
        print(f"\n{each.severity:<8} {each.check}")
        for line in wrap(f"{each.what} {each.mend}".strip(), WIDTH - 9, break_on_hyphens=False):
            print(f"         {line}")
    print()
    for label, line in (*advice(examined), ("Result", result(examined.findings))):
        first, *others = wrap(line, WIDTH - 9, break_on_hyphens=False, break_long_words=False)
        print("\n".join([f"{label:<9}{first}", *(" " * 9 + more for more in others)]))
    print(f"{'Page':<9}{page}")


def advice(examined: Examined) -> list[tuple[str, str]]:
    """Return the settings that fit the file, and those to choose, as lines."""
    lines = []
    if examined.settings:
        lines.append(("Fitting", " ".join(examined.settings)))
    lines += [("Choose", each) for each in examined.choices]
    return lines


def result(findings: Sequence[Finding]) -> str:
    """Return how many findings there are of each severity."""
    from hwds.datasets.reading.traps import SEVERITIES

    counts = [(kind, sum(each.severity == kind for each in findings)) for kind in SEVERITIES]
    return listed([counted(n, f"{kind}s") for kind, n in counts if n]) or "nothing was found."


def title_of(dataset: Any, examined: Examined) -> str:
    """Return the dataset and its size in a line."""
    path = f" {dataset.path}" if hasattr(dataset, "path") else ""
    return f"{dataset.name}{path} · {counted(examined.rows, 'rows')}"


def columns_grid(examined: Examined) -> Grid:
    """Return the table of the columns."""
    from hwds.report.grid import grid_of

    titles = ("column", "role", "kind", "missing", "different", "least", "middle", "most")
    rows = [
        ["" if row[name] is None else str(row[name]) for name in titles] for row in examined.columns
    ]
    return grid_of(titles, rows, names=3)


def write_check(dataset: Any, examined: Examined) -> Path:
    """Write the page of a check, and return its path."""
    from hwds.core.files import OUTPUTS, digest
    from hwds.report.grid import grid_of
    from hwds.report.page_parts import GridTable, Page, Section, Text
    from hwds.report.pages import write_page
    from hwds.results.records import command_line

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
        result(examined.findings),
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
