"""Columns that give away what is predicted: the target of a panel, the label of a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.errors import DataError
from hwds.core.seeds import stream
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET
from hwds.frames.table import Table

# Columns of a panel that give its target away: what was filled in from the future, and is not
# known before it.

COPY_CORRELATION = 0.97
"""The correlation of changes over which one column is the other's copy, whatever increasing
function was made of it.
"""

MISSING_CORRELATION = 0.95
"""The correlation over which missing values are where the target is 0, or rises."""

LEFT_OPEN = 0.02
"""The share of what the target's own past leaves open, under which a column and its neighbours
leave no more than rounding.
"""

STATIC_CORRELATION = 0.97
"""The correlation over which a static column says what is left of the last rows when the earlier
ones are taken out.
"""

FEWEST_ENDED = 6
"""Series that end, and that go on, below which missing values may tell an end by chance."""

RARELY_SILENT = 0.5
"""The share of the last rows without a sale up to which a series that goes on shows that it does.
"""

FEWEST_SIDES = 4
"""Rows of a series on either side of a limit, at least."""

WIDEST_GAP = 0.2
"""The widest gap between two sides of a limit, as a share of the range of the target."""

PLACEBOS = 4
"""Earlier windows of a horizon each, of which a static column should say as much as of the last."""

LIKELY_LATE, PLACEBO_Z = 0.4, 4.0
"""The partial correlation with the last rows from which on a static column is remarked, and the
standard errors by which it must exceed that of every earlier window.
"""

LEAST_PAIRS, LEAST_SERIES = 40, 12
"""Pairs of rows, and series, below which a likeness may be chance."""

MOST_ROWS = 10_000
"""Rows that are looked at: the last ones of the first series."""

FARTHEST = 100
"""Rows ahead or back at which a column is held against the target, at most."""

TINY = 1e-12
"""The variance under which all values are the same."""

ROUNDING = 1e-3
"""The share that the target's own past leaves open, under which there is nothing left to tell."""

NEAR_ROWS = 7
"""Rows of the target's past, and of a column on either side, that a change is explained by."""


def refuse_leaking_columns(panel: Panel, trusted: tuple[str, ...]) -> None:
    """Refuse a column that gives the target away.

    Raises:
        DataError: With the column and what gives the target away.
    """
    for column, reason in leaking_columns(panel, trusted):
        role = next(
            role
            for role in ("known_future", "past_only", "static")
            if column in panel.roles.get(role, ())
        )
        raise DataError(
            f"dataset.roles.{role}: column '{column}' gives the target away: {reason}; leave it "
            f"out, or name it in"
            " dataset.trust if it is known so early."
        )


