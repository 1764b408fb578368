"""Stacks beside their best member on ten kinds of panel: `python -m bench.stacks [seeds] >
bench/stacks.txt`.

Small panels, one held-out horizon each, five members that differ in what they can read. A stack
learns its weights on three windows before the cutoff; the figures are mean absolute scaled errors
after it. The rule of `stacking/shrinkage.py` was set on twelve other kinds of panel, and on these
with other seeds (500 to 502, 1000 to 1045); here seeds begin at 900.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hwds.core.cache import Cache
from hwds.datasets import HardwareDemand, WeeklySales
from hwds.evaluation.panel_folds import AtTime, future_of, panel_known_at, select_series
from hwds.forecast import Analog, Drift, SeasonalNaive, Stack, Theta, XGBoost
from hwds.forecast.metrics import seasonal_scales, short_scales
from hwds.forecast.models.base import ForecastContext
from hwds.forecast.predictions import InnerBacktests
from hwds.frames.features.none import None_
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import Roles

MEMBERS = (
    SeasonalNaive(),
    Drift(),
    Theta(origins=0),
    Analog(max_rows=4_000),
    XGBoost(trees=25, patience=0, learning_rate=0.15, max_rows=4_000),
)
NAMES = ("naive", "drift", "theta", "analog", "trees")
RULES = ("learned", "inverse", "equal", "best")
SERIES = 40
FIRST = 900
"""The seed of the first panel of each kind."""


def made(
    law: Callable[[np.random.Generator, np.ndarray], np.ndarray],
    season: int,
    rows: int,
    *,
    series: int = SERIES,
) -> Callable[[int], Panel]:
    """Return the panel of a law of one series, from a seed."""

    def panel(seed: int) -> Panel:
        rng, t = np.random.default_rng(seed), np.arange(rows)
        values = np.concatenate([law(rng, t) for _ in range(series)])
        ids = np.repeat([f"s{i:03d}" for i in range(series)], rows)
        table = pl.DataFrame({"series_id": ids, "time": np.tile(t, series), "target": values})
        return Panel.build(
            table,
            Frequency("1i"),
            roles=Roles(),
            season=season,
            horizon=min(season, 12) if season > 1 else 6,
        )

    return panel


def trend(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return a trend that wanders, and a season, shape (rows,)."""
    season = 1 + 0.2 * rng.random() * np.sin(2 * np.pi * (t / 12 + rng.random()))
    level = 100 + np.cumsum(rng.normal(0.3, 0.5) + rng.normal(0, 2, len(t)))
    return np.maximum(level, 5) * season * np.exp(rng.normal(0, 0.05, len(t)))


