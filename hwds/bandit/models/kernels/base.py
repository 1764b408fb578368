"""Kernels: the law of a policy on arms, as functions that compiled code calls; their rehearsal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from hwds.bandit.models.kernels.draws import seed_stream
from hwds.core.compiling import helper, helper_options
from hwds.core.errors import ConfigError

# Arms: the facts that a policy may know of its arms.


@dataclass(frozen=True, eq=False)
class Arms:
    """The facts that a policy knows before the first customer.

    Attributes:
        names: The arms, K of them.
        values: What one conversion earns, in currency (price, or margin), shape (K,); ones where
            there are no prices.
        contexts: What is seen of a customer of each segment, shape (S, D).
        horizon: The steps that will be played; 0 where nobody knows.
        range: The least and the most that one step can earn; None where it was not declared.
        delay: The mean time from an offer to its conversion; 0 where all is seen at once, or nobody
            knows.
        window: The time after which an offer without a conversion counts as refused; 0 where nobody
            knows.
    """

    names: tuple[str, ...]
    values: ndarray
    contexts: ndarray
    horizon: int = 0
    range: tuple[float, float] | None = None
    delay: float = 0.0
    window: float = 0.0

    @property
    def count(self) -> int:
        """K."""
        return len(self.names)

    @cached_property
    def all_active(self) -> ndarray:
        """A flag for each arm that it may be offered, shape (K,).

        Read-only, for all customers share it.
        """
        flags = np.ones(self.count, bool)
        flags.flags.writeable = False
        return flags


# Kernel: the law of a policy as functions on flat arrays, and how compiled code calls it.

__all__ = ["BatchKernel", "Function", "Kernel", "Visit", "helper"]

Function = Callable[..., Any]


class Visit(NamedTuple):
    """The customer for whom an arm is chosen.

    Attributes:
        step: Decisions made before.
        segment: The customer's, from 0.
        context: Shape (D,).
        active: Whether each arm may be offered, shape (K,).
        at: When: the step in a simulation, in production the time of the decision.
    """

    step: int
    segment: int
    context: ndarray
    active: ndarray
    at: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """The law of a policy, compiled by numba: plain functions of a module, on flat arrays of
    numbers.

    `settings` is a NamedTuple of numbers and arrays; its class names the law, so it belongs to
    these functions alone. `state` is a flat array of floats, all zero before `init`. Functions of
    one's own that they call are marked with `hwds.bandit.helper`.

    Attributes:
        settings: What the functions read and never write.
        size: Numbers in the state.
        init: `init(settings, state)`.
        select: `select(settings, state, visit, stream) -> arm`. It leaves the state as it is, but
            for what it uses as scratch.
        update: `update(settings, state, visit, arm, outcome)`: what came of an arm; `outcome` is 1
            for a conversion and 0 for none. The visit is that of the decision, but for `active`,
            which nobody keeps until the outcome comes: it is not to be learned from.
        propensity: `propensity(settings, state, visit, chances)` fills the probability of each arm;
            None where it is counted from draws of `select`.
        offered: `offered(settings, state, visit, arm)`: an arm was shown, whose outcome is not
            known yet; None where that is nothing to be learned from.
        amounts: Whether `update` learns from amounts: then an outcome is what a conversion brought
            over the arm's value.
    """

    settings: Any
    size: int
    init: Function
    select: Function
    update: Function
    propensity: Function | None = None
    offered: Function | None = None
    amounts: bool = False

    compiled = True

    @property
    def functions(self) -> tuple[Function, ...]:
        """The functions that the kernel has."""
        return tuple(
            f
            for f in (self.init, self.select, self.update, self.propensity, self.offered)
            if f is not None
        )


@dataclass(frozen=True, slots=True, eq=False)
class BatchKernel:
    """The law of a policy that decides and learns by batches, in numpy or Keras.

    Attributes:
        start: `start(seed) -> state`: any object.
        select: `select(state, step, segments, contexts, active, generator) -> arms`; segments of
            shape (n,), contexts (n, D).
        update: `update(state, steps, segments, contexts, arms, outcomes) -> state`; all of shape
            (n,) but the contexts.
        propensity: `propensity(state, step, segments, contexts, active) -> (n, K)`; None where it
            is counted from draws.
        independent: True where `select` draws for each customer of a batch anew, so that a chance
            is counted from one call for many customers who are alike; False where it may draw one
            model for all of them, which needs a call a draw.
    """

    start: Function
    select: Function
    update: Function
    propensity: Function | None = None
    independent: bool = False

    compiled = False


_KERNELS: dict[type, Kernel] = {}


def register_kernel(kernel: Kernel) -> Kernel:
    """Register a kernel, so that compiled code finds it by the class of its settings.

    Raises:
        TypeError: Two kernels with other functions share a class of settings.
    """
    _overload()
    other = _KERNELS.setdefault(type(kernel.settings), kernel)
    if other.functions != kernel.functions:
        raise TypeError(
            f"{type(kernel.settings).__qualname__}: two kernels share these settings; give each "
            f"its own class."
        )
    return kernel


def call_init(settings: Any, state: ndarray) -> None:
    """Call `init` of the kernel of these settings, in compiled code."""
    raise NotImplementedError("call_init is for compiled code")


def call_select(settings: Any, state: ndarray, visit: Visit, stream: ndarray) -> int:
    """Return the arm that `select` of the kernel of these settings chooses, in compiled code."""
    raise NotImplementedError("call_select is for compiled code")


def call_offered(settings: Any, state: ndarray, visit: Visit, arm: int) -> None:
    """Call `offered` of the kernel of these settings where it has one, in compiled code."""
    raise NotImplementedError("call_offered is for compiled code")


def learn_nothing(settings: Any, state: ndarray, visit: Visit, arm: int) -> None:
    """Learn nothing from an offer."""


def call_update(settings: Any, state: ndarray, visit: Visit, arm: int, outcome: float) -> None:
    """Call `update` of the kernel of these settings, in compiled code."""
    raise NotImplementedError("call_update is for compiled code")


def call_propensity(settings: Any, state: ndarray, visit: Visit, chances: ndarray) -> None:
    """Call `propensity` of the kernel of these settings, which must have one, in compiled code."""
    raise NotImplementedError("call_propensity is for compiled code")


@cache
def _overload() -> None:
    from numba.extending import overload

    for stub, name in (
        (call_init, "init"),
        (call_select, "select"),
        (call_update, "update"),
        (call_propensity, "propensity"),
        (call_offered, "offered"),
    ):
        compiled_by = overload(stub, jit_options=helper_options(), strict=False)  # type: ignore[arg-type]
        compiled_by(_function_of(name))


def _function_of(name: str) -> Function:
    """Return the function that numba compiles for the types of its arguments: the settings' class
    names the kernel.
    """
    return lambda settings, *arguments: (
        getattr(_KERNELS[settings.instance_class], name) or learn_nothing
    )


# A rehearsal of a kernel: its functions in plain Python, whose arrays have bounds, before
# compiled code that checks none.

REHEARSED_STEPS = 12
"""Steps at which an arm is chosen; every arm is learned from."""

UNLIKE_ERRORS = (ArithmeticError, ValueError, NotImplementedError)
"""Errors of plain Python that compiled code may not raise: division by zero, the log of 0, a
function compiled alone.
"""

CHANCE_TOLERANCE = 1e-6
"""The largest distance from 1 of the sum of the chances."""

_REHEARSED: set[tuple[Any, ...]] = set()


def rehearse(name: str, kernel: Kernel | BatchKernel, arms: Arms) -> None:
    """Play a few steps of a compiled kernel in plain Python: milliseconds, once for each kernel of
    a process.

    Args:
        name: The policy's, for the refusal.
        kernel: Its law; one by batches is plain Python anyway.
        arms: What it plays with.

    Raises:
        ConfigError: A function fails (it reads or writes beyond the state), or the chances do not
            sum to 1.
    """
    if isinstance(kernel, BatchKernel):
        return
    key = (*kernel.functions, kernel.size, arms.count, arms.contexts.shape)
    if key in _REHEARSED:
        return
    chances = np.full(arms.count, np.nan)
    with np.errstate(all="ignore"):
        for function, arguments in _kernel_calls(kernel, arms, chances):
            try:
                function(kernel.settings, *arguments)
            except UNLIKE_ERRORS:
                return
            except Exception as error:
                raise ConfigError(
                    f"model: '{name}': {_failure_words(function, error, kernel.size)}"
                ) from error
    if kernel.propensity is not None and not (
        abs(chances.sum() - 1.0) <= CHANCE_TOLERANCE and chances.min() >= 0.0
    ):
        shown = ", ".join(f"{chance:.3g}" for chance in chances[:8])
        where = f"{kernel.propensity.__name__} ({_failure_place(kernel.propensity, None)})"
        raise ConfigError(
            f"model: '{name}': {where} must write chances >= 0 with the sum 1 for all arms, got "
            f"{shown}."
        )
    _REHEARSED.add(key)


def _kernel_calls(
    kernel: Kernel, arms: Arms, chances: ndarray
) -> Iterator[tuple[Function, tuple[Any, ...]]]:
    """Yield each function with its arguments but the settings: every arm converts and refuses, at
    the first steps.
    """
    state, stream = np.zeros(kernel.size), np.zeros(4, np.uint64)
    seed_stream(stream, np.uint64(0))
    yield kernel.init, (state,)
    visit = Visit(0, 0, arms.contexts[0], arms.all_active)
    for step in range(2 * arms.count):
        segment = step % len(arms.contexts)
        visit = Visit(step, segment, arms.contexts[segment], arms.all_active)
        if step < REHEARSED_STEPS:
            yield kernel.select, (state, visit, stream)
        yield kernel.update, (state, visit, step % arms.count, float(step < arms.count))
    last = visit._replace(step=max(arms.horizon - 1, 2 * arms.count))
    yield kernel.select, (state, last, stream)
    yield kernel.update, (state, last, arms.count - 1, 1.0)
    if kernel.propensity is not None:
        yield kernel.propensity, (state, last, chances)


def _failure_words(function: Function, error: Exception, size: int) -> str:
    """Return what failed where; of an index, what the state holds."""
    hint = f"; its Kernel has size={size}" if isinstance(error, IndexError) else ""
    return (
        f"{function.__name__} ({_failure_place(function, error)}) fails: "
        f"{type(error).__name__}: {error}{hint}."
    )


def _failure_place(function: Function, error: Exception | None) -> str:
    """Return the file and line of a function, at which it failed where it was begun."""
    code, trace = function.__code__, error.__traceback__ if error is not None else None
    inside = trace.tb_next if trace is not None else None
    file = Path(code.co_filename)
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return f"{shown}:{inside.tb_lineno if inside is not None else code.co_firstlineno}"
