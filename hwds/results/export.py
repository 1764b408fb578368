"""Export: the tables of a run for other programs, as CSV, Parquet or one workbook, in which no text becomes a formula."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from hwds.core.atomic import write_atomically
from hwds.core.checksums.files import table_without_secrets, write_parquet
from hwds.core.errors import HwdsError
from hwds.results.csv_files import disarmed, write_csv
from hwds.results.folder import TABLES, RunFolder
from hwds.results.runs.fields import exact, flat

MOST_ROWS = 1_048_575
"""Rows of a sheet below its header."""

LONGEST_CELL = 32_767
"""Letters of a cell."""


def exported(folder: RunFolder) -> dict[str, pl.DataFrame]:
    """Return the tables of a finished run by name; its settings and its provenance as two columns each.

    Raises:
        HwdsError: The run is not finished.
    """
    tables = folder.read_tables()
    exports = {name: getattr(tables, name) for name in TABLES}
    exports["settings"] = _two_columns(folder.read_config())
    exports["provenance"] = _two_columns(folder.read_provenance())
    return {name: table for name, table in exports.items() if table.width}


def _two_columns(data: Mapping[str, Any]) -> pl.DataFrame:
    rows = [(name, exact(value) if isinstance(value, float) else value) for name, value in flat(data)]
    return pl.DataFrame(rows, schema={"name": pl.String, "value": pl.String}, orient="row")


def write_export(tables: Mapping[str, pl.DataFrame], kind: str, place: Path) -> list[Path]:
    """Write the tables: a file each into the folder `place`, or all into the workbook `place`.

    Raises:
        HwdsError: The folder cannot be written, a table has more rows than a sheet, or XlsxWriter is not installed.
    """
    if kind == "xlsx":
        shown = {name: disarmed(table_without_secrets(table), quoted=False) for name, table in tables.items()}
        return [_workbook(shown, place)]
    paths = []
    for name, table in tables.items():
        path = place / f"{name}.{kind}"
        if kind == "csv":
            write_csv(path, table)
        else:
            write_parquet(path, table)
        paths.append(path)
    return paths


def _workbook(tables: Mapping[str, pl.DataFrame], path: Path) -> Path:
    try:
        import xlsxwriter
    except ImportError as error:
        raise HwdsError("export: --to xlsx needs XlsxWriter: pip install 'hwds[xlsx]'; --to csv and parquet do not.") from error
    long = next((name for name, table in tables.items() if len(table) > MOST_ROWS), None)
    if long:
        raise HwdsError(
            f"export: {long} has {len(tables[long]):,} rows, a sheet {MOST_ROWS:,}; --to parquet has no such bound."
        )

    def write(part: Path) -> None:
        options = {
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
            "nan_inf_to_errors": True,
        }
        with xlsxwriter.Workbook(part, options) as book:
            book.set_properties({"created": datetime(2000, 1, 1)})  # the same tables give the same bytes
            for name, table in tables.items():
                cut = table.with_columns(pl.col(pl.String).str.slice(0, LONGEST_CELL))
                cut.write_excel(book, worksheet=name, autofit=len(cut) < 10_000, freeze_panes=(1, 0), float_precision=6)

    write_atomically(path, write)
    return path
