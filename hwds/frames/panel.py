"""Panel: many regular series in one sorted table; its vintages, its aggregates, its forecasts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.errors import DataError
from hwds.core.files import Displayed, Readable, digest_bytes
from hwds.frames.columns import (
    as_polars,
    breaks,
    check_panel,
    in_order,
    ipc_bytes,
    panel_columns,
    panel_names,
    read_arrow,
)
from hwds.frames.frequency import Frequency, find_frequency
from hwds.frames.roles import SERIES, TARGET, TIME, Names, Roles, refuse_unplaced

# Forecasts: the answer of a fitted forecaster.

FALLBACK_KIND = "fallback_kind"
"""The column of predictions that says why something simpler than the model answered."""

NOTHING_LEARNED = "too little to learn from"
"""The kind of the fallbacks of a model that could not be fitted to any series."""

UNTOLD = "no reason told"
"""The kind of a fallback of which the model says nothing more."""


@dataclass(frozen=True, eq=False)
class Forecasts:
    """The forecasts of n series over h steps.

    Attributes:
        mean: The means, shape (n, h), in the target's unit; NaN where the model has no answer.
        quantiles: The quantiles, shape (n, h, levels), not decreasing along the last axis.
        fallback: A mask, shape (n,), true where something simpler than the model answered.
        diagnostics: Further columns of the predictions, such as the member that answered for a
            series, each of shape (n,).
        why: Why something simpler answered, for each series or for all; it is counted by it.
    """

    mean: ndarray
    quantiles: ndarray
    fallback: ndarray
    diagnostics: Mapping[str, ndarray] = field(default_factory=dict)
    why: ndarray | str = UNTOLD

    @classmethod
    def of(
        cls,
        mean: ndarray,
        quantiles: ndarray,
        fallback: ndarray | None = None,
        why: ndarray | str = UNTOLD,
    ) -> Forecasts:
        """Return forecasts with sorted quantiles (rearrangement never hurts the pinball loss:
        Chernozhukov et al. 2010).

        Args:
            mean: See the class.
            quantiles: See the class, in any order.
            fallback: See the class; None where the model itself answered for all.
            why: See the class.
        """
        simpler = np.zeros(len(mean), bool) if fallback is None else fallback
        return cls(mean, np.sort(quantiles, axis=-1), simpler, why=why)

    @property
    def kinds(self) -> ndarray:
        """Why something simpler answered for a series, shape (n,); None where the model did."""
        return np.where(self.fallback, np.array(self.why, object), np.array(None))


# Vintages: forecasts as a covariate, each of them known from the instant on at which it was
# made.

MADE_AT, COLUMN, VALUE = "made_at", "column", "value"

_ROW, _BY = "__row__", "__by__"


@dataclass(frozen=True, eq=False)
class Vintages:
    """Forecasts of the same instants, made at several earlier ones.

    Attributes:
        table: `series_id`, `time`, `made_at` (the last instant that the forecast knows), `column`,
            `value`.
        sources: Each column and where its forecasts come from, in words.
    """

    table: DataFrame
    sources: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the panel's columns that are made of them."""
        return tuple(self.sources)

    def until(self, last: DataFrame) -> Vintages:
        """Return the forecasts of some series that were made up to an instant of each.

        Args:
            last: `series_id` and the instant, `time`.
        """
        ends = last.select(SERIES, col(TIME).alias(_BY))
        forecasts = self.table.join(ends, on=SERIES, maintain_order="left").filter(
            col(MADE_AT) <= col(_BY)
        )
        return replace(self, table=forecasts.drop(_BY))

    def latest(self, rows: DataFrame, by: Series) -> DataFrame:
        """Return the last forecast of each row that was made up to an instant of its own.

        Null where none was.

        Args:
            rows: `series_id` and `time`.
            by: An instant for each row.

        Returns:
            One column for each of `columns`, in the order of the rows.
        """
        wanted = rows.select(SERIES, TIME, by.alias(_BY)).with_row_index(_ROW)
        forecasts = (
            wanted.join(self.table, on=[SERIES, TIME])
            .filter(col(MADE_AT) <= col(_BY))
            .sort(_ROW, MADE_AT)
        )
        latest = wanted.select(_ROW)
        for name in self.columns:
            last = (
                forecasts.filter(col(COLUMN) == name)
                .group_by(_ROW)
                .agg(col(VALUE).last().alias(name))
            )
            latest = latest.join(last, on=_ROW, how="left", maintain_order="left")
        return latest.drop(_ROW)

    def corrupted_after(self, last: DataFrame, rng: np.random.Generator) -> Vintages:
        """Return the same with random values for what was made after an instant of each series
        (`series_id`, `time`).
        """
        ends = self.table.select(SERIES, MADE_AT).join(
            last, on=SERIES, how="left", maintain_order="left"
        )
        noise = Series(1e6 * rng.standard_normal(len(ends)))
        later = (ends[MADE_AT] > ends[TIME]).fill_null(False)
        return replace(
            self,
            table=self.table.with_columns(pl.when(later).then(noise).otherwise(VALUE).alias(VALUE)),
        )

    def write(self, folder: Path) -> None:
        """Write the table and the sources beside a panel."""
        self.table.rechunk().write_ipc(folder / "vintages.arrow")
        (folder / "vintages.json").write_text(json.dumps(dict(self.sources)))

    @classmethod
    def read(cls, folder: Readable) -> Vintages | None:
        """Return what `write` wrote, None where it wrote nothing."""
        if not (folder / "vintages.json").is_file():
            return None
        return cls(
            read_arrow(folder / "vintages.arrow"),
            json.loads((folder / "vintages.json").read_bytes()),
        )


