"""Panel: many regular time series in one table sorted by series and time."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hwds.core.hashing import digest_bytes
from hwds.frames.frequency import Frequency
from hwds.frames.roles import SERIES, TARGET, TIME, Names, Roles, refuse_unplaced
from hwds.frames.vintages import Vintages


@dataclass(frozen=True, eq=False)
class Panel:
    """Many series; every row of one series is one step of `frequency` after the row before.

    Made by `Panel.build`, which checks; a cut of a panel is a panel and is not checked again.

    Attributes:
        table: Columns `series_id` (text), `time`, `target` (float, null where unknown), then those with a role.
        roles: What the other columns may be used for.
        frequency: The distance between rows.
        season: Rows in a season; 1 where there is none.
        horizon: The number of steps that the dataset is usually forecast for, unless the protocol says otherwise.
        plan: Rows after the end of the series (`series_id`, `time` and the known-future columns), if any are known.
        unit: What the target is counted in, for axes and sentences.
        quantity: The target's name in the data of the user, for axes; no number depends on it.
        vintages: Forecasts that known-future columns are made of, where there are any; made by the last row of their series.
    """

    table: pl.DataFrame
    roles: Roles
    frequency: Frequency
    season: int = 1
    horizon: int = 1
    plan: pl.DataFrame | None = None
    unit: str = ""
    quantity: str = ""
    vintages: Vintages | None = None
    offsets: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ids = self.table[SERIES]
        starts = (ids.slice(1) != ids.slice(0, max(len(ids) - 1, 0))).arg_true().to_numpy() + 1
        object.__setattr__(self, "offsets", np.r_[0 : min(len(ids), 1), starts, len(ids)].astype(np.int64))

    @classmethod
    def build(
        cls,
        table: pl.DataFrame,
        frequency: Frequency,
        *,
        roles: Roles | None = None,
        season: int | None = None,
        horizon: int = 1,
        plan: pl.DataFrame | None = None,
        unit: str = "",
        quantity: str = "",
    ) -> Panel:
        """Return a checked panel from rows in any order.

        Raises:
            DataError: No rows, a missing column, a null key, two rows at one instant, a gap, an infinite target,
                a static column that changes, or a split that is not train first, then test.
        """
        from hwds.frames.checks import checked

        roles = roles or Roles()
        season = season or frequency.season
        return cls(checked(table, roles, frequency), roles, frequency, season, horizon, plan, unit, quantity)

    @classmethod
    def of(
        cls,
        data: Any,
        *,
        time: str,
        target: str,
        series: Names = None,
        frequency: str | None = None,
        season: int | None = None,
        horizon: int | None = None,
        plan: Any = None,
        unit: str = "",
        **roles: Names,
    ) -> Panel:
        """Return a checked panel of a frame of polars or pandas.

        Args:
            data: Rows in any order.
            time: The column of dates, datetimes or whole numbers.
            target: The column to forecast.
            series: The columns that name a series, several joined with '|'; nothing where all rows are one series.
            frequency: The distance between rows (`1mo`, `7d`, `1h`, `1i`); inferred where it is not given.
            season: Rows in a season; by the frequency where it is not given.
            horizon: Steps that are usually forecast; one season where it is not given.
            plan: Rows still to come with the same names of columns, for the columns that are known ahead.
            unit: The unit of the target.
            **roles: Other roles and their columns (`known_future="price"`), as in `dataset.roles`.

        Raises:
            DataError: A column is missing or does not fit its role; see `build`.

        Example:
            >>> Panel.of(sales, series=["sku", "channel"], time="month", target="units").n_series  # doctest: +SKIP
        """
        from hwds.frames.conversion import as_polars, panel_columns
        from hwds.frames.infer_frequency import find_frequency

        columns = Roles(roles)
        refuse_unplaced(columns)
        table = panel_columns(as_polars(data), series, time, target, columns)
        step = Frequency(frequency) if frequency else find_frequency(table)
        ahead = Roles(known_future=columns.known_future)
        rest = None if plan is None else panel_columns(as_polars(plan), series, time, None, ahead)
        season = season or step.season
        named = {"unit": unit, "quantity": target}
        return cls.build(table, step, roles=columns, season=season, horizon=horizon or season, plan=rest, **named)

    def __repr__(self) -> str:
        times = self.table[TIME]
        span = f", {times.min()!s} to {times.max()!s} by {self.frequency.every}" if len(times) else ""
        return f"Panel({self.n_series} series, {len(times)} rows{span}{'; ' if self.roles else ''}{self.roles.summary})"

    @property
    def axis(self) -> str:
        """The target in words for an axis: its name and its unit, as far as they are known and differ."""
        return ", ".join(dict.fromkeys(filter(None, (self.quantity, self.unit)))) or "value"

    @property
    def planned(self) -> tuple[str, ...]:
        """The known-future columns that are known as they are, and not by forecasts."""
        forecast_columns = self.vintages.columns if self.vintages else ()
        return tuple(name for name in self.roles.known_future if name not in forecast_columns)

    @property
    def n_series(self) -> int:
        """The number of series."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Rows of each series, shape (n_series,)."""
        return np.diff(self.offsets)

    @cached_property
    def series_ids(self) -> pl.Series:
        """The name of each series, in order."""
        return self.table[SERIES].gather(self.offsets[:-1])

    @cached_property
    def target(self) -> np.ndarray:
        """The target of all series end to end, shape (rows,), NaN where unknown."""
        return self.values(TARGET)

    def values(self, column: str) -> np.ndarray:
        """Return a numeric column as floats, shape (rows,), NaN where null."""
        return self.table[column].cast(pl.Float64).to_numpy().astype(np.float64, copy=True)

    def series(self, index: int) -> np.ndarray:
        """Return the target of one series, shape (its rows,)."""
        return self.target[self.offsets[index] : self.offsets[index + 1]]

    def widened(self, table: pl.DataFrame) -> Panel:
        """Return the same rows in the same order with more columns; offsets are not computed again."""
        wide = copy(self)
        object.__setattr__(wide, "table", table)
        wide.__dict__.pop("fingerprint", None)
        return wide

    def block(self, start: int, stop: int) -> Panel:
        """Return the series `start` to `stop` (excluded)."""
        first, last = self.offsets[start], self.offsets[stop]
        return replace(self, table=self.table.slice(first, last - first))

    def until(self, ends: np.ndarray) -> Panel:
        """Return the first `ends[i]` rows of series i; a series left without rows is gone. `ends` has shape (n_series,)."""
        if np.array_equal(ends, self.lengths):
            return self
        cut = replace(self, table=self.table.filter(pl.Series(self.positions < np.repeat(ends, self.lengths))))
        return replace(cut, vintages=self.vintages.until(cut.ends)) if self.vintages else cut

    @property
    def ends(self) -> pl.DataFrame:
        """The last instant of each series: `series_id`, `time`."""
        return self.table.select(SERIES, TIME)[self.offsets[1:] - 1]

    def with_vintages(self, vintages: Vintages) -> Panel:
        """Return the panel with known-future columns of forecasts: at each row the last one that was made before it.

        What was made after the end of its series is left out, for there is no row from which it could be known.
        """
        known = vintages.until(self.ends)
        names = [name for name in self.roles.known_future if name not in known.columns]
        roles = self.roles | {"known_future": (*names, *known.columns)}
        rows = self.table.drop(known.columns, strict=False)
        rows = rows.hstack(known.latest(rows, self.frequency.after(rows[TIME], -1)))
        return replace(self, table=rows.select(SERIES, TIME, TARGET, *roles.names), roles=roles, vintages=known)

    def last(self, rows: int) -> Panel:
        """Return at most the last `rows` rows of each series."""
        left = np.repeat(self.lengths, self.lengths) - self.positions
        return replace(self, table=self.table.filter(pl.Series(left <= rows)))

    @cached_property
    def positions(self) -> np.ndarray:
        """The 0-based position of each row in its series, shape (rows,)."""
        return np.arange(len(self.table)) - np.repeat(self.offsets[:-1], self.lengths)

    def followed_by(self, future: Panel) -> Panel:
        """Return the history with the rows of `future` (the same series) at the end of each series."""
        both = pl.concat([self.table, future.table.select(self.table.columns)], how="vertical")
        ranks = np.concatenate(
            [np.repeat(np.arange(self.n_series), self.lengths), np.repeat(np.arange(future.n_series), future.lengths)]
        )
        return replace(self, table=both[np.argsort(ranks, kind="stable")])

    @cached_property
    def fingerprint(self) -> str:
        """The digest of all that the panel holds; equal content gives the same."""
        parts = (self.table, self.plan, self.vintages.table if self.vintages else None)
        buffers = [_ipc(part) for part in parts if part is not None]
        meta = {name: value for name, value in self._meta().items() if name != "quantity"}
        return digest_bytes([*buffers, json.dumps(meta).encode()])

    def write(self, folder: Path) -> None:
        """Write the panel as uncompressed Arrow, to be mapped into the memory of workers."""
        self.table.rechunk().write_ipc(folder / "table.arrow")
        if self.plan is not None:
            self.plan.rechunk().write_ipc(folder / "plan.arrow")
        if self.vintages:
            self.vintages.write(folder)
        (folder / "panel.json").write_text(json.dumps(self._meta()))

    @classmethod
    def read(cls, folder: Path) -> Panel:
        """Return the panel that `write` wrote."""
        meta = json.loads((folder / "panel.json").read_text())
        roles = Roles(meta.pop("roles"))
        plan = pl.read_ipc(folder / "plan.arrow") if (folder / "plan.arrow").exists() else None
        table, frequency = pl.read_ipc(folder / "table.arrow"), Frequency(**meta.pop("frequency"))
        return cls(table, roles, frequency, plan=plan, vintages=Vintages.read(folder), **meta)

    def _meta(self) -> dict[str, object]:
        return {
            "roles": dict(self.roles),
            "frequency": asdict(self.frequency),
            "season": self.season,
            "horizon": self.horizon,
            "unit": self.unit,
            "quantity": self.quantity,
        }


def _ipc(table: pl.DataFrame) -> bytes:
    buffer = BytesIO()
    table.rechunk().write_ipc(buffer)
    return buffer.getvalue()
