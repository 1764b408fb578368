"""Files of results: CSV and Markdown that hold no formula and no link, Parquet read undamaged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl
from polars import DataFrame, Series, col

from hwds.core.checksums import check_parquet, read_json, read_parquet, table_without_secrets
from hwds.core.errors import HwdsError
from hwds.core.files import digest_file, write_atomically, write_text
from hwds.core.secrets import without_secrets
from hwds.results.tables import WHOLE_RUN

# Tables as CSV: the one place that writes them, in which no text becomes a formula of a
# spreadsheet.

RISKY_TEXT = r"^'*[=+\-@\t\r\n]"
"""The beginning of a text that a spreadsheet takes for a formula (OWASP, CSV injection), or of one
that was disarmed before.
"""

NUMBER_TEXT = r"^[+\-](\d+\.?\d*|\.\d+)([eE][+\-]?\d+)?$"
"""A number with a sign, which is not a formula."""

DISARMED_TEXT = r"^'+[=+\-@\t\r\n]"
"""The beginning of a text that has an apostrophe more than it was given."""


def disarm_formulas(table: DataFrame, *, quoted: bool = True) -> DataFrame:
    """Return a table with nested columns as JSON and, with `quoted`, an apostrophe before text that
    looks like a formula.

    Args:
        table: Any table.
        quoted: Needed for CSV, which cannot mark a cell as text; a workbook can.
    """
    nested = [name for name, kind in table.schema.items() if kind.is_nested()]
    plain = table.with_columns(
        Series(name, [_json(value) for value in table[name]], pl.String) for name in nested
    )
    if not quoted:
        return plain
    texts = [
        name for name, kind in plain.schema.items() if kind in (pl.String, pl.Categorical, pl.Enum)
    ]
    cells = [_quote(col(name).cast(pl.String)).alias(name) for name in texts]
    names = {
        name: f"'{name}" for name in plain.columns if Series([name]).str.contains(RISKY_TEXT)[0]
    }
    return plain.with_columns(cells).rename(names)


def write_csv(path: Path, table: DataFrame) -> None:
    """Write a table as CSV, in which no text becomes a formula and nested columns are JSON.

    Raises:
        HwdsError: The folder cannot be written.
    """
    write_atomically(path, disarm_formulas(table_without_secrets(table)).write_csv)


def read_csv(path: Path, schema: Mapping[str, Any]) -> DataFrame:
    """Return a table that `write_csv` wrote, its texts without the apostrophes before formulas."""
    texts = col(pl.String)
    return pl.read_csv(path, schema=schema).with_columns(
        pl.when(texts.str.contains(DISARMED_TEXT))
        .then(texts.str.slice(1))
        .otherwise(texts)
        .name.keep()
    )


def _quote(text: pl.Expr) -> pl.Expr:
    return (
        pl.when(text.str.contains(RISKY_TEXT) & ~text.str.contains(NUMBER_TEXT))
        .then(pl.lit("'") + text)
        .otherwise(text)
    )


def _json(value: Any) -> str | None:
    if isinstance(value, Series):
        value = value.to_list()
    return None if value is None else json.dumps(value, ensure_ascii=False, default=str)


# Markdown files: the one place that writes them, in which no text becomes HTML or a link.

PICTURE = r"[\w.-]+\.(?:png|svg)\)"
"""The end of the only links that hwds writes: a picture beside the page."""

LINK = re.compile(rf"\](?=\((?!{PICTURE}))|\](?=\[)", re.ASCII)
"""The middle of any other link."""

REFERENCE = re.compile(r"^( {0,3})\[(?=[^\]\n]*\]:)", re.MULTILINE)
"""The beginning of a line that says where a link leads."""


def write_markdown(path: Path, text: str) -> None:
    """Write a page whose names and texts are other people's: data, options and labels.

    Raises:
        HwdsError: The folder cannot be written.
    """
    write_text(path, without_html_or_links(without_secrets(text)))


def without_html_or_links(text: str) -> str:
    """Return a page in which Markdown recognises no HTML and no link, but for pictures beside
    it.
    """
    return REFERENCE.sub(r"\1\[", LINK.sub(r"\]", text.replace("<", "&lt;")))


# Totals: the scores of many runs over all folds and steps, read together.

AT_ONCE = 250
"""Folders whose tables are read in one pass."""

DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)
"""The errors that reading a damaged folder may raise."""

_ORDER = {"mean": 0, "pooled": 1}
_TOTAL = ("model", "metric", "aggregate", "value", "stderr", "n_failed")

Total = tuple[float, float | None]
"""A score and its standard error."""


@dataclass(slots=True)
class Totals:
    """The totals of one run.

    Attributes:
        scores: The scores by model and full name of the metric: the mean where there is one, or
            else the pooled score.
        failed: The number of failed predictions of each model.
        better: The good side of each metric, `low` or `high`.
        error: The error of damaged tables; empty where they are sound.
    """

    scores: dict[str, dict[str, Total]] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    better: dict[str, str] = field(default_factory=dict)
    error: str = ""


def totals_of(folders: Sequence[Path]) -> dict[Path, Totals]:
    """Return the totals of finished runs; those of damaged tables have an `error`."""
    totals_by_folder: dict[Path, Totals] = {}
    for begin in range(0, len(folders), AT_ONCE):
        part = folders[begin : begin + AT_ONCE]
        try:
            totals_by_folder |= _read(part)
        except DAMAGE:  # one of them is damaged: read each alone
            for folder in part:
                try:
                    totals_by_folder |= _read([folder])
                except DAMAGE as error:
                    totals_by_folder[folder] = Totals(
                        error=" ".join(str(error).split()) or type(error).__name__
                    )
    return totals_by_folder


def _read(folders: Sequence[Path]) -> dict[Path, Totals]:
    totals_by_folder = {folder: Totals() for folder in folders}
    for folder in folders:
        check_parquet(folder / "scores.parquet")
    lost = col("metric").is_null()  # a fold that failed: all that a model without a score has
    rows = _scan(folders, "scores").filter(WHOLE_RUN | lost).select("path", *_TOTAL).collect()
    order = col("aggregate").replace_strict(_ORDER, default=9, return_dtype=pl.Int8)
    of = {str(folder / "scores.parquet"): totals for folder, totals in totals_by_folder.items()}
    unscored: dict[tuple[str, str], int] = {}
    for path, model, metric, _, value, error, failed in rows.sort(
        order, maintain_order=True
    ).iter_rows():
        totals = of[path]
        if metric is None:
            unscored[path, model] = unscored.get((path, model), 0) + (failed or 0)
        totals.failed[model] = max(
            totals.failed.get(model, 0), unscored.get((path, model), failed or 0)
        )
        if value is not None:
            totals.scores.setdefault(model, {}).setdefault(metric, (value, error))
    alike = _group_equal_files(
        [folder for folder in folders if (folder / "metrics.parquet").is_file()]
    )
    for path, metric, better in _sides([Path(path).parent for path in alike]):
        for folder in alike[path]:
            totals_by_folder[folder].better[metric] = better
    return totals_by_folder


def _group_equal_files(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Return for each distinct metrics table its first file, and all folders whose file has the
    same bytes.
    """
    totals_by_folder: dict[str, list[Path]] = {}
    for folder in folders:
        path = folder / "metrics.parquet"
        check_parquet(path)
        totals_by_folder.setdefault(digest_file(path), []).append(folder)
    return {str(same[0] / "metrics.parquet"): same for same in totals_by_folder.values()}


