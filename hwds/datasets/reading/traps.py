"""Checks of data: what a file or a frame cannot bear, with the setting that mends it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import log, sqrt
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy import ndarray
from polars import DataFrame, Series, col

from hwds.core.errors import ConfigError, nearest
from hwds.datasets.reading.columns import (
    OwnRows,
)
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME
from hwds.frames.runs import Runs
from hwds.frames.table import ROW_ID, Table

Severity = Literal["error", "warning", "note"]

CHECKS: dict[str, str] = {
    "refused": "The reader refuses the file.",
    "separator": "A sign in numbers may stand before decimals or between thousands.",
    "dates": "Dates have another form than the reader expects.",
    "currencies": "A column names several currencies.",
    "duplicates": "Rows come twice.",
    "totals": "Rows are sums of other rows.",
    "level-break": "The level of several series changes by one factor at one time.",
    "price-follows": "Prices answer demand or stock.",
    "plan-range": "Planned values are far from all values of the history.",
    "whale": "One unit is most of the total.",
    "stuck-sensor": "A sensor repeats one value while others change.",
    "clock": "A clock jumps.",
    "arm-by-time": "The arm depends on the time.",
    "imbalance": "Covariates differ between arms.",
    "uninvestigated": "Some rows were never labelled.",
    "late-rewards": "The last outcomes are not complete.",
    "propensities": "Propensities do not go with the arms.",
    "likely-leak": "A column likely reveals the answer.",
    "remark": "The reader took something for granted.",
}
"""The checks by name, as `dataset.accept` takes them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the data cannot bear.

    Attributes:
        check: The name of the check.
        severity: The severity: `error`, `warning` or `note`.
        column: The column; empty if it is about rows.
        what: The finding in a sentence.
        mend: What to do, with the setting.
    """

    check: str
    severity: Severity
    column: str
    what: str
    mend: str

    def line(self) -> str:
        """Return the finding in a line."""
        return f"{self.severity} {self.check}: {self.what} {self.mend}"


SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

SHOWN_FIRST = 3
"""The most lines at the start of a run."""


def findings_of(frame: Any, accepted: Sequence[str] = ()) -> list[Finding]:
    """Return the findings of a frame, errors first.

    Args:
        frame: A panel, a table or runs; nothing is found in others.
        accepted: The checks to leave out.

    Raises:
        ConfigError: There is no check of an accepted name.
    """
    wrong = next((name for name in accepted if name not in CHECKS), None)
    if wrong is not None:
        raise ConfigError(f"dataset.accept: no check '{wrong}'{nearest(wrong, CHECKS)}")
    if isinstance(frame, Panel):
        checks: tuple[Callable[[Any], Iterator[Finding]], ...] = PANEL_CHECKS
    elif isinstance(frame, Table):
        checks = TABLE_CHECKS
    else:
        checks = RUNS_CHECKS if isinstance(frame, Runs) else ()
    return in_order(chain.from_iterable(check(frame) for check in checks), accepted)


def in_order(findings: Any, accepted: Sequence[str] = ()) -> list[Finding]:
    """Return findings without those of accepted checks, errors first."""
    kept = [each for each in findings if each.check not in accepted]
    return sorted(kept, key=lambda each: SEVERITIES.index(each.severity))


def first_lines(dataset: Any, frame: Any) -> list[str]:
    """Return what to know before a run on a user's own rows, in a few lines."""
    if not isinstance(dataset, OwnRows):
        return []
    found = findings_of(frame, dataset.accept)
    lines = [each.line() for each in found if each.severity != "note"]
    more = len(lines) - SHOWN_FIRST + 1
    if more > 1:
        lines = [*lines[: SHOWN_FIRST - 1], f"{more} more: hwds check shows all."]
    return lines


# Panels.

LEAST_FACTOR = log(1.7)
"""The logarithm of the smallest factor that is called a break."""

LEAST_BROKEN, SHARE_BROKEN = 3, 0.1
"""The fewest series, and their share, that break together."""