def quarterly(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return a line with a season of quarters, shape (rows,)."""
    season = np.tile(rng.normal(1, 0.15, 4), len(t))[: len(t)]
    return (200 + 2 * rng.normal() * t) * season * np.exp(np.cumsum(rng.normal(0, 0.02, len(t))))


def walk(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return a random walk, shape (rows,)."""
    return 100 + np.cumsum(rng.normal(0, 1, len(t)))


def hourly(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return a day and a week, shape (rows,)."""
    day = np.exp(np.sin(2 * np.pi * (t / 24 + rng.normal(0, 0.05))))
    week = np.where((t // 24) % 7 > 4, 0.6 + 0.2 * rng.random(), 1.0)
    return 50 * day * week * np.exp(rng.normal(0, 0.15, len(t)))


def counts(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return demand that comes by chance, shape (rows,)."""
    return np.where(rng.random(len(t)) < 0.3, rng.poisson(4, len(t)), 0).astype(float)


def shifts(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return a level that shifts now and then, shape (rows,)."""
    level = 100 * np.exp(np.cumsum((rng.random(len(t)) < 0.03) * rng.normal(0, 0.5, len(t))))
    return level * np.exp(rng.normal(0, 0.08, len(t)))


def noise(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return noise round a level, shape (rows,)."""
    return 100 * np.exp(rng.normal(0, 0.3, len(t)))


def growth(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return a rise and a decline, shape (rows,)."""
    peak = 20 + 40 * rng.random()
    course = 500 * np.exp(-(((t - peak) / 25) ** 2)) + 20
    return course * (1 + 0.2 * np.sin(2 * np.pi * t / 12)) * np.exp(rng.normal(0, 0.1, len(t)))


PANELS: dict[str, Callable[[int], Panel]] = {
    "weekly sales, prices known": lambda seed: WeeklySales(
        seed=seed, series=SERIES, young=8, weeks=130
    ).load(),
    "devices, launches": lambda seed: HardwareDemand(seed=seed, families=2, months=72).load(),
    "monthly, trend and season": made(trend, 12, 84),
    "quarterly": made(quarterly, 4, 44),
    "random walks": made(walk, 1, 40),
    "hourly, day and week": made(hourly, 24, 24 * 15),
    "intermittent counts": made(counts, 12, 72),
    "shifts of level": made(shifts, 12, 84),
    "noise round a level": made(noise, 12, 72),
    "rise and decline": made(growth, 12, 72),
}


def losses(panel: Panel) -> Iterator[tuple[str, float]]:
    """Yield the mean absolute scaled error of each member, and of the stack by each rule."""
    horizon = panel.horizon
    end = pl.Series([panel.table["time"].max()], dtype=panel.table.schema["time"])
    cutoff = AtTime(panel.frequency.after(end, -horizon)[0])
    history = panel_known_at(panel, cutoff)
    ends = cutoff.ends(panel)
    asked = np.flatnonzero(cutoff.alive(panel, ends) & (panel.lengths >= ends + horizon))
    known = panel_known_at(select_series(panel, asked), cutoff)
    future = future_of(panel, asked, ends, horizon)
    actual = np.stack([panel.series(i)[ends[i] : ends[i] + horizon] for i in asked])
    scale, _ = seasonal_scales(known.target, known.offsets, panel.season)
    other, _ = short_scales(known.target, known.offsets, panel.season)
    scale = np.where(np.isnan(scale), other, scale)[:, None]
    with tempfile.TemporaryDirectory() as folder:
        context = ForecastContext(
            0,
            levels=(0.1, 0.5, 0.9),
            season=panel.season,
            features=None_(),
            align="calendar",
            known_until=cutoff.instant,
            backtests=InnerBacktests(Cache(Path(folder))),
        )
        stacks: list[tuple[str, Any]] = [
            (rule, Stack(members=MEMBERS, combine=rule)) for rule in RULES
        ]
        for name, model in (*zip(NAMES, MEMBERS, strict=True), *stacks):
            fitted = (
                context.fitted(model, history, horizon=horizon)
                if name in NAMES
                else model.learn(history, horizon=horizon, context=context)
            )
            error = np.abs(fitted.predict(known, future).quantiles[..., 1] - actual) / scale
            yield name, float(np.nanmean(error))


def main(seeds: int) -> None:
    """Print a line a panel: each member, each rule, and the learned rule over the best member."""
    line = "{:<28}" + "{:>9}" * (len(NAMES) + len(RULES)) + "{:>8}\n"
    sys.stdout.write(line.format("panel", *NAMES, *RULES, "ratio"))
    ratios = []
    for name, make in PANELS.items():
        found: dict[str, list[float]] = {}
        for seed in range(FIRST, FIRST + seeds):
            for model, loss in losses(make(seed)):
                found.setdefault(model, []).append(loss)
        means = {model: float(np.mean(values)) for model, values in found.items()}
        ratios.append(means["learned"] / min(means[member] for member in NAMES))
        sys.stdout.write(
            line.format(name, *(f"{value:.3f}" for value in means.values()), f"{ratios[-1]:.3f}")
        )
        sys.stdout.flush()
    sys.stdout.write(f"\nthe stack over its best member: {min(ratios):.3f} to {max(ratios):.3f}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
