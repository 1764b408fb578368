"""The handbook's three kinds of fraud: too high amounts, compromised terminals, compromised customers."""

from __future__ import annotations

import random

import numpy as np

from hwds.datasets.simulated.handbook.draws import DAY
from hwds.datasets.simulated.handbook.payments import SEEDS

HIGH = 220
"""An amount above it is always fraud (scenario 1)."""

TERMINALS, TERMINAL_DAYS = 2, 28
"""So many terminals are compromised anew each day, and all that is paid there so long is fraud (scenario 2)."""

CUSTOMERS, CUSTOMER_DAYS = 3, 14
"""So many customers likewise, of whose payments so long a third is fraud (scenario 3)."""

TIMES = 5
"""The factor of a compromised customer's amounts."""


def commit_frauds(paid: dict[str, np.ndarray], customers: int, terminals: int, shift: int) -> dict[str, np.ndarray]:
    """Return what frauds make of payments.

    Args:
        paid: Payments in the order of time.
        customers: How many there are.
        terminals: Likewise.
        shift: Added to a day's number, which names the day's streams.

    Returns:
        The `amount` in the end; the last `scenario` that made a payment a fraud, and the `first_scenario` (1, 2, 3, or 0 for
        none), which the handbook counts by.
    """
    day, amount = paid["second"] // DAY, paid["amount"].copy()
    first = np.where(amount > HIGH, 1, 0)
    days = int(day.max())  # on the last day nothing new is compromised
    there = _at_bad_terminals(paid["terminal"], day, days, terminals, shift)
    first[there & (first == 0)] = 2
    last = np.where(there, 2, first)
    rows = np.argsort(paid["customer"], kind="stable")
    begin = np.searchsorted(paid["customer"][rows], np.arange(customers + 1))
    for now in range(days):
        chosen = _chosen(now + shift, customers, CUSTOMERS)
        paid_rows = np.sort(np.concatenate([rows[begin[who] : begin[who + 1]] for who in chosen]))
        paid_rows = paid_rows[(day[paid_rows] >= now) & (day[paid_rows] < now + CUSTOMER_DAYS)].tolist()
        stolen = random.Random((now + shift) % SEEDS).sample(paid_rows, k=len(paid_rows) // 3)
        amount[stolen] *= TIMES
        last[stolen] = 3
    first[(last == 3) & (first == 0)] = 3
    return {"amount": amount, "scenario": last, "first_scenario": first}


def _at_bad_terminals(terminal: np.ndarray, day: np.ndarray, days: int, terminals: int, shift: int) -> np.ndarray:
    bad = np.zeros((terminals, days + 1), bool)
    for now in range(days):
        bad[_chosen(now + shift, terminals, TERMINALS), now : now + TERMINAL_DAYS] = True
    return bad[terminal, day]


def _chosen(seed: int, count: int, size: int) -> np.ndarray:
    """Return what a pandas sample with this `random_state` takes."""
    return np.random.RandomState(seed % SEEDS).choice(count, size=min(size, count), replace=False)
