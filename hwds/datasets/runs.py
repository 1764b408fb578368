"""A user's own runs of machines."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated, Literal

import polars as pl
from annotated_types import Ge, Le

from hwds.core.errors import ConfigError
from hwds.core.recipe import ZeroSteps
from hwds.datasets.base import Dataset
from hwds.datasets.reading.columns import (
    OwnRows,
    RoleNames,
    column_of,
    combine_duplicates,
    times_of_column,
)
from hwds.datasets.reading.file_traps import with_cures
from hwds.frames.files import FileSource, read_files, readable, without_line_break
from hwds.frames.roles import Roles
from hwds.frames.runs import Runs as RunsFrame
from hwds.frames.runs import other_numbers
from hwds.frames.table import Frame

UNITS = {"hours": 3.6e9, "days": 8.64e10, "minutes": 6e7, "seconds": 1e6}
"""Microseconds of each unit in which times are counted as cycles."""


def _is_time(text: str, form: str | None) -> bool:
    """Return whether a text is a date or an instant."""
    return bool(form) or re.match(r"\d{4}-\d{2}-\d{2}", text.strip()) is not None


class RunsRoles(RoleNames, frame="runs"):
    """The columns of a file of runs by what they may be used for; each a name, or a list where
    several make sense.
    """


class Runs(OwnRows, Dataset):
    """Your own runs of machines, a row a cycle, from new until they fail or are last seen: CSV,
    TSV, Parquet or Arrow.

    Attributes:
        path: A file, a glob (`runs/*.parquet`) or an http(s) URL.
        roles: The roles of the columns.
        regimes: Operating conditions that the settings tell apart; sensors are scaled within each.
        longest_gap: Rows in a row without a number of a sensor, after which the last one is not
            carried on.
        unit: The unit of cycles (`hours`). Cycles that are dates or instants are counted since the
            first row of their run, in `hours`, `days`, `minutes` or `seconds`.
        duplicates: Several rows of one machine and cycle: refused (`refuse`), averaged (`mean`), or
            the `last` row taken.

    Example:
        python -m hwds dataset=runs dataset.path=pumps.csv dataset.roles.entity=pump \
            dataset.roles.cycle=hours dataset.roles.event=failed dataset.unit=hours \
            model=lifetime/xgboost_windows protocol=last_window protocol.cap=600
    """

    gives = RunsFrame
    roles: RunsRoles = RunsRoles()
    regimes: Annotated[int, Ge(1), Le(100)] = 1
    longest_gap: ZeroSteps = 5
    unit: str = "cycles"
    duplicates: Literal["refuse", "mean", "last"] = "refuse"

    @with_cures
    def load(self) -> RunsFrame:
        """Return the runs, in the order of the file.

        Raises:
            ConfigError: A role is missing, or given twice; see `reading.read`.
            DataError: The file cannot be read, its rows are refused (see
                `hwds.frames.runs.Runs.build`), or a sensor gives the remaining life away.
        """
        given = self.roles.given()
        source = read_files(
            self.path,
            sha256=self.sha256,
            form=self.text_format,
        )
        source.must_have(given.names)
        ignored = given.get("ignore", ())
        unit, source = self._counted_cycles(source, given)
        data = pl.DataFrame(
            [column_of(source, name, given) for name in source.table.columns if name not in ignored]
        )
        keys = (*given["entity"], *given["cycle"])
        data = combine_duplicates(data, keys, self.duplicates)
        roles = given.without("ignore")
        roles = roles if roles.get("sensor") else roles | {"sensor": other_numbers(data, roles)}
        runs = RunsFrame.build(
            data, roles, regimes=self.regimes, unit=unit, longest_gap=self.longest_gap
        )
        return runs.without_giveaways(self.trust)

    def _counted_cycles(self, source: FileSource, given: Roles) -> tuple[str, FileSource]:
        """Return the unit of cycles, and the rows with cycles of dates or instants as numbers."""
        name = given["cycle"][0]
        column = source.table[name]
        known = column.drop_nulls()
        text = column.dtype == pl.String and len(known) > 0
        if not column.dtype.is_temporal() and not (text and _is_time(known[0], self.dates)):
            return self.unit, source
        unit = "hours" if self.unit == "cycles" else self.unit
        if unit not in UNITS:
            raise ConfigError(
                f"dataset.unit: column '{name}' holds times, which count as {', '.join(UNITS)}, "
                f"got '{unit}'."
            )
        times = times_of_column(source, name, "cycle").cast(pl.Datetime("us")).to_physical()
        runs = source.table.with_columns(times.alias(name))
        since = pl.col(name) - pl.col(name).min().over(given["entity"])
        return unit, replace(source, table=runs.with_columns(since / UNITS[unit]))

    def remarks(self, frame: Frame) -> list[str]:
        """Return that a file may be cut."""
        return [*without_line_break(self.path, sha256=self.sha256)]

    def source(self) -> str:
        """Return what a user has to give."""
        return (
            f"your own file ({readable()}), a glob or a URL: dataset.path, dataset.roles.entity "
            f"and .cycle."
        )
