"""Checks what a caller says of a customer: what is wrong is refused in one line, and nothing has happened."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hwds.bandit.arms import Arms
from hwds.core.errors import DataError, nearest

INTEGER = int | np.integer
TRUTH_VALUE = bool | np.bool_ | int | np.integer | float
NUMBER = int | float | np.integer | np.floating
LONGEST_ID = 1000


class Customer(NamedTuple):
    """A customer: the segment, the context, and whether that is another one than the segment's."""

    segment: int
    context: np.ndarray
    own_context: bool


def customer_of(arms: Arms, context: Sequence[float] | np.ndarray | None, segment: int | None) -> Customer:
    """Return the customer of a context and a segment.

    Raises:
        DataError: No such segment, a context of another length or with NaN, or a segment that cannot be inferred.
    """
    count = len(arms.contexts)
    if segment is not None and (not isinstance(segment, INTEGER) or not 0 <= segment < count):
        raise DataError(f"segment: must be 0 to {count - 1}, got {segment!r}.")
    if context is None:
        if segment is None and count > 1:
            raise DataError(f"segment: must be given, 0 to {count - 1}.")
        return Customer(int(segment or 0), arms.contexts[segment or 0], False)
    vector = _context(arms.contexts.shape[1], context)
    if segment is None:
        same = np.flatnonzero((arms.contexts == vector).all(axis=1))
        if not len(same) and count > 1:
            raise DataError(f"segment: must be given (0 to {count - 1}) with a context that is no segment's own.")
        segment = int(same[0]) if len(same) else 0
    return Customer(int(segment), vector, not np.array_equal(arms.contexts[segment], vector))


def _context(size: int, context: Sequence[float] | np.ndarray) -> np.ndarray:
    try:
        vector = np.array(context, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"context: must be {size} numbers, got {context!r}.") from error
    if vector.shape != (size,):
        raise DataError(f"context: must be {size} numbers, got {' x '.join(map(str, vector.shape)) or 'one number'}.")
    if not np.isfinite(vector).all():
        raise DataError(
            f"context[{int(np.argmin(np.isfinite(vector)))}]: must be finite, got {vector[~np.isfinite(vector)][0]}."
        )
    return vector


def active_of(arms: Arms, active: Sequence[str] | np.ndarray | None) -> np.ndarray:
    """Return whether each arm may be offered, shape (K,), read-only.

    Raises:
        DataError: An arm is unknown, none is left, or there are too few flags.
    """
    if active is None:
        return arms.all_active
    flags = list(active) if not isinstance(active, str) else [active]
    if flags and all(isinstance(flag, bool | np.bool_) for flag in flags):
        if len(flags) != arms.count:
            raise DataError(f"active: must hold a flag for each of the {arms.count} arms, got {len(flags)}.")
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


def checked_id(id: Any) -> str:
    """Return the caller's own id of a decision.

    Raises:
        DataError: It is no text of 1 to 1,000 characters of Unicode.
    """
    if not isinstance(id, str) or not 1 <= len(id) <= LONGEST_ID or not id.isprintable():
        raise DataError(f"id: must be a text of 1 to {LONGEST_ID:,} printable characters, got {id!r:.60}.")
    return id


def checked_outcome(converted: Any) -> bool:
    """Return whether the customer converted.

    Raises:
        DataError: It is no truth value; a reward in currency is none.
    """
    if isinstance(converted, TRUTH_VALUE) and converted in (0, 1):
        return bool(converted)
    raise DataError(f"converted: must be true or false, got {converted!r}.")


def checked_amount(amount: Any, converted: bool, *, learned: bool) -> float | None:
    """Return what a conversion brought; None where it was not reported.

    Raises:
        DataError: It is no amount above 0, of no conversion, or of a policy that learns from conversions alone.
    """
    if amount is None:
        return None
    if not learned:
        raise DataError("amount: this policy learns from conversions alone; bandit/basket_thompson learns from amounts.")
    if not _is_finite(amount) or amount <= 0 or not converted:
        raise DataError(f"amount: must be a number above 0, of a conversion, got {amount!r:.80}.")
    return float(amount)


def checked_time(at: Any, clock: float | None, until: float = math.inf) -> float:
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
        raise DataError(f"at: must not be later than {until:.15g}, which is as far ahead as is allowed, got {at:.15g}.")
    return float(at)


def _is_finite(value: Any) -> bool:
    """Return whether a value is a number that a double can hold."""
    try:
        return isinstance(value, NUMBER) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False