MOST_SERIES = 500
"""Series, evenly spread, that are looked at."""

PRICES = ("price", "list_price", "competitor_price")
"""Roles whose values stay near those of their own series."""

WINDOW = 8
"""Rows before and after a break that are compared."""

RARE = 3.5
"""Usual changes of a series' level, or standard errors, from which on one is rare."""

SURE = 5.0
"""Standard errors from which on a deviation is no chance."""

TOTALS = re.compile(
    r"(?i)^\W*(grand[ _-]?)?(totals?|sum|summe|gesamt(summe)?|insgesamt|somme|overall)\W*$"
)
"""The names of rows that are sums."""

LARGEST_SHARE, FEWEST_UNITS = 0.3, 30
"""The share of a total from which on one unit is named, and the fewest units."""


def _sampled(panel: Panel) -> Panel:
    if panel.n_series <= MOST_SERIES:
        return panel
    places = np.linspace(0, panel.n_series - 1, MOST_SERIES).round().astype(int)
    kept = col(SERIES).is_in(panel.series_ids.gather(places).implode())
    return replace(panel, table=panel.table.filter(kept))


def _matrix(panel: Panel, name: str) -> ndarray:
    """Return a column as numbers by series and time, NaN where a series has no row."""
    times = panel.table[TIME].rank("dense").to_numpy().astype(int) - 1
    values = panel.table[name].cast(pl.Float64).to_numpy()
    matrix = np.full((panel.n_series, int(times.max()) + 1), np.nan)
    matrix[panel.series_of_row, times] = values
    return matrix


def _logs(matrix: ndarray) -> ndarray:
    return np.log(np.where(matrix > 0, matrix, np.nan))


def _level_break(panel: Panel) -> Iterator[Finding]:
    panel = _sampled(panel)
    prices = [*panel.roles.get("price", ()), *panel.roles.get("list_price", ())]
    for name in (*prices, TARGET):
        found = common_step(_logs(_matrix(panel, name)))
        if found is not None:
            place, step, series = found
            times = panel.table[TIME].unique().sort()
            names = panel.series_ids.gather(series).to_list()
            subject = "The target" if name == TARGET else f"Column '{name}'"
            yield Finding(
                "level-break",
                "warning",
                name,
                f"{subject} changes by the factor {np.exp(step):.3g} at {times[place]} in "
                f"{len(names)} of {panel.n_series} series ('{names[0]}' first): another currency, "
                "pack or unit?",
                "Convert one part, or leave these series out: dataset.omit=[...].",
            )


def common_step(logs: ndarray) -> tuple[int, float, ndarray] | None:
    """Return the time, the size and the series of a step that several series make together.

    Args:
        logs: The logarithms, shape (series, times), NaN where there is none.
    """
    n, steps = logs.shape
    if steps < 2 * WINDOW or n < LEAST_BROKEN:
        return None
    jump = _contrast(logs, WINDOW)
    lasting = _contrast(logs, steps)
    size = np.abs(jump)
    some = np.isfinite(jump).sum(axis=1) >= WINDOW
    usual = np.full((n, 1), np.inf)
    usual[some, 0] = np.maximum(1.4826 * np.nanmedian(size[some], axis=1), 0.01)
    hit = (size > LEAST_FACTOR) & (size > RARE * usual) & (lasting * jump > 0.6 * jump**2)
    valid = np.isfinite(jump).sum(axis=0)
    for place in np.argsort(-(hit * np.where(hit, size, 0)).sum(axis=0))[:6]:
        for side in (1, -1):
            own = np.flatnonzero(hit[:, place] & (side * jump[:, place] > 0))
            group = _alike(jump[:, place], usual[:, 0], own)
            enough = max(LEAST_BROKEN, SHARE_BROKEN * valid[place])
            if len(group) < enough or len(group) < 0.6 * len(own):
                continue
            step = float(np.median(jump[group, place]))
            near = np.nanmedian(logs[group, place : place + 2] - logs[group, place - 2 : place])
            if near > 0.7 * step if step > 0 else near < 0.7 * step:
                return int(place), step, group
    return None


