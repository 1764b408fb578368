"""How often a comparison is sure at any look, of a sweep's best and in a year's watch: `python -m
bench.looks [worlds]`, five minutes of a core.

Two models whose losses differ by nothing on average, in the worlds of `bench.shared_shocks`. Of the
first table one looks at 4, 6 ... 24 origins: at the first by the fixed test, from the second on by
the interval that holds at all looks; beside it the fixed test at each look. Of the second the best
of several candidates on inner windows is tested on later windows of the same series. Of the third
one looks each month of a year from the fourth on, with forecasts of one step, or of six steps, of
data without a season or with one of twelve months; beside it a fixed test at the end of the year.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import inf

import numpy as np

from bench.shared_shocks import BATCH, STEPS, both, grid, over_series, sure, worlds
from hwds.core.seeds import stream
from hwds.stats.effects import Effect
from hwds.stats.periods import block_of_step, blocks_of, period_part, shared_path

TRIALS = 600
"""The standard error of a rate of 5 % is .9 % then."""

LOOKS = tuple(range(4, 25, 2))
SHARES, SERIES = (0.1, 0.3, 0.6), (10, 100)
MOST_AT_LOOKS = {0.0: 0.06, 0.3: 0.06, 0.6: 0.06, 0.9: 0.2}
"""The most worlds that are sure at any look, by persistence."""

CANDIDATES, INNER, FINAL, SWEEP_SERIES = (5, 25), 6, 12, 30
SWEEP_SHARES = (0.0, 0.1, 0.3)
MOST_OF_SWEEPS = 0.07

MONTHS, YEARS, WATCH_SERIES = 12, 200, 30
MOST_SWITCHES = 0.05
SHIFT = 6.0
"""The true difference of a year in standard errors."""

LINE = "{:>7} {:>6} {:>6}   {:>6} {:>6} {:>6}   {:>6} {:>6}\n"
SWEEP_LINE = "{:>7} {:>6} {:>10}   {:>6} {:>6}\n"
WATCH_LINE = "{:>7} {:>6} {:>6} {:>6}   {:>6}   {:>6} {:>6} {:>8}\n"


def effects_of(
    values: np.ndarray, rng: np.random.Generator, season: float = inf, steps: int = STEPS
) -> list[Effect]:
    """Return the effect of each world over series and origins.

    Args:
        values: Differences of shape (series, origins, steps, worlds).
        rng: The generator of the bootstrap.
        season: The share of a season that origins cover.
        steps: The steps of a window.
    """
    series, origins, rows, count = values.shape
    cells = replace(grid(series, origins), steps=steps, season_seen=season)
    blocks = blocks_of(origins, rows)
    numbers = block_of_step(rows, blocks)
    parts = [values[:, :, numbers == block].mean(axis=2) for block in range(blocks)]
    path = shared_path(np.stack(parts, axis=2).reshape(-1, blocks, count), cells)
    part = period_part(values.mean(axis=2).reshape(-1, count), cells, path)
    return both(over_series(values.mean(axis=(1, 2)), rng), part)


def spread(share: float, series: int, origins: int) -> float:
    """Return the standard error of the mean difference if shocks do not last."""
    return float((((1 - share) / 2 * (1 + 1 / origins)) / series + share / origins) ** 0.5)


def look_rates(lasts: float, series: int, share: float, trials: int) -> np.ndarray:
    """Return the shares of worlds that are sure: at the first look, at any look by fixed tests, at
    any look; and with a difference at the last look, by the fixed test and at all looks.
    """
    rng = stream(0, "looks", str(lasts), str(series), str(share))
    found = np.zeros(5)
    batches = [worlds(rng, lasts, STEPS, series, LOOKS[-1], share) for _ in range(trials // BATCH)]
    calls = np.zeros((2, len(LOOKS), len(batches), BATCH), bool)
    for place, origins in enumerate(LOOKS):
        for number, values in enumerate(batches):
            effects = effects_of(values[:, :origins], rng)
            every = [each.at_all_looks(again=place > 0) for each in effects]
            for kind, some in enumerate((effects, every)):
                calls[kind, place, number] = [sure(each) for each in some]
    for values in batches:
        effects = effects_of(values + 3 * spread(share, series, LOOKS[-1]), rng)
        found[3] += sum(map(sure, effects))
        found[4] += sum(sure(each.at_all_looks(again=True)) for each in effects)
    once, every = calls.any(axis=1).mean(axis=(1, 2))
    return np.array([calls[0, 0].mean(), once, every, *found[3:] / trials])


def sweep_rates(lasts: float, share: float, candidates: int, trials: int) -> np.ndarray:
    """Return the shares of worlds in which a sweep's best is sure, without and with an allowance for
    the candidates.
    """
    rng = stream(0, "sweeps", str(lasts), str(share), str(candidates))
    found = np.zeros(2)
    for _ in range(trials // BATCH):
        tried = [
            worlds(rng, lasts, STEPS, SWEEP_SERIES, INNER + FINAL, share) for _ in range(candidates)
        ]
        inner = np.array([each[:, :INNER].mean(axis=(0, 1, 2)) for each in tried])
        best = inner.argmax(axis=0)
        final = np.stack(
            [tried[place][:, INNER:, :, world] for world, place in enumerate(best)], axis=-1
        )
        effects = effects_of(final, rng)
        allowed = [each.at_all_looks(again=False, choices=candidates) for each in effects]
        found += sum(map(sure, effects)), sum(map(sure, allowed))
    return found / (trials // BATCH * BATCH)


def watch_rates(lasts: float, share: float, steps: int, season: int) -> np.ndarray:
    """Return the share of years with a wrong switch; and where the challenger is better the shares
    found at the end of the year and on the way, and how many months earlier these are.
    """
    rng = stream(0, "watch", str(lasts), str(share), str(steps), str(season))
    months = np.full((2, YEARS), MONTHS + 1)
    ended = 0
    for kind, shift in enumerate((0.0, SHIFT * spread(share, WATCH_SERIES, MONTHS))):
        for batch in range(YEARS // BATCH):
            values = worlds(rng, lasts, STEPS, WATCH_SERIES, MONTHS, share) + shift
            values = values if steps > 1 else values.mean(axis=2, keepdims=True)
            years = slice(batch * BATCH, (batch + 1) * BATCH)
            for month in range(LOOKS[0], MONTHS + 1):
                seen = month / season if season > 1 else inf
                effects = effects_of(values[:, :month], rng, seen, steps)
                every = [each.at_all_looks(again=True) for each in effects]
                switch = np.array([sure(each) and each.value > 0 for each in every])
                first = np.where(
                    switch, np.minimum(months[kind, years], month), months[kind, years]
                )
                months[kind, years] = first
            ended += sum(sure(each) for each in effects) if kind else 0
    found = months[1] <= MONTHS
    earlier = float((MONTHS - months[1][found]).mean()) if found.any() else 0.0
    return np.array([(months[0] <= MONTHS).mean(), ended / YEARS, found.mean(), earlier])


def within(rate: float, limit: float, trials: int) -> bool:
    """Return whether a rate is at most the limit, two standard errors allowed."""
    return bool(rate <= limit + 2 * (limit * (1 - limit) / trials) ** 0.5)


def lines(trials: int) -> Iterator[tuple[str, bool]]:
    """Yield the lines of the tables, and whether each holds."""
    yield (
        LINE.format("persist", "series", "share", "first", "fixed", "looks", "power", "looks"),
        True,
    )
    for lasts, series, share in product(MOST_AT_LOOKS, SERIES, SHARES):
        rate = look_rates(lasts, series, share, trials)
        numbers = (f"{100 * each:.1f}" for each in rate)
        held = within(rate[2], MOST_AT_LOOKS[lasts], trials)
        yield LINE.format(f"{lasts:g}", series, f"{share:g}", *numbers), held
    yield "\n" + SWEEP_LINE.format("persist", "share", "candidates", "fixed", "errs"), True
    for lasts, share, candidates in product((0.0, 0.3), SWEEP_SHARES, CANDIDATES):
        rate = sweep_rates(lasts, share, candidates, trials)
        numbers = (f"{100 * each:.1f}" for each in rate)
        held = within(rate[1], MOST_OF_SWEEPS, trials)
        yield SWEEP_LINE.format(f"{lasts:g}", f"{share:g}", candidates, *numbers), held
    head = ("persist", "share", "steps", "season", "wrong", "at end", "before", "earlier")
    yield "\n" + WATCH_LINE.format(*head), True
    for lasts, steps, season in product((0.0, 0.3), (1, STEPS), (1, MONTHS)):
        wrong, ended, found, earlier = watch_rates(lasts, 0.3, steps, season)
        shown = (*(f"{100 * each:.1f}" for each in (wrong, ended, found)), f"{earlier:.1f}")
        held = within(wrong, MOST_SWITCHES, YEARS)
        yield WATCH_LINE.format(f"{lasts:g}", "0.3", steps, season, *shown), held


def main(trials: int) -> int:
    """Print the tables; 1 where more are called sure than must hold."""
    held = True
    for line, holds in lines(trials):
        held &= holds
        sys.stdout.write(line if holds else line.rstrip("\n") + " !\n")
        sys.stdout.flush()
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS))
