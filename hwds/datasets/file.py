"""A user's own series."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
import polars as pl
from pydantic import AfterValidator

from hwds.datasets.asked import Names, listed, refuse_shared, refuse_taken
from hwds.datasets.base import PanelDataset
from hwds.datasets.columns import joined, numbers, times, typed
from hwds.datasets.gaps import Gaps, without_gaps
from hwds.datasets.reading import Source, read
from hwds.errors import ConfigError, DataError
from hwds.frames.finding import find_frequency, is_month_end
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME, PanelRoles
from hwds.recipe import Count, Recipe
from hwds.results.wording import counted


def _a_step(every: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]*(i|us|ms|s|m|h|d|w|mo|q|y)", every):
        raise ValueError("must be a number and a unit, such as 1mo, 1q, 1y, 1w, 7d, 1h, or 1i for whole numbers")
    return every


Every = Annotated[str, AfterValidator(_a_step)]
"""A polars duration (`1mo`, `1q`, `7d`, `1h`), or `1i` for whole numbers."""

_TOGETHER = tuple(frozenset(pair) for pair in (("series", "static"), ("series", "level"), ("static", "level")))
_LOG = logging.getLogger(__name__)


class FileRoles(Recipe):
    """The columns of a file of series by what they may be used for; each a name, or a list where several make sense.

    Attributes:
        series: Which series a row belongs to; several are joined with '|' and become static; none: one series a file.
        time: Dates, instants, months (2024-03), quarters (2024Q1) or whole numbers.
        target: The number to forecast.
        known_future: Numbers known for future rows too (planned prices, promotions, launches).
        past_only: Numbers known only once their row has passed.
        static: Constant within a series.
        level: Constant within a series, the hierarchy, coarsest first.
        available_at: When a row's target and past-only values became known.
        split: Says `train` or `test`.
    """

    series: Names = None
    time: str | None = None
    target: str | None = None
    known_future: Names = None
    past_only: Names = None
    static: Names = None
    level: Names = None
    available_at: str | None = None
    split: str | None = None

    def given(self) -> dict[str, Names]:
        """Role to names, those that are given.

        Raises:
            ConfigError: No time or target, a column in two roles, or one that bears a name of hwds.
        """
        roles = {role: getattr(self, role) for role in (*_KEYS, *_KEPT)}
        for role in ("time", "target"):
            if not roles[role]:
                raise ConfigError(f"dataset.roles.{role}: must be given.")
        refuse_shared(roles, _TOGETHER)
        kept = roles if len(listed(self.series)) > 1 else {role: roles[role] for role in _KEPT}
        refuse_taken({role: kept[role] for role in kept if role not in ("time", "target")}, (SERIES, TIME, TARGET))
        return {role: names for role, names in roles.items() if names}

    def in_panel(self) -> PanelRoles:
        """The same roles as a panel knows them."""
        parts = listed(self.series) if len(listed(self.series)) > 1 else ()
        return PanelRoles(
            known_future=listed(self.known_future),
            past_only=listed(self.past_only),
            static=tuple(dict.fromkeys((*parts, *listed(self.static)))),
            level=listed(self.level),
            available_at=self.available_at,
            split=self.split,
        )


_KEYS = ("series", "time", "target")
_KEPT = ("known_future", "past_only", "static", "level", "available_at", "split")


class File(PanelDataset):
    """Your own series: CSV, TSV, Parquet or Arrow, one file, a glob of files or a URL.

    Attributes:
        path: A file, a glob (`sales/*.parquet`) or an http(s) URL.
        sha256: The digest of the file; needed for a URL.
        roles: What each column may be used for.
        frequency: The step of the series (`1mo`, `1q`, `1w`, `7d`, `1h`, `1i` for whole numbers); found where nothing is given.
        season: Rows in a season; by the frequency where nothing is given.
        horizon: Steps to forecast; where nothing is given, as many as the split's test rows, else one season.
        gaps: What a missing row or target becomes: refused (`error`), `zero`, the last value before it (`forward`), or `null`.
        short: A series of fewer than `min_length` rows is refused (`error`) or left out (`drop`), the count said.
        min_length: The fewest rows of a series.
        unit: What the target is counted in.
        encoding: How a CSV or TSV is written (`latin-1`, `cp1252`, `utf-16`).
        separator: Between the fields of a CSV or TSV; by the suffix where nothing is given.

    Example:
        python -m hwds dataset=file dataset.path=sales.csv dataset.roles.time=month dataset.roles.target=units
    """

    path: str
    sha256: str | None = None
    roles: FileRoles = FileRoles()
    frequency: Every | None = None
    season: Count | None = None
    horizon: Count | None = None
    gaps: Gaps = "error"
    short: Literal["error", "drop"] = "error"
    min_length: Count = 2
    unit: str = ""
    encoding: str = "utf-8"
    separator: str | None = None

    def load(self) -> Panel:
        """The panel; columns with a role keep their names but for series, time and target.

        Raises:
            ConfigError: A role is missing, given twice or bears a taken name; see `reading.read`.
            DataError: The file cannot be read, or its rows are refused; see `Panel.build`.
        """
        given = self.roles.given()
        wanted = tuple(dict.fromkeys(name for names in given.values() for name in listed(names)))
        source = read(self.path, wanted, sha256=self.sha256, encoding=self.encoding, separator=self.separator)
        roles = self.roles.in_panel()
        table = self._normalised(source, roles)
        frequency = self._frequency(table)
        table = without_gaps(table, roles, frequency, self.gaps)
        season = self.season or frequency.season
        horizon = self.horizon or _test_rows(table, roles.split) or season
        panel = Panel.build(table, frequency, roles=roles, season=season, horizon=horizon, unit=self.unit)
        return self._long_enough(panel)

    def source(self) -> str:
        """What to give."""
        return "your own file (.csv, .tsv, .parquet, .arrow), a glob or a URL: dataset.path, dataset.roles.time and .target."

    def _normalised(self, source: Source, roles: PanelRoles) -> pl.DataFrame:
        time, target = str(self.roles.time), str(self.roles.target)
        columns = {
            SERIES: joined(source, listed(self.roles.series)),
            TIME: times(source, time),
            TARGET: numbers(source, target),
        }
        columns |= {name: numbers(source, name) for name in (*roles.known_future, *roles.past_only)}
        columns |= {name: typed(source.table[name]) for name in (*roles.static, *roles.level)}
        if roles.available_at:
            columns[roles.available_at] = times(source, roles.available_at, "available_at")
        if roles.split:
            columns[roles.split] = source.table[roles.split]
        return pl.DataFrame(columns)

    def _frequency(self, table: pl.DataFrame) -> Frequency:
        if self.frequency is None:
            return find_frequency(table, gaps=self.gaps != "error")
        unit = self.frequency.lstrip("0123456789")
        kind = table[TIME].dtype
        if (unit == "i") != kind.is_integer() or (kind == pl.Date and unit in ("us", "ms", "s", "m", "h")):
            holds = "whole numbers" if kind.is_integer() else "dates" if kind == pl.Date else "instants"
            raise DataError(f"dataset.frequency: '{self.frequency}' does not go with '{self.roles.time}', which holds {holds}.")
        return Frequency(self.frequency, month_end=unit in ("mo", "q", "y") and is_month_end(table[TIME]))

    def _long_enough(self, panel: Panel) -> Panel:
        short = panel.lengths < self.min_length
        if not short.any():
            return panel
        worst = int(np.argmax(short))
        if self.short == "error":
            raise DataError(
                f"dataset: series '{panel.series_ids[worst]}' has {counted(int(panel.lengths[worst]), 'rows')}, fewer than"
                f" dataset.min_length={self.min_length} ({short.sum()} of {panel.n_series} series so short);"
                " dataset.short=drop leaves them out."
            )
        if short.all():
            raise DataError(f"dataset.min_length: no series has {self.min_length} rows; the longest has {panel.lengths.max()}.")
        _LOG.warning("dataset: %d of %d series left out, shorter than %d rows.", short.sum(), panel.n_series, self.min_length)
        return replace(panel, table=panel.table.filter(pl.Series(np.repeat(~short, panel.lengths))))


def _test_rows(table: pl.DataFrame, split: str | None) -> int:
    """The most rows of a series that are for testing."""
    if split is None:
        return 0
    tests = table.filter(pl.col(split).cast(pl.String) == "test")
    return 0 if tests.is_empty() else int(tests.group_by(SERIES).len()["len"].max())  # type: ignore[arg-type]
