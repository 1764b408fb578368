"""How often each test of a comparison calls alike what is alike: `python -m bench.error_rates`,
about two minutes of one core.

One minus a rate is the coverage of the interval of 95 %. What the README says of tests within their
domain and outside of it is from here; every case has its own named stream, so that the figures come
again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import numpy as np

from bench.ranking_errors import rankings
from hwds.core.seeds import stream
from hwds.stats.effects import ReferenceDistribution, holm, shared_resamples, unit_effects
from hwds.stats.evidence import seeded_effect
from hwds.stats.periods import cosine_effect, diebold_mariano
from hwds.stats.ranks import delong, wilcoxon_p

TRIALS = 4000
"""The standard error of a rate of 5 % is .34 % then."""

SLOW = 400
"""Trials of a test that draws in each of them: 1.1 %."""

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

Losses = Callable[[np.random.Generator, int, float], np.ndarray]

LINE = "{:<58} {:>7} {:>9}  {}\n"


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Symmetric, thin tails."""
    return rng.normal(size=shape)


def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Symmetric, Student's t of three degrees of freedom."""
    return rng.standard_t(3, size=shape)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Lognormal about its mean."""
    return np.exp(rng.normal(size=shape)) - np.exp(0.5)


def over_units(draw: Draw, sizes: tuple[int, ...]) -> tuple[float, int]:
    """Bootstrap, or Student's t of few, over the units of datasets of these sizes."""
    rng = stream(0, "error_rates", draw.__name__, *map(str, sizes))
    strata = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    values = draw(rng, (sum(sizes), TRIALS))
    effects = unit_effects(values, strata, shared_resamples(strata, 1000, rng))
    return float(np.mean([(effect.p_value or 0.0) < 0.05 for effect in effects])), TRIALS


def over_seeds(seeds: int, spread: tuple[float, float, float], units: int) -> tuple[float, int]:
    """Units and seeds as two levels; the luck of each, and of each unit under each seed."""
    rng = stream(0, "error_rates", "seeds", str(seeds), str(spread))
    wrong = 0
    for _ in range(SLOW):
        shapes = (units, 1), (1, seeds), (units, seeds)
        own, trained, both = (
            rng.normal(0, size, shape) for size, shape in zip(spread, shapes, strict=True)
        )
        effect = seeded_effect(own + trained + both, [np.arange(units)], 100, rng)
        wrong += (effect.p_value or 0.0) < 0.05
    return wrong / SLOW, SLOW


def overlapping(rng: np.random.Generator, n: int, reach: int) -> np.ndarray:
    """Losses along a series that share `reach` shocks, as errors of overlapping windows do."""
    return np.convolve(rng.normal(size=n + reach - 1), np.ones(reach), "valid")


def remembering(rng: np.random.Generator, n: int, share: float) -> np.ndarray:
    """Losses of an autoregressive process of order one, from its stationary law on."""
    shocks, found = rng.normal(size=n), np.empty(n)
    found[0] = shocks[0] / (1 - share**2) ** 0.5
    for place in range(1, n):
        found[place] = share * found[place - 1] + shocks[place]
    return found


