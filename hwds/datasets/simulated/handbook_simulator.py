"""Simulated card payments: the generator of the Fraud Detection Handbook."""

from __future__ import annotations

import random
from datetime import date, datetime, time
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, Le, Lt
from numpy import ndarray
from polars import col
from pydantic import AfterValidator

from hwds.core.errors import ConfigError, DataError
from hwds.core.recipe import Days, Positive, Rows, Small
from hwds.datasets.base import Dataset
from hwds.datasets.simulated.worlds.payments import DAY, SEEDS, customers, payments, terminals
from hwds.frames.table import Table

HIGH = 220
"""An amount above it is always fraud (scenario 1)."""

TERMINALS, TERMINAL_DAYS = 2, 28
"""So many terminals are compromised anew each day, and all that is paid there so long is fraud
(scenario 2).
"""

CUSTOMERS, CUSTOMER_DAYS = 3, 14
"""So many customers likewise, of whose payments so long a third is fraud (scenario 3)."""

TIMES = 5
"""The factor of a compromised customer's amounts."""


MOST_CUSTOMER_DAYS = 20_000_000
"""Customers times days."""

STEP = 1_000_003
"""Between the streams of one seed and those of the next."""

LAST_NIGHT_HOUR = 6

ROLES = {
    "time": ("time",),
    "entity": ("customer",),
    "label": ("fraud",),
    "truth": ("true_fraud", "scenario", "first_scenario"),
    "amount": ("amount",),
    "covariate": ("amount", "weekend", "night"),
}


def _check_date(value: str) -> str:
    date.fromisoformat(value)
    return value


class HandbookSimulator(Dataset):
    """Simulated card payments with 0.84 % fraud of three kinds: the Fraud Detection Handbook's
    generator.

    1,754,155 payments in 183 days (Le Borgne, Siblini, Lebichot and Bontempi 2022, chapter 3).
    Customers and terminals lie on a square; a customer pays at terminals nearby, at amounts of her
    own. Fraud is (1) any amount above 220; (2) all payments at two terminals a day for 28 days; (3)
    a third of the payments of three customers a day for 14 days, their amounts times five. With
    seed 0 and the defaults the payments are the handbook's, one by one. Columns: `time`,
    `customer`, `terminal`, `amount`, `weekend` and `night` (until 6:59) as 0 or 1, `fraud`; the
    truth is `true_fraud` (the same), and `scenario` and `first_scenario`, the last and the first
    that made it a fraud; the handbook counts the first (978, 9,099 and 4,604).

    Attributes:
        customers: The number of customers who pay.
        terminals: The number of terminals at which they pay.
        days: From the first payment to the last.
        start: The first day, as year-month-day.
        radius: How far from a customer, on a square of 100 by 100, terminals are that she pays at.
        seed: Names the draws of the world; 0 is the handbook's own.
    """

    gives = Table
    customers: Annotated[Rows, Ge(3), Small(500)] = 5_000
    terminals: Annotated[int, Ge(2), Le(1_000_000)] = 10_000
    days: Annotated[Days, Ge(2), Small(100)] = 183
    start: Annotated[str, AfterValidator(_check_date)] = "2018-04-01"
    radius: Positive = 5.0
    seed: Annotated[int, Ge(0), Lt(1000)] = 0

    def load(self) -> Table:
        """Return the payments in the order of time.

        Raises:
            ConfigError: There are more payments than memory holds.
            DataError: No customer has a terminal near enough.
        """
        if self.customers * self.days > MOST_CUSTOMER_DAYS:
            raise ConfigError(
                f"dataset.days: {self.customers:,} customers on {self.days:,} days are more than "
                f"{MOST_CUSTOMER_DAYS:,}"
                " customer-days, each with a payment or two; lower either."
            )
        shift = STEP * self.seed
        people, places = customers(shift, self.customers), terminals(shift + 1, self.terminals)
        paid = payments(people, places, days=self.days, radius=self.radius, shift=shift)
        if len(paid["second"]) == 0:
            raise DataError(f"dataset.radius: no customer has a terminal within {self.radius:g}.")
        frauds = commit_frauds(paid, self.customers, self.terminals, shift)
        return Table.build(
            pl.DataFrame(paid | frauds).select(_columns(date.fromisoformat(self.start))), ROLES
        )


def _columns(start: date) -> list[pl.Expr]:
    instant = pl.lit(datetime.combine(start, time())).cast(pl.Datetime("us")) + pl.duration(
        seconds=col("second")
    )
    fraud, weekend, night = (
        col("scenario") > 0,
        instant.dt.weekday() > 5,
        instant.dt.hour() <= LAST_NIGHT_HOUR,
    )
    flags = {"weekend": weekend, "night": night, "fraud": fraud, "true_fraud": fraud}
    casts = [flag.cast(pl.Int8).alias(name) for name, flag in flags.items()]
    return [
        instant.alias("time"),
        col("customer", "terminal", "amount"),
        *casts,
        col("scenario", "first_scenario"),
    ]


def commit_frauds(
    paid: dict[str, ndarray], customers: int, terminals: int, shift: int
) -> dict[str, ndarray]:
    """Return what frauds make of payments.

    Args:
        paid: Payments in the order of time.
        customers: How many there are.
        terminals: Likewise.
        shift: Added to a day's number, which names the day's streams.

    Returns:
        The `amount` in the end; the last `scenario` that made a payment a fraud, and the
        `first_scenario` (1, 2, 3, or 0 for none), which the handbook counts by.
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
        chosen = _draw_places(now + shift, customers, CUSTOMERS)
        paid_rows = np.sort(np.concatenate([rows[begin[who] : begin[who + 1]] for who in chosen]))
        paid_rows = paid_rows[
            (day[paid_rows] >= now) & (day[paid_rows] < now + CUSTOMER_DAYS)
        ].tolist()
        stolen = random.Random((now + shift) % SEEDS).sample(paid_rows, k=len(paid_rows) // 3)
        amount[stolen] *= TIMES
        last[stolen] = 3
    first[(last == 3) & (first == 0)] = 3
    return {"amount": amount, "scenario": last, "first_scenario": first}


def _at_bad_terminals(
    terminal: ndarray, day: ndarray, days: int, terminals: int, shift: int
) -> ndarray:
    bad = np.zeros((terminals, days + 1), bool)
    for now in range(days):
        bad[_draw_places(now + shift, terminals, TERMINALS), now : now + TERMINAL_DAYS] = True
    return bad[terminal, day]


def _draw_places(seed: int, count: int, size: int) -> ndarray:
    """Return what a pandas sample with this `random_state` takes."""
    return np.random.RandomState(seed % SEEDS).choice(count, size=min(size, count), replace=False)