def _contrast(logs: ndarray, width: int) -> ndarray:
    """Return the mean of `width` rows from each time on, less that of as many before it."""
    known = np.isfinite(logs)
    sums = np.pad(np.where(known, logs, 0).cumsum(axis=1), ((0, 0), (1, 0)))
    counts = np.pad(known.cumsum(axis=1), ((0, 0), (1, 0)))
    steps = logs.shape[1]
    here = np.arange(steps)
    low, high = np.maximum(here - width, 0), np.minimum(here + width, steps)
    least = 0.75 * min(width, WINDOW)
    with np.errstate(invalid="ignore", divide="ignore"):
        after_n, before_n = counts[:, high] - counts[:, here], counts[:, here] - counts[:, low]
        after = (sums[:, high] - sums[:, here]) / after_n
        before = (sums[:, here] - sums[:, low]) / before_n
    return np.where((after_n >= least) & (before_n >= least), after - before, np.nan)


def _alike(jump: ndarray, usual: ndarray, own: ndarray) -> ndarray:
    """Return those series whose step is the median one, within their usual changes."""
    if not len(own):
        return own
    apart = np.abs(jump[own] - np.median(jump[own]))
    return own[apart <= 0.08 + 1.5 * usual[own]]


def _totals(panel: Panel) -> Iterator[Finding]:
    names = [name for name in panel.series_ids if any(map(TOTALS.match, name.split("|")))]
    if not names and 3 <= panel.n_series <= 10 * MOST_SERIES:
        matrix = _matrix(panel, TARGET)
        whole = np.nansum(matrix, axis=0)
        use = (np.isfinite(matrix).sum(axis=0) >= 3) & (np.abs(whole) > 0)
        if use.sum() >= 2 * LEAST_BROKEN:
            with np.errstate(invalid="ignore", divide="ignore"):
                ratio = whole[use] / matrix[:, use]
            for times in (2, 3):
                exact = (np.abs(ratio / times - 1) < 1e-4).mean(axis=1)
                names += panel.series_ids.gather(np.flatnonzero(exact > 0.95)).to_list()
    if names and len(names) < panel.n_series / 2:
        yield Finding(
            "totals",
            "warning",
            SERIES,
            f"Series '{names[0]}'{other_names(names)} is the sum of others.",
            f"Leave it out: dataset.omit=[{names[0].split('|')[0]}].",
        )


def other_names(names: Sequence[object]) -> str:
    """Return ` (and 3 more)` of four names; empty of one."""
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def _price_follows(panel: Panel) -> Iterator[Finding]:
    price = panel.roles.one("price")
    known = panel.roles.get("instrument") or panel.roles.get("cost")  # a cure is at hand
    if not price or known or panel.n_series < 8:
        return
    panel = _sampled(panel)
    prices, sales = _logs(_matrix(panel, price)), _logs(_matrix(panel, TARGET))
    if prices.shape[1] < 2 * WINDOW:
        return
    past = [sales[:, :-1]]
    what = ["demand"]
    for name in panel.roles.columns(("stock_out", "past_only")):
        if name == panel.roles.one("stock_out") or re.search(r"(?i)stock|inventory|bestand", name):
            past.append(np.log1p(np.maximum(_matrix(panel, name)[:, :-1], 0)))
            what.append(f"'{name}'")
    for driver, name in zip(past, what, strict=True):
        # changes, for price and demand both fall as a product grows old
        moves = np.diff(prices, axis=1)
        share, sure = _partial(moves[:, 1:], np.diff(driver, axis=1), moves[:, :-1])
        share = share if name == "demand" else abs(share)
        if sure > RARE and share > 0.15:
            yield _follows(
                price,
                f"Prices follow {name} of the row before (correlation of changes {share:.2f})",
            )
            return
    slope, error = _slope(np.diff(sales, axis=1), np.diff(prices, axis=1))
    if error > 0 and slope - 2 * error > -0.4:
        yield _follows(price, f"Demand hardly falls with the price ({slope:+.2f} of a log-log fit)")


