"""The state of a policy in production: what it learned, its chances, decisions that wait."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy import ndarray

from hwds.bandit.models.kernels.base import (
    Arms,
    BatchKernel,
    Kernel,
    Visit,
    call_select,
    register_kernel,
)
from hwds.bandit.models.kernels.draws import seed_stream
from hwds.core.compiling import compiled
from hwds.core.errors import DataError, nearest
from hwds.core.seeds import stream, stream_key
from hwds.core.serialization import Serializable

# The chance of each arm, given a policy's state: its own formula where it has one, else counted
# from its choices.

CHANCE_DRAWS = 10_000
"""Choices from which a chance is counted: a standard error of at most half a percent."""

CHOICES_AT_ONCE = 1000
"""Choices of one call, of a kernel that draws for each customer anew: what they hold in memory
stays small.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Chances:
    """The chance of each arm to be chosen.

    Attributes:
        values: Shape (K,), with the sum 1; 0 for an arm that may not be offered.
        draws: The choices from which they were counted, one more added to each arm that may be
            offered (Laplace), so that no chance is 0; 0 where they come from the policy's own
            formula.
    """

    values: ndarray
    draws: int = 0


def chances_of_arms(
    kernel: Kernel | BatchKernel,
    state: Any,
    visit: Visit,
    *,
    draws: int = CHANCE_DRAWS,
    key: int = 0,
    formula: bool = True,
) -> Chances:
    """Return the chances of a decision, which leave the state as it is.

    Args:
        kernel: The policy's law.
        state: Its state: an array of floats of a compiled kernel, whatever `start` gave of one by
            batches.
        visit: The customer; of a kernel by batches with the step at which the batch began.
        draws: Choices to count where the policy has no formula.
        key: Names the random numbers of those choices.
        formula: Whether to use the policy's formula where it has one.
    """
    if isinstance(kernel, BatchKernel):
        return _batch_chances(
            kernel, state, visit, 0 if kernel.propensity and formula else draws, key
        )
    own, chances = np.array(state), np.zeros(len(visit.active))
    if kernel.propensity is not None and formula:
        compiled(kernel.propensity, *kernel.functions)(kernel.settings, own, visit, chances)
        return Chances(chances)
    register_kernel(kernel)
    count = compiled(count_choices, *kernel.functions)
    count(kernel.settings, own, visit, np.zeros(4, np.uint64), np.uint64(key), draws, chances)
    return _smooth_counts(chances, visit.active, draws)


def count_choices(
    settings: Any,
    state: ndarray,
    visit: Visit,
    stream: ndarray,
    key: np.uint64,
    draws: int,
    counts: ndarray,
) -> None:
    """Count how often each arm is chosen in so many draws of one decision, in compiled code."""
    seed_stream(stream, key)
    for _ in range(draws):
        counts[call_select(settings, state, visit, stream)] += 1.0


def choose_of_batch(
    kernel: BatchKernel, state: Any, visit: Visit, generator: np.random.Generator
) -> int:
    """Return the arm of a batch of one customer."""
    step, segment, context, active, _ = visit
    return int(kernel.select(state, step, np.array([segment]), context[None], active, generator)[0])


def _batch_chances(kernel: BatchKernel, state: Any, visit: Visit, draws: int, key: int) -> Chances:
    step, segment, context, active, _ = visit
    if kernel.propensity is not None and not draws:
        own = kernel.propensity(state, step, np.array([segment]), context[None], active)
        return Chances(np.asarray(own, np.float64)[0])
    generator = np.random.Generator(np.random.Philox(key=key))
    together = min(draws, CHOICES_AT_ONCE) if kernel.independent else 1
    counts = np.zeros(len(active))
    for first in range(0, draws, together):
        alike = min(together, draws - first)
        customers = np.full(alike, segment), np.repeat(context[None], alike, axis=0)
        arms = kernel.select(state, step, *customers, active, generator)
        counts += np.bincount(arms, minlength=len(active))
    return _smooth_counts(counts, active, draws)


def _smooth_counts(counts: ndarray, active: ndarray, draws: int) -> Chances:
    return Chances((counts + 1.0) * active / (draws + active.sum()), draws)


# PolicyState: what a policy has learned, to decide for one customer at a time; its kernel is
# compiled or works by batches.

WORD_VALUES = 1 << 64


class SeenOutcome(NamedTuple):
    """The outcome of an exposure: the customer, but for the arms that were on offer; the arm, and
    1.0 for a conversion.
    """

    visit: Visit
    arm: int
    outcome: float


def policy_state_of(kernel: Kernel | BatchKernel, seed: int, batch: int = 1) -> PolicyState:
    """Return the state of a kernel that has learned nothing.

    `batch` decisions are made between two updates.
    """
    if isinstance(kernel, BatchKernel):
        return BatchedState(kernel, seed, batch)
    return CompiledState(kernel, seed)


