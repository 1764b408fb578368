"""The report of a verdict: its file, tables and pictures in the run's folder, and its words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from shutil import rmtree
from typing import Any

from hwds.core.checksums import read_json, write_json
from hwds.core.files import write_text
from hwds.core.registry import load_reference
from hwds.core.secrets import visible
from hwds.report.grid import Grid, GridColumn
from hwds.report.hooks import DecisionPack, TableReport, stored_table_reports, table_reports
from hwds.report.leaderboard import WIDTH
from hwds.results.files import refuse_damage
from hwds.results.folder import RunFolder
from hwds.results.tables import Verdict

VERDICT_TABLES = "decision_tables.json"
"""The file of a verdict's tables as they are shown."""

PACK = "decision_pack"
"""The name of the page and the workbook for those who decide, without its kind."""

TABLES_KEY = "tables"
"""Their key in it."""


def store_verdict(
    folder: RunFolder, decision: type, verdict: Verdict | None, prefix: str = ""
) -> None:
    """Write a verdict with its tables and files.

    Without one those of an earlier command are deleted.

    Args:
        folder: The folder of the run.
        decision: The class of the decision.
        verdict: The verdict; None where there is none.
        prefix: The prefix of the files' names (`future_`).
    """
    folder.write_verdict(verdict, prefix)
    shown = folder.path / f"{prefix}{VERDICT_TABLES}"
    if verdict is None:
        shown.unlink(missing_ok=True)
        return
    grids = [asdict(each) for each in _verdict_grids(decision, verdict)]
    write_json(shown, {TABLES_KEY: grids}, default=list, ensure_ascii=False)
    for name, report in _verdict_reports(decision, verdict).items():
        if report.write:
            target = folder.path / f"{prefix}{name}"
            rmtree(target, ignore_errors=True)
            target.mkdir()
            report.write(verdict, target)


def draw_verdict(folder: RunFolder, decision: type, verdict: Verdict, prefix: str = "") -> None:
    """Draw the pictures of a verdict; arguments as of `store_verdict`."""
    from hwds.report.pictures import save_png

    for name, report in _verdict_reports(decision, verdict).items():
        if report.figure:
            save_png(report.figure(verdict), folder.path / f"{prefix}{name}.png")


def store_pack(folder: Path, decision: type, verdict: Verdict | None, name: str) -> list[Path]:
    """Write the page and the workbook of a verdict, and return their paths.

    Without a pack, those of before are deleted.

    Args:
        folder: The folder of the run.
        decision: The class of the decision.
        verdict: The verdict; None where there is none.
        name: The name of the pack; `none` for none.

    Raises:
        HwdsError: They cannot be written.
    """
    page, workbook = (folder / f"{PACK}.{kind}" for kind in ("html", "xlsx"))
    if verdict is None or name == "none":
        page.unlink(missing_ok=True)
        workbook.unlink(missing_ok=True)
        return []
    from hwds.results.difference import write_export

    pack = load_reference(getattr(decision, "packs", {})[name], DecisionPack)
    write_text(page, str(pack.page(verdict).html()))
    return [page, *write_export(pack.sheets(verdict), "xlsx", workbook)]


def stored_grids(folder: Path) -> list[Grid]:
    """Return the stored tables of a verdict, those of earlier versions too.

    None where there is none.

    Raises:
        HwdsError: They are damaged.
    """
    path = folder / VERDICT_TABLES
    stored = _read_grids(path) if path.is_file() else []
    return [
        Grid(
            tuple(
                GridColumn(each["title"], each["brief"], tuple(each["cells"]))
                for each in grid.pop("columns")
            ),
            **{**grid, "own": frozenset(grid["own"]), "truth": frozenset(grid["truth"])},
        )
        for grid in stored
    ]


def verdict_captions(
    config: Mapping[str, Any], verdict: Mapping[str, Any] | None
) -> dict[str, str]:
    """Return the captions of a stored verdict's pictures by file.

    Args:
        config: The config of the run.
        verdict: The stored verdict; None for none.
    """
    names = (verdict or {}).get("tables", ())
    reports = stored_table_reports(config, names) if names else {}
    return {f"{name}.png": each.caption for name, each in reports.items() if each.figure}


def verdict_markdown(decision: type, verdict: Verdict) -> str:
    """Return the sentence and the tables, as Markdown."""
    parts = [
        [each.caption, each.markdown()] if each.caption else [each.markdown()]
        for each in _verdict_grids(decision, verdict)
    ]
    return "\n\n".join([verdict.sentence, *(part for several in parts for part in several)])


def print_verdict(decision: type, verdict: Verdict) -> None:
    """Print the tables and the sentence on the terminal."""
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if Console().is_terminal else WIDTH)
    for each in _verdict_grids(decision, verdict):
        if each.caption:
            console.print(Text(visible(each.caption)))
        console.print(each.rich(console.width))
    print(verdict.sentence)


def _read_grids(path: Path) -> list[dict[str, Any]]:
    """Return the tables in a file.

    Earlier versions wrote them as a list without a key and a checksum.
    """
    with refuse_damage(path):
        if path.read_bytes().startswith(b"["):
            return list(json.loads(path.read_bytes()))
        return list(read_json(path)[TABLES_KEY])


def _verdict_grids(decision: type, verdict: Verdict) -> list[Grid]:
    tables, reports = verdict.tables(), _verdict_reports(decision, verdict)
    grids = [report.grid_of(verdict, tables[name]) for name, report in reports.items()]
    return [each for each in grids if each is not None and len(each)]


def _verdict_reports(decision: type, verdict: Verdict) -> dict[str, TableReport]:
    return table_reports(decision, verdict.tables())