def _follows(price: str, what: str) -> Finding:
    return Finding(
        "price-follows",
        "warning",
        price,
        f"{what}: prices may answer demand, and an elasticity is then too small.",
        "Name a column that moves prices alone: dataset.roles.instrument=..., model=elasticity/iv.",
    )


def _within(values: ndarray, use: ndarray) -> ndarray:
    """Return values less the means of their series and times, 0 where they are not used."""
    left = np.where(use, values, 0.0)
    for _ in range(4):
        for axis in (1, 0):
            count = np.maximum(use.sum(axis=axis, keepdims=True), 1)
            left = np.where(use, left - left.sum(axis=axis, keepdims=True) / count, 0.0)
    return left


def _partial(outcome: ndarray, driver: ndarray, control: ndarray) -> tuple[float, float]:
    """Return the partial correlation within series and times, and how sure it is, by series."""
    use = np.isfinite(outcome) & np.isfinite(driver) & np.isfinite(control)
    if use.sum() < 10 * WINDOW:
        return 0.0, 0.0
    y, x, z = (_within(each, use) for each in (outcome, driver, control))
    if min((x * x).sum(), (y * y).sum(), (z * z).sum()) < 1e-9:
        return 0.0, 0.0
    x, y = (each - z * (each * z).sum() / (z * z).sum() for each in (x, y))
    score = (x * y).sum(axis=1)
    size = sqrt((x * x).sum() * (y * y).sum())
    if size < 1e-9:
        return 0.0, 0.0
    return float(score.sum() / size), float(abs(score.sum()) / sqrt((score**2).sum()))


def _slope(outcome: ndarray, driver: ndarray) -> tuple[float, float]:
    """Return the slope within series and times, and its error by series; 0 if it has none."""
    use = np.isfinite(outcome) & np.isfinite(driver)
    y, x = _within(outcome, use), _within(driver, use)
    weight = (x * x).sum()
    if use.sum() < 10 * WINDOW or weight < 0.03**2 * use.sum():
        return 0.0, 0.0
    slope = float((x * y).sum() / weight)
    score = (x * (y - slope * x)).sum(axis=1)
    return slope, float(sqrt((score**2).sum()) / weight)


def plan_findings(panel: Panel, plan: DataFrame) -> Iterator[Finding]:
    """Yield the planned columns with values that the history is far from.

    Args:
        panel: The history.
        plan: `series_id` and the planned columns.
    """
    for name in panel.planned:
        if name not in plan.columns or not plan[name].dtype.is_numeric():
            continue
        value = col(name).cast(pl.Float64)
        seen = panel.table.group_by(SERIES).agg(low=value.min(), high=value.max())
        if name not in panel.roles.columns(PRICES):  # an age goes on beyond that of its own series
            seen = seen.with_columns(low=col("low").min(), high=col("high").max())
        rows = plan.join(seen, on=SERIES, how="left")
        room = 0.5 * pl.max_horizontal(col("high") - col("low"), 0.5 * col("high").abs())
        far = rows.filter((value < col("low") - room) | (value > col("high") + room))
        least = panel.table[name].cast(pl.Float64).min()
        below = rows.filter(value < 0) if least is not None and float(least) >= 0 else rows.clear()  # type: ignore[arg-type]
        for bad, severity, why in (
            (below, "error", "below 0"),
            (far.filter(value >= 0) if len(below) else far, "warning", "out of the history"),
        ):
            if len(bad):
                row = bad.row(0, named=True)
                yield Finding(
                    "plan-range",
                    severity,  # type: ignore[arg-type]
                    name,
                    f"The plan has {row[name]:g} in '{name}' for series '{row[SERIES]}', {why} "
                    f"({row['low']:g} to {row['high']:g}); {len(bad)} rows are.",
                    "Correct the plan: no model has seen such values.",
                )


def _plan_range(panel: Panel) -> Iterator[Finding]:
    if panel.plan is not None:
        yield from plan_findings(panel, panel.plan)


