"""Tables as CSV: the one place that writes them, in which no text becomes a formula of a spreadsheet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from hwds.core.atomic import write_atomically
from hwds.core.checksums.files import table_without_secrets

RISKY = r"^'*[=+\-@\t\r\n]"
"""The beginning of a text that a spreadsheet takes for a formula (OWASP, CSV injection), or of one that was disarmed before."""

NUMBER = r"^[+\-](\d+\.?\d*|\.\d+)([eE][+\-]?\d+)?$"
"""A number with a sign, which is not a formula."""

DISARMED = r"^'+[=+\-@\t\r\n]"
"""The beginning of a text that has an apostrophe more than it was given."""


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


def write_csv(path: Path, table: pl.DataFrame) -> None:
    """Write a table as CSV, in which no text becomes a formula and nested columns are JSON.

    Raises:
        HwdsError: The folder cannot be written.
    """
    write_atomically(path, disarmed(table_without_secrets(table)).write_csv)


def read_csv(path: Path, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return a table that `write_csv` wrote, its texts without the apostrophes before formulas."""
    texts = pl.col(pl.String)
    return pl.read_csv(path, schema=schema).with_columns(
        pl.when(texts.str.contains(DISARMED)).then(texts.str.slice(1)).otherwise(texts).name.keep()
    )


def _quoted(text: pl.Expr) -> pl.Expr:
    return pl.when(text.str.contains(RISKY) & ~text.str.contains(NUMBER)).then(pl.lit("'") + text).otherwise(text)


def _json(value: Any) -> str | None:
    if isinstance(value, pl.Series):
        value = value.to_list()
    return None if value is None else json.dumps(value, ensure_ascii=False, default=str)