# Panel: many regular time series in one table sorted by series and time.


@dataclass(frozen=True, eq=False)
class Panel(Displayed):
    """Many series; every row of one series is one step of `frequency` after the row before.

    Made by `Panel.build`, which checks; a cut of a panel is a panel and is not checked again.

    Attributes:
        table: Columns `series_id` (text), `time`, `target` (float, null where unknown), then those
            with a role.
        roles: What the other columns may be used for.
        frequency: The distance between rows.
        season: Rows in a season; 1 where there is none.
        horizon: The number of steps that the dataset is usually forecast for, unless the protocol
            says otherwise.
        plan: Rows after the end of the series (`series_id`, `time` and the known-future columns),
            if any are known.
        unit: What the target is counted in, for axes and sentences.
        quantity: The target's name in the data of the user, for axes; no number depends on it.
        vintages: Forecasts that known-future columns are made of, where there are any; made by the
            last row of their series.
    """

    table: DataFrame
    roles: Roles
    frequency: Frequency
    season: int = 1
    horizon: int = 1
    plan: DataFrame | None = None
    unit: str = ""
    quantity: str = ""
    vintages: Vintages | None = None
    offsets: ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ids = self.table[SERIES]
        starts = (ids.slice(1) != ids.slice(0, max(len(ids) - 1, 0))).arg_true().to_numpy() + 1
        object.__setattr__(
            self, "offsets", np.r_[0 : min(len(ids), 1), starts, len(ids)].astype(np.int64)
        )

    @classmethod
    def build(
        cls,
        table: DataFrame,
        frequency: Frequency,
        *,
        roles: Roles | None = None,
        season: int | None = None,
        horizon: int = 1,
        plan: DataFrame | None = None,
        unit: str = "",
        quantity: str = "",
    ) -> Panel:
        """Return a checked panel from rows in any order.

        Raises:
            DataError: No rows, a missing column, a null key, two rows at one instant, a gap, an
                infinite target, a static column that changes, or a split that is not train first,
                then test.
        """
        roles = roles or Roles()
        season = season or frequency.season
        rows = check_panel(table, roles, frequency)
        return cls(rows, roles, frequency, season, horizon, plan, unit, quantity)

    @classmethod
    def of(
        cls,
        data: Any,
        *,
        time: str = "",
        target: str = "",
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
            data: Rows in any order. Index levels of pandas count as columns.
            time: The column of dates, datetimes or whole numbers; if it is not given, `ds` or the
                only column of times.
            target: The column to forecast; `y` if it is not given.
            series: The columns that name a series, several joined with '|'; `unique_id` if it is
                not given. Without either, all rows are one series.
            frequency: The distance between rows (`1mo`, `7d`, `1h`, `1i`); inferred where it is not
                given.
            season: Rows in a season; by the frequency where it is not given.
            horizon: Steps that are usually forecast; one season where it is not given.
            plan: Rows still to come with the same names of columns, for the columns that are known
                ahead.
            unit: The unit of the target.
            **roles: Other roles and their columns (`known_future="price"`), as in `dataset.roles`.

        Raises:
            DataError: A column is missing or does not fit its role; see `build`.

        Example:
            >>> of = {"series": ["sku"], "time": "month", "target": "units"}
            >>> panel = Panel.of(sales, **of)  # doctest: +SKIP
        """
        columns = Roles(roles)
        refuse_unplaced(columns)
        given = as_polars(data)
        series, time, target = panel_names(given, series, time, target)
        table = panel_columns(given, series, time, target, columns)
        step = Frequency(frequency) if frequency else find_frequency(table)
        ahead = Roles(known_future=columns.known_future)
        rest = None if plan is None else panel_columns(as_polars(plan), series, time, None, ahead)
        season = season or step.season
        named = {"unit": unit, "quantity": target}
        return cls.build(
            table, step, roles=columns, season=season, horizon=horizon or season, plan=rest, **named
        )

    def __repr__(self) -> str:
        times = self.table[TIME]
        span = (
            f", {times.min()!s} to {times.max()!s} by {self.frequency.every}" if len(times) else ""
        )
        return (
            f"Panel({self.n_series} series, {len(times)} "
            f"rows{span}{'; ' if self.roles else ''}{self.roles.summary})"
        )

    @property
    def axis(self) -> str:
        """The target in words for an axis: its name and its unit, as far as they are known and
        differ.
        """
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
    def lengths(self) -> ndarray:
        """Rows of each series, shape (n_series,)."""
        return np.diff(self.offsets)

    @cached_property
    def series_ids(self) -> Series:
        """The name of each series, in order."""
        return self.table[SERIES].gather(self.offsets[:-1])

    @cached_property
    def target(self) -> ndarray:
        """The target of all series end to end, shape (rows,), NaN where unknown."""
        return self.values(TARGET)

    def values(self, column: str) -> ndarray:
        """Return a numeric column as floats, shape (rows,), NaN where null."""
        return self.table[column].cast(pl.Float64).to_numpy().astype(np.float64, copy=True)

    def series(self, index: int) -> ndarray:
        """Return the target of one series, shape (its rows,)."""
        return self.target[self.offsets[index] : self.offsets[index + 1]]

    def with_table(self, table: DataFrame) -> Panel:
        """Return the same rows in the same order with more columns.

        Offsets are not computed again.
        """
        wide = copy(self)
        object.__setattr__(wide, "table", table)
        wide.__dict__.pop("fingerprint", None)
        return wide

    def block(self, start: int, stop: int) -> Panel:
        """Return the series `start` to `stop` (excluded)."""
        first, last = self.offsets[start], self.offsets[stop]
        return replace(self, table=self.table.slice(first, last - first))

    def until(self, ends: ndarray) -> Panel:
        """Return the first `ends[i]` rows of series i.

        A series left without rows is gone. `ends` has shape (n_series,).
        """
        if np.array_equal(ends, self.lengths):
            return self
        cut = replace(
            self, table=self.table.filter(Series(self.positions < np.repeat(ends, self.lengths)))
        )
        return replace(cut, vintages=self.vintages.until(cut.ends)) if self.vintages else cut

    @property
    def ends(self) -> DataFrame:
        """The last instant of each series: `series_id`, `time`."""
        return self.table.select(SERIES, TIME)[self.offsets[1:] - 1]

    def with_vintages(self, vintages: Vintages) -> Panel:
        """Return the panel with known-future columns of forecasts: at each row the last one that
        was made before it.

        What was made after the end of its series is left out, for there is no row from which it
        could be known.
        """
        known = vintages.until(self.ends)
        names = [name for name in self.roles.known_future if name not in known.columns]
        roles = self.roles | {"known_future": (*names, *known.columns)}
        rows = self.table.drop(known.columns, strict=False)
        rows = rows.hstack(known.latest(rows, self.frequency.after(rows[TIME], -1)))
        return replace(
            self, table=rows.select(SERIES, TIME, TARGET, *roles.names), roles=roles, vintages=known
        )

    def last(self, rows: int) -> Panel:
        """Return at most the last `rows` rows of each series."""
        left = np.repeat(self.lengths, self.lengths) - self.positions
        return replace(self, table=self.table.filter(Series(left <= rows)))

    @cached_property
    def positions(self) -> ndarray:
        """The 0-based position of each row in its series, shape (rows,)."""
        return np.arange(len(self.table)) - np.repeat(self.offsets[:-1], self.lengths)

    @property
    def series_of_row(self) -> ndarray:
        """The place of each row's series, shape (rows,)."""
        return np.repeat(np.arange(self.n_series), self.lengths)

    def followed_by(self, future: Panel) -> Panel:
        """Return the history with the rows of `future` (the same series) at the end of each
        series.
        """
        both = pl.concat([self.table, future.table.select(self.table.columns)], how="vertical")
        ranks = np.concatenate([self.series_of_row, future.series_of_row])
        return replace(self, table=both[np.argsort(ranks, kind="stable")])

    @cached_property
    def fingerprint(self) -> str:
        """The digest of all that the panel holds; equal content gives the same."""
        parts = (self.table, self.plan, self.vintages.table if self.vintages else None)
        buffers = [ipc_bytes(part) for part in parts if part is not None]
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
    def read(cls, folder: Readable) -> Panel:
        """Return the panel that `write` wrote."""
        meta = json.loads((folder / "panel.json").read_bytes())
        roles = Roles(meta.pop("roles"))
        plan = read_arrow(folder / "plan.arrow") if (folder / "plan.arrow").is_file() else None
        table, frequency = read_arrow(folder / "table.arrow"), Frequency(**meta.pop("frequency"))
        return cls(table, roles, frequency, plan=plan, vintages=Vintages.read(folder), **meta)

    def _meta(self) -> dict[str, object]:
        plain = {name: getattr(self, name) for name in ("season", "horizon", "unit", "quantity")}
        return {"roles": dict(self.roles), "frequency": asdict(self.frequency)} | plain


# A panel with its aggregates: the sums of its series at every level of its hierarchy, each a
# series of its own.

LEVEL = "level"
"""The static column that says which level a series is of: `total`, `state`, `state|industry`, or
`series`.
"""

TOTAL, BOTTOM = "total", "series"

AGGREGATE = "aggregate"


def with_aggregates(panel: Panel, *, grouped: bool) -> Panel:
    """Return the panel's series and their sums: the total, each value of the first level, of the
    first two, and so on.

    At each instant an aggregate's target is the sum over its series that have a row there; it is
    unknown where one of them is, or where none has a row. Its known-future and past-only columns
    are plain means over these series of what is known, so that a price stays a price; its level
    columns say what its series share, other static columns are null; it is out when the last of
    them is. Vintages are means of those that were made at one instant. An aggregate of one series,
    or of the same ones as a coarser aggregate, is left out.

    Args:
        panel: Has level columns.
        grouped: Add each level alone too, where levels cross (state and industry) rather than nest
            (family and sku).

    Raises:
        DataError: There is nothing to sum, a name is taken, or series differ in their clock or
            their split.
    """
    roles, parts = panel.roles, aggregates_of(panel, grouped=grouped)
    _check_parts(panel, parts)
    static = roles | {"static": (*roles.static, LEVEL)}
    sums = _sums_without_gaps(_sums(panel, parts, panel.table), panel.frequency, roles)
    bottom = panel.table.with_columns(pl.lit(BOTTOM).alias(LEVEL))
    both = pl.concat([bottom, sums.select(bottom.columns)])
    plan = panel.plan
    if plan is not None:
        rows = plan.join(parts, on=SERIES).sort(AGGREGATE, TIME, SERIES)
        means = rows.group_by(AGGREGATE, TIME, maintain_order=True).agg(col(panel.planned).mean())
        plan = pl.concat([plan, means.rename({AGGREGATE: SERIES}).select(plan.columns)])
    whole = Panel.build(
        both,
        panel.frequency,
        roles=static,
        season=panel.season,
        horizon=panel.horizon,
        plan=plan,
        unit=panel.unit,
    )
    return whole.with_vintages(_with_means(panel.vintages, parts)) if panel.vintages else whole


def _with_means(vintages: Vintages, parts: DataFrame) -> Vintages:
    """Return the vintages and their plain means over each aggregate's series, by the instant at
    which they were made.
    """
    keys = [AGGREGATE, TIME, MADE_AT, COLUMN]
    rows = vintages.table.join(parts, on=SERIES).sort(*keys, SERIES)
    means = (
        rows.group_by(keys, maintain_order=True).agg(col(VALUE).mean()).rename({AGGREGATE: SERIES})
    )
    return replace(
        vintages, table=pl.concat([vintages.table, means.select(vintages.table.columns)])
    )


def without_aggregates(panel: Panel) -> Panel:
    """Return the panel that `with_aggregates` was given."""
    table = panel.table.filter(col(LEVEL) == BOTTOM).drop(LEVEL)
    plan = panel.plan
    if plan is not None:
        plan = plan.filter(col(SERIES).is_in(table[SERIES].unique().implode()))
    roles = panel.roles | {"static": tuple(name for name in panel.roles.static if name != LEVEL)}
    bottom = replace(panel, table=table, roles=roles, plan=plan)
    return replace(bottom, vintages=panel.vintages.until(bottom.ends)) if panel.vintages else bottom


def aggregates_of(panel: Panel, *, grouped: bool) -> DataFrame:
    """Return the members of each aggregate: `aggregate, level, series_id`, coarsest first, with or
    without aggregates.
    """
    rows = panel.table[panel.offsets[:-1]]
    rows = rows.filter(col(LEVEL) == BOTTOM) if LEVEL in rows.columns else rows
    seen: set[bytes] = set()
    groups = []
    for columns in _levels(panel.roles.level, grouped=grouped):
        named = rows.select(
            _aggregate_name(columns).alias(AGGREGATE),
            pl.lit("|".join(columns) or TOTAL).alias(LEVEL),
            SERIES,
        )
        for group in named.with_row_index("at").partition_by(AGGREGATE, maintain_order=True):
            key = group["at"].to_numpy().tobytes()
            if len(group) > 1 and key not in seen:
                seen.add(key)
                groups.append(group.drop("at"))
    return pl.concat(groups) if groups else named.clear()


def aggregates_of_series(panel: Panel, *, grouped: bool) -> DataFrame:
    """Return for each series that is no aggregate the names of those it is a part of, coarsest
    first: `series_id, groups`.
    """
    return (
        aggregates_of(panel, grouped=grouped)
        .group_by(SERIES, maintain_order=True)
        .agg(col(AGGREGATE).alias("groups"))
    )


def _levels(columns: tuple[str, ...], *, grouped: bool) -> Iterator[tuple[str, ...]]:
    """Yield the columns of each level, coarsest first."""
    yield ()
    for depth in range(1, len(columns) + 1):
        yield columns[:depth]
        if grouped:
            yield columns[depth - 1 : depth]


def _aggregate_name(columns: tuple[str, ...]) -> pl.Expr:
    """Return `state=Victoria|industry=Food`."""
    if not columns:
        return pl.lit(TOTAL)
    values = [
        pl.concat_str(pl.lit(f"{name}="), col(name).cast(pl.String).fill_null("(none)"))
        for name in columns
    ]
    return pl.concat_str(values, separator="|")


def _check_parts(panel: Panel, parts: DataFrame) -> None:
    if LEVEL in panel.roles.names:
        raise DataError(
            f"dataset: column '{LEVEL}' has the name of the column that tells levels apart; "
            f"rename it."
        )
    if parts.is_empty():
        raise DataError("dataset: no two series to sum; a hierarchy needs several.")
    taken = parts.filter(col(AGGREGATE).is_in(panel.series_ids.implode()))
    if len(taken):
        raise DataError(
            f"dataset: series '{taken[AGGREGATE][0]}' has the name of an aggregate; rename it."
        )
    split = panel.roles.split
    if split:
        both = panel.table.group_by(TIME).agg(col(split).n_unique()).filter(col(split) > 1)
        if len(both):
            raise DataError(
                f"dataset: at {both[TIME].min()!s} some series are train and others test; their "
                f"sum would be both."
            )


def _sums(panel: Panel, parts: DataFrame, table: DataFrame) -> DataFrame:
    """Return the rows of all aggregates, sorted."""
    roles = panel.roles
    target = pl.when(col(TARGET).null_count() == 0).then(col(TARGET).sum())
    numbers = dict.fromkeys((*roles.known_future, *roles.past_only))
    made = [target.alias(TARGET), *(col(name).mean() for name in numbers)]
    if roles.available_at:
        out = col(roles.available_at)
        made.append(pl.when(out.null_count() == 0).then(out.max()).alias(roles.available_at))
    if roles.split:
        made.append(col(roles.split).first())
    rows = table.drop(LEVEL, strict=False).join(parts, on=SERIES).sort(AGGREGATE, TIME, SERIES)
    sums = rows.group_by(AGGREGATE, TIME, maintain_order=True).agg(*made)
    schema, once = panel.table.schema, parts.unique(AGGREGATE, keep="first", maintain_order=True)
    first = once.join(panel.table[panel.offsets[:-1]].select(SERIES, *roles.level), on=SERIES)
    depth = [
        pl.when(col(LEVEL).str.split("|").list.contains(name)).then(col(name)).alias(name)
        for name in roles.level
    ]
    labels = first.select(AGGREGATE, LEVEL, *depth)
    empty = [name for name in roles.static if name not in roles.level]
    labels = labels.with_columns(pl.lit(None, schema[name]).alias(name) for name in empty)
    return sums.join(labels, on=AGGREGATE, maintain_order="left").rename({AGGREGATE: SERIES})


def _sums_without_gaps(rows: DataFrame, frequency: Frequency, roles: Roles) -> DataFrame:
    """Return the rows with an unknown one at each instant between the first and the last at which
    no series had any.
    """
    rows = in_order(rows)
    if not breaks(rows, frequency).any():
        return rows
    clock, last = [rows[TIME].min()], rows[TIME].max()
    while clock[-1] < last:  # type: ignore[operator]
        clock.append(frequency.after(Series([clock[-1]], dtype=rows.schema[TIME]), 1)[0])
    grid = Series(TIME, clock, dtype=rows.schema[TIME])
    off = rows.filter(~col(TIME).is_in(grid.implode()))
    if len(off):
        raise DataError(
            f"dataset: series do not share one clock; some have a row at {off[TIME][0]}, which "
            f"others skip."
        )
    ends = rows.group_by(SERIES, maintain_order=True).agg(
        col(TIME).min().alias("from"), col(TIME).max().alias("to")
    )
    whole = (
        ends.join(DataFrame([grid]), how="cross")
        .filter(col(TIME).is_between("from", "to"))
        .select(SERIES, TIME)
    )
    filled = in_order(whole.join(rows, on=[SERIES, TIME], how="left"))
    lasting = [*roles.level, LEVEL, *([roles.split] if roles.split else [])]
    return filled.with_columns(col(name).forward_fill().over(SERIES) for name in lasting).select(
        rows.columns
    )
