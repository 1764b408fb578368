"""Runs: machines from new until they fail or are last seen, cycle by cycle, with what their sensors measure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl

from hwds.core.hashing import digest_bytes
from hwds.frames.roles import Names, Roles
from hwds.frames.run_checks import CYCLE, ENTITY, checked_rows, ends_of, informative, refuse_marks
from hwds.frames.run_leakage import refuse_telling_sensors

KEPT = ("sensor", "setting", "static")
"""The roles of columns that a model may read."""

MARKS = ("label", "changepoint")
"""The roles of columns that say of each row what only scores may read: `unmarked` leaves them out."""


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of machines: rows by cycle, and how each run ended.

    A panel does not carry them: it has a target in each row, and a clock that its series share, while the label of a run is
    how it ends, which none of its rows holds, and the number of its rows is that label. A table neither: its rows stand alone,
    while those of a run are one history. So the ends stand in a frame of their own, and `until` cuts a history physically: a
    cut run is one that is censored at the cut.

    Attributes:
        data: `entity`, `cycle`, and the columns of sensors, settings and static columns; sorted by run and cycle. Where rows
            are labelled one by one, the label and the change points too.
        ends: One row a run, in the order of `data`: `entity`; `age`, its last cycle; `event`, true where it failed there;
            `remaining`, how long it lasts beyond that, 0 where it failed there and null where it is not known; `split`, `train`
            or `test`; `start`, when it was new, null where that is not known.
        roles: `sensor`, `setting`, `static`, `label` and `changepoint` to their columns.
        regimes: Operating conditions within which sensors are comparable.
        unit: What cycles count.
    """

    data: pl.DataFrame
    ends: pl.DataFrame
    roles: Roles
    regimes: int = 1
    unit: str = "cycles"

    LEAST: ClassVar[int] = 2

    @classmethod
    def build(
        cls,
        data: pl.DataFrame,
        roles: Mapping[str, Names],
        *,
        regimes: int = 1,
        unit: str = "cycles",
        longest_gap: int = 0,
    ) -> Runs:
        """Return checked runs; sensors that hardly change in the runs to learn from lose their role, and a warning names them.

        Their columns stay, for a model of other runs in which they changed.

        Args:
            data: Rows in which each run's cycles rise.
            roles: `entity` and `cycle`, and as far as there are any `sensor`, `setting`, `static`, `event`, `remaining`,
                `split`, `start`, `label` and `changepoint`.
            regimes: Operating conditions, told apart by the settings.
            unit: What cycles count.
            longest_gap: Rows in a row without a number, after which the last one is not carried on.

        Raises:
            ConfigError: A column with a role has the name that the machine or the cycle gets.
            DataError: A column is missing; cycles do not rise; a run fails twice or goes on after it; a number is missing for
                too long; a label or a change point is neither 0 nor 1; `split`, `start`, `remaining` or a static column changes
                within a run, or is none of its values.
        """
        given = Roles(roles)
        rows = checked_rows(data, given, longest_gap)
        refuse_marks(rows, given, MARKS)
        ends = ends_of(rows, given)
        kept = informative(rows, ends, given)
        carried = Roles({role: kept.get(role) for role in (*KEPT, *MARKS)})
        columns = [ENTITY, CYCLE, *given.columns(carried)]
        return cls(rows.select(columns).rechunk(), ends, carried, regimes, unit)

    @classmethod
    def of(cls, data: Any, *, regimes: int = 1, unit: str = "cycles", trust: tuple[str, ...] = (), **roles: Names) -> Runs:
        """Return checked runs of a frame of polars or pandas.

        Args:
            data: Rows in which each run's cycles rise.
            regimes: Operating conditions, told apart by the settings.
            unit: What cycles count.
            trust: Sensors that may follow the remaining life so closely, because they are truly measured.
            **roles: Roles and their columns (`entity="machine"`, `cycle="hours"`), as in `dataset.roles`.

        Raises:
            ConfigError: As of `build`.
            DataError: As of `build`, or a sensor gives the remaining life away.

        Example:
            >>> Runs.of({"m": ["a", "a"], "t": [1, 2], "x": [0.1, 0.4]}, entity="m", cycle="t", sensor="x").n
            1
        """
        from hwds.frames.conversion import as_polars

        rows, named = as_polars(data), Roles(roles)
        named = named if named.get("sensor") else named | {"sensor": other_numbers(rows, named)}
        return cls.build(rows, named, regimes=regimes, unit=unit).without_giveaways(trust)

    def without_giveaways(self, trust: tuple[str, ...] = ()) -> Self:
        """Return the same, where no sensor of the runs to learn from gives the remaining life away.

        Args:
            trust: Sensors that may follow the remaining life so closely, because they are truly measured.

        Raises:
            DataError: With the column, and how to let it through.
        """
        known = self.learnable
        refuse_telling_sensors(known.data, known.ends, known.sensors, trust)
        return self

    def __repr__(self) -> str:
        failed = int(self.ends["event"].sum())
        return f"Runs({self.n} runs, {failed} to their failure, {len(self.data)} rows; {self.roles.summary})"

    @property
    def sensors(self) -> tuple[str, ...]:
        """The columns of what is measured."""
        return self.roles.get("sensor", ())

    @property
    def settings(self) -> tuple[str, ...]:
        """The columns of operating conditions."""
        return self.roles.get("setting", ())

    @property
    def n(self) -> int:
        """The number of runs."""
        return len(self.ends)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The runs' names, in order."""
        return tuple(self.ends[ENTITY])

    @cached_property
    def offsets(self) -> np.ndarray:
        """The first row of each run, and the number of rows at the end; shape (n + 1,)."""
        return np.concatenate([[0], np.cumsum(self.data[ENTITY].rle().struct.field("len").to_numpy())]).astype(np.int64)

    @property
    def lengths(self) -> np.ndarray:
        """The rows of each run, shape (n,)."""
        return np.diff(self.offsets)

    @cached_property
    def run_of_row(self) -> np.ndarray:
        """The place of each row's run, shape (rows,)."""
        return np.repeat(np.arange(self.n), self.lengths)

    @cached_property
    def cycles(self) -> np.ndarray:
        """The age of its run in each row, shape (rows,)."""
        return self.data[CYCLE].to_numpy()

    @cached_property
    def ages(self) -> np.ndarray:
        """The age of each run at its last row, shape (n,)."""
        return self.ends["age"].to_numpy()

    @property
    def events(self) -> np.ndarray:
        """A flag for each run that failed at its last row, shape (n,)."""
        return self.ends["event"].to_numpy()

    @property
    def remaining(self) -> np.ndarray:
        """The time that each run lasts beyond its last row, NaN where that is not known; shape (n,)."""
        return self.ends["remaining"].to_numpy()

    def remaining_of_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Return how long a run was seen to go on after each row, and whether it failed then; shapes (rows,).

        Where it did not, it lasted longer than that: a censored life.
        """
        return self.ages[self.run_of_row] - self.cycles, self.events[self.run_of_row]

    def numbers(self, names: Sequence[str]) -> np.ndarray:
        """Return columns as numbers, shape (rows, names)."""
        return self.data.select(pl.col(list(names)).cast(pl.Float64)).to_numpy() if names else np.zeros((len(self.data), 0))

    def marks(self, role: str) -> np.ndarray | None:
        """Return the label or the change point of each row, shape (rows,), NaN where not known; None where runs have none."""
        name = self.roles.one(role)
        return None if name is None else self.data[name].cast(pl.Float64).to_numpy()

    @property
    def unmarked(self) -> Runs:
        """The same without labels and change points: all of a row that a model may see."""
        return replace(self, data=self.data.drop(self.roles.columns(MARKS)), roles=self.roles.without(*MARKS))

    def take(self, which: np.ndarray) -> Runs:
        """Return some of the runs, by a mask of shape (n,)."""
        return replace(self, data=self.data.filter(which[self.run_of_row]), ends=self.ends.filter(which))

    def until(self, rows: np.ndarray) -> Runs:
        """Return the first rows of each run: what is known at a cut, no failure and nothing of how the run goes on.

        Args:
            rows: How many of each run, shape (n,); a run of 0 is left out.
        """
        place = np.arange(len(self.data)) - self.offsets[:-1][self.run_of_row]
        known, there = self.data.filter(place < rows[self.run_of_row]), rows > 0
        last = self.cycles[self.offsets[:-1][there] + np.minimum(rows, self.lengths)[there] - 1]
        nothing = pl.lit(None, pl.Float64).alias("remaining")
        ends = self.ends.filter(there).with_columns(pl.Series("age", last), pl.lit(False).alias("event"), nothing)
        return replace(self, data=known, ends=ends)

    @property
    def learnable(self) -> Runs:
        """The runs to learn from: all but those that are for the test."""
        return self.take((self.ends["split"] == "train").to_numpy())

    @cached_property
    def fingerprint(self) -> str:
        """The digest of all that the runs hold."""
        parts = []
        for frame in (self.data, self.ends):
            buffer = BytesIO()
            frame.rechunk().write_ipc(buffer)
            parts.append(buffer.getvalue())
        return digest_bytes([*parts, json.dumps([dict(self.roles), self.regimes, self.unit], sort_keys=True).encode()])

    def write(self, folder: Path) -> None:
        """Write the runs as uncompressed Arrow, to be mapped into the memory of workers."""
        self.data.rechunk().write_ipc(folder / "data.arrow")
        self.ends.rechunk().write_ipc(folder / "ends.arrow")
        (folder / "roles.json").write_text(json.dumps([dict(self.roles), self.regimes, self.unit]))

    @classmethod
    def read(cls, folder: Path) -> Runs:
        """Return the runs that `write` wrote."""
        roles, regimes, unit = json.loads((folder / "roles.json").read_text())
        return cls(pl.read_ipc(folder / "data.arrow"), pl.read_ipc(folder / "ends.arrow"), Roles(roles), regimes, unit)


def other_numbers(rows: pl.DataFrame, roles: Roles) -> tuple[str, ...]:
    """Return the columns of numbers that have no role."""
    return tuple(name for name, kind in rows.schema.items() if kind.is_numeric() and name not in roles.names)
