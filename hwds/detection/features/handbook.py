"""The features of the Fraud Detection Handbook, as of each row's moment."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate
from typing import Annotated, Any, NamedTuple

import numpy as np
import polars as pl
from annotated_types import MinLen
from polars import DataFrame, Series

from hwds.core.recipe import Days, Once
from hwds.detection.features.entity_risk import EntityRisk, LiveRisk
from hwds.detection.kernels.past import FRIDAY, NIGHT, RUNS, USUAL, trailing_windows
from hwds.frames.features.base import RowFeatures
from hwds.frames.rows import (
    DAY_MICROSECONDS,
    ByPlace,
    Live,
    PastItems,
    RowEvent,
    RowOutcome,
    Value,
    as_float,
    codes_of,
    column_floats,
    drop_past,
    entity_of,
    floats_of,
    instants_of,
    known_float,
    require_known_columns,
    require_number_columns,
    require_role,
)
from hwds.frames.table import Table

# The features of the Fraud Detection Handbook as events and labels arrive: the loops of its
# kernels over one entity.

HOUR = DAY_MICROSECONDS // 24


class PaymentColumns(NamedTuple):
    """The columns of a payment: who paid, where, and how much."""

    customer: str
    terminal: str
    amount: str


class WindowLengths(NamedTuple):
    """Lengths of windows in microseconds: of what is usual, of the highest amount, and of a
    terminal's labels.
    """

    habit: int
    recent: int
    run: int


class LiveHandbook(Live):
    """The columns of `Handbook`.

    Args:
        payment: The columns that are read.
        lengths: Days of the windows.
    """

    changing: tuple[str, ...] | None = ("_risk", "_past")
    since_ever = ()

    def __init__(self, payment: PaymentColumns, lengths: tuple[int, ...]) -> None:
        days = sorted(lengths)
        self._customer, self._terminal, self._paid = payment
        self._reach = [each * DAY_MICROSECONDS for each in days]
        self._risk = LiveRisk((self._terminal,), lengths, 0.0)
        names = list(self._risk.columns)
        self._places = [
            names.index(f"{self._terminal}_{what}_{each}d")
            for each in days
            for what in ("labels", "risk")
        ]
        self.columns = {"weekend": pl.Int8, "night": pl.Int8}
        for each in days:
            self.columns |= floats_of((f"customer_count_{each}d", f"customer_mean_{each}d"))
            self.columns |= {
                f"terminal_count_{each}d": pl.Int64,
                f"terminal_risk_{each}d": pl.Float64,
            }
        self._past: defaultdict[Any, PastItems] = defaultdict(PastItems)
        self.reach = max(self._reach)

    def arrive(self, event: RowEvent) -> Sequence[Value]:
        """Return weekend and night, then for each window the customer's payments and the terminal's
        labels.
        """
        risk = self._risk.arrive(event)
        customer, paid = event.values.get(self._customer), as_float(event.values.get(self._paid))
        weekday = (event.time // DAY_MICROSECONDS + 3) % 7 + 1  # 1970 began on a Thursday
        features: list[Value] = [
            int(weekday > FRIDAY),
            int(event.time % DAY_MICROSECONDS // HOUR <= NIGHT),
        ]
        windows = self._trailing(customer, paid, event.time)
        for window, (count, mean) in enumerate(windows):
            features += (
                count,
                known_float(mean),
                risk[self._places[2 * window]],
                risk[self._places[2 * window + 1]],
            )
        return features

    def confirm(self, outcome: RowOutcome) -> None:
        """Let a label enter the windows of its terminal."""
        self._risk.confirm(outcome)

    def retract(self, outcome: RowOutcome, now: int) -> None:
        """Take a label out of the windows of its terminal."""
        self._risk.retract(outcome, now)

    def forget(self, oldest: int, place: int) -> None:
        """Drop payments that were made before, and terminals without labels."""
        self._risk.forget(oldest, place)
        drop_past(self._past, oldest)

    def _trailing(self, customer: Any, paid: float, time: int) -> list[tuple[float, float]]:
        """Return the payments of each window and their mean, added up from the latest back as
        `look_back` does.
        """
        many = len(self._reach)
        count, valued, total = [0.0] * many, [0.0] * many, [0.0] * many
        if customer is not None:
            past, window = self._past[customer], 0
            for place in range(past.put(time, paid), -1, -1):
                age = time - past.times[place]
                while window < many and age >= self._reach[window]:
                    window += 1
                if window == many:
                    break
                count[window] += 1
                if not math.isnan(past.items[place]):
                    valued[window] += 1
                    total[window] += past.items[place]
        sums = zip(accumulate(count), accumulate(valued), accumulate(total), strict=True)
        return [
            (counted, added / below if below > 0 else math.nan) for counted, below, added in sums
        ]


class LiveHandbookPlus(LiveHandbook):
    """The columns of `HandbookPlus`.

    Args:
        payment: The columns that are read.
        lengths: Days of the windows.
        reach: The lengths of the other windows.
    """

    changing = ("_risk", "_past", "_terminals", "_labels")

    def __init__(
        self, payment: PaymentColumns, lengths: tuple[int, ...], reach: WindowLengths
    ) -> None:
        super().__init__(payment, lengths)
        self._habit, self._recent, self._run = reach
        self._terminals = ByPlace()
        self.reach = max(self.reach, *reach)
        self._labels: defaultdict[Any, list[tuple[int, int, int]]] = defaultdict(list)
        self.columns = {
            **self.columns,
            **floats_of((*USUAL, *(f"terminal_{name}" for name in RUNS))),
        }

    def arrive(self, event: RowEvent) -> Sequence[Value]:
        """Return the handbook's columns, then these."""
        customer, paid = event.values.get(self._customer), as_float(event.values.get(self._paid))
        usual = self._usual(customer, paid, event.time)
        terminal = event.values.get(self._terminal)
        self._terminals.put(event.place, terminal)
        runs = self._runs(
            self._labels.get(terminal, []) if terminal is not None else [], event.time
        )
        return [*super().arrive(event), *map(known_float, usual), *map(known_float, runs)]

    def confirm(self, outcome: RowOutcome) -> None:
        """Store a label at its terminal."""
        super().confirm(outcome)
        terminal = self._terminals[outcome.place]
        if terminal is not None:
            labels = self._labels[terminal]
            label = (outcome.time, outcome.place, int(outcome.positive))
            labels.insert(bisect_left(labels, label), label)

    def retract(self, outcome: RowOutcome, now: int) -> None:
        """Take a label away from its terminal."""
        super().retract(outcome, now)
        labels = self._labels.get(self._terminals[outcome.place], [])
        label = (outcome.time, outcome.place, int(outcome.positive))
        if label in labels:
            labels.remove(label)

    def forget(self, oldest: int, place: int) -> None:
        """Drop labels of payments that were made before, too."""
        super().forget(oldest, place)
        self._terminals.drop_before(place)
        for terminal, labels in list(self._labels.items()):
            del labels[: bisect_left(labels, (oldest,))]
            if not labels:
                del self._labels[terminal]

    def _usual(self, customer: Any, paid: float, time: int) -> tuple[float, float, float]:
        """Return the same as `look_usual`, before the payment is kept."""
        past = self._past.get(customer) if customer is not None else None
        count, total, highest = 0, 0.0, math.nan
        for place in range(past.upto(time) - 1, -1, -1) if past else ():
            age, seen = time - past.times[place], past.items[place]  # type: ignore[union-attr]
            if age >= self._habit:
                break
            if not math.isnan(seen):
                count, total = count + 1, total + seen
                if age < self._recent and not seen <= highest:
                    highest = seen
        if not (count and total > 0):
            return 0.0, math.nan, math.nan
        return float(count), paid / (total / count), highest / (total / count)

    def _runs(self, labels: list[tuple[int, int, int]], time: int) -> list[float]:
        """Return the same as `look_runs`."""
        day, features = 1.0 / DAY_MICROSECONDS, [0.0, math.nan, math.nan, math.nan, 0.0]
        seen = frauds = since = 0
        unbroken = True
        for place in range(bisect_left(labels, (time + 1,)) - 1, -1, -1):
            age, positive = time - labels[place][0], labels[place][2]
            if age >= self._run:
                break
            seen += 1
            if not positive:
                if unbroken:
                    features[2] = age * day
                unbroken = False
                continue
            frauds, since = frauds + 1, seen
            features[3] = age * day
            if unbroken:
                features[0] += 1
                features[1] = age * day
        if since:
            features[4] = frauds / since
        return features


