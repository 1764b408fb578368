"""A panel with its aggregates: the sums of its series at every level of its hierarchy, each a series of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from hwds.core.errors import DataError
from hwds.frames.checks import breaks, in_order
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME, Roles
from hwds.frames.vintages import COLUMN, MADE_AT, VALUE, Vintages

LEVEL = "level"
"""The static column that says which level a series is of: `total`, `state`, `state|industry`, or `series`."""

TOTAL, BOTTOM = "total", "series"

AGGREGATE = "aggregate"


def with_aggregates(panel: Panel, *, grouped: bool) -> Panel:
    """Return the panel's series and their sums: the total, each value of the first level, of the first two, and so on.

    At each instant an aggregate's target is the sum over its series that have a row there; it is unknown where one of them is,
    or where none has a row. Its known-future and past-only columns are plain means over these series of what is known, so that
    a price stays a price; its level columns say what its series share, other static columns are null; it is out when the last
    of them is. Vintages are means of those that were made at one instant. An aggregate of one series, or of the same ones as a
    coarser aggregate, is left out.

    Args:
        panel: Has level columns.
        grouped: Add each level alone too, where levels cross (state and industry) rather than nest (family and sku).

    Raises:
        DataError: There is nothing to sum, a name is taken, or series differ in their clock or their split.
    """
    roles, parts = panel.roles, aggregates_of(panel, grouped=grouped)
    _check(panel, parts)
    static = roles | {"static": (*roles.static, LEVEL)}
    sums = _without_gaps(_sums(panel, parts, panel.table), panel.frequency, roles)
    bottom = panel.table.with_columns(pl.lit(BOTTOM).alias(LEVEL))
    both = pl.concat([bottom, sums.select(bottom.columns)])
    plan = panel.plan
    if plan is not None:
        rows = plan.join(parts, on=SERIES).sort(AGGREGATE, TIME, SERIES)
        means = rows.group_by(AGGREGATE, TIME, maintain_order=True).agg(pl.col(panel.planned).mean())
        plan = pl.concat([plan, means.rename({AGGREGATE: SERIES}).select(plan.columns)])
    whole = Panel.build(
        both, panel.frequency, roles=static, season=panel.season, horizon=panel.horizon, plan=plan, unit=panel.unit
    )
    return whole.with_vintages(_with_means(panel.vintages, parts)) if panel.vintages else whole


def _with_means(vintages: Vintages, parts: pl.DataFrame) -> Vintages:
    """Return the vintages and their plain means over each aggregate's series, by the instant at which they were made."""
    keys = [AGGREGATE, TIME, MADE_AT, COLUMN]
    rows = vintages.table.join(parts, on=SERIES).sort(*keys, SERIES)
    means = rows.group_by(keys, maintain_order=True).agg(pl.col(VALUE).mean()).rename({AGGREGATE: SERIES})
    return replace(vintages, table=pl.concat([vintages.table, means.select(vintages.table.columns)]))


def without_aggregates(panel: Panel) -> Panel:
    """Return the panel that `with_aggregates` was given."""
    table = panel.table.filter(pl.col(LEVEL) == BOTTOM).drop(LEVEL)
    plan = panel.plan
    if plan is not None:
        plan = plan.filter(pl.col(SERIES).is_in(table[SERIES].unique().implode()))
    roles = panel.roles | {"static": tuple(name for name in panel.roles.static if name != LEVEL)}
    bottom = replace(panel, table=table, roles=roles, plan=plan)
    return replace(bottom, vintages=panel.vintages.until(bottom.ends)) if panel.vintages else bottom


def aggregates_of(panel: Panel, *, grouped: bool) -> pl.DataFrame:
    """Return the members of each aggregate: `aggregate, level, series_id`, coarsest first, with or without aggregates."""
    rows = panel.table[panel.offsets[:-1]]
    rows = rows.filter(pl.col(LEVEL) == BOTTOM) if LEVEL in rows.columns else rows
    seen: set[bytes] = set()
    groups = []
    for columns in _levels(panel.roles.level, grouped=grouped):
        named = rows.select(_name(columns).alias(AGGREGATE), pl.lit("|".join(columns) or TOTAL).alias(LEVEL), SERIES)
        for group in named.with_row_index("at").partition_by(AGGREGATE, maintain_order=True):
            key = group["at"].to_numpy().tobytes()
            if len(group) > 1 and key not in seen:
                seen.add(key)
                groups.append(group.drop("at"))
    return pl.concat(groups) if groups else named.clear()


