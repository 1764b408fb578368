"""Export: the tables of a run for other programs, as CSV, Parquet or one workbook, in which no text becomes a formula."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from hwds.core.atomic import write_atomically
from hwds.core.errors import HwdsError
from hwds.results.folder import TABLES, RunFolder
from hwds.results.runs.fields import exact, flat

KINDS = ("csv", "parquet", "xlsx")
RISKY = r"^[=+\-@\t\r\n]"
"""The beginning of a text that a spreadsheet takes for a formula (OWASP, CSV injection)."""

NUMBER = r"^[+\-](\d+\.?\d*|\.\d+)([eE][+\-]?\d+)?$"
"""A number with a sign, which is not a formula."""

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
        return [_workbook({name: disarmed(table, quoted=False) for name, table in tables.items()}, place)]
    paths = []
    for name, table in tables.items():
        path = place / f"{name}.{kind}"
        shown = disarmed(table) if kind == "csv" else table
        write_atomically(path, shown.write_csv if kind == "csv" else shown.write_parquet)
        paths.append(path)
    return paths


def disarmed(table: pl.DataFrame, *, quoted: bool = True) -> pl.DataFrame:
    """Return a table with nested columns as JSON and, with `quoted`, an apostrophe before text that looks like a formula.

    Args:
        table: Any table.
        quoted: Needed for CSV, which cannot mark a cell as text; a workbook can.
    """
    nested = [name for name, kind in table.schema.items() if kind.is_nested()]
    plain = table.with_columns(pl.Series(name, [_json(value) for value in table[name]], pl.String) for name in nested)
    if not quoted:
        return plain
    texts = [name for name, kind in plain.schema.items() if kind in (pl.String, pl.Categorical, pl.Enum)]
    cells = [_quoted(pl.col(name).cast(pl.String)).alias(name) for name in texts]
    names = {name: f"'{name}" for name in plain.columns if pl.Series([name]).str.contains(RISKY)[0]}
    return plain.with_columns(cells).rename(names)


def _quoted(text: pl.Expr) -> pl.Expr:
    return pl.when(text.str.contains(RISKY) & ~text.str.contains(NUMBER)).then(pl.lit("'") + text).otherwise(text)


def _json(value: Any) -> str | None:
    if isinstance(value, pl.Series):
        value = value.to_list()
    return None if value is None else json.dumps(value, ensure_ascii=False, default=str)


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
