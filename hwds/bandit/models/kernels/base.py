"""Kernel: the law of a policy as functions on flat arrays, and how compiled code calls it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from hwds.core.numba_cache import helper, helper_options

__all__ = ["BatchKernel", "Kernel", "Visit", "helper"]

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
    context: np.ndarray
    active: np.ndarray
    at: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """The law of a policy, compiled by numba: plain functions of a module, on flat arrays of numbers.

    `settings` is a NamedTuple of numbers and arrays; its class names the law, so it belongs to these functions alone. `state`
    is a flat array of floats, all zero before `init`. Functions of one's own that they call are marked with
    `hwds.bandit.helper`.

    Attributes:
        settings: What the functions read and never write.
        size: Numbers in the state.
        init: `init(settings, state)`.
        select: `select(settings, state, visit, stream) -> arm`. It leaves the state as it is, but for what it uses as scratch.
        update: `update(settings, state, visit, arm, outcome)`: what came of an arm; `outcome` is 1 for a conversion and 0 for
            none. The visit is that of the decision, but for `active`, which nobody keeps until the outcome comes: it is not
            to be learned from.
        propensity: `propensity(settings, state, visit, chances)` fills the probability of each arm; None where it is counted
            from draws of `select`.
        offered: `offered(settings, state, visit, arm)`: an arm was shown, whose outcome is not known yet; None where that is
            nothing to be learned from.
        amounts: Whether `update` learns from amounts: then an outcome is what a conversion brought over the arm's value.
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
        return tuple(f for f in (self.init, self.select, self.update, self.propensity, self.offered) if f is not None)


@dataclass(frozen=True, slots=True, eq=False)
class BatchKernel:
    """The law of a policy that decides and learns by batches, in numpy or Keras.

    Attributes:
        start: `start(seed) -> state`: any object.
        select: `select(state, step, segments, contexts, active, generator) -> arms`; segments of shape (n,), contexts (n, D).
        update: `update(state, steps, segments, contexts, arms, outcomes) -> state`; all of shape (n,) but the contexts.
        propensity: `propensity(state, step, segments, contexts, active) -> (n, K)`; None where it is counted from draws.
        independent: True where `select` draws for each customer of a batch anew, so that a chance is counted from one call for
            many customers who are alike; False where it may draw one model for all of them, which needs a call a draw.
    """

    start: Function
    select: Function
    update: Function
    propensity: Function | None = None
    independent: bool = False

    compiled = False


_KERNELS: dict[type, Kernel] = {}


def registered(kernel: Kernel) -> Kernel:
    """Register a kernel, so that compiled code finds it by the class of its settings.

    Raises:
        TypeError: Two kernels with other functions share a class of settings.
    """
    _overload()
    other = _KERNELS.setdefault(type(kernel.settings), kernel)
    if other.functions != kernel.functions:
        raise TypeError(f"{type(kernel.settings).__qualname__}: two kernels share these settings; give each its own class.")
    return kernel


def begin(settings: Any, state: np.ndarray) -> None:
    """Call `init` of the kernel of these settings, in compiled code."""
    raise NotImplementedError("begin is for compiled code")


def choose(settings: Any, state: np.ndarray, visit: Visit, stream: np.ndarray) -> int:
    """Return the arm that `select` of the kernel of these settings chooses, in compiled code."""
    raise NotImplementedError("choose is for compiled code")


def show(settings: Any, state: np.ndarray, visit: Visit, arm: int) -> None:
    """Call `offered` of the kernel of these settings where it has one, in compiled code."""
    raise NotImplementedError("show is for compiled code")


def nothing(settings: Any, state: np.ndarray, visit: Visit, arm: int) -> None:
    """Learn nothing from an offer."""


def learn(settings: Any, state: np.ndarray, visit: Visit, arm: int, outcome: float) -> None:
    """Call `update` of the kernel of these settings, in compiled code."""
    raise NotImplementedError("learn is for compiled code")


def weigh(settings: Any, state: np.ndarray, visit: Visit, chances: np.ndarray) -> None:
    """Call `propensity` of the kernel of these settings, which must have one, in compiled code."""
    raise NotImplementedError("weigh is for compiled code")


@cache
def _overload() -> None:
    from numba.extending import overload

    for stub, name in ((begin, "init"), (choose, "select"), (learn, "update"), (weigh, "propensity"), (show, "offered")):
        compiled_by = overload(stub, jit_options=helper_options(), strict=False)  # type: ignore[arg-type]
        compiled_by(_function_of(name))


def _function_of(name: str) -> Function:
    """Return the function that numba compiles for the types of its arguments: the settings' class names the kernel."""
    return lambda settings, *arguments: getattr(_KERNELS[settings.instance_class], name) or nothing