def groups_of(panel: Panel, *, grouped: bool) -> pl.DataFrame:
    """Return for each series that is no aggregate the names of those it is a part of, coarsest first: `series_id, groups`."""
    return aggregates_of(panel, grouped=grouped).group_by(SERIES, maintain_order=True).agg(pl.col(AGGREGATE).alias("groups"))


def _levels(columns: tuple[str, ...], *, grouped: bool) -> Iterator[tuple[str, ...]]:
    """Yield the columns of each level, coarsest first."""
    yield ()
    for depth in range(1, len(columns) + 1):
        yield columns[:depth]
        if grouped:
            yield columns[depth - 1 : depth]


def _name(columns: tuple[str, ...]) -> pl.Expr:
    """Return `state=Victoria|industry=Food`."""
    if not columns:
        return pl.lit(TOTAL)
    values = [pl.concat_str(pl.lit(f"{name}="), pl.col(name).cast(pl.String).fill_null("(none)")) for name in columns]
    return pl.concat_str(values, separator="|")


def _check(panel: Panel, parts: pl.DataFrame) -> None:
    if LEVEL in panel.roles.names:
        raise DataError(f"dataset: column '{LEVEL}' has the name of the column that tells levels apart; rename it.")
    if parts.is_empty():
        raise DataError("dataset: no two series to sum; a hierarchy needs several.")
    taken = parts.filter(pl.col(AGGREGATE).is_in(panel.series_ids.implode()))
    if len(taken):
        raise DataError(f"dataset: series '{taken[AGGREGATE][0]}' has the name of an aggregate; rename it.")
    split = panel.roles.split
    if split:
        both = panel.table.group_by(TIME).agg(pl.col(split).n_unique()).filter(pl.col(split) > 1)
        if len(both):
            raise DataError(f"dataset: at {both[TIME].min()!s} some series are train and others test; their sum would be both.")


def _sums(panel: Panel, parts: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of all aggregates, sorted."""
    roles = panel.roles
    target = pl.when(pl.col(TARGET).null_count() == 0).then(pl.col(TARGET).sum())
    numbers = dict.fromkeys((*roles.known_future, *roles.past_only))
    made = [target.alias(TARGET), *(pl.col(name).mean() for name in numbers)]
    if roles.available_at:
        out = pl.col(roles.available_at)
        made.append(pl.when(out.null_count() == 0).then(out.max()).alias(roles.available_at))
    if roles.split:
        made.append(pl.col(roles.split).first())
    rows = table.drop(LEVEL, strict=False).join(parts, on=SERIES).sort(AGGREGATE, TIME, SERIES)
    sums = rows.group_by(AGGREGATE, TIME, maintain_order=True).agg(*made)
    schema, once = panel.table.schema, parts.unique(AGGREGATE, keep="first", maintain_order=True)
    first = once.join(panel.table[panel.offsets[:-1]].select(SERIES, *roles.level), on=SERIES)
    depth = [pl.when(pl.col(LEVEL).str.split("|").list.contains(name)).then(pl.col(name)).alias(name) for name in roles.level]
    labels = first.select(AGGREGATE, LEVEL, *depth)
    empty = [name for name in roles.static if name not in roles.level]
    labels = labels.with_columns(pl.lit(None, schema[name]).alias(name) for name in empty)
    return sums.join(labels, on=AGGREGATE, maintain_order="left").rename({AGGREGATE: SERIES})


def _without_gaps(rows: pl.DataFrame, frequency: Frequency, roles: Roles) -> pl.DataFrame:
    """Return the rows with an unknown one at each instant between the first and the last at which no series had any."""
    rows = in_order(rows)
    if not breaks(rows, frequency).any():
        return rows
    clock, last = [rows[TIME].min()], rows[TIME].max()
    while clock[-1] < last:  # type: ignore[operator]
        clock.append(frequency.after(pl.Series([clock[-1]], dtype=rows.schema[TIME]), 1)[0])
    grid = pl.Series(TIME, clock, dtype=rows.schema[TIME])
    off = rows.filter(~pl.col(TIME).is_in(grid.implode()))
    if len(off):
        raise DataError(f"dataset: series do not share one clock; some have a row at {off[TIME][0]}, which others skip.")
    ends = rows.group_by(SERIES, maintain_order=True).agg(pl.col(TIME).min().alias("from"), pl.col(TIME).max().alias("to"))
    whole = ends.join(pl.DataFrame([grid]), how="cross").filter(pl.col(TIME).is_between("from", "to")).select(SERIES, TIME)
    filled = in_order(whole.join(rows, on=[SERIES, TIME], how="left"))
    lasting = [*roles.level, LEVEL, *([roles.split] if roles.split else [])]
    return filled.with_columns(pl.col(name).forward_fill().over(SERIES) for name in lasting).select(rows.columns)
