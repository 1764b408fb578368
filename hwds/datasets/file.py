"""A user's own series."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from polars import DataFrame, Series
from pydantic import AfterValidator

from hwds.core.errors import ConfigError, DataError, nearest
from hwds.core.recipe import Steps
from hwds.datasets.base import PanelDataset
from hwds.datasets.reading.columns import (
    Duplicates,
    Gaps,
    OwnRows,
    RoleNames,
    column_of,
    combine_duplicates,
    numbers_of_column,
    refuse_taken,
    series_of_rows,
    without_gaps,
)
from hwds.datasets.reading.file_traps import with_cures
from hwds.datasets.reading.leakage import refuse_leaking_columns
from hwds.frames.files import (
    FileSource,
    read_files,
    readable,
    without_line_break,
)
from hwds.frames.frequency import SEASONS, Frequency, find_frequency, is_month_end
from hwds.frames.panel import Panel
from hwds.frames.roles import KEYS, SERIES, TARGET, TIME, Roles
from hwds.frames.table import Frame
from hwds.results.formatting import counted


def _check_step(every: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]*(i|us|ms|s|m|h|d|w|mo|q|y)", every):
        raise ValueError(
            "must be a number and a unit, such as 1mo, 1q, 1y, 1w, 7d, 1h, or 1i for whole numbers"
        )
    return every


Every = Annotated[str, AfterValidator(_check_step)]
"""A polars duration (`1mo`, `1q`, `7d`, `1h`), or `1i` for whole numbers."""

FILLED: dict[Gaps, str] = {"zero": "0", "forward": "the last one before it", "null": "unknown"}
"""The target of a missing row by `gaps`, for a remark."""

_LOG = logging.getLogger(__name__)


class FileRoles(RoleNames, frame="panel"):
    """The columns of a file of series by what they may be used for; each a name, or a list where
    several make sense.
    """


def _in_panel(given: Roles) -> Roles:
    """Return the roles beside series, time and target.

    Several columns that name a series become static.

    Raises:
        ConfigError: A column that keeps its name bears one of hwds.
    """
    parts = given.get("series", ())
    static = (*parts, *given.static) if len(parts) > 1 else given.static
    refuse_taken(
        given.without("time", "target", *(() if len(parts) > 1 else ("series",))), KEYS.values()
    )
    return given.without(*KEYS) | {"static": tuple(dict.fromkeys(static))}


class File(OwnRows, PanelDataset):
    """Your own series: CSV, TSV, Parquet or Arrow, one file, a glob of files or a URL.

    Attributes:
        path: A file, a glob (`sales/*.parquet`) or an http(s) URL.
        roles: The roles of the columns.
        frequency: The step of the series (`1mo`, `1q`, `1w`, `7d`, `1h`, `1i` for whole numbers);
            found where nothing is given.
        season: Rows in a season; by the frequency where nothing is given.
        horizon: Steps to forecast; by default as many as the split's test rows, or one season.
        gaps: The value of a missing row or target: refused (`error`), `zero`, the last value before
            it (`forward`), or `null`.
        short: A series of fewer than `min_length` rows is refused (`error`) or left out (`drop`),
            with a note of the count.
        min_length: The fewest rows of a series.
        unit: The unit of the target.
        duplicates: Several rows of one series and time: refused (`refuse`), their targets added up
            and other numbers averaged (`sum`), all averaged (`mean`), or the `last` row taken.

    Example:
        python -m hwds dataset=file dataset.path=sales.csv dataset.roles.time=month \
            dataset.roles.target=units
    """

    comparable: ClassVar[tuple[str, ...]] = ("roles",)

    roles: FileRoles = FileRoles()
    frequency: Every | None = None
    season: Steps | None = None
    horizon: Steps | None = None
    gaps: Gaps = "error"
    short: Literal["error", "drop"] = "error"
    min_length: Steps = 2
    unit: str = ""
    duplicates: Duplicates = "refuse"

    @with_cures
    def load(self) -> Panel:
        """Return the panel; columns with a role keep their names but for series, time and target.

        Raises:
            ConfigError: A role is missing, given twice or bears a taken name; see `reading.read`.
            DataError: The file cannot be read, its rows are refused, or a column gives the target
                away; see `Panel.build` and `refuse_leaking_columns`.
        """
        given = self.given_roles()
        roles = _in_panel(given)
        _refuse_strangers(self.trust, given)
        source = read_files(self.path, given.names, sha256=self.sha256, form=self.text_format)
        table = _rename_columns(source, given, roles)
        table = combine_duplicates(table, (SERIES, TIME), self.duplicates, TARGET)
        if not given.get("series", ()):
            _refuse_many(table)
        frequency = self._frequency(table, given)
        table = without_gaps(table, roles, frequency, self.gaps)
        season = self.season or frequency.season
        horizon = self.horizon or _test_rows(table, roles.split) or season
        panel = Panel.build(
            table,
            frequency,
            roles=roles,
            season=season,
            horizon=horizon,
            unit=self.unit,
            quantity=given["target"][0],
        )
        panel = self._long_enough(panel)
        refuse_leaking_columns(panel, self.trust)
        return panel

    def given_roles(self) -> Roles:
        """Return the roles of the columns; without time and target those of Nixtla's names.

        Raises:
            ConfigError: See `RoleNames.given`.
            DataError: The file cannot be read.
        """
        given: Any = self.roles  # whose fields are made of the declared roles
        if given.time or given.target:
            return self.roles.given()
        source = read_files(self.path, sha256=self.sha256, form=self.text_format)
        return self.roles.given(source.table.columns)

    def remarks(self, frame: Frame) -> list[str]:
        """Return that a file may be cut, how many rows it lacked, that short series were left out,
        and that no season was taken for lack of one.
        """
        assert isinstance(frame, Panel)
        short = (
            f"Series of fewer than {self.min_length} rows are left out of all that follows "
            f"(dataset.short=drop)."
        )
        return [
            *without_line_break(self.path, sha256=self.sha256),
            *self._gap_remarks(frame),
            *([short] if self.short == "drop" and self.min_length > 1 else []),
            *self._season_remarks(frame),
        ]

    def _gap_remarks(self, panel: Panel) -> Iterator[str]:
        """Yield how many rows the file lacks between the first and the last of each series, and how
        many of its rows lack the target.
        """
        if self.gaps == "error":
            return
        given = self.given_roles()
        series, target = given.get("series", ()), given["target"][0]
        source = read_files(self.path, [*series, target], sha256=self.sha256, form=self.text_format)
        ids = series_of_rows(source, series)
        of_panel = ids.is_in(panel.series_ids.implode())
        of_file = panel.table[SERIES].is_in(ids.unique().implode())  # a sum of series is not
        added = int(of_file.sum()) - int(of_panel.sum())
        empty = numbers_of_column(source, target).filter(of_panel).null_count()
        if added or empty:
            yield (
                f"dataset.gaps={self.gaps}: the file lacks {counted(added, 'rows')} and the target "
                f"of {counted(empty, 'rows')}; such a target is {FILLED[self.gaps]}."
            )

    def _season_remarks(self, panel: Panel) -> Iterator[str]:
        every = panel.frequency.every
        if self.season is not None or every in SEASONS or every.endswith("y"):
            return
        rows = "Numbered rows" if every.endswith("i") else f"Rows {every} apart"
        horizon = (
            ", and a horizon of 1 row (protocol.horizon)"
            if self.horizon is None and panel.horizon == 1
            else ""
        )
        yield (
            f"{rows} tell no season: none is taken{horizon}. dataset.season says one (4 for "
            f"quarters, 12 for"
            " months, 52 for weeks, 48 for half-hours), or 1 that there is none."
        )

    def source(self) -> str:
        """Return what a user has to give."""
        return (
            f"your own file ({readable()}), a glob or a URL: dataset.path, dataset.roles.time and "
            f".target."
        )

    def _frequency(self, table: DataFrame, given: Roles) -> Frequency:
        if self.frequency is None:
            return find_frequency(table, gaps=self.gaps != "error")
        unit = self.frequency.lstrip("0123456789")
        kind = table[TIME].dtype
        if (unit == "i") != kind.is_integer() or (
            kind == pl.Date and unit in ("us", "ms", "s", "m", "h")
        ):
            holds = (
                "whole numbers" if kind.is_integer() else "dates" if kind == pl.Date else "instants"
            )
            raise DataError(
                f"dataset.frequency: '{self.frequency}' does not go with '{given.one('time')}', "
                f"which holds {holds}."
            )
        return Frequency(
            self.frequency, month_end=unit in ("mo", "q", "y") and is_month_end(table[TIME])
        )

    def _long_enough(self, panel: Panel) -> Panel:
        short = panel.lengths < self.min_length
        if not short.any():
            return panel
        worst = int(np.argmax(short))
        if self.short == "error":
            raise DataError(
                f"dataset: series '{panel.series_ids[worst]}' has "
                f"{counted(int(panel.lengths[worst]), 'rows')}, fewer than"
                f" dataset.min_length={self.min_length} ({short.sum()} of {panel.n_series} series "
                f"so short);"
                " dataset.short=drop leaves them out."
            )
        if short.all():
            raise DataError(
                f"dataset.min_length: no series has {self.min_length} rows; the longest has "
                f"{panel.lengths.max()}."
            )
        _LOG.warning(
            "dataset: %d of %d series left out, shorter than %d rows.",
            short.sum(),
            panel.n_series,
            self.min_length,
        )
        return replace(panel, table=panel.table.filter(Series(np.repeat(~short, panel.lengths))))


def _refuse_strangers(trusted: tuple[str, ...], roles: Roles) -> None:
    """Refuse a name in `trust` that no role names: it would trust nothing."""
    wrong = next((name for name in trusted if name not in roles.names), None)
    if wrong is not None:
        raise ConfigError(
            f"dataset.trust: no role names a column '{wrong}'{nearest(wrong, roles.names)}"
        )


def _refuse_many(table: DataFrame) -> None:
    """Refuse a file of which no column names the series, where two of its rows are of one time."""
    again = (table.select(SERIES, TIME).is_duplicated() & table[TIME].is_not_null()).arg_true()
    if len(again):
        name, time = table.select(SERIES, TIME).row(again[0])
        first, second = ((table[SERIES] == name) & (table[TIME] == time)).arg_true().head(2) + 1
        raise DataError(
            "dataset.roles.series: must name a column: without it all rows of a file are one "
            "series, of which rows"
            f" {first} and {second} are both at {time}; dataset.duplicates may be sum, mean or "
            "last."
        )


def _rename_columns(source: FileSource, given: Roles, roles: Roles) -> DataFrame:
    """Return the columns with a role, series, time and target under the names that they have in
    every panel.
    """
    keys = {TIME: given["time"][0], TARGET: given["target"][0]}
    columns = {SERIES: series_of_rows(source, given.get("series", ()))}
    columns |= {key: column_of(source, name, given) for key, name in keys.items()}
    return DataFrame(columns | {name: column_of(source, name, roles) for name in roles.names})


def _test_rows(table: DataFrame, split: str | None) -> int:
    """Return the most rows of a series that are for testing."""
    if split is None:
        return 0
    tests = table.filter(pl.col(split).cast(pl.String) == "test")
    return 0 if tests.is_empty() else int(tests.group_by(SERIES).len()["len"].max())  # type: ignore[arg-type]
