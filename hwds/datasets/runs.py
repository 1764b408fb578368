"""A user's own runs of machines."""

from __future__ import annotations

from typing import Annotated

import polars as pl
from annotated_types import Ge, Le

from hwds.core.recipe import Names, ZeroSteps
from hwds.datasets.base import Dataset
from hwds.datasets.reading.columns import RoleNames, column_of
from hwds.frames.files import Decimal, TextFormat, read_files, readable, without_line_break
from hwds.frames.runs import Runs as RunsFrame
from hwds.frames.runs import other_numbers
from hwds.frames.table import Frame


class RunsRoles(RoleNames, frame="runs"):
    """The columns of a file of runs by what they may be used for; each a name, or a list where
    several make sense.
    """


class Runs(Dataset):
    """Your own runs of machines, a row a cycle, from new until they fail or are last seen: CSV,
    TSV, Parquet or Arrow.

    Attributes:
        path: A file, a glob (`runs/*.parquet`) or an http(s) URL.
        sha256: The digest of the file; needed for a URL.
        roles: The roles of the columns.
        regimes: Operating conditions that the settings tell apart; sensors are scaled within each.
        trust: Columns that may follow the remaining life so closely, because they are truly
            measured.
        longest_gap: Rows in a row without a number of a sensor, after which the last one is not
            carried on.
        encoding: The encoding of a CSV or TSV (`latin-1`, `cp1252`, `utf-16`).
        separator: Between the fields of a CSV or TSV: one character, or `comma`, `semicolon`,
            `tab`, `pipe`; by the suffix where nothing is given.
        decimal: The sign before the decimals of a CSV or TSV, `point` or `comma`; with `comma`,
            `1.234,5` is 1234.5.
        unit: The unit of cycles (`hours`).

    Example:
        python -m hwds dataset=runs dataset.path=pumps.csv dataset.roles.entity=pump \
            dataset.roles.cycle=hours dataset.roles.event=failed dataset.unit=hours \
            model=lifetime/xgboost_windows protocol=last_window protocol.cap=600
    """

    gives = RunsFrame
    path: str
    sha256: str | None = None
    roles: RunsRoles = RunsRoles()
    regimes: Annotated[int, Ge(1), Le(100)] = 1
    trust: Names = ()
    longest_gap: ZeroSteps = 5
    encoding: str = "utf-8"
    separator: str | None = None
    decimal: Decimal = "point"
    unit: str = "cycles"

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
            form=TextFormat(self.encoding, self.separator, self.decimal),
        )
        source.must_have(given.names)
        ignored = given.get("ignore", ())
        data = pl.DataFrame(
            [column_of(source, name, given) for name in source.table.columns if name not in ignored]
        )
        roles = given.without("ignore")
        roles = roles if roles.get("sensor") else roles | {"sensor": other_numbers(data, roles)}
        runs = RunsFrame.build(
            data, roles, regimes=self.regimes, unit=self.unit, longest_gap=self.longest_gap
        )
        return runs.without_giveaways(self.trust)

    def remarks(self, frame: Frame) -> list[str]:
        """Return that a file may be cut."""
        return [*without_line_break(self.path, sha256=self.sha256)]

    def source(self) -> str:
        """Return what a user has to give."""
        return (
            f"your own file ({readable()}), a glob or a URL: dataset.path, dataset.roles.entity "
            f"and .cycle."
        )
