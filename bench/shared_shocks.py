"""How often a comparison calls a difference where series share shocks: `python -m
bench.shared_shocks`, two minutes of a core.

Two models whose losses differ by nothing on average, and by three standard errors of independent
series for the power that is left. Each law has a part of each series' own, a shock of each series
at each origin, and one that all series share; `share` is the part of the variance that is shared.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import inf

import numpy as np

from hwds.core.seeds import stream
from hwds.stats.effects import Effect, shared_resamples, unit_effects
from hwds.stats.periods import Cells, period_part, with_periods

TRIALS = 2000
"""The standard error of a rate of 5 % is .5 % then."""

BATCH = 100
RESAMPLES = 400
WINDOW = 3
"""Months of a window; windows follow one another."""

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


def remembering(rng: np.random.Generator, trials: int, series: int, origins: int) -> np.ndarray:
    """Common shocks of which three tenths last to the next origin."""
    shocks = common(rng, trials, series, origins)
    for place in range(1, origins):
        shocks[..., place] = 0.3 * shocks[..., place - 1] + (1 - 0.09) ** 0.5 * shocks[..., place]
    return shocks


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


def rates(law: Law, share: float, series: int, origins: int) -> np.ndarray:
    """Return the shares called sure, without and with a difference, by series alone and with
    origins, shape (2, 2).
    """
    rng = stream(0, "shared_shocks", law.__name__, str(share), str(series), str(origins))
    strata = [np.arange(series)]
    counts = shared_resamples(strata, RESAMPLES, rng)
    unit, period = np.repeat(np.arange(series), origins), np.tile(np.arange(origins), series)
    cells = Cells(
        unit,
        period,
        season_seen=origins * WINDOW / YEAR if law in (seasonal_factor, waves) else inf,
    )
    difference = 3 * ((1 / 2 + 1 / (2 * origins)) / series) ** 0.5
    calls = np.zeros((2, 2))
    for _ in range(TRIALS // BATCH):
        own = rng.normal(size=(BATCH, series, 1)) + rng.normal(size=(BATCH, series, origins))
        values = ((1 - share) / 2) ** 0.5 * own + share**0.5 * law(rng, BATCH, series, origins)
        for place, shift in enumerate((0.0, difference)):
            shifted = values + shift
            alone = unit_effects(shifted.mean(axis=2).T, strata, counts)
            part = period_part(shifted.reshape(BATCH, -1).T, cells)
            both = [
                with_periods(effect, part, pair, len(unit)) for pair, effect in enumerate(alone)
            ]
            calls[place] += [sum(map(sure, effects)) for effects in (alone, both)]
    return calls / (TRIALS // BATCH * BATCH)


def sure(effect: Effect) -> bool:
    """Return whether the interval of 95 % excludes no difference."""
    interval = effect.interval(0.95)
    return interval is not None and not interval[0] <= 0 <= interval[1]


def main() -> int:
    """Print the table; 1 where more than six of 100 are called sure and differ in nothing."""
    sys.stdout.write(
        LINE.format("shared", "share", "series", "origins", "errs", "power", "alone", "power")
    )
    held = True
    for law, share in LAWS:
        for series in SIZES:
            for origins in ORIGINS:
                null, power = rates(law, share, series, origins)
                error = (0.05 * 0.95 / TRIALS) ** 0.5
                held &= law is remembering or null[1] <= 0.06 + 2 * error
                numbers = (f"{100 * each:.1f}" for each in (null[1], power[1], null[0], power[0]))
                sys.stdout.write(LINE.format(law.__name__, f"{share:g}", series, origins, *numbers))
                sys.stdout.flush()
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