def _sides(folders: Sequence[Path]) -> Iterator[tuple[str, str, str]]:
    if folders:
        yield from (
            _scan(folders, "metrics").select("path", "metric", "better").collect().iter_rows()
        )


def _scan(folders: Sequence[Path], table: str) -> pl.LazyFrame:
    files = [folder / f"{table}.parquet" for folder in folders]
    return pl.scan_parquet(files, include_file_paths="path", glob=False, extra_columns="ignore")


# The files of a run's folder: read whole, or refused in a line that names the damaged one.


def holds_file(folder: str | Path, name: str) -> bool:
    """Return whether a folder that a user has typed holds a file.

    A name that no file system takes holds none.
    """
    try:
        return (Path(folder) / name).is_file()
    except (OSError, ValueError):
        return False


@contextmanager
def refuse_damage(path: Path) -> Iterator[Path]:
    """Yield the path of a file that is read in the block.

    A full disk or a copy may have truncated it.

    Raises:
        HwdsError: It is damaged, with its path and the reason.
    """
    try:
        yield path
    except DAMAGE as error:
        why = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise HwdsError(
            f"{path}: is damaged: {why}; delete it, and the same command makes it again."
        ) from error


def read_json_mapping(path: Path) -> dict[str, Any]:
    """Return a mapping that was written as JSON.

    Raises:
        HwdsError: It is damaged.
    """
    with refuse_damage(path):
        return read_json(path)


def moment_of(folder: Path, recorded: Mapping[str, Any]) -> float:
    """Return when a run or sweep last ran, in seconds since 1970: what it recorded, or else when
    its results were written.

    Args:
        folder: Its folder.
        recorded: Its provenance, or the content of `sweep.json`; those of earlier versions say no
            time.
    """
    if isinstance(when := recorded.get("when"), str):
        return datetime.fromisoformat(when).timestamp()
    there = (
        path
        for mark in ("scores.parquet", "sweep.json", "config.yaml")
        if (path := folder / mark).exists()
    )
    return next(there, folder).stat().st_mtime


def last_ran(folder: Path) -> float:
    """Return the same of a folder, of which a damaged record counts as none."""
    record = next(
        (path for name in ("provenance.json", "sweep.json") if (path := folder / name).is_file()),
        None,
    )
    try:
        return moment_of(folder, read_json(record) if record else {})
    except DAMAGE:
        return moment_of(folder, {})


def read_table(path: Path) -> DataFrame:
    """Return a table that was written as Parquet.

    Raises:
        HwdsError: It is damaged.
    """
    with refuse_damage(path):
        return read_parquet(path)


def read_together(paths: Sequence[Path]) -> list[DataFrame]:
    """Return tables that were written as Parquet, read in one pass where all have the same columns.

    Raises:
        HwdsError: One is damaged, with its path.
    """
    for path in paths if len(paths) > 1 else ():
        with refuse_damage(path):
            check_parquet(path)
    try:
        whole = (
            pl.read_parquet(list(paths), glob=False, include_file_paths="")
            if len(paths) > 1
            else DataFrame()
        )
    except (
        OSError,
        pl.exceptions.PolarsError,
    ):  # other columns, or a damaged one of an earlier version
        whole = DataFrame()
    of = (
        dict(whole[""].rle().struct.unnest().select("value", "len").iter_rows())
        if len(whole)
        else {}
    )
    lengths = [of.get(str(path), 0) for path in paths]
    if not sum(lengths) or sum(lengths) < len(whole):
        return [read_table(path) for path in paths]
    rows, begins = whole.drop(""), accumulate(lengths, initial=0)
    return [rows.slice(begin, length) for begin, length in zip(begins, lengths, strict=False)]
