"""Hours as they are, and without their longer season, the week: `python -m bench.long_seasons
[seed] > bench/long_seasons.txt`.

Five laws of 30 series of 880 hours, 48 hours ahead from a cutoff in each of the last seven days.
Figures are mean absolute errors as multiples of the mean change of the history over a day. How
cautious `statistical.nested_seasons` is was chosen with other seeds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bench.stacks import hourly, made
from hwds.evaluation.panel_folds import future_of
from hwds.forecast import Damped, Forecaster, LongSeason, Theta, XGBoost
from hwds.forecast.models.base import ForecastContext
from hwds.frames.features.none import None_
from hwds.frames.panel import Panel

DAY, HOURS, STEPS, SERIES = 24, 880, 48, 30
MEMBERS: Mapping[str, Forecaster] = {
    "theta": Theta(origins=0),
    "damped": Damped(origins=0),
    "xgboost": XGBoost(trees=100, patience=0),
}


def shaped(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return days that are flatter at the weekend, whose level wanders and returns, shape
    (rows,).
    """
    day = np.exp(
        0.6 * np.sin(2 * np.pi * (t / DAY + rng.normal(0, 0.2))) + 0.3 * np.sin(4 * np.pi * t / DAY)
    )
    level, errors = np.zeros(len(t)), rng.normal(0, 0.05, len(t))
    for row in range(1, len(t)):
        level[row] = 0.9 * level[row - 1] + errors[row]
    return 50 * np.where((t // DAY) % 7 > 4, 0.7 * day**0.4, day) * np.exp(level)


def days(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return days alone, round a level, shape (rows,)."""
    return 100 * np.exp(0.3 * np.sin(2 * np.pi * t / DAY) + rng.normal(0, 0.3, len(t)))


def walk(rng: np.random.Generator, t: np.ndarray) -> np.ndarray:
    """Return days alone, round a random walk, shape (rows,)."""
    return 100 * np.exp(0.3 * np.sin(2 * np.pi * t / DAY) + np.cumsum(rng.normal(0, 0.03, len(t))))


LAWS: Mapping[str, Callable[[np.random.Generator, np.ndarray], np.ndarray]] = {
    "weekends are lower": hourly,
    "weekends have another day": shaped,
    "the same, days that begin at 11": lambda rng, t: shaped(rng, t + 13),
    "no week, noise": days,
    "no week, a random walk": walk,
}


def error(model: Forecaster, panel: Panel) -> float:
    """Return the mean absolute scaled error over the cutoffs."""
    context = ForecastContext(0, levels=(0.1, 0.5, 0.9), season=DAY, features=None_())
    errors = []
    for back in range(7):
        ends = panel.lengths - STEPS - DAY * back
        history, future = (
            panel.until(ends),
            future_of(panel, np.arange(panel.n_series), ends, STEPS),
        )
        forecasts = model.learn(history, horizon=STEPS, context=context).predict(history, future)
        for i, median in enumerate(forecasts.quantiles[..., 1]):
            known, actual = history.series(i), panel.series(i)[ends[i] : ends[i] + STEPS]
            errors.append(
                np.abs(median - actual).mean() / np.abs(known[DAY:] - known[:-DAY]).mean()
            )
    return float(np.mean(errors))


def main(words: Sequence[str]) -> None:
    """Print a line a law: each member as it is, and in `forecast/long_season`."""
    sys.stdout.write(f"{'':<33}" + "".join(f"{name:>10}{'without':>9}" for name in MEMBERS) + "\n")
    for name, law in LAWS.items():
        panel = made(law, DAY, HOURS, series=SERIES)(int(words[0]) if words else 77)
        pairs = [
            (error(member, panel), error(LongSeason(member=member), panel))
            for member in MEMBERS.values()
        ]
        sys.stdout.write(
            f"{name:<33}"
            + "".join(f"{plain:>10.3f}{without:>9.3f}" for plain, without in pairs)
            + "\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
