"""How often the search for give-aways is wrong: `python -m bench.false_alarms [WORLDS]`.

Every shipped data set, public ones where $HWDS_DATA names their folder, and simulated ones under
other seeds too, has no column that gives away what is predicted; and no lawful policy loses less
than one that must learn can. 1 where anything is remarked.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np

from hwds.bandit.models.kernels.base import Kernel
from hwds.bandit.protocols.bandit_simulation import below_lower_bound, world_arms
from hwds.bandit.simulation.play import Game, play_compiled
from hwds.core.compose import compose
from hwds.core.config import build
from hwds.core.errors import ConfigError, DataError
from hwds.core.registry import options
from hwds.datasets.base import Dataset
from hwds.datasets.reading.leakage import giveaways
from hwds.datasets.simulated.price_arms import PriceArms
from hwds.experiment.prepare import likely_giveaways
from hwds.frames.world import World

WORLDS = 3
"""Seeds of each simulated data set, and worlds of plain arms."""

GAMES, STEPS = 100, (300, 3000)
"""Replications of each game, and its steps."""

SEEDS = ("seed", "world_seed")


def main(words: list[str]) -> int:
    """Print a line for each data set, and for each policy and world that is remarked."""
    logging.disable(logging.WARNING)
    worlds = int(words[0]) if words else WORLDS
    alarms = sum([*of_datasets(worlds), *of_policies(worlds)])
    print(f"{alarms} false alarms")
    return int(alarms > 0)


def of_datasets(worlds: int) -> Iterator[int]:
    """Yield the number of false alarms of each data set, under each seed."""
    for name in sorted(options("dataset")):
        try:
            dataset: Any = build("dataset", "dataset", compose([f"dataset={name}"])["dataset"])
        except ConfigError:  # a user's own file
            continue
        seeds = [field.name for field in fields(dataset) if field.name in SEEDS]
        for seed in range(worlds if seeds else 1):
            own = replace(dataset, **{field: getattr(dataset, field) + seed for field in seeds})
            yield of_dataset(f"{name} {seed}" if seed else name, own)


def of_dataset(name: str, dataset: Dataset) -> int:
    """Print what is said of a data set and how long that takes; return how much is said."""
    try:
        frame: Any = dataset.load()
    except (DataError, ConfigError) as error:
        print(f"{name:<28} left out: {error}")
        return 0
    began = time.process_time()
    told = [*giveaways(frame), *likely_giveaways(frame)]
    print(f"{name:<28} {len(told)} {time.process_time() - began:6.2f} s")
    for line in told:
        print(f"    {line}")
    return len(told)


def of_policies(worlds: int) -> Iterator[int]:
    """Yield the number of policies that are remarked in each world."""
    rng = np.random.default_rng(0)
    for number in range(worlds):
        means = tuple(np.round(rng.beta(1.5, 4.0, int(rng.integers(2, 9))), 3).tolist())
        for steps in STEPS:
            told = list(remarked(PriceArms(means=means).load(), steps))
            print(f"world {number}, {steps} steps: {len(told)} {' '.join(told)}")
            yield len(told)


def remarked(world: World, steps: int) -> Iterator[str]:
    """Yield the policies that are remarked in a world."""
    game = Game(steps, 1, (steps,))
    for name in sorted(options("model")):
        if not name.startswith("bandit/"):
            continue
        policy: Any = build("model", "model", compose([f"model={name}"])["model"])
        try:
            kernel = policy.kernel(world_arms(world, game))
        except ConfigError:  # it needs what is not known of these arms
            continue
        if isinstance(kernel, Kernel):
            lost = play_compiled(kernel, world, game, 1, 0, GAMES).pseudo[:, -1]
            if list(below_lower_bound(lost, world, steps)):
                yield name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
