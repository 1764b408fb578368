"""The chance of each arm, given a policy's state: its own formula where it has one, else counted from its choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hwds.bandit.models.kernels.base import BatchKernel, Kernel, Visit, choose, registered
from hwds.bandit.models.kernels.draws import seed_stream
from hwds.core.numba_cache import compiled

DRAWS = 10_000
"""Choices from which a chance is counted: a standard error of at most half a percent."""

TOGETHER = 1000
"""Choices of one call, of a kernel that draws for each customer anew: what they hold in memory stays small."""


@dataclass(frozen=True, slots=True, eq=False)
class Chances:
    """The chance of each arm to be chosen.

    Attributes:
        values: Shape (K,), with the sum 1; 0 for an arm that may not be offered.
        draws: The choices from which they were counted, one more added to each arm that may be offered (Laplace), so that no
            chance is 0; 0 where they come from the policy's own formula.
    """

    values: np.ndarray
    draws: int = 0


def propensities(
    kernel: Kernel | BatchKernel,
    state: Any,
    visit: Visit,
    *,
    draws: int = DRAWS,
    key: int = 0,
    formula: bool = True,
) -> Chances:
    """Return the chances of a decision, which leave the state as it is.

    Args:
        kernel: The policy's law.
        state: Its state: an array of floats of a compiled kernel, whatever `start` gave of one by batches.
        visit: The customer; of a kernel by batches with the step at which the batch began.
        draws: Choices to count where the policy has no formula.
        key: Names the random numbers of those choices.
        formula: Whether to use the policy's formula where it has one.
    """
    if isinstance(kernel, BatchKernel):
        return _of_batch(kernel, state, visit, 0 if kernel.propensity and formula else draws, key)
    own, chances = np.array(state), np.zeros(len(visit.active))
    if kernel.propensity is not None and formula:
        compiled(kernel.propensity, *kernel.functions)(kernel.settings, own, visit, chances)
        return Chances(chances)
    registered(kernel)
    count = compiled(count_choices, *kernel.functions)
    count(kernel.settings, own, visit, np.zeros(4, np.uint64), np.uint64(key), draws, chances)
    return _smoothed(chances, visit.active, draws)


def count_choices(
    settings: Any, state: np.ndarray, visit: Visit, stream: np.ndarray, key: np.uint64, draws: int, counts: np.ndarray
) -> None:
    """Count how often each arm is chosen in so many draws of one decision, in compiled code."""
    seed_stream(stream, key)
    for _ in range(draws):
        counts[choose(settings, state, visit, stream)] += 1.0


def choice(kernel: BatchKernel, state: Any, visit: Visit, generator: np.random.Generator) -> int:
    """Return the arm of a batch of one customer."""
    step, segment, context, active, _ = visit
    return int(kernel.select(state, step, np.array([segment]), context[None], active, generator)[0])


def _of_batch(kernel: BatchKernel, state: Any, visit: Visit, draws: int, key: int) -> Chances:
    step, segment, context, active, _ = visit
    if kernel.propensity is not None and not draws:
        own = kernel.propensity(state, step, np.array([segment]), context[None], active)
        return Chances(np.asarray(own, np.float64)[0])
    generator = np.random.Generator(np.random.Philox(key=key))
    together, arms = min(draws, TOGETHER) if kernel.independent else 1, list[np.ndarray]()
    for first in range(0, draws, together):
        alike = min(together, draws - first)
        customers = np.full(alike, segment), np.repeat(context[None], alike, axis=0)
        arms.append(kernel.select(state, step, *customers, active, generator))
    return _smoothed(np.bincount(np.concatenate(arms), minlength=len(active)).astype(float), active, draws)


def _smoothed(counts: np.ndarray, active: np.ndarray, draws: int) -> Chances:
    return Chances((counts + 1.0) * active / (draws + active.sum()), draws)