# The features of the Fraud Detection Handbook, as of each row's moment.


class Handbook(RowFeatures):
    """The Fraud Detection Handbook's features: how often and how much the customer paid, how risky
    the terminal is.

    Over each of `days`: `customer_count_7d` and `customer_mean_7d` (of the amount) of the payments
    that end with this one; `terminal_count_7d` and `terminal_risk_7d` (the share of fraud, 0
    without payments) use the payments at its terminal whose labels arrived in the days before it.
    If labels take exactly a week, these are the handbook's own windows, moved back by a week.
    `weekend` and `night` (until 6:59) are 0 or 1. After Le Borgne, Siblini, Lebichot and Bontempi
    2022, chapter 3.

    Attributes:
        days: The lengths of the windows, in days.
        amount: The column with what was paid; null takes the one with the role `amount`.
        customer: The column that says who paid; null takes the one with the role `entity`.
        terminal: The column that says where.
    """

    days: Annotated[tuple[Days, ...], MinLen(1), Once] = (1, 7, 30)
    amount: str | None = None
    customer: str | None = None
    terminal: str = "terminal"

    def check(self, table: Table) -> None:
        """Refuse columns that are not there."""
        require_role(table, "handbook", "time", "label", *(() if self.amount else ("amount",)))
        require_known_columns(table, "terminal", [self.terminal])
        require_number_columns(table, "amount", [self.spent(table)])
        entity_of(table, "customer", self.customer)

    def live(self, schema: Table) -> Live:
        """Return the same for rows as they arrive."""
        self.check(schema)
        return LiveHandbook(self.payment(schema), self.days)

    def compute(self, table: Table) -> DataFrame:
        """Return the columns; those of customers read no label."""
        self.check(table)
        moments, days = instants_of(table), sorted(self.days)
        time = Series(moments.time).cast(pl.Datetime("us"))
        customer = codes_of(table.data[entity_of(table, "customer", self.customer)])
        paid = column_floats(table, self.spent(table))
        count, mean = trailing_windows(
            customer, paid, moments, np.array(days, np.int64) * DAY_MICROSECONDS
        )
        risk = EntityRisk(by=(self.terminal,), days=self.days, shrink=0.0).compute(table)
        columns = {
            "weekend": (time.dt.weekday() > FRIDAY).cast(pl.Int8),
            "night": (time.dt.hour() <= NIGHT).cast(pl.Int8),
        }
        for place, each in enumerate(days):
            columns[f"customer_count_{each}d"] = Series(count[:, place])
            columns[f"customer_mean_{each}d"] = Series(mean[:, place]).fill_nan(None)
            columns[f"terminal_count_{each}d"] = risk[f"{self.terminal}_labels_{each}d"]
            columns[f"terminal_risk_{each}d"] = risk[f"{self.terminal}_risk_{each}d"]
        return DataFrame(columns)

    def payment(self, table: Table) -> PaymentColumns:
        """Return the columns of who paid what, and where."""
        return PaymentColumns(
            entity_of(table, "customer", self.customer), self.terminal, self.spent(table)
        )

    def spent(self, table: Table) -> str:
        """Return the column with what was paid."""
        return self.amount if self.amount is not None else table.column("amount").name
