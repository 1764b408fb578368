"""A policy of a user's own, played in plain Python on two toy games before it is compiled.

Compiled code does not look whether an index lies in the state, so that too small a one ends the process; here it is a line.
"""

from __future__ import annotations

import numpy as np

from hwds.bandit.arms import Arms
from hwds.bandit.models.base import Policy
from hwds.bandit.models.kernels.base import BatchKernel, Kernel, Visit
from hwds.bandit.models.kernels.draws import keyed, seed_stream
from hwds.evaluation.abilities import WrongAnswerError

STEPS = 40
"""Customers of a game."""


def try_policy(model: Policy, arms: Arms) -> None:
    """Play two games, in which every third customer buys.

    Raises:
        WrongAnswerError: The policy returns no kernel, or chooses an arm that is not offered.
        IndexError: It reads or writes beyond its state.
    """
    kernel = model.kernel(arms)
    if isinstance(kernel, BatchKernel):
        return
    if not isinstance(kernel, Kernel):
        raise WrongAnswerError(f"kernel must return a Kernel, got {type(kernel).__name__}")
    for game in (0, 1):
        with np.errstate(all="ignore"):  # random words overflow, as they do when compiled
            _play(kernel, arms, game)


def _play(kernel: Kernel, arms: Arms, game: int) -> None:
    state, stream, active = np.zeros(kernel.size), np.zeros(4, np.uint64), np.ones(arms.count, bool)
    seed_stream(stream, keyed(np.uint64(game + 1), 0))
    active[-1] = arms.count < 3 or not game  # the second game leaves an arm out
    kernel.init(kernel.settings, state)
    for step in range(STEPS):
        segment = step % len(arms.contexts)
        visit = Visit(step, segment, arms.contexts[segment], active, float(step))
        arm = kernel.select(kernel.settings, state, visit, stream)
        if not (float(arm) == int(arm) and 0 <= arm < arms.count and active[int(arm)]):
            offered = np.flatnonzero(active).tolist()
            raise WrongAnswerError(
                f"select of a state of {kernel.size} numbers must return one of the arms {offered}, got {arm!r}"
            )
        if kernel.offered is not None:
            kernel.offered(kernel.settings, state, visit, int(arm))
        kernel.update(kernel.settings, state, visit, int(arm), float(step % 3 == 0))
