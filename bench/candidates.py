"""Error and work of the candidates that `forecast/auto` starts from, on panels in no table: `python
-m bench.candidates`.

Beside the CPU seconds of one fit and one answer stand those that the law of `hwds/forecast/work.py`
foresees, and the error of the median relative to that of the seasonal naive. `bench/candidates.txt`
has the table, from which the order of candidates in `hwds/forecast/racing.py` and the laws were
taken. Words choose: `python -m bench.candidates theta ets`; the table leaves out those that take
minutes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

from bench.stacks import counts, hourly, made, trend
from hwds.datasets import HardwareDemand, WeeklySales
from hwds.evaluation.panel_folds import future_of
from hwds.forecast.models.base import ForecastContext, Forecaster
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from hwds.forecast.racing import PanelTraits, race_candidates
from hwds.forecast.work import size_of, work_of
from hwds.frames.features.none import None_
from hwds.frames.panel import Panel

PANELS: dict[str, Callable[[], Panel]] = {
    "weekly_sales, seed 900": lambda: WeeklySales(seed=900, young=0, gaps=0.0).load(),
    "hardware_demand, seed 900": lambda: HardwareDemand(seed=900, families=3, months=84).load(),
    "monthly, trend and season": lambda: made(trend, 12, 84, series=200)(900),
    "hourly, day and week": lambda: made(hourly, 24, 24 * 20, series=40)(900),
    "intermittent counts": lambda: made(counts, 12, 60, series=300)(900),
}
LINE = "{:<27} {:<68} {:>8} {:>8} {:>6} {:>7}\n"


def measured(model: Forecaster, panel: Panel) -> tuple[float, float, float]:
    """Return the CPU seconds of a fit and an answer, the units of its law, and its absolute error
    after the cutoff.
    """
    horizon = panel.horizon
    long = panel.lengths > 2 * horizon
    ends = np.where(long, panel.lengths - horizon, 0)
    history = panel.until(ends)
    future = future_of(panel, np.flatnonzero(long), ends, horizon)
    context = ForecastContext(0, levels=(0.1, 0.5, 0.9), season=panel.season, features=None_())
    began = time.process_time()
    forecasts = model.learn(history, horizon=horizon, context=context).predict(history, future)
    seconds, work = (
        time.process_time() - began,
        work_of(model, size_of(history, horizon, panel.season)),
    )
    actual = np.stack([panel.series(i)[ends[i] :] for i in np.flatnonzero(long)])
    size = np.array([np.nanmean(np.abs(history.series(i))) for i in range(history.n_series)])[
        :, None
    ]
    error = float(np.nanmean(np.abs(forecasts.quantiles[..., 1] - actual) / np.maximum(size, 1e-9)))
    return seconds, 0.0 if work is None else work.total, error


def main(words: Sequence[str]) -> None:
    """Print a line a panel and model."""
    sys.stdout.write(LINE.format("panel", "model", "CPU s", "law", "ratio", "error"))
    for name, make in PANELS.items():
        panel = make()
        naive = measured(SeasonalNaive(), panel)[2]
        for candidate in race_candidates(PanelTraits.of(panel, panel.season)):
            if words and not any(word in candidate.name for word in words):
                continue
            measured(candidate.model, panel.block(0, 3))  # compiled and imported once
            seconds, law, error = measured(candidate.model, panel)
            numbers = (
                f"{seconds:.2f}",
                f"{law:.2f}",
                f"{law / max(seconds, 1e-3):.2f}",
                f"{error / naive:.3f}",
            )
            sys.stdout.write(LINE.format(name, candidate.name, *numbers))
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
