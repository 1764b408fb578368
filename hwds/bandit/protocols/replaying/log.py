"""A log as a replay reads it: the order of its rows, the outcomes that wait to be observed, what is known of its arms."""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
import polars as pl

from hwds.bandit.arms import Arms
from hwds.bandit.live.policy_state import Seen
from hwds.core.errors import DataError
from hwds.frames.table import Table
from hwds.ope.models.rewards.context_matrix import as_numbers
from hwds.ope.protocols.estimation.log import Log


def order_of(table: Table) -> np.ndarray:
    """Return the rows in the order of the role `time`, of the file where there is none, shape (n,)."""
    if not table.roles.get("time"):
        return np.arange(len(table.data))
    return np.argsort(_instants(table, "time"), kind="stable")


class Waits:
    """Outcomes that wait until they were observed: at once, where the table has no role `available_at`.

    Raises:
        DataError: There is such a role, and none that says when a row happened.
    """

    def __init__(self, table: Table) -> None:
        if table.roles.get("available_at") and not table.roles.get("time"):
            raise DataError("dataset.roles.time: must be given, where dataset.roles.available_at says when outcomes are known.")
        known = bool(table.roles.get("available_at"))
        self.happened = _instants(table, "time") if known else np.zeros(0)
        self.observed = _instants(table, "available_at") if known else np.zeros(0)
        self.waiting: list[tuple[int, int, Seen]] = []

    def add(self, row: int, seen: Seen) -> None:
        """Queue the outcome of a row."""
        heappush(self.waiting, (int(self.observed[row]) if len(self.observed) else 0, row, seen))

    def seen_by(self, row: int) -> list[Seen]:
        """Return the outcomes observed since the last call, up to the instant of a row, oldest first."""
        now = int(self.happened[row]) if len(self.happened) else 0
        seen = []
        while self.waiting and self.waiting[0][0] <= now:
            seen.append(heappop(self.waiting)[2])
        return seen


def _instants(table: Table, role: str) -> np.ndarray:
    """Return the instants of a role as whole numbers, shape (n,)."""
    column = table.column(role)
    if column.null_count():
        raise DataError(f"dataset.roles.{role}: row {column.is_null().arg_true()[0] + 1} has no value in '{column.name}'.")
    return column.to_physical().cast(pl.Int64).to_numpy()


def arms_of(log: Log) -> tuple[Arms, np.ndarray]:
    """Return the facts of a log's arms that a policy may know, and the segment of each row: equal contexts are one segment.

    Raises:
        DataError: An arm's rewards are not 0 or one amount.
    """
    seen = as_numbers(log.context)[:, 1:] if log.context.width else np.zeros((log.n, 0))
    contexts, segments = np.zeros((1, 0)), np.zeros(log.n, np.int64)
    if seen.shape[1]:
        contexts, segments = np.unique(seen, axis=0, return_inverse=True)
    amounts = [_amount(log, arm) for arm in range(len(log.arms))]
    usual = max((amount for amount in amounts if amount is not None), default=1.0)
    values = np.array([_unseen(log, arm, usual) if amount is None else amount for arm, amount in enumerate(amounts)])
    assert log.propensity is not None
    steps = max(1, round(log.n * float(log.propensity.min())))  # that are kept and agreed on, for a policy like the log's
    return Arms(log.arms, values, contexts, steps, (0.0, float(values.max()))), segments.ravel()


def _unseen(log: Log, arm: int, usual: float) -> float:
    """Return the value of a conversion of an arm without one: its price, where others earn theirs, else the usual."""
    if log.price is None or usual == 1.0:
        return usual
    return float(log.price[log.action == arm][0])


def _amount(log: Log, arm: int) -> float | None:
    """Return the value of a conversion of an arm; None where it never had one."""
    here = log.action == arm
    amounts = np.unique(log.reward[here & (log.reward != 0)])
    if len(amounts) > 1 or (len(amounts) and amounts[0] < 0):
        values = f"arm '{log.arms[arm]}' earns {' and '.join(f'{amount:g}' for amount in amounts[:2])}"
        raise DataError(f"dataset.roles.outcome: {values}; replay needs 0 or one amount above 0.")
    return float(amounts[0]) if len(amounts) else None