def _largest_series(panel: Panel) -> Iterator[Finding]:
    if panel.n_series < 10:
        return
    sums = panel.table.group_by(SERIES).agg(total=col(TARGET).abs().sum())
    yield from _whale(sums, SERIES, 0.5, "note", "the target")


def _whale(
    sums: DataFrame, unit: str, most: float, severity: Severity, what: str
) -> Iterator[Finding]:
    """Yield the unit with most of a total, if its share is over a limit."""
    total = float(sums["total"].sum())
    if total <= 0:
        return
    top = sums.sort("total", descending=True).row(0, named=True)
    share = top["total"] / total
    if share > most:
        yield Finding(
            "whale",
            severity,
            unit,
            f"'{top[unit]}' alone is {share:.0%} of {what}: means and totals follow it.",
            f"Look at it apart, or leave it out: dataset.omit=['{top[unit]}'].",
        )


PANEL_CHECKS: tuple[Callable[[Panel], Iterator[Finding]], ...] = (
    _level_break,
    _totals,
    _price_follows,
    _plan_range,
    _largest_series,
)


# Tables.

MOST_PERIODS, FEWEST_IN_PERIOD = 50, 20
"""The most periods of time that arms are counted in, and the fewest rows of one."""

LAST_PARTS = 20
"""Parts of the rows in the order of time, of which the last is held against the others."""

MOST_LOOKED = 30_000
"""Rows that are looked for copies."""


def _units(table: Table) -> DataFrame:
    """Return the first row of each unit of a test; all rows if no column names units."""
    units = table.roles.get("entity", ())
    return table.data.unique(units, keep="first", maintain_order=True) if units else table.data


