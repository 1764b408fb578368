"""CRPS of the remaining life at half life by machines to learn from: `python -m bench.life_curve
[100,400,1600] [world_seed]`.

Machines of `dataset=factory`, of 120 hours; 300 others are asked between two and three fifths of
their lives. It says how much of what a model lacks of the true law is for want of machines. The
true law knows the wear, which sensors show with noise: some of the difference no number of machines
takes away.
"""

from __future__ import annotations

import itertools
import sys
from time import process_time

import numpy as np

from hwds.core.seeds import stream
from hwds.datasets.simulated.engines import WearTruth
from hwds.datasets.simulated.factory import Factory
from hwds.frames.runs import Runs
from hwds.lifetime.laws import LIFE_LEVELS
from hwds.lifetime.models.base import FittedLife, LifetimeContext, LifetimeModel
from hwds.lifetime.models.wear_rate import WearRate
from hwds.lifetime.models.xgboost_windows import XGBoostWindows

ASKED, CUTS, DRAWS = 300, 10, 2_000
HALF = (0.4, 0.6)
CONTEXT = LifetimeContext(0, cap=400.0, by_share=True)


def main(counts: list[int], seed: int) -> None:
    """Print a line for each number of machines, with the interval of a bootstrap over those that
    are asked.
    """
    world = Factory(mean_life=120.0, machines=max(counts) + ASKED, lives=1, world_seed=seed)
    runs = world.load()
    asked = runs.take((np.arange(runs.n) >= runs.n - ASKED) & runs.events)
    truth, machine = crps(WearTruth(dataset=world).learn(runs, CONTEXT), asked)
    models: dict[str, LifetimeModel] = {"trees": XGBoostWindows(), "wear_rate": WearRate()}
    for count, (name, model) in itertools.product(counts, models.items()):
        began = process_time()
        own, _ = crps(model.fit(runs.take(np.arange(runs.n) < count), context=CONTEXT), asked)
        low, high = interval(own, truth, machine)
        more = f"{own.mean() / truth.mean() - 1:+.1%} ({low:+.1%} to {high:+.1%})"
        spent = process_time() - began
        print(
            f"{count:>6,} machines, {name}: {own.mean():.2f}, the truth {truth.mean():.2f}, "
            f"{more}; {spent:.0f} s",
            flush=True,
        )


def crps(fitted: FittedLife, runs: Runs) -> tuple[np.ndarray, np.ndarray]:
    """Return twice the mean pinball loss of each machine at ages about its half life, and the
    machine's number, shapes (n,).
    """
    rng, parts, machines = stream(0, 0, "half lives"), [], []
    whole, least = runs.lengths.astype(float), CONTEXT.least
    for cut in range(CUTS):
        rows = least + np.floor(
            (cut + rng.random(runs.n)) / CUTS * np.maximum(whole - least, 0)
        ).astype(int)
        half = (rows >= HALF[0] * whole) & (rows <= HALF[1] * whole)
        if not half.any():
            continue
        lives = fitted.predict(runs.until(np.where(half, rows, 0)))
        gap = (whole - rows)[half][:, None] - lives.quantiles
        parts.append(2 * np.maximum(LIFE_LEVELS * gap, (LIFE_LEVELS - 1) * gap).mean(axis=1))
        machines.append(np.flatnonzero(half))
    return np.concatenate(parts), np.concatenate(machines)


def interval(own: np.ndarray, truth: np.ndarray, machine: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of how much larger the mean is, over machines."""
    sums = [np.bincount(machine, values, machine.max() + 1) for values in (own, truth)]
    drawn = stream(0, 0, "bootstrap").integers(0, len(sums[0]), (DRAWS, len(sums[0])))
    more = sums[0][drawn].sum(axis=1) / sums[1][drawn].sum(axis=1) - 1
    return float(np.quantile(more, 0.025)), float(np.quantile(more, 0.975))


if __name__ == "__main__":
    words = dict(enumerate(sys.argv))
    main([int(word) for word in words.get(1, "100,400,1600").split(",")], int(words.get(2, "0")))