def along(losses: Losses, n: int, what: float, horizon: int) -> Iterator[float]:
    """Diebold-Mariano, and cosines, which is what a comparison quotes."""
    rng = stream(0, "error_rates", losses.__name__, str(n), str(what))
    rows = []
    for _ in range(TRIALS // 2):
        values = losses(rng, n, what)
        test = diebold_mariano(values, horizon)
        assert test is not None
        rows.append((test.p_value, cosine_effect(values, horizon).p_value or 0.0))
    yield from np.mean(np.array(rows) < 0.05, axis=0).tolist()


def areas(rows: int) -> tuple[float, int]:
    """DeLong's test of two scores that are as good as each other, of which a part is shared."""
    rng, wrong = stream(0, "error_rates", "areas", str(rows)), 0
    for _ in range(TRIALS // 2):
        label = (np.arange(rows) < rows // 5).astype(float)
        shared = label + rng.normal(size=rows)
        area, covariance = delong(
            label, np.column_stack([shared + rng.normal(size=rows) for _ in range(2)])
        )
        error = (covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]) ** 0.5
        wrong += ReferenceDistribution().two_sided((area[0] - area[1]) / error) < 0.05
    return wrong / (TRIALS // 2), TRIALS // 2


def ranks(draw: Draw, n: int) -> tuple[float, int]:
    """Wilcoxon's signed ranks."""
    values = draw(stream(0, "error_rates", "ranks", draw.__name__, str(n)), (TRIALS // 4, n))
    return float(np.mean([(wilcoxon_p(each) or 0.0) < 0.05 for each in values])), TRIALS // 4


def family(count: int) -> tuple[float, int]:
    """Any error in a family after Holm's correction."""
    values = stream(0, "error_rates", "family", str(count)).random((TRIALS, count))
    return float(
        np.mean([min(p for p in holm(each.tolist()) if p is not None) < 0.05 for each in values])
    ), TRIALS


def rates() -> Iterator[tuple[str, float, int, str]]:
    """What, how often it errs, in how many trials, and whether it is in the domain that is
    stated.
    """
    symmetric = [(normal, sizes) for sizes in ((10,), (20,), (100,), (30, 60))] + [
        (heavy, (20,)),
        (heavy, (100,)),
    ]
    for draw, sizes in symmetric:
        yield (
            f"bootstrap or t over {' and '.join(map(str, sizes))} units, {draw.__name__}",
            *over_units(draw, sizes),
            "in",
        )
    for n in (20, 50, 200):
        yield (f"bootstrap over {n} units, {skewed.__name__}", *over_units(skewed, (n,)), "out")
    for seeds, spread, units in (
        (3, (0.2, 1.0, 0.2), 30),
        (4, (1.0, 0.3, 1.0), 30),
        (6, (0.5, 0.5, 1.0), 30),
    ):
        yield (
            f"{seeds} seeds x {units} units, rng of units, seeds, both {spread}",
            *over_seeds(seeds, spread, units),
            "in",
        )
    for n, reach in ((20, 1), (100, 1), (40, 2), (120, 4), (24, 12), (60, 6)):
        found = along(lambda rng, n, what: overlapping(rng, n, int(what)), n, reach, reach)
        yield from _told(
            f"{n} origins, windows over {reach}", found, "in" if n >= 20 * reach else "out"
        )
    for n, share in ((40, 0.3), (200, 0.3), (200, 0.6)):
        yield from _told(f"{n} origins, AR(1) of {share:g}", along(remembering, n, share, 1), "out")
    for rows in (100, 1000):
        yield (f"DeLong, {rows} rows, a fifth of them positive", *areas(rows), "in")
    for draw, n in ((normal, 20), (heavy, 100)):
        yield (f"Wilcoxon, {n} units, {draw.__name__}", *ranks(draw, n), "in")
    for metric, size in (
        ("auroc", (600, 60, 30)),
        ("aucpr", (600, 60, 30)),
        ("aucpr", (2000, 300, 60)),
    ):
        what = "{} rows, {} customers, {} days".format(*size)
        yield (f"bootstrap by customer and day, {metric}, {what}", *rankings(metric, *size), "in")
    yield ("Holm, any error among 6 independent tests", *family(6), "in")


def _told(what: str, found: Iterator[float], domain: str) -> Iterator[tuple[str, float, int, str]]:
    named = (
        (f"Diebold-Mariano, {what}", domain),
        ("  equal-weighted cosines, which are quoted", "in"),
    )
    for (name, where), rate in zip(named, found, strict=True):
        yield name, rate, TRIALS // 2, where


def main() -> int:
    """Print the table; 1 where a test within its domain errs in more than 7 of 100."""
    sys.stdout.write(LINE.format("where nothing differs", "errs", "± s.e.", "domain"))
    held = True
    for what, rate, trials, domain in rates():
        error = (max(rate, 0.01) * (1 - rate) / trials) ** 0.5
        held &= domain == "out" or rate - 2 * error <= 0.07
        sys.stdout.write(LINE.format(what, f"{100 * rate:.1f} %", f"{100 * error:.1f}", domain))
        sys.stdout.flush()
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
