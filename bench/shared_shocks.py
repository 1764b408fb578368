"""How often a comparison calls a difference where series share shocks: `python -m
bench.shared_shocks [worlds]`, some minutes of a core.

Two models whose losses differ by nothing on average, and by three standard errors for the power
that is left. Each law has a part of each series' own, a shock of each series at each origin, and
one that all series share; `share` is the part of the variance that is shared.

Of the first table shocks are of whole windows, and last at most to the next one. Of the second each
row has a shock, which all windows that cover it share, and `persistence` is the correlation of the
shocks of one window with those of the next. Of the third series come in families (errors with
families declared and without, and how often an undeclared one is remarked on), or the difference
changes its sign once (errors, those of the test that takes origins as independent, and how many of
these a remark stands beside; of no break, how often one stands).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from math import inf

import numpy as np

from hwds.core.seeds import stream
from hwds.stats.effects import Effect, shared_resamples, unit_effects
from hwds.stats.estimates import difference_estimate, explained_p
from hwds.stats.periods import (
    BREAK_P,
    Cells,
    PeriodPart,
    block_of_step,
    blocks_of,
    largest_break,
    mean_estimate,
    period_part,
    persistence,
    shared_path,
    with_periods,
)

TRIALS = 600
"""The standard error of a rate of 5 % is .9 % then."""

BATCH = 100
RESAMPLES = 400
WINDOW = 3
"""Months of a window of the first table; windows follow one another."""

YEAR = 12

Law = Callable[[np.random.Generator, int, int, int], np.ndarray]
"""From (generator, trials, series, origins) shared shocks of variance one, shape (trials, series or
1, origins).
"""


def common(rng: np.random.Generator, trials: int, series: int, origins: int) -> np.ndarray:
    """One shock of each origin, the same for all series."""
    return rng.normal(size=(trials, 1, origins))


def factor(rng: np.random.Generator, trials: int, series: int, origins: int) -> np.ndarray:
    """One shock of each origin, to which each series answers by a loading of mean and deviation
    one.
    """
    return (
        common(rng, trials, series, origins) * (1 + rng.normal(size=(trials, series, 1))) / 2**0.5
    )


def lasting(shocks: np.ndarray, lasts: float) -> np.ndarray:
    """Return shocks of which a part lasts to the next on the last axis, of the same variance."""
    for place in range(1, shocks.shape[-1]):
        fresh = (1 - lasts**2) ** 0.5 * shocks[..., place]
        shocks[..., place] = lasts * shocks[..., place - 1] + fresh
    return shocks


def remembering(rng: np.random.Generator, trials: int, series: int, origins: int) -> np.ndarray:
    """Common shocks of which three tenths last to the next origin."""
    return lasting(common(rng, trials, series, origins), 0.3)


def seasonal_factor(rng: np.random.Generator, trials: int, series: int, origins: int) -> np.ndarray:
    """A pattern of the year whose mean is 0, the same each year, with loadings as in `factor`."""
    months = rng.normal(size=(trials, 1, YEAR))
    months -= months.mean(axis=-1, keepdims=True)
    calendar = np.arange(origins * WINDOW).reshape(origins, WINDOW) % YEAR
    pattern = months[..., calendar].mean(axis=-1) * WINDOW**0.5
    return pattern * (1 + rng.normal(size=(trials, series, 1))) / 2**0.5


def waves(rng: np.random.Generator, trials: int, series: int, origins: int) -> np.ndarray:
    """A wave of one year whose phase is unknown, with loadings as in `factor`."""
    phase = rng.uniform(0, 2 * np.pi, (trials, 1, 1))
    months = np.cos(2 * np.pi * np.arange(origins * WINDOW) / YEAR + phase) * 2**0.5
    return (
        months.reshape(trials, 1, origins, WINDOW).mean(-1)
        * (1 + rng.normal(size=(trials, series, 1)))
        / 2**0.5
    )


LAWS: tuple[tuple[Law, float], ...] = (
    (common, 0.0),
    (common, 0.05),
    (common, 0.1),
    (common, 0.3),
    (factor, 0.3),
    (seasonal_factor, 0.3),
    (waves, 0.3),
    (remembering, 0.3),
)
SIZES = (20, 100, 1000)
ORIGINS = (3, 6, 12, 40)
LINE = "{:<22} {:>5} {:>6} {:>7}   {:>6} {:>5}   {:>6} {:>5}\n"


def rates(law: Law, share: float, series: int, origins: int, trials: int) -> np.ndarray:
    """Return the shares called sure, without and with a difference, by series alone and with
    origins, shape (2, 2).
    """
    rng = stream(0, "shared_shocks", law.__name__, str(share), str(series), str(origins))
    season = origins * WINDOW / YEAR if law in (seasonal_factor, waves) else inf
    cells = replace(grid(series, origins), season_seen=season)
    difference = 3 * ((1 / 2 + 1 / (2 * origins)) / series) ** 0.5
    calls = np.zeros((2, 2))
    for _ in range(trials // BATCH):
        own = rng.normal(size=(BATCH, series, 1)) + rng.normal(size=(BATCH, series, origins))
        values = ((1 - share) / 2) ** 0.5 * own + share**0.5 * law(rng, BATCH, series, origins)
        part = period_part(values.reshape(BATCH, -1).T, cells)
        for place, shift in enumerate((0.0, difference)):
            alone = over_series(values.mean(axis=2).T + shift, rng)
            calls[place] += [sum(map(sure, effects)) for effects in (alone, both(alone, part))]
    return calls / (trials // BATCH * BATCH)


def grid(series: int, origins: int) -> Cells:
    """Return the cells of series that all have all origins."""
    return Cells(np.repeat(np.arange(series), origins), np.tile(np.arange(origins), series))


def over_series(means: np.ndarray, rng: np.random.Generator) -> list[Effect]:
    """Return effects by series alone, of means of shape (series, worlds)."""
    strata = [np.arange(len(means))]
    return unit_effects(means, strata, shared_resamples(strata, RESAMPLES, rng))


def both(alone: list[Effect], part: PeriodPart) -> list[Effect]:
    """Return effects by series and origins."""
    cells = alone[0].clusters * part.count
    return [with_periods(effect, part, pair, cells) for pair, effect in enumerate(alone)]


def sure(effect: Effect) -> bool:
    """Return whether the interval of 95 % excludes no difference."""
    interval = effect.interval(0.95)
    return interval is not None and not interval[0] <= 0 <= interval[1]


# Shocks of rows that last.

PERSISTENCES, SHARES = (0.0, 0.3, 0.6, 0.9), (0.1, 0.3, 0.6)
SERIES, COUNTS = (10, 30, 200), (4, 6, 8, 12, 24)
STEPS = 6
"""Rows of a window of the second table."""

GAPS = (1.0, 0.5)
"""From one origin to the next, in windows."""

MOST_WRONG = {0.0: 0.06, 0.3: 0.06, 0.6: 0.08, 0.9: 0.2}
LEAST_POWER = {8: 0.65, 12: 0.8, 24: 0.93}
"""The share of the power of the test that takes origins as independent."""

LASTING_LINE = "{:>4} {:>7} {:>7} {:>5} {:>6}   {:>5} {:>5}   {:>5} {:>5}   {:>6} {:>5}\n"


def row_persistence(wanted: float, stride: int) -> float:
    """Return the correlation of rows that makes that of windows what is wanted."""
    low, high, rows = 0.0, 1.0, np.arange(STEPS)
    for _ in range(50 if wanted else 0):
        middle = (low + high) / 2
        here, later = ((middle ** np.abs(rows[:, None] - rows - lag)).mean() for lag in (0, stride))
        low, high = (middle, high) if later < wanted * here else (low, middle)
    return low


def worlds(
    rng: np.random.Generator, lasts: float, stride: int, series: int, origins: int, share: float
) -> np.ndarray:
    """Return differences of shape (series, origins, steps, worlds)."""
    rows = (origins - 1) * stride + STEPS
    shocks = lasting(rng.normal(size=(BATCH, rows)), row_persistence(lasts, stride))
    shocks = shocks[:, np.arange(origins)[:, None] * stride + np.arange(STEPS)]
    lag = np.abs(np.arange(STEPS)[:, None] - np.arange(STEPS))
    shocks = shocks / (row_persistence(lasts, stride) ** lag).mean() ** 0.5
    own = rng.normal(size=(series, 1, 1, BATCH))
    alone = STEPS**0.5 * rng.normal(size=(series, origins, STEPS, BATCH))
    return ((1 - share) / 2) ** 0.5 * (own + alone) + share**0.5 * shocks.transpose(1, 2, 0)


def lasting_rates(
    lasts: float, gap: float, series: int, origins: int, share: float, trials: int
) -> np.ndarray:
    """Return the shares called sure with persistence and without it, where nothing differs and
    where something does, and the shares of remarks and of those that say that shocks last.
    """
    rng = stream(0, "lasting_shocks", *map(str, (lasts, gap, series, origins, share)))
    cells = replace(grid(series, origins), span=round(1 / gap), gap=gap, steps=STEPS)
    blocks = blocks_of(origins, STEPS)
    numbers = block_of_step(STEPS, blocks)
    difference = 3 * (((1 - share) / 2 * (1 + 1 / origins)) / series + share / origins) ** 0.5
    found = np.zeros(6)
    for _ in range(trials // BATCH):
        values = worlds(rng, lasts, round(gap * STEPS), series, origins, share)
        parts = [values[:, :, numbers == block].mean(axis=2) for block in range(blocks)]
        path = shared_path(np.stack(parts, axis=2).reshape(-1, blocks, BATCH), cells)
        flat = values.mean(axis=2).reshape(-1, BATCH)
        part = period_part(flat, cells, path)
        plain = replace(part, periods=independent(path), df=np.full(BATCH, origins - 1.0))
        for place, shift in enumerate((0.0, difference)):
            alone = over_series(values.mean(axis=(1, 2)) + shift, rng)
            found[2 * place] += sum(map(sure, both(alone, part)))
            found[2 * place + 1] += sum(map(sure, both(alone, plain)))
        shocks = persistence(path, cells)
        remarks = [shocks.remark(pair, origins) for pair in range(BATCH)]
        found[4:] += sum(map(bool, remarks)), sum("last about" in each for each in remarks)
    return found / (trials // BATCH * BATCH)


def independent(path: np.ndarray) -> np.ndarray:
    """Return the variance of the mean over periods if they are taken as independent."""
    means = path.mean(axis=1)
    variance: np.ndarray = means.var(axis=0, ddof=1) / len(means)
    return variance


def lasting_lines(trials: int) -> Iterator[tuple[str, bool]]:
    """Yield the lines of the second table, and whether each holds."""
    for gap, lasts, origins, series, share in product(GAPS, PERSISTENCES, COUNTS, SERIES, SHARES):
        rate = lasting_rates(lasts, gap, series, origins, share, trials)
        limit = MOST_WRONG[lasts]
        held = rate[0] <= limit + 2 * (limit * (1 - limit) / trials) ** 0.5
        if not lasts and gap == 1:
            held &= rate[2] >= (LEAST_POWER.get(origins, 0) - 0.03) * rate[3]
        if lasts >= 0.6 and gap == 1:  # of windows that overlap .5 is what both cover
            held &= rate[4] >= 0.9 - 2 * (0.09 / trials) ** 0.5
        numbers = (f"{100 * each:.1f}" for each in rate)
        head = f"{gap:g}", f"{lasts:g}", origins, series, f"{share:g}"
        yield LASTING_LINE.format(*head, *numbers), held


# Families of series that differ alike, and one break in time.

FAMILIES, FAMILY_SERIES, FAMILY_ORIGINS = (3, 5, 10), 60, 8
BREAK_ORIGINS, BREAK_SIZES, BREAK_SERIES = (6, 11, 24), (0.0, 0.7, 1.2), 30
BREAK_LINE = "{:<10} {:>8} {:>7}   {:>5} {:>5}   {:>6}\n"


def family_line(families: int, trials: int) -> tuple[str, bool]:
    """Return how often a difference by family is called sure, with families declared and without,
    and how often an undeclared family is remarked on.
    """
    rng = stream(0, "families", str(families))
    family = np.arange(FAMILY_SERIES) % families
    cells = grid(FAMILY_SERIES, FAMILY_ORIGINS)
    declared = replace(cells, cluster=family[cells.unit])
    found = np.zeros(3)
    for _ in range(trials):
        own = 0.5**0.5 * rng.normal(size=families)[family] + 0.1**0.5 * rng.normal(size=len(family))
        noise = 0.4**0.5 * rng.normal(size=(FAMILY_SERIES, FAMILY_ORIGINS, STEPS)) * STEPS**0.5
        values = (own[:, None, None] + noise).reshape(-1, STEPS)
        for place, each in enumerate((declared, cells)):
            found[place] += differs(values, each)
        found[2] += explained_p(values.reshape(FAMILY_SERIES, -1).mean(axis=1), family) < 0.01
    found /= trials
    held = found[0] <= 0.07 + 2 * (0.07 * 0.93 / trials) ** 0.5 and found[2] >= 0.9
    numbers = (f"{100 * each:.1f}" for each in found)
    return BREAK_LINE.format("families", families, FAMILY_ORIGINS, *numbers), bool(held)


def differs(values: np.ndarray, cells: Cells) -> bool:
    """Return whether the mean of blocks surely differs from 0."""
    found = mean_estimate(values.mean(axis=1), cells, 0, values)
    ends = difference_estimate(replace(found, n=cells.fewest))
    return ends.low is not None and ends.high is not None and not ends.low <= 0 <= ends.high


def break_line(size: float, origins: int, trials: int) -> tuple[str, bool]:
    """Return how often a difference that changes its sign once is called sure, now and with origins
    taken as independent, and how many of the latter a remark stands beside.
    """
    rng = stream(0, "breaks", str(size), str(origins))
    cells = replace(grid(BREAK_SERIES, origins), steps=STEPS)
    blocks = blocks_of(origins, STEPS)
    numbers = block_of_step(STEPS, blocks)
    found = np.zeros(4)
    for _ in range(trials):
        sign = np.where(np.arange(origins) < rng.integers(1, origins), 1, -1) * rng.choice([-1, 1])
        shared = size * sign[:, None] + (0.05 * STEPS) ** 0.5 * rng.normal(size=(origins, STEPS))
        own = 0.5**0.5 * rng.normal(size=(BREAK_SERIES, 1, 1))
        alone = (0.5 * STEPS) ** 0.5 * rng.normal(size=(BREAK_SERIES, origins, STEPS))
        rows = shared + own + alone
        parts = [rows[:, :, numbers == block].mean(axis=2) for block in range(blocks)]
        values = np.stack(parts, axis=2).reshape(-1, blocks)
        path = shared_path(values[:, :, None], cells)
        effect = over_series(rows.mean(axis=(1, 2))[:, None], rng)
        part = period_part(values.mean(axis=1)[:, None], cells, path)
        plain = replace(part, periods=independent(path), df=np.array([origins - 1.0]))
        wrong = sure(both(effect, plain)[0])
        broken = largest_break(rows.mean(axis=(0, 2)), cells)
        lasts = "last about" in persistence(path, cells).remark(0, origins)
        remarked = lasts or (broken is not None and broken.p_value < BREAK_P)
        found += differs(values, cells), wrong, wrong and remarked, remarked
    found /= trials
    beside = found[2] / found[1] if size and found[1] else found[3]
    held = beside >= 0.9 if size else beside <= 0.15
    shown = (f"{100 * each:.1f}" for each in (*found[:2], beside))
    return BREAK_LINE.format("break", f"{size:g}", origins, *shown), bool(held)


def main(trials: int) -> int:
    """Print the tables; 1 where more are called sure, or fewer, than must hold."""
    sys.stdout.write(
        LINE.format("shared", "share", "series", "origins", "errs", "power", "alone", "power")
    )
    held = True
    for law, share in LAWS:
        for series in SIZES:
            for origins in ORIGINS:
                null, power = rates(law, share, series, origins, trials)
                error = (0.05 * 0.95 / trials) ** 0.5
                held &= law is remembering or null[1] <= 0.06 + 2 * error
                numbers = (f"{100 * each:.1f}" for each in (null[1], power[1], null[0], power[0]))
                sys.stdout.write(LINE.format(law.__name__, f"{share:g}", series, origins, *numbers))
                sys.stdout.flush()
    head = ("gap", "persist", "origins", "series", "share")
    tail = ("errs", "plain", "power", "plain", "remark", "lasts")
    sys.stdout.write("\n" + LASTING_LINE.format(*head[:3], head[3][:5], head[4], *tail))
    for line, holds in lasting_lines(trials):
        held &= holds
        sys.stdout.write(line if holds else line.rstrip("\n") + " !\n")
        sys.stdout.flush()
    sys.stdout.write("\n" + BREAK_LINE.format("", "size", "origins", "errs", "plain", "remark"))
    lines = [family_line(families, trials) for families in FAMILIES]
    lines += [
        break_line(size, origins, trials) for size, origins in product(BREAK_SIZES, BREAK_ORIGINS)
    ]
    for line, holds in lines:
        held &= holds
        sys.stdout.write(line if holds else line.rstrip("\n") + " !\n")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS))
