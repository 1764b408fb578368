"""A rehearsal of a kernel: its functions in plain Python, whose arrays have bounds, before compiled code that checks none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hwds.bandit.arms import Arms
from hwds.bandit.models.kernels.base import BatchKernel, Function, Kernel, Visit
from hwds.bandit.models.kernels.draws import seed_stream
from hwds.core.errors import ConfigError

CHOICES = 12
"""Steps at which an arm is chosen; every arm is learned from."""

UNLIKE = (ArithmeticError, ValueError, NotImplementedError)
"""Errors of plain Python that compiled code may not raise: division by zero, the log of 0, a function compiled alone."""

NEAR = 1e-6
"""The largest distance from 1 of the sum of the chances."""

_REHEARSED: set[tuple[Any, ...]] = set()


def rehearse(name: str, kernel: Kernel | BatchKernel, arms: Arms) -> None:
    """Play a few steps of a compiled kernel in plain Python: milliseconds, once for each kernel of a process.

    Args:
        name: The policy's, for the refusal.
        kernel: Its law; one by batches is plain Python anyway.
        arms: What it plays with.

    Raises:
        ConfigError: A function fails (it reads or writes beyond the state), or the chances do not sum to 1.
    """
    if isinstance(kernel, BatchKernel):
        return
    key = (*kernel.functions, kernel.size, arms.count, arms.contexts.shape)
    if key in _REHEARSED:
        return
    chances = np.full(arms.count, np.nan)
    with np.errstate(all="ignore"):
        for function, arguments in _calls(kernel, arms, chances):
            try:
                function(kernel.settings, *arguments)
            except UNLIKE:
                return
            except Exception as error:
                raise ConfigError(f"model: '{name}': {_failure(function, error, kernel.size)}") from error
    if kernel.propensity is not None and not (abs(chances.sum() - 1.0) <= NEAR and chances.min() >= 0.0):
        shown = ", ".join(f"{chance:.3g}" for chance in chances[:8])
        where = f"{kernel.propensity.__name__} ({_place(kernel.propensity, None)})"
        raise ConfigError(f"model: '{name}': {where} must write chances >= 0 with the sum 1 for all arms, got {shown}.")
    _REHEARSED.add(key)


def _calls(kernel: Kernel, arms: Arms, chances: np.ndarray) -> Iterator[tuple[Function, tuple[Any, ...]]]:
    """Yield each function with its arguments but the settings: every arm converts and refuses, at the first steps."""
    state, stream = np.zeros(kernel.size), np.zeros(4, np.uint64)
    seed_stream(stream, np.uint64(0))
    yield kernel.init, (state,)
    visit = Visit(0, 0, arms.contexts[0], arms.all_active)
    for step in range(2 * arms.count):
        segment = step % len(arms.contexts)
        visit = Visit(step, segment, arms.contexts[segment], arms.all_active)
        if step < CHOICES:
            yield kernel.select, (state, visit, stream)
        yield kernel.update, (state, visit, step % arms.count, float(step < arms.count))
    last = visit._replace(step=max(arms.horizon - 1, 2 * arms.count))
    yield kernel.select, (state, last, stream)
    yield kernel.update, (state, last, arms.count - 1, 1.0)
    if kernel.propensity is not None:
        yield kernel.propensity, (state, last, chances)


def _failure(function: Function, error: Exception, size: int) -> str:
    """Return what failed where; of an index, what the state holds."""
    hint = f"; its Kernel has size={size}" if isinstance(error, IndexError) else ""
    return f"{function.__name__} ({_place(function, error)}) fails: {type(error).__name__}: {error}{hint}."


def _place(function: Function, error: Exception | None) -> str:
    """Return the file and line of a function, at which it failed where it was begun."""
    code, trace = function.__code__, error.__traceback__ if error is not None else None
    inside = trace.tb_next if trace is not None else None
    file = Path(code.co_filename)
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return f"{shown}:{inside.tb_lineno if inside is not None else code.co_firstlineno}"