def likely_columns(panel: Panel, trusted: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield each static column that likely tells how each series ends, and how: it says more of the
    last rows than of the ones before them, of which it would say as much if it were known early.

    Args:
        panel: The data.
        trusted: Columns that are not looked at.
    """
    late = _LateMeans(panel)
    for name in panel.roles.static:
        if name in trusted or late.static_reason(name):
            continue
        if reason := late.likely_reason(name):
            yield name, reason


def leaking_columns(panel: Panel, trusted: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield each column that gives the target away, and how.

    A known-future column may not be the target of its own row, of a later one, or of one before it
    that lies within the horizon; a past-only one not that of a later row; nor may the places of
    their missing values, or the side of a limit on which the target lies. A static column may not
    say more of the mean of the last rows than the mean of the earlier ones does.

    Args:
        panel: The data.
        trusted: Columns that are not looked at.
    """
    few = max(int(np.searchsorted(panel.offsets, MOST_ROWS, side="right")) - 1, 1)
    looked = _PanelRows(panel.block(0, few).last(MOST_ROWS))
    forecasts = panel.vintages.columns if panel.vintages else ()
    for role, known_ahead in (("known_future", True), ("past_only", False)):
        for name in panel.roles.get(role, ()):
            if name not in (*trusted, *forecasts) and (
                reason := looked.varying_reason(name, known_ahead)
            ):
                yield name, reason
    late = _LateMeans(panel)
    for name in dict.fromkeys(
        (*panel.roles.static, *panel.roles.known_future, *panel.roles.past_only)
    ):
        if name not in trusted and (reason := late.static_reason(name)):
            yield name, reason


class _PanelRows:
    """The rows that are looked at, and what the target does in them.

    Args:
        panel: The rows.
    """

    def __init__(self, panel: Panel) -> None:
        self.panel, self.places = panel, panel.positions
        self.stacks: dict[tuple[int, bool], _Shifts] = {}
        self.after = np.repeat(panel.lengths, panel.lengths) - self.places
        target = panel.target
        rises = self.changes(target)
        self.signs = {
            "is 0": np.where(np.isnan(target), np.nan, target == 0),
            "rises": np.where(np.isnan(rises), np.nan, rises > 0),
        }
        self.target = target
        self.moves = self.changes(self.ranks(panel.table[TARGET]))

    def ranks(self, values: Series) -> ndarray:
        """Return the rank of each value within its series, as a share; NaN where there is none."""
        rows = DataFrame(
            {"s": self.panel.table[SERIES], "v": values.cast(pl.Float64).fill_nan(None)}
        )
        rank = col("v").rank("average") / col("v").count()
        return _floats(rows.select(rank.over("s"))["v"])

    def changes(self, values: ndarray, by: int = 1) -> ndarray:
        """Return the change from the row `by` before it in the series, NaN for the first ones."""
        return values - self.shift_rows(values, -by)

    def shift_rows(self, values: ndarray, by: int) -> ndarray:
        """Return for each row the value so many rows after it in its series, NaN where there is
        none.
        """
        return np.where((self.places + by >= 0) & (by < self.after), np.roll(values, -by), np.nan)

    def shifts(self, known_ahead: bool) -> list[int]:
        """Return how far ahead of a column's row the target lies that it may not tell."""
        farthest = min(2 * max(self.panel.season, self.panel.horizon), FARTHEST)
        back = min(self.panel.horizon, FARTHEST) if known_ahead else 0
        return [*range(0 if known_ahead else 1, farthest + 1), *range(-1, -back, -1)]

    def most_alike(self, own: ndarray, target: ndarray, known_ahead: bool) -> tuple[int, float]:
        """Return the shift at which a column and the target are most alike, and their correlation
        there.
        """
        shifts = self.shifts(known_ahead)
        key = (id(target), known_ahead)
        if key not in self.stacks:
            self.stacks[key] = _Shifts(
                np.stack([self.shift_rows(target, shift) for shift in shifts])
            )
        found = self.stacks[key].correlations(own)
        place = int(np.argmax(np.abs(found)))
        return shifts[place], float(found[place])

    def varying_reason(self, name: str, known_ahead: bool) -> str:
        """Return how a column gives the target away, empty where it does not."""
        column = self.panel.table[name]
        if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
            return ""
        values = column.cast(pl.Float64).fill_nan(None)
        reason = self.missing_reason(values, known_ahead)
        if reason or self.is_calendar(_floats(values)):
            return reason
        return (
            self.copy_reason(values, known_ahead)
            or self.limit_reason(_floats(values), known_ahead)
            or self.explained_reason(_floats(values), known_ahead)
        )

    def is_calendar(self, values: ndarray) -> bool:
        """Return whether a column repeats itself season by season: it knows nothing but the
        calendar.
        """
        turns = self.changes(values, self.panel.season)
        known = ~np.isnan(turns)
        return (
            self.panel.season > 1
            and known.sum() >= LEAST_PAIRS
            and bool((turns[known] == 0).mean() > MISSING_CORRELATION)
        )

    def copy_reason(self, values: Series, known_ahead: bool) -> str:
        """Return where in the target a column is found again, it or its sum from row to row."""
        summed = Series(self.changes(_floats(values)), nan_to_null=True)
        for what, each in (("it", values), ("its change from row to row", summed)):
            shift, likeness = self.most_alike(
                self.changes(self.ranks(each)), self.moves, known_ahead
            )
            if abs(likeness) > COPY_CORRELATION:
                return (
                    f"{what} goes with the target {_rows(shift)} (correlation of changes "
                    f"{likeness:.3f})"
                )
        return ""

    def missing_reason(self, values: Series, known_ahead: bool) -> str:
        """Return where in the target the places of missing values are found again."""
        gaps = values.is_null().to_numpy().astype(float)
        if known_ahead and (reason := self.end_reason(gaps)):
            return reason
        if not LEAST_PAIRS // 5 <= gaps.sum() <= len(gaps) - LEAST_PAIRS // 5 or self.is_calendar(
            gaps
        ):
            return ""
        for what, sign in self.signs.items():
            shift, likeness = self.most_alike(gaps, sign, known_ahead)
            if abs(likeness) > MISSING_CORRELATION:
                return (
                    f"it is {'missing' if likeness > 0 else 'there'} where the target "
                    f"{_rows(shift)} {what}"
                )
        return ""

    def end_reason(self, gaps: ndarray) -> str:
        """Return how missing values tell which series end: they begin at some row and last, and
        from then on nothing is sold, which is rare in the last rows of other series.
        """
        offsets = self.panel.offsets
        given = np.flatnonzero(gaps == 0)
        last = np.searchsorted(given, offsets[1:]) - 1
        starts = np.where(last >= 0, given[last] + 1, 0) if len(given) else offsets[1:]
        starts = np.clip(starts, offsets[:-1], offsets[1:])
        late, whole = offsets[1:] - starts, np.diff(offsets)
        ended = (late > 0) & (late < whole)
        if ended.sum() < FEWEST_ENDED or (late == 0).sum() < FEWEST_ENDED:
            return ""
        silent = np.nan_to_num(self.target) == 0
        rows = np.arange(len(silent)) >= np.repeat(starts, whole)
        usual = np.isin(self.panel.series_of_row, np.flatnonzero(late == 0))
        usual &= self.after <= int(np.median(late[ended]))
        of_ended = np.repeat(ended, whole)
        if not silent[rows & of_ended].all() or silent[usual].mean() > RARELY_SILENT:
            return ""
        return f"it is missing from the row on from which a series has ended ({ended.sum()} have)"

    def limit_reason(self, values: ndarray, known_ahead: bool) -> str:
        """Return how a column of two values tells on which side of a limit the target lies.

        In each series the two sides lie apart, and no further than neighbours do: what moves the
        target, as an action does, leaves a gap or an overlap.
        """
        kinds = np.unique(values[~np.isnan(values)])
        if len(kinds) != 2:
            return ""
        rows = DataFrame({"s": self.panel.table[SERIES], "high": values == kinds[1]})
        for shift in range(0 if known_ahead else 1, min(self.panel.horizon, NEAR_ROWS) + 1):
            target = Series("y", self.shift_rows(self.target, shift), nan_to_null=True)
            sides = rows.with_columns(target).filter(col("y").is_not_null())
            share = _apart(sides)
            if share == 1.0:
                return f"it tells on which side of a limit the target {_rows(shift)} lies"
        return ""

    def explained_reason(self, values: ndarray, known_ahead: bool) -> str:
        """Return how little a column's neighbouring rows leave open of the target, beyond the
        target's own past.
        """
        target, sizes = (
            self.target / self.size(self.target),
            (self.size(self.target), self.size(values)),
        )
        past = [self.shift_rows(target, -back) for back in range(1, NEAR_ROWS + 1)]
        first, last = (-(NEAR_ROWS // 2), NEAR_ROWS // 2) if known_ahead else (-NEAR_ROWS, -1)
        shares = [1.0]
        for size in sizes:
            beside = [self.shift_rows(values / size, step) for step in range(first, last + 1)]
            table = np.column_stack([target, *past, *beside])
            table = table[np.isfinite(table).all(axis=1)]
            if len(table) >= LEAST_PAIRS + 2 * table.shape[1]:
                alone, both = (
                    _unexplained(table[:, 0], table[:, 1:stop])
                    for stop in (1 + len(past), table.shape[1])
                )
                if alone > ROUNDING:
                    shares.append(both / alone)
        if min(shares) > LEFT_OPEN:
            return ""
        return (
            f"with its neighbouring rows it leaves {min(shares):.1%} of what the target's own "
            f"past leaves open"
        )

    def size(self, values: ndarray) -> ndarray:
        """Return the mean size of the values of each row's series."""
        rows = DataFrame(
            {"s": self.panel.table[SERIES], "v": Series(np.abs(values), nan_to_null=True)}
        )
        mean = _floats(rows.select(col("v").mean().over("s"))["v"])
        return np.where(mean > 0, mean, 1.0)


def _apart(sides: DataFrame) -> float:
    """Return the share of series whose target lies on two sides of a limit by `high`, of those with
    enough rows on both; 0 where there are few of them.
    """
    y, high = col("y"), col("high")
    ends = sides.group_by("s").agg(
        up=y.filter(high).min() - y.filter(~high).max(),
        down=y.filter(~high).min() - y.filter(high).max(),
        width=y.quantile(0.9) - y.quantile(0.1),
        fewest=pl.min_horizontal(high.sum(), (~high).sum()),
        kinds=pl.min_horizontal(y.filter(high).n_unique(), y.filter(~high).n_unique()),
    )
    enough = ends.filter((col("fewest") >= FEWEST_SIDES) & (col("kinds") > 1))
    if len(enough) < FEWEST_ENDED // 2 or enough["fewest"].sum() < LEAST_PAIRS:
        return 0.0
    gap = pl.max_horizontal("up", "down") / pl.col("width")
    return float(enough.select(((gap > 0) & (gap < WIDEST_GAP)).mean()).item())


class _Shifts:
    """One column at several shifts, ready to be correlated with others.

    Args:
        values: Shape (shifts, rows), NaN where there is none.
    """

    def __init__(self, values: ndarray) -> None:
        known = ~np.isnan(values)
        self.there, self.values = known.astype(float), np.where(known, values, 0.0)
        self.squares = self.values**2
        self.differ = np.count_nonzero(self.values, axis=1)

    def correlations(self, own: ndarray) -> ndarray:
        """Return the correlation with a column where both are known, 0 where too few values differ.

        Shape (shifts,).
        """
        known = ~np.isnan(own)
        x, here = np.where(known, own, 0.0), known.astype(float)
        pairs = np.maximum(self.there @ here, 1.0)
        mean, others = (self.there @ x) / pairs, (self.values @ here) / pairs
        spread = (self.there @ x**2) / pairs - mean**2
        widths = (self.squares @ here) / pairs - others**2
        differ = np.minimum(np.count_nonzero(x), self.differ) >= LEAST_PAIRS // 2
        enough = (pairs >= LEAST_PAIRS) & differ & (spread > TINY) & (widths > TINY)
        width = np.sqrt(np.where(enough, spread * widths, 1.0))
        return np.where(enough, ((self.values @ x) / pairs - mean * others) / width, 0.0)


class _LateMeans:
    """The means of the last rows of each series, and of those before them.

    Args:
        panel: All series.
    """

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.means = {last: self.split(last) for last in dict.fromkeys((panel.horizon, 1))}

    def split(self, last: int, after: int = 0) -> tuple[ndarray, list[ndarray]]:
        """Return the mean of the last rows before the `after` last ones, and what was known before
        them; shape (n_series,) each.

        That is the mean of all earlier rows, of as many as the horizon has, and of one.
        """
        back = np.repeat(self.panel.lengths, self.panel.lengths) - self.panel.positions
        rows = DataFrame(
            {
                "s": self.panel.table[SERIES],
                "v": self.panel.table[TARGET].fill_nan(None),
                "back": back,
            }
        )
        parts = {
            "late": (after, after + last),
            "all": (after + last, len(rows)),
            "recent": (after + last, after + last + self.panel.horizon),
            "one": (after + last, after + last + 1),
        }
        means = [
            col("v").filter((col("back") > first) & (col("back") <= stop)).mean().alias(name)
            for name, (first, stop) in parts.items()
        ]
        late, *before = (
            _floats(found) for found in rows.group_by("s", maintain_order=True).agg(means).drop("s")
        )
        return late, before

    def static_reason(self, name: str) -> str:
        """Return how a column that is constant in each series tells the last rows, empty where it
        does not.
        """
        first = self.constant(name)
        if first is None:
            return ""
        for last, (late, before) in self.means.items():
            likeness = _likeness(first, late, *before)
            if abs(likeness) > STATIC_CORRELATION:
                rows = f"{last} rows" if last > 1 else "row"
                return (
                    f"it tells the last {rows} beyond the mean of those before (partial "
                    f"correlation {likeness:.3f})"
                )
        return ""

    def constant(self, name: str) -> ndarray | None:
        """Return a column's number of each series, None where it changes or series are few."""
        column = self.panel.table[name]
        first = column.gather(self.panel.offsets[:-1])
        if self.panel.n_series < LEAST_SERIES or not first.dtype.is_numeric():
            return None
        alike = column.equals(first.gather(self.panel.series_of_row), null_equal=True)
        return _floats(first) if alike else None

    def likely_reason(self, name: str) -> str:
        """Return how a constant column says more of the last rows than of earlier ones, empty where
        it does not.
        """
        first, last = self.constant(name), self.panel.horizon
        if first is None or len(np.unique(first)) < LEAST_SERIES:
            return ""
        late, before = self.means[last]
        found = abs(_likeness(first, late, *before))
        if found < LIKELY_LATE:
            return ""
        windows = (self.split(last, last * back) for back in range(1, PLACEBOS + 1))
        usual = max(abs(_likeness(first, late, *before)) for late, before in windows)
        error = np.sqrt(2 / max(int((~np.isnan(first)).sum()) - 6, 1))
        if np.arctanh(found) - np.arctanh(usual) < PLACEBO_Z * error:
            return ""
        return (
            f"it tells the last {last} rows beyond the mean of those before (partial correlation "
            f"{found:.2f}), and of no earlier {last} rows more than {usual:.2f}"
        )


def _likeness(own: ndarray, late: ndarray, *before: ndarray) -> float:
    """Return the largest partial correlation, of numbers or of their logs."""
    both = list(_scales(late, *before))
    return max((_partial(x, *each) for (x,) in _scales(own) for each in both), key=abs)


def _scales(*values: ndarray) -> Iterator[tuple[ndarray, ...]]:
    """Yield numbers as they are, and their logs where all are above 0."""
    yield values
    if all((each[~np.isnan(each)] > 0).all() for each in values):
        yield tuple(np.log(each) for each in values)


def _floats(values: Series) -> ndarray:
    return values.cast(pl.Float64).to_numpy().astype(float)


def _rows(shift: int) -> str:
    if not shift:
        return "of its own row"
    return (
        f"{abs(shift)} row{'s' * (abs(shift) > 1)} "
        f"{'later' if shift > 0 else 'before, within the horizon,'}"
    )


def _unexplained(target: ndarray, inputs: ndarray) -> float:
    """Return the share of the variance that a linear regression leaves."""
    wide = np.column_stack([np.ones(len(target)), inputs])
    fitted = wide @ np.linalg.lstsq(wide, target, rcond=None)[0]
    whole = float(target.var())
    return float((target - fitted).var()) / whole if whole > 0 else 0.0


def _partial(own: ndarray, late: ndarray, *before: ndarray) -> float:
    """Return the correlation of what is left of two when others are taken out of both, 0 where
    little is left.

    It is that of numbers or of ranks, whichever is the smaller: one large series makes no likeness.
    """
    columns = np.stack([own, late, *before])
    own, late, *rest = columns[:, ~np.isnan(columns).any(axis=0)]
    if len(own) < LEAST_SERIES:
        return 0.0
    base = np.column_stack([np.ones(len(own)), *rest])
    left = [each - base @ np.linalg.lstsq(base, each, rcond=None)[0] for each in (own, late)]
    if any(
        after.var() <= 1e-9 * whole.var() for after, whole in zip(left, (own, late), strict=True)
    ):
        return 0.0
    ranks = [np.argsort(np.argsort(each)).astype(float) for each in left]
    return float(min((np.corrcoef(*pair)[0, 1] for pair in (left, ranks)), key=abs))


# Columns that give the label away: what was filled in once the label was known, and is not
# known before.

MOST_ALONE = 0.95
"""The share of the way from chance to a perfect order that one column alone may go."""

MOST_IN_ORDER = 0.95
"""The share of pairs of unlike labels at one instant that may stand in the order of their labels.
"""

SUSPECT_ALONE = 0.6
"""The same share from which on a column is remarked: it may be filled in once the label is known,
or be a copy of it.
"""

NAMING_SHARE = 0.95
"""The share of different values from which on a text, or a whole number, names rows."""

FEWEST_NAMED = 50
"""Rows below which all values may well be different."""

MOST_THIN = 20_000
"""Rows of a table, evenly spread, in which values are held against those beside them."""

FEWEST_IN_BIN, MOST_BINS, TIMES = 50, 32, 16
"""Rows of a bin of values, bins of a column, and bins of time."""

FEWEST_GROWN = 30
"""Rows of label 1 below which a count is not held against all other inputs."""

LEAST_GROWN, MOST_OF_OTHERS = 0.1, 2.0
"""The share of the way from chance to a perfect order that a count alone must go to be remarked,
and how many times as far as all other inputs together.
"""

VARIED_SHARE = 0.5
"""The share of different values from which on a column makes equal rows no chance."""

FEWEST_COPIES, LEAST_COPIED = 20, 0.005
"""Copies of rows, and their share, from which on they are remarked."""

LEAST_LABELS = 8
"""Rows of each label below which a column may part them by chance."""


def refuse_leaking_inputs(
    data: DataFrame, label: str, columns: Iterable[str], time: str | None = None
) -> None:
    """Refuse an input that alone gives the label away; see `leaking_inputs`.

    Raises:
        DataError: With the column and what gives the label away.
    """
    for name, leak in leaking_inputs(data, label, columns, time=time):
        raise DataError(
            f"dataset.roles.ignore: column '{name}' alone gives the label away: {leak}; name it "
            f"there, or in dataset.trust"
            " if it is known before the label."
        )


def refuse_order_of_labels(data: DataFrame, label: str, time: str) -> None:
    """Refuse rows of one instant that stand in the order of their labels; see `order_of_labels`.

    Raises:
        DataError: With the column and how far the order goes.
    """
    reason = order_of_labels(data, label, time)
    if reason:
        raise DataError(
            f"dataset.roles.time: {reason}: whoever counts earlier rows knows the label; order "
            f"them by something else, or name"
            f" '{time}' in dataset.trust if they happened in this order."
        )


def order_of_labels(data: DataFrame, label: str, time: str) -> str:
    """Return how far rows of one instant stand in the order of their labels, empty where they do
    not.
    """
    known = data.select(time=time, label=col(label).cast(pl.Float64, strict=False)).filter(
        col("label").is_in([0.0, 1.0])
    )
    bad = col("label") == 1
    own = known.with_columns(place=pl.int_range(pl.len()).over("time"), bad=bad)
    groups = (
        own.group_by("time")
        .agg(
            bad=col("bad").sum(),
            good=(~col("bad")).sum(),
            places=col("place").filter(col("bad")).sum(),
        )
        .filter((col("bad") > 0) & (col("good") > 0))
        .cast({"bad": pl.Float64, "good": pl.Float64, "places": pl.Float64})
    )
    if min(groups["bad"].sum(), groups["good"].sum()) < LEAST_LABELS:
        return ""
    behind = groups["places"] - groups["bad"] * (groups["bad"] - 1) / 2
    share = float(behind.sum()) / float((groups["bad"] * groups["good"]).sum())
    if MOST_IN_ORDER > share > 1 - MOST_IN_ORDER:
        return ""
    first = "first" if share < 0.5 else "last"
    return (
        f"rows of one '{time}' stand in the order of '{label}', those of label 1 {first} "
        f"({max(share, 1 - share):.1%} of pairs)"
    )


def leaking_inputs(
    data: DataFrame,
    label: str,
    columns: Iterable[str],
    most: float = MOST_ALONE,
    time: str | None = None,
) -> Iterator[tuple[str, str]]:
    """Yield each input that alone, or with the time of its row, gives the label away, and how.

    Its average precision, of its values rising or falling or of the mean label that other rows of
    the same value, or of values beside it, have, lies over .95 (and where the label is common, as
    far above chance); or it is null exactly where the label is 0, or 1.

    Args:
        data: The table.
        label: The column of labels; what is no 0 or 1 is left to others to refuse.
        columns: The inputs to look at.
        most: The share of the way from chance to a perfect order that one may go.
        time: The column of times, against which inputs are held, too.
    """
    kind = data.schema[label]
    known = data.filter(col(label).is_not_null())
    if (
        not (kind.is_numeric() or kind == pl.Boolean)
        or not known[label].cast(pl.Float64).is_in([0.0, 1.0]).all()
    ):
        return
    truth = known[label].cast(pl.Float64).to_numpy()
    if min(truth.sum(), (1 - truth).sum()) < LEAST_LABELS:
        return
    half = _halves(len(truth))
    thin = slice(None, None, -(-len(truth) // MOST_THIN))
    times = known[time].gather_every(thin.step) if time else None
    for name in columns:
        leak = _leak(known[name], truth, half, label, most)
        if not leak and _is_number(known.schema[name]):
            beside = _beside(known[name].gather_every(thin.step), times, truth[thin], half[thin])
            leak = _told_by(beside, truth[thin], most)
        if leak:
            yield name, leak


def naming_inputs(data: DataFrame, columns: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Yield each input that names rows, and its share of different values: texts and whole numbers
    alone can.
    """
    for name in columns:
        known = data[name].drop_nulls()
        kind = known.dtype
        if len(known) >= FEWEST_NAMED and (
            kind.is_integer() or kind in (pl.String, pl.Categorical)
        ):
            share = known.n_unique() / len(known)
            if share >= NAMING_SHARE:
                yield name, share


def _halves(n: int) -> ndarray:
    """Return the half of each of n rows, drawn."""
    return stream(0, "giveaways").permutation(n) % 2


def _leak(values: Series, truth: ndarray, half: ndarray, label: str, most: float) -> str:
    """Return what of a column gives the label away, empty where nothing does."""
    missing = values.is_null().to_numpy()
    for side in (0, 1):
        if np.array_equal(missing, truth == side):
            return f"it is null exactly where '{label}' is {side}"
    scores = {"of the mean label of its values": _means(values, truth, half)}
    if _is_number(values.dtype):
        numbers = _numbers(values)
        scores |= {
            "of its values": _fill_missing(numbers),
            "of its falling values": _fill_missing(-numbers),
        }
    return _told_by(scores, truth, most)


def _told_by(scores: dict[str, ndarray], truth: ndarray, most: float) -> str:
    """Return which of some orders gives the label away, empty where none does."""
    for what, score in scores.items():
        precision = _average_precision(truth, score)
        if precision - truth.mean() > most * (1 - truth.mean()):
            return f"average precision {precision:.3f} {what}"
    return ""


def _is_number(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind.is_temporal() or kind == pl.Boolean


def _numbers(values: Series) -> Series:
    return values.to_physical().cast(pl.Float64).fill_nan(None)


def _beside(
    values: Series, times: Series | None, truth: ndarray, half: ndarray
) -> dict[str, ndarray]:
    """Return the orders of a column by the mean label of values beside it, at all times, at its
    own, and by how long after its row's time it lies.
    """
    numbers = _numbers(values)
    orders = {"of the mean label of values beside it": _means(_bins(numbers), truth, half)}
    if times is None:
        return orders
    rows = DataFrame({"value": numbers, "time": times})
    near = (col("time").rank("ordinal") * TIMES / (pl.len() + 1)).floor()
    local = rows.select((col("value").rank() / col("value").count()).over(near))["value"]
    orders["of the mean label of values beside it at its time"] = _means(_bins(local), truth, half)
    if values.dtype.is_temporal() and times.dtype.is_temporal():
        later = (values.cast(pl.Datetime) - times.cast(pl.Datetime)).to_physical().cast(pl.Float64)
        orders["of how long after its row's time it lies"] = _means(_bins(later), truth, half)
    return orders


def _bins(numbers: Series) -> Series:
    """Return the bin of each number, of as many in each; null where there is none."""
    count = int(np.clip(len(numbers) // FEWEST_IN_BIN, 2, MOST_BINS))
    return (numbers.rank("average") * count / (numbers.count() + 1)).floor()


def grown_counts(
    data: DataFrame, label: str, columns: Sequence[str]
) -> Iterator[tuple[str, float, float]]:
    """Yield each count that alone orders the labels far better than all other inputs together, but
    for counts that do too.

    With its average precision and theirs, each out of fold. Whatever is counted while a case is
    looked into does.

    Args:
        data: The table, with labels of 0 and 1.
        label: The column of labels.
        columns: The inputs to look at.
    """
    known = data.filter(col(label).is_not_null())
    truth = known[label].cast(pl.Float64, strict=False).to_numpy()
    if not np.isin(truth, (0.0, 1.0)).all() or truth.sum() < FEWEST_GROWN:
        return
    half, chance = _halves(len(truth)), float(truth.mean())
    odds = {name: _log_odds(known[name], truth, half) for name in columns}
    alone = {
        name: _average_precision(truth, own)
        for name, own in odds.items()
        if known.schema[name].is_integer()
    }
    far = {name for name, own in alone.items() if own - chance > LEAST_GROWN * (1 - chance)}
    others = [own for name, own in odds.items() if name not in far]
    if not far or len(others) < len(far):
        return
    rest = _average_precision(truth, np.sum(others, axis=0))
    for name in sorted(far):
        if alone[name] - chance > MOST_OF_OTHERS * (rest - chance):
            yield name, alone[name], rest


def _log_odds(values: Series, truth: ndarray, half: ndarray) -> ndarray:
    """Return the log-odds of the label by bins of a column, from the other half of the rows."""
    kinds = _bins(_numbers(values)) if _is_number(values.dtype) else values
    share = np.clip(_means(kinds, truth, half, float(FEWEST_IN_BIN)), TINY, 1 - TINY)
    return np.log(share / (1 - share))


def repeated_rows(data: DataFrame, label: str, columns: Sequence[str], time: str) -> str:
    """Return how many rows are exact copies of a row at another time, empty where few are.

    Rows of few different values are alike by chance: one column must have as good as a value a row.

    Args:
        data: The table.
        label: The column of labels.
        columns: The inputs.
        time: The column of times.
    """
    flat = [name for name in columns if not data.schema[name].is_nested() and name != time]
    many = max((data[name].n_unique() / max(len(data), 1) for name in flat), default=0.0)
    if many < VARIED_SHARE:
        return ""
    same = data.group_by(flat).agg(
        n=pl.len(), times=col(time).n_unique(), labels=col(label).drop_nulls().n_unique()
    )
    copied = same.filter((col("n") > 1) & (col("times") > 1))
    rows, alike = int(copied["n"].sum()), int(copied.filter(col("labels") <= 1)["n"].sum())
    if rows < max(FEWEST_COPIES, LEAST_COPIED * len(data)):
        return ""
    return (
        f"{rows:,} rows ({rows / len(data):.1%}) are exact copies of a row at another '{time}', "
        f"{alike / rows:.0%} of them with its label"
    )


def _fill_missing(numbers: Series) -> ndarray:
    """Return the numbers with missing ones below all others."""
    return numbers.fill_null(-np.inf).to_numpy()


def _means(values: Series, truth: ndarray, half: ndarray, shrunk: float = 0.0) -> ndarray:
    """Return the mean label of rows of the same value in the other half, that of all rows where
    there are none; with `shrunk` so many rows of the mean label are added to each.
    """
    if values.dtype.is_nested():
        return np.zeros(len(truth))
    rows = DataFrame({"value": values, "half": half, "label": truth})
    mean = (col("label").sum() + shrunk * float(truth.mean())) / (pl.len() + shrunk)
    means = rows.group_by("value", (1 - col("half")).alias("half")).agg(mean=mean)
    joined = rows.join(
        means, on=["value", "half"], how="left", maintain_order="left", nulls_equal=True
    )
    return joined["mean"].fill_null(float(truth.mean())).to_numpy()


def _average_precision(truth: ndarray, score: ndarray) -> float:
    from hwds.stats.binary_labels import average_precision  # a panel does without

    return average_precision(truth, score)


# Columns that give away what is predicted, of any frame, for `hwds check-leakage`; readers of
# files refuse them before.


def giveaways(frame: Any, trusted: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield a sentence for each column, and for an order of rows, that gives away what is
    predicted.

    Args:
        frame: A panel, a table with a label, or runs; others have none.
        trusted: Columns that are not looked at.
    """
    if isinstance(frame, Panel):
        for column, reason in leaking_columns(frame, trusted):
            yield f"column '{column}' gives the target away: {reason}"
    elif isinstance(frame, Table):
        yield from _giveaways_of_table(frame, trusted)
    else:
        from hwds.frames.runs import Runs, telling_columns  # other families do without

        for column, reason in telling_columns(frame, trusted) if isinstance(frame, Runs) else ():
            yield f"column '{column}' gives the remaining life away: {reason}"


def _giveaways_of_table(frame: Table, trusted: tuple[str, ...]) -> Iterator[str]:
    if frame.roles.get("label"):
        label, time = frame.name("label"), frame.name("time")
        inputs = [name for name in frame.inputs if name not in trusted]
        for column, reason in leaking_inputs(frame.data, label, inputs, time=time):
            yield f"column '{column}' alone gives the label away: {reason}"
        reason = order_of_labels(frame.data, label, time) if time and time not in trusted else ""
        if reason:
            yield reason