def select_with_key(
    settings: Any, state: ndarray, visit: Visit, words: ndarray, key: np.uint64
) -> int:
    """Return one decision with the random numbers of a key, in compiled code."""
    seed_stream(words, key)
    return call_select(settings, state, visit, words)


class CompiledState:
    """The state of a compiled policy and the ways to use it; random numbers of a decision are named
    by the seed and its step.

    Attributes:
        state: The numbers that it consists of.
    """

    def __init__(self, kernel: Kernel, seed: int) -> None:
        self.kernel, self.seed = register_kernel(kernel), seed
        self.state, self.words = np.zeros(kernel.size), np.zeros(4, np.uint64)
        # selecting writes on a copy, so that the state is what was learned and no more
        self.scratch = np.zeros(kernel.size)
        functions = kernel.functions
        self._select = compiled(select_with_key, *functions)
        self._update = compiled(kernel.update, *functions)
        self._offered = compiled(kernel.offered, *functions) if kernel.offered else None
        compiled(kernel.init, *functions)(kernel.settings, self.state)

    def select(self, visit: Visit) -> int:
        """Return the arm for a customer."""
        key = np.uint64(stream_key(self.seed, "decision", visit.step) % WORD_VALUES)
        self.scratch[:] = self.state
        return int(self._select(self.kernel.settings, self.scratch, visit, self.words, key))

    def update(self, seen: Sequence[SeenOutcome]) -> None:
        """Learn from outcomes, in this order."""
        for visit, arm, outcome in seen:
            self._update(self.kernel.settings, self.state, visit, arm, outcome)

    def offered(self, visit: Visit, arm: int) -> None:
        """Learn that an arm was shown."""
        if self._offered is not None:
            self._offered(self.kernel.settings, self.state, visit, arm)

    def chances(self, visit: Visit, draws: int) -> Chances:
        """Return the chance of each arm."""
        key = stream_key(self.seed, "propensity", visit.step) % WORD_VALUES
        return chances_of_arms(self.kernel, self.state, visit, draws=draws, key=key)

    def resume(self, state: Any) -> None:
        """Continue from a stored state.

        Raises:
            ValueError: It is of another size.
        """
        if state.shape != self.state.shape:
            sizes = f"holds {state.size} numbers, and the policy now has {self.state.size}"
            raise ValueError(sizes)
        self.state = state


