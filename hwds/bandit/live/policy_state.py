"""PolicyState: what a policy has learned, to decide for one customer at a time; its kernel is compiled or works by batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from hwds.bandit.models.kernels.base import BatchKernel, Kernel, Visit, choose, registered
from hwds.bandit.models.kernels.draws import seed_stream
from hwds.bandit.models.kernels.propensity import Chances, choice, propensities
from hwds.core.numba_cache import compiled
from hwds.core.seeds import stream, stream_key

WORD = 1 << 64


class Seen(NamedTuple):
    """The outcome of an exposure: the customer, but for the arms that were on offer; the arm, and 1.0 for a conversion."""

    visit: Visit
    arm: int
    outcome: float


class PolicyState(Protocol):
    """The state of a policy and the ways to use it; random numbers of a decision are named by the seed and its step.

    Attributes:
        state: The numbers that it consists of.
    """

    state: Any

    def select(self, visit: Visit) -> int:
        """Return the arm for a customer."""
        ...

    def update(self, seen: Sequence[Seen]) -> None:
        """Learn from outcomes, in this order."""
        ...

    def offered(self, visit: Visit, arm: int) -> None:
        """Learn that an arm was shown."""
        ...

    def chances(self, visit: Visit, draws: int) -> Chances:
        """Return the chance of each arm."""
        ...

    def resume(self, state: Any) -> None:
        """Continue from a stored state.

        Raises:
            ValueError: It is of another size.
        """
        ...


def policy_state_of(kernel: Kernel | BatchKernel, seed: int, batch: int = 1) -> PolicyState:
    """Return the state of a kernel that has learned nothing; `batch` decisions are made between two updates."""
    return _Batched(kernel, seed, batch) if isinstance(kernel, BatchKernel) else _Compiled(kernel, seed)


def select_one(settings: Any, state: np.ndarray, visit: Visit, words: np.ndarray, key: np.uint64) -> int:
    """Return one decision with the random numbers of a key, in compiled code."""
    seed_stream(words, key)
    return choose(settings, state, visit, words)


class _Compiled:
    def __init__(self, kernel: Kernel, seed: int) -> None:
        self.kernel, self.seed = registered(kernel), seed
        self.state, self.words = np.zeros(kernel.size), np.zeros(4, np.uint64)
        self.scratch = np.zeros(kernel.size)  # selecting writes on a copy, so that the state is what was learned and no more
        self._select = compiled(select_one, *kernel.functions)
        self._update = compiled(kernel.update, *kernel.functions)
        self._offered = None if kernel.offered is None else compiled(kernel.offered, *kernel.functions)
        compiled(kernel.init, *kernel.functions)(kernel.settings, self.state)

    def select(self, visit: Visit) -> int:
        """See `PolicyState`."""
        key = np.uint64(stream_key(self.seed, "decision", visit.step) % WORD)
        self.scratch[:] = self.state
        return int(self._select(self.kernel.settings, self.scratch, visit, self.words, key))

    def update(self, seen: Sequence[Seen]) -> None:
        """See `PolicyState`."""
        for visit, arm, outcome in seen:
            self._update(self.kernel.settings, self.state, visit, arm, outcome)

    def offered(self, visit: Visit, arm: int) -> None:
        """See `PolicyState`."""
        if self._offered is not None:
            self._offered(self.kernel.settings, self.state, visit, arm)

    def chances(self, visit: Visit, draws: int) -> Chances:
        """See `PolicyState`."""
        key = stream_key(self.seed, "propensity", visit.step) % WORD
        return propensities(self.kernel, self.state, visit, draws=draws, key=key)

    def resume(self, state: Any) -> None:
        """See `PolicyState`."""
        if state.shape != self.state.shape:
            raise ValueError(f"holds {state.size} numbers, and the policy now has {self.state.size}")
        self.state = state


class _Batched:
    def __init__(self, kernel: BatchKernel, seed: int, batch: int) -> None:
        self.kernel, self.seed, self.batch = kernel, seed, batch
        self.state = kernel.start(stream_key(seed, "start") % (1 << 31))

    def select(self, visit: Visit) -> int:
        """See `PolicyState`."""
        generator = stream(self.seed, "decision", visit.step)
        return choice(self.kernel, self.state, self._first(visit), generator)

    def update(self, seen: Sequence[Seen]) -> None:
        """See `PolicyState`."""
        if not seen:
            return
        visits, arms, outcomes = zip(*seen, strict=True)
        steps, segments, contexts, *_ = zip(*visits, strict=True)
        columns = np.array(steps), np.array(segments), np.stack(contexts), np.array(arms), np.array(outcomes)
        self.state = self.kernel.update(self.state, *columns)

    def offered(self, visit: Visit, arm: int) -> None:
        """See `PolicyState`; a policy by batches learns nothing of it."""

    def chances(self, visit: Visit, draws: int) -> Chances:
        """See `PolicyState`."""
        key = stream_key(self.seed, "propensity", visit.step)
        return propensities(self.kernel, self.state, self._first(visit), draws=draws, key=key)

    def _first(self, visit: Visit) -> Visit:
        """Return the customer at the step at which the batch began."""
        return visit._replace(step=visit.step // self.batch * self.batch)

    def resume(self, state: Any) -> None:
        """See `PolicyState`."""
        self.state = state