def _arm_by_time(table: Table) -> Iterator[Finding]:
    arm, time = table.roles.one("arm"), table.roles.one("time")
    if not arm or not time or "propensity" in table.roles or time in table.roles.get("entity", ()):
        return
    rows = _units(table).select(arm=arm, time=_periods(table.data.schema[time], time)).drop_nulls()
    counts = rows.group_by("time", "arm").len()
    if counts["arm"].n_unique() < 2 or counts["arm"].n_unique() > MOST_PERIODS:
        return
    from hwds.ab.intervals import ONE_ARM_SHARE, share_between

    days = rows["time"].n_unique()
    if days >= 4 and share_between(_codes(rows["arm"]), _codes(rows["time"])) >= ONE_ARM_SHARE:
        yield Finding(
            "arm-by-time",
            "error",
            arm,
            f"The arm changes from one '{time}' to the next and is the same in all rows of one: "
            f"{days} such times are the units, not {len(rows):,} rows.",
            "Compare days or weeks: protocol.clusters=day.",
        )
        return
    place = (col("row") * MOST_PERIODS // pl.len()).alias("place")
    binned = rows.sort("time").with_row_index("row").with_columns(place)
    binned = binned.with_columns(time=col("place").min().over("time"))
    sure, strength = _dependence(binned["time"], binned["arm"])
    if len(rows) >= FEWEST_IN_PERIOD * 4 and sure > 6 and strength > 0.1:
        yield Finding(
            "arm-by-time",
            "warning",
            arm,
            f"The share of each arm changes with '{time}': a change of the outcome over time looks "
            "like an effect.",
            f"Compare within times: dataset.roles.stratum={time}.",
        )


def _periods(kind: pl.DataType, time: str) -> pl.Expr:
    return col(time).dt.date() if isinstance(kind, pl.Datetime) else col(time)


def _dependence(one: Series, other: Series) -> tuple[float, float]:
    """Return how sure two columns depend on each other (a z of chi-squared), and Cramer's V."""
    table = DataFrame({"a": one, "b": other}).drop_nulls()
    counts = table.group_by("a", "b").len().pivot("b", index="a", values="len").drop("a")
    seen = counts.fill_null(0).to_numpy().astype(float)
    if min(seen.shape) < 2:
        return 0.0, 0.0
    expected = seen.sum(axis=1, keepdims=True) * seen.sum(axis=0) / seen.sum()
    chi = float(((seen - expected) ** 2 / expected).sum())
    df = (seen.shape[0] - 1) * (seen.shape[1] - 1)
    spread = 2 / (9 * df)
    sure = ((chi / df) ** (1 / 3) - (1 - spread)) / sqrt(spread)  # Wilson and Hilferty 1931
    return sure, sqrt(chi / (seen.sum() * (min(seen.shape) - 1)))


def _imbalance(table: Table) -> Iterator[Finding]:
    arm = table.roles.one("arm")
    if not arm or "propensity" in table.roles or "label" in table.roles:
        return
    from hwds.ab.intervals import moved_columns

    names = table.roles.columns(("covariate", "context", "stratum"))
    rows = _units(table).drop_nulls(arm)
    names = tuple(name for name in names if not rows.schema[name].is_nested())
    codes = _codes(rows[arm])
    if not 1 < len(np.unique(codes)) <= MOST_PERIODS or len(rows) < 2 * FEWEST_UNITS:
        return
    moved = moved_columns(rows, names, codes)
    if moved:
        worst = min(moved, key=lambda name: moved[name].p_value)
        yield Finding(
            "imbalance",
            "warning",
            worst,
            f"'{worst}' differs between the arms (by {moved[worst].difference:+.2g} standard "
            f"deviations, p {moved[worst].p_value:.2g}): it was changed by the arm, or the arm was "
            "not drawn.",
            f"If it was measured after the arm was given, leave it out: "
            f"dataset.roles.ignore={worst}.",
        )


def _codes(column: Series) -> ndarray:
    return column.cast(pl.String).rank("dense").to_numpy().astype(np.int64) - 1


def _largest_unit(table: Table) -> Iterator[Finding]:
    for name in (*table.roles.get("outcome", ()), *table.roles.get("amount", ())):
        kind = table.data.schema[name]
        if not kind.is_numeric() or table.data[name].n_unique() <= 2 or "mean" in table.roles:
            continue
        units = table.roles.get("entity", ())
        unit = units[0] if units else ROW_ID
        sums = table.data.group_by(unit).agg(total=col(name).cast(pl.Float64).abs().sum())
        if len(sums) >= FEWEST_UNITS:
            yield from _whale(sums, unit, LARGEST_SHARE, "warning", f"all '{name}'")


def _uninvestigated(table: Table) -> Iterator[Finding]:
    label, time = table.roles.one("label"), table.roles.one("time")
    if not label or "label_propensity" in table.roles:
        return
    rows = table.data.sort(time, maintain_order=True) if time else table.data
    early = rows.head(int(0.7 * len(rows)))[label] if time else rows[label]
    empty = early.null_count()
    if min(empty, len(early) - empty) >= FEWEST_IN_PERIOD:
        share = empty / len(early)
        if share > 0.05:
            yield Finding(
                "uninvestigated",
                "warning",
                label,
                f"{share:.0%} of the rows were never labelled: scores and money count the others "
                "alone.",
                "Name the chance with which a row was looked into: "
                "dataset.roles.label_propensity=...",
            )


def _late_rewards(table: Table) -> Iterator[Finding]:
    time, outcomes = table.roles.one("time"), table.roles.get("outcome", ())
    if not time or "arm" not in table.roles or "mean" in table.roles:
        return
    for name in outcomes:
        if not (table.data.schema[name].is_numeric() or table.data.schema[name] == pl.Boolean):
            continue
        rows = table.data.select(t=time, y=col(name).cast(pl.Float64)).drop_nulls("t")
        rows = rows.sort("t", maintain_order=True).with_columns(
            part=pl.int_range(pl.len()) * LAST_PARTS // pl.len(), y=col("y").fill_null(0.0)
        )
        if len(rows) < LAST_PARTS * FEWEST_IN_PERIOD or rows["t"].n_unique() < LAST_PARTS:
            continue
        parts = rows.group_by("part", maintain_order=True).agg(
            y=col("y").mean(), error=col("y").std() / pl.len().sqrt()
        )
        mean, error = parts["y"].to_numpy(), parts["error"].to_numpy()
        half = slice(LAST_PARTS // 2)
        usual, last = mean[half], mean[-1]
        noise = max(4 * float(np.median(error[half])), 3 * float(usual.std(ddof=1)))
        falls = last < 0.5 * usual.mean() and last < usual.min() and mean[-2] < usual.mean()
        if usual.mean() > 0 and falls and usual.mean() - last > noise:
            yield Finding(
                "late-rewards",
                "warning",
                name,
                f"The mean of '{name}' falls to {last / usual.mean():.0%} at the end of the log: "
                "the last outcomes have not all come.",
                f"Leave the last rows out, or name when outcomes are known: "
                f"dataset.roles.available_at=... (time is '{time}').",
            )


def _propensities(table: Table) -> Iterator[Finding]:
    arm, name = table.roles.one("arm"), table.roles.one("propensity")
    if not arm or not name or table.data[arm].dtype.is_float():
        return
    known = table.data.select(arm=arm, p=col(name).cast(pl.Float64)).drop_nulls()
    if not known["arm"].n_unique() <= 10 * MOST_PERIODS or (known["p"] > 1).any():
        return
    inverse = 1 / col("p")
    sums = (
        known.filter(col("p") > 0)
        .group_by("arm")
        .agg(n=pl.len(), sum=inverse.sum(), var=(inverse * (inverse - 1)).sum())
    )
    enough = sums.filter(col("n") >= FEWEST_IN_PERIOD)
    excess = (enough["sum"] - len(known)) / (enough["var"] + enough["sum"]).sqrt()
    own = known.group_by("arm").agg(share=pl.len() / len(known), p=col("p").mean(), n=pl.len())
    worst = excess.abs().max() if len(enough) else None
    if worst is not None and float(worst) > SURE:  # type: ignore[arg-type]
        row = enough.row(int(excess.abs().arg_max() or 0), named=True)
        shown = own.filter(col("arm") == row["arm"]).row(0, named=True)
        yield Finding(
            "propensities",
            "warning",
            name,
            f"Arm '{row['arm']}' was chosen in {shown['share']:.1%} of the rows, at a propensity "
            f"of {shown['p']:.1%} on average: the propensities are those of another policy.",
            "Log the probability with which the arm of each row was chosen.",
        )


def _copies(table: Table) -> Iterator[Finding]:
    key = table.roles.one("id")
    if key and (again := int(table.data[key].drop_nulls().is_duplicated().sum())):
        yield _copied(key, f"{again:,} rows share their '{key}' with another one.", "error")
        return
    data = table.data.drop(ROW_ID).head(MOST_LOOKED)
    flat = [name for name in data.columns if not data.schema[name].is_nested()]
    again = len(data) - data.select(flat).hash_rows().n_unique() if flat else 0
    if again < max(5, 0.002 * len(data)):
        return
    many = max(data[name].n_unique() for name in flat)
    if many >= 0.95 * (len(data) - again):  # few different values are alike by chance
        yield _copied("", f"{again:,} rows are copies of earlier ones in every column.", "warning")


def repeated_rows(rows: DataFrame) -> int:
    """Return how many rows equal an earlier one."""
    return len(rows) - rows.n_unique()


def _copied(column: str, what: str, severity: Severity) -> Finding:
    return Finding("duplicates", severity, column, what, "Drop them: dataset.duplicates=drop.")


def _table_clock(table: Table) -> Iterator[Finding]:
    time = table.roles.one("time")
    if not time or table.height < 10 * FEWEST_IN_PERIOD:
        return
    values = table.data[time].to_physical().cast(pl.Float64).drop_nulls()
    low, high = (float(values.quantile(share) or 0) for share in (0.01, 0.99))
    room = 2 * (high - low)
    far = values.filter((values < low - room) | (values > high + room))
    if room > 0 and 0 < len(far) <= 0.01 * len(values):
        rows = table.data.filter(
            ~col(time).to_physical().cast(pl.Float64).is_between(low - room, high + room)
        )
        yield _jump(time, f"{len(far)} rows are far from all others, at {rows[time][0]} first.")


def _jump(column: str, what: str) -> Finding:
    return Finding(
        "clock", "warning", column, what, "Correct these rows, or leave them out of the file."
    )


TABLE_CHECKS: tuple[Callable[[Table], Iterator[Finding]], ...] = (
    _arm_by_time,
    _imbalance,
    _largest_unit,
    _uninvestigated,
    _late_rewards,
    _propensities,
    _copies,
    _table_clock,
)


# Runs of machines.

LEAST_STUCK = 20
"""The fewest rows with one value that are called stuck."""


def _stuck(runs: Any) -> Iterator[Finding]:
    names = list(runs.sensors)
    if not names:
        return
    machines, marks = runs.data["entity"], runs.roles.get("label", ())
    edges = (machines != machines.shift(1)).fill_null(True).to_numpy()
    values = {name: runs.data[name].cast(pl.Float64).to_numpy() for name in names}
    for name in names:
        found = longest_repeat(values[name], edges)
        if found is None:
            continue
        start, stop = found
        if any(runs.data[mark][start:stop].cast(pl.Float64).max() == 1 for mark in marks):
            continue  # it is the anomaly to find
        others = [values[other][start:stop] for other in names if other != name]
        if others and np.mean([np.ptp(other) > 0 for other in others]) < 0.5:
            continue  # the machine rests
        machine = machines[start]
        length = int((machines == machine).sum())
        rows = f"in {stop - start:,} rows in a row (from row {start + 1})"
        yield Finding(
            "stuck-sensor",
            "warning",
            name,
            f"'{name}' has one value of machine '{machine}' "
            f"{'in all its rows' if stop - start >= length else rows}, while others change.",
            f"Leave the sensor out: dataset.roles.ignore={name}; or cut these rows.",
        )


def longest_repeat(values: ndarray, edges: ndarray) -> tuple[int, int] | None:
    """Return the rows in which a sensor repeats one value far longer than it does elsewhere.

    Args:
        values: The sensor, machine by machine.
        edges: True in the first row of each machine.
    """
    begins = np.flatnonzero(edges | np.concatenate([[True], np.diff(values) != 0]))
    lengths = np.diff(np.append(begins, len(values)))
    place = int(np.argmax(lengths))
    most = int(lengths[place])
    other = int(lengths.sum() - most)
    kinds = len(lengths) - 1
    if most < LEAST_STUCK or other < LEAST_STUCK or kinds < LEAST_STUCK:
        return None
    share = 1 - kinds / other
    usual = log(kinds) / -log(min(max(share, 1e-3), 0.9999))
    others = np.delete(lengths, place)
    if most <= 3 * usual + LEAST_STUCK or most <= 3 * np.sort(others)[-max(2, len(others) // 1000)]:
        return None
    return int(begins[place]), int(begins[place]) + most


def _runs_clock(runs: Any) -> Iterator[Finding]:
    rows = runs.data.select("entity", "cycle")
    steps = (
        rows["cycle"].diff().set((rows["entity"] != rows["entity"].shift(1)).fill_null(True), None)
    )
    known = steps.drop_nulls()
    if len(known) < FEWEST_IN_PERIOD:
        return
    limit = max(500 * float(known.median() or 0), 20 * float(known.quantile(0.98) or 0))
    far = (steps > limit).fill_null(False).arg_true()
    if len(far):
        row = rows.row(int(far[0]), named=True)
        yield _jump(
            "cycle",
            f"The clock of machine '{row['entity']}' jumps by {steps[far[0]]:g} to "
            f"{row['cycle']:g}; {len(far)} such steps.",
        )


RUNS_CHECKS: tuple[Callable[[Any], Iterator[Finding]], ...] = (_stuck, _runs_clock)
