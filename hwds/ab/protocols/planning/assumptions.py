"""The assumptions about a test that has not begun, read from a table with a row per arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hwds.ab.metrics.design import AssumedEffect, order_variance
from hwds.ab.protocols.analysis.columns import arm_codes, arm_names, floats
from hwds.core.errors import ConfigError, DataError, nearest
from hwds.frames.table import Table


def assumptions(
    table: Table, control: str | None, change: float | None, allocation: Mapping[str, float]
) -> dict[str, dict[str, AssumedEffect]]:
    """Return the assumptions by outcome (empty label for the conversion, then `revenue`) and arm but the control.

    Args:
        table: A row per arm with the roles `arm`, `mean`, `price` and `spread`.
        control: The arm to be held against.
        change: Of the control's mean, in place of the means of the other arms.
        allocation: By arm.

    Raises:
        ConfigError: An arm is not there, or a change is beyond all buyers.
        DataError: A role is missing, a value is wrong, or an arm has two rows.
    """
    names = arm_names(table, control)
    place = arm_codes(table, names)
    if len(place) > len(names):
        name = names[int(np.argmax(np.bincount(place) > 1))]
        raise DataError(f"dataset.roles.arm: arm '{name}' has two rows; a plan has one for each arm.")
    columns = [values[np.argsort(place)] for values in _columns(table)]
    shares = _shares(names, allocation)
    values = {"": np.ones(len(names))} | ({"revenue": columns[1]} if table.roles.get("price") else {})
    return {
        label: _of_outcome(names, columns[0], value, columns[2] * bool(label), change, shares)
        for label, value in values.items()
    }


def _columns(table: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return conversions, prices and spreads in the order of the rows."""
    if not table.roles.get("mean"):
        raise DataError("dataset.roles.mean: must be given.")
    share = floats(table, table.column("mean").name, "mean", least=0.0)
    bad = (share <= 0) | (share >= 1)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"dataset.roles.mean: row {row + 1} has {share[row]:g}; a conversion must lie between 0 and 1.")
    price, spread = (_column(table, role) for role in ("price", "spread"))
    if table.roles.get("price") and not price.all():
        raise DataError(f"dataset.roles.price: row {int(np.argmin(price)) + 1} has 0; a price must be above 0.")
    return share, price, spread


def _column(table: Table, role: str) -> np.ndarray:
    """Return a column of numbers from 0 on, zeros where the table has none."""
    if not table.roles.get(role):
        return np.zeros(len(table.data))
    return floats(table, table.column(role).name, role, least=0.0)


def _shares(names: Sequence[str], allocation: Mapping[str, float]) -> np.ndarray:
    for arm in allocation:
        if arm not in names:
            raise ConfigError(f"protocol.allocation: no arm '{arm}'{nearest(arm, names)}")
    absent = [arm for arm in names if allocation and arm not in allocation]
    if absent:
        raise ConfigError(f"protocol.allocation: has no share for arm '{absent[0]}'.")
    shares = np.array([allocation.get(arm, 1.0) for arm in names])
    return np.asarray(shares / shares.sum())


def _of_outcome(
    names: Sequence[str],
    share: np.ndarray,
    value: np.ndarray,
    spread: np.ndarray,
    change: float | None,
    shares: np.ndarray,
) -> dict[str, AssumedEffect]:
    buyers = share.copy()
    if change is not None:
        buyers[1:] = share[0] * value[0] * (1 + change) / value[1:]
    mean = buyers * value
    if (buyers >= 1).any():
        name = names[int(np.argmax(buyers >= 1))]
        raise ConfigError(
            f"protocol.change: {change:g} of the control's mean would take more buyers than visitors of '{name}'."
        )
    variance = [order_variance(*each) for each in zip(buyers.tolist(), value.tolist(), spread.tolist(), strict=True)]
    return {
        name: AssumedEffect(
            float(mean[i] - mean[0]), float(mean[0]), (variance[0], variance[i]), (float(shares[0]), float(shares[i]))
        )
        for i, name in enumerate(names)
        if i
    }