class BatchedState:
    """The same of a policy that works by batches.

    Attributes:
        state: Whatever its kernel keeps.
    """

    def __init__(self, kernel: BatchKernel, seed: int, batch: int) -> None:
        self.kernel, self.seed, self.batch = kernel, seed, batch
        self.state = kernel.start(stream_key(seed, "start") % (1 << 31))

    def select(self, visit: Visit) -> int:
        """Return the arm for a customer."""
        generator = stream(self.seed, "decision", visit.step)
        return choose_of_batch(self.kernel, self.state, self._first(visit), generator)

    def update(self, seen: Sequence[SeenOutcome]) -> None:
        """Learn from outcomes, in this order."""
        if not seen:
            return
        visits, arms, outcomes = zip(*seen, strict=True)
        columns = *list(zip(*visits, strict=True))[:3], arms, outcomes
        self.state = self.kernel.update(self.state, *map(np.array, columns))

    def offered(self, visit: Visit, arm: int) -> None:
        """Learn nothing of an arm that was shown."""

    def chances(self, visit: Visit, draws: int) -> Chances:
        """Return the chance of each arm."""
        key = stream_key(self.seed, "propensity", visit.step)
        return chances_of_arms(self.kernel, self.state, self._first(visit), draws=draws, key=key)

    def _first(self, visit: Visit) -> Visit:
        """Return the customer at the step at which the batch began."""
        return visit._replace(step=visit.step // self.batch * self.batch)

    def resume(self, state: Any) -> None:
        """Continue from a stored state."""
        self.state = state


PolicyState = CompiledState | BatchedState
"""The state of a policy: its kernel is compiled or works by batches."""


# Checks what a caller says of a customer: what is wrong is refused in one line, and nothing has
# happened.

INTEGER_TYPES = int | np.integer
TRUTH_TYPES = bool | np.bool_ | int | np.integer | float
NUMBER_TYPES = int | float | np.integer | np.floating
LONGEST_ID = 1000


class Customer(NamedTuple):
    """A customer: the segment, the context, and whether that is another one than the segment's."""

    segment: int
    context: ndarray
    own_context: bool


def customer_of(
    arms: Arms, context: Sequence[float] | ndarray | None, segment: int | None
) -> Customer:
    """Return the customer of a context and a segment.

    Raises:
        DataError: No such segment, a context of another length or with NaN, or a segment that
            cannot be inferred.
    """
    count = len(arms.contexts)
    if segment is not None and (not isinstance(segment, INTEGER_TYPES) or not 0 <= segment < count):
        raise DataError(f"segment: must be 0 to {count - 1}, got {segment!r}.")
    if context is None:
        if segment is None and count > 1:
            raise DataError(f"segment: must be given, 0 to {count - 1}.")
        return Customer(int(segment or 0), arms.contexts[segment or 0], False)
    vector = _check_context(arms.contexts.shape[1], context)
    if segment is None:
        same = np.flatnonzero((arms.contexts == vector).all(axis=1))
        if not len(same) and count > 1:
            raise DataError(
                f"segment: must be given (0 to {count - 1}) with a context that is no segment's "
                f"own."
            )
        segment = int(same[0]) if len(same) else 0
    return Customer(int(segment), vector, not np.array_equal(arms.contexts[segment], vector))


def _check_context(size: int, context: Sequence[float] | ndarray) -> ndarray:
    try:
        vector = np.array(context, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"context: must be {size} numbers, got {context!r}.") from error
    if vector.shape != (size,):
        raise DataError(
            f"context: must be {size} numbers, got "
            f"{' x '.join(map(str, vector.shape)) or 'one number'}."
        )
    if not np.isfinite(vector).all():
        raise DataError(
            f"context[{int(np.argmin(np.isfinite(vector)))}]: must be finite, got "
            f"{vector[~np.isfinite(vector)][0]}."
        )
    return vector


def active_arms(arms: Arms, active: Sequence[str] | ndarray | None) -> ndarray:
    """Return whether each arm may be offered, shape (K,), read-only.

    Raises:
        DataError: An arm is unknown, none is left, or there are too few flags.
    """
    if active is None:
        return arms.all_active
    flags = list(active) if not isinstance(active, str) else [active]
    if flags and all(isinstance(flag, bool | np.bool_) for flag in flags):
        if len(flags) != arms.count:
            raise DataError(
                f"active: must hold a flag for each of the {arms.count} arms, got {len(flags)}."
            )
        allowed = np.array(flags, bool)
    else:
        for name in flags:
            if name not in arms.names:
                raise DataError(f"active: unknown arm {name!r}{nearest(str(name), arms.names)}")
        allowed = np.array([name in flags for name in arms.names], bool)
    if not allowed.any():
        raise DataError("active: no arm may be offered.")
    allowed.flags.writeable = False  # a type of its own to numba: that of `all_active`
    return allowed


def check_id(id: Any) -> str:
    """Return the caller's own id of a decision.

    Raises:
        DataError: It is no text of 1 to 1,000 characters of Unicode.
    """
    if not isinstance(id, str) or not 1 <= len(id) <= LONGEST_ID or not id.isprintable():
        raise DataError(
            f"id: must be a text of 1 to {LONGEST_ID:,} printable characters, got {id!r:.60}."
        )
    return id


def check_outcome(converted: Any) -> bool:
    """Return whether the customer converted.

    Raises:
        DataError: It is no truth value; a reward in currency is none.
    """
    if isinstance(converted, TRUTH_TYPES) and converted in (0, 1):
        return bool(converted)
    raise DataError(f"converted: must be true or false, got {converted!r}.")


def check_amount(amount: Any, converted: bool, *, learned: bool) -> float | None:
    """Return what a conversion brought; None where it was not reported.

    Raises:
        DataError: It is no amount above 0, of no conversion, or of a policy that learns from
            conversions alone.
    """
    if amount is None:
        return None
    if not learned:
        raise DataError(
            "amount: this policy learns from conversions alone; bandit/basket_thompson learns "
            "from amounts."
        )
    if not _is_finite(amount) or amount <= 0 or not converted:
        raise DataError(f"amount: must be a number above 0, of a conversion, got {amount!r:.80}.")
    return float(amount)


def check_time(at: Any, clock: float | None, until: float = math.inf) -> float:
    """Return a time; that of the clock where none is given, never before the last.

    Raises:
        DataError: It is no finite number, before the last decision, or after `until`.
    """
    if at is None:
        return max(time.time(), clock if clock is not None else -math.inf)
    if not _is_finite(at):
        raise DataError(f"at: must be a finite number, got {at!r:.80}.")
    if clock is not None and at < clock:
        raise DataError(f"at: must not go back, got {at} after {clock}.")
    if at > until:
        raise DataError(
            f"at: must not be later than {until:.15g}, which is as far ahead as is allowed, got "
            f"{at:.15g}."
        )
    return float(at)


def _is_finite(value: Any) -> bool:
    """Return whether a value is a number that a double can hold."""
    try:
        return (
            isinstance(value, NUMBER_TYPES) and not isinstance(value, bool) and math.isfinite(value)
        )
    except OverflowError:
        return False


# Exposures: the decisions whose outcome is not known yet, and what became of the others.

OutcomeStatus = Literal["learned", "repeated", "late", "unknown"]
"""The status of a reported outcome: learned, or why it is not."""


@dataclass(frozen=True, slots=True)
class Exposure(Serializable):
    """A decision that waits for its outcome; a context of its own, where it was not its
    segment's.
    """

    arm: int
    segment: int
    at: float
    context: tuple[float, ...] | None = None

    def visit(self, decision: int, arms: Arms) -> Visit:
        """Return the customer with all arms on offer: which of them were is not stored, as nothing
        learns from it.
        """
        context = np.array(self.context) if self.context else arms.contexts[self.segment]
        return Visit(decision, self.segment, context, arms.all_active, self.at)


@dataclass(slots=True)
class Exposures(Serializable):
    """The record of all decisions: they are numbered, so that one bit each remembers for ever that
    its outcome was reported.

    Attributes:
        decisions: So far.
        clock: The time of the last decision.
        last: The highest decision that was answered.
        waiting: Exposures by decision, in their order.
        closed: What the policy has not learned yet: decision, exposure, outcome.
        answered: A bit for each decision whose outcome was reported, eight a number.
        tally: What happened how often.
    """

    decisions: int = 0
    clock: float = float("-inf")
    last: int = -1
    waiting: dict[int, Exposure] = field(default_factory=dict)
    closed: list[tuple[int, Exposure, float]] = field(default_factory=list)
    answered: bytearray = field(default_factory=lambda: bytearray(1024))
    tally: dict[str, int] = field(default_factory=dict)

    def open(self, exposure: Exposure) -> None:
        """Add a decision."""
        self.waiting[self.decisions] = exposure
        self.decisions += 1
        self._count(f"shown {exposure.arm}")
        self.clock = max(self.clock, exposure.at)
        if self.decisions > 8 * len(self.answered):
            self.answered.extend(bytes(len(self.answered)))

    def shown(self, arms: int) -> ndarray:
        """Return how many customers each arm was offered to, shape (arms,)."""
        return np.array([self.tally.get(f"shown {arm}", 0) for arm in range(arms)], float)

    def turn(self, switch: str, *, on: bool) -> None:
        """Turn a switch: `stopped`, or `retired` and an arm's number."""
        self.tally[switch] = int(on)

    def is_on(self, switch: str) -> bool:
        """Return whether a switch is on."""
        return bool(self.tally.get(switch, 0))

    def status(self, decision: Any) -> OutcomeStatus:
        """Return what an outcome of a decision would be now.

        Whatever is no whole number is unknown.
        """
        is_number = isinstance(decision, INTEGER_TYPES) and not isinstance(decision, bool)
        if not (is_number and 0 <= decision < self.decisions):
            return "unknown"
        if decision in self.waiting:
            return "learned"
        return "repeated" if self.answered[decision // 8] >> (decision % 8) & 1 else "late"

    def close(
        self, status: OutcomeStatus, decision: int, converted: bool, worth: float = 1.0
    ) -> None:
        """Count an outcome, and keep it to be learned where it closes an exposure.

        Args:
            status: What the outcome is.
            decision: The number of the decision.
            converted: Whether the customer bought.
            worth: What a conversion brought over the arm's value.
        """
        if status != "learned":
            self._count(status)
            return
        self.closed.append((decision, self.waiting.pop(decision), worth if converted else 0.0))
        self.answered[decision // 8] |= 1 << decision % 8
        self._count("conversions" if converted else "refusals")
        if decision < self.last:
            self._count("out_of_order")
        self.last = max(self.last, decision)

    def older(self, before: float) -> int:
        """Return how many of the oldest were decided before a time; times never go back."""
        count = 0
        for exposure in self.waiting.values():
            if exposure.at >= before:
                break
            count += 1
        return count

    def expire(self, before: float) -> None:
        """Close the exposures as refusals."""
        for decision in list(self.waiting)[: self.older(before)]:
            self.closed.append((decision, self.waiting.pop(decision), 0.0))
            self._count("refusals")
            self._count("expired")

    def taken(self, arms: Arms) -> list[SeenOutcome]:
        """Return what is to be learned, in the order in which it was closed.

        It is returned once.
        """
        taken, self.closed = self.closed, []
        return [
            SeenOutcome(exposure.visit(decision, arms), exposure.arm, outcome)
            for decision, exposure, outcome in taken
        ]

    @property
    def counts(self) -> dict[str, int]:
        """Return the count of each kind of event, zeros included."""
        ends, odd = ("conversions", "refusals", "expired"), ("repeated", "late", "unknown")
        counts = {name: self.tally.get(name, 0) for name in (*ends, "out_of_order", *odd)}
        return {"decisions": self.decisions, "open": len(self.waiting)} | counts

    def _count(self, name: str) -> None:
        self.tally[name] = self.tally.get(name, 0) + 1
