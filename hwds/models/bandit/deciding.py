"""A policy's law asked for one customer at a time, whether its kernel is compiled or decides by batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from hwds.compiled import compiled
from hwds.models.bandit.draws import seed_stream
from hwds.models.bandit.kernel import BatchKernel, Kernel, begin, choose, known, learn
from hwds.models.bandit.packing import pack, unpack
from hwds.models.bandit.propensity import Chances, propensities
from hwds.seeds import stream, stream_key

WORD = 1 << 64


class Seen(NamedTuple):
    """What came of an exposure: the step of its decision, the customer, the arm, and 1.0 for a conversion."""

    step: int
    segment: int
    context: np.ndarray
    arm: int
    outcome: float


class Law(Protocol):
    """The policy's state and what is done with it; the random numbers of a decision are named by the seed and its step."""

    def select(self, step: int, decision: int, segment: int, context: np.ndarray, active: np.ndarray) -> int:
        """The arm; `step` decisions were made before this batch, and it is decision number `decision`."""
        ...

    def update(self, seen: Sequence[Seen]) -> None:
        """Learn, in this order."""
        ...

    def chances(self, step: int, decision: int, segment: int, context: np.ndarray, active: np.ndarray, draws: int) -> Chances:
        """The chance of each arm."""
        ...

    def packed(self) -> Any:
        """The state as JSON; None where it is none, and must be learned again from the journal."""
        ...

    def unpack(self, data: Any) -> None:
        """Go on from a packed state."""
        ...


def law_of(kernel: Kernel | BatchKernel, seed: int) -> Law:
    """The law of a kernel at its beginning."""
    return _Batched(kernel, seed) if isinstance(kernel, BatchKernel) else _Compiled(kernel, seed)


def begin_one(settings: Any, state: np.ndarray) -> None:
    """In compiled code: the state at the beginning."""
    begin(settings, state)


def select_one(
    settings: Any,
    state: np.ndarray,
    step: int,
    segment: int,
    context: np.ndarray,
    active: np.ndarray,
    words: np.ndarray,
    key: np.uint64,
) -> int:
    """In compiled code: one decision with the random numbers of a key."""
    seed_stream(words, key)
    return choose(settings, state, step, segment, context, active, words)


def update_one(
    settings: Any, state: np.ndarray, step: int, segment: int, context: np.ndarray, arm: int, outcome: float
) -> None:
    """In compiled code: one outcome."""
    learn(settings, state, step, segment, context, arm, outcome)


class _Compiled:
    def __init__(self, kernel: Kernel, seed: int) -> None:
        self.kernel, self.seed = known(kernel), seed
        self.state, self.words = np.zeros(kernel.size), np.zeros(4, np.uint64)
        self.scratch = np.zeros(kernel.size)  # selecting writes on a copy, so that the state is what was learned and no more
        self._select = compiled(select_one, *kernel.functions)
        self._update = compiled(update_one, *kernel.functions)
        compiled(begin_one, *kernel.functions)(kernel.settings, self.state)

    def select(self, step: int, decision: int, segment: int, context: np.ndarray, active: np.ndarray) -> int:
        """See `Law`."""
        key = np.uint64(stream_key(self.seed, "decision", decision) % WORD)
        np.copyto(self.scratch, self.state)
        return int(self._select(self.kernel.settings, self.scratch, decision, segment, context, active, self.words, key))

    def update(self, seen: Sequence[Seen]) -> None:
        """See `Law`."""
        for step, segment, context, arm, outcome in seen:
            self._update(self.kernel.settings, self.state, step, segment, context, arm, outcome)

    def chances(self, step: int, decision: int, segment: int, context: np.ndarray, active: np.ndarray, draws: int) -> Chances:
        """See `Law`."""
        key = stream_key(self.seed, "propensity", decision) % WORD
        asked: dict[str, Any] = {"step": decision, "segment": segment, "context": context, "draws": draws, "key": key}
        return propensities(self.kernel, self.state, active, **asked)

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
    def __init__(self, kernel: BatchKernel, seed: int) -> None:
        self.kernel, self.seed = kernel, seed
        self.state = kernel.start(stream_key(seed, "start") % (1 << 31))

    def select(self, step: int, decision: int, segment: int, context: np.ndarray, active: np.ndarray) -> int:
        """See `Law`."""
        generator = stream(self.seed, "decision", decision)
        return int(self.kernel.select(self.state, step, np.array([segment]), context[None], active, generator)[0])

    def update(self, seen: Sequence[Seen]) -> None:
        """See `Law`."""
        if not seen:
            return
        steps, segments, contexts, arms, outcomes = zip(*seen, strict=True)
        columns = np.array(steps), np.array(segments), np.stack(contexts), np.array(arms), np.array(outcomes)
        self.state = self.kernel.update(self.state, *columns)

    def chances(self, step: int, decision: int, segment: int, context: np.ndarray, active: np.ndarray, draws: int) -> Chances:
        """See `Law`."""
        key = stream_key(self.seed, "propensity", decision)
        asked: dict[str, Any] = {"step": step, "segment": segment, "context": context, "draws": draws, "key": key}
        return propensities(self.kernel, self.state, active, **asked)

    def packed(self) -> Any:
        """See `Law`."""
        try:
            return pack(self.state)
        except TypeError:
            return None  # asked for, not an error: such a state is learned again from the journal, which is then kept whole

    def unpack(self, data: Any) -> None:
        """See `Law`."""
        self.state = unpack(data)
