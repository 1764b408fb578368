"""A policy's law asked for one customer at a time, whether its kernel is compiled or decides by batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from hwds.compiled import compiled
from hwds.models.bandit.draws import seed_stream
from hwds.models.bandit.kernel import BatchKernel, Kernel, Visit, choose, known
from hwds.models.bandit.packing import pack, unpack
from hwds.models.bandit.propensity import Chances, choice, propensities
from hwds.seeds import stream, stream_key

WORD = 1 << 64


class Seen(NamedTuple):
    """What came of an exposure: the customer, but for the arms that were on offer; the arm, and 1.0 for a conversion."""

    visit: Visit
    arm: int
    outcome: float


class Law(Protocol):
    """The policy's state and what is done with it; the random numbers of a decision are named by the seed and its step."""

    def select(self, visit: Visit) -> int:
        """The arm."""
        ...

    def update(self, seen: Sequence[Seen]) -> None:
        """Learn, in this order."""
        ...

    def chances(self, visit: Visit, draws: int) -> Chances:
        """The chance of each arm."""
        ...

    def packed(self) -> Any:
        """The state as JSON; None where it is none, and must be learned again from the journal."""
        ...

    def unpack(self, data: Any) -> None:
        """Go on from a packed state."""
        ...


def law_of(kernel: Kernel | BatchKernel, seed: int, batch: int = 1) -> Law:
    """The law of a kernel at its beginning; `batch` decisions are made between two updates."""
    return _Batched(kernel, seed, batch) if isinstance(kernel, BatchKernel) else _Compiled(kernel, seed)


def select_one(settings: Any, state: np.ndarray, visit: Visit, words: np.ndarray, key: np.uint64) -> int:
    """In compiled code: one decision with the random numbers of a key."""
    seed_stream(words, key)
    return choose(settings, state, visit, words)


class _Compiled:
    def __init__(self, kernel: Kernel, seed: int) -> None:
        self.kernel, self.seed = known(kernel), seed
        self.state, self.words = np.zeros(kernel.size), np.zeros(4, np.uint64)
        self.scratch = np.zeros(kernel.size)  # selecting writes on a copy, so that the state is what was learned and no more
        self._select = compiled(select_one, *kernel.functions)
        self._update = compiled(kernel.update, *kernel.functions)
        compiled(kernel.init, *kernel.functions)(kernel.settings, self.state)

    def select(self, visit: Visit) -> int:
        """See `Law`."""
        key = np.uint64(stream_key(self.seed, "decision", visit.step) % WORD)
        np.copyto(self.scratch, self.state)
        return int(self._select(self.kernel.settings, self.scratch, visit, self.words, key))

    def update(self, seen: Sequence[Seen]) -> None:
        """See `Law`."""
        for visit, arm, outcome in seen:
            self._update(self.kernel.settings, self.state, visit, arm, outcome)

    def chances(self, visit: Visit, draws: int) -> Chances:
        """See `Law`."""
        key = stream_key(self.seed, "propensity", visit.step) % WORD
        return propensities(self.kernel, self.state, visit, draws=draws, key=key)

    def packed(self) -> Any:
        """See `Law`."""
        return pack(self.state)

    def unpack(self, data: Any) -> None:
        """See `Law`."""
        state = unpack(data)
        if state.shape != self.state.shape:
            raise ValueError(f"holds {state.size} numbers, and the policy now has {self.state.size}")
        self.state = state


class _Batched:
    def __init__(self, kernel: BatchKernel, seed: int, batch: int) -> None:
        self.kernel, self.seed, self.batch = kernel, seed, batch
        self.state = kernel.start(stream_key(seed, "start") % (1 << 31))

    def select(self, visit: Visit) -> int:
        """See `Law`."""
        generator = stream(self.seed, "decision", visit.step)
        return choice(self.kernel, self.state, self._first(visit), generator)

    def update(self, seen: Sequence[Seen]) -> None:
        """See `Law`."""
        if not seen:
            return
        visits, arms, outcomes = zip(*seen, strict=True)
        steps, segments, contexts, _ = zip(*visits, strict=True)
        columns = np.array(steps), np.array(segments), np.stack(contexts), np.array(arms), np.array(outcomes)
        self.state = self.kernel.update(self.state, *columns)

    def chances(self, visit: Visit, draws: int) -> Chances:
        """See `Law`."""
        key = stream_key(self.seed, "propensity", visit.step)
        return propensities(self.kernel, self.state, self._first(visit), draws=draws, key=key)

    def _first(self, visit: Visit) -> Visit:
        """The customer at the step at which the batch began."""
        return visit._replace(step=visit.step // self.batch * self.batch)

    def packed(self) -> Any:
        """See `Law`."""
        try:
            return pack(self.state)
        except TypeError:
            return None  # asked for, not an error: such a state is learned again from the journal, which is then kept whole

    def unpack(self, data: Any) -> None:
        """See `Law`."""
        self.state = unpack(data)
