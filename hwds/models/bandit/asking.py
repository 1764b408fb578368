"""What a caller says of a customer, checked: a wrong word in production is refused in one line, and nothing has happened."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hwds.errors import DataError, nearest
from hwds.models.bandit.base import Arms


class Asked(NamedTuple):
    """A customer: the segment, the context, and whether that is not the segment's own."""

    segment: int
    context: np.ndarray
    own: bool


def asked_of(arms: Arms, context: Sequence[float] | np.ndarray | None, segment: int | None) -> Asked:
    """The customer.

    Raises:
        DataError: No such segment, a context of another length or with NaN, or a segment that cannot be told.
    """
    count = len(arms.contexts)
    if segment is not None and (not isinstance(segment, int | np.integer) or not 0 <= segment < count):
        raise DataError(f"segment: must be 0 to {count - 1}, got {segment!r}.")
    if context is None:
        if segment is None and count > 1:
            raise DataError(f"segment: must be given, 0 to {count - 1}.")
        return Asked(int(segment or 0), arms.contexts[segment or 0], False)
    seen = _context(arms.contexts.shape[1], context)
    if segment is None:
        same = np.flatnonzero((arms.contexts == seen).all(axis=1))
        if not len(same) and count > 1:
            raise DataError(f"segment: must be given (0 to {count - 1}) with a context that is no segment's own.")
        segment = int(same[0]) if len(same) else 0
    return Asked(int(segment), seen, not np.array_equal(arms.contexts[segment], seen))


def _context(size: int, context: Sequence[float] | np.ndarray) -> np.ndarray:
    try:
        seen = np.array(context, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"context: must be {size} numbers, got {context!r}.") from error
    if seen.shape != (size,):
        raise DataError(f"context: must be {size} numbers, got {' x '.join(map(str, seen.shape)) or 'one number'}.")
    if not np.isfinite(seen).all():
        raise DataError(f"context[{int(np.argmin(np.isfinite(seen)))}]: must be finite, got {seen[~np.isfinite(seen)][0]}.")
    return seen


def active_of(arms: Arms, active: Sequence[str] | np.ndarray | None) -> np.ndarray:
    """Whether each arm may be offered, shape (K,).

    Raises:
        DataError: An arm is unknown, none is left, or there are too few flags.
    """
    if active is None:
        return np.ones(arms.count, bool)
    given = list(active) if not isinstance(active, str) else [active]
    if given and all(isinstance(flag, bool | np.bool_) for flag in given):
        if len(given) != arms.count:
            raise DataError(f"active: must hold a flag for each of the {arms.count} arms, got {len(given)}.")
        allowed = np.array(given, bool)
    else:
        for name in given:
            if name not in arms.names:
                raise DataError(f"active: unknown arm {name!r}{nearest(str(name), arms.names)}")
        allowed = np.array([name in given for name in arms.names], bool)
    if not allowed.any():
        raise DataError("active: no arm may be offered.")
    return allowed


def checked_outcome(converted: Any) -> bool:
    """Whether the customer converted.

    Raises:
        DataError: It is no truth value; a reward in currency is none.
    """
    if isinstance(converted, bool | np.bool_) or (isinstance(converted, int | np.integer | float) and converted in (0, 1)):
        return bool(converted)
    raise DataError(f"converted: must be true or false, got {converted!r}.")


def checked_time(at: Any, clock: float | None) -> float:
    """A time; the clock's, where none is given, never before the last.

    Raises:
        DataError: It is no finite number, or before the last decision.
    """
    if at is None:
        return max(time.time(), clock if clock is not None else -math.inf)
    if isinstance(at, bool) or not isinstance(at, int | float | np.number) or not math.isfinite(at):
        raise DataError(f"at: must be a finite number, got {at!r}.")
    if clock is not None and at < clock:
        raise DataError(f"at: must not go back, got {at} after {clock}.")
    return float(at)
